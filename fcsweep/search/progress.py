"""What is shown of a search: a line a trial. A terminal may show more by a subclass."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from fcsweep.messages.wording import printable, render, ties
from fcsweep.search.outcomes import Outcome
from fcsweep.search.results import RESULTS, counts
from fcsweep.search.study.storage import JOURNAL
from fcsweep.search.study.study import (
    REASON,
    STATES,
    best_of,
    counting,
    ended_trials,
    feasible,
    status_of,
)

log = logging.getLogger(__name__)

MOMENT = 0.1
"""Seconds between two questions whether any worker is there."""
SHOWN = 5
"""Trials of a Pareto front that the last line names."""


class Progress:
    """Knows how far a search is; prints a line when a trial ends.

    Args:
        study: that is searched.
        n_trials: how many it shall have.
        digits: how a value is shown: a format such as ``.4f``.
    """

    in_table = False
    """Whether a table follows that names the best trial."""

    def __init__(self, study: Study, n_trials: int, digits: str = ".4g") -> None:
        self.study, self.n_trials, self.digits = study, n_trials, digits
        self.sign = -1 if study.directions[0] is StudyDirection.MINIMIZE else 1
        self.running: dict[int, tuple[int, float] | None] = {}
        """What each running trial last reported: step and value."""
        self.failed: dict[tuple[str, str], list[int]] = {}
        """Trials that failed or diverged now, by status and reason without its numbers."""
        self.began, self.ended_now = time.monotonic(), 0

    def __enter__(self) -> Progress:
        """Begin to show; nothing to do for lines."""
        return self

    def __exit__(self, *error: object) -> None:
        """Stop showing."""

    def started(self, numbers: Sequence[int]) -> None:
        """Trials were handed to the launcher."""
        self.running = dict.fromkeys(numbers)

    def reported(self, number: int, step: int, value: float) -> None:
        """A running trial has reported its objective."""
        self.running[number] = (step, value)

    def ended(self, number: int, outcome: Outcome) -> None:
        """A trial has ended, and the study knows."""
        self.running.pop(number, None)
        self.ended_now += 1
        self.say_ending(number, outcome, self._first_alike(number, outcome))

    def say(self, text: str) -> None:
        """A line of its own."""
        log.info(printable(text))

    def say_ending(self, number: int, outcome: Outcome, first: int | None) -> None:
        """A line for a trial that has ended.

        Args:
            number: of the trial.
            outcome: its end.
            first: the trial that failed first for the same reason; None if there is none before.
        """
        if first is not None:
            outcome = replace(outcome, reason=f"as trial {first}")
        self.say(ending(self.trial(number), outcome, self.digits))

    def _first_alike(self, number: int, outcome: Outcome) -> int | None:
        if outcome.state is not TrialState.FAIL:
            return None
        kind = outcome.status or STATES[outcome.state], re.sub(r"\d+", "", outcome.reason)
        alike = self.failed.setdefault(kind, [])
        alike.append(number)
        return alike[0] if len(alike) > 1 else None

    def trial(self, number: int) -> FrozenTrial:
        """What the study knows of a trial."""
        return self.study.get_trials(deepcopy=False)[number]

    def seconds_left(self) -> float | None:
        """Estimated from the trials that have ended since the start; None before the first."""
        if not self.ended_now:
            return None
        each = (time.monotonic() - self.began) / self.ended_now
        done = sum(trial.state.is_finished() for trial in self.study.get_trials(deepcopy=False))
        return each * max(self.n_trials - done, 0)

    def summary(self, stopped: str | None = None) -> str:
        """``all 30 trials done: 26 completed, 4 pruned``.

        Args:
            stopped: why it has stopped before all of them, if it has.
        """
        found = {name: count for name, count in counts(self.study).items() if count}
        done = sum(found.values()) - found.get("running", 0) - found.get("waiting", 0)
        if "running" in found:  # by now it has been stopped
            found["interrupted"] = found.pop("running")
        states = ", ".join(f"{count} {name}" for name, count in found.items())
        ended = f"{done} of {self.n_trials} trials"
        if done >= self.n_trials and not stopped:
            ended = f"all {done} trials done"
        why = f"stopped: {stopped}; " if stopped else ""
        return why + ended + (f": {states}" if states else "")

    def failures(self) -> list[str]:
        """``7 more trials failed as trial 3``, for each kind of failure that came again."""
        again = [
            (len(numbers) - 1, status, numbers[0])
            for (status, _), numbers in self.failed.items()
            if numbers[1:]
        ]
        return [
            f"{count} more trial{'s' if count > 1 else ''} {status} as trial {first}"
            for count, status, first in again
        ]


def where_it_stands(
    study: Study, n_trials: int, others: int, ahead: int, rebuilt: int
) -> list[str]:
    """What is said of a study as a worker begins.

    Args:
        study: of the search.
        n_trials: how many it shall have.
        others: workers that are there already.
        ahead: batches that may be under way at once.
        rebuilt: runs that their records have brought back.
    """
    trials, name = study.get_trials(deepcopy=False), printable(study.study_name)
    ended = len(ended_trials(study))
    if others:
        idle = f"; hydra.sweeper.ahead={ahead} keeps {others + 1 - ahead} of them waiting"
        told = f"as worker {others + 1} of {others + 1}: {ended} of {n_trials} trials done"
        return [f"joining study {name} {told}{idle if others >= ahead else ''}"]
    if rebuilt:
        runs = f"{rebuilt} runs that {JOURNAL} does not hold"
        lines = [f"study {name}: rebuilt from the records of {runs}"]
    else:
        lines = [] if trials else [f"study {name}: {n_trials} trials"]
    if trials:
        to_go = max(n_trials - len(trials), 0)
        known = f"{ended} finished, {len(trials) - ended} interrupted, {to_go} to go"
        lines.append(f"resuming study {name}: {known}")
    return lines


def follow(
    progress: Progress, working: Callable[[], bool], look: Callable[[], None], pause: float
) -> None:
    """Show a search that other processes do, until they have ended.

    Args:
        progress: of the search.
        working: whether any of them is there; asked often.
        look: learns what they have done.
        pause: seconds from one look to the next.
    """
    known, due = {trial.number for trial in ended_trials(progress.study)}, 0.0
    while working():
        if time.monotonic() >= due:
            look()
            _show_news(progress, known)
            due = time.monotonic() + pause
        time.sleep(MOMENT)
    look()
    _show_news(progress, known)


def _show_news(progress: Progress, known: set[int]) -> None:
    """Show the trials that have ended and are not known yet, and those that are running."""
    trials = progress.study.get_trials(deepcopy=False)
    running = [trial for trial in trials if trial.state is TrialState.RUNNING]
    progress.running = {trial.number: _last(trial) for trial in running}
    for trial in ended_trials(progress.study):
        if trial.number not in known:
            known.add(trial.number)
            reason = str(trial.user_attrs.get(REASON, ""))
            values = tuple(trial.values or ())
            status = status_of(trial)
            progress.ended(trial.number, Outcome(trial.state, values, status, reason))


def _last(trial: FrozenTrial) -> tuple[int, float] | None:
    """What a trial last reported: step and value."""
    step = trial.last_step
    return None if step is None else (step, trial.intermediate_values[step])


def ending(trial: FrozenTrial, outcome: Outcome, digits: str) -> str:
    """``trial 3: completed 0.98 (learning_rate 0.3, weight_scale 0.01)``, or why it was not."""
    values = ", ".join(f"{value:{digits}}" for value in trial.values or ())
    status = outcome.status or STATES[outcome.state]
    reason = outcome.reason.removeprefix(f"{status} ")
    words = [f"trial {trial.number}:", status, values, f"({point(trial.params)})"]
    return " ".join(word for word in words if word) + (f": {reason}" if reason else "")


def point(params: Mapping[str, Any]) -> str:
    """``learning_rate 0.3, weight_scale 0.01``: keys by their last part, floats short."""
    names = [key.lstrip("+") for key in params]
    names = [name if "@" in name else name.rpartition(".")[2] for name in names]
    texts = map(_param, params.values())
    return ", ".join(" ".join(pair) for pair in zip(names, texts, strict=True))


def _param(value: Any) -> str:
    """A value as on the command line; floats short."""
    if isinstance(value, str):
        return value
    return f"{value:.4g}" if isinstance(value, float) else render(value)


def best(study: Study, digits: str) -> str | None:
    """``best: trial 3, 0.98 (learning_rate 0.3, weight_scale 0.01); 2 others reach it``.

    Of several objectives the Pareto front; None where there is nothing to name.
    """
    if len(study.directions) > 1:
        return _front(study, digits)
    trial = best_of(study)
    if trial is None:
        return None
    value = trial.values[0]
    text = f"best: trial {trial.number}, {value:{digits}} ({point(trial.params)})"
    return text + ties(sum(counting(other) == value for other in ended_trials(study)) - 1)


def _front(study: Study, digits: str) -> str | None:
    """``Pareto front: 2 of 9 trials: 3 (0.1, 7), 5 (0.2, 6)``: numbers and values."""
    front, ended = study.best_trials, len(ended_trials(study))
    if not front:
        return None
    told = [
        f"{one.number} ({', '.join(f'{value:{digits}}' for value in one.values)})"
        for one in front[:SHOWN]
    ]
    more = f" and {len(front) - SHOWN} more in {RESULTS}" if len(front) > SHOWN else ""
    return f"Pareto front: {len(front)} of {ended} trials: {', '.join(told)}{more}"


def without_best(study: Study) -> str:
    """Why there is no best trial."""
    valued = [trial for trial in ended_trials(study) if trial.values]
    if not valued:
        return "no trial has a value"
    if not any(map(feasible, valued)):
        return f"none of {len(valued)} trials meets its constraints"
    return "no trial has a finite value"
