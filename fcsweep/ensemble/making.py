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
from fcsweep.ensemble.selection import Selection, select
from fcsweep.evaluate import accuracies_together, errors_together
from fcsweep.messages.errors import ConfigError, FolderError, UserError
from fcsweep.metrics import IN_UNITS
from fcsweep.objectives import sign_of
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
) -> Ensemble:
    """Select the members on the validation rows; only then look at the test rows.

    Args:
        sweep: its folder.
        candidates: of the sweep.
        rounds: of the selection.
        device: instead of the configured one.
        trust: whether to import a model that a config names by import path.

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
    data, by = data_of(runs[0].config), _score_of(runs)
    selection = select(known, data.y_val, rounds, by)
    unit = sign_of(by) * (data.target_scale if by in IN_UNITS else 1)
    members = [_member(runs[k], k, selection, unit) for k in selection.counts]
    best = runs[selection.best]
    scores = _scores(by, [runs[k] for k in selection.counts], members, best, device)
    return Ensemble(
        score=by,
        data_sha256=candidates.data_sha256,
        candidates=len(runs),
        left_out=left_out,
        rounds=rounds,
        members=members,
        best=_member(best, selection.best, selection, unit),
        scores=scores.pop(by),
        provenance=_provenance(place),
        further_scores=scores,
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
    """The places of the trials whose predictions fit in half of the free memory: the best."""
    data = data_of(config)
    bytes_of_one = 8 * len(data.y_val) * data.num_classes
    most = max(1, psutil.virtual_memory().available // 2 // bytes_of_one)
    best_first = sorted(range(len(rows)), key=lambda k: -rows[k].sign * (rows[k].value or 0.0))
    return sorted(best_first[:most])


def _score_of(runs: Sequence[Trained]) -> str:
    """What members are selected by; of a quantity the MAE where all trials were judged by it."""
    if data_of(runs[0].config).num_classes > 1:
        return "accuracy"
    return "mae" if all(run.config.objective == "mae" for run in runs) else "rmse"


def _member(run: Trained, place: int, selection: Selection, unit: float) -> Member:
    weight = selection.counts.get(place, 0) / sum(selection.counts.values())
    return Member(int(run.folder.name), weight, selection.values[place] * unit, run.sha256)


def _scores(
    by: str,
    runs: Sequence[Trained],
    members: Sequence[Member],
    best: Trained,
    device: str | None,
) -> dict[str, dict[str, Score]]:
    """By name, the one selected by first, and by split."""
    together = _reached(by, runs, [member.weight for member in members], device)
    alone = _reached(by, [best], [1.0], device)
    return {
        name: {
            split: Score(together[split][1], together[split][0][name], alone[split][0][name])
            for split in SPLITS
            if split in together
        }
        for name in sorted(together[SPLITS[0]][0], key=lambda name: name != by)
    }


def _reached(
    by: str, runs: Sequence[Trained], weights: Sequence[float], device: str | None
) -> dict[str, tuple[dict[str, float], int]]:
    """What runs reach together: of each split the scores, by name, and the rows."""
    if by != "accuracy":
        return errors_together(runs, weights, device)
    found = accuracies_together(runs, weights, device)
    return {split: ({by: correct / rows}, rows) for split, (correct, rows) in found.items()}


def _provenance(device: torch.device) -> dict[str, Any]:
    facts = {"device": str(device), "device_name": device_name(device)}
    return {**this_process(), **facts, "threads": torch.get_num_threads()}
