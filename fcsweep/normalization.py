"""Normalization of hidden units by hand, forward and backward side by side as in ``layers``.

A normalized hidden layer is ``Linear - normalization - activation``. The normalization is
``y = gamma z + beta`` with ``z = (x - mean) / sqrt(var + eps)``, so that ``z`` has mean 0 and
variance 1: with ``BatchNorm`` each unit over the examples of a minibatch (Ioffe and Szegedy, 2015),
with ``LayerNorm`` each example over its units (Ba et al., 2016). Variances are biased, ``eps`` is
1e-5 and the running averages have momentum 0.9, as in CS231n (assignment 2).
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from torch import Tensor

from fcsweep.kernels.arithmetic import total
from fcsweep.kernels.arrays import takes_arrays
from fcsweep.kernels.hidden_units import EPS, MOMENTUM
from fcsweep.kernels.parameters import Parameters
from fcsweep.layers import ACTIVATIONS, HIDDEN, Linear

NormCache = tuple[Tensor, Tensor, Tensor]


class NormParam(TypedDict):
    """What a normalization wants to know; ``LayerNorm`` needs the ``mode`` for its form alone."""

    mode: str
    """``"train"`` normalizes a minibatch by its own statistics, ``"test"`` by the running ones."""
    eps: NotRequired[float]
    """Added to the variance; 1e-5."""
    momentum: NotRequired[float]
    """Part of a running average that is kept in a training step; 0.9."""
    running_mean: NotRequired[Tensor]
    """``(*t, h)``, changed in place in ``"train"`` mode; zeros are put here if there is none."""
    running_var: NotRequired[Tensor]
    """Likewise."""


class BatchNorm:
    """Each unit gets mean ``beta`` and standard deviation ``gamma`` over the minibatch.

    A minibatch of a single example has no variance: ``z`` is 0, and the running averages stay.
    """

    @staticmethod
    @takes_arrays
    def forward(
        x: Tensor, gamma: Tensor, beta: Tensor, bn_param: NormParam
    ) -> tuple[Tensor, NormCache]:
        """``x (*t, n, h)`` in, the same shape out; ``gamma`` and ``beta`` are ``(*t, h)``.

        Raises:
            ValueError: a mode other than ``"train"`` and ``"test"``.
        """
        n, eps, momentum = x.shape[-2], bn_param.get("eps", EPS), bn_param.get("momentum", MOMENTUM)
        running_mean = bn_param.setdefault("running_mean", x.new_zeros(gamma.shape))
        running_var = bn_param.setdefault("running_var", x.new_zeros(gamma.shape))
        if _trains(bn_param):
            mean = total(x, -2) / n
            deviation = x - mean.unsqueeze(-2)
            var = total(deviation * deviation, -2) / n
            if n > 1:
                running_mean.mul_(momentum).add_(mean * (1 - momentum))
                running_var.mul_(momentum).add_(var * (1 - momentum))
        else:
            deviation, var = x - running_mean.unsqueeze(-2), running_var
        std = (var + eps).sqrt().unsqueeze(-2)
        z = deviation / std
        return z * gamma.unsqueeze(-2) + beta.unsqueeze(-2), (z, std, gamma.unsqueeze(-2))

    @staticmethod
    @takes_arrays
    def backward(dout: Tensor, cache: NormCache) -> tuple[Tensor, Tensor, Tensor]:
        """``dx (*t, n, h)``, ``dgamma`` and ``dbeta (*t, h)`` of a ``forward`` in training.

        ``dgamma = sum(dout z)`` and ``dbeta = sum(dout)`` over the examples. As mean and variance
        depend on ``x``, too: ``dx = (dout - (dbeta + z dgamma) / n) gamma / std``.
        """
        z, std, gamma = cache
        dbeta = total(dout, -2)
        dgamma = total(dout * z, -2)
        shared = (z * dgamma.unsqueeze(-2) + dbeta.unsqueeze(-2)) / dout.shape[-2]
        dx = (dout - shared) * (gamma / std)
        return dx, dgamma, dbeta


class LayerNorm:
    """The units of each example get mean 0 and variance 1, then ``gamma`` and ``beta`` of a unit.

    The same in both modes: an example does not depend on the others of its minibatch.
    """

    @staticmethod
    @takes_arrays
    def forward(
        x: Tensor, gamma: Tensor, beta: Tensor, ln_param: NormParam
    ) -> tuple[Tensor, NormCache]:
        """``x (*t, n, h)`` in, the same shape out; ``gamma`` and ``beta`` are ``(*t, h)``.

        Raises:
            ValueError: a mode other than ``"train"`` and ``"test"``.
        """
        h, eps = x.shape[-1], ln_param.get("eps", EPS)
        _trains(ln_param)
        mean = total(x, -1) / h
        deviation = x - mean.unsqueeze(-1)
        var = total(deviation * deviation, -1) / h
        std = (var + eps).sqrt().unsqueeze(-1)
        z = deviation / std
        return z * gamma.unsqueeze(-2) + beta.unsqueeze(-2), (z, std, gamma.unsqueeze(-2))

    @staticmethod
    @takes_arrays
    def backward(dout: Tensor, cache: NormCache) -> tuple[Tensor, Tensor, Tensor]:
        """``dx (*t, n, h)``, ``dgamma`` and ``dbeta (*t, h)``.

        With ``dz = dout gamma``, and means over the units of an example:
        ``dx = (dz - mean(dz) - z mean(dz z)) / std``.
        """
        z, std, gamma = cache
        h = dout.shape[-1]
        dbeta = total(dout, -2)
        dgamma = total(dout * z, -2)
        dz = dout * gamma
        mean_dz = (total(dz, -1) / h).unsqueeze(-1)
        mean_dz_z = (total(dz * z, -1) / h).unsqueeze(-1)
        dx = (dz - z * mean_dz_z - mean_dz) / std
        return dx, dgamma, dbeta


class LinearNormThen:
    """``Linear``, a normalization, and then an activation."""

    def __init__(self, normalization: Any, activation: Any) -> None:
        self.normalization, self.activation = normalization, activation

    def forward(
        self,
        x: Tensor,
        w: Tensor,
        b: Tensor,
        gamma: Tensor,
        beta: Tensor,
        norm_param: NormParam,
    ) -> tuple[Tensor, Any]:
        """Shapes as in ``Linear.forward`` and ``BatchNorm.forward``."""
        affine, linear = Linear.forward(x, w, b)
        normal, normalization = self.normalization.forward(affine, gamma, beta, norm_param)
        out, activation = self.activation.forward(normal)
        return out, (linear, normalization, activation)

    def backward(self, dout: Tensor, cache: Any) -> tuple[Tensor, ...]:
        """``dx``, ``dw``, ``db``, ``dgamma`` and ``dbeta``."""
        linear, normalization, activation = cache
        dnormal = self.activation.backward(dout, activation)
        daffine, dgamma, dbeta = self.normalization.backward(dnormal, normalization)
        return *Linear.backward(daffine, linear), dgamma, dbeta


NORMALIZATIONS = {"none": None, "batch": BatchNorm, "layer": LayerNorm}

NAMES = {None: "none", "batchnorm": "batch", "layernorm": "layer"}
"""What CS231n calls them."""


def normalization_of(name: str | None) -> str:
    """A key of ``NORMALIZATIONS``, also by the course's name.

    Raises:
        ValueError: there is no such normalization.
    """
    key = NAMES.get(name, name)
    if key not in NORMALIZATIONS:
        raise ValueError(f"normalization is {name!r}; expected one of {[*NORMALIZATIONS]}")
    return key


def hidden_layer(activation: str, normalization: str) -> Any:
    """``forward`` and ``backward`` of a hidden layer but its dropout."""
    norm = NORMALIZATIONS[normalization]
    return HIDDEN[activation] if norm is None else LinearNormThen(norm, ACTIVATIONS[activation])


def layers_of(params: Parameters, mode: str) -> list[tuple[Any, ...]]:
    """What each layer takes beside ``x``: ``W (*t, i, o)`` and ``b (*t, o)``.

    Also ``gamma``, ``beta`` and the ``norm_param`` of a mode, if it is normalized.
    """
    layers = list[tuple[Any, ...]]()
    for number in range(1, len(params.dims)):
        layer: tuple[Any, ...] = params[f"W{number}"], params[f"b{number}"]
        if f"gamma{number}" in params:
            names = [name for name in RUNNING if f"{name}{number}" in params]
            running = {name: params[f"{name}{number}"] for name in names}
            norm_param = {"mode": mode, **running}
            layer += params[f"gamma{number}"], params[f"beta{number}"], norm_param
        layers.append(layer)
    return layers


RUNNING = ("running_mean", "running_var")


def _trains(param: NormParam) -> bool:
    if (mode := param["mode"]) not in ("train", "test"):
        raise ValueError(f"normalization mode is {mode!r}; expected 'train' or 'test'")
    return mode == "train"
