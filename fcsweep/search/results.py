"""The files that a search leaves in its folder, beside its journal and its runs."""

from __future__ import annotations

import copy
import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf, read_write
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from fcsweep.messages.secrets import mask
from fcsweep.records.sweep_table import FILE as TRIALS
from fcsweep.records.sweep_table import Row
from fcsweep.search.study.duplicates import REUSED
from fcsweep.search.study.study import FOLDER, REASON, STATES, best_of, counting, status_of
from fcsweep.search.study.trial import notes_of
from fcsweep.system.atomic import write_atomically

CONSTRAINT = "constraint."
"""Prefix of the column of a constraint in ``trials.csv``."""
RESULTS, MULTIRUN = "optimization_results.yaml", "multirun.yaml"


def counts(study: Study) -> dict[str, int]:
    """How many trials there are of each status: of each state of Optuna but waiting, if none."""
    found = Counter(map(status_of, study.get_trials(deepcopy=False)))
    always = [name for name in STATES.values() if name != "waiting"]
    return {name: found[name] for name in dict.fromkeys([*always, *found])}


def folder_of(trial: FrozenTrial, folder: Path) -> Path:
    """Where the job of a trial ran: its number, unless the app names the folders of its jobs.

    Of a trial that took the value of another it is that one's.
    """
    number = trial.user_attrs.get(REUSED, trial.number)
    return folder / str(trial.user_attrs.get(FOLDER, number))


def write_results(study: Study, folder: Path) -> None:
    """Write ``optimization_results.yaml``.

    ``name``, ``best_params`` and ``best_value`` as hydra-optuna-sweeper writes them (``solutions``
    for several objectives), with ``best_trial``, ``best_dir`` and ``trials``: counts by status.
    Null where no trial has a value. ``reused`` is from the number of a trial that took the value
    of an earlier one to that one's.
    """
    results: dict[str, Any] = {"name": "optuna"}
    if len(study.directions) == 1:
        best = best_of(study)
        results["best_params"] = None if best is None else dict(best.params)
        results["best_value"] = None if best is None else best.values[0]
        results["best_trial"] = None if best is None else best.number
        results["best_dir"] = None if best is None else str(folder_of(best, folder))
    else:
        results["solutions"] = [
            {"params": dict(trial.params), "values": list(trial.values), "trial": trial.number}
            for trial in study.best_trials
        ]
    results["trials"] = counts(study)
    trials = study.get_trials(deepcopy=False)
    reused = {one.number: one.user_attrs[REUSED] for one in trials if REUSED in one.user_attrs}
    results |= {"reused": reused} if reused else {}
    text = yaml.safe_dump(results, sort_keys=False, allow_unicode=True)
    write_atomically(folder / RESULTS, text.encode())


def write_multirun(config: DictConfig, folder: Path, seed: int) -> None:
    """Write ``multirun.yaml``: the config of the sweep, without passwords and with its seed."""
    config = copy.deepcopy(config)
    sampler = OmegaConf.select(config, "hydra.sweeper.sampler")
    if OmegaConf.is_dict(sampler) and "seed" in sampler:
        with read_write(sampler):
            sampler.seed = seed  # for a study that is rebuilt
    write_atomically(folder / MULTIRUN, mask(OmegaConf.to_yaml(config)).encode())


def rows_of(study: Study, folder: Path) -> list[Row]:
    """A row a trial of an app that keeps no records; with several objectives the front first."""
    trials, several = study.get_trials(deepcopy=False), len(study.directions) > 1
    names = study.metric_names or _value_names(study)
    sign = 0 if several else -1 if study.directions[0] is StudyDirection.MINIMIZE else 1
    front = {trial.number for trial in study.best_trials} if several else set()
    rows = [
        Row(
            number=trial.number,
            status=status_of(trial),
            value=None if several else counting(trial),
            reached=dict(zip(names, trial.values or [None] * len(names), strict=True)),
            seconds=trial.duration.total_seconds() if trial.duration else None,
            folder=folder_of(trial, folder),
            config={key.lstrip("+"): value for key, value in trial.params.items()},
            reason=str(trial.user_attrs.get(REASON) or ""),
            sign=sign,
            digits=".4g",
        )
        for trial in trials
    ]
    return sorted(rows, key=lambda row: row.number not in front)


def _value_names(study: Study) -> list[str]:
    count = len(study.directions)
    return ["value"] if count == 1 else [f"value_{number}" for number in range(count)]


def write_trials(study: Study, folder: Path) -> None:
    """Write ``trials.csv`` for an app that keeps no records: a row a trial, from the study.

    After the columns of every search come those of notes, then those of constraints.
    """
    trials = study.get_trials(deepcopy=False)
    keys = list(dict.fromkeys(key for trial in trials for key in trial.params))
    names = _value_names(study)
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    noted = [noted_in(trial) for trial in trials]
    more = sorted({name for one in noted for name in one}, key=_notes_first)
    out.writerow(["number", "status", *names, *keys, "seconds", "folder", *more])
    for trial, known in zip(trials, noted, strict=True):
        values = map(_cell, trial.values or [None] * len(names))
        params = [_cell(trial.params.get(key)) for key in keys]
        ends = [_time(trial), folder_of(trial, folder).as_posix()]
        told = [_cell(known.get(name)) for name in more]
        out.writerow([trial.number, status_of(trial), *values, *params, *ends, *told])
    write_atomically(folder / TRIALS, text.getvalue().encode())


def _notes_first(name: str) -> tuple[bool, str]:
    return name.startswith(CONSTRAINT), name


def noted_in(trial: FrozenTrial) -> dict[str, Any]:
    """What the job of a trial has noted, and its constraints as ``constraint.NAME``."""
    limits = {f"{CONSTRAINT}{name}": value for name, value in trial.constraints.items()}
    return {**notes_of(trial), **limits}


def _time(trial: FrozenTrial) -> str:
    return "" if trial.duration is None else f"{trial.duration.total_seconds():.3f}"


def _cell(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
