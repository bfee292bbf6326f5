"""Jobs of another app whose task hands over modules: which train together, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.types import TaskFunction
from omegaconf import OmegaConf

from fcsweep.launchers.grouping import MOST, cut
from fcsweep.launchers.job import Bookkeeping
from fcsweep.launchers.logs import log_to_all
from fcsweep.launchers.protocols import Ending, ModulesTask

Stack = tuple[list[int], Any]
"""Positions of jobs that train together, and what the first of their kind handed over; None of a
job that could hand over nothing, which trains alone."""


def modules_task(task: TaskFunction) -> ModulesTask | None:
    """The task that hands over modules, also where others are around it; None of other tasks."""
    found: Any = task
    while found is not None and not isinstance(found, ModulesTask):
        found = getattr(found, "__wrapped__", None)
    return found


def stacks_of(books: Sequence[Bookkeeping], task: ModulesTask, most: int | None) -> list[Stack]:
    """Which jobs train together, by first position.

    Args:
        books: of the jobs, none of which has begun.
        task: that Hydra runs.
        most: jobs of a stack; None for `MOST`.
    """
    alone: list[Stack] = []
    kinds: list[tuple[Any, Any, list[int]]] = []
    for position, book in enumerate(books):
        with book.current():
            try:
                handed, around = task.hand_over(book.task_cfg), _surroundings(book)
                kind = (s for one, its, s in kinds if its == around and task.alike(one, handed))
                if (positions := next(kind, None)) is not None:
                    positions.append(position)
                else:
                    kinds.append((handed, around, [position]))
            except Exception:  # the job will raise it again, and end by it
                alone.append(([position], None))
    together = [([*part], of) for of, _, each in kinds for part in cut(each, most or MOST)]
    return sorted([*alone, *together], key=lambda stack: stack[0])


def train(books: Sequence[Bookkeeping], task: ModulesTask, like: Any) -> None:
    """Train jobs that have begun as one stack; then run the task of each with what was trained.

    Args:
        books: of the jobs.
        task: that hands over modules.
        like: what the first job of this kind handed over, for what all have in common.
    """
    logs = {folder: log for book in books for folder, log in book.logs.items()}
    handed: dict[int, Any] = {}
    for book in books:
        with book.current(), log_to_all(book.logs):
            try:
                handed[book.number] = task.hand_over(book.task_cfg, like)
            except Exception as error:
                book.end(Ending(None, error))
    with books[0].current(), log_to_all(logs):
        trained = task.fit(handed)
    for book in books:
        if book.number in handed:
            _finish(book, task, trained[book.number])


def _finish(book: Bookkeeping, task: ModulesTask, trained: Any) -> None:
    """Run the task of a job, with what was trained for it; an exception is why there is nothing."""
    if isinstance(trained, Exception):
        return book.end(Ending(None, trained))
    with book.current(), log_to_all(book.logs), task.given(trained):
        try:
            ended = Ending(book.task(book.task_cfg), None)
        except Exception as error:
            ended = Ending(None, error)
    return book.end(ended)


def _surroundings(book: Bookkeeping) -> Any:
    """The environment variables that Hydra sets for a job: those of a process."""
    return OmegaConf.to_container(book.composed.hydra.job.env_set, resolve=True)
