"""What the records of a run hold: a row an epoch, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields


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

    def accuracy(self, objective: str) -> float | None:
        """The one that ``objective`` names, ``val_accuracy`` or ``train_accuracy``."""
        return self.val_accuracy if objective == "val_accuracy" else self.train_accuracy

    def line(self, num_epochs: int) -> str:
        """As plain text, in columns."""
        width = len(str(num_epochs))
        return (
            f"epoch {self.epoch:>{width}}/{num_epochs}  loss {self.loss:<8.4g}  "
            f"train {accuracy_text(self.train_accuracy)}  val {accuracy_text(self.val_accuracy)}"
        )


HISTORY_COLUMNS = [field.name for field in fields(HistoryRow)]
"""Of ``history.csv``."""
OLDER_COLUMNS = HISTORY_COLUMNS[:-1]
"""Of the runs that were recorded before there was ``val_loss``."""


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

    def __len__(self) -> int:
        return len(self.epoch)


@dataclass
class Result:
    """``result.json``: how a run ended, or where it stands."""

    objective: str
    """``val_accuracy`` or ``train_accuracy``."""
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
    """Whether ``value >= target``."""
    seconds: float = 0.0
    """Wall time from the start of training."""
    best_sha256: str | None = None
    """Of ``best.safetensors``."""


def accuracy_text(accuracy: float | None) -> str:
    """``0.9650``; a dash for what was not evaluated."""
    return "-" if accuracy is None else f"{accuracy:.4f}"
