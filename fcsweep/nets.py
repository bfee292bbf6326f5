"""Fully connected nets from scratch: ``{Linear - ReLU - [Dropout]} x (L - 1) - Linear - loss``.

One class for one trial and for a stack of them: where ``weight_scale``, ``reg``, ``dropout`` or
``seed`` has ``k`` values, every parameter has a leading axis of ``k`` trials, which never meet.
After ``FullyConnectedNet`` and ``TwoLayerNet`` of CS231n and EECS 498/598.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fcsweep.kernels.arithmetic import total
from fcsweep.kernels.parameters import Parameters
from fcsweep.layers import Dropout, DropoutCache, Linear, Linear_ReLU
from fcsweep.losses import SoftmaxLoss, SvmLoss, check_labels
from fcsweep.passes import Pass

LOSSES = {"softmax": SoftmaxLoss, "svm": SvmLoss}

PerTrial = float | Sequence[float] | Tensor


class FullyConnectedNet:
    """A classifier with any number of hidden layers.

    ``params`` holds ``W1`` ``(*t, input_dim, hidden_dims[0])``, ``b1`` and so on. Weights are drawn
    from N(0, weight_scale**2), W1 first, on the CPU (the same ones on every device); biases are 0.

    Args:
        hidden_dims: units of each hidden layer.
        input_dim: numbers an example has.
        num_classes: scores an example gets.
        dropout: probability of dropping a hidden unit while training, in [0, 1), as in EECS
            498/598. CS231n's ``dropout_keep_ratio`` is that of keeping one: give
            ``1 - dropout_keep_ratio``.
        reg: strength of the L2 term, ``l2_factor * reg * sum(W**2)`` over all weights.
        weight_scale: standard deviation of the initial weights.
        loss_function: ``"softmax"`` or ``"svm"``.
        seed: of the initial weights and of the dropout masks, which are then the same in every call
            of ``loss`` until ``step`` changes, so that gradients can be checked; the Solver counts
            ``step`` on. None draws both from torch's global generator.
        dtype: of parameters and scores.
        device: where the parameters lie.
        l2_factor: of the L2 term, >= 0; 0.5 in the fully connected nets of both courses.

    ``dropout``, ``reg``, ``weight_scale`` and ``seed`` may each have one value a trial.

    Raises:
        ValueError: an argument out of its range, or unequal numbers of trials.
    """

    def __init__(
        self,
        hidden_dims: Sequence[int],
        input_dim: int = 3072,
        num_classes: int = 10,
        dropout: PerTrial = 0.0,
        reg: PerTrial = 0.0,
        weight_scale: PerTrial = 1e-2,
        loss_function: str = "softmax",
        seed: int | Sequence[int] | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        l2_factor: float = 0.5,
    ) -> None:
        if not l2_factor >= 0:
            raise ValueError(f"l2_factor is {l2_factor}; expected a number >= 0, such as 0.5 or 1")
        if loss_function not in LOSSES:
            raise ValueError(f"loss_function is {loss_function!r}; expected one of {[*LOSSES]}")
        dims = [input_dim, *hidden_dims, num_classes]
        if min(dims) < 1 or len(dims) < 3:
            raise ValueError(f"layer sizes are {dims}; expected hidden layers, all sizes >= 1")
        self.loss_function = LOSSES[loss_function]
        self.dtype, self.device = dtype, torch.device(device)
        self.seed, self.step, self.l2_factor = seed, 0, l2_factor
        self.trials = _trials(dropout, reg, weight_scale, seed)
        self.dropout, self.reg = dropout, reg
        self._params = Parameters(self.trials, dims, dtype, self.device, zero=False)
        self._draw(self._each(weight_scale).cpu())

    @property
    def params(self) -> Parameters:
        """``W1``, ``b1``, ... by name; assign to a name, or all in a dict, to set their values."""
        return self._params

    @params.setter
    def params(self, values: Mapping[str, Tensor]) -> None:
        self._params.assign(values)

    @property
    def reg(self) -> Tensor:
        """Strength of the L2 term, ``(*t,)``; may be set at any time."""
        return self._reg

    @reg.setter
    def reg(self, value: PerTrial) -> None:
        self._reg = self._each(value)
        self._decays = bool(self._reg.any())

    @property
    def dropout(self) -> Tensor:
        """Probability of dropping a hidden unit, ``(*t,)``; may be set at any time."""
        return self._dropout

    @dropout.setter
    def dropout(self, value: PerTrial) -> None:
        self._dropout = self._each(value)
        if not ((self._dropout >= 0) & (self._dropout < 1)).all():
            raise ValueError(f"dropout is {value}; expected a probability in [0, 1)")
        self._drops = bool(self._dropout.any())

    def _each(self, value: PerTrial) -> Tensor:
        """One value a trial, ``(*t,)``, in the net's type and place."""
        value = torch.as_tensor(value, dtype=self.dtype, device=self.device)
        return value.expand(self.trials)

    def _draw(self, scale: Tensor) -> None:
        """Initial weights; trials of one seed share the draws."""
        scales = scale.reshape(-1)
        seeds = self.seed if isinstance(self.seed, Sequence) else [self.seed] * len(scales)
        sources = {s: None if s is None else torch.Generator().manual_seed(s) for s in seeds}
        for weights, biases in self.params.layers:
            biases.zero_()
            shape = weights.shape[1:]
            normal = {
                s: torch.randn(shape, generator=source, dtype=self.dtype)
                for s, source in sources.items()
            }
            for w, s, deviation in zip(weights, seeds, scales, strict=True):
                w.copy_(normal[s] * deviation)

    @overload
    def loss(self, X: Tensor, y: None = None) -> Tensor: ...
    @overload
    def loss(self, X: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]: ...
    def loss(self, X: Tensor, y: Tensor | None = None) -> Any:
        """Scores of a minibatch in test mode, or with labels its loss and gradients.

        Args:
            X: ``(*t, n, ...)``, of length 1 along the trial axis where a stack shares the batch.
            y: ``(n,)`` or ``(*t, n)``, of any integer type, in [0, num_classes).

        Returns:
            Without ``y``: scores ``(*t, n, num_classes)``. With it: the loss ``(*t,)`` with the L2
            term, in nats for softmax, and its gradient for each name in ``params``.

        Raises:
            ValueError: ``y`` is not an integer in [0, num_classes) for each example.
        """
        if y is None:
            return self.scores(X)
        axes = len(self.trials)
        check_labels(y, (*self.trials, X.shape[axes]), self.params.dims[-1])
        grads = self.params.empty_like()
        return self.prepare(X.to(self.dtype), y.long(), grads)(), grads

    def scores(self, X: Tensor) -> Tensor:
        """Scores ``(*t, n, num_classes)`` in test mode."""
        *hidden_layers, last = self.params.layers
        hidden = self._lifted(X.to(self.dtype))
        for w, b in hidden_layers:
            hidden, _ = Linear_ReLU.forward(hidden, w, b)
        scores, _ = Linear.forward(hidden, *last)
        return scores if self.trials else scores[0]

    def prepare(self, X: Tensor, y: Tensor, out: Parameters) -> Callable[[], Tensor]:
        """A function of no arguments that computes the loss and the gradient of a minibatch.

        Args:
            X: ``(*t, n, ...)`` in the net's type, contiguous: each call reads what it holds then.
            y: ``(n,)`` or ``(*t, n)`` of type int64, likewise.
            out: where each call writes the gradient.

        Returns:
            The function, which returns the loss ``(*t,)`` in training mode, with the L2 term. It
            is valid until ``keep``.
        """
        x = self._lifted(X).flatten(2)
        there_and_back = Pass(self.params, x, y, self.loss_function, out)

        def gradient() -> Tensor:
            loss = there_and_back(self._mask if self._drops else None)
            if self._decays:
                loss = self._regularise(loss, out)
            return loss if self.trials else loss[0]

        return gradient

    def _lifted(self, X: Tensor) -> Tensor:
        """Inside, a single trial is a stack of one."""
        return X if self.trials else X.unsqueeze(0)

    def _mask(self, hidden: Tensor, layer: int) -> DropoutCache:
        masks = None
        if self.seed is not None:
            seeds = self.seed if isinstance(self.seed, Sequence) else [self.seed] * len(hidden)
            masks = [(seed, "dropout", self.step, layer) for seed in seeds]
        return Dropout.mask(hidden, {"mode": "train", "p": self.dropout, "seed": masks})

    def _regularise(self, loss: Tensor, grads: Parameters) -> Tensor:
        """Add the L2 term to the loss and, in place, to the gradients."""
        l2 = self.l2_factor * self.reg.reshape(-1)
        for (w, _), (dw, _) in zip(self.params.layers, grads.layers, strict=True):
            squares = total(total(w.square(), -2), -1)
            loss = loss + torch.where(l2 > 0, l2 * squares, 0.0)
            dw.add_(w * (2 * l2)[:, None, None])
        return loss

    def save(self, path: str | Path) -> None:
        """Write the parameters to a safetensors file."""
        save_file({name: p.contiguous() for name, p in self.params.items()}, path)

    def load(self, path: str | Path) -> None:
        """Read parameters that ``save`` wrote, into this net's type and device.

        Raises:
            ValueError: names or shapes differ from this net's, with both.
        """
        self.params.assign(load_file(path))

    def keep(self, trials: list[int]) -> None:
        """Let the other trials of a stack go; positions count from 0. The kept do not change."""
        self._params = self.params.select(trials)
        self.trials = torch.Size([len(trials)])
        self.dropout, self.reg = self.dropout[trials], self.reg[trials]
        if isinstance(self.seed, Sequence):
            self.seed = [self.seed[k] for k in trials]


class TwoLayerNet(FullyConnectedNet):
    """One hidden layer and by default the L2 term ``reg * sum(W**2)`` of EECS 498/598.

    That is twice the one of ``FullyConnectedNet``. CS231n's net (assignment 1) has
    ``0.5 * reg * sum(W**2)``: give ``l2_factor=0.5``. Arguments as there, except for
    ``hidden_dim``.
    """

    def __init__(
        self,
        input_dim: int = 3072,
        hidden_dim: int = 100,
        num_classes: int = 10,
        weight_scale: PerTrial = 1e-3,
        reg: PerTrial = 0.0,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        loss_function: str = "softmax",
        seed: int | Sequence[int] | None = None,
        l2_factor: float = 1.0,
    ) -> None:
        super().__init__(
            [hidden_dim],
            input_dim,
            num_classes,
            reg=reg,
            weight_scale=weight_scale,
            loss_function=loss_function,
            seed=seed,
            dtype=dtype,
            device=device,
            l2_factor=l2_factor,
        )


def _trials(*values: PerTrial | None) -> torch.Size:
    """``(k,)`` where one of the values has ``k`` trials, else ``()``."""
    lengths = {len(v) for v in values if isinstance(v, Sequence | Tensor) and _has_axis(v)}
    if len(lengths) > 1:
        raise ValueError(
            f"values for {sorted(lengths)} trials given; expected one number of trials"
        )
    return torch.Size(lengths)


def _has_axis(value: Sequence[float] | Tensor) -> bool:
    return not isinstance(value, Tensor) or value.ndim > 0
