"""Initial weights: the standard deviation of the normal distribution that a layer draws from.

``None``
    ``weight_scale`` in every layer, as in the courses.
``"kaiming"``
    ``sqrt(2 / i)`` for ``i`` inputs: signals keep their size through ReLU (He et al., 2015).
``"xavier"``
    ``sqrt(2 / (i + o))`` for ``o`` outputs, too: there and back (Glorot and Bengio, 2010).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from fcsweep.kernels.parameters import Parameters

Initialization = str | Sequence[str | None] | None
"""Of all trials, or one each."""

DEVIATIONS: dict[str, Callable[[int, int], float]] = {
    "kaiming": lambda i, o: math.sqrt(2 / i),
    "xavier": lambda i, o: math.sqrt(2 / (i + o)),
}
"""Functions of the numbers of inputs and outputs."""


def draw(
    params: Parameters,
    weight_scale: Tensor,
    initialization: Initialization,
    seeds: Sequence[int | None],
) -> None:
    """Draw the weights of a net; biases become 0.

    Args:
        params: of the net.
        weight_scale: ``(*t,)``, for the trials that have no initialization.
        initialization: of all trials, or one each.
        seeds: one a trial; equal ones share their draws, None is torch's global generator.
    """
    scale = weight_scale.reshape(-1)
    shared = isinstance(initialization, str | None)
    names = [initialization] * len(scale) if shared else initialization
    params.draw([deviation(scale, names, i, o) for i, o in pairwise(params.dims)], seeds)


def deviation(weight_scale: Tensor, names: Sequence[str | None], i: int, o: int) -> Tensor:
    """Of a layer of each trial, ``(k,)``.

    Args:
        weight_scale: ``(k,)``, for the trials whose name is None.
        names: of the initialization, one a trial.
        i: inputs of the layer.
        o: its outputs.

    Raises:
        ValueError: an unknown name.
    """
    if unknown := [name for name in names if name is not None and name not in DEVIATIONS]:
        raise ValueError(
            f"initialization is {unknown[0]!r}; expected one of {[*DEVIATIONS]}, or None for "
            "weight_scale"
        )
    own = [math.nan if name is None else DEVIATIONS[name](i, o) for name in names]
    given = torch.tensor(own, dtype=weight_scale.dtype, device=weight_scale.device)
    return torch.where(given.isnan(), weight_scale, given)
