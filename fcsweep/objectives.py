"""What a run may be judged by, and which end of each objective is best: this place alone knows.

It imports nothing: the config, the records and the search ask it as well as what trains.
`fcsweep.metrics` computes what is neither an accuracy nor the loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Objective:
    """What a run is judged by: the best over its epochs."""

    name: str
    """As the key ``objective`` has it."""
    words: str
    """In a sentence."""
    low: bool = False
    """Whether the lowest value is the best."""
    fraction: bool = False
    """Whether it lies between 0 and 1."""
    task: Literal["classification", "regression"] | None = "classification"
    """For which data it is; None: for either."""
    recorded: bool = False
    """Whether every ``history.csv`` has its column; of the others two follow at the end."""

    @property
    def sign(self) -> int:
        """1 where the highest value is the best, -1 where the lowest is."""
        return -1 if self.low else 1

    @property
    def direction(self) -> Direction:
        """In the words of Optuna."""
        return "minimize" if self.low else "maximize"

    @property
    def digits(self) -> str:
        """How a value is shown: a format."""
        return ".4f" if self.fraction else ".4g"

    @property
    def columns(self) -> tuple[str, ...]:
        """What ``history.csv`` has at its end: on the training rows, and on those of validation."""
        return () if self.recorded else (f"train_{self.name}", f"val_{self.name}")


OBJECTIVES = {
    one.name: one
    for one in (
        Objective("val_accuracy", "validation accuracy", fraction=True, recorded=True),
        Objective("train_accuracy", "train accuracy", fraction=True, recorded=True),
        Objective("val_loss", "validation loss", low=True, task=None, recorded=True),
        Objective("balanced_accuracy", "balanced validation accuracy", fraction=True),
        Objective("f1_macro", "macro F1", fraction=True),
        Objective("log_loss", "log loss", low=True),
        Objective("rmse", "RMSE", low=True, task="regression"),
        Objective("mae", "MAE", low=True, task="regression"),
        Objective("r2", "R2", task="regression"),
    )
}


def sign_of(name: object) -> int:
    """The `Objective.sign` of a name; 1 of one that is not known, as records may have it."""
    known = OBJECTIVES.get(str(name))
    return known.sign if known else 1


def direction_of(name: object) -> Direction:
    """The `Objective.direction` of a name; ``maximize`` of one that is not known."""
    return "minimize" if sign_of(name) < 0 else "maximize"


def is_other(name: object) -> bool:
    """Whether it is known and neither of the accuracies, which every display has."""
    return str(name) in OBJECTIVES and name not in ("val_accuracy", "train_accuracy")


def of_quantity(name: object) -> bool:
    """Whether it is an objective of regression alone, where there are no accuracies."""
    known = OBJECTIVES.get(str(name))
    return known is not None and known.task == "regression"


def words_of(name: object) -> str:
    """The `Objective.words` of a name; the name itself of one that is not known."""
    known = OBJECTIVES.get(str(name))
    return known.words if known else str(name)


def digits_of(name: object) -> str:
    """The `Objective.digits` of a name; those of a fraction of one that is not known."""
    known = OBJECTIVES.get(str(name))
    return known.digits if known else ".4f"


def reaches(name: object, value: float, target: float) -> bool:
    """Whether a value is as good as the target: at least it, or at most it where low is good."""
    return sign_of(name) * value >= sign_of(name) * target
