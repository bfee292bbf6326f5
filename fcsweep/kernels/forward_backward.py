"""Forward and backward pass of a minibatch, prepared once for tensors at fixed places.

It computes what ``FullyConnectedNet.loss`` does, layer by layer, but a step allocates no tensor
and makes no view: in small nets these cost more than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from fcsweep.kernels.arithmetic import Product, empty, total
from fcsweep.kernels.hidden_units import ACTIVATIONS
from fcsweep.kernels.parameters import Parameters

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""``(scores (k, c, n), label (k, 1, n), out) -> loss (k,)``; the gradient goes to ``out``."""

Drop = Callable[[Tensor, int], Tensor | None]
"""Dropout mask for the units of a hidden layer, by its number from 1; None drops nothing."""


class Pass:
    """``{Linear - activation - [Dropout]} x (L - 1) - Linear - loss``, forward and backward.

    A call returns the loss ``(k,)`` of the current contents and writes its gradient.

    Args:
        params: of all layers.
        x: the minibatch, ``(k, n, input_dim)``, of length 1 along the trials that share it.
        y: its labels, ``(n,)`` or ``(k, n)``, of type int64.
        loss: the arithmetic of the loss.
        grads: receives the gradient.
        activation: a key of ``ACTIVATIONS``. ReLU is computed in place, the others from one piece
            of memory to another.

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
    ) -> None:
        self._activate = ACTIVATIONS[activation]
        inputs, self._outputs, self._hidden = x, list[Product](), list[Tensor]()
        for w, b in params.layers:
            if self._outputs:
                inputs = self._outputs[-1].out
                if self._activate is not None:
                    k, n, h = inputs.shape
                    inputs = empty(k, h, n, inputs).mT
                self._hidden.append(inputs)
            self._outputs.append(Product(inputs, w, plus=b))
        scores = self._outputs[-1].out

        k, n, c = scores.shape
        if y.shape[-1:] != (n,) or y.dtype != torch.int64:
            raise ValueError(
                f"labels of shape {tuple(y.shape)} and type {y.dtype} for scores of shape "
                f"{tuple(scores.shape)}: expected one integer for each of the {n} examples, of "
                "type torch.int64"
            )
        label, dscores = y.unsqueeze(-2).expand(k, 1, n), empty(k, c, n, scores)
        self._loss = partial(loss, scores.mT, label, dscores)

        dout, self._dx = dscores.mT, list[Product]()
        self._dw, self._db = list[Product](), list[tuple[Tensor, Tensor]]()
        layers = zip([x, *self._hidden], params.layers, grads.layers, strict=True)
        for inputs, (w, _), (dw, db) in reversed([*layers]):
            self._dw.append(Product(inputs.mT, dout, out=dw))
            self._db.append((dout, db))
            if inputs is not x:
                self._dx.append(Product(dout, w.mT))
                dout = self._dx[-1].out

    def __call__(self, drop: Drop | None = None) -> Tensor:
        """The loss ``(k,)``; ``drop`` makes the dropout masks of this call."""
        masks = list[Tensor | None]()
        *hidden_layers, scores = self._outputs
        activate = self._activate
        for number, (layer, hidden) in enumerate(zip(hidden_layers, self._hidden, strict=True), 1):
            if activate is None:
                layer().relu_()
            else:
                activate(layer(), hidden)
            masks.append(drop(hidden, number) if drop else None)
            if (mask := masks[-1]) is not None:
                hidden.mul_(mask)
        scores()
        loss = self._loss()

        below = zip(reversed(hidden_layers), reversed(self._hidden), reversed(masks), strict=True)
        for dx, (layer, hidden, mask) in zip(self._dx, below, strict=True):
            dhidden = dx()
            if mask is not None:
                dhidden.mul_(mask)
            if activate is not None:
                dhidden.mul_(layer.out)
                continue
            torch.ops.aten.threshold_backward.grad_input(dhidden, hidden, 0, grad_input=dhidden)
        for dw in self._dw:
            dw()
        for dout, db in self._db:
            total(dout, -2, out=db)
        return loss
