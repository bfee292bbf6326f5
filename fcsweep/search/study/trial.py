"""A running job and its trial: `note`, `constrain`, and what the study keeps of a job that ended.

In the sweeper's own process the study is at hand; a job in another process (joblib, Slurm) opens
the storage that the sweep's config names.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, KeysView, Mapping, Sequence, Set, ValuesView
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode, TaskFunction
from omegaconf import DictConfig

from fcsweep.composition.folders import sweep_folder
from fcsweep.messages.errors import UserError
from fcsweep.messages.wording import render
from fcsweep.search.settings import OptunaSweeperConf
from fcsweep.search.study.repeats import HIDDEN, ONCE, Repeats
from fcsweep.system.parent import end_with_sweep
from fcsweep.system.signals import end_if_asked

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

RETURNED = "returned"
"""User attribute of a trial whose job has ended: its values."""
TAKEN = frozenset(("counts", "folder", "number", "pruned_at", "reason", RETURNED, "status"))
"""User attributes of trials that the sweeper sets, and columns of ``trials.csv``."""
CONSTRAINT = "constraints:"
"""What Optuna looks for before the name of a constraint, among the system attributes of a trial."""
SIGNALLED = (129, 130, 143)
"""Codes by which a program ends after SIGHUP, SIGINT and SIGTERM."""


class Listener(Protocol):
    """Who shows what running trials report."""

    def reported(self, number: int, step: int, value: float) -> None:
        """A trial has reported."""
        ...


@dataclass
class Session:
    """What this process knows of the search."""

    study: Study
    """As the running trials may see it."""
    listener: Listener | None = None
    repeats: Repeats = ONCE
    trials: dict[int, Trial] = field(default_factory=dict)


_session: Session | None = None


def trial_number() -> int | None:
    """The number of the running trial, from 0; None outside a search."""
    job, session = job_number(), opened()
    return None if job is None or session is None else session.repeats.trial(job)


def trial_params() -> dict[str, Any]:
    """The parameters of the running trial by their keys; empty outside a search."""
    trial = _running()
    return {} if trial is None else dict(_frozen(trial).params)


def note(name: str, value: float | str | bool) -> None:
    """Note a number or a text in the running trial, beside its objective.

    It is a column of ``trials.csv`` and of the page, and a user attribute in the study.
    A second note of the same name replaces the first. Outside a search nothing happens.

    Args:
        name: of the note; no parameter, and none of the names that the sweeper uses itself.
        value: a number, a truth value or a text.

    Raises:
        TypeError: something else.
        ValueError: a name that is taken.
    """
    plain = value.tolist() if hasattr(value, "tolist") else value  # type: ignore[union-attr]
    if not isinstance(plain, str | int | float):
        raise TypeError(f"note {name!r} is {render(value)}; expected a number or a text")
    trial = _running()
    if trial is None:
        return
    if not name or name in TAKEN or name in _frozen(trial).params:
        taken = f"{', '.join(sorted(TAKEN))} or a parameter"
        raise ValueError(f"a note is named {name!r}; expected a name other than {taken}")
    trial.set_user_attr(name, plain)


def constrain(name: str, value: float) -> None:
    """Set a constraint of the running trial, which is met where the value is at most 0.

    A trial that meets all of its constraints is feasible; no other is the best or on the Pareto
    front. The samplers tpe, gp, nsgaii and nsgaiii look for feasible points. A second value of the
    same name replaces the first. Outside a search nothing happens.

    Args:
        name: of the constraint.
        value: how far it is exceeded; positive where it is not met.

    Raises:
        TypeError: no number.
        ValueError: NaN.
    """
    numbers = numbers_in(value)
    if len(numbers) != 1:
        raise TypeError(f"constraint {name!r} is {render(value)}; expected a number")
    if math.isnan(numbers[0]):
        raise ValueError(f"constraint {name!r} is nan; expected a number <= 0 where it is met")
    trial = _running()
    if trial is not None:
        trial.storage.set_trial_system_attr(trial._trial_id, f"{CONSTRAINT}{name}", numbers[0])


def notes_of(trial: FrozenTrial) -> dict[str, Any]:
    """What a job has noted in its trial."""
    return {
        name: value
        for name, value in trial.user_attrs.items()
        if name not in TAKEN and not name.startswith(HIDDEN)
    }


def numbers_in(value: Any) -> tuple[float, ...]:
    """The numbers that a task returned: one, or those in a list, an array, a view of a dict ...

    Raises:
        TypeError: something else.
    """
    plain = value.tolist() if hasattr(value, "tolist") else value  # of NumPy, torch, pandas
    if isinstance(plain, str | bytes | Mapping | Set):
        raise TypeError(f"expected numbers, got {type(value).__name__}")
    return tuple(map(_number, plain)) if isinstance(plain, Iterable) else (_number(plain),)


def _number(value: Any) -> float:
    plain = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(plain, str | bytes):
        raise TypeError(f"expected a number, got {type(value).__name__}")
    try:
        return float(plain)
    except (ValueError, OverflowError) as error:
        raise TypeError(f"expected a number, got {render(value)}") from error


class Exited(UserError):
    """The task called ``sys.exit`` with an error."""


class Kept:
    """A task whose values are kept in the study as soon as it returns them."""

    def __init__(self, task: TaskFunction) -> None:
        functools.update_wrapper(self, task)
        self._task = task

    def __call__(self, cfg: DictConfig) -> Any:
        """Run the task; what it returns, with its numbers kept.

        Raises:
            Exited: it has called ``sys.exit``: the end of its job, but not of the sweep.
        """
        end_with_sweep()
        try:
            value = self._task(cfg)
        except SystemExit as error:
            end_if_asked()
            if error.code in SIGNALLED:
                raise
            if error.code not in (None, 0):
                raise Exited(f"the task called sys.exit({render(error.code)})") from error
            return None
        end_if_asked()  # the task may have caught what a signal raised
        if isinstance(value, Iterator | ValuesView | KeysView):
            value = tuple(value)  # what is read once, or cannot be pickled
        numbers = ()
        with suppress(TypeError):
            numbers = numbers_in(value)
        _keep_returned(numbers)
        return value


def _keep_returned(numbers: Sequence[float]) -> None:
    """Keep what the running job returned, so that it is not run again if its batch is killed."""
    job, session = job_number(), opened()
    if numbers and job is not None and session is not None:
        name = session.repeats.note(RETURNED, job)
        trial_of(session, job).set_user_attr(name, list(numbers))


@contextmanager
def searching(session: Session) -> Iterator[None]:
    """Let jobs of this process report to a study while the block runs."""
    global _session
    before, _session = _session, session
    try:
        yield
    finally:
        _session = before


def trial_of(session: Session, job: int) -> Trial:
    """The trial of a job."""
    from optuna.trial import Trial

    from fcsweep.search.study.window import numbered

    number = session.repeats.trial(job)
    if number not in session.trials:
        found = numbered(session.study, number)
        session.trials[number] = Trial(session.study, found._trial_id)
    return session.trials[number]


def _running() -> Trial | None:
    number, session = job_number(), opened()
    return None if number is None or session is None else trial_of(session, number)


def _frozen(trial: Trial) -> FrozenTrial:
    """What the study knows of a trial by now."""
    return trial.storage.get_trial(trial._trial_id)


def job_number() -> int | None:
    """The number of the running job, if a search started it."""
    if not HydraConfig.initialized():
        return None
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN or not _is_ours(hydra):
        return None
    return int(hydra.job.num)


def _is_ours(hydra: Any) -> bool:
    target = str(hydra.sweeper.get("_target_", ""))
    return target.startswith("hydra_plugins.") and target.endswith(".OptunaSweeper")


def opened() -> Session | None:
    """The session of this process; in the process of a single job, opened by its config."""
    if _session is not None or job_number() is None:
        return _session
    hydra: Any = HydraConfig.get()
    study = _study_elsewhere(
        hydra.sweeper.study_name, sweep_folder(hydra), repr(hydra.sweeper.storage)
    )
    repeats = repeats_of(study)
    size = hydra.sweeper.get("n_jobs") or OptunaSweeperConf.n_jobs
    return _elsewhere(study, repeats, size, hydra.job.num // (repeats.count * size))


@functools.lru_cache(1)
def _elsewhere(study: Study, repeats: Repeats, size: int, batch: int) -> Session:
    """The session of a job whose sweeper is in another process."""
    from fcsweep.search.study.study import ahead_of
    from fcsweep.search.study.window import Batches, view

    return Session(view(study, Batches(size, ahead_of(study)), batch), repeats=repeats)


@functools.lru_cache(1)
def repeats_of(study: Study) -> Repeats:
    """How often the trials of a study are trained, as it was begun."""
    from fcsweep.search.study.study import started_with

    search = (started_with(study) or {}).get("search", {})
    return Repeats(search.get("repeats", 1), search.get("repeats_as", "mean"))


@functools.lru_cache(1)  # a process may run jobs of one sweep after another
def _study_elsewhere(name: str | None, folder: Path, storage: str) -> Study:
    import optuna

    from fcsweep.search.study.samplers import pruner_of, quiet
    from fcsweep.search.study.storage import storage_of, unmasked
    from fcsweep.search.study.study import name_of

    hydra: Any = HydraConfig.get()
    with quiet():
        patience = hydra.sweeper.get("patience", OptunaSweeperConf.patience)
        given = unmasked(hydra.sweeper.storage)
        opened_storage = storage_of(given, folder, False, patience)
        return optuna.load_study(
            study_name=name_of(opened_storage, name, folder),
            storage=opened_storage,
            sampler=optuna.samplers.RandomSampler(),
            pruner=pruner_of(hydra.sweeper.pruner),
        )
