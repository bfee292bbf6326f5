"""The files of a run: every number that it produced, up to date while it runs.

``history.csv`` and ``losses.npy`` grow at their ends; every other file is replaced as a whole
(written beside itself, then renamed), so that a reader sees the state before or after a write,
whatever ends the process. ``result.json`` comes last: what it says is also in the others, and what
lies in them beyond it does not count. When a run ends, ``provenance.json`` gets the sha256 of each
of them and of itself, so that a byte that changes later is found. ``multirun/README.md`` describes
each file, column by column.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcsweep.messages.errors import RecordError
from fcsweep.objectives import reaches
from fcsweep.records.filenames import (
    BEST,
    CONFIG,
    FINISHED,
    HISTORY,
    LOSSES,
    PREPROCESSING,
    PROVENANCE,
    RESULT,
)
from fcsweep.records.formats import HistoryRow, Result, columns_of, moment
from fcsweep.records.ownership import remove_checkpoints, remove_half_written
from fcsweep.records.reader import look, read_json
from fcsweep.records.seal import add_seal, as_json
from fcsweep.system.atomic import spare_of, write_atomically
from fcsweep.system.crew import fence
from fcsweep.system.locks import is_held
from fcsweep.system.rewrite import Growing, rewrite_atomically, settle


@dataclass(frozen=True)
class Past:
    """What a record holds after an epoch."""

    rows: list[HistoryRow]
    losses: list[NDArray[Any]]
    """``(steps,)`` for each epoch, or for several."""
    result: Result


class RunRecord:
    """Writes the records of one run into its folder, once it has started.

    Args:
        folder: of the run; it exists.
        objective: a name of `fcsweep.objectives`.
        target: the objective that counts as success, or None.

    Raises:
        RecordError: here and in every method, if a file cannot be written.
        LostClaim: in every method, if another process has taken over the run; nothing is written.
    """

    def __init__(self, folder: Path, objective: str, target: float | None) -> None:
        self.folder = folder
        self._spare, self._spare_best = spare_of(folder / RESULT), spare_of(folder / BEST)
        self._config: bytes | None = None
        self._forget(objective, target)

    def _forget(self, objective: str, target: float | None) -> None:
        self.result = Result(objective, target)
        self._keep(Past([], [], self.result))
        self._facts: dict[str, Any] = {}
        self._preprocessing: bytes | None = None
        self._seconds_before = 0.0

    def _keep(self, past: Past) -> None:
        """Hold what is recorded so far; the files are written anew."""
        self._rows, self._losses = past.rows[:], past.losses[:]
        lines = (_csv(row.cells(past.result.objective)) for row in self._rows)
        self._history = _csv(columns_of(past.result.objective)) + "".join(lines)
        self._history_file = Growing(self.folder / HISTORY)
        self._losses_file = Growing(self.folder / LOSSES)

    def start(self) -> None:
        """Write the records of a run that starts, or starts again: nothing is known yet."""
        fence()
        self._forget(self.result.objective, self.result.target)
        try:
            self._config = self._saved_config()
            remove_half_written(self.folder)
            for name in (BEST, PREPROCESSING):  # of an unfinished run
                (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            path, why = error.filename or self.folder, error.strerror or error
            raise RecordError(f"{path} cannot be read or removed: {why}") from error
        self._write()

    def _saved_config(self) -> bytes | None:
        config = self.folder / CONFIG
        return config.read_bytes() if config.is_file() else None

    def past(self) -> Past:
        """A copy of what is recorded so far."""
        return Past(self._rows[:], self._losses[:], replace(self.result))

    def restore(self, past: Past, best: bytes | None) -> None:
        """Resume from what another record of this run held.

        Args:
            past: of an unfinished run.
            best: ``best.safetensors`` as it was then; None if there was none.
        """
        fence()
        self._keep(past)
        self.result = replace(past.result, status="running", reason=None)
        self._seconds_before = self.result.seconds
        if best is not None:
            write_atomically(self.folder / BEST, best)
        self._write()

    def provenance(self, facts: Mapping[str, Any]) -> None:
        """Write where the numbers come from."""
        fence()
        self._facts = dict(facts)
        rewrite_atomically(self.folder / PROVENANCE, as_json(facts), self._spare)

    def preprocessing(self, facts: Mapping[str, Any]) -> None:
        """Write what makes inputs of a table, for `fcsweep.predict`."""
        fence()
        self._preprocessing = as_json(facts)
        write_atomically(self.folder / PREPROCESSING, self._preprocessing)

    def add(
        self, row: HistoryRow, losses: NDArray[Any], seconds: float, best: bytes | None = None
    ) -> None:
        """Add an epoch; the files follow if it was evaluated.

        Args:
            row: the epoch.
            losses: ``(steps,)``, in the run's type.
            seconds: since training started, or went on.
            best: the parameters as a safetensors file, if this epoch is the best so far.
        """
        fence()
        result = self.result
        self._rows.append(row)
        self._losses.append(losses)
        line = _csv(row.cells(result.objective))
        self._history += line
        self._history_file.add(line.encode())
        self._losses_file.add(losses.tobytes())
        result.epochs, result.seconds = row.epoch, self._seconds_before + seconds
        result.best_val_accuracy = _highest(result.best_val_accuracy, row.val_accuracy)
        result.best_train_accuracy = _highest(result.best_train_accuracy, row.train_accuracy)
        if best is not None:
            value = row.value(result.objective)
            assert value is not None  # only an evaluated epoch can be the best
            result.value, result.best_epoch = value, row.epoch
            target = result.target
            result.target_reached = target is not None and reaches(result.objective, value, target)
            result.best_sha256 = sha256(best).hexdigest()
            rewrite_atomically(self.folder / BEST, best, self._spare_best)
        if row.evaluated:
            self._write()

    def finish(self, status: str, reason: str | None = None) -> Result:
        """Write how the run ended; remove its checkpoints if its status is one of `FINISHED`."""
        fence()
        self.result.status, self.result.reason = status, reason
        settle(self._spare_best)
        try:
            self._write(seal=True)
        except RecordError:  # the spare is gone with it: there may be room for the last now
            self._write(seal=True)
        settle(self._spare)
        if status in FINISHED:
            remove_checkpoints(self.folder)
        return self.result

    def _write(self, seal: bool = False) -> None:
        self._history_file.flush(self._history.encode)
        self._losses_file.flush(self._npy, self._npy_header())
        result = as_json(vars(self.result))
        if seal:
            ends = {"ended": moment(), "files": self._hashes(result)}
            facts = as_json(add_seal(self._facts | ends))
            rewrite_atomically(self.folder / PROVENANCE, facts, self._spare)
        rewrite_atomically(self.folder / RESULT, result, self._spare)

    def _hashes(self, result: bytes) -> dict[str, str | None]:
        if self._config is None:  # the run failed before its start
            with suppress(OSError):
                self._config = self._saved_config()
        contents = {HISTORY: self._history.encode(), LOSSES: self._npy(), RESULT: result}
        hashes: dict[str, str | None] = {n: sha256(one).hexdigest() for n, one in contents.items()}
        hashes[CONFIG] = None if self._config is None else sha256(self._config).hexdigest()
        if self._preprocessing is not None:
            hashes[PREPROCESSING] = sha256(self._preprocessing).hexdigest()
        return hashes | {BEST: self.result.best_sha256}

    def _npy(self) -> bytes:
        return b"".join([self._npy_header(), *(part.tobytes() for part in self._losses)])

    def _npy_header(self) -> bytes:
        dtype = self._losses[0].dtype.str if self._losses else "<f4"
        return _npy_header(dtype, sum(map(len, self._losses)))


def end_lost(folder: Path) -> None:
    """Mark a run whose process was killed as interrupted."""
    result = look(folder).result
    if result is not None and result["status"] == "running" and not is_held(folder):
        remove_half_written(folder)
        _unseal(folder)
        reason = "its process was killed"
        write_json(folder / RESULT, {**result, "status": "interrupted", "reason": reason})


def _unseal(folder: Path) -> None:
    """Remove the seal of a run that was killed between its first and its last record."""
    with suppress(OSError, ValueError):
        facts = read_json(folder / PROVENANCE)
        if "files" in facts:
            left = {key: facts[key] for key in facts if key not in ("ended", "files", "sha256")}
            write_json(folder / PROVENANCE, left)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write strict JSON."""
    write_atomically(path, as_json(content))


def _csv(cells: Iterable[object]) -> str:
    """A line; floats by ``repr``, so that reading them gives the same bits, None empty."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


@lru_cache
def _npy_header(dtype: str, count: int) -> bytes:
    """As ``np.save`` writes it for ``(count,)`` numbers; it is as long for any count."""
    memory, shape = io.BytesIO(), (count,)
    about = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(memory, about)
    return memory.getvalue()


def _highest(best: float | None, accuracy: float | None) -> float | None:
    return max((a for a in (best, accuracy) if a is not None), default=None)
