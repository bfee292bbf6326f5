"""Where a search stands, read from its study."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.study import Study
from optuna.trial import FrozenTrial

from fcsweep.messages.errors import ConfigError, UserError
from fcsweep.messages.secrets import masked_url
from fcsweep.search.database.looking import look_at, workers_of
from fcsweep.search.progress import best as front
from fcsweep.search.study.storage import read_study, url_of
from fcsweep.search.study.study import (
    ENDED,
    best_of,
    counting,
    plan_of,
    reaching,
    started_with,
    status_of,
)
from fcsweep.status.jobs import by_records, job
from fcsweep.status.standing import Standing, Trial
from fcsweep.status.workers import LEASE, living
from fcsweep.system.crew import on_roll

RELATIVE = re.compile(r"(sqlite(?:\+\w+)?:///)(?!/)(.*)")
"""The URL of an SQLite file by a path from where the sweep was started."""


def read_url(url: str, name: str | None) -> Standing:
    """Where the search of a study in a database stands.

    Args:
        url: of the database; ``${oc.env:NAME}`` asks the environment for it.
        name: of the study; None for the only one.

    Raises:
        ConfigError, StudyError: it cannot be read.
    """
    study = look_at(resolved(url), name)
    folder = Path(str((started_with(study) or {}).get("folder", "")))
    there = folder.is_absolute() and folder.is_dir()
    return standing_of(study, folder if there else None, {})


def read_search(folder: Path, config: Mapping[str, Any]) -> Standing:
    """Where the search in a folder stands: by its study, or where that is out of reach by records.

    Args:
        folder: of the sweep.
        config: Hydra's own part of its config, from ``multirun.yaml``.
    """
    sweeper = config.get("sweeper") or {}
    given = sweeper.get("storage")
    try:
        study = read_study(folder) if given is None else _in_database(folder, config)
        remark = f"{folder} holds no study yet"
    except UserError as error:
        if given is None:
            raise
        study, remark = None, f"by the records alone: {error}"
    if study is not None:
        return standing_of(study, folder, sweeper)
    n_trials, repeats = sweeper.get("n_trials"), sweeper.get("repeats") or 1
    return by_records(
        folder,
        config,
        kind="search",
        total=n_trials and n_trials * repeats,
        size=(sweeper.get("n_jobs") or 1) * repeats,
        remarks=[remark],
    )


def _in_database(folder: Path, config: Mapping[str, Any]) -> Study:
    given = config["sweeper"]["storage"]
    if (url := url_of(given)) is None:
        raise ConfigError("hydra.sweeper.storage is a mapping without a url")
    cwd = (config.get("runtime") or {}).get("cwd") or "."
    url = RELATIVE.sub(lambda found: f"{found[1]}{Path(cwd, found[2]).absolute()}", resolved(url))
    return look_at(url, config["sweeper"].get("study_name") or folder.resolve().name)


def resolved(url: str) -> str:
    """A URL with what it asks the environment for, and with its password if that is there.

    Raises:
        ConfigError: the environment lacks it.
    """
    try:
        url = str(OmegaConf.create({"url": url}).url)
    except OmegaConfBaseException as error:
        why = str(error).splitlines()[0].rpartition("interpolation: ")[2].strip('"')
        raise ConfigError(f"{url} has no value: {why}") from None
    if ":***@" not in url:
        return url
    known = (value for value in os.environ.values() if masked_url(value) == url)
    found = next((value for value in known if value != url), None)
    if found is None:
        raise ConfigError(f"no variable of the environment holds {url} with its password")
    return found


def standing_of(study: Study, folder: Path | None, sweeper: Mapping[str, Any]) -> Standing:
    """Where the search of a study stands.

    Args:
        study: of the search.
        folder: of the sweep; None where it is out of reach.
        sweeper: its settings, for what an older study does not tell.
    """
    now, plan = time.time(), plan_of(study)
    search = (started_with(study) or {}).get("search", {})
    several, repeats = len(study.directions) > 1, search.get("repeats", 1)
    trials = [
        _trial(one, several, None if folder is None else (folder, repeats))
        for one in study.get_trials(deepcopy=False)
    ]
    known = workers_of(study)
    if known is None:
        known = [] if folder is None else [(one, None) for one in on_roll(folder)]
    lease, size = plan.get("lease", LEASE), search.get("n_jobs", 1)
    top = None if several else best_of(study)
    target = plan.get("target")
    told = front(study, ".4g") if several else None
    return Standing(
        name=study.study_name,
        kind="search",
        folder=folder,
        total=plan.get("n_trials", sweeper.get("n_trials")),
        trials=trials,
        workers=living(known, trials, size, now, lease),
        now=now,
        best=None if top is None else trials[top.number],
        target=target,
        over=ENDED in study.user_attrs or reaching(study, target) is not None,
        digits=".4f" if study.metric_names else ".4g",
        remarks=[told] if told else [],
    )


def _trial(trial: FrozenTrial, several: bool, where: tuple[Path, int] | None) -> Trial:
    """A trial; of one that runs the records say more, if they are in reach.

    Args:
        trial: of the study.
        several: whether there are several objectives.
        where: the folder of the sweep, and the jobs of a trial.
    """
    found = Trial(
        trial.number,
        status_of(trial),
        None if several else counting(trial),
        {key.lstrip("+"): value for key, value in trial.params.items()},
        _seconds(trial.datetime_start),
        _seconds(trial.datetime_complete),
    )
    if trial.state.is_finished():
        return found
    if trial.last_step is not None:
        reported = trial.intermediate_values[trial.last_step]
        found = replace(found, epoch=trial.last_step, value=reported)
    return found if where is None else _with_records(found, *where)


def _with_records(trial: Trial, folder: Path, repeats: int) -> Trial:
    numbers = range(trial.number * repeats, (trial.number + 1) * repeats)
    jobs = [job(folder / str(number), number) for number in numbers]
    begun = [one for one in jobs if one.recorded is not None]
    if not begun:
        return trial
    trial = replace(trial, recorded=max(one.recorded or 0.0 for one in begun))
    if all(one.epoch is None for one in begun):  # another app
        return trial
    done = sum(one.epoch or 0 for one in begun)
    each = next((one.epochs for one in begun if one.epochs), None)
    value = begun[0].value if repeats == 1 else trial.value
    return replace(trial, epoch=done, epochs=each and each * repeats, value=value)


def _seconds(time_of: Any) -> float | None:
    return None if time_of is None else time_of.timestamp()
