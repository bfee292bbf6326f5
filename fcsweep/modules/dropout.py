"""Dropout whose masks come from outside: those of a trial are the same alone and in any stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from fcsweep.layers import Dropout


class Masked(nn.Module):
    """Takes the place of an ``nn.Dropout``; ``forward`` multiplies by the next mask it was given.

    Attributes:
        p: of the module that it stands for.
        masks: one for each call in training; None records the shapes instead.
        shapes: of the inputs, call by call.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.masks: Iterator[Tensor] | None = None
        self.shapes: list[torch.Size] = []

    def forward(self, x: Tensor) -> Tensor:
        """``x`` of any shape, and the same shape out."""
        if not self.training:
            return x
        if self.masks is None:
            self.shapes.append(x.shape)
            return x
        return x * next(self.masks)


class Masks:
    """The masks of every dropout of a module, for each trial of a stack.

    Args:
        p: probability of dropping, of each dropout and each trial: ``(k,)`` each.
        shapes: of the inputs of each dropout, call by call, as a minibatch of this size has them.
    """

    def __init__(self, p: Sequence[Tensor], shapes: Sequence[Sequence[torch.Size]]) -> None:
        self._p, self._shapes = p, shapes

    def draw(self, seeds: Sequence[int], step: int, like: Tensor) -> list[list[Tensor]]:
        """For each dropout a mask ``(k, *shape)`` for each call.

        Args:
            seeds: of each trial.
            step: updates so far.
            like: a tensor of the type and in the place of the masks.
        """
        drawn, number = list[list[Tensor]](), 0
        for p, shapes in zip(self._p, self._shapes, strict=True):
            drawn.append([])
            for shape in shapes:
                number += 1
                streams = [(seed, "dropout", step, number) for seed in seeds]
                x = like.new_empty(len(seeds), *shape)
                mask = Dropout.mask(x, {"mode": "train", "p": p, "seed": streams})
                assert mask is not None  # as in training
                drawn[-1].append(mask)
        return drawn


def with_masks(module: nn.Module) -> tuple[nn.Module, list[Masked]]:
    """A copy of a module with a `Masked` in place of each ``nn.Dropout``; and those, in order."""
    if type(module) is nn.Dropout:
        module = nn.Sequential(module)
    copy = deepcopy(module)
    found: dict[nn.Module, Masked] = {
        one: Masked(one.p) for one in copy.modules() if type(one) is nn.Dropout
    }
    for parent in [*copy.modules()]:
        for name, child in parent.named_children():
            if child in found:
                setattr(parent, name, found[child])
    return copy, [*found.values()]
