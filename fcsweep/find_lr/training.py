"""One stack of nets that differ in their learning rate alone, and their losses after training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcsweep.accuracy import fixed_sample
from fcsweep.config import RunConfig
from fcsweep.data.choice import data_of
from fcsweep.kernels.python_numbers import each
from fcsweep.messages.errors import UserError
from fcsweep.nets import FullyConnectedNet
from fcsweep.run.build import device_of, solver_of
from fcsweep.run.stack import deterministic
from fcsweep.run.trial import out_of_memory
from fcsweep.solver import Solver
from fcsweep.system.signals import stopped_by_signals

ROWS = 1000
"""Training rows that measure the loss, the same for every rate; at most."""
BLOCKS = 10
"""Into which they are split: how far the differences of two rates scatter is seen between them."""


@dataclass(frozen=True)
class Losses:
    """The losses of a range of learning rates: without dropout and L2 term, on training rows."""

    rates: Sequence[float]
    """Ascending."""
    blocks: NDArray[Any]
    """``(blocks, rates)``: after training; NaN where it diverged."""
    start: NDArray[Any]
    """``(blocks,)``: before the first step, which is the same for all."""
    steps: int
    """That were trained."""

    @property
    def mean(self) -> NDArray[Any]:
        """``(rates,)``."""
        return self.blocks.mean(0)


def losses_of(
    config: RunConfig,
    rates: Sequence[float],
    epochs: int = 1,
    progress: Callable[[int], object] = lambda epoch: None,
) -> Losses:
    """Train a net with each learning rate, all in one stack.

    Args:
        config: of the run; its learning rate and number of epochs do not matter.
        rates: ascending, > 0.
        epochs: to train.
        progress: called with each epoch.

    Raises:
        DataError, DeviceError: the data or the device are not here.
        UserError: the stack does not fit in memory.
        KeyboardInterrupt, SystemExit: after a signal.
    """
    try:
        return _train(config, rates, epochs, progress)
    except Exception as error:
        if out_of_memory(error):
            what = f"{len(rates)} nets of this size do not fit in memory"
            raise UserError(f"{what}; take fewer by --count") from error
        raise


def _train(
    config: RunConfig, rates: Sequence[float], epochs: int, progress: Callable[[int], object]
) -> Losses:
    device, data = device_of(config.device), data_of(config)
    solver = solver_of([_with_rate(config, rate, epochs) for rate in rates], data, device)
    diverged = np.zeros(len(rates), bool)
    with deterministic(device), stopped_by_signals(solver.stop):
        start = _blocks(solver)[:, 0]
        for epoch in solver.epochs():
            diverged |= [step is not None for step in each(epoch.diverged_at)]
            progress(epoch.number)
        blocks = np.where(diverged, np.nan, _blocks(solver))
    return Losses(rates, np.where(np.isfinite(blocks), blocks, np.nan), start, solver.step)


def _with_rate(config: RunConfig, rate: float, epochs: int) -> RunConfig:
    optimizer: Any = replace(config.optimizer, learning_rate=rate)
    whole = {"warmup": 0, "patience": None}  # a rate is tried as it is
    solver = replace(config.solver, num_epochs=epochs, eval_every=epochs, **whole)
    return replace(config, optimizer=optimizer, solver=solver)


@torch.inference_mode()
def _blocks(solver: Solver) -> NDArray[Any]:
    """The loss of each block of rows, for each trial: ``(blocks, trials)``."""
    net: FullyConnectedNet = solver.model
    X, y = fixed_sample(solver.X_train, solver.y_train, ROWS)
    size = -(-len(y) // BLOCKS)
    blocks = zip(torch.split(X, size), torch.split(y, size), strict=True)
    return np.array([_loss(net, *block) for block in blocks])


def _loss(net: FullyConnectedNet, X: Tensor, y: Tensor) -> list[float]:
    loss, _ = net.loss_function(net.scores(X.unsqueeze(0)), y.unsqueeze(0))
    return loss.double().tolist()
