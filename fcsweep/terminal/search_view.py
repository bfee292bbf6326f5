"""A search on a terminal: trials by status, the best one, the running ones, the time left."""

from __future__ import annotations

import time
from collections.abc import Sequence

from optuna.study import Study
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from fcsweep.messages.wording import printable
from fcsweep.search.outcomes import Outcome
from fcsweep.search.progress import Progress, best, point
from fcsweep.search.results import counts
from fcsweep.terminal.grid_view import TrialsBar, line

SHOWN = 20
"""Maximum number of running trials listed; of more, the best."""
SECONDS = 0.1
"""Minimum time between two updates."""


class LiveProgress(Progress):
    """Shows the search in place while it runs; failures stay in the lines above."""

    def __init__(self, study: Study, n_trials: int, digits: str = ".4g") -> None:
        super().__init__(study, n_trials, digits)
        self._bar = TrialsBar(n_trials)
        console = Console(highlight=False)
        self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._updated = 0.0

    def __enter__(self) -> LiveProgress:
        """Take the terminal."""
        self._live.start()
        self._update()
        return self

    def __exit__(self, *error: object) -> None:
        """Release the terminal for the final messages."""
        self._live.stop()

    def started(self, numbers: Sequence[int]) -> None:
        """The launcher has received trials."""
        super().started(numbers)
        self._update()

    def reported(self, number: int, step: int, value: float) -> None:
        """A running trial has reported its objective."""
        super().reported(number, step, value)
        if time.monotonic() - self._updated > SECONDS:
            self._update()

    def ended(self, number: int, outcome: Outcome) -> None:
        """A trial has ended, and the study knows."""
        super().ended(number, outcome)
        self._update()

    def say(self, text: str) -> None:
        """Print a line above the live display."""
        self._live.console.print(Text(printable(text)))

    def say_ending(self, number: int, outcome: Outcome, first: int | None) -> None:
        """Print failures only: the display counts the others, and the final table lists them."""
        if outcome.reason and not outcome.values and first is None:
            super().say_ending(number, outcome, first)

    def shown(self) -> Group:
        """The bar, the trials by status, the best trial and the running ones: a line each."""
        found = {name: count for name, count in counts(self.study).items() if count}
        found.pop("waiting", None)
        running = found.pop("running", 0)
        lines = self._bar.lines(found, running if self.running else 0, self.seconds_left())
        return Group(*lines, *self._best(), *self._running_lines())

    def _update(self) -> None:
        self._live.update(self.shown())
        self._updated = time.monotonic()

    def _best(self) -> list[Text]:
        text = best(self.study, self.digits)
        return [] if text is None else [line(text, "bold green")]

    def _running_lines(self) -> list[Text]:
        """A line for each running trial, or for the best of many."""
        lines: list[Text] = []
        known = {number: seen for number, seen in self.running.items() if seen is not None}
        listed = (
            list(self.running)
            if len(self.running) <= SHOWN
            else sorted(known, key=lambda number: known[number][1] * self.sign, reverse=True)[
                :SHOWN
            ]
        )
        for number in listed:
            seen = known.get(number)
            state = "no report yet" if seen is None else f"step {seen[0]}, {seen[1]:{self.digits}}"
            lines.append(line(f"  trial {number}: {state} ({point(self.trial(number).params)})"))
        more = len(self.running) - len(listed)
        return lines + ([line(f"  and {more} more")] if more else [])
