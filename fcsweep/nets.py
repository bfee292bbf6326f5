"""Fully connected nets: ``{Linear - [norm] - activation - [Dropout]} x (L - 1) - Linear - loss``.

One class for one trial and for a stack of them: where ``weight_scale``, ``reg``, ``dropout`` or
``seed`` has ``k`` values, every parameter has a leading axis of ``k`` trials, which never interact.
After ``FullyConnectedNet`` and ``TwoLayerNet`` of CS231n and EECS 498/598.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor

from fcsweep.courses import files, keywords
from fcsweep.initialization import Initialization, draw
from fcsweep.kernels.arrays import dtype_of, seeds, takes_arrays, tensor
from fcsweep.kernels.forward_backward import Pass
from fcsweep.kernels.parameters import Parameters, PerTrial, layer_sizes, trials_of
from fcsweep.labels import softmax_options
from fcsweep.layers import ACTIVATIONS, Dropout, DropoutCache, DropoutParam, Linear, probability
from fcsweep.losses import LOSSES, OF_NUMBERS, add_l2
from fcsweep.normalization import hidden_layer, layers_of, normalization_of


class FullyConnectedNet:
    """A classifier with any number of hidden layers.

    ``params`` holds ``W1`` ``(*t, input_dim, hidden_dims[0])``, ``b1`` and so on. Weights are drawn
    from N(0, weight_scale**2), W1 first, on the CPU (the same ones on every device); biases are 0.

    Args:
        hidden_dims: units of each hidden layer.
        input_dim: numbers in an example.
        num_classes: how many classes, and scores of an example.
        dropout: probability of dropping a hidden unit while training, in [0, 1): 1 less CS231n's
            ``dropout_keep_ratio``, the probability of keeping one.
        reg: strength of the L2 term, ``l2_factor * reg * sum(W**2)`` over all weights.
        weight_scale: standard deviation of the initial weights.
        initialization: ``"kaiming"`` or ``"xavier"`` set it layer by layer instead; see
            ``fcsweep.initialization``.
        loss_function: ``"softmax"`` or ``"svm"``; for regression, with one score of an example,
            ``"mse"`` or ``"huber"``.
        label_smoothing: share of each label that softmax spreads over all classes, in [0, 1).
        class_weights: by which softmax weighs an example of each class, ``(c,)`` or ``(*t, c)``, as
            from ``balanced_weights`` of ``fcsweep.labels``; None: all alike.
        activation: of the hidden units: ``"relu"``, ``"leaky_relu"``, ``"tanh"`` or ``"gelu"``.
        normalization: before it: ``"none"``, ``"batch"`` or ``"layer"``; see
            ``fcsweep.normalization``. ``params`` then also holds ``gamma1``, ``beta1``, ..., and
            with ``"batch"`` at the end ``running_mean1``, ``running_var1``, ..., which are not
            learnt: each training step updates them, and test mode uses them.
        seed: determines the initial weights and the dropout masks; the masks are then the same in
            every call of ``loss`` with the same ``step``, so that gradients can be checked. None
            draws both from torch's global generator.
        dtype: of parameters and scores.
        device: where the parameters lie.
        l2_factor: of the L2 term, >= 0; 0.5 in the fully connected nets of both courses.
        input_dropout: as ``dropout``, of the numbers of an example (Srivastava et al., 2014).

    ``dropout``, ``input_dropout``, ``reg``, ``weight_scale``, ``initialization``, ``seed``,
    ``label_smoothing`` and ``class_weights`` may each have one value a trial.

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
        activation: str = "relu",
        initialization: Initialization = None,
        label_smoothing: PerTrial = 0.0,
        normalization: str | None = "none",
        class_weights: PerTrial | None = None,
        input_dropout: PerTrial = 0.0,
        **others: Any,
    ) -> None:
        keywords.refuse(others, type(self), keywords.NET, keywords.NET_OFF)
        if not l2_factor >= 0:
            raise ValueError(f"l2_factor is {l2_factor}; expected a number >= 0, such as 0.5 or 1")
        if loss_function not in LOSSES:
            raise ValueError(f"loss_function is {loss_function!r}; expected one of {[*LOSSES]}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation is {activation!r}; expected one of {[*ACTIVATIONS]}")
        dims = layer_sizes(input_dim, hidden_dims, num_classes)
        self.loss_function, self.arithmetic = LOSSES[loss_function]
        self.regresses = loss_function in OF_NUMBERS
        if self.regresses and num_classes != 1:
            raise ValueError(f"num_classes is {num_classes}; expected 1 for {loss_function}")
        self.activation, self.normalization = activation, normalization_of(normalization)
        self._hidden = hidden_layer(activation, self.normalization)
        self.dtype, self.device = dtype_of(dtype), torch.device(device)
        seed = seeds(seed)
        self.seed: int | Sequence[int] | None = seed
        names = None if isinstance(initialization, str) else initialization
        dropouts = dropout, input_dropout
        self.trials = trials_of(*dropouts, reg, label_smoothing, names, weight_scale, seed)
        self.dropout, self.reg, self.l2_factor = dropout, reg, l2_factor
        self.input_dropout = probability("input_dropout", self._each(input_dropout), input_dropout)
        self._drops_inputs = bool(self.input_dropout.any())
        self.num_classes = dims[-1]
        shape, place = (*self.trials, dims[-1]), (self.dtype, self.device)
        options = softmax_options(self.loss_function, shape, place, label_smoothing, class_weights)
        self.softmax_options = options
        norm = self.normalization != "none", self.normalization == "batch"
        self._params = Parameters(self.trials, dims, self.dtype, self.device, False, *norm)
        draw(self._params, self._each(weight_scale), initialization, self._seeds)

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
        self._dropout = probability("dropout", self._each(value), value)
        self._drops = bool(self._dropout.any())

    @property
    def _seeds(self) -> Sequence[int | None]:
        """One a trial."""
        return self.seed if isinstance(self.seed, Sequence) else [self.seed] * self.trials.numel()

    def _each(self, value: PerTrial) -> Tensor:
        """One value a trial, ``(*t,)``, in the net's type and place."""
        value = tensor(value, "reg, dropout or weight_scale").to(self.device, self.dtype)
        return value.expand(self.trials)

    @overload
    def loss(self, X: Tensor, y: None = None, step: int = 0) -> Tensor: ...
    @overload
    def loss(self, X: Tensor, y: Tensor, step: int = 0) -> tuple[Tensor, dict[str, Tensor]]: ...
    @takes_arrays
    def loss(self, X: Tensor, y: Tensor | None = None, step: int = 0) -> Any:
        """Scores of a minibatch in test mode, or with labels its loss and gradients.

        Args:
            X: ``(*t, n, ...)``, of length 1 along the trial axis where a stack shares the batch.
            y: ``(n,)`` or ``(*t, n)``, of any integer type, in [0, num_classes); for regression
                numbers.
            step: count of updates so far: with a ``seed``, each step has dropout masks of its own.

        Returns:
            Without ``y``: scores ``(*t, n, num_classes)``. With it: the loss ``(*t,)`` with the L2
            term, in nats for softmax, and its gradient for each parameter by name. Of NumPy
            arrays: scores or loss as an array or a NumPy number; gradients are tensors.

        Raises:
            ValueError: ``y`` is not an integer in [0, num_classes) for each example.
        """
        if y is None:
            return self.scores(X)
        *hidden_layers, last = layers_of(self.params, "train")
        x, caches = self._dropped(X.to(self.dtype), step), list[Any]()
        for number, layer in enumerate(hidden_layers, start=1):
            x, cache = self._hidden.forward(x, *layer)
            x, mask = Dropout.forward(x, self._dropout_param(step, number))
            caches.append((cache, mask))
        scores, last_cache = Linear.forward(x, *last)

        loss, dscores = self.loss_function(scores, y, **self.softmax_options)

        dx, *gradients = Linear.backward(dscores, last_cache)
        for cache, mask in reversed(caches):
            dx = Dropout.backward(dx, mask)
            dx, *own = self._hidden.backward(dx, cache)
            gradients = [*own, *gradients]
        grads = dict(zip(self.params.shapes, gradients, strict=True))
        return self._add_l2(loss, grads), grads

    @takes_arrays
    def scores(self, X: Tensor) -> Tensor:
        """Scores ``(*t, n, num_classes)`` in test mode."""
        *hidden_layers, last = layers_of(self.params, "test")
        x = X.to(self.dtype)
        for layer in hidden_layers:
            x, _ = self._hidden.forward(x, *layer)
        return Linear.forward(x, *last)[0]

    def prepare(self, X: Tensor, y: Tensor, out: Parameters) -> Callable[[int], Tensor]:
        """``loss`` for a minibatch at a fixed place in memory: the same bits, faster.

        Args:
            X: ``(*t, n, ...)`` in the net's type, contiguous; each call reads its current contents.
            y: ``(n,)`` or ``(*t, n)`` of type int64, or numbers in the net's, read likewise.
            out: where each call writes the gradient.

        Returns:
            A function of ``step`` that returns the loss ``(*t,)``. It is valid until ``keep``.
        """
        if type(self).loss is not FullyConnectedNet.loss:  # a subclass has one of its own
            options = ["step"] if "step" in signature(self.loss).parameters else []
            return partial(self._call, X, y, out, options)
        x = (X if self.trials else X.unsqueeze(0)).flatten(2)
        each = {n: o if self.trials else o.unsqueeze(0) for n, o in self.softmax_options.items()}
        arithmetic = partial(self.arithmetic, **each) if each else self.arithmetic
        parts = self.activation, self.normalization, self._drops_inputs
        prepared = Pass(self.params, x, y, arithmetic, out, *parts)
        # a closure would keep its memory as long as the traceback of an error in it
        return partial(self._forward_backward, prepared, out)

    def _call(self, X: Tensor, y: Tensor, out: Parameters, options: list[str], step: int) -> Any:
        loss, grads = self.loss(X, y, **dict.fromkeys(options, step))
        out.assign(grads)
        return loss

    def _forward_backward(self, prepared: Pass, grads: Parameters, step: int) -> Tensor:
        drops = self._drops or self._drops_inputs
        loss = prepared(partial(self._mask, step) if drops else None)
        return self._add_l2(loss if self.trials else loss[0], grads)

    def _dropout_param(self, step: int, layer: int) -> DropoutParam:
        """The ``dropout_param`` of the inputs, 0, or of a hidden layer, counted from 1."""
        p = self.dropout if layer else self.input_dropout
        drops = self._drops if layer else self._drops_inputs
        streams = [(s, "dropout", step, layer) for s in self._seeds if s is not None]
        seed = None if not streams else streams if self.trials else streams[0]
        return {"mode": "train" if drops else "test", "p": p, "seed": seed}

    def _dropped(self, X: Tensor, step: int) -> Tensor:
        """The inputs that training sees: each trial drops others of a batch that all share."""
        own = X.expand(*self.trials, *X.shape[len(self.trials) :]) if self._drops_inputs else X
        return Dropout.forward(own, self._dropout_param(step, 0))[0]

    def _mask(self, step: int, hidden: Tensor, layer: int) -> DropoutCache:
        return Dropout.mask(hidden, self._dropout_param(step, layer))

    def _add_l2(self, loss: Tensor, grads: Mapping[str, Tensor]) -> Tensor:
        if not self._decays:
            return loss
        return add_l2(loss, grads, self.params, self.l2_factor * self.reg)

    def save(self, path: str | Path, **others: Any) -> None:
        """Write the parameters to a safetensors file; to a ``.pth`` as EECS 498/598 does.

        Args:
            path: the file.
            others: what else a ``.pth`` is to hold, by name.

        Raises:
            ValueError: a stack in a ``.pth``, which holds one trial.
        """
        files.write(path, self.params, reg=self.reg, dropout=self.dropout, **others)

    def load(
        self,
        path: str | Path,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        """Read parameters that ``save`` or a notebook of EECS 498/598 wrote.

        As there, a ``.pth`` also sets ``reg`` and ``dropout``, and its layers may have other sizes
        than those of this net. Nothing in it is executed.

        Args:
            path: the file.
            dtype: of this net from now on; None leaves it.
            device: where the parameters lie from now on; None leaves them.

        Raises:
            ValueError: the file is damaged or of another form, or it is a safetensors file and
                names or shapes differ from this net's.
        """
        params, settings = files.read(path)
        dims = self.params.dims if not settings else files.dims_of(params, self.params, path)
        self.dtype = self.dtype if dtype is None else dtype_of(dtype)
        self.device = torch.device(device or self.device)
        if (dims, self.dtype, self.device) != (self.params.dims, *self.params.place):
            self.num_classes = dims[-1]
            self._params = self.params.sized(dims, self.dtype, self.device)
        self.params.assign(params)
        for name, value in settings.items():
            setattr(self, name, value)

    def keep(self, trials: list[int]) -> None:
        """Drop all other trials of a stack; positions count from 0. The rest do not change."""
        self._params = self.params.select(trials)
        self.trials = torch.Size([len(trials)])
        self.dropout, self.reg = self.dropout[trials], self.reg[trials]
        self.input_dropout = self.input_dropout[trials]
        self.softmax_options = {name: o[trials] for name, o in self.softmax_options.items()}
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
        activation: str = "relu",
        initialization: Initialization = None,
        label_smoothing: PerTrial = 0.0,
        normalization: str | None = "none",
        class_weights: PerTrial | None = None,
        **others: Any,
    ) -> None:
        parts = activation, initialization, label_smoothing, normalization, class_weights
        constants = 0.0, reg, weight_scale, loss_function, seed, dtype, device, l2_factor
        keywords.refuse(others, type(self), keywords.NET, keywords.NET_OFF)
        super().__init__([hidden_dim], input_dim, num_classes, *constants, *parts)
