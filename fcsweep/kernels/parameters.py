"""The parameters of a net, named, and one after another in one piece of memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import inf, prod
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from fcsweep.kernels.arrays import plain, tensor, whole

CACHE_LINE = 64
"""Bytes; where a parameter may start."""

PerTrial = float | Sequence[float] | Tensor | np.ndarray
"""One value for all trials, or ``(k,)``: one each."""


class NamedTensors(dict[str, Tensor]):
    """Tensors of one type in one place, by name; setting a name copies the values.

    A copy or a pickle has memory of its own.

    Args:
        trials: ``()`` for one trial, ``(k,)`` for a stack.
        shapes: of each name, without the trial axis.
        dtype: of all tensors.
        device: where they lie.
        zero: whether they are 0; if not, whatever lay there in memory.
        running: shapes of what is kept beside the parameters and no rule updates, as running means.

    Attributes:
        blocks: as few tensors ``(k, ...)`` as hold all parameters, for what is done to each number
            alone: those of a lone trial lie in one.
        all_blocks: the same with what is running.
        pieces: the numbers of each parameter, ``(k, size)``.
        shapes: of the parameters.
    """

    def __init__(
        self,
        trials: Sequence[int],
        shapes: Mapping[str, Sequence[int]],
        dtype: torch.dtype,
        device: torch.device,
        zero: bool = True,
        running: Mapping[str, Sequence[int]] = {},
    ) -> None:
        super().__init__()
        self.trials, self.shapes, self._running = torch.Size(trials), {**shapes}, {**running}
        count, every = prod(self.trials), {**shapes, **running}
        sizes = [prod(shape) for shape in every.values()]
        starts = [0]
        for size in sizes:
            starts.append(starts[-1] + _whole_lines(count * size, dtype))
        make = torch.zeros if zero else torch.empty
        memory = make(starts[-1], dtype=dtype, device=device)
        pieces = [
            memory[start : start + count * size].view(count, size)
            for start, size in zip(starts, sizes, strict=False)
        ]
        self.pieces = pieces[: len(shapes)]
        alone = count == 1
        self.blocks = [memory[: starts[len(shapes)]].unsqueeze(0)] if alone else self.pieces
        self.all_blocks = [memory.unsqueeze(0)] if alone else pieces
        self._each = {
            name: self._shape_piece(piece, shape)
            for piece, (name, shape) in zip(pieces, every.items(), strict=True)
        }
        for name, one in self._each.items():
            super().__setitem__(name, one if trials else one[0])

    def _shape_piece(self, piece: Tensor, shape: Sequence[int]) -> Tensor:
        """A tensor ``(k, *shape)`` in its piece of memory, ``(k, size)``."""
        return piece.view(len(piece), *shape)

    def _like(self, trials: Sequence[int], zero: bool = False, running: bool = True) -> Self:
        """The same names and shapes, for other trials."""
        return type(self)(trials, *self._form(zero, running))

    def _form(self, zero: bool, running: bool) -> tuple[Any, ...]:
        """What the constructor takes after the trials; ``running``: with what is running."""
        return self.shapes, *self.place, zero, self._running if running else {}

    @property
    def place(self) -> tuple[torch.dtype, torch.device]:
        """Type and device."""
        return self.dtype, self.device

    @property
    def dtype(self) -> torch.dtype:
        """Of all tensors."""
        return self.blocks[0].dtype

    @property
    def device(self) -> torch.device:
        """Where all tensors lie."""
        return self.blocks[0].device

    def zeros_like(self) -> Self:
        """The same names and shapes, all zero."""
        return self._like(self.trials, zero=True)

    def empty_like(self) -> Self:
        """The same names and shapes, to be written to before anything is read."""
        return self._like(self.trials)

    def learnt_like(self, zero: bool = False) -> Self:
        """Likewise without what is running: for a gradient, or the state of a rule if ``zero``."""
        return self._like(self.trials, zero, running=False)

    def clone(self) -> Self:
        """A copy."""
        copy = self.empty_like()
        copy.assign(self)
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        """For ``copy`` and ``pickle``: zeros are built first, then each name is set."""
        arguments = self.trials, *self._form(zero=True, running=True)
        values = [(name, p.clone()) for name, p in self.items()]  # a view pickles the whole block
        return type(self), arguments, None, None, iter(values)

    def select(self, trials: list[int]) -> Self:
        """A copy of some trials of a stack; positions count from 0."""
        selected = self._like([len(trials)])
        selected.assign({name: p[trials] for name, p in self.items()})
        return selected

    def __setitem__(self, name: str, value: Tensor) -> None:
        """Copy ``value``, a tensor or an array, into the named tensor.

        Raises:
            KeyError: there is no such name.
            TypeError: the value holds something other than numbers.
            ValueError: its shape is another.
        """
        if name not in self:
            raise KeyError(f"no parameter {name!r}; expected one of {[*self]}")
        copy_to(self[name], value, name)

    def assign(self, values: Mapping[str, Tensor]) -> None:
        """Copy all values from a mapping of exactly these names.

        Raises:
            ValueError: names or shapes differ, with both.
        """
        if values.keys() != self.keys():
            raise ValueError(f"parameters are {[*values]}; expected {[*self]}")
        for name in self:
            self[name] = values[name]


class Parameters(NamedTensors):
    """``W1 (*t, i, o)``, ``b1 (*t, o)``, ``W2`` ... of a fully connected net.

    Weights lie output by output, the way that ``product`` reads and writes them. Arguments as of
    ``NamedTensors``, with ``dims``, the numbers of input, hidden and output units.

    Args:
        normalized: whether hidden layers have ``gamma1`` and ``beta1 (*t, o)``, ... after ``b1``.
        running: whether they have ``running_mean1`` and ``running_var1 (*t, o)``, ... at the end.

    Attributes:
        layers: each layer's ``W (k, i, o)`` and ``b (k, o)``, with ``k = 1`` for a single trial.
        scales: ``gamma (k, o)`` and ``beta (k, o)`` of each hidden layer, if it has them.
        averages: its ``running_mean (k, o)`` and ``running_var (k, o)``, likewise.
    """

    def __init__(
        self,
        trials: Sequence[int],
        dims: Sequence[int],
        dtype: torch.dtype,
        device: torch.device,
        zero: bool = True,
        normalized: bool = False,
        running: bool = False,
    ) -> None:
        self.dims = tuple(dims)
        self._has = normalized, running
        shapes, averages = shapes_of(dims, *self._has)
        super().__init__(trials, shapes, dtype, device, zero, averages)
        hidden = range(1, len(dims) - 1)
        self.layers = self._pairs("W", "b", range(1, len(dims)))
        self.scales = self._pairs("gamma", "beta", hidden if normalized else ())
        self.averages = self._pairs("running_mean", "running_var", hidden if running else ())

    def _pairs(self, one: str, other: str, numbers: Iterable[int]) -> list[tuple[Tensor, Tensor]]:
        return [(self._each[f"{one}{n}"], self._each[f"{other}{n}"]) for n in numbers]

    def _shape_piece(self, piece: Tensor, shape: Sequence[int]) -> Tensor:
        return piece if len(shape) == 1 else piece.unflatten(1, shape[::-1]).mT

    def _form(self, zero: bool, running: bool) -> tuple[Any, ...]:
        normalized, averaged = self._has
        return self.dims, *self.place, zero, normalized, averaged and running

    def shapes_of(self, dims: Sequence[int]) -> dict[str, Sequence[int]]:
        """Of all names, for other numbers of units."""
        shapes, averages = shapes_of(dims, *self._has)
        return shapes | averages

    def sized(self, dims: Sequence[int], dtype: torch.dtype, device: torch.device) -> Parameters:
        """Parameters of the same parts for other numbers of units, type or place, all 0."""
        return Parameters(self.trials, dims, dtype, device, True, *self._has)

    def draw(self, scales: Sequence[Tensor], seeds: Sequence[int | None]) -> None:
        """Weights from N(0, scale**2), drawn on the CPU from the first layer on; the rest is fixed.

        Biases, ``beta`` and what is running start at 0, ``gamma`` at 1.

        A draw is copied to the device once, whatever the number of its trials, and scaled there.

        Args:
            scales: of each layer the standard deviation of each trial, ``(k,)``.
            seeds: one a trial; equal ones share their draws, None is torch's global generator.
        """
        for gamma, beta in self.scales:
            gamma.fill_(1)
            beta.zero_()
        for average in (average for pair in self.averages for average in pair):
            average.zero_()
        sources = {s: None if s is None else torch.Generator().manual_seed(s) for s in seeds}
        for (weights, biases), scale in zip(self.layers, scales, strict=True):
            biases.zero_()
            normal = {
                s: torch.randn(weights.shape[1:], generator=source, dtype=self.dtype).to(
                    self.device
                )
                for s, source in sources.items()
            }
            for w, s, deviation in zip(weights, seeds, scale.cpu(), strict=True):
                w.copy_(normal[s] * deviation)


def shapes_of(
    dims: Sequence[int], normalized: bool = False, running: bool = False
) -> tuple[dict[str, Sequence[int]], dict[str, Sequence[int]]]:
    """The shapes of a net's parameters, by name, and of what is running; as of ``Parameters``."""
    shapes, averages = dict[str, Sequence[int]](), dict[str, Sequence[int]]()
    for number, (i, o) in enumerate(pairwise(dims), start=1):
        shapes |= {f"W{number}": (i, o), f"b{number}": (o,)}
        if number == len(dims) - 1:
            break
        if normalized:
            shapes |= {f"gamma{number}": (o,), f"beta{number}": (o,)}
        if running:
            averages |= {f"running_mean{number}": (o,), f"running_var{number}": (o,)}
    return shapes, averages


def copy_to(parameter: Tensor, value: Tensor | np.ndarray, name: str) -> None:
    """Copy a tensor or an array into a parameter.

    Raises:
        TypeError: the value holds something other than numbers.
        ValueError: its shape is another.
    """
    value = tensor(value, name)
    if value.shape != parameter.shape:
        raise ValueError(f"{name} is {tuple(value.shape)}; expected {tuple(parameter.shape)}")
    parameter.copy_(value)


def _whole_lines(elements: int, dtype: torch.dtype) -> int:
    line = CACHE_LINE // dtype.itemsize
    return -(-elements // line) * line


def layer_sizes(input_dim: int, hidden_dims: Sequence[int], num_classes: int) -> list[int]:
    """Numbers of input, hidden and output units, of any integer type.

    Raises:
        TypeError: something other than whole numbers.
        ValueError: no hidden layer, or a size below 1.
    """
    if not isinstance(hidden := plain(hidden_dims), Sequence):
        raise TypeError(f"hidden_dims is {hidden_dims!r}; expected a list such as [100, 100]")
    names = ["input_dim", *["each of hidden_dims" for _ in hidden], "num_classes"]
    given = zip((input_dim, *hidden, num_classes), names, strict=True)
    dims = [whole(size, name) for size, name in given]
    if min(dims) < 1 or len(dims) < 3:
        raise ValueError(f"layer sizes are {dims}; expected hidden layers, all sizes >= 1")
    return dims


def limits(value: PerTrial | None, name: str) -> Tensor:
    """A largest value, or one a trial, as float64 on the CPU; None is infinity.

    Raises:
        ValueError: one of them is not > 0.
    """
    limit = tensor(inf if value is None else value, name).to("cpu", torch.float64)
    if not (limit > 0).all():
        raise ValueError(f"{name} is {value}; expected a number > 0, or None")
    return limit


def trials_of(*values: PerTrial | Sequence[str | None] | None) -> torch.Size:
    """``(k,)`` where one of the values has ``k`` trials, else ``()``.

    Raises:
        ValueError: their numbers of trials differ.
    """
    rows = (v for v in values if isinstance(v, Sequence | Tensor | np.ndarray))
    lengths = {len(row) for row in rows if isinstance(row, Sequence) or row.ndim}
    if len(lengths) > 1:
        raise ValueError(
            f"values for {sorted(lengths)} trials given; expected one number of trials"
        )
    return torch.Size(lengths)
