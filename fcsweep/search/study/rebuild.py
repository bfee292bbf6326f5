"""The runs of a search that its study does not know: the journal is gone, or ends too early.

Their records stand in for it. The search asks, tells and goes on as ever; but a trial whose folder
is there already gets the parameters that its run had, and if that run has ended, what it reported
and how it ended are told in place of a new run. Pruners that keep notes of their own (successive
halving, hyperband) are asked again, so that they take them; what a run was decided stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from fcsweep.config import RunConfig, read
from fcsweep.messages.errors import ConfigError, FolderError
from fcsweep.messages.wording import one_line
from fcsweep.objectives import sign_of
from fcsweep.records.filenames import HISTORY
from fcsweep.records.ownership import check_run
from fcsweep.records.reader import look, read_history
from fcsweep.search.outcomes import Outcome
from fcsweep.search.pruning import PRUNED_AT, report
from fcsweep.search.results import MULTIRUN
from fcsweep.search.space import Space
from fcsweep.search.study.repeats import ONCE, Repeats
from fcsweep.search.study.window import numbered
from fcsweep.system.bounded import read_bounded

OVERRIDES = ".hydra/overrides.yaml"
LARGEST = 1_000_000  # bytes


class PastRuns:
    """The numbered folders of a sweep as they were when the search began.

    Args:
        folder: of the sweep.
        space: that is searched.
        configured: checks a job's overrides; its config.
        extended: whether trials may be asked for more than the space holds.
        repeats: which jobs a trial has.
    """

    def __init__(
        self,
        folder: Path,
        space: Space,
        configured: Callable[[list[str]], RunConfig],
        extended: bool,
        repeats: Repeats = ONCE,
    ) -> None:
        self._folder, self._space, self._configured = folder, space, configured
        self._extended, self._repeats = extended, repeats
        self.lines: dict[int, list[str]] = {}
        """Overrides of the runs that the study does not know, by number."""

    def check(self, first: int) -> int:
        """Take in the runs from trial ``first`` on, which the study does not know; their count.

        Raises:
            FolderError: one of them is damaged, or is not of this search.
        """
        names = [path.name for path in self._folder.iterdir() if path.is_dir()]
        for number in sorted(int(name) for name in names if name.isdecimal()):
            folder = self._folder / str(number)
            if self._repeats.trial(number) < first or not (folder / "result.json").exists():
                continue
            lines = self._overrides(folder)
            params: dict[str, Any] = {}
            for key, distribution in self._space.distributions.items():
                if self._space.has(key, params):
                    params[key] = self._value(number, lines, key, distribution)
            more = self._asked_for_more(lines) if self._extended else []
            expected = self._configured(
                self._repeats.overrides([*self._space.overrides(params), *more], number)
            )
            check_run(folder, expected, "hydra.sweep.dir")
            self.lines[number] = lines
        return len(self.lines)

    def value(self, number: int, key: str, distribution: BaseDistribution) -> Any:
        """What the runs of a trial had for a parameter; None if there is no run, or it had none."""
        for job in self._repeats.jobs(number):
            if lines := self.lines.get(job):
                there = any(line.startswith(f"{key}=") for line in lines)
                lacks = key in self._space.conditional and not there
                return None if lacks else self._value(job, lines, key, distribution)
        return None

    def drawn_seed(self) -> int | None:
        """The seed that was drawn when the search began, as ``multirun.yaml`` has it."""
        try:
            seed = read(self._folder / MULTIRUN)["hydra"]["sweeper"]["sampler"]["seed"]
        except (ConfigError, LookupError, TypeError):
            return None
        return seed if isinstance(seed, int) and not isinstance(seed, bool) else None

    def failed(self, number: int) -> Outcome | None:
        """The end of a run that failed; of a run that the study knows, a failure is tried again."""
        if number not in self.lines:
            return None
        result = look(self._folder / str(number)).result or {}
        if result.get("status") != "failed":
            return None
        return Outcome(TrialState.FAIL, reason=str(result.get("reason") or ""))

    def _asked_for_more(self, lines: Sequence[str]) -> list[str]:
        known = [*self._space.distributions, *self._space.fixed]
        known += self._repeats.keys
        return [line for line in lines if line.partition("=")[0] not in known]

    def _overrides(self, folder: Path) -> list[str]:
        path = folder / OVERRIDES
        try:
            lines = yaml.safe_load(read_bounded(path, LARGEST))
            if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
                raise ValueError("expected a list of overrides")
        except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
            raise FolderError(f"{path} cannot be read: {one_line(error)}") from error
        return lines

    def _value(
        self, number: int, lines: Sequence[str], key: str, distribution: BaseDistribution
    ) -> Any:
        try:
            return self._space.read(lines, key, distribution)
        except ValueError as error:
            folder = self._folder / str(number)
            raise FolderError(
                f"hydra.sweep.dir: {folder} holds a run of another search ({error}); name a new or "
                "an empty folder"
            ) from error


class Guided(BaseSampler):
    """A sampler that draws as ever, but gives to trials of the past the values that they had.

    Args:
        sampler: that draws.
        past: knows the values.
    """

    def __init__(self, sampler: BaseSampler, past: PastRuns) -> None:
        self._sampler, self._past = sampler, past

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Passed on."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Drawn, and replaced if the trial has a past: the sampler may keep notes."""
        drawn = self._sampler.sample_relative(study, trial, search_space)
        return {name: self._had(trial, name, search_space[name], drawn[name]) for name in drawn}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """As `sample_relative`."""
        drawn = self._sampler.sample_independent(study, trial, param_name, param_distribution)
        return self._had(trial, param_name, param_distribution, drawn)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Passed on."""
        self._sampler.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Passed on."""
        self._sampler.after_trial(study, trial, state, values)

    def _had(
        self, trial: FrozenTrial, name: str, distribution: BaseDistribution, drawn: Any
    ) -> Any:
        had = self._past.value(trial.number, name, distribution)
        return drawn if had is None else had


def report_again(
    study: Study, repeats: Repeats, job: int, folder: Path, ended: bool = True
) -> None:
    """Report what a run has recorded and the study does not know.

    A worker that was killed may have had no time to write it into a database.

    Args:
        study: with one objective, else nothing was reported.
        repeats: which jobs a trial has.
        job: number of the run.
        folder: of the run.
        ended: whether it has; else its last row is still to be decided on.

    Raises:
        FolderError: its history is damaged.
    """
    if len(study.directions) > 1:
        return
    trial = _trial(study, repeats.trial(job))
    result = look(folder).result or {}
    objective: Any = result.get("objective")
    if objective is None:  # a record that does not say what its numbers mean
        return
    best, step, better = None, None, min if sign_of(objective) < 0 else max
    reached = [(row, row.value(objective)) for row in _rows(folder)]
    reached = [(row, value) for row, value in reached if value is not None]
    for place, (row, value) in enumerate(reached, 1):
        step, best = row.epoch, value if best is None else better(best, value)
        known = trial.storage.get_trial(trial._trial_id).intermediate_values
        reported = step not in known and report(trial, repeats, job, best, step) is not None
        if reported and (ended or place < len(reached)):
            study.pruner.prune(study, trial.storage.get_trial(trial._trial_id))
    # Of repeats in processes of their own the slowest stopped at the step of the decision.
    pruned_at = trial.user_attrs.get(PRUNED_AT)
    if result.get("status") == "pruned" and (pruned_at is None or (step or 0) < pruned_at):
        trial.set_user_attr(PRUNED_AT, step)


def report_last(study: Study, number: int, value: float) -> None:
    """Report the value of a trial that is not complete, since the study takes the last report.

    Its repeats may have got further than the last step that all of them have reached.
    """
    trial = _trial(study, number)
    known = trial.storage.get_trial(trial._trial_id)
    last = known.last_step
    if last is None or known.intermediate_values[last] != value:
        trial.report(value, 0 if last is None else last + 1)


def _trial(study: Study, number: int) -> Trial:
    return Trial(study, numbered(study, number)._trial_id)


def _rows(folder: Path) -> Sequence[Any]:
    try:
        return read_history(folder / HISTORY)
    except (OSError, ValueError) as error:
        raise FolderError(f"{folder / HISTORY} cannot be read: {one_line(error)}") from error
