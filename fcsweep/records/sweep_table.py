"""A sweep as one table: ``trials.csv`` in its folder, and what is shown at its end.

A row a job, read from the records that the runs left, as data. A record that is missing or damaged
is a row that says so. Jobs that differ in their seed or fold alone are repeats of one point, which
is judged by the mean of their values.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from fcsweep.config import flat, read
from fcsweep.messages.errors import ConfigError
from fcsweep.objectives import digits_of, is_other, sign_of
from fcsweep.records.filenames import jobs_of
from fcsweep.records.formats import TRAINED, Training, training_of
from fcsweep.records.reader import Reading, read_run
from fcsweep.system.atomic import write_atomically

FILE = "trials.csv"
JUDGED = {"mean": fmean, "median": median, "worst": min}  # of values that are to be high
"""How the values of repeats are one, by the name that ``hydra.sweeper.repeats_as`` has for it."""
Repeat = tuple[object, ...]
REPEATED = ("seed", "data.fold")
"""Keys in which the repeats of a point may differ."""
SIZES = "data.sizes"  # what is measured of the data follows from their other keys
VAL, TRAIN = "best val", "best train"
ACCURACIES = {VAL: "best_val_accuracy", TRAIN: "best_train_accuracy"}
"""The columns for what a run has reached, and their keys in its record."""
JUDGED_BY = {"val_accuracy": VAL, "train_accuracy": TRAIN}
"""Which of them holds an objective; any other has a column of its own."""


@dataclass(frozen=True)
class Row:
    """What is known of one job."""

    number: int
    """Of the job in its sweep, from 0."""
    status: str
    """As recorded; ``missing`` without a record, ``damaged`` with one that cannot be read."""
    value: float | None
    """The objective; None if the run has none."""
    reached: Mapping[str, float | None]
    """What the table shows of its values, by the heading of the column."""
    seconds: float | None
    """Time the run took."""
    folder: Path
    config: Mapping[str, Any]
    """The saved config by its dotted keys; empty if it cannot be read."""
    reason: str
    """Why it ended as it did, one line; empty if there is nothing to say."""
    repeats_as: str = "mean"
    """How its sweep judges repeats: a key of `JUDGED`."""
    sign: int = 1
    """1 where the largest value is best, -1 where the smallest is, 0 where nothing says which."""
    digits: str = ".4f"
    """How its values are shown: a format."""
    found: Reading | None = None
    """What it was made of, for those who need more of it."""

    @property
    def failed(self) -> bool:
        """Whether the job left no result that counts."""
        return self.status in ("failed", "missing", "damaged", "running", "interrupted")

    @property
    def training(self) -> Training | None:
        """Which worker trained it; None where no record that is to be believed tells."""
        found = self.found
        return None if found is None or found.damage else training_of(found.provenance)


@dataclass(frozen=True)
class Spread:
    """The values of repeats, one for each seed."""

    seeds: int
    values: Sequence[float]
    """Of the seeds that have one."""
    kind: str = "mean"
    """A key of `JUDGED`: what is compared."""
    sign: int = 1
    digits: str = ".4f"
    """As those of `Row`."""
    unit: str = "seed"
    """What tells the repeats apart, as of `unit_of`."""

    @property
    def complete(self) -> bool:
        """Whether every seed has a value: without the worst ones a mean is too good."""
        return len(self.values) == self.seeds

    @property
    def judged(self) -> float | None:
        """What is compared; None without a value."""
        judge = max if self.kind == "worst" and self.sign < 0 else JUDGED[self.kind]
        return judge(self.values) if self.values else None

    @property
    def mean(self) -> float | None:
        """None without a value."""
        return fmean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation, with ``n - 1``; None for fewer than two values."""
        return stdev(self.values) if len(self.values) > 1 else None

    @property
    def count(self) -> str:
        """``3``, or ``2 of 3`` where a seed has no value."""
        return str(self.seeds) if self.complete else f"{len(self.values)} of {self.seeds}"

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """Grows with how good it is; a point whose seeds do not all have a value comes last."""
        judged = self.judged
        return judged is not None, self.complete, self.sign * (judged or 0.0)

    @property
    def told(self) -> str:
        """``3 seeds, mean 0.9650 ± 0.0012``; before the mean what is judged, if it is another."""
        judged = "" if self.kind == "mean" else f"{self.kind} {self.judged:{self.digits}}, "
        return f"{self.count} {self.unit}s, {judged}mean {self}"

    def __str__(self) -> str:
        """``0.9650 ± 0.0012``; of a single value itself, without any nothing."""
        mean, deviation = self.mean, self.deviation
        text = "" if mean is None else f"{mean:{self.digits}}"
        return text if deviation is None else f"{text} ± {deviation:{self.digits}}"


@dataclass(frozen=True)
class Point:
    """Jobs of a sweep that differ in `REPEATED` alone, by number; often a single one."""

    rows: Sequence[Row]

    @property
    def first(self) -> Row:
        """Its first job, whose config stands for those of all but for `REPEATED`."""
        return self.rows[0]

    @property
    def top(self) -> Row | None:
        """Its best run, the first of equals."""
        return best(self.rows)

    @property
    def value(self) -> Spread:
        """Of the objective."""
        return self._spread(row.value for row in self.rows)

    def reached(self, name: str) -> Spread:
        """Of a column of the table."""
        spread = self._spread(row.reached.get(name) for row in self.rows)
        return replace(spread, digits=".4f") if name in ACCURACIES else spread

    def _spread(self, values: Iterable[float | None]) -> Spread:
        first, each = self.first, (repeat_of(row.config) for row in self.rows)
        spread = spread_of(zip(each, values, strict=True), first.repeats_as)
        return replace(spread, sign=first.sign, digits=first.digits)


def write(folder: str | Path, rows: Sequence[Row] | None = None) -> Sequence[Row]:
    """Write the runs of a sweep to ``trials.csv`` in its folder, atomically; return its rows.

    Columns: ``number, status, value``, the config keys that differ, ``seconds, folder``, and of
    runs of this program the keys of `Training`. Floats are written by ``repr``, lists as JSON; a
    cell is empty where a run has no such value.

    Args:
        folder: of the sweep.
        rows: what `load` has read there; read now if absent.

    Raises:
        RecordError: The file cannot be written; what was there before is unchanged.
    """
    rows = load(folder) if rows is None else rows
    write_rows(folder, rows)
    return rows


def write_rows(folder: str | Path, rows: Sequence[Row]) -> None:
    """Write these rows to ``trials.csv``, as `write`."""
    keys = differing(rows)
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    workers = TRAINED if any(row.found for row in rows) else ()
    out.writerow(["number", "status", "value", *keys, "seconds", "folder", *workers])
    for row in rows:
        config = [as_text(row.config.get(key)) for key in keys]
        ends = [as_text(row.seconds), row.folder.as_posix()]
        who = row.training.cells if row.training else [""] * len(workers)
        out.writerow([row.number, row.status, as_text(row.value), *config, *ends, *who])
    write_atomically(Path(folder) / FILE, text.getvalue().encode())


def end_lost(folder: str | Path) -> None:
    """Correct the records of the jobs of a sweep whose processes were killed, when it ends."""
    from fcsweep.records import writer

    for run in jobs_of(folder):
        writer.end_lost(run)


def load(folder: str | Path) -> list[Row]:
    """A row for each numbered folder of a sweep, by number; writes nothing."""
    kind = repeats_as(Path(folder))
    rows = [_row(path, kind) for path in jobs_of(folder)]
    signs = {sign_of(name) for row in rows if (name := row.config.get("objective")) is not None}
    sign = signs.pop() if len(signs) == 1 else 0 if signs else 1
    return [replace(row, sign=sign) for row in rows]


def best(rows: Sequence[Row]) -> Row | None:
    """The row with the best value, the first of equals; None if no row has one."""
    valued = [row for row in rows if row.value is not None]
    return max(valued, key=lambda row: (row.sign * (row.value or 0.0), -row.number), default=None)


def points(rows: Sequence[Row]) -> list[Point]:
    """The jobs of a sweep by point, in the order of their first jobs."""
    return [Point([rows[n] for n in places]) for places in repeats([row.config for row in rows])]


def best_point(points: Sequence[Point]) -> Point | None:
    """The point with the best `Spread.rank`, the first of equals; None if no run has a value.

    Also None where nothing says which value is best.
    """
    top = max(points, key=lambda point: point.value.rank, default=None)
    return top if top is not None and top.value.values and top.first.sign else None


def repeat_of(config: Mapping[Any, Any]) -> Repeat:
    """Which repeat of its point a config is; a table has NaN for what a run does not have."""
    return tuple(None if (value := config.get(key)) != value else value for key in REPEATED)


def repeats(configs: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Which configs differ in `REPEATED` alone: the places of those of each point.

    Each is a point of its own where no two of them do so; one that could not be read always is.
    """
    alike: dict[object, list[int]] = {}
    for place, config in enumerate(configs):
        rest = {key: comparable(value) for key, value in config.items() if _counts(key, value)}
        alike.setdefault(frozenset(rest.items()) or place, []).append(place)
    repeated = any(len({repeat_of(configs[n]) for n in one}) > 1 for one in alike.values())
    return list(alike.values()) if repeated else [[place] for place in range(len(configs))]


def _counts(key: str, value: object) -> bool:
    """Whether a value of a config tells points apart."""
    return value is not None and key not in REPEATED and not key.startswith(SIZES)


def spread_of(values: Iterable[tuple[Repeat, float | None]], kind: str = "mean") -> Spread:
    """The values of repeats, from pairs of what `repeat_of` says and a value.

    A repeat counts once, however often it was trained: its runs are equal.
    """
    each: dict[Repeat, float | None] = {}
    for repeat, value in values:
        if each.get(repeat) is None:
            each[repeat] = value
    there = [value for value in each.values() if value is not None]
    return Spread(len(each), there, kind, unit=unit_of(each))


def unit_of(repeats: Iterable[Repeat]) -> str:
    """What tells repeats apart, as a noun: ``seed``, ``fold``, or ``repeat`` for both."""
    seeds, folds = (len({*values}) > 1 for values in zip(*repeats, strict=True))
    return "seed" if not folds else "repeat" if seeds else "fold"


def repeats_as(folder: Path) -> str:
    """How a sweep judges repeats: as its search does, by ``multirun.yaml``; a grid by the mean."""
    try:
        config = flat(read(folder / "multirun.yaml"))
        several = config.get("data.folds") or config["hydra.sweeper.repeats"] > 1
        kind = config["hydra.sweeper.repeats_as"] if several else "mean"
    except (ConfigError, KeyError, TypeError):
        return "mean"
    return kind if kind in JUDGED else "mean"


def differing(rows: Sequence[Row]) -> list[str]:
    """The config keys that have more than one value among the rows, in the order of the config.

    A key that only some options of a group have counts when its values differ among those. What is
    measured of the data follows from their other keys.
    """
    values: dict[str, set[str]] = {}
    for row in rows:
        for key, value in row.config.items():
            if not key.startswith(SIZES):
                values.setdefault(key, set()).add(comparable(value))
    return [key for key, found in values.items() if len(found) > 1]


def _row(folder: Path, kind: str) -> Row:
    found = read_run(folder)
    result, objective = found.result, str(found.config.get("objective"))
    reached = {name: result.get(key) for name, key in ACCURACIES.items()}
    if is_other(objective):
        reached = {} if found.config.get("data.sizes.classes") == 1 else reached
        reached = {objective: result.get("value"), **reached}
    return Row(
        number=int(folder.name),
        status=found.status,
        value=result.get("value"),
        reached=reached,
        seconds=result.get("seconds"),
        folder=folder,
        config=found.config,
        reason=" ".join(str(found.damage or result.get("reason") or "").split()),
        repeats_as=kind,
        digits=digits_of(objective),
        found=found,
    )


def as_text(value: object) -> str:
    """A value as a user would write it on the command line; nothing for null."""
    if value is None or isinstance(value, str):
        return value or ""
    return repr(value) if isinstance(value, float) else json.dumps(value, default=str)


def comparable(value: object) -> str:
    """Equal for equal values, whether an older record has 1 or 1.0."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(float(value))
    return json.dumps(value, default=str)
