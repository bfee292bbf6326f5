"""`load` and `load_test`: turn the integer pixels of a set into tensors to train on."""

import math
from collections.abc import Callable, Hashable
from difflib import get_close_matches
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fcsweep.data.dataset import Dataset, versions
from fcsweep.data.images.cifar10 import CIFAR10
from fcsweep.data.images.digits import DIGITS
from fcsweep.data.images.image_set import Images, ImageSet
from fcsweep.data.images.mnist import FASHION_MNIST, MNIST
from fcsweep.data.images.principal_components import PrincipalComponents, components_of
from fcsweep.data.images.synthetic import SYNTHETIC
from fcsweep.messages.errors import DataError

Projected = tuple[int | None, float | None]
"""How many principal components are the inputs, and what whitens them."""
PIXELS: Projected = (None, None)

SETS = {one.name: one for one in (DIGITS, CIFAR10, MNIST, FASHION_MNIST, SYNTHETIC)}


def load(
    name: str,
    *,
    num_train: int | None = None,
    num_val: int | None = None,
    root: str | Path | None = None,
    components: int | None = None,
    whiten: float | None = None,
    val_rows: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Dataset:
    """The training and validation rows of a data set.

    The last two sets are cached: equal arguments give the same tensors again while the files behind
    them are unchanged. If torch has changed one of the tensors in place since, the set is loaded
    again.

    Args:
        name: One of `SETS`, such as ``digits``.
        num_train: The number of training rows, taken from the start; None for all. The subtracted
            mean is that of all training rows either way.
        num_val: The number of validation rows, taken from the start; None for all.
        root: For ``cifar10``: the archive, the folder of its batches, or a folder that holds one of
            them. For ``mnist`` and ``fashion_mnist``: the folder of their files, or torchvision's
            root. None for the published files, which are downloaded unless they, or a copy of what
            they hold, are in the cache folder.
        components: How many principal components of all training images are the inputs; None for
            the pixels, or all if they are whitened.
        whiten: Divides each component by ``sqrt(variance + whiten)``; None: by nothing.
        val_rows: How many of the training and validation images validate, the last; None: as
            usual, such as 10,000 of 50,000.
        dtype: The type of ``X_train`` and ``X_val``, a floating-point one.

    Raises:
        DataError: There is no such set or not so many rows, or the data are missing or damaged.
    """
    _check(name, root, dtype)
    train, val, _ = _sizes(SETS[name], val_rows)
    rows = (_rows(name, "train", num_train, train), _rows(name, "val", num_val, val))
    source = _source(SETS[name], root)
    asked = (name, rows, source, (components, whiten), val, dtype)
    dataset, before = _load(*asked)
    if versions(dataset) != before:
        _load.cache_clear()
        dataset, _ = _load(*asked)
    return dataset


def require(name: str, *, root: str | Path | None = None) -> None:
    """Make sure that `load` will find its files; download what is missing.

    Args:
        name: As for `load`.
        root: As for `load`.

    Raises:
        DataError: The data are missing; only `load` notices damage.
    """
    _check(name, root, torch.float32)
    if (required := SETS[name].require) is not None:
        required(_source(SETS[name], root))


def load_test(
    name: str,
    *,
    root: str | Path | None = None,
    components: int | None = None,
    whiten: float | None = None,
    val_rows: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """The test rows ``(n, d)`` in ``dtype`` and their classes ``(n,)`` int64, made as by `load`.

    For `fcsweep.evaluate` alone: a test set that influences a choice is no longer one.

    Args:
        name: As for `load`.
        root: As for `load`.
        components: As for `load`.
        whiten: As for `load`.
        val_rows: As for `load`.
        dtype: As for `load`.

    Raises:
        DataError: As for `load`.
    """
    chosen, train = _training_of(name, root, val_rows, dtype)
    test = _images(chosen, _source(chosen, root, test=True)).last(chosen.sizes[2])
    return _inputs(chosen, train, (components, whiten), dtype)(test), _labels(test)


def normalization(
    name: str, *, root: str | Path | None = None, val_rows: int | None = None
) -> dict[str, Any]:
    """How pixels become inputs: ``pixel / white - mean``, with a mean for each colour plane.

    Args:
        name: As for `load`.
        root: As for `load`.
        val_rows: As for `load`.

    Raises:
        DataError: As for `load`.
    """
    chosen, train = _training_of(name, root, val_rows)
    return {"white": chosen.white, "mean": _mean(chosen, train).tolist()}


def projection(
    name: str,
    components: int | None,
    whiten: float | None,
    *,
    root: str | Path | None = None,
    val_rows: int | None = None,
) -> tuple[Tensor, Tensor]:
    """What makes components of rows as `load` returns them without: ``x @ W + b``, float64.

    Args:
        name: As for `load`.
        components: As for `load`.
        whiten: As for `load`.
        root: As for `load`.
        val_rows: As for `load`.

    Raises:
        DataError: As for `load`.
    """
    chosen, train = _training_of(name, root, val_rows)
    along, W = _along(chosen, train, (components, whiten))
    W *= chosen.white
    apart = along.mean.view(chosen.planes, -1) / chosen.white - _mean(chosen, train)[:, None]
    return W, -apart.flatten() @ W


def _check(name: str, root: str | Path | None, dtype: torch.dtype) -> None:
    if name not in SETS:
        near = get_close_matches(str(name), SETS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise DataError(f"data.name={name}: expected one of {', '.join(SETS)}{hint}")
    if root is not None and SETS[name].find is None:
        others = ", ".join(one.name for one in SETS.values() if one.find)
        raise DataError(f"data.root={root}: {name} has no files (as {others} have); leave it out")
    if not dtype.is_floating_point:
        raise DataError(f"dtype={dtype}: expected a floating-point type such as torch.float32")


def _rows(name: str, key: str, wanted: int | None, size: int) -> int:
    kind = {"train": "training", "val": "validation"}[key]
    if wanted is not None and not 1 <= wanted <= size:
        raise DataError(
            f"data.num_{key}={wanted}: {name} has {size} {kind} rows; give 1 to {size}, "
            "or null for all"
        )
    return size if wanted is None else wanted


def _source(chosen: ImageSet, root: str | Path | None, test: bool = False) -> Hashable:
    """The place and the state of the images of a set with files; None for another set."""
    if chosen.find is None:
        return None
    try:
        return chosen.find(root, test)
    except DataError as error:
        raise DataError(f"data.root={root}: {error}") from error
    # RuntimeError: a loop of links, or a ~ without a home; ValueError: a name with a null byte.
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"data.root={root}: cannot be read ({reason})") from error


def _images(chosen: ImageSet, source: Hashable) -> Images:
    return chosen.read(source) if chosen.find else chosen.read()


def _training_of(
    name: str,
    root: str | Path | None,
    val_rows: int | None,
    dtype: torch.dtype = torch.float32,
) -> tuple[ImageSet, Images]:
    """A set by its name, and all its training images; raises as `load` does."""
    _check(name, root, dtype)
    return SETS[name], _training(SETS[name], _source(SETS[name], root), val_rows)[0]


def _training(chosen: ImageSet, source: Hashable, val_rows: int | None) -> tuple[Images, Images]:
    """All training and all validation images."""
    train, val, _ = _images(chosen, source).split(_sizes(chosen, val_rows))
    return train, val


def _sizes(chosen: ImageSet, val_rows: int | None) -> tuple[int, int, int]:
    """How many images train, validate and test."""
    train, val, test = chosen.sizes
    if val_rows is None:
        return chosen.sizes
    if not 1 <= val_rows < train + val:
        raise DataError(
            f"val_rows={val_rows}: {chosen.name} has {train + val} training and validation rows; "
            f"give 1 to {train + val - 1}, or None for {val}"
        )
    return train + val - val_rows, val_rows, test


@lru_cache(maxsize=2)
# Tensors made in inference mode have no version counter, which reveals a change.
@torch.inference_mode(False)
def _load(
    name: str,
    rows: tuple[int, int],
    source: Hashable,
    projected: Projected,
    val_rows: int | None,
    dtype: torch.dtype,
) -> tuple[Dataset, list[int]]:
    """The set, and the initial versions of its tensors."""
    chosen = SETS[name]
    all_train, all_val = _training(chosen, source, val_rows)
    mean, inputs = _mean(chosen, all_train), _inputs(chosen, all_train, projected, dtype)
    train, val = all_train.first(rows[0]), all_val.first(rows[1])
    content = f"{name} {mean.tolist()} {train.sha256} {val.sha256}"
    if projected != PIXELS:
        content += f" {projected}"
    dataset = Dataset(
        name,
        X_train=inputs(train),
        y_train=_labels(train),
        X_val=inputs(val),
        y_val=_labels(val),
        num_classes=chosen.classes,
        fingerprint=sha256(content.encode()).hexdigest(),
    )
    return dataset, versions(dataset)


def _mean(chosen: ImageSet, train: Images) -> Tensor:
    """The mean of each colour plane of pixels in [0, 1], ``(planes,)`` float64, rounded once."""
    sums = torch.from_numpy(train.plane_sums(chosen.planes)).to(torch.float64)
    return sums / (train.pixels.size // len(sums) * chosen.white)


def _inputs(
    chosen: ImageSet, train: Images, projected: Projected, dtype: torch.dtype
) -> Callable[[Images], Tensor]:
    """What makes rows ``(n, d)`` of images, in memory of their own."""
    if projected == PIXELS:
        return partial(_centred, chosen, _mean(chosen, train).to(dtype))
    along, W = _along(chosen, train, projected)
    return lambda images: along.project(images, W).to(dtype)


def _along(
    chosen: ImageSet, train: Images, projected: Projected
) -> tuple[PrincipalComponents, Tensor]:
    """The principal components of a set, and what makes inputs of its centred pixels."""
    components, whiten = projected
    pixels = train.pixels.shape[1]
    if components is not None and not 1 <= components <= pixels:
        raise DataError(
            f"data.components={components}: {chosen.name} has {pixels} pixels; give 1 to {pixels}, "
            "or null for the pixels themselves"
        )
    if whiten is not None and not 0 < whiten < math.inf:
        raise DataError(f"data.whiten={whiten}: expected a number > 0, or null for no whitening")
    along = components_of(chosen.name, train)
    return along, along.matrix(components, whiten, chosen.white)


def _centred(chosen: ImageSet, mean: Tensor, images: Images) -> Tensor:
    X = torch.from_numpy(images.pixels).to(mean.dtype).div_(chosen.white)
    X.view(len(images), len(mean), -1).sub_(mean[:, None])
    return X


def _labels(images: Images) -> Tensor:
    return torch.from_numpy(images.labels).to(torch.int64)
