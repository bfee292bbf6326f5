"""A trained net as an ``nn.Sequential``: its layers in memory, and the source of a ``model.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from fcsweep.config import RunConfig, sizes
from fcsweep.kernels.activations import SLOPE

ACTIVATIONS = {
    "relu": ("ReLU", ()),
    "leaky_relu": ("LeakyReLU", (SLOPE,)),
    "tanh": ("Tanh", ()),
    "gelu": ("GELU", ()),
}
"""The class of ``torch.nn`` and its arguments; dropout does nothing to a trained net."""

SOURCE = '''"""A trained net of fcsweep as plain torch.

    from model import load

    net = load()
    scores = net(x)  # x: (n, {inputs}), scores: (n, {classes}), both {dtype}
    probabilities = scores.softmax(-1)

preprocessing.json says how x is made, and what the classes are.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn


def build():
    """The layers, not trained."""
    return nn.Sequential(
{layers}
    ).to(torch.{dtype})


def load(path=Path(__file__).with_name("model.safetensors")):
    """The trained net."""
    net = build()
    net.load_state_dict(load_file(path))
    return net.eval()
'''


def source(config: RunConfig) -> str:
    """The text of ``model.py``: of nothing but numbers and words of our own."""
    layers = [
        f"        nn.{name}({', '.join(map(repr, given))})," for name, given in _parts(config)
    ]
    inputs, *_, classes = sizes.units(config)
    shown = {"inputs": inputs, "classes": classes, "dtype": config.dtype}
    return SOURCE.format(layers="\n".join(layers), **shown)


def build(config: RunConfig) -> nn.Sequential:
    """What ``build`` of that ``model.py`` returns."""
    modules = [getattr(nn, name)(*given) for name, given in _parts(config)]
    return nn.Sequential(*modules).to(getattr(torch, config.dtype))


def state_dict(params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters ``W1``, ``b1``, ... by the names that the ``nn.Sequential`` has for them."""
    state: dict[str, Tensor] = {}
    for number in range(len(params) // 2):
        state[f"{2 * number}.weight"] = params[f"W{number + 1}"].mT.contiguous()
        state[f"{2 * number}.bias"] = params[f"b{number + 1}"].contiguous()
    return state


def _parts(config: RunConfig) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Name and arguments of each module, first to last."""
    units = sizes.units(config)
    for number, (inputs, outputs) in enumerate(pairwise(units)):
        if number:
            yield ACTIVATIONS[config.model.activation]
        yield "Linear", (inputs, outputs)
