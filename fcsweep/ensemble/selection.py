"""Which models predict best together: greedy forward selection with replacement.

After Caruana, Niculescu-Mizil, Crew and Ksikes, "Ensemble selection from libraries of models"
(ICML 2004), with their improvement of selecting with replacement, and without bagging.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fcsweep.metrics import METRICS

BLOCK = 1 << 22
"""Most numbers of an intermediate result."""

Score = Callable[[Tensor, Tensor], Tensor]
"""``(predictions (k, n, c), y (n,)) -> (k,)`` float64: higher is better."""


def accuracy(probabilities: Tensor, y: Tensor) -> Tensor:
    """The share of examples whose most probable class is their label."""
    return (probabilities.max(-1).indices == y).double().mean(-1)


def log_likelihood(probabilities: Tensor, y: Tensor) -> Tensor:
    """The mean log probability of the label, in nats; the probabilities may have any sum > 0."""
    label = y.expand(probabilities.shape[:-1]).unsqueeze(-1)
    tiny = torch.finfo(torch.float64).tiny
    share = probabilities.gather(-1, label).squeeze(-1) / probabilities.sum(-1)
    return share.double().clamp_min(tiny).log().mean(-1)


def negative_rmse(quantities: Tensor, y: Tensor) -> Tensor:
    """Less than 0 by the root of the mean squared error of ``(k, n, 1)``."""
    return _negative("rmse", quantities, y)


def negative_mae(quantities: Tensor, y: Tensor) -> Tensor:
    """Less than 0 by the mean absolute error of ``(k, n, 1)``."""
    return _negative("mae", quantities, y)


def _negative(name: str, quantities: Tensor, y: Tensor) -> Tensor:
    metric = METRICS[name]
    return -metric.of_all(metric.of_each(quantities, y), y, 1)


SCORES: dict[str, tuple[Score, Score]] = {
    "accuracy": (accuracy, log_likelihood),
    "rmse": (negative_rmse, negative_mae),
    "mae": (negative_mae, negative_rmse),
}
"""What models can be selected by, and what decides between equals."""


@dataclass(frozen=True)
class Selection:
    """The models that were selected."""

    counts: dict[int, int]
    """How often each was, by its place among the candidates; the most frequent first."""
    best: int
    """The place of the best candidate alone, the first of equals."""
    values: list[float]
    """Each candidate's own score: higher is better."""


def select(predictions: Tensor, y: Tensor, rounds: int, by: str = "accuracy") -> Selection:
    """Add to the ensemble, round by round, the model with which its mean scores best.

    A model may be added again. Of equal scores the second of `SCORES` decides, then the earlier
    place. Kept is what was the ensemble after the round with the best score, the first of equals.

    Args:
        predictions: of each model, ``(k, n, c)``: class probabilities, or a quantity with c = 1.
        y: labels ``(n,)`` in [0, c), or the quantity.
        rounds: of the selection, at least 1.
        by: what is to be good, one of `SCORES`.
    """
    added, reached = list[int](), list[tuple[float, float]]()
    votes = torch.zeros(predictions.shape[1:], dtype=torch.float64)
    alone = list[tuple[float, float]]()
    for count in range(1, rounds + 1):
        values = _scores_with(votes, predictions, y, count, by)
        alone = alone or values
        place = max(range(len(values)), key=lambda k: values[k])
        added.append(place)
        reached.append(values[place])
        votes += predictions[place]
    kept = reached.index(max(reached)) + 1
    counts = dict(Counter(added[:kept]).most_common())
    own = [value for value, _ in alone]
    return Selection(counts, own.index(max(own)), own)


def _scores_with(
    votes: Tensor, predictions: Tensor, y: Tensor, count: int, by: str
) -> list[tuple[float, float]]:
    """Both scores of the mean of ``count`` votes, the last of them each model's in turn."""
    score, second = SCORES[by]
    found = list[tuple[float, float]]()
    for models in predictions.split(max(1, BLOCK // votes.numel())):
        together = (votes + models).div_(count)
        pairs = zip(score(together, y), second(together, y), strict=True)
        found += [(value.item(), other.item()) for value, other in pairs]
    return found
