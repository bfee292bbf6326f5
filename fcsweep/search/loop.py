"""The search itself: claim a batch of trials, launch them as jobs, tell the study how they ended.

Several processes may do so at once, each a worker: the study says what there is to do, the crew who
does what.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus, configure_log
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from fcsweep.launchers.job import folder_of
from fcsweep.launchers.numbered import launch_numbered
from fcsweep.messages.errors import RecordError
from fcsweep.messages.wording import printable
from fcsweep.records.filenames import HISTORY
from fcsweep.search.database.patience import DatabaseLost
from fcsweep.search.outcomes import (
    Outcome,
    outcome_of,
    refuse_failures,
    refuse_if_all_failed,
    together,
)
from fcsweep.search.plan import Plan
from fcsweep.search.progress import Progress, best, follow, where_it_stands, without_best
from fcsweep.search.pruning import PRUNED_AT
from fcsweep.search.results import write_results, write_trials
from fcsweep.search.study.batches import Batch, create, draw, next_batch
from fcsweep.search.study.duplicates import REUSED, distinct, duplicates, reuse
from fcsweep.search.study.rebuild import PastRuns, report_again, report_last
from fcsweep.search.study.study import (
    ENDED,
    FOLDER,
    ahead_of,
    check_data,
    ended_trials,
    reaching,
)
from fcsweep.search.study.trial import RETURNED, Session, searching
from fcsweep.search.study.window import Batches, show_until, view
from fcsweep.system.atomic import giving_way
from fcsweep.system.crew import Crew, LostClaim, others_at_work, others_when_left
from fcsweep.system.locks import wait_until_free
from fcsweep.system.parent import GRACE
from fcsweep.system.signals import end_if_asked

log = logging.getLogger(__name__)

Recorded = Callable[[Path], Outcome | None]
"""What the records in a job's folder prove, of a task that keeps some."""


class Search:
    """Asks, launches and tells until the plan is fulfilled.

    Args:
        plan: what to do.
        folder: of the sweep, absolute.
        study: that is searched, with its sampler and pruner.
        launcher: runs jobs.
        recorded: reads what a job has left in its folder, if the task keeps records.
        progress: is told of every start and end.
        hydra: Hydra's own part of the config.
        crew: the processes that work on the study; this one is among them.
        past: runs in the folder that the study does not know.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        study: Study,
        launcher: Launcher,
        recorded: Recorded | None,
        progress: Progress,
        hydra: DictConfig,
        crew: Crew,
        past: PastRuns | None = None,
    ) -> None:
        self.plan, self.folder, self.study = plan, folder, study
        self.launcher, self.recorded, self.progress = launcher, recorded, progress
        self.hydra, self.past, self.repeats = hydra, past, plan.repeats
        self.crew, self.batches = crew, Batches(plan.n_jobs, ahead_of(study))
        self.began = time.monotonic()
        self.stopped: str | None = None
        """Why it has stopped before its last trial; None if it has not."""

    def to_go(self) -> Batch | None:
        """The batch to work on now, in a `Crew.turn`; None if there is none, or none any more."""
        taken = {batch for other in self.crew.others() for batch in other.work}
        batch = next_batch(self._trials(), self.batches, self.plan.n_trials, taken)
        return None if batch is None or (not batch.running and self._is_over(batch)) else batch

    def _is_over(self, batch: Batch) -> bool:
        """Whether nothing more is asked; `stopped` says why."""
        timeout, self.stopped = self.plan.timeout, None
        good = reaching(view(self.study, self.batches, batch.number), self.plan.target)
        if ENDED in self.study.user_attrs:
            self.stopped = "the sampler has nothing more to try"
        elif good is not None:
            self.stopped = f"target {self.plan.target} reached at trial {good.number}"
        elif timeout is not None and time.monotonic() - self.began > timeout:
            self.stopped = f"reached hydra.sweeper.timeout ({timeout:g} s)"
        return self.stopped is not None

    def run(self) -> None:
        """Search; a study that is finished already is left as it is."""
        self._say_where_it_stands()
        self.began = time.monotonic()
        while (batch := self._claim()) is not None:
            self._run_batch(batch)
        refuse_if_all_failed(ended_trials(self.study))

    def watch(self, working: Callable[[], bool]) -> None:
        """Show what other processes do, until they have ended."""
        self._say_where_it_stands()
        pause = 4 * self.crew.pause  # people need it less often than a worker that waits
        follow(self.progress, working, self.crew.exchange, pause)
        refuse_if_all_failed(ended_trials(self.study))

    def _claim(self) -> Batch | None:
        """A batch that is now this worker's; None when nothing is left, for nobody."""
        while True:
            end_if_asked()
            batch = self.crew.in_turn(self._take)
            if batch is not None:
                return batch
            if not any(trial.state is TrialState.RUNNING for trial in self._trials()):
                return None
            time.sleep(self.crew.pause)

    def _take(self) -> Batch | None:
        """In a turn, take the batch to work on now, and ask the trials that it lacks."""
        batch = self.to_go()
        self.crew.take([] if batch is None else [batch.number])
        if batch is None:
            return None
        asked = [create(self.study) for _ in range(batch.to_ask)]
        return replace(batch, running=[*batch.running, *asked], to_ask=0)

    def _run_batch(self, batch: Batch) -> None:
        self.seen = view(self.study, self.batches, batch.number)
        with searching(Session(self.seen, self.progress, self.repeats)):
            trials = [self._draw(number) for number in batch.running]
            self.crew.exchange()
            self._train(trials)

    def _draw(self, number: int) -> Trial:
        """The trial of a number, with parameters from what was known before it."""
        show_until(self.seen, number)
        return draw(self.seen, number, self.plan.space, self.plan.extend)

    def _train(self, trials: Sequence[Trial]) -> None:
        """Train trials that were drawn, and tell how they ended."""
        show_until(self.seen)
        space = self.plan.space
        self._name_folders(trials)
        overrides = {
            job: self.repeats.overrides(space.overrides(trial.params), job)
            for trial in trials
            for job in self.repeats.jobs(trial.number)
        }
        outcomes = {job: self._before(job) for job in overrides}
        ends: dict[int, Outcome | None] = dict.fromkeys(trial.number for trial in trials)
        while missing := self._missing(ends, outcomes):
            self.progress.started(list(dict.fromkeys(map(self.repeats.trial, missing))))
            done_jobs = list(self._launch(missing, overrides))
            self.crew.exchange()
            for job, done in done_jobs:
                outcomes[job] = outcome = self._after(job, done)
                if isinstance(outcome.error, RecordError):
                    raise outcome.error  # a full disk is no failure of the trial: it is run again
        ended = {number: outcome for number, outcome in ends.items() if outcome is not None}
        for number, outcome in ended.items():
            self._tell(number, outcome)
        self.crew.exchange()
        refuse_failures(list(ended.values()), ended_trials(self.study), self.plan.max_failure_rate)

    def _missing(
        self, ends: dict[int, Outcome | None], outcomes: Mapping[int, Outcome | None]
    ) -> list[int]:
        """The jobs to launch now; of trials with one point all others may take its value later.

        Args:
            ends: of the trials of a batch, which are brought up to date.
            outcomes: of their jobs.
        """
        end_if_asked()  # a job may have failed by what a signal raised
        ends |= {n: self._together(n, outcomes) for n, end in ends.items() if end is None}
        if self.plan.reuse:
            ends |= reuse(self.seen, ends)
        trials = [number for number, end in ends.items() if end is None]
        trials = distinct(self.seen, trials) if self.plan.reuse else trials
        jobs = [job for number in trials for job in self.repeats.jobs(number)]
        return [job for job in jobs if outcomes[job] is None]

    def _name_folders(self, trials: Sequence[Trial]) -> None:
        """Note the folder of the first of several jobs, by which the study names the trial's."""
        for trial in trials:
            if self.repeats.count > 1 and FOLDER not in trial.user_attrs:
                trial.set_user_attr(FOLDER, str(self.repeats.jobs(trial.number)[0]))

    def _launch(
        self, numbers: Sequence[int], overrides: dict[int, list[str]]
    ) -> Iterator[tuple[int, JobReturn]]:
        """Run jobs; each keeps the number of its trial."""
        try:
            jobs = launch_numbered(self.launcher, [(n, overrides[n]) for n in numbers])
        finally:  # a job that was stopped leaves its own logging behind
            configure_log(self.hydra.hydra_logging, self.hydra.verbose)
        return zip(numbers, jobs, strict=True)

    def _before(self, job: int) -> Outcome | None:
        """The end of a job that ended before the sweep was stopped, and was not told yet."""
        trial = self._trial_of(job)
        if REUSED in trial.user_attrs:
            return None
        if self.recorded is not None:
            folder = self._folder(job)
            wait_until_free(folder, GRACE)  # a job may outlive the worker whose batch this was
            record = self.recorded(folder) or (self.past and self.past.failed(job))
            if record is not None or (folder / HISTORY).exists():
                report_again(self.seen, self.repeats, job, folder, record is not None)
            return record
        values = trial.user_attrs.get(self.repeats.note(RETURNED, job))
        if values is None:
            return None
        done = JobReturn(status=JobStatus.COMPLETED)
        done.return_value = values
        return self._outcome(job, done)

    def _after(self, job: int, done: JobReturn) -> Outcome:
        """The end of a job that was launched now."""
        if (ran_in := folder_of(done)) is not None:
            if ran_in.is_relative_to(self.folder):  # which may be moved
                ran_in = ran_in.relative_to(self.folder)
            if self.folder / ran_in != self._folder(job):
                trial, name = self._trial_of(job), self.repeats.note(FOLDER, job)
                self.study._storage.set_trial_user_attr(trial._trial_id, name, str(ran_in))
        return self._outcome(job, done)

    def _folder(self, job: int) -> Path:
        """Of a job: its number, unless the app names the folders of its jobs."""
        attributes = self._trial_of(job).user_attrs
        return self.folder / attributes.get(self.repeats.note(FOLDER, job), str(job))

    def _outcome(self, job: int, done: JobReturn) -> Outcome:
        record = self.recorded(self._folder(job)) if self.recorded else None
        trial = self._trial_of(job)
        return outcome_of(done, self._signs(), trial.user_attrs.get(PRUNED_AT), record)

    def _together(self, number: int, outcomes: Mapping[int, Outcome | None]) -> Outcome | None:
        """The end of a trial; None while one of its jobs has not ended."""
        each = [outcomes[job] for job in self.repeats.jobs(number)]
        ends = [end for end in each if end is not None]
        if len(ends) < len(each):
            return None
        pruned = PRUNED_AT in self._trials()[number].user_attrs
        return together(ends, self.repeats, self._signs(), pruned)

    def _signs(self) -> list[int]:
        return [-1 if way is StudyDirection.MINIMIZE else 1 for way in self.study.directions]

    def _tell(self, number: int, outcome: Outcome) -> None:
        """Tell the study how a trial ended, and why."""
        self.crew.check()
        check_data(self.study, outcome.data)
        trial = self._trials()[number]
        for name, note in outcome.notes.items():
            if name not in trial.user_attrs:
                self.study._storage.set_trial_user_attr(trial._trial_id, name, note)
        complete = outcome.state is TrialState.COMPLETE
        if outcome.each and not complete:
            report_last(self.seen, number, outcome.values[0])
        self.seen.tell(number, outcome.values if complete else None, state=outcome.state)
        self.progress.ended(number, outcome)

    def _trial_of(self, job: int) -> FrozenTrial:
        return self._trials()[self.repeats.trial(job)]

    def _trials(self) -> Sequence[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def _say_where_it_stands(self) -> None:
        others = sum(not other.starts for other in self.crew.in_turn(self.crew.others))
        rebuilt = 0 if self.past is None else len(self.past.lines)
        for line in where_it_stands(
            self.study, self.plan.n_trials, others, self.batches.ahead, rebuilt
        ):
            log.info(line)

    @contextmanager
    def results(self) -> Iterator[None]:
        """Write what was found, however the search ends; the last worker does it."""
        try:
            yield
        finally:
            if not isinstance(sys.exc_info()[1], LostClaim | DatabaseLost):
                self._write_results()

    def _write_results(self) -> None:
        self.crew.leave()
        if others := others_when_left():
            log.info(others_at_work(others))
            return
        with giving_way():
            write_results(self.study, self.folder)
        for line in self._ending():
            log.info(printable(line))
        if self.recorded is None:  # else its records make a richer table
            with giving_way():
                write_trials(self.study, self.folder)
            if not self.progress.in_table or len(self.study.directions) > 1:
                log.info(printable(best(self.study, ".4g") or without_best(self.study)))

    def _ending(self) -> list[str]:
        """How the search ended, what failed for one reason, and how to go on if it may."""
        repeated = duplicates(self.study, self.plan.reuse)
        lines = [self.progress.summary(self.stopped), *repeated, *self.progress.failures()]
        more = ENDED not in self.study.user_attrs and not reaching(self.study, self.plan.target)
        if self.stopped and more:
            again = f"the same command with hydra.sweep.dir={self.hydra.sweep.dir}"
            lines.append(f"to go on: {again}")
        return lines
