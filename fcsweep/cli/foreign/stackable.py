"""The decorator ``@fcsweep.stackable``: the task of another app whose jobs can train together."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from fcsweep.search.study.trial import job_number
from fcsweep.system.signals import held_back

if TYPE_CHECKING:
    from fcsweep.cli.foreign.training import HandedOver, Trained

Task = Callable[[DictConfig, "Trained"], Any]
"""What a job does with what was trained for it; what it returns is the value of the job."""


def stackable(
    *,
    build: Callable[[DictConfig], Any],
    data: Callable[[DictConfig], Any],
    solver: Callable[[DictConfig], Mapping[str, Any]],
    loss: str | Callable[[Any, Any], Any] = "softmax",
) -> Callable[[Task], Stackable]:
    """Let fcsweep train the module of a Hydra app: jobs that are alike, as one stack.

    It stands below ``@hydra.main(...)``, above a task ``(cfg, trained)``, which runs once the
    module is trained and returns the value of the job. With ``hydra/launcher=stacked`` jobs share a
    stack whose data are equal, whose modules differ in nothing but tensors and how much they drop
    out (`fcsweep.modules`), and whose keywords differ only where a trial may have its own. Any
    other job, and any job of another launcher, is a stack of one. After each epoch a search learns
    the best value of the objective so far, and may prune the job.

    Args:
        build: makes an ``nn.Module``, ``(n, d)`` in and ``(n, c)`` out, without control flow that
            depends on the data. torch's global generator has the seed of the job. It and the others
            may be called more than once a job.
        data: ``X_train (n, d)``, ``y_train (n,)``, ``X_val`` and ``y_val``, by name or as
            attributes. Keep what takes long to load by ``functools.cache``.
        solver: keywords of `fcsweep.solver.Solver` but those that print and save, with ``seed`` 0
            by default; ``device``; and ``reg``, ``label_smoothing``, ``class_weights`` of
            `fcsweep.modules.ModuleNet`. Each job has its own constants of ``optim_config`` and
            ``lr_decay``, ``schedule``, ``decay_every``, ``warmup``, ``patience``, ``clip_norm``,
            ``seed``, ``reg``, ``label_smoothing``, ``class_weights``; the others are those of all.
        loss: ``softmax``, ``svm``, ``mse`` or ``huber``, or a function of torch, ``(scores (n, c),
            y (n,)) -> ()``, a mean over the examples.
    """
    return lambda task: Stackable(task, build, data, solver, loss)


class Stackable:
    """What Hydra runs: a `fcsweep.launchers.protocols.ModulesTask`. Arguments as of `stackable`."""

    def __init__(
        self,
        task: Task,
        build: Callable[[DictConfig], Any],
        data: Callable[[DictConfig], Any],
        solver: Callable[[DictConfig], Mapping[str, Any]],
        loss: str | Callable[[Any, Any], Any],
    ) -> None:
        functools.update_wrapper(self, task)
        self.build, self.data, self.solver, self.loss = build, data, solver, loss
        self._task = task
        self._trained: Trained | None = None

    def __call__(self, cfg: DictConfig) -> Any:
        """Train the module of a job, unless that is done; what the task returns."""
        trained = self._trained
        if trained is None:
            number = job_number()
            known = 0 if number is None else number
            trained = self.fit({known: self.hand_over(cfg)})[known]
            if isinstance(trained, Exception):
                raise trained
        return self._task(cfg, trained)

    def hand_over(self, cfg: DictConfig, like: HandedOver | None = None) -> HandedOver:
        """What a job trains."""
        with held_back():  # torch is imported here, not for --help
            from fcsweep.cli.foreign.training import HandedOver

        return HandedOver.of(self, cfg, like)

    def alike(self, one: HandedOver, other: HandedOver) -> bool:
        """Whether what two jobs train can share a stack."""
        return one.is_like(other)

    def fit(self, handed: Mapping[int, HandedOver]) -> dict[int, Any]:
        """Train jobs that are alike, by their numbers; what was trained, or why there is none."""
        from fcsweep.cli.foreign.training import fit

        return fit(handed)

    @contextmanager
    def given(self, trained: Trained) -> Generator[None]:
        """While the block runs, a call has this, and trains nothing."""
        self._trained = trained
        try:
            yield
        finally:
            self._trained = None
