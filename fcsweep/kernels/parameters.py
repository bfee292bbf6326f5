"""The parameters of a net, named, and one after another in one piece of memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

CACHE_LINE = 64
"""Bytes; where a parameter may start."""

PerTrial = float | Sequence[float] | Tensor
"""One value for all trials, or ``(k,)``: one each."""


class Parameters(dict[str, Tensor]):
    """``W1 (*t, i, o)``, ``b1 (*t, o)``, ``W2`` ...; setting a name copies the values.

    A copy or a pickle has memory of its own. Weights lie output by output, the way that ``product``
    reads and writes them.

    Args:
        trials: ``()`` for one trial, ``(k,)`` for a stack.
        dims: numbers of input, hidden and output units.
        dtype: of all parameters.
        device: where they lie.
        zero: whether they are 0; if not, whatever lay there in memory.

    Attributes:
        layers: each layer's ``W (k, i, o)`` and ``b (k, o)``, with ``k = 1`` for a single trial.
        blocks: as few tensors ``(k, ...)`` as hold all parameters, for what is done to each number
            alone: those of a lone trial lie in one.
    """

    def __init__(
        self,
        trials: Sequence[int],
        dims: Sequence[int],
        dtype: torch.dtype,
        device: torch.device,
        zero: bool = True,
    ) -> None:
        super().__init__()
        self.trials, self.dims = torch.Size(trials), tuple(dims)
        count = prod(self.trials)
        sizes = [size for i, o in zip(dims, dims[1:], strict=False) for size in (i * o, o)]
        starts = [0]
        for size in sizes:
            starts.append(starts[-1] + _whole_lines(count * size, dtype))
        make = torch.zeros if zero else torch.empty
        memory = make(starts[-1], dtype=dtype, device=device)
        pieces = [
            memory[start : start + count * size].view(count, size)
            for start, size in zip(starts, sizes, strict=False)
        ]
        self.layers = [
            (w.unflatten(1, (o, i)).mT, b)
            for i, o, w, b in zip(dims, dims[1:], pieces[::2], pieces[1::2], strict=False)
        ]
        self.blocks = [memory.unsqueeze(0)] if count == 1 else pieces
        for number, (w, b) in enumerate(self.layers, start=1):
            super().__setitem__(f"W{number}", w if trials else w[0])
            super().__setitem__(f"b{number}", b if trials else b[0])

    def draw(self, scale: Tensor, seeds: Sequence[int | None]) -> None:
        """Weights from N(0, scale**2), drawn on the CPU from the first layer on; biases are 0.

        Args:
            scale: standard deviation of each trial, ``(*t,)``.
            seeds: one a trial; equal ones share their draws, None is torch's global generator.
        """
        sources = {s: None if s is None else torch.Generator().manual_seed(s) for s in seeds}
        for weights, biases in self.layers:
            biases.zero_()
            normal = {
                s: torch.randn(weights.shape[1:], generator=source, dtype=self.dtype)
                for s, source in sources.items()
            }
            for w, s, deviation in zip(weights, seeds, scale.cpu().reshape(-1), strict=True):
                w.copy_(normal[s] * deviation)

    @property
    def dtype(self) -> torch.dtype:
        """Of all parameters."""
        return self.blocks[0].dtype

    @property
    def device(self) -> torch.device:
        """Where all parameters lie."""
        return self.blocks[0].device

    def zeros_like(self) -> Parameters:
        """The same names and shapes, all zero."""
        return Parameters(self.trials, self.dims, self.dtype, self.device)

    def empty_like(self) -> Parameters:
        """The same names and shapes, to be written to before anything is read."""
        return Parameters(self.trials, self.dims, self.dtype, self.device, zero=False)

    def clone(self) -> Parameters:
        """A copy."""
        copy = self.empty_like()
        copy.assign(self)
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        """For ``copy`` and ``pickle``: zeros are built first, then each name is set."""
        arguments = self.trials, self.dims, self.dtype, self.device
        values = [(name, p.clone()) for name, p in self.items()]  # a view pickles the whole block
        return Parameters, arguments, None, None, iter(values)

    def select(self, trials: list[int]) -> Parameters:
        """A copy of some trials of a stack; positions count from 0."""
        selected = Parameters([len(trials)], self.dims, self.dtype, self.device, zero=False)
        selected.assign({name: p[trials] for name, p in self.items()})
        return selected

    def __setitem__(self, name: str, value: Tensor) -> None:
        """Copy ``value`` into the named parameter.

        Raises:
            KeyError: there is no such parameter.
            ValueError: its shape is another.
        """
        if name not in self:
            raise KeyError(f"no parameter {name!r}; expected one of {[*self]}")
        if value.shape != self[name].shape:
            raise ValueError(f"{name} is {tuple(value.shape)}; expected {tuple(self[name].shape)}")
        self[name].copy_(value)

    def assign(self, values: Mapping[str, Tensor]) -> None:
        """Copy all parameters from a mapping of exactly these names.

        Raises:
            ValueError: names or shapes differ, with both.
        """
        if values.keys() != self.keys():
            raise ValueError(f"parameters are {[*values]}; expected {[*self]}")
        for name in self:
            self[name] = values[name]


def _whole_lines(elements: int, dtype: torch.dtype) -> int:
    line = CACHE_LINE // dtype.itemsize
    return -(-elements // line) * line


def trials_of(*values: PerTrial | None) -> torch.Size:
    """``(k,)`` where one of the values has ``k`` trials, else ``()``.

    Raises:
        ValueError: their numbers of trials differ.
    """
    lengths = {len(v) for v in values if isinstance(v, Sequence | Tensor) and _has_axis(v)}
    if len(lengths) > 1:
        raise ValueError(
            f"values for {sorted(lengths)} trials given; expected one number of trials"
        )
    return torch.Size(lengths)


def _has_axis(value: Sequence[float] | Tensor) -> bool:
    return not isinstance(value, Tensor) or value.ndim > 0
