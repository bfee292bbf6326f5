"""Layers by hand: ``forward(...) -> (out, cache)`` and ``backward(dout, cache)`` side by side.

Leading axes ``*t`` are trials: none for a single trial, ``(k,)`` for a stack of ``k``. Only the
last axes have meaning. Nothing handed in is modified. NumPy arrays may take the place of tensors:
then arrays come back. After CS231n (assignment 2) and EECS 498/598 (assignment 3); Dropout is
"inverted" (Srivastava et al., 2014).
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

import torch
from torch import Tensor

from fcsweep.kernels.arithmetic import product, total
from fcsweep.kernels.arrays import plain, takes_arrays
from fcsweep.kernels.hidden_units import DENSITY_AT_0, SLOPE, SQRT_HALF
from fcsweep.kernels.random_streams import Stream, generator

LinearCache = tuple[Tensor, Tensor]
LinearReLUCache = tuple[LinearCache, Tensor]
DropoutCache = Tensor | None
DROP_EXPECTED = (
    "expected a probability in [0, 1), that of dropping a unit, as in EECS 498/598: where CS231n "
    "gives that of keeping one, give 1 minus it (0 keeps all)"
)
Seed = int | Stream | list[Stream] | None


class Linear:
    """Affine map of each example, ``y = x w + b``."""

    @staticmethod
    @takes_arrays
    def forward(x: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, LinearCache]:
        """``n`` examples ``x (*t, n, ...)`` of ``i`` numbers each become ``(*t, n, o)``.

        ``w (*t, i, o)``, ``b (*t, o)``. ``x`` has as many trial axes as ``w``; of length 1, its
        examples are shared by the whole stack and not copied.
        """
        rows = x.flatten(w.ndim - 1)  # (*t, n, i)
        out = product(rows, w).add_(b.unsqueeze(-2))
        return out, (x, w)

    @staticmethod
    @takes_arrays
    def backward(dout: Tensor, cache: LinearCache) -> tuple[Tensor, Tensor, Tensor]:
        """``dx (*t, n, ...)``, ``dw`` and ``db`` of the loss whose gradient at ``y`` is ``dout``.

        ``dx = dout w^T``, ``dw = x^T dout``, and ``db`` is the sum of ``dout`` over the examples.
        Where a stack shares ``x``, ``dx`` still has a gradient for each trial.
        """
        x, w = cache
        rows = x.flatten(w.ndim - 1)
        dx = torch.unflatten(product(dout, w.mT), -1, x.shape[w.ndim - 1 :])
        dw = product(rows.mT, dout)
        db = total(dout, -2)
        return dx, dw, db


class ReLU:
    """``y = max(x, 0)``, with derivative 0 at ``x = 0``."""

    @staticmethod
    @takes_arrays
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` of any shape; the cache is ``y``, which is positive where ``x`` is."""
        out = x.relu()
        return out, out

    @staticmethod
    @takes_arrays
    def backward(dout: Tensor, cache: Tensor) -> Tensor:
        """``dx`` of the same shape: 0 where ``x <= 0``, else ``dout``."""
        return torch.where(cache <= 0, 0, dout)


class Linear_ReLU:  # noqa: N801 -- the name that the courses use
    """``Linear`` and then ``ReLU``."""

    @staticmethod
    @takes_arrays
    def forward(x: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, LinearReLUCache]:
        """Shapes as in ``Linear.forward``."""
        hidden, linear = Linear.forward(x, w, b)
        out = hidden.relu_()
        return out, (linear, out)

    @staticmethod
    @takes_arrays
    def backward(dout: Tensor, cache: LinearReLUCache) -> tuple[Tensor, Tensor, Tensor]:
        """Shapes as in ``Linear.backward``."""
        linear, out = cache
        return Linear.backward(ReLU.backward(dout, out), linear)


class LeakyReLU:
    """``y = x`` where ``x > 0``, else ``0.01 x`` (Maas et al., 2013); derivative 0.01 at 0."""

    @staticmethod
    @takes_arrays
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` of any shape; the cache is ``y``, which is positive where ``x`` is."""
        out = torch.maximum(x, x * SLOPE)
        return out, out

    @staticmethod
    @takes_arrays
    def backward(dout: Tensor, cache: Tensor) -> Tensor:
        """``dx`` of the same shape: ``dout`` where ``x > 0``, else ``0.01 dout``."""
        return torch.where(cache > 0, dout, dout * SLOPE)


class Tanh:
    """``y = tanh(x)``."""

    @staticmethod
    @takes_arrays
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` of any shape; the cache is ``y``."""
        out = x.tanh()
        return out, out

    @staticmethod
    @takes_arrays
    def backward(dout: Tensor, cache: Tensor) -> Tensor:
        """``dx`` of the same shape: ``dout (1 - y^2)``."""
        return dout * (1 - cache * cache)


class GELU:
    """``y = x P(X <= x)`` with ``X`` from N(0, 1) (Hendrycks and Gimpel, 2016); not approximate.

    Of separate operations: torch's own rounds by the place of an element in a stack.
    """

    @staticmethod
    @takes_arrays
    def forward(x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """``x`` of any shape; the cache is ``x`` and the probability."""
        cdf = ((x * SQRT_HALF).erf() + 1) * 0.5
        return x * cdf, (x, cdf)

    @staticmethod
    @takes_arrays
    def backward(dout: Tensor, cache: tuple[Tensor, Tensor]) -> Tensor:
        """``dx`` of the same shape: ``dout (P(X <= x) + x p(x))``, ``p`` being the density."""
        x, cdf = cache
        density = (x * x * -0.5).exp() * DENSITY_AT_0
        return dout * (cdf + x * density)


class LinearThen:
    """``Linear`` and then an activation: what ``Linear_ReLU`` is with ``ReLU``."""

    def __init__(self, activation: Any) -> None:
        self.activation = activation

    def forward(self, x: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Any]:
        """Shapes as in ``Linear.forward``."""
        hidden, linear = Linear.forward(x, w, b)
        out, cache = self.activation.forward(hidden)
        return out, (linear, cache)

    def backward(self, dout: Tensor, cache: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Shapes as in ``Linear.backward``."""
        linear, activation = cache
        return Linear.backward(self.activation.backward(dout, activation), linear)


ACTIVATIONS = {"relu": ReLU, "leaky_relu": LeakyReLU, "tanh": Tanh, "gelu": GELU}

HIDDEN = {name: LinearThen(one) for name, one in ACTIVATIONS.items()} | {"relu": Linear_ReLU}
"""A hidden layer with each activation."""


def probability(name: str, p: Tensor, given: Any = None) -> Tensor:
    """``p``, each of dropping.

    Raises:
        ValueError: one is outside [0, 1); the message has what was ``given``.
    """
    if not ((p >= 0) & (p < 1)).all():
        if given is None:
            given = p.tolist()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        raise ValueError(f"{name} is {given}; {DROP_EXPECTED}")
    return p


class DropoutParam(TypedDict):
    """What ``Dropout.forward`` wants to know."""

    mode: str
    """``"train"`` drops, ``"test"`` does nothing."""
    p: float | Tensor
    """Probability of dropping a unit, in [0, 1); ``(*t,)`` for one each trial."""
    seed: NotRequired[Seed]
    """Equal seeds draw equal masks; a list has one a trial. None: torch's global generator."""


class Dropout:
    """Drop units at random while training, and scale the others by ``1 / (1 - p)``.

    ``p`` is the probability of dropping a unit, as in EECS 498/598. In CS231n (2022) ``p`` is
    that of keeping one: give ``1 - p`` instead.
    """

    @staticmethod
    @takes_arrays
    def forward(x: Tensor, dropout_param: DropoutParam) -> tuple[Tensor, DropoutCache]:
        """``x (*t, n, h)`` in, the same shape out; the cache is the mask.

        Raises:
            ValueError: a mode other than ``"train"`` and ``"test"``, or ``p`` outside [0, 1).
        """
        mask = Dropout.mask(x, dropout_param)
        return (x if mask is None else x * mask), mask

    @staticmethod
    @takes_arrays
    def backward(dout: Tensor, cache: DropoutCache) -> Tensor:
        """``dx`` of the same shape."""
        return dout if cache is None else dout * cache

    @staticmethod
    def mask(x: Tensor, dropout_param: DropoutParam) -> DropoutCache:
        """What ``forward`` multiplies by: 0 or ``1 / (1 - p)``; None in test mode."""
        mode, p = dropout_param["mode"], torch.as_tensor(dropout_param["p"], dtype=x.dtype)
        if mode not in ("train", "test"):
            raise ValueError(f"dropout mode is {mode!r}; expected 'train' or 'test'")
        if p.is_cpu:  # on a GPU, looking would stall it
            probability("dropout p", p)
        if mode == "test":
            return None
        p = p.to(x).reshape(*p.shape, *[1] * (x.ndim - p.ndim))
        return (_uniform(x, dropout_param.get("seed")) >= p) / (1 - p)


def _uniform(x: Tensor, seed: Seed) -> Tensor:
    """Numbers in [0, 1) in the shape of ``x``; a trial draws the same ones in any stack."""

    def draw(shape: torch.Size, seed: int | Stream | None) -> Tensor:
        stream = (seed,) if isinstance(seed, int) else seed
        source = None if stream is None else generator(*stream, device=x.device)
        return torch.rand(shape, generator=source, dtype=x.dtype, device=x.device)

    seed = plain(seed)
    if not isinstance(seed, list):
        return draw(x.shape, seed)
    each = {stream: draw(x.shape[1:], stream) for stream in seed}
    return torch.stack([each[stream] for stream in seed])
