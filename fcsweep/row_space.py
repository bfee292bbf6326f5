"""The first layer in the row space of few examples: as many coordinates as there are examples.

``n`` examples of ``D > n`` numbers span a space of at most ``n`` dimensions, the row space of their
matrix; a rotation turns it into the first ``n`` axes. An example then has ``n`` numbers and zeros
after them. ``W1`` has ``n`` rows that meet an example, and a rest that none does: the rest takes no
part in a loss, and only the L2 term changes it. It keeps its direction, then, and what it adds to a
sum of squares is its norm, one number for each hidden unit.

So a net of ``n + 1`` inputs, of which the last is always 0, has the same loss with its L2 term, and
a gradient of the same norm. A rotation is linear: a rule whose step is linear in weight, gradient
and state takes the same steps in either coordinates. Those of ``sgd``, ``sgd_momentum`` and
``nesterov`` are. Validation examples meet the rest, too, in as many coordinates as they are.
``docs/row-space.md`` has the derivation and figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from fcsweep.accuracy import fixed_sample
from fcsweep.batches import TrainingData, part_of
from fcsweep.courses import files
from fcsweep.kernels.arithmetic import product, total
from fcsweep.kernels.threads import with_threads
from fcsweep.nets import FullyConnectedNet


class RowSpace:
    """The row space of training and validation examples, and their coordinates in it.

    Args:
        data: ``X_train (n, ...)``, ``y_train (n,)``, ``X_val``, ``y_val``.
        num_val_samples: how many validation examples are used, ``m``, as by the Solver; None: all.

    Attributes:
        basis: orthonormal columns, ``(D, n + m)`` float64; the first ``n`` are the training rows'.
        X_train: coordinates in the first ``n``, and a 0 for all others: ``(n, n + 1)``.
        X_val: the same, and then the coordinates in the ``m`` others: ``(m, n + 1 + m)``.
        y_train, y_val: the labels.

    Raises:
        ValueError: there are not fewer examples than numbers in one.
    """

    def __init__(
        self, data: Mapping[str, Any] | TrainingData, num_val_samples: int | None = None
    ) -> None:
        self.y_train = part_of(data, "y_train")
        all_val = part_of(data, "X_val"), part_of(data, "y_val")
        X_val, self.y_val = fixed_sample(*all_val, num_val_samples)
        train, val = part_of(data, "X_train").flatten(1), X_val.flatten(1)
        n, m = len(train), len(val)
        if n + m >= train.shape[1]:
            raise ValueError(
                f"{n} training and {m} validation examples of {train.shape[1]} numbers; expected "
                "fewer examples than numbers (num_val_samples takes fewer)"
            )
        with with_threads(1):  # their number could change the last bits
            self.basis, triangle = _qr(torch.cat([train, val]).cpu().double().T)
        inside = triangle.T.to(train)
        zeros = inside.new_zeros(n + m, 1)
        coordinates = torch.cat([inside[:, :n], zeros, inside[:, n:]], -1)
        self.X_train, self.X_val = coordinates[:n, : n + 1].contiguous(), coordinates[n:]


class NetInRowSpace(FullyConnectedNet):
    """A net that trains in the coordinates of a row space; like the given one in all else.

    ``params["W1"]`` is ``(*t, n + 1, hidden_dims[0])``: the coordinates along the training rows,
    and the norm of the rest.

    Args:
        net: with its initial weights. From now on it belongs to this net.
        space: of the examples.

    Raises:
        ValueError: the net drops inputs, of which a row space has only coordinates.
    """

    def __init__(self, net: FullyConnectedNet, space: RowSpace) -> None:
        if net.input_dropout.any():
            raise ValueError("expected input_dropout=0: coordinates in a row space are no inputs")
        self.__dict__.update(net.__dict__)
        self._initial, like, n = net, net.params["W1"], len(space.X_train)
        basis = space.basis.to(like)
        self._basis = basis[:, :n].contiguous()
        inside = product(_for_each(basis.mT, like), like)
        along, self._beyond = inside[..., :n, :], inside[..., n:, :]
        squares = _squares(like) - _squares(along)
        rest = squares.clamp(min=0).sqrt().unsqueeze(-2)
        self._start = torch.cat([along, rest], -2)
        dims = n + 1, *net.params.dims[1:]
        self._params = net.params.sized(dims, *net.params.place)
        self._params.assign({**net.params, "W1": self._start})

    def keep(self, trials: list[int]) -> None:
        """Drop all other trials of a stack; positions count from 0. The rest do not change."""
        super().keep(trials)
        self._initial.keep(trials)
        self._start, self._beyond = self._start[trials], self._beyond[trials]

    def scores(self, X: Tensor) -> Tensor:
        """Scores ``(*t, n, num_classes)`` in test mode, of coordinates as a row space has them."""
        now = self.params["W1"]
        if X.shape[-1] == now.shape[-2]:
            return super().scores(X)
        beyond = self._beyond * _kept(self._start, now)
        wide: Any = copy(self._initial)
        whole = torch.cat([now.mT, beyond.mT], -1).mT
        dims = whole.shape[-2], *self.params.dims[1:]
        wide._params = self.params.sized(dims, *self.params.place)
        wide._params.assign({**self.params, "W1": whole})
        return wide.scores(X)

    @torch.inference_mode()
    def outside(self, params: Mapping[str, Tensor], trial: int | None = None) -> dict[str, Tensor]:
        """Such parameters with ``W1 (*t, D, hidden_dims[0])``, as a net without a row space has it.

        Args:
            params: of this net, or of the form of its own.
            trial: its position in a stack, for the parameters of that one alone; None: of all.
        """
        of = slice(None) if trial is None else trial
        start, initial, now = self._start[of], self._initial.params["W1"][of], params["W1"][of]
        kept = _kept(start, now)
        learnt = product(_for_each(self._basis, now), (now - start * kept)[..., :-1, :])
        others = {name: p[of] for name, p in params.items()}
        return {**others, "W1": learnt.addcmul_(initial, kept)}

    def save(self, path: str | Path, **others: Any) -> None:
        """As the given net would write these parameters."""
        whole = self._initial.params.sized(self._initial.params.dims, *self.params.place)
        whole.assign(self.outside(self.params))
        files.write(path, whole, reg=self.reg, dropout=self.dropout, **others)


def _qr(columns: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal columns of the same span, and a triangle by which they make the given ones."""
    found = cast("tuple[Tensor, Tensor]", torch.linalg.qr(columns))  # pyright: ignore[reportUnknownMemberType]
    return found


def _squares(weights: Tensor) -> Tensor:
    """Sums over the inputs, ``(*t, h)``; one trial at a time, so that squares stay in the cache."""
    if weights.ndim > 2:
        return torch.stack([_squares(each) for each in weights])
    return total(weights * weights, -2)


def _kept(start: Tensor, now: Tensor) -> Tensor:
    """What is left of the rest, ``(*t, 1, h)``: 1, unless the L2 term shrinks it."""
    rest = start[..., -1:, :]
    return torch.where(rest > 0, now[..., -1:, :] / rest, 1)


def _for_each(matrix: Tensor, like: Tensor) -> Tensor:
    """A matrix that all trials share, with as many axes as a weight."""
    return matrix.reshape(*[1] * (like.ndim - 2), *matrix.shape)
