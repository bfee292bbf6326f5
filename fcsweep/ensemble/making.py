"""From the candidates of a sweep to its ensemble, with the scores that it reaches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import torch

from fcsweep.config import RunConfig
from fcsweep.data.choice import data_of
from fcsweep.ensemble.candidates import Candidates
from fcsweep.ensemble.selection import SCORES, Selection, select
from fcsweep.evaluate import accuracies_together
from fcsweep.messages.errors import ConfigError, FolderError, UserError
from fcsweep.records.models.ensemble import Ensemble, Member, Score
from fcsweep.records.sweep_table import Row
from fcsweep.run import device_of
from fcsweep.run.provenance import device_name, this_process
from fcsweep.trained.ensembles import check_data
from fcsweep.trained.predictions import predictions
from fcsweep.trained.runs import Trained, read_trained

SPLITS = ("validation", "test")
"""Of which the record has scores."""
TOO_MANY = "more than fit in memory"


def make(
    sweep: Path,
    candidates: Candidates,
    rounds: int,
    device: str | None = None,
    trust: bool = False,
    by: str = "accuracy",
) -> Ensemble:
    """Select the members on the validation rows; only then look at the test rows.

    Args:
        sweep: its folder.
        candidates: of the sweep.
        rounds: of the selection.
        device: instead of the configured one.
        trust: whether to import a model that a config names by import path.
        by: what the selection is to raise, one of `SCORES`.

    Raises:
        FolderError: the trials are damaged, or their data have changed.
        DataError, DeviceError: the data or the device are not here.
    """
    rows, runs, left_out = _readable(candidates, trust)
    check_data(runs[0].config, candidates.data_sha256, sweep)
    fitting = _fitting(rows, runs[0].config)
    if len(fitting) < len(rows):
        left_out[TOO_MANY] = len(rows) - len(fitting)
    runs = [runs[place] for place in fitting]
    place = device_of(device or runs[0].config.device)
    known = predictions(runs, lambda config: data_of(config).X_val, place)
    selection = select(known, data_of(runs[0].config).y_val, rounds, SCORES[by])
    members = [_member(runs[k], k, selection) for k in selection.counts]
    return Ensemble(
        score=by,
        data_sha256=candidates.data_sha256,
        candidates=len(runs),
        left_out=left_out,
        rounds=rounds,
        members=members,
        best=_member(runs[selection.best], selection.best, selection),
        scores=_scores([runs[k] for k in selection.counts], members, runs[selection.best], device),
        provenance=_provenance(place),
    )


def _readable(
    candidates: Candidates, trust: bool
) -> tuple[list[Row], list[Trained], dict[str, int]]:
    """The trials whose parameters can be read; how many cannot, by why."""
    rows, runs, errors = list[Row](), list[Trained](), list[UserError]()
    for row in candidates.rows:
        try:
            runs.append(read_trained(row.folder, trust))
            rows.append(row)
        except (ConfigError, FolderError) as error:
            errors.append(error)
    if not rows:
        raise errors[0]
    left_out = dict(candidates.left_out)
    if errors:
        left_out["damaged"] = left_out.get("damaged", 0) + len(errors)
    if others := len(candidates.on_other_data):
        left_out["on other data"] = others
    return rows, runs, left_out


def _fitting(rows: Sequence[Row], config: RunConfig) -> list[int]:
    """The places of the trials whose probabilities fit in half of the free memory: the best."""
    data = data_of(config)
    bytes_of_one = 8 * len(data.y_val) * data.num_classes
    most = max(1, psutil.virtual_memory().available // 2 // bytes_of_one)
    best_first = sorted(range(len(rows)), key=lambda k: -rows[k].sign * (rows[k].value or 0.0))
    return sorted(best_first[:most])


def _member(run: Trained, place: int, selection: Selection) -> Member:
    weight = selection.counts.get(place, 0) / sum(selection.counts.values())
    return Member(int(run.folder.name), weight, selection.values[place], run.sha256)


def _scores(
    runs: Sequence[Trained], members: Sequence[Member], best: Trained, device: str | None
) -> dict[str, Score]:
    together = accuracies_together(runs, [member.weight for member in members], device)
    alone = accuracies_together([best], [1.0], device)
    return {
        split: Score(rows, correct / rows, alone[split][0] / rows)
        for split, (correct, rows) in together.items()
        if split in SPLITS
    }


def _provenance(device: torch.device) -> dict[str, Any]:
    facts = {"device": str(device), "device_name": device_name(device)}
    return {**this_process(), **facts, "threads": torch.get_num_threads()}
