"""The parameters of a net, named, and one after another in one piece of memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    Attributes:
        blocks: as few tensors ``(k, ...)`` as hold all values, for what is done to each number
            alone: those of a lone trial lie in one.
        pieces: the numbers of each name, ``(k, size)``.
    """

    def __init__(
        self,
        trials: Sequence[int],
        shapes: Mapping[str, Sequence[int]],
        dtype: torch.dtype,
        device: torch.device,
        zero: bool = True,
    ) -> None:
        super().__init__()
        self.trials, self.shapes = torch.Size(trials), {**shapes}
        count = prod(self.trials)
        sizes = [prod(shape) for shape in shapes.values()]
        starts = [0]
        for size in sizes:
            starts.append(starts[-1] + _whole_lines(count * size, dtype))
        make = torch.zeros if zero else torch.empty
        memory = make(starts[-1], dtype=dtype, device=device)
        self.pieces = pieces = [
            memory[start : start + count * size].view(count, size)
            for start, size in zip(starts, sizes, strict=False)
        ]
        self.blocks = [memory.unsqueeze(0)] if count == 1 else pieces
        self._each = [self._shape_piece(p, s) for p, s in zip(pieces, shapes.values(), strict=True)]
        for name, one in zip(shapes, self._each, strict=True):
            super().__setitem__(name, one if trials else one[0])

    def _shape_piece(self, piece: Tensor, shape: Sequence[int]) -> Tensor:
        """A tensor ``(k, *shape)`` in its piece of memory, ``(k, size)``."""
        return piece.view(len(piece), *shape)

    def _like(self, trials: Sequence[int], zero: bool = False) -> Self:
        """The same names and shapes, for other trials."""
        return type(self)(trials, self._form, self.dtype, self.device, zero)

    @property
    def _form(self) -> Any:
        """What the constructor makes names and shapes from."""
        return self.shapes

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

    def clone(self) -> Self:
        """A copy."""
        copy = self.empty_like()
        copy.assign(self)
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        """For ``copy`` and ``pickle``: zeros are built first, then each name is set."""
        arguments = self.trials, self._form, self.dtype, self.device
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

    Attributes:
        layers: each layer's ``W (k, i, o)`` and ``b (k, o)``, with ``k = 1`` for a single trial.
    """

    def __init__(
        self,
        trials: Sequence[int],
        dims: Sequence[int],
        dtype: torch.dtype,
        device: torch.device,
        zero: bool = True,
    ) -> None:
        self.dims = tuple(dims)
        shapes: dict[str, Sequence[int]] = {}
        for number, (i, o) in enumerate(pairwise(dims), start=1):
            shapes |= {f"W{number}": (i, o), f"b{number}": (o,)}
        super().__init__(trials, shapes, dtype, device, zero)
        self.layers = [*zip(self._each[::2], self._each[1::2], strict=True)]

    def _shape_piece(self, piece: Tensor, shape: Sequence[int]) -> Tensor:
        return piece if len(shape) == 1 else piece.unflatten(1, shape[::-1]).mT

    @property
    def _form(self) -> Any:
        return self.dims

    def draw(self, scales: Sequence[Tensor], seeds: Sequence[int | None]) -> None:
        """Weights from N(0, scale**2), drawn on the CPU from the first layer on; biases are 0.

        Args:
            scales: of each layer the standard deviation of each trial, ``(k,)``.
            seeds: one a trial; equal ones share their draws, None is torch's global generator.
        """
        sources = {s: None if s is None else torch.Generator().manual_seed(s) for s in seeds}
        for (weights, biases), scale in zip(self.layers, scales, strict=True):
            biases.zero_()
            normal = {
                s: torch.randn(weights.shape[1:], generator=source, dtype=self.dtype)
                for s, source in sources.items()
            }
            for w, s, deviation in zip(weights, seeds, scale.cpu(), strict=True):
                w.copy_(normal[s] * deviation)


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
