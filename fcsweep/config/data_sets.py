"""The data sets as schemas: a plain dataclass for each, with every default.

A ``ClassVar`` is a fact about the set and no key of a config: its ``rows``, the ``inputs`` of an
example and its ``classes``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from fcsweep.config.allowed import COUNT, FilePath, Rows
from fcsweep.config.fields import key


@dataclass
class DigitsConfig:
    """The 8 x 8 handwritten digits that come with scikit-learn: 64 inputs, 10 classes."""

    rows: ClassVar[Rows] = Rows(1_397, 200, 200)
    inputs: ClassVar[int] = 64
    classes: ClassVar[int] = 10

    name: str = "digits"
    num_train: int | None = key(None, COUNT, optional=True)
    """Training rows to use, the first of the split; >= 1, null = all 1,397."""
    num_val: int | None = key(None, COUNT, optional=True)
    """Validation rows to use, the first of the split; >= 1, null = all 200."""


@dataclass
class Cifar10Config:
    """CIFAR-10: 32 x 32 colour photographs, 3,072 inputs, 10 classes."""

    rows: ClassVar[Rows] = Rows(40_000, 10_000, 10_000)
    inputs: ClassVar[int] = 3_072
    classes: ClassVar[int] = 10

    name: str = "cifar10"
    num_train: int | None = key(None, COUNT, optional=True)
    """Training rows to use, the first of the split; >= 1, null = all 40,000."""
    num_val: int | None = key(None, COUNT, optional=True)
    """Validation rows to use, the first of the split; >= 1, null = all 10,000."""
    root: str | None = key(None, FilePath(), optional=True)
    """The archive, its ``cifar-10-batches-py`` or ``-bin`` folder, or that folder's parent.

    null = the cached copy, downloaded first if there is none. Made absolute by :func:`typed`.
    """


@dataclass
class SyntheticConfig:
    """Made-up images of CIFAR-10's shape, learnable; no photographs."""

    rows: ClassVar[Rows] = Rows(5_000, 1_000, 1_000)
    inputs: ClassVar[int] = 3_072
    classes: ClassVar[int] = 10

    name: str = "synthetic"
    num_train: int | None = key(None, COUNT, optional=True)
    """Training rows to use, the first of the split; >= 1, null = all 5,000."""
    num_val: int | None = key(None, COUNT, optional=True)
    """Validation rows to use, the first of the split; >= 1, null = all 1,000."""


DataConfig: TypeAlias = DigitsConfig | Cifar10Config | SyntheticConfig
