"""The data sets as schemas: a plain dataclass for each, with every default.

A ``ClassVar`` is a fact about the set and no key of a config: its ``published`` rows, the
``pixels`` of an image and its ``classes``. Of a `Measured` set they are known when it is read, and
its config keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from fcsweep.config.allowed import (
    COLUMN,
    COUNT,
    POSITIVE,
    SEED,
    SHARE,
    UNDER_ONE,
    Counts,
    FilePath,
    ImportPath,
    Measured,
    Range,
    Rows,
    Words,
)
from fcsweep.config.fields import MISSING, columns, key, keywords

TASK = Words(("classification", "regression"))
SCALE = Words(("standard", "quantile", "none"))
FILL = Words(("refuse", "mean", "median"))
FOLDS = Range(2, 100, whole=True)
FOLD = Range(0, 99, whole=True)


@dataclass
class ImagesConfig:
    """Images of one size, each a row of ``pixels``: one colour plane after the other."""

    published: ClassVar[Rows]
    pixels: ClassVar[int]
    classes: ClassVar[int] = 10

    name: str = MISSING
    val_fraction: float | None = key(None, SHARE, optional=True)
    """Share of the training images that validate instead, the last; in (0, 1), null = as usual."""
    num_train: int | None = key(None, COUNT, optional=True)
    """Training rows to use, the first of the split; >= 1, null = all."""
    num_val: int | None = key(None, COUNT, optional=True)
    """Validation rows to use, the first of the split; >= 1, null = all."""
    components: int | None = key(None, COUNT, optional=True)
    """Inputs: so many principal components of all training images; >= 1, null = the pixels."""
    whiten: float | None = key(None, POSITIVE, optional=True)
    """Divides each component by ``sqrt(variance + whiten)``; > 0, null = no whitening."""

    @property
    def rows(self) -> Rows:
        """How many train, validate and test."""
        return self.published.with_val(self.val_fraction)

    @property
    def val_rows(self) -> int | None:
        """How many validate; None: as many as usual."""
        return None if self.val_fraction is None else self.rows.val

    @property
    def on_pixels(self) -> bool:
        """Whether the inputs are the pixels themselves."""
        return self.components is None and self.whiten is None

    @property
    def inputs(self) -> int:
        """Of an example."""
        return self.components or self.pixels


@dataclass
class DigitsConfig(ImagesConfig):
    """The 8 x 8 handwritten digits that come with scikit-learn: 64 pixels, 10 classes."""

    published: ClassVar[Rows] = Rows(1_397, 200, 200)
    pixels: ClassVar[int] = 64

    name: str = "digits"


@dataclass
class Cifar10Config(ImagesConfig):
    """CIFAR-10: 32 x 32 colour photographs, 3,072 pixels, 10 classes."""

    published: ClassVar[Rows] = Rows(40_000, 10_000, 10_000)
    pixels: ClassVar[int] = 3_072

    name: str = "cifar10"
    root: str | None = key(None, FilePath(), optional=True)
    """The archive, its ``cifar-10-batches-py`` or ``-bin`` folder, or that folder's parent.

    null = the cached copy, downloaded first if there is none. Made absolute by :func:`typed`.
    """


@dataclass
class MnistConfig(ImagesConfig):
    """MNIST or Fashion-MNIST: 28 x 28 grey images, 784 pixels, 10 classes."""

    published: ClassVar[Rows] = Rows(50_000, 10_000, 10_000)
    pixels: ClassVar[int] = 784

    name: str = "mnist"
    root: str | None = key(None, FilePath("./MNIST/raw"), optional=True)
    """The folder of the four files, packed or not, or the root that torchvision was given.

    null = the cached copy, downloaded first if there is none. Made absolute by :func:`typed`.
    """


@dataclass
class SyntheticConfig(ImagesConfig):
    """Made-up images of CIFAR-10's shape, learnable; no photographs."""

    published: ClassVar[Rows] = Rows(5_000, 1_000, 1_000)
    pixels: ClassVar[int] = 3_072

    name: str = "synthetic"


@dataclass
class TableConfig(Measured):
    """A table of your own: CSV, Parquet, Feather, NPZ or NPY."""

    name: str = "table"
    path: str = key(MISSING, FilePath("cells.csv"))
    """The file, by its ending: ``.csv``, ``.tsv``, ``.parquet``, ``.feather``, ``.npz``, ``.npy``.

    Made absolute by :func:`typed`.
    """
    target: str = key(MISSING, COLUMN)
    """The column to predict; of NPZ its array, of NPY the file of its array, beside ``path``."""
    task: str | None = key(None, TASK, optional=True)
    """``classification`` or ``regression``; null = told by the target."""
    categories: list[str] = columns()
    """Columns of numbers that are categories, such as codes; text always is."""
    drop: list[str] = columns()
    """Columns that are no input, such as a row's number."""
    decimal: str = key(".", Words((".", ",")))
    """The decimal point of the numbers in CSV."""
    missing: str = key("refuse", FILL)
    """What stands for a missing number: nothing, or the mean or median of the training rows.

    Unless it is ``refuse``, a missing category is as one that no training row has.
    """
    scale: str = key("standard", SCALE)
    """Scale of numbers, by the training rows: mean 0 and deviation 1, normal by rank, or as is."""
    val_fraction: float = key(0.15, UNDER_ONE)
    """Share of the rows that validate, of each class alike; in [0, 1)."""
    test_fraction: float = key(0.15, UNDER_ONE)
    """Share of the rows that only ``fcsweep.evaluate`` reads; in [0, 1)."""
    split_seed: int = key(0, SEED)
    """Which rows these are; in [0, 2**32). ``seed`` does not change them."""
    folds: int | None = key(None, FOLDS, optional=True)
    """Parts of all rows but those for test, one of which validates; null = ``val_fraction``.

    A search trains every trial once with each of them.
    """
    fold: int = key(0, FOLD)
    """Which part validates; in [0, ``folds``)."""
    split_column: str | None = key(None, COLUMN, optional=True)
    """A column of ``train``, ``val`` and ``test`` in place of fractions; null = none."""
    val_path: str | None = key(None, FilePath("val.csv"), optional=True)
    """A file of the validation rows; null = they are in ``path``."""
    test_path: str | None = key(None, FilePath("test.csv"), optional=True)
    """A file of the test rows; null = they are in ``path``, or with ``val_path`` there are none."""
    num_train: int | None = key(None, COUNT, optional=True)
    """Training rows to use, the first of the split; >= 1, null = all."""
    num_val: int | None = key(None, COUNT, optional=True)
    """Validation rows to use, the first of the split; >= 1, null = all."""
    sizes: dict[str, int] | None = key(None, Counts(), optional=True)
    """Rows of each split, inputs and classes; null = measured, and then saved."""


@dataclass
class SklearnConfig(Measured):
    """A small table that comes with scikit-learn; rows are split as those of a table."""

    name: str = "iris"
    scale: str = key("standard", SCALE)
    """Scale of numbers, by the training rows: mean 0 and deviation 1, normal by rank, or as is."""
    val_fraction: float = key(0.15, UNDER_ONE)
    """Share of the rows that validate, of each class alike; in [0, 1)."""
    test_fraction: float = key(0.15, UNDER_ONE)
    """Share of the rows that only ``fcsweep.evaluate`` reads; in [0, 1)."""
    split_seed: int = key(0, SEED)
    """Which rows these are; in [0, 2**32). ``seed`` does not change them."""
    folds: int | None = key(None, FOLDS, optional=True)
    """Parts of all rows but those for test, one of which validates; null = ``val_fraction``.

    A search trains every trial once with each of them.
    """
    fold: int = key(0, FOLD)
    """Which part validates; in [0, ``folds``)."""
    num_train: int | None = key(None, COUNT, optional=True)
    """Training rows to use, the first of the split; >= 1, null = all."""
    num_val: int | None = key(None, COUNT, optional=True)
    """Validation rows to use, the first of the split; >= 1, null = all."""
    sizes: dict[str, int] | None = key(None, Counts(), optional=True)
    """Rows of each split, inputs and classes; null = measured, and then saved."""


@dataclass
class CustomDataConfig(Measured):
    """Arrays that a function of your own returns."""

    name: str = "custom"
    load: str = key(MISSING, ImportPath())
    """Import path of a function that returns ``X_train``, ``y_train``, ``X_val``, ``y_val`` and,
    for ``fcsweep.evaluate``, ``X_test`` and ``y_test``, in a mapping or as attributes."""
    kwargs: dict[str, Any] = keywords(per_trial=False)
    """Keywords of ``load``."""
    num_train: int | None = key(None, COUNT, optional=True)
    """Training rows to use, the first of the split; >= 1, null = all."""
    num_val: int | None = key(None, COUNT, optional=True)
    """Validation rows to use, the first of the split; >= 1, null = all."""
    sizes: dict[str, int] | None = key(None, Counts(), optional=True)
    """Rows of each split, inputs and classes; null = measured, and then saved."""


MeasuredConfig: TypeAlias = TableConfig | SklearnConfig
DataConfig: TypeAlias = (
    DigitsConfig | Cifar10Config | SyntheticConfig | MnistConfig | MeasuredConfig | CustomDataConfig
)
