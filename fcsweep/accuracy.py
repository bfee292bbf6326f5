"""How many examples a model gets right."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from fcsweep.kernels.random_streams import generator

EVALUATION_ROWS = 500
"""Examples scored at once; for one trial as for a stack, so that the bits are the same."""


class Classifier(Protocol):
    """What gives scores."""

    trials: torch.Size
    """``()`` for one trial, ``(k,)`` for a stack."""

    def scores(self, X: Tensor) -> Tensor:
        """Scores ``(*t, n, num_classes)`` in test mode."""
        ...


@torch.inference_mode()
def count_correct(
    model: Classifier, X: Tensor, y: Tensor, rows: int = EVALUATION_ROWS
) -> tuple[Tensor, Tensor]:
    """How many examples have their highest score at the label, and whether all scores are finite.

    Args:
        model: one trial, or a stack that shares the examples.
        X: ``(n, ...)``, on the model's device.
        y: ``(n,)``.
        rows: examples scored at once.

    Returns:
        ``(*t,)`` float64, and ``(*t,)`` bool, both on the CPU.
    """
    correct = torch.zeros(model.trials, dtype=torch.long, device=X.device)
    finite = torch.ones(model.trials, dtype=torch.bool, device=X.device)
    for examples, labels in zip(X.split(rows), y.split(rows), strict=True):
        scores = model.scores(examples.reshape(*[1] * len(model.trials), *examples.shape))
        best = scores.max(-1).indices  # argmax takes five times as long
        correct += (best == labels).sum(-1)
        finite &= (scores - scores).sum((-2, -1)).isfinite()  # in half the passes of isfinite
    return correct.cpu().double(), finite.cpu()


def fixed_sample(X: Tensor, y: Tensor, count: int | None) -> tuple[Tensor, Tensor]:
    """The same random rows whatever the seed of a run, so that runs are compared on equal ones."""
    if count is None or count >= len(y):
        return X, y
    rows = torch.randperm(len(y), generator=generator(0, "sample"))[:count].to(X.device)
    return X.index_select(0, rows), y.index_select(0, rows)
