"""How a run and its rerun compare: the verdict, the first difference, its likely cause.

Files are compared as bytes and parsed only to locate a difference. Importing this module
does not import torch.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from fcsweep.config import TorchConfig
from fcsweep.messages.wording import render
from fcsweep.records.evidence import Evidence, short_line
from fcsweep.records.filenames import (
    BEST,
    CONFIG,
    HISTORY,
    LOSSES,
    PREPROCESSING,
    PROVENANCE,
    RESULT,
)
from fcsweep.rerun.gap import TOLERANCE, Gap, largest_gap, on_another_processor

TIMES = ("seconds",)
"""Keys of ``result.json`` that no rerun repeats."""

UNTRUSTED = (CONFIG, PROVENANCE, BEST, PREPROCESSING)
"""Files that a rerun cannot vouch for once they have changed."""

CAUSES = {
    "data_sha256": "the data",
    "optimizer_rule_sha256": "the code of optimizer.rule",
    "model_build_sha256": "the code of model.build",
    "data_load_sha256": "the code of data.load",
    "versions.torch": "torch",
    "versions.numpy": "numpy",
    "versions.scikit-learn": "scikit-learn",
    "threads": "the number of threads",
    "device": "the device",
    "device_name": "the device's name",
    "cpu_capability": "the instructions of the CPU",
    "cpu_name": "the CPU",
    "products": "the library of matrix products",
    "code_sha256": "the code of fcsweep",
    "determinism": "the settings of determinism",
    "cuda": "CUDA",
    "cudnn": "cuDNN",
    "gpu_driver": "the driver of the GPU",
    "git_commit": "the commit",
    "uncommitted_sha256": "what is not committed",
    "python": "Python",
    "platform": "the platform",
}
"""What may change the numbers, likeliest first."""


@dataclass(frozen=True)
class Difference:
    """The first place where a record and its rerun disagree."""

    file: str
    where: str
    """Such as ``epoch 3, loss``."""
    recorded: str
    """What the record has there; numbers by ``repr``."""
    now: str

    def __str__(self) -> str:
        return f"{self.file}, {self.where}: recorded {self.recorded}, now {self.now}"


class Verdict(StrEnum):
    """How a run and its rerun compare."""

    IDENTICAL = "identical"
    """Every number but the times has the same bits."""
    SAME = f"same to {TOLERANCE:.0e} on another processor".replace("e-0", "e-")
    """The processor is another one, and no number is further off than `TOLERANCE`."""
    SAME_ALONE = f"same to {TOLERANCE:.0e} outside its stack".replace("e-0", "e-")
    """It has a model of the user's own and was trained in a stack, with gaps as above."""
    DIFFERENT = "different"
    CHANGED = "changed after its end"
    """A file of the run is not as the run left it, by its seal."""


NEAR = (Verdict.SAME, Verdict.SAME_ALONE)
"""Not the same bits, but as near as can be expected."""


@dataclass(frozen=True)
class Comparison:
    """A run and its rerun."""

    verdict: Verdict
    difference: Difference | None = None
    """None if they are identical."""
    cause: str = ""
    """Of the difference, likely."""
    gap: Gap | None = None
    """How far the numbers lie apart, on another processor alone."""

    def line(self, run: Evidence) -> str:
        """What is said of a run."""
        if self.verdict is Verdict.IDENTICAL:
            return f"identical: {run.folder} ({run.epochs} epochs)"
        if self.verdict in NEAR:
            return f"{self.verdict}: {run.folder} ({run.epochs} epochs): {self.why}"
        return f"different: {run.folder}: {self.why}"

    @property
    def why(self) -> str:
        """What differs and the likely cause; nothing if they are identical."""
        first = None if self.verdict in NEAR else self.difference
        parts = [str(part) for part in (first, self.gap) if part is not None]
        return "; ".join([*parts, f"likely cause: {self.cause}"]) if parts else ""


def compare(run: Evidence, again: Path, now: Mapping[str, Any]) -> Comparison:
    """Compare a run with its rerun.

    Args:
        run: as recorded.
        again: folder of the rerun.
        now: ``provenance.json`` of the rerun.
    """
    difference = first_difference(run, again)
    if difference is None:
        return Comparison(Verdict.IDENTICAL)
    cause = likely_cause(difference, run, now)
    if run.altered:
        return Comparison(Verdict.CHANGED, difference, cause)
    elsewhere = on_another_processor(run.provenance, now)
    alone = isinstance(run.config.model, TorchConfig) and run.provenance.get("stack_size") != 1
    gap = largest_gap(run, again) if elsewhere or alone else None
    near = Verdict.SAME if elsewhere else Verdict.SAME_ALONE
    verdict = near if gap is not None and gap.tolerable else Verdict.DIFFERENT
    return Comparison(verdict, difference, cause, gap)


def altered_file(run: Evidence) -> Difference | None:
    """The first file that changed after the run and that training again cannot vouch for."""
    for name in UNTRUSTED:
        if name in run.altered:
            return Difference(name, "sha256", *run.altered[name])
    return None


def first_difference(run: Evidence, again: Path) -> Difference | None:
    """Compare a run with its rerun; None if every number but the times has the same bits.

    Args:
        run: as recorded.
        again: folder of the rerun.
    """
    history, losses = ((again / name).read_bytes() for name in (HISTORY, LOSSES))
    history = run.in_its_columns(history)
    if run.history != history:
        return _in_history(run.history, history)
    if run.losses_bytes != losses:
        return _in_losses(run, losses)
    difference = _in_result(run.result, json.loads((again / RESULT).read_text()))
    if difference is None and RESULT in run.altered:
        return Difference(RESULT, "sha256 (its numbers are right)", *run.altered[RESULT])
    return difference


def likely_cause(difference: Difference, run: Evidence, now: Mapping[str, Any]) -> str:
    """The recorded facts that were different when the run was made.

    Args:
        difference: the one to explain.
        run: as recorded.
        now: ``provenance.json`` of the rerun.
    """
    changed = [name for name in run.altered if name == difference.file] or [*run.altered]
    if changed:
        return f"{' and '.join(changed)} changed after the run had ended"
    others = [*_other_files(run, now), *_other_facts(run.provenance, now)]
    if others:
        return "; ".join(others[:3])
    kinds = {
        "on a GPU": str(run.provenance.get("device")).startswith("cuda"),
        "a model of one's own": isinstance(run.config.model, TorchConfig),
    }
    if any(kinds.values()) and run.provenance["stack_size"] != 1:
        kind = next(kind for kind, so in kinds.items() if so)
        return f"{kind}, in a stack of {run.provenance['stack_size']}; now alone"
    return "none that the two provenance records show"


def _other_files(run: Evidence, now: Mapping[str, Any]) -> Iterator[str]:
    """The files of a table that have changed, as the config names them."""
    name = "data_files_sha256"
    for key in now.get(name, ()):
        before, after = (_fact(facts, f"{name}.{key}") for facts in (run.provenance, now))
        if before != after:
            path = getattr(run.config.data, key)
            yield f"data.{key}={path} has changed ({_brief(before)}, now {_brief(after)})"


def _other_facts(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    packages = {f"versions.{name}": name for name in now["versions"]}
    for key, name in {**CAUSES, **{k: n for k, n in packages.items() if k not in CAUSES}}.items():
        before, after = (_fact(facts, key) for facts in (then, now))
        if before != after:
            yield f"{name} ({_brief(before)}, now {_brief(after)})"


def _fact(facts: Mapping[str, Any], key: str) -> Any:
    group, _, name = key.rpartition(".")
    section = facts.get(group) if group else facts
    return section.get(name) if isinstance(section, Mapping) else None


def _brief(fact: object) -> str:
    """A fact on one line; a sha256 is shortened."""
    if isinstance(fact, str):
        return short_line(fact)[:12] if len(fact) in (40, 64) else short_line(fact)
    return render(fact)


# --- In each file ---------------------------------------------------------------------------------


def _in_history(then: bytes, now: bytes) -> Difference:
    before, after = (_table(content) for content in (then, now))
    columns = after[0]
    if before[:1] != after[:1]:
        return Difference(HISTORY, "the columns", render(before[:1]), render(after[:1]))
    for number, rows in enumerate(zip_longest(before[1:], after[1:]), start=1):
        old, new = rows
        if old is None or new is None:
            ends = ["no such row" if row is None else "a row" for row in rows]
            return Difference(HISTORY, f"epoch {number}", *ends)
        for column, one, other in zip_longest(columns, old, new):
            if one != other:
                where = f"epoch {number}, {column or 'one more column'}"
                return Difference(HISTORY, where, _cell(one), _cell(other))
    lines = zip_longest(then.split(b"\n"), now.split(b"\n"))
    number, line = next((n, pair) for n, pair in enumerate(lines, start=1) if pair[0] != pair[1])
    texts = ["nothing" if text is None else repr(text)[1:100] for text in line]
    return Difference(HISTORY, f"line {number}, though the values are the same", *texts)


def _table(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(errors="replace"), newline="")))


def _cell(text: str | None) -> str:
    return "nothing" if not text else short_line(text)


def _in_losses(run: Evidence, now: bytes) -> Difference:
    then, again = run.losses, np.load(io.BytesIO(now), allow_pickle=False)
    if then.dtype != again.dtype:
        return Difference(LOSSES, "the type", str(then.dtype), str(again.dtype))
    pairs = zip_longest(then, again)
    for step, (old, new) in enumerate(pairs, start=1):
        if old is None or new is None or old.tobytes() != new.tobytes():
            where = f"epoch {_epoch_of(step, run.history)}, step {step}, loss"
            texts = ["nothing" if loss is None else repr(loss.item()) for loss in (old, new)]
            return Difference(LOSSES, where, *texts)
    return Difference(LOSSES, "beside its numbers", "other bytes", "those of the rerun")


def _epoch_of(step: int, history: bytes) -> str:
    """The epoch of a step, by the steps in the history."""
    ends = [row[:2] for row in _table(history)[1:]]
    return next((epoch for epoch, end in ends if end.isdecimal() and int(end) >= step), "?")


def _in_result(then: Mapping[str, Any], now: Mapping[str, Any]) -> Difference | None:
    for key in dict.fromkeys([*then, *now]):
        if key in TIMES:
            continue
        texts = [_value(result, key) for result in (then, now)]
        if texts[0] != texts[1]:
            return Difference(RESULT, key, *texts)
    return None


def _value(result: Mapping[str, Any], key: str) -> str:
    return short_line(json.dumps(result[key])) if key in result else "nothing"
