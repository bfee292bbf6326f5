"""From the candidates of a sweep to its ensemble, with the scores that it reaches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

import psutil
import torch
from torch import Tensor

from fcsweep.config import RunConfig
from fcsweep.data.choice import data_of
from fcsweep.ensemble.candidates import Candidates, Trial
from fcsweep.ensemble.selection import Selection, select
from fcsweep.evaluate import accuracies_together, errors_together
from fcsweep.messages.errors import ConfigError, FolderError, UserError
from fcsweep.objectives import sign_of
from fcsweep.records.models.ensemble import Ensemble, Member, Score
from fcsweep.run import device_of
from fcsweep.run.provenance import device_name, this_process
from fcsweep.trained.ensembles import check_data
from fcsweep.trained.predictions import Examples, predictions, targets_of
from fcsweep.trained.runs import Trained, read_trained

SPLITS = ("validation", "test")
"""Of which the record has scores."""
TOO_MANY = "more than fit in memory"

Runs: TypeAlias = Sequence[Trained]
"""Those of a trial, as `Trial`."""


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
    rows, trials, left_out = _readable(candidates, trust)
    first = trials[0][0].config
    check_data(first, candidates.data_sha256, sweep)
    fitting = _fitting(rows, first)
    if len(fitting) < len(rows):
        left_out[TOO_MANY] = len(rows) - len(fitting)
    trials = [trials[k] for k in fitting]
    place, by = device_of(device or first.device), _score_of(trials)
    selection = select(*_validated(trials, place), rounds, by)
    runs = [run for k in selection.counts for run in trials[k]]
    members = [one for k in selection.counts for one in _members(trials[k], k, selection, by)]
    best = trials[selection.best]
    scores = _scores(by, runs, members, best, device)
    return Ensemble(
        score=by,
        data_sha256=candidates.data_sha256,
        candidates=len(trials),
        left_out=left_out,
        rounds=rounds,
        members=members,
        best=_members(best, selection.best, selection, by)[0],
        scores=scores.pop(by),
        provenance=_provenance(place),
        further_scores=scores,
        folds=len(best),
    )


def _readable(
    candidates: Candidates, trust: bool
) -> tuple[list[Trial], list[Runs], dict[str, int]]:
    """The trials whose parameters can be read; how many cannot, by why."""
    rows, trials, errors = list[Trial](), list[Runs](), list[UserError]()
    for trial in candidates.trials:
        try:
            trials.append([read_trained(row.folder, trust) for row in trial])
            rows.append(trial)
        except (ConfigError, FolderError) as error:
            errors.append(error)
    if not rows:
        raise errors[0]
    left_out = dict(candidates.left_out)
    if errors:
        left_out["damaged"] = left_out.get("damaged", 0) + len(errors)
    if others := len(candidates.on_other_data):
        left_out["on other data"] = others
    return rows, trials, left_out


def _fitting(rows: Sequence[Trial], config: RunConfig) -> list[int]:
    """The places of the trials whose predictions fit in half of the free memory: the best."""
    data = data_of(config)
    bytes_of_one = 8 * len(rows[0]) * len(data.y_val) * data.num_classes
    most = max(1, psutil.virtual_memory().available // 2 // bytes_of_one)
    best_first = sorted(range(len(rows)), key=lambda k: -_value(rows[k]))
    return sorted(best_first[:most])


def _value(trial: Trial) -> float:
    """Of the objective: higher is better."""
    return fmean(row.sign * (row.value or 0.0) for row in trial)


def _score_of(trials: Sequence[Runs]) -> str:
    """What members are selected by; of a quantity the MAE where all trials were judged by it."""
    if data_of(trials[0][0].config).num_classes > 1:
        return "accuracy"
    return "mae" if all(run.config.objective == "mae" for run, *_ in trials) else "rmse"


def _validated(trials: Sequence[Runs], device: torch.device) -> tuple[Tensor, Tensor]:
    """The predictions ``(k, n, c)`` of each trial for the validation rows, and their targets.

    Of folds those of one after the other: no row is predicted by a net that was trained on it.
    """
    known, targets = list[Tensor](), list[Tensor]()
    for runs in zip(*trials, strict=True):
        known.append(predictions(runs, _validation_rows, device))
        data = data_of(runs[0].config)
        targets.append(targets_of(data.y_val, data))
    return torch.cat(known, 1), torch.cat(targets)


def _validation_rows(run: Trained) -> Examples:
    data = data_of(run.config)
    return Examples.of(data.X_val, data)


def _members(runs: Runs, place: int, selection: Selection, by: str) -> list[Member]:
    """The runs of a trial, which share its weight and its score."""
    weight = selection.counts.get(place, 0) / sum(selection.counts.values()) / len(runs)
    value = selection.values[place] * sign_of(by)
    return [Member(int(run.folder.name), weight, value, run.sha256) for run in runs]


def _scores(
    by: str,
    runs: Sequence[Trained],
    members: Sequence[Member],
    best: Runs,
    device: str | None,
) -> dict[str, dict[str, Score]]:
    """By name, the one selected by first, and by split."""
    together = _reached(by, runs, [member.weight for member in members], device)
    alone = _reached(by, best, [1 / len(best)] * len(best), device)
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
