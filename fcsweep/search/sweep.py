"""A sweep of any app, from its plan to its end: its folder, its study, its launcher, the search."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.types import TaskFunction

from fcsweep.composition.folders import sweep_folder, with_folder
from fcsweep.composition.secrets import hide_password
from fcsweep.config import RunConfig, typed
from fcsweep.launchers.logs import report_lost_lines
from fcsweep.launchers.protocols import RecordingTask
from fcsweep.launchers.starters.starter import started
from fcsweep.objectives import digits_of
from fcsweep.records import ownership
from fcsweep.search.database.crew import crew_of
from fcsweep.search.loop import Recorded, Search
from fcsweep.search.outcomes import read_outcome
from fcsweep.search.plan import Plan
from fcsweep.search.progress import Progress
from fcsweep.search.results import write_multirun
from fcsweep.search.study.rebuild import Guided, PastRuns
from fcsweep.search.study.samplers import quiet
from fcsweep.search.study.storage import password_handed_on, storage_of
from fcsweep.search.study.study import ENDED, name_of, open_study, tell_plan
from fcsweep.search.study.trial import Kept
from fcsweep.system.atomic import writing
from fcsweep.system.crew import Crew
from fcsweep.system.parent import end_with_sweep
from fcsweep.system.signals import advise, is_listening, listening, this_program
from fcsweep.system.stdout import all_printed


def sweep(sweeper: Any, plan: Plan) -> None:
    """Search as planned, in the sweep's folder; go on where a search was stopped.

    Args:
        sweeper: ``OptunaSweeper``, set up by Hydra.
        plan: its checked settings.

    Raises:
        UserError: the folder or the study belongs to something else, or cannot be opened; or what
            the jobs need is not there.
        SweepFailed: more trials failed than may.
    """
    settings, config = sweeper.settings, sweeper.config
    folder = sweep_folder(config.hydra)
    task: TaskFunction = sweeper.task_function
    proven = _recorded_by(task)
    end_with_sweep()
    prepare = sweeper.prepare or (lambda: None)
    with ExitStack() as stack:
        if proven is None:  # another app, which has no program of ours around it
            stack.enter_context(_as_a_program(str(config.hydra.sweep.dir)))
        stack.enter_context(quiet())
        stack.enter_context(password_handed_on(settings["storage"]))
        hide_password(config)
        launcher = Plugins.instance().instantiate_launcher(  # which checks its keys
            config=config,
            hydra_context=sweeper.hydra_context,
            task_function=task if proven else Kept(task),
        )
        stack.enter_context(ownership.hold(folder, "hydra.sweep.dir", together=True))
        stack.enter_context(writing(folder))
        if new := not any(folder.iterdir()):
            prepare()  # before anything is made
        in_folder = proven is not None and settings["storage"] is None
        configured, extended = functools.partial(_config_of, sweeper), plan.extend is not None
        past = PastRuns(folder, plan.space, configured, extended, plan.repeats)
        ahead = 2 * plan.starts if plan.starts > 1 else 1
        with Crew(folder).turn():
            storage = storage_of(settings["storage"], folder, in_folder, plan.patience)
            stack.callback(storage.remove_session)  # which keeps no connection
            name = name_of(storage, settings["study_name"], folder)
            known = past if in_folder else None
            study, seed = open_study(storage, name, folder, plan.start, known, ahead)
            tell_plan(study, plan.n_trials, plan.target, plan.lease)
            if proven and not study.metric_names:
                study.set_metric_names([str(config.objective)])  # for dashboards
        crew = stack.enter_context(crew_of(study, folder, plan.starts, plan.lease))
        study.sampler, study.pruner = Guided(plan.sampler(seed), past), plan.pruner
        study.stop = functools.partial(study.set_user_attr, ENDED, True)  # for samplers that do
        digits = digits_of(config.objective) if proven else ".4g"
        progress = (sweeper.display or Progress)(study, plan.n_trials, digits)
        search = Search(plan, folder, study, launcher, proven, progress, config.hydra, crew, past)
        more = crew.in_turn(search.to_go)
        if not new and more is not None:
            prepare()
        write_multirun(config, folder, seed)
        stack.enter_context(search.results())
        stack.enter_context(progress)
        _carry_out(search, Path(str(config.hydra.runtime.cwd)))


def _carry_out(search: Search, cwd: Path) -> None:
    """Search in this process, or in workers that it starts."""
    starter = search.plan.starter
    if starter is None:
        search.run()
    else:
        with started(starter, search.folder, cwd) as workers:
            search.watch(workers.working)


def _recorded_by(task: object) -> Recorded | None:
    return read_outcome if isinstance(task, RecordingTask) else None


@contextmanager
def _as_a_program(folder: str) -> Iterator[None]:
    """Let another app's program end as our own does, after a signal or a broken pipe: in one line.

    In a notebook a signal goes to the cell.
    """
    if hasattr(sys, "ps1") or is_listening():
        yield
        return
    with listening(this_program()), report_lost_lines(), all_printed():
        advise("go on", with_folder(sys.argv[1:], "hydra.sweep.dir", folder))
        yield


def _config_of(sweeper: Any, overrides: list[str]) -> RunConfig:
    """The config of a job of our own."""
    return typed(sweeper.hydra_context.config_loader.load_sweep_config(sweeper.config, overrides))
