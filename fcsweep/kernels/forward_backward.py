"""Forward and backward pass of a minibatch, prepared once for tensors at fixed places.

It computes what ``FullyConnectedNet.loss`` does, layer by layer, but a step allocates no tensor
and makes no view: in small nets these cost more than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from fcsweep.kernels.arithmetic import Product, empty, total
from fcsweep.kernels.hidden_units import ACTIVATIONS, NORMALIZATIONS, Normalization
from fcsweep.kernels.parameters import Parameters

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""``(scores (k, c, n), label (k, 1, n), out) -> loss (k,)``; the gradient goes to ``out``."""

Drop = Callable[[Tensor, int], Tensor | None]
"""Dropout mask for the inputs, 0, or the units of a hidden layer, from 1; None drops nothing."""


class _HiddenLayer(NamedTuple):
    """``Linear``, a normalization, and where the activation reads and writes."""

    linear: Product
    norm: Normalization | None
    before: Tensor
    """What the activation takes; where that is ReLU, also what it leaves, as it is in place."""
    out: Tensor


class Pass:
    """``{Linear - [norm] - activation - [Dropout]} x (L - 1) - Linear - loss``, there and back.

    A call returns the loss ``(k,)`` of the current contents and writes its gradient.

    Args:
        params: of all layers.
        x: the minibatch, ``(k, n, input_dim)``, of length 1 along the trials that share it.
        y: its labels, ``(n,)`` or ``(k, n)``, of type int64; of a loss of numbers, in the type of
            the parameters.
        loss: the arithmetic of the loss.
        grads: receives the gradient.
        activation: a key of ``ACTIVATIONS``. ReLU is computed in place, the others from one piece
            of memory to another.
        normalization: a key of ``NORMALIZATIONS``. A call updates running averages in ``params``.
        drops_inputs: whether a call drops inputs, in memory of each trial's own.

    Raises:
        ValueError: labels of another type or length.
    """

    def __init__(
        self,
        params: Parameters,
        x: Tensor,
        y: Tensor,
        loss: Loss,
        grads: Parameters,
        activation: str = "relu",
        normalization: str = "none",
        drops_inputs: bool = False,
    ) -> None:
        if drops_inputs:
            self._given, (_, n, d), k = x, x.shape, len(params.layers[0][0])
            x = empty(k, n, d, x)
        self._dropped = x if drops_inputs else None
        self._activate = ACTIVATIONS[activation]
        norm = NORMALIZATIONS[normalization]
        self._layers = list[_HiddenLayer]()
        *hidden_layers, last = params.layers
        inputs = x
        for number, (w, b) in enumerate(hidden_layers):
            linear = Product(inputs, w, plus=b)
            before, normalize = linear.out, None
            if norm is not None:
                averages = params.averages[number] if params.averages else None
                scales = params.scales[number], grads.scales[number]
                normalize = norm(before, *scales, averages)
                before = normalize.out
            inputs = before
            if self._activate is not None:
                k, n, h = before.shape
                inputs = empty(k, h, n, before).mT
            self._layers.append(_HiddenLayer(linear, normalize, before, inputs))
        self._last = Product(inputs, last[0], plus=last[1])
        scores = self._last.out

        k, n, c = scores.shape
        if y.shape[-1:] != (n,) or y.dtype not in (torch.int64, scores.dtype):
            raise ValueError(
                f"labels of shape {tuple(y.shape)} and type {y.dtype} for scores of shape "
                f"{tuple(scores.shape)}: expected one integer for each of the {n} examples, of "
                "type torch.int64"
            )
        label, dscores = y.unsqueeze(-2).expand(k, 1, n), empty(k, c, n, scores)
        self._loss = partial(loss, scores.mT, label, dscores)

        dout, self._dx = dscores.mT, list[Product]()
        self._dw, self._db = list[Product](), list[tuple[Tensor, Tensor]]()
        below = [x, *(layer.out for layer in self._layers)]
        layers = zip(below, params.layers, grads.layers, strict=True)
        for inputs, (w, _), (dw, db) in reversed([*layers]):
            self._dw.append(Product(inputs.mT, dout, out=dw))
            self._db.append((dout, db))
            if inputs is not x:
                self._dx.append(Product(dout, w.mT))
                dout = self._dx[-1].out

    def __call__(self, drop: Drop | None = None) -> Tensor:
        """The loss ``(k,)``; ``drop`` makes the dropout masks of this call."""
        if self._dropped is not None:
            self._drop_inputs(self._dropped, drop)
        masks = list[Tensor | None]()
        activate = self._activate
        for number, layer in enumerate(self._layers, 1):
            layer.linear()
            if layer.norm is not None:
                layer.norm.forward()
            if activate is None:
                layer.out.relu_()
            else:
                activate(layer.before, layer.out)
            masks.append(drop(layer.out, number) if drop else None)
            if (mask := masks[-1]) is not None:
                layer.out.mul_(mask)
        self._last()
        loss = self._loss()

        below = zip(reversed(self._layers), reversed(masks), strict=True)
        for dx, (layer, mask) in zip(self._dx, below, strict=True):
            dout = dx()
            if mask is not None:
                dout.mul_(mask)
            if activate is None:
                torch.ops.aten.threshold_backward.grad_input(dout, layer.out, 0, grad_input=dout)
            else:
                dout.mul_(layer.before)
            if layer.norm is not None:
                layer.norm.backward(dout)
        for dw in self._dw:
            dw()
        for dout, db in self._db:
            total(dout, -2, out=db)
        return loss

    def _drop_inputs(self, dropped: Tensor, drop: Drop | None) -> None:
        mask = drop(self._given.expand_as(dropped), 0) if drop else None
        torch.mul(self._given, 1 if mask is None else mask, out=dropped)
