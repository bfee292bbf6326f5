"""Training data: copied to the device once, then cut into minibatches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from fcsweep.kernels.arrays import tensor
from fcsweep.kernels.parameters import NamedTensors
from fcsweep.kernels.random_streams import generator
from fcsweep.losses import check_labels, check_numbers


class Batches:
    """Minibatches of the training rows, in a fresh order each epoch.

    Trials of a stack that share a seed share their minibatches, which then have length 1 along the
    trial axis.

    Args:
        X: examples, ``(rows, ...)``.
        y: their labels, ``(rows,)``.
        size: examples of a minibatch; the last one of an epoch may be smaller.
        trials: ``()`` for one trial, ``(k,)`` for a stack.
        seed: determines the order; one, or a sequence with one each trial.

    Raises:
        ValueError: there are fewer rows than a minibatch has.
    """

    def __init__(
        self, X: Tensor, y: Tensor, size: int, trials: torch.Size, seed: int | Sequence[int]
    ) -> None:
        if size > len(X):
            raise ValueError(f"batch_size is {size}; expected at most the {len(X)} training rows")
        self._X, self._y, self._size, self._trials = X, y, size, trials
        self._seeds = [seed] if isinstance(seed, int) else [*seed]
        self._memory: dict[torch.Size, _Memory] = {}

    def __len__(self) -> int:
        """Minibatches of an epoch."""
        return -(-len(self._y) // self._size)

    def __getstate__(self) -> dict[str, Any]:
        """For ``copy`` and ``pickle``: leave out the memory of the minibatches."""
        return {**self.__dict__, "_memory": {}}

    def reseed(self, seed: int | Sequence[int]) -> None:
        """Continue with other trials, given by their seeds."""
        self._seeds = [seed] if isinstance(seed, int) else [*seed]
        self._memory.clear()

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass over the rows: ``x (*s, n, ...)`` and ``y (*s, n)``, ``s`` being 1 or ``k``.

        Minibatches of one shape are the same two tensors with new values.

        Args:
            number: of the epoch; it determines the order, together with the seed.
        """
        for rows in torch.split(self._order(number), self._size, -1):
            yield self._take(rows)

    def _order(self, number: int) -> Tensor:
        """The rows in the order of one epoch, ``(*s, rows)``."""
        seeds = self._seeds[:1] if len(set(self._seeds)) == 1 else self._seeds
        n = len(self._y)
        orders = [torch.randperm(n, generator=generator(s, "batches", number)) for s in seeds]
        order = torch.stack(orders) if self._trials else orders[0]
        return order.to(self._X.device)

    def _take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Examples and labels of ``rows (*s, n)``."""
        memory = self._memory.get(rows.shape)
        if memory is None:
            memory = self._memory[rows.shape] = _Memory(self._X, self._y, rows.shape)
        flat = rows.reshape(-1)
        torch.index_select(self._X, 0, flat, out=memory.flat_x)
        torch.index_select(self._y, 0, flat, out=memory.flat_y)
        return memory.x, memory.y


class _Memory:
    """Memory for the minibatches of one shape, ``(*s, n)``."""

    def __init__(self, X: Tensor, y: Tensor, shape: torch.Size) -> None:
        self.flat_x = X.new_empty(shape.numel(), *X.shape[1:])
        self.flat_y = y.new_empty(shape.numel())
        self.x, self.y = self.flat_x.view(*shape, *X.shape[1:]), self.flat_y.view(shape)


class TrainingData(Protocol):
    """Examples ``X (n, ...)`` and labels ``y (n,)`` of both splits, by the names of the courses."""

    @property
    def X_train(self) -> Tensor: ...  # noqa: D102
    @property
    def y_train(self) -> Tensor: ...  # noqa: D102
    @property
    def X_val(self) -> Tensor: ...  # noqa: D102
    @property
    def y_val(self) -> Tensor: ...  # noqa: D102


def part_of(data: Mapping[str, Any] | TrainingData, name: str) -> Tensor:
    """``X_train``, ``y_train``, ``X_val`` or ``y_val``, which may be a NumPy array.

    Args:
        data: holds it as an attribute or in a mapping.
        name: of the part.

    Raises:
        ValueError: it is not there.
        TypeError: it holds something other than numbers.
    """
    there = name in data if isinstance(data, Mapping) else hasattr(data, name)
    if not there:
        raise ValueError(f"data has no {name}; expected X_train, y_train, X_val and y_val")
    return tensor(data[name] if isinstance(data, Mapping) else getattr(data, name), name)


def has_arrays(data: Mapping[str, Any] | TrainingData) -> bool:
    """Whether the examples are a NumPy array."""
    X = data["X_train"] if isinstance(data, Mapping) else data.X_train
    return isinstance(X, np.ndarray)


def to_device(
    data: Mapping[str, Any] | TrainingData, part: str, params: NamedTensors, classes: int | None
) -> tuple[Tensor, Tensor]:
    """Examples ``(n, ...)`` and labels ``(n,)`` of a split, where and as the parameters are.

    Args:
        data: as in ``part_of``.
        part: ``"train"`` or ``"val"``.
        params: of the net that is to learn them.
        classes: how many there are; None for regression.

    Raises:
        ValueError: no examples, or labels that are not a class for each of them.
        TypeError: examples or labels that are no numbers.
    """
    X, y = part_of(data, f"X_{part}"), part_of(data, f"y_{part}")
    if len(X) != len(y) or len(X) == 0:
        raise ValueError(
            f"{len(X)} examples and {len(y)} labels; expected a label for each, and some"
        )
    if classes is None:
        check_numbers(y, len(X), f"y_{part}")
        return X.to(params.device, params.dtype), y.to(params.device, params.dtype)
    check_labels(y, (len(X),), classes, f"y_{part}")
    return X.to(params.device, params.dtype), y.to(params.device, torch.long)


def check_device(given: torch.device | str | None, place: torch.device) -> None:
    """Refuse a device, if one is given, that is not the place of the parameters.

    Raises:
        ValueError: it is another one.
    """
    wanted = place if given is None else torch.device(given)
    if wanted.type != place.type or wanted.index not in (None, place.index):
        raise ValueError(
            f"device is {str(given)!r}, but the parameters of the model lie on {place}; make the "
            f"model with device={str(given)!r}, or leave device out"
        )
