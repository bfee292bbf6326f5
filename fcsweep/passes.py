"""A minibatch through the layers and back, prepared once for tensors that stay where they are.

What ``Linear``, ``ReLU`` and a loss do one after another, without making a tensor or a view of one
in each step: in small nets that costs more than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from fcsweep.kernels.parameters import Parameters
from fcsweep.layers import LinearBackward, LinearForward, ReLU
from fcsweep.losses import Loss

Drop = Callable[[Tensor, int], Tensor | None]
"""Dropout mask for the units of a hidden layer, by its number from 1; None drops nothing."""


class Pass:
    """``{Linear - ReLU - [Dropout]} x (L - 1) - Linear - loss``, forward and backward.

    Calling it returns the loss ``(k,)`` of what the tensors hold then, and writes its gradient.

    Args:
        params: of all layers.
        x: the minibatch, ``(k, n, input_dim)``, of length 1 along the trials that share it.
        y: its labels, ``(n,)`` or ``(k, n)``, of type int64.
        loss: what to minimise.
        grads: where the gradient goes.
    """

    def __init__(
        self, params: Parameters, x: Tensor, y: Tensor, loss: type[Loss], grads: Parameters
    ) -> None:
        inputs, self._forward = x, list[LinearForward]()
        for w, b in params.layers:
            self._forward.append(LinearForward(inputs, w, b))
            inputs = self._forward[-1].out
        self._hidden = [layer.out for layer in self._forward[:-1]]
        self._loss = loss(inputs, y)

        dout, self._backward = self._loss.dscores, list[LinearBackward]()
        layers = zip([x, *self._hidden], params.layers, grads.layers, strict=True)
        for inputs, (w, _), (dw, db) in reversed([*layers]):
            self._backward.append(LinearBackward(dout, inputs, w, dw, db))
            if inputs is not x:
                dout = self._backward[-1].dx.out

    def __call__(self, drop: Drop | None = None) -> Tensor:
        """The loss ``(k,)``; ``drop`` makes the dropout masks of this call."""
        masks = list[Tensor | None]()
        *hidden_layers, scores = self._forward
        for number, layer in enumerate(hidden_layers, start=1):
            hidden = layer().relu_()
            masks.append(drop(hidden, number) if drop else None)
            if (mask := masks[-1]) is not None:
                hidden.mul_(mask)
        scores()
        loss = self._loss()

        *upper_layers, first = self._backward
        below = reversed([*zip(self._hidden, masks, strict=True)])
        for layer, (hidden, mask) in zip(upper_layers, below, strict=True):
            layer.parameters()
            dhidden = layer.dx()
            if mask is not None:
                dhidden.mul_(mask)
            ReLU.backward_(dhidden, hidden)
        first.parameters()
        return loss
