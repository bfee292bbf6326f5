"""Layers by hand: ``forward(...) -> (out, cache)`` and ``backward(dout, cache)`` side by side.

Leading axes ``*t`` are trials: none for a single trial, ``(k,)`` for a stack of ``k``. Only the
last axes have meaning. Nothing handed in is modified. After CS231n (assignment 2) and
EECS 498/598 (assignment 3); Dropout is "inverted" (Srivastava et al., 2014).

``LinearForward`` and ``LinearBackward`` are what ``Linear`` computes, prepared once for tensors
that stay where they are in memory, to be called again as their values change.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NotRequired, TypedDict

import torch
from torch import Tensor

from fcsweep.kernels.arithmetic import Product, total
from fcsweep.kernels.random_streams import Stream, generator

LinearCache = tuple[Tensor, Tensor, Tensor]
LinearReLUCache = tuple[LinearCache, Tensor]
DropoutCache = Tensor | None


class LinearForward:
    """``y = x w + b`` of ``x (*t, n, i)``, ``w (*t, i, o)``, ``b (*t, o)``, prepared once.

    Calling it computes ``out (*t, n, o)`` from what they hold then.
    """

    def __init__(self, x: Tensor, w: Tensor, b: Tensor) -> None:
        self._y = Product(x, w, plus=b)
        self.out = self._y.out

    def __call__(self) -> Tensor:
        """Compute ``out``."""
        return self._y()


class LinearBackward:
    """The gradients of ``LinearForward`` where that of ``y`` is ``dout``, prepared once.

    ``dw`` and ``db`` are written to memory that is given, or else new.
    """

    def __init__(
        self,
        dout: Tensor,
        x: Tensor,
        w: Tensor,
        dw: Tensor | None = None,
        db: Tensor | None = None,
    ) -> None:
        self._dout = dout
        self._dw = Product(x.mT, dout, out=dw)
        self._db = torch.empty_like(dout[..., 0, :]) if db is None else db
        self._w = w

    @cached_property
    def dx(self) -> Product:
        """The gradient at ``x``, which a first layer does not need."""
        return Product(self._dout, self._w.mT)

    def parameters(self) -> tuple[Tensor, Tensor]:
        """Compute ``dw`` and ``db``."""
        return self._dw(), total(self._dout, -2, out=self._db)


class Linear:
    """Affine map of each example, ``y = x w + b``."""

    @staticmethod
    def forward(x: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, LinearCache]:
        """``n`` examples ``x (*t, n, ...)`` of ``i`` numbers each become ``(*t, n, o)``.

        ``w (*t, i, o)``, ``b (*t, o)``. ``x`` has as many trial axes as ``w``; of length 1, its
        examples are shared by the whole stack and not copied.
        """
        return Product(_rows(x, w), w, plus=b).once(), (x, w, b)

    @staticmethod
    def backward(dout: Tensor, cache: LinearCache) -> tuple[Tensor, Tensor, Tensor]:
        """``dx (*t, n, ...)``, ``dw`` and ``db`` of the loss whose gradient at ``y`` is ``dout``.

        Where a stack shares ``x``, ``dx`` still has a gradient for each trial.
        """
        x, w, _ = cache
        gradients = LinearBackward(dout, _rows(x, w), w)
        dx = gradients.dx()
        dx = dx if x.ndim == w.ndim else dx.unflatten(-1, x.shape[w.ndim - 1 :])
        return dx, *gradients.parameters()


def _rows(x: Tensor, w: Tensor) -> Tensor:
    """``(*t, n, ...)`` as ``(*t, n, i)``."""
    return x if x.ndim == w.ndim else x.flatten(w.ndim - 1)


class ReLU:
    """``y = max(x, 0)``, with derivative 0 at a tie."""

    @staticmethod
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        """Any shape."""
        out = x.relu()
        return out, out

    @staticmethod
    def backward(dout: Tensor, cache: Tensor) -> Tensor:
        """``dx`` of the same shape."""
        return torch.ops.aten.threshold_backward(dout, cache, 0)

    @staticmethod
    def backward_(dout: Tensor, cache: Tensor) -> Tensor:
        """``backward`` in place of ``dout``."""
        return torch.ops.aten.threshold_backward.grad_input(dout, cache, 0, grad_input=dout)


class Linear_ReLU:  # noqa: N801 -- the name that the courses use
    """``Linear`` and then ``ReLU``."""

    @staticmethod
    def forward(x: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, LinearReLUCache]:
        """Shapes as in ``Linear.forward``."""
        hidden, linear = Linear.forward(x, w, b)
        out = hidden.relu_()
        return out, (linear, out)

    @staticmethod
    def backward(dout: Tensor, cache: LinearReLUCache) -> tuple[Tensor, Tensor, Tensor]:
        """Shapes as in ``Linear.backward``."""
        linear, out = cache
        return Linear.backward(ReLU.backward(dout, out), linear)


class DropoutParam(TypedDict):
    """What ``Dropout.forward`` wants to know."""

    mode: str
    """``"train"`` drops, ``"test"`` does nothing."""
    p: float | Tensor
    """Probability of dropping a unit, in [0, 1); ``(*t,)`` for one each trial."""
    seed: NotRequired[int | Sequence[Stream] | None]
    """Equal seeds draw equal masks; a list has one a trial. None: torch's global generator."""


class Dropout:
    """Drop units at random while training, and scale the others by ``1 / (1 - p)``.

    ``p`` is the probability of dropping a unit, as in EECS 498/598. In CS231n (2022) ``p`` is
    that of keeping one: give ``1 - p`` instead.
    """

    @staticmethod
    def forward(x: Tensor, dropout_param: DropoutParam) -> tuple[Tensor, DropoutCache]:
        """``x (*t, n, h)`` in, the same shape out.

        Raises:
            ValueError: a mode other than ``"train"`` and ``"test"``, or ``p`` outside [0, 1).
        """
        mask = Dropout.mask(x, dropout_param)
        return (x if mask is None else x * mask), mask

    @staticmethod
    def backward(dout: Tensor, cache: DropoutCache) -> Tensor:
        """``dx`` of the same shape."""
        return dout if cache is None else dout * cache

    @staticmethod
    def mask(x: Tensor, dropout_param: DropoutParam) -> DropoutCache:
        """What ``forward`` multiplies with; None in test mode."""
        mode, p = dropout_param["mode"], torch.as_tensor(dropout_param["p"], dtype=x.dtype)
        if mode not in ("train", "test"):
            raise ValueError(f"dropout mode is {mode!r}; expected 'train' or 'test'")
        if p.is_cpu and not ((p >= 0) & (p < 1)).all():  # on a GPU, looking would stall it
            raise ValueError(f"dropout p is {p.tolist()}; expected a probability in [0, 1)")
        if mode == "test":
            return None
        p = p.to(x).reshape(*p.shape, *[1] * (x.ndim - p.ndim))
        return (_uniform(x, dropout_param.get("seed")) >= p) / (1 - p)


def _uniform(x: Tensor, seed: int | Sequence[Stream] | None) -> Tensor:
    """Numbers in [0, 1) in the shape of ``x``; a trial draws the same ones in any stack."""

    def draw(shape: torch.Size, source: torch.Generator | None) -> Tensor:
        return torch.rand(shape, generator=source, dtype=x.dtype, device=x.device)

    if seed is None or isinstance(seed, int):
        return draw(x.shape, None if seed is None else generator(seed, device=x.device))
    masks = {stream: draw(x.shape[1:], generator(*stream, device=x.device)) for stream in seed}
    return torch.stack([masks[stream] for stream in seed])
