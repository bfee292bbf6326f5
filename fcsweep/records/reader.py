"""What a run has left in its folder, read as data: bounded, checked, never executed."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from fcsweep.config import flat, read, typed
from fcsweep.messages.errors import ConfigError, FolderError
from fcsweep.messages.wording import one_line, render
from fcsweep.records.filenames import FINISHED, PROVENANCE, RESULT, STATUSES, place
from fcsweep.records.formats import HEADINGS, HISTORY_COLUMNS, KINDS, History, HistoryRow, Result
from fcsweep.records.seal import changed_files
from fcsweep.system.bounded import read_bounded
from fcsweep.system.locks import is_held

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_JSON = 1_000_000  # bytes


@dataclass(frozen=True)
class Found:
    """What a run has left in its folder; each part None where it is not there or damaged."""

    config: dict[str, Any] | None
    """``.hydra/config.yaml``, not yet checked against the schemas."""
    result: dict[str, Any] | None
    """``result.json``: ``status`` is one of `STATUSES`, every number finite."""
    damage: str | None
    """What is damaged, and how; None if nothing is."""

    @property
    def finished(self) -> bool:
        """Whether the run ended by itself, not by a signal or an error."""
        return self.result is not None and self.result["status"] in FINISHED


def look(folder: Path) -> Found:
    """Read the config and the result that a run has left; never raises for what they hold."""
    config, result, damage = None, None, None
    config_file, result_file = folder / ".hydra" / "config.yaml", folder / "result.json"
    if config_file.exists():
        try:
            config = read(config_file)
        except ConfigError as error:
            damage = str(error)
    if result_file.exists():
        try:
            result = _read_result(result_file)
        except (OSError, ValueError) as error:
            damage = f"{result_file} cannot be read: {one_line(error)}"
    return Found(config, result, damage)


RESULT_KEYS = tuple(field.name for field in fields(Result))


@dataclass(frozen=True)
class Reading:
    """A run for a table of runs; what is damaged has neither a result nor a status of its own."""

    folder: Path
    config: dict[str, Any]
    """By dotted keys; empty where it cannot be read."""
    provenance: dict[str, Any]
    """By dotted keys."""
    result: dict[str, Any]
    """The keys of `Result` that the record has; a run that failed has no value."""
    damage: str | None
    """What is damaged or was changed after the run had ended."""

    @property
    def status(self) -> str:
        """As recorded; ``missing`` without a record, ``damaged`` where it is not to be believed."""
        return "damaged" if self.damage else self.result.get("status", "missing")

    @property
    def row(self) -> dict[str, Any]:
        """The columns of the run: config, ``provenance.``, result, place, status, damage."""
        return {
            **dict.fromkeys(RESULT_KEYS),
            **self.config,
            **{f"provenance.{key}": value for key, value in self.provenance.items()},
            **{key: value for key, value in self.result.items() if value is not None},
            **place(self.folder),
            "status": self.status,
            "damage": self.damage,
        }


def read_run(folder: Path) -> Reading:
    """Everything that a table of runs tells of one; never raises for what its files hold."""
    found = look(folder)
    facts, damage = _provenance(folder / PROVENANCE)
    wrong = _wrong_kind(found.result or {})
    # Without a result Hydra may still be writing the config.
    started = found.result is not None or (folder / "result.json").exists()
    damages = [
        found.damage if started else None,
        wrong and f"{folder}: {wrong}",
        damage or changed_since(folder, found, facts),
    ]
    named = "; ".join(dict.fromkeys(one for one in damages if one))
    result = {} if named or found.result is None else found.result
    known = {name: result[name] for name in RESULT_KEYS if name in result}
    if known.get("status") == "failed":  # what it had reached by then is no outcome
        known |= {"value": None, "target_reached": False}
    return Reading(folder, flat(found.config or {}), flat(facts), known, named or None)


def _provenance(path: Path) -> tuple[Mapping[str, Any], str | None]:
    """What the file holds, and what is damaged in it."""
    try:
        return read_json(path), None
    except FileNotFoundError:
        return {}, None
    except (OSError, ValueError) as error:
        return {}, f"{path} cannot be read: {one_line(error)}"


def _wrong_kind(result: Mapping[str, Any]) -> str | None:
    """A value of ``result.json`` that is not of its kind."""
    for name, kind in KINDS.items():
        value = result.get(name)
        if value is not None and not _fits(value, kind):
            return f"result.json has {name}={render(value)}"
    return None


def _fits(value: object, kind: type) -> bool:
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if isinstance(value, int):
        return abs(value) < 2**63
    return isinstance(value, float) and kind is float and math.isfinite(value)


def are_ours(runs: Iterable[Path]) -> bool | None:
    """Whether folders hold runs of this program; False: of another Hydra app; None: nothing tells.

    A run is ours if it has a record, or a config that fits the schemas; one run decides for all.
    """
    of_another = False
    for found in map(look, runs):
        if found.result is not None or (found.config is not None and _is_ours(found.config)):
            return True
        of_another = of_another or found.config is not None
    return False if of_another else None


def none_of_others(folder: str | Path, runs: Sequence[Path]) -> Sequence[Path]:
    """These runs, found in a folder.

    Raises:
        FolderError: all are of another Hydra app.
    """
    if are_ours(runs) is False:
        what = f"{folder} holds runs of another program, not of fcsweep"
        raise FolderError(f"{what}; python -m fcsweep.report draws a search of it")
    return runs


def _is_ours(config: dict[str, Any]) -> bool:
    try:
        typed(config)
    except ConfigError:
        return False
    return True


def damaged_since(
    folder: Path, gone: bool = True, facts: Mapping[str, Any] | None = None
) -> str | None:
    """Which file of a run that has ended is not as the run left it; None if all are.

    A run without ``provenance.json`` has no seal to compare with.

    Args:
        folder: of the run.
        gone: whether a missing file counts.
        facts: what ``provenance.json`` holds, if it is known already.
    """
    path = folder / PROVENANCE
    if not path.exists():
        return None
    try:
        provenance = read_json(path) if facts is None else facts
        if not isinstance(provenance.get("files"), Mapping):
            raise ValueError("it has no sha256 of the files that the run left")
        found = changed_files(folder, provenance)
        names = [str(folder / name) for name, (_, now) in found.items() if gone or now is not None]
    except (OSError, ValueError) as error:
        return f"{path} cannot be read: {one_line(error)}"
    return f"{', '.join(names)} changed since it ended" if names else None


def changed_since(folder: Path, found: Found, facts: Mapping[str, Any]) -> str | None:
    """Which file was changed after the record says that the run has ended; None if none was.

    For tables of runs: a file that is gone tells nothing false, such as parameters that were
    removed for their size.

    Args:
        folder: of the run.
        found: what it has left there.
        facts: what ``provenance.json`` holds.
    """
    if found.finished:
        return damaged_since(folder, gone=False, facts=facts)
    if found.result is None or found.result["status"] == "running" or "files" not in facts:
        return None
    changed = damaged_since(folder, gone=False, facts=facts)
    return changed if changed and not is_held(folder) else None  # a held folder is being written


def read_json(path: Path) -> dict[str, Any]:
    """A mapping from a file of strict JSON.

    Raises:
        ValueError: It is larger than 1 MB, nested too deeply, or is not what was expected.
        OSError: It cannot be read.
    """
    text = read_bounded(path, LARGEST_JSON)
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(content, Mapping):
        raise ValueError("expected a mapping")
    return dict(cast("Mapping[str, Any]", content))


def _read_result(path: Path) -> dict[str, Any]:
    """``result.json``, or a ValueError that says what is wrong with it."""
    record = read_json(path)
    if record.get("status") not in STATUSES:
        raise ValueError("it has no status")
    for name in ("value", "best_val_accuracy", "best_train_accuracy", "seconds"):
        number = record.get(name)
        if number is not None and not _is_finite(number):
            raise ValueError(f"{name} is not a finite number")
    return record


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _is_finite(value: object) -> bool:
    # 1e999 is JSON, and inf to Python.
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


LARGEST_HISTORY = 100_000_000  # bytes


def read_history(path: Path) -> list[HistoryRow]:
    """The rows of a ``history.csv``.

    Raises:
        OSError, ValueError: it cannot be read, or is damaged.
    """
    *columns, _ = vars(read_columns(path)).values()
    return [HistoryRow(*cells) for cells in zip(*columns, strict=True)]


def read_columns(path: Path) -> History:
    """The columns of a ``history.csv``.

    Half a row is being added, unless ``result.json`` beside it counts that epoch.

    Raises: as `read_history`.
    """
    content = read_bounded(path, LARGEST_HISTORY)
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content) and whole.count(b"\n") > _epochs(path.with_name(RESULT)):
        content = whole
    heading, *lines = list(csv.reader(io.StringIO(content.decode()), strict=True)) or [[]]
    if heading not in HEADINGS:
        raise ValueError("it has no heading")
    if any(len(line) != len(heading) for line in lines):
        raise ValueError("a row has too few or too many cells")
    if not lines:
        return History()
    kinds: list[Callable[[str], Any]] = [int, int, float, *[_evaluated] * 2, float]
    kinds += [_evaluated] * 3
    columns = [
        [*map(kind, one)] for kind, one in zip(kinds, zip(*lines, strict=True), strict=False)
    ]
    absent = [[None] * len(lines)] * (len(kinds) - len(columns))
    return History(*columns, *absent, names=tuple(heading[len(HISTORY_COLUMNS) :]))


def _epochs(path: Path) -> float:
    """How many epochs a ``result.json`` counts; infinitely many where it does not tell."""
    try:
        epochs: Any = read_json(path).get("epochs")
    except (OSError, ValueError):
        return math.inf
    return epochs if _fits(epochs, int) else math.inf


def _evaluated(cell: str) -> float | None:
    return float(cell) if cell else None


def losses_of(content: bytes) -> NDArray[Any]:
    """The ``(steps,)`` losses in the content of ``losses.npy``.

    As many as the header announces: what lies beyond is being added. Not by ``np.load``, which
    takes memory for what a header announces before it looks for it.

    Raises:
        ValueError: it does not hold one float a step.
    """
    import numpy as np  # not for --help

    file = io.BytesIO(content)
    try:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("another version")
        (*shape,), _, dtype = np.lib.format.read_array_header_1_0(file)
    except Exception as error:  # a header is Python, and can be wrong in any way
        raise ValueError("it is not an array of numbers") from error
    if dtype.kind in "OV":
        raise ValueError("it is not an array of numbers")
    if len(shape) != 1 or dtype.kind != "f":
        raise ValueError("it does not hold one number a step")
    if len(content) - file.tell() < shape[0] * dtype.itemsize:
        raise ValueError(f"it does not hold the {shape[0]} numbers that it announces")
    return np.frombuffer(content, dtype, shape[0], file.tell())
