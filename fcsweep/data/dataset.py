"""What a run trains on and is validated on, as tensors."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from torch import Tensor

from fcsweep.messages.wording import join


@dataclass(frozen=True, eq=False)
class Dataset:
    """What a run trains on and is validated on. All tensors are on the CPU and contiguous.

    All callers that load the same data in one process share these tensors: never change them.

    Attributes:
        name: The name of the set.
        X_train: ``(n, d)``, one flattened image per row, values from -1 to 1 around 0; or its
            principal components.
        y_train: ``(n,)`` int64, the class of each row, 0 to ``num_classes - 1``; of a quantity
            numbers in the type of ``X_train``, less ``target_mean``, over ``target_scale``.
        X_val: Validation rows, as ``X_train``.
        y_val: Their classes, as ``y_train``.
        num_classes: How many classes the set has; 1 of a quantity.
        fingerprint: A sha256 in hex of the name, of the integer pixels and labels above, of the
            mean that was subtracted, and how components were made; of a table, of its files and of
            the keys that decide what is made of them. The same in every dtype.
        preprocessing: Of a table, what makes inputs of further rows of it, for
            ``preprocessing.json``; None where there is none, or where it has more than 1 MB.
        about: Further facts for ``provenance.json``: of a table the names of columns and classes.
        target_mean, target_scale: Of a quantity, by the training rows: mean and standard deviation.
    """

    name: str
    X_train: Tensor
    y_train: Tensor
    X_val: Tensor
    y_val: Tensor
    num_classes: int
    fingerprint: str
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])
    preprocessing: Mapping[str, Any] | None = None
    target_mean: float = 0.0
    target_scale: float = 1.0

    def first(self, num_train: int | None, num_val: int | None) -> "Dataset":
        """As many rows of each split, the first; None: all of them."""
        content = f"{self.fingerprint} {num_train} {num_val}"
        return replace(
            self,
            X_train=self.X_train[:num_train],
            y_train=self.y_train[:num_train],
            X_val=self.X_val[:num_val],
            y_val=self.y_val[:num_val],
            fingerprint=sha256(content.encode()).hexdigest(),
        )


def changes(then: Mapping[str, int], now: Mapping[str, int]) -> str:
    """What of the sizes of data has changed: ``train 100, now 90``."""
    return join(f"{key} {then[key]:,}, now {now[key]:,}" for key in now if then[key] != now[key])


def versions(dataset: Dataset) -> list[int]:
    """How often torch has changed each tensor in place; what numpy does to them does not count."""
    tensors = (dataset.X_train, dataset.y_train, dataset.X_val, dataset.y_val)
    return [tensor._version for tensor in tensors]
