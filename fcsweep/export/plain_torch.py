"""A trained net as an ``nn.Sequential``: its layers in memory, and the source of a ``model.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from fcsweep.config import LayeredConfig, RunConfig, TorchConfig, sizes
from fcsweep.kernels.hidden_units import SLOPE

ACTIVATIONS = {
    "relu": ("ReLU", ()),
    "leaky_relu": ("LeakyReLU", (SLOPE,)),
    "tanh": ("Tanh", ()),
    "gelu": ("GELU", ()),
}
"""The class of ``torch.nn`` and its arguments; dropout does nothing to a trained net."""
AFFINE = {"weight": "W", "bias": "b"}
NORMAL = {"weight": "gamma", "bias": "beta"}
RUNNING = {"running_mean": "running_mean", "running_var": "running_var"}
NORMALIZATIONS = {"batch": ("BatchNorm1d", NORMAL | RUNNING), "layer": ("LayerNorm", NORMAL)}
"""The class, and what our names for its parameters begin with."""

Part = tuple[str, tuple[float, ...], dict[str, str]]
"""Class and arguments of a module, and our names for its parameters."""

SOURCE = '''"""A trained net of fcsweep as plain torch.

    from model import load

    net = load()
{use}
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


OF_CLASSES = """\
    scores = net(x)  # x: (n, {inputs}), scores: (n, {classes}), both {dtype}
    probabilities = scores.softmax(-1)

preprocessing.json says how x is made, and what the classes are."""
OF_A_QUANTITY = """\
    y = net(x)[:, 0] * target_scale + target_mean  # x: (n, {inputs}), {dtype}

preprocessing.json says how x is made, and has the two numbers."""


def source(config: RunConfig) -> str:
    """The text of ``model.py``: of nothing but numbers and words of our own."""
    layers = [
        f"        nn.{name}({', '.join(map(repr, given))})," for name, given, _ in _parts(config)
    ]
    inputs, *_, classes = sizes.units(config)
    use = (OF_A_QUANTITY if classes == 1 else OF_CLASSES).format(
        inputs=inputs, classes=classes, dtype=config.dtype
    )
    return SOURCE.format(use=use, layers="\n".join(layers), dtype=config.dtype)


def build(config: RunConfig) -> nn.Sequential:
    """What ``build`` of that ``model.py`` returns."""
    modules = [getattr(nn, name)(*given) for name, given, _ in _parts(config)]
    return nn.Sequential(*modules).to(getattr(torch, config.dtype))


def state_dict(config: RunConfig, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters ``W1``, ``b1``, ... by the names that the ``nn.Sequential`` has for them."""
    state: dict[str, Tensor] = {}
    for place, (module, _, names) in enumerate(_parts(config)):
        for there, here in names.items():
            p = params[here]
            p = p.mT if (module, there) == ("Linear", "weight") else p
            state[f"{place}.{there}"] = p.contiguous()
    return state


def layers_of(config: RunConfig) -> LayeredConfig:
    """The model of a run, whose layers the config knows."""
    assert not isinstance(config.model, TorchConfig)  # it is plain torch already
    return config.model


def _parts(config: RunConfig) -> Iterator[Part]:
    """The modules, first to last."""
    *hidden, last = pairwise(sizes.units(config))
    for number, (inputs, outputs) in enumerate(hidden, 1):
        yield "Linear", (inputs, outputs), _named(AFFINE, number)
        if layers_of(config).normalization != "none":
            name, params = NORMALIZATIONS[layers_of(config).normalization]
            yield name, (outputs,), _named(params, number)
        yield *ACTIVATIONS[layers_of(config).activation], {}
    yield "Linear", last, _named(AFFINE, len(hidden) + 1)


def _named(params: Mapping[str, str], number: int) -> dict[str, str]:
    return {there: f"{here}{number}" for there, here in params.items()}
