"""A grid of another app on a terminal: jobs by status, and the time left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from fcsweep.messages.wording import printable


class TrialsBar:
    """The bar of a search or a grid, and below it the trials by status.

    Args:
        total: how many trials there will be; None if that is not known.
    """

    def __init__(self, total: int | None) -> None:
        columns = (TextColumn("trials"), MofNCompleteColumn(), BarColumn(30), TimeElapsedColumn())
        self._bar = Progress(*columns, TextColumn("{task.fields[left]}"))
        self._task = self._bar.add_task("trials", total=total, left="")

    def lines(
        self, ended: Mapping[str, int], running: int, left: float | None
    ) -> list[RenderableType]:
        """Two lines.

        Args:
            ended: trials by status.
            running: trials that are.
            left: seconds, if an estimate is known.
        """
        states = [f"{count} {name}" for name, count in ended.items()]
        states += [f"{running} running"] if running else []
        about = f"about {timedelta(seconds=round(left))} left" if left else ""
        self._bar.update(self._task, completed=sum(ended.values()), left=about)
        return [self._bar, line(", ".join(states))]


class GridView:
    """Shows in place how many jobs have ended, as their files say, until it is left.

    Args:
        total: how many jobs there will be; None if that is not known.
        statuses: reads the status of each job that has begun.
    """

    def __init__(self, total: int | None, statuses: Callable[[], Sequence[str]]) -> None:
        self._total, self._statuses, self._bar = total, statuses, TrialsBar(total)
        self._began = time.monotonic()
        self._live = Live(
            console=Console(highlight=False),
            get_renderable=self.shown,
            refresh_per_second=4,
            transient=True,
        )

    def __enter__(self) -> GridView:
        """Take the terminal."""
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Release the terminal."""
        self._live.stop()

    def shown(self) -> Group:
        """The bar and the jobs by status."""
        found = Counter(self._statuses())
        running = found.pop("running", 0)
        return Group(*self._bar.lines(found, running, self._seconds_left(found.total())))

    def _seconds_left(self, ended: int) -> float | None:
        if not ended or self._total is None:
            return None
        return (time.monotonic() - self._began) / ended * max(self._total - ended, 0)


def line(text: str, style: str = "") -> Text:
    """One line, whatever the width of the terminal."""
    return Text(printable(text), style=style, no_wrap=True, overflow="ellipsis")
