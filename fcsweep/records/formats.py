"""What the records of a run hold: a row an epoch, how it ended, and who trained it when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from fcsweep.objectives import OBJECTIVES, digits_of, is_other, of_quantity


@dataclass(frozen=True)
class HistoryRow:
    """One epoch, as a row of ``history.csv``."""

    epoch: int
    """From 1."""
    step: int
    """Updates since the start of training."""
    loss: float
    """Mean over the epoch's steps, with the L2 term; in nats for softmax."""
    train_accuracy: float | None
    """Fractions; None (empty in the file) where not evaluated."""
    val_accuracy: float | None
    learning_rate: float
    """Used in this epoch."""
    val_loss: float | None = None
    """Mean over the validation rows, without the L2 term; None where not evaluated."""
    train_value: float | None = None
    """Of an objective without a column of its own above: on the training rows, ..."""
    val_value: float | None = None
    """... and on those of validation, by which the run is judged."""

    @property
    def evaluated(self) -> bool:
        """Whether the epoch was evaluated."""
        return any(one is not None for one in (self.val_accuracy, self.val_loss, self.val_value))

    def value(self, objective: str) -> float | None:
        """What ``objective`` is after the epoch; None where not evaluated."""
        known = OBJECTIVES.get(objective)
        return getattr(self, objective) if known is None or known.recorded else self.val_value

    def cells(self, objective: str) -> Sequence[Any]:
        """The values of the `columns_of` a run."""
        return list(vars(self).values())[: len(columns_of(objective))]

    def line(self, num_epochs: int, objective: str = "val_accuracy") -> str:
        """As plain text, in columns; an objective without an accuracy's column comes last."""
        width, value = len(str(num_epochs)), value_text(self.value(objective), objective)
        train, val = accuracy_text(self.train_accuracy), accuracy_text(self.val_accuracy)
        accuracies = [] if of_quantity(objective) else [f"train {train}  val {val}"]
        own = [f"{objective} {value}"] if is_other(objective) else []
        start = f"epoch {self.epoch:>{width}}/{num_epochs}  loss {self.loss:<8.4g}"
        return "  ".join([start, *accuracies, *own])


HISTORY_COLUMNS = [field.name for field in fields(HistoryRow)][:7]
"""Of every ``history.csv``."""
OLDER_COLUMNS = HISTORY_COLUMNS[:-1]
"""Of the runs that were recorded before there was ``val_loss``."""


def columns_of(objective: str) -> list[str]:
    """The columns of the ``history.csv`` of a run; two more where no other holds its objective."""
    known = OBJECTIVES.get(objective)
    return [*HISTORY_COLUMNS, *(known.columns if known else ())]


HEADINGS = [OLDER_COLUMNS, *map(columns_of, OBJECTIVES)]
"""What a ``history.csv`` may begin with."""


@dataclass(frozen=True)
class History:
    """The columns of a ``history.csv``: those of `HistoryRow`, an entry an epoch."""

    epoch: Sequence[int] = ()
    step: Sequence[int] = ()
    loss: Sequence[float] = ()
    train_accuracy: Sequence[float | None] = ()
    val_accuracy: Sequence[float | None] = ()
    learning_rate: Sequence[float] = ()
    val_loss: Sequence[float | None] = ()
    train_value: Sequence[float | None] = ()
    val_value: Sequence[float | None] = ()
    names: tuple[str, ...] = ()
    """Of the last two in the file; none if it has neither."""

    def __len__(self) -> int:
        return len(self.epoch)


@dataclass
class Result:
    """``result.json``: how a run ended, or where it stands."""

    objective: str
    """A name of `fcsweep.objectives`."""
    target: float | None = None
    status: str = "running"
    """``running``, ``completed``, ``pruned``, ``diverged``, ``interrupted`` or ``failed``."""
    reason: str | None = None
    """Why, where the status needs a reason; one line."""
    value: float | None = None
    """Best objective over the epochs; None before the first evaluation."""
    best_val_accuracy: float | None = None
    best_train_accuracy: float | None = None
    best_epoch: int | None = None
    """The first epoch that reached ``value``; its parameters are in ``best.safetensors``."""
    epochs: int = 0
    """Epochs trained."""
    target_reached: bool = False
    """Whether ``value`` is as good as ``target``."""
    seconds: float = 0.0
    """Wall time from the start of training."""
    best_sha256: str | None = None
    """Of ``best.safetensors``."""


KINDS: Mapping[str, type] = {
    "value": float,
    "best_val_accuracy": float,
    "best_train_accuracy": float,
    "best_epoch": int,
    "epochs": int,
    "target": float,
    "target_reached": bool,
    "seconds": float,
}
"""Types of the keys of ``result.json`` that are not text; an int is accepted for a float."""


@dataclass(frozen=True)
class Training:
    """Which worker trained a run, and when; of a resumed run the last one that did.

    The keys of ``provenance.json``. The times are those of the machine's clock, in UTC.
    """

    host: str
    process: int
    """Its number on that machine."""
    started: datetime
    """Equal for the trials of a stack."""
    ended: datetime | None
    """None while it trains, and where its process was killed."""

    @property
    def cells(self) -> Sequence[str]:
        """Of the columns of ``trials.csv``."""
        ended = "" if self.ended is None else _written(self.ended)
        return [self.host, str(self.process), _written(self.started), ended]


TRAINED = tuple(field.name for field in fields(Training))
LONGEST_HOST, LARGEST_PROCESS = 255, 2**63


def moment() -> str:
    """This moment, as the records write it."""
    return _written(datetime.now(UTC))


def training_of(facts: Mapping[Any, Any], prefix: str = "") -> Training | None:
    """Which worker trained a run; None if its record does not say so, as older ones do not.

    Args:
        facts: what ``provenance.json`` holds.
        prefix: of its keys.
    """
    host, process, *times = (facts.get(prefix + name) for name in TRAINED)
    started, ended = map(_read, times)
    if started is None or not isinstance(host, str) or not isinstance(process, int):
        return None
    believed = len(host) <= LONGEST_HOST and 0 < process < LARGEST_PROCESS
    return Training(host, process, started, ended) if believed else None


def _written(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


def _read(text: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.utcoffset() == timedelta(0) else None


def value_text(value: float | None, objective: str) -> str:
    """A value of an objective; a dash for what was not evaluated."""
    return "-" if value is None else f"{value:{digits_of(objective)}}"


def accuracy_text(accuracy: float | None) -> str:
    """``0.9650``; a dash for what was not evaluated."""
    return "-" if accuracy is None else f"{accuracy:.4f}"
