"""What the Solver trains: a net of ``fcsweep.nets``, or a model with the same few members."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from fcsweep.accuracy import Classifier


class Model(Classifier, Protocol):
    """What the Solver trains: ``FullyConnectedNet``, or a model with the same few members."""

    def prepare(self, X: Tensor, y: Tensor, out: Any) -> Callable[[int], Tensor]:
        """A function of the step for the loss ``(*t,)`` of what ``X`` and ``y`` hold then.

        It writes the gradient to ``out`` and is valid until ``keep``. The step is the number of
        updates before the call.
        """
        ...

    def keep(self, trials: list[int]) -> None:
        """Drop all other trials of a stack."""
        ...

    def save(self, path: str | Path, **others: Any) -> None:
        """Write the parameters to a file; to a ``.pth`` with what else is given."""
        ...
