"""The seam: what a task, a trainer, a loader, a launcher and a sweeper offer each other.

Hydra executes its plugins' modules twice, which makes two classes of each: so roles are tested by
``isinstance`` of these protocols, which look only at methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from omegaconf import DictConfig

from fcsweep.config import RunConfig
from fcsweep.messages.errors import UserError

Numbered = tuple[int, Sequence[str]]
"""A job that is still to be composed: its number in the sweep, from 0, and its overrides."""

Planned = Callable[[Sequence[int]], list[int]]
"""Of the numbers of jobs that nobody has yet, those to launch together next; none of none."""


class TrialError(UserError):
    """Why a trial of a stack failed, as its record says; the traceback is in its log."""


@dataclass(frozen=True)
class Job:
    """A job of a sweep: what is trained, and where. It can be pickled."""

    number: int
    """In its sweep, from 0."""
    config: RunConfig
    folder: Path
    """That Hydra made for it."""


@dataclass(frozen=True)
class Ending:
    """How a job ended."""

    value: Any
    """What the task returns: of ours a number or None."""
    error: Exception | None
    """Why it failed, one line; None if it finished."""
    epochs: int = 0
    """That it was trained."""


@runtime_checkable
class StackableTask(Protocol):
    """A task whose jobs can train together."""

    def train(self, jobs: Sequence[Job]) -> list[Ending]:
        """Train jobs of one shape together, each in its folder; how they ended, in their order."""
        ...


@runtime_checkable
class ModulesTask(Protocol):
    """A task of another app that hands over modules of torch: made by ``fcsweep.stackable``."""

    def hand_over(self, cfg: DictConfig, like: Any = None) -> Any:
        """What a job trains; ``like`` is that of another job, and has what both have in common."""
        ...

    def alike(self, one: Any, other: Any) -> bool:
        """Whether what two jobs train can share a stack."""
        ...

    def fit(self, handed: Mapping[int, Any]) -> dict[int, Any]:
        """Train jobs that are alike, by their numbers; what was trained, or why there is none."""
        ...

    def given(self, trained: Any) -> AbstractContextManager[None]:
        """While the block runs, a call of the task has this, and trains nothing."""
        ...


@runtime_checkable
class RecordingTask(Protocol):
    """A task whose jobs leave the records of `fcsweep.records` in their folders."""

    keeps_records: bool


@runtime_checkable
class CheckingLoader(Protocol):
    """A config loader that knows what a job trains and saves without composing it."""

    def check_job(self, master_config: DictConfig, sweep_overrides: list[str]) -> RunConfig:
        """The checked config of a job of a sweep.

        Raises:
            ConfigError: a mistake in its overrides.
        """
        ...

    def job_files(
        self, master_config: DictConfig, sweep_overrides: list[str], number: int, folder: Path
    ) -> dict[str, bytes] | None:
        """The files that Hydra saves of a job, by name; None if the job has to be composed."""
        ...


@runtime_checkable
class NumberingLauncher(Protocol):
    """A launcher of jobs whose numbers need not follow each other."""

    def launch_numbered(self, jobs: Sequence[Numbered]) -> list[JobReturn]:
        """Launch jobs, each with its number; what they return, in the same order."""
        ...

    def plan(self, jobs: Sequence[Numbered], workers: int) -> Planned:
        """How it would train the jobs, shared out to several processes."""
        ...


@runtime_checkable
class GridSweeper(Protocol):
    """Hydra's own sweeper, ``BasicSweeper``: every combination of the values that are given."""

    params: Any
    max_batch_size: int | None
    launcher: Any

    def split_arguments(
        self, overrides: list[Override], max_batch_size: int | None
    ) -> list[list[list[str]]]:
        """The overrides of the jobs, batch by batch."""
        ...

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Check that every job of a batch can be composed."""
        ...


@runtime_checkable
class PlanningSweeper(Protocol):
    """A sweeper whose settings can be checked before anything is made: the search."""

    planned: Any
    """A `fcsweep.search.plan.Plan` that was checked before; None if none was."""
    prepare: Callable[[], object] | None
    """Called before the first trial."""
    display: Any
    """Shows the search; None for a line a trial."""

    def plan(self, arguments: list[str]) -> Any:
        """The settings, checked, with nothing made yet."""
        ...
