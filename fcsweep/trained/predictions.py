"""Predictions of trained nets: those of one shape together, as one stack.

Of classes their probabilities, the softmax of the scores, whatever the loss it was trained with; of
a quantity the only score, in the unit of the target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from fcsweep.accuracy import EVALUATION_ROWS
from fcsweep.config import RunConfig, TorchConfig
from fcsweep.data.dataset import Dataset
from fcsweep.launchers.grouping import cut, largest
from fcsweep.messages.errors import FolderError
from fcsweep.modules import ModuleNet
from fcsweep.nets import FullyConnectedNet
from fcsweep.records.filenames import BEST
from fcsweep.run.own_code import custom_net
from fcsweep.trained.runs import Trained


class Examples(NamedTuple):
    """The inputs of a run, and how it standardised the quantity that it predicts, if it does."""

    X: Tensor
    """``(n, d)``, in the type of the run, scaled by its training rows."""
    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, X: Tensor, data: Dataset) -> Examples:
        """Rows of the data that a run was trained on."""
        return cls(X, data.target_mean, data.target_scale)


Inputs: TypeAlias = Callable[[Trained], Examples]
"""The same rows as each run takes them."""


def targets_of(y: Tensor, data: Dataset) -> Tensor:
    """What predictions are compared with: classes, or quantities in the unit of the target."""
    return y if data.num_classes > 1 else y.double() * data.target_scale + data.target_mean


def predictions(runs: Sequence[Trained], inputs: Inputs, device: torch.device) -> Tensor:
    """Of each run, ``(k, n, c)`` float64 on the CPU; of a quantity ``(k, n, 1)``.

    Args:
        runs: of the same classes, or of the same quantity.
        inputs: the examples.
        device: that computes.

    Raises:
        FolderError: the parameters of a run do not fit its config.
    """
    out = torch.empty(0)
    for places, rows, found in _parts(runs, inputs, device):
        if not out.numel():
            n, c = len(inputs(runs[0]).X), found.shape[-1]
            out = torch.empty(len(runs), n, c, dtype=torch.float64)
        out[places, rows] = found
    return out


def averaged(
    runs: Sequence[Trained], weights: Sequence[float], inputs: Inputs, device: torch.device
) -> Tensor:
    """The weighted mean of those of runs, ``(n, c)`` float64 on the CPU; of a quantity ``(n, 1)``.

    Args:
        runs: as of `predictions`.
        weights: one each; they add up to 1.
        inputs: the examples.
        device: that computes.

    Raises:
        FolderError: as `predictions`.
    """
    out = torch.empty(0)
    for places, rows, found in _parts(runs, inputs, device):
        if not out.numel():
            out = torch.zeros(len(inputs(runs[0]).X), found.shape[-1], dtype=torch.float64)
        each = torch.tensor([weights[place] for place in places], dtype=torch.float64)
        out[rows] += (each[:, None, None] * found).sum(0)
    return out


@torch.inference_mode()
def _parts(
    runs: Sequence[Trained], inputs: Inputs, device: torch.device
) -> Iterator[tuple[list[int], slice, Tensor]]:
    """Places of runs of one shape, some rows, and the predictions there, float64 on the CPU."""
    for places in _stacks([run.config for run in runs]):
        net = stack([runs[place] for place in places], device)
        examples = inputs(runs[places[0]])
        for start in range(0, len(examples.X), EVALUATION_ROWS):
            rows = slice(start, start + EVALUATION_ROWS)
            scores = net.scores(examples.X[rows].to(device).unsqueeze(0)).double()
            is_quantity = scores.shape[-1] == 1
            found = scores * examples.scale + examples.mean if is_quantity else scores.softmax(-1)
            yield places, rows, found.cpu()


def _stacks(configs: Sequence[RunConfig]) -> Iterator[list[int]]:
    """The places of configs of one shape, type and data, as many as fit in memory."""
    alike: dict[str, list[int]] = {}
    for place, config in enumerate(configs):
        model = config.model
        shape: object = model
        if not isinstance(model, TorchConfig):
            shape = model.hidden_dims, model.activation, model.normalization
        alike.setdefault(repr((shape, config.dtype, config.data)), []).append(place)
    for found in alike.values():
        yield from map(list, cut(found, largest(configs[found[0]])))


def stack(runs: Sequence[Trained], device: torch.device) -> FullyConnectedNet | ModuleNet:
    """The nets of runs of one shape, with their best parameters.

    Raises:
        FolderError: the parameters of a run do not fit its config.
    """
    net = _untrained([run.config for run in runs], device)
    for run in runs:
        _check(run, net)
    net.params.assign(
        {name: torch.stack([run.params[name] for run in runs]) for name in net.params}
    )
    return net


def _untrained(configs: Sequence[RunConfig], device: torch.device) -> FullyConnectedNet | ModuleNet:
    config = configs[0]
    sizes = config.data.inputs, config.data.classes
    if isinstance(config.model, TorchConfig):
        return custom_net(configs, *sizes, device)
    return FullyConnectedNet(
        config.model.hidden_dims,
        *sizes,
        seed=[0] * len(configs),
        dtype=getattr(torch, config.dtype),
        device=device,
        activation=config.model.activation,
        normalization=config.model.normalization,
    )


def _check(run: Trained, net: FullyConnectedNet | ModuleNet) -> None:
    """Refuse parameters that are not those of the net."""
    expected = {name: tuple(p.shape[1:]) for name, p in net.params.items()}
    given = {name: tuple(p.shape) for name, p in run.params.items()}
    if given != expected:
        what = f"does not fit the config: it has {given}; expected {expected}"
        raise FolderError(f"{run.folder / BEST} {what}")
