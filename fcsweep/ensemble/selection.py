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

BLOCK = 1 << 22
"""Most numbers of an intermediate result."""

Score = Callable[[Tensor, Tensor], Tensor]
"""``(probabilities (k, n, c), y (n,)) -> (k,)`` float64: higher is better."""


def accuracy(probabilities: Tensor, y: Tensor) -> Tensor:
    """The share of examples whose most probable class is their label."""
    return (probabilities.max(-1).indices == y).double().mean(-1)


def log_likelihood(probabilities: Tensor, y: Tensor) -> Tensor:
    """The mean log probability of the label, in nats; the probabilities may have any sum > 0."""
    label = y.expand(probabilities.shape[:-1]).unsqueeze(-1)
    tiny = torch.finfo(torch.float64).tiny
    share = probabilities.gather(-1, label).squeeze(-1) / probabilities.sum(-1)
    return share.double().clamp_min(tiny).log().mean(-1)


SCORES: dict[str, Score] = {"accuracy": accuracy}
"""What models can be selected by."""


@dataclass(frozen=True)
class Selection:
    """The models that were selected."""

    counts: dict[int, int]
    """How often each was, by its place among the candidates; the most frequent first."""
    best: int
    """The place of the best candidate alone, the first of equals."""
    values: list[float]
    """Each candidate's own score."""


def select(probabilities: Tensor, y: Tensor, rounds: int, score: Score = accuracy) -> Selection:
    """Add to the ensemble, round by round, the model with which its mean scores best.

    A model may be added again. Of equal scores the higher likelihood decides, then the earlier
    place. Kept is what was the ensemble after the round with the best score, the first of equals.

    Args:
        probabilities: of each model and class, ``(k, n, c)``.
        y: labels ``(n,)`` in [0, c).
        rounds: of the selection, at least 1.
        score: what is to be high.
    """
    added, reached = list[int](), list[tuple[float, float]]()
    votes = torch.zeros(probabilities.shape[1:], dtype=torch.float64)
    alone = list[tuple[float, float]]()
    for _ in range(rounds):
        values = _scores_with(votes, probabilities, y, score)
        alone = alone or values
        place = max(range(len(values)), key=lambda k: values[k])
        added.append(place)
        reached.append(values[place])
        votes += probabilities[place]
    kept = reached.index(max(reached)) + 1
    counts = dict(Counter(added[:kept]).most_common())
    own = [value for value, _ in alone]
    return Selection(counts, own.index(max(own)), own)


def _scores_with(
    votes: Tensor, probabilities: Tensor, y: Tensor, score: Score
) -> list[tuple[float, float]]:
    """Score and likelihood of the votes with those of each model, some models at a time."""
    found = list[tuple[float, float]]()
    for models in probabilities.split(max(1, BLOCK // votes.numel())):
        together = votes + models
        pairs = zip(score(together, y), log_likelihood(together, y), strict=True)
        found += [(value.item(), likelihood.item()) for value, likelihood in pairs]
    return found
