"""A study, new or resumed: what belongs to it, and how its trials ended.

The number of a trial is the number of its job and the name of its folder, for ever.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, Protocol

import optuna
from optuna.distributions import json_to_distribution
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from fcsweep.messages.errors import StudyError
from fcsweep.messages.wording import render
from fcsweep.search.database.opening import settle
from fcsweep.search.overrides import describe
from fcsweep.search.study.storage import JOURNAL, in_folder

ATTRIBUTE = "fcsweep"
"""System attribute of a study: what its sweep was started with; see `started_with`."""
PLAN = "fcsweep.plan"
"""System attribute of a study: how far it is to go, as the last sweep of it was told."""
DATA = "fcsweep.data"
"""User attribute of a study: fingerprint of the data of its first finished run."""
REASON = "reason"
"""User attribute of a trial that is not complete: why, one line."""
ENDED = "fcsweep.ended"
"""User attribute of a study whose sampler has ended it: it has nothing more to try."""
COUNTS = "counts"
"""User attribute of a pruned trial whose value counts as that of a complete one."""
STATUS = "status"
"""User attribute of a trial whose records have another word for its end than `STATES`."""
STATES = {
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
"""States of Optuna in the words of our records."""


FOLDER = "folder"
"""User attribute of a trial whose job, or the first of several, did not run in the folder of the
trial's number: where it ran, within the sweep's folder if it was there, which may be moved."""


class PastRuns(Protocol):
    """Runs in the folder of a sweep; see `fcsweep.search.study.rebuild`."""

    def check(self, first: int) -> int:
        """Take in those from number ``first`` on; their count."""
        ...

    def drawn_seed(self) -> int | None:
        """The seed that was drawn for them, if it is known."""
        ...


@dataclass(frozen=True)
class Start:
    """What a sweep is started with; a resumed one must be started with the same."""

    directions: list[str]
    space: dict[str, str]
    """The distributions, as texts."""
    config: dict[str, Any]
    """The config of the task by its dotted keys, without those that are searched."""
    enqueue: list[dict[str, Any]]
    seed: int | None
    """As given; None where it was left to be drawn."""
    search: dict[str, Any]
    """Sampler, pruner, their fields that are set, and ``n_jobs``: the points depend on them."""
    fixed: dict[str, str] = field(default_factory=dict)
    """Values that every trial sets in a group that is searched, which ``config`` is without."""
    ahead: int | None = None
    """Batches that may be under way at once; None for as many as the study has."""


def name_of(storage: BaseStorage, given: str | None, folder: Path) -> str:
    """The name of a sweep's study.

    Args:
        storage: where it is kept; the journal in the folder holds one study, and keeps it if the
            folder is renamed or moved.
        given: ``hydra.sweeper.study_name``.
        folder: of the sweep, whose name the study has by default.

    Raises:
        StudyError: the journal holds another study.
    """
    names = optuna.get_all_study_names(storage) if in_folder(storage) else []
    name = given or (names[0] if len(names) == 1 else folder.name)
    if names and name not in names:
        raise StudyError(
            f"{folder / JOURNAL} holds the study {' and '.join(names)}, not {name}; "
            f"go on with it by hydra.sweeper.study_name={names[0]}, or name a new folder"
        )
    return name


def open_study(
    storage: BaseStorage,
    name: str,
    folder: Path,
    start: Start,
    past: PastRuns | None = None,
    ahead: int = 1,
) -> tuple[Study, int]:
    """The study of a sweep, new or from before, and its seed.

    Args:
        storage: where it is kept.
        name: of the study.
        folder: of the sweep, absolute.
        start: what the sweep is started with.
        past: takes in the runs in the folder that the study does not know; None if the records of
            runs cannot stand in for it.
        ahead: batches of a new study that may be under way at once, where ``start`` has None.

    Raises:
        StudyError: the study was started with something else, belongs to another folder or was not
            made by a sweep; or the folder holds runs that no study knows.
        FolderError: one of the runs is damaged, or is not of this search.
    """
    runs = sum(path.name.isdecimal() for path in folder.iterdir())
    if name in optuna.get_all_study_names(storage):
        study = optuna.load_study(study_name=name, storage=storage, sampler=_none())
        saved = started_with(study)
        if saved is not None:
            _refuse_another(study, saved, folder, start, moved=bool(runs))
            if past is not None:
                past.check(len(_trials(study)))
            return study, saved["drawn_seed"]
        if study.get_trials(deepcopy=False):
            raise StudyError(
                f"the study {name} was not made by this sweeper; name another by "
                "hydra.sweeper.study_name=..."
            )
    if runs and (past is None or not past.check(0)):
        lost = _missing_study(storage, name, folder)
        raise StudyError(f"hydra.sweep.dir: {folder} holds {runs} runs, but {lost}")
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        sampler=_none(),
        directions=start.directions,  # type: ignore[arg-type]  checked before
        load_if_exists=True,
    )
    known = start.seed if start.seed is not None or past is None else past.drawn_seed()
    seed = secrets.randbits(32) if known is None else known
    about = {"drawn_seed": seed, "folder": str(folder), "version": 1, "ahead": start.ahead or ahead}
    about = {**_stable(asdict(start)), **about}
    settle(study, ATTRIBUTE, about)
    settled = started_with(study) or about
    _refuse_another(study, settled, folder, start, moved=False)
    return study, settled["drawn_seed"]


def started_with(study: Study) -> Mapping[str, Any] | None:
    """What the sweep of a study was started with; older ones have it where dashboards show it."""
    own = study._storage.get_study_system_attrs(study._study_id)
    return own.get(ATTRIBUTE) or study.user_attrs.get(ATTRIBUTE)


def tell_plan(study: Study, n_trials: int, target: float | None, lease: float) -> None:
    """Let who looks at a study know how far it is to go; `PLAN` is only written if it differs."""
    plan = {"n_trials": n_trials, "target": target, "lease": lease}
    if plan_of(study) != plan:
        study._storage.set_study_system_attr(study._study_id, PLAN, plan)


def plan_of(study: Study) -> Mapping[str, Any]:
    """What `tell_plan` has told; of an older study nothing."""
    return study._storage.get_study_system_attrs(study._study_id).get(PLAN, {})


def ahead_of(study: Study) -> int:
    """How many batches of a study may be under way at once; of an older one it is one."""
    return (started_with(study) or {}).get("ahead", 1)


def status_of(trial: FrozenTrial) -> str:
    """How a trial ended, or where it stands, in the words of our records."""
    return trial.user_attrs.get(STATUS) or STATES[trial.state]


def ended_trials(study: Study) -> list[FrozenTrial]:
    """The trials that have ended, by number."""
    return [trial for trial in _trials(study) if trial.state.is_finished()]


def best_of(study: Study) -> FrozenTrial | None:
    """The best trial of a study with one objective, the first of equals."""
    sign = -1 if study.directions[0] is StudyDirection.MINIMIZE else 1
    valued = [trial for trial in ended_trials(study) if counting(trial) is not None]
    return max(valued, key=lambda trial: (sign * trial.values[0], -trial.number), default=None)


def counting(trial: FrozenTrial) -> float | None:
    """The value of a trial for which it may be the best; None if it has none that counts.

    It is finite, and the trial meets its constraints.
    """
    counts = trial.state is TrialState.COMPLETE or bool(trial.user_attrs.get(COUNTS))
    value = trial.values[0] if counts and trial.values else math.nan
    return value if math.isfinite(value) and feasible(trial) else None


def feasible(trial: FrozenTrial) -> bool:
    """Whether a trial meets its constraints; one without any does."""
    return all(value <= 0 for value in trial.constraints.values())


def reaching(study: Study, target: float | None) -> FrozenTrial | None:
    """The first trial that has reached the target: at least it, or at most it when minimising."""
    if target is None or len(study.directions) > 1:
        return None
    sign = -1 if study.directions[0] is StudyDirection.MINIMIZE else 1
    valued = [(trial, counting(trial)) for trial in ended_trials(study)]
    good = [one for one, value in valued if value is not None and sign * value >= sign * target]
    return next(iter(good), None)


def check_data(study: Study, fingerprint: str | None) -> None:
    """Keep the fingerprint of the data; refuse data that have changed since.

    Raises:
        StudyError: other data than that of the study's finished runs.
    """
    if fingerprint is None:
        return
    known = study.user_attrs.get(DATA)
    if known is None:
        study.set_user_attr(DATA, fingerprint)
    elif known != fingerprint:
        raise StudyError(
            f"the data have changed since this study began (sha256 {known[:12]}, now "
            f"{fingerprint[:12]}); put the old data back, or start anew in another folder"
        )


def _missing_study(storage: BaseStorage, name: str, folder: Path) -> str:
    """What holds no study of the runs in a folder, and what to do."""
    if in_folder(storage):
        return (
            f"{folder / JOURNAL} holds no study of them; restore it from a copy, or start anew in "
            "another folder"
        )
    return (
        f"hydra.sweeper.storage holds no study {name}; name theirs by "
        "hydra.sweeper.study_name=... (the folder's name before it was renamed), or name a new "
        "folder"
    )


def _refuse_another(
    study: Study, saved: Mapping[str, Any], folder: Path, start: Start, moved: bool
) -> None:
    name = study.study_name
    moved = in_folder(study._storage) or (moved and not Path(saved["folder"]).exists())
    if saved["folder"] != str(folder) and not moved:
        raise StudyError(
            f"the study {name} belongs to {saved['folder']}; go on there by hydra.sweep.dir=..., "
            "or name another study by hydra.sweeper.study_name=..."
        )
    changes = _changes(_stable(saved), _stable(asdict(start)))
    if changes:
        more = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
        raise StudyError(
            f"the study {name} was started with other settings ({'; '.join(changes[:5])}{more}); "
            "use those, or start anew in another hydra.sweep.dir"
        )


def _changes(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs, one text a setting: ``optimizer.learning_rate: 0.1, now 0.2``."""
    changes: list[str] = []
    for part in ("directions", "enqueue", "seed"):
        if saved[part] != now[part]:
            name = {"directions": "direction", "seed": "sampler.seed"}.get(part, part)
            changes.append(f"{name}: {render(saved[part])}, now {render(now[part])}")
    if now["ahead"] not in (None, ahead := saved.get("ahead", 1)):
        changes.append(f"ahead: {ahead}, now {now['ahead']}")
    parts = (("search", render), ("space", _range), ("config", render), ("fixed", render))
    for part, told in parts:
        before, after = saved.get(part, now[part]), now[part]  # older studies lack some
        changes += [
            f"{key}: {told(before.get(key))}, now {told(after.get(key))}"
            for key in dict.fromkeys([*before, *after])
            if before.get(key) != after.get(key)
        ]
    return changes


def _stable(value: Any) -> Any:
    """A value as JSON keeps it, in a form that is equal to itself.

    A config may hold enums, paths, bytes and NaN: each is a text that stands for no other value of
    its type.
    """
    match value:
        case Mapping():
            return {str(key): _stable(one) for key, one in value.items()}
        case list() | tuple():
            return [_stable(one) for one in value]
        case Enum():
            return f"{type(value).__qualname__}.{value.name}"
        case float() if math.isnan(value):
            return ".nan"
        case None | bool() | int() | float() | str():
            return value
        case bytes() | PurePath():
            return repr(value)
    return type(value).__qualname__


def _range(distribution: str | None) -> str:
    """What a study searched, in words."""
    return "not searched" if distribution is None else describe(json_to_distribution(distribution))


def _trials(study: Study) -> Sequence[FrozenTrial]:
    return study.get_trials(deepcopy=False)


def _none() -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler(0)  # replaced before the first trial is asked
