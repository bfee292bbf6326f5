"""Checkpoints: a run that was killed resumes, to the same bits as without the kill.

A trial keeps two generations, so that one is whole whatever happens to the other. A checkpoint is a
safetensors file: the parameters, the best parameters, the state of the rule and the losses as
tensors; the record and its provenance as JSON in the metadata, with a sha256 of the whole file
(computed with zeros in its own place), because safetensors itself does not notice a flipped bit.
Random numbers need no state (`fcsweep.kernels.random_streams`).

A trial's checkpoint is in its own folder, so that the trial can resume alone or in any stack.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from fcsweep.config import NO_NUMBER, RunConfig, sizes
from fcsweep.messages.errors import RecordError
from fcsweep.messages.wording import one_line
from fcsweep.records.filenames import CHECKPOINTS
from fcsweep.records.formats import HistoryRow, Result
from fcsweep.records.writer import Past, RunRecord
from fcsweep.run.build import best_file
from fcsweep.solver import Solver
from fcsweep.system.atomic import write_atomically
from fcsweep.system.bounded import read_bounded

log = logging.getLogger(__name__)

Moment = tuple[int, int, int]
"""Epoch, step and number of threads: trials that agree in them may resume as a stack."""

BLANK = "0" * 64
SHA256 = b'"sha256":"%s"'
"""As it stands in the header of the file."""

DECISIVE = ("device", "device_name", "cpu_capability", "determinism", "code_sha256", "data_sha256")
"""The facts of ``provenance.json`` that, besides config, threads and torch, decide the bits."""


OWN_CODE = ("optimizer_rule_sha256", "model_build_sha256", "data_load_sha256")
"""Facts that only runs with code of the user's own have; as decisive."""


@dataclass(frozen=True)
class Checkpoint:
    """A trial after an epoch."""

    tensors: dict[str, Tensor]
    """The ``state`` of its solver, without the trial axis."""
    past: Past
    threads: int
    made_with: dict[str, Any]
    """What must be equal for training to resume to the same bits; see `made_with`."""

    @property
    def at(self) -> Moment:
        """The moment of the checkpoint."""
        last = self.past.rows[-1]
        return last.epoch, last.step, self.threads


def made_with(config: RunConfig, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What must be equal for training to resume to the same bits.

    Args:
        config: of the run.
        facts: as in ``provenance.json``.
    """
    decisive = {name: facts[name] for name in DECISIVE}
    decisive |= {name: fact for name, fact in facts.items() if name in OWN_CODE}
    known = {key: value for key, value in asdict(config).items() if key not in NO_NUMBER}
    return {"config": known, "torch": facts["versions"]["torch"], **decisive}


# --- The file -------------------------------------------------------------------------------------


def pack(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as a file."""
    past = checkpoint.past
    about = {
        "rows": [asdict(row) for row in past.rows],
        "result": asdict(past.result),
        "threads": checkpoint.threads,
        "made_with": checkpoint.made_with,
    }
    losses = torch.cat([torch.from_numpy(part) for part in past.losses])
    metadata = {"about": json.dumps(about), "sha256": BLANK}
    content = save({**checkpoint.tensors, "losses": losses}, metadata)
    digest = sha256(content).hexdigest()
    return content.replace(SHA256 % BLANK.encode(), SHA256 % digest.encode(), 1)


def unpack(content: bytes, made_with: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint in a file.

    Args:
        content: of the file.
        made_with: what must be the same.

    Raises:
        ValueError: the file is damaged, or ``made_with`` differs.
    """
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    try:
        metadata = json.loads(header)["__metadata__"]
        digest_in_file = str(metadata["sha256"]).encode()
    except (ValueError, LookupError, TypeError, RecursionError):
        raise ValueError("it is truncated, or not a checkpoint") from None
    blank = content.replace(SHA256 % digest_in_file, SHA256 % BLANK.encode(), 1)
    if sha256(blank).hexdigest().encode() != digest_in_file:
        raise ValueError("its sha256 does not match its content")
    about = json.loads(metadata["about"])
    if other := [name for name, fact in made_with.items() if about["made_with"].get(name) != fact]:
        raise ValueError(f"it was made with another {' and another '.join(other)}")
    tensors = load(content)
    losses = tensors.pop("losses").numpy()
    past = Past([HistoryRow(**row) for row in about["rows"]], [losses], Result(**about["result"]))
    return Checkpoint(tensors, past, about["threads"], about["made_with"])


# --- Writing, while a stack trains ----------------------------------------------------------------


class Checkpoints:
    """Writes the checkpoints of a stack.

    Args:
        seconds: at least so many between two checkpoints; None writes none.
        made_with: what decides the bits of each trial, by its folder.
    """

    def __init__(self, seconds: float | None, made_with: Mapping[Path, dict[str, Any]]) -> None:
        self._seconds, self._made_with = seconds, made_with
        self._latest: list[tuple[Path, Checkpoint]] = []
        self._last_write, self._count = time.monotonic(), 0

    def after(self, solver: Solver, records: Sequence[RunRecord]) -> None:
        """Keep the state of a stack after an epoch; write it if ``seconds`` have passed.

        Args:
            solver: of the trials that are still training.
            records: theirs.
        """
        if self._seconds is None:
            return
        state, threads = solver.state(), torch.get_num_threads()
        self._latest = []
        for place, record in enumerate(records):
            tensors = {name: part[place] for name, part in state.items()}
            made_with = self._made_with[record.folder]
            checkpoint = Checkpoint(tensors, record.past(), threads, made_with)
            self._latest.append((record.folder, checkpoint))
        if time.monotonic() - self._last_write >= self._seconds:
            self.write()

    def write(self) -> None:
        """Write the last finished epoch, once, in place of the older generation."""
        if self._latest:
            for folder, checkpoint in self._latest:
                try:
                    write_atomically(folder / CHECKPOINTS[self._count % 2], pack(checkpoint))
                except RecordError as error:  # a run needs none to come to its end
                    _warn(str(error))
            self._latest, self._last_write, self._count = [], time.monotonic(), self._count + 1


# --- Reading, when a run resumes ------------------------------------------------------------------


def find(folder: Path, config: RunConfig, made_with: Mapping[str, Any]) -> list[Checkpoint]:
    """The checkpoints from which a run can resume, newest first; warns of each unusable one.

    Args:
        folder: of the run.
        config: of the run.
        made_with: what must be the same.
    """
    found: list[Checkpoint] = []
    paths = [path for path in (folder / name for name in CHECKPOINTS) if path.exists()]
    for path in paths:
        try:
            content = read_bounded(path, _largest(config))
            found.append(unpack(content, made_with))
        except (OSError, ValueError) as error:
            _warn(f"ignoring checkpoint {path}: {one_line(error)}")
    if paths and not found:
        _warn(f"no usable checkpoint in {folder}; starting from the first epoch")
    return sorted(found, key=lambda checkpoint: checkpoint.at, reverse=True)


def _largest(config: RunConfig) -> int:
    """Upper bound of the bytes of a checkpoint: generously, six numbers a parameter or more.

    Its tensors are the parameters, the best ones and the state of the rule.
    """
    epochs, each = config.solver.num_epochs, max(6, 2 + config.optimizer.state_tensors)
    numbers = each * sizes.most_parameters(config) + sizes.steps(config, epochs)
    return 8 * numbers + 1_000 * (epochs + 100)


def groups(
    found: Sequence[Sequence[Checkpoint]],
) -> list[tuple[list[int], list[Checkpoint]]]:
    """Which trials resume together: all, from the newest moment that they share, if any.

    Args:
        found: for each trial its checkpoints, newest first.

    Returns:
        Positions of trials, and the checkpoint of each; none for trials without any.
    """
    moments = [{checkpoint.at: checkpoint for checkpoint in one} for one in found]
    shared = set[Moment].intersection(*map(set, moments))
    if shared:
        return [([*range(len(found))], [each[max(shared)] for each in moments])]
    together: dict[Moment | None, list[int]] = {}
    for trial, each in enumerate(moments):
        together.setdefault(max(each, default=None), []).append(trial)
    return [
        (trials, [] if moment is None else [moments[trial][moment] for trial in trials])
        for moment, trials in together.items()
    ]


def resume(checkpoints: Sequence[Checkpoint], solver: Solver, records: Sequence[RunRecord]) -> None:
    """Restore a stack and its records to the moment of the checkpoints.

    Args:
        checkpoints: one for each trial, all of one moment.
        solver: of a stack of these trials, new.
        records: theirs.
    """
    epoch, step, _ = checkpoints[0].at
    each = [checkpoint.tensors for checkpoint in checkpoints]
    state = {name: torch.stack([tensors[name] for tensors in each]) for name in each[0]}
    solver.restore(state, epoch, step)
    for place, (record, checkpoint) in enumerate(zip(records, checkpoints, strict=True)):
        evaluated = checkpoint.past.result.best_epoch is not None
        record.restore(checkpoint.past, best_file(solver, place) if evaluated else None)
        log.info("resuming after epoch %d", epoch)


def _warn(text: str) -> None:
    log.warning(text)
    print(f"warning: {text}", file=sys.stderr)
