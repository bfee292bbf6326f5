"""Data that a function of the user's own returns, as tensors to train on.

Inputs are taken as they are. Integers as targets are classes, counted from 0; floats are a
quantity, which is standardised by the training rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fcsweep.config import CustomDataConfig
from fcsweep.courses import imported
from fcsweep.data.dataset import Dataset, changes
from fcsweep.kernels.arrays import tensor
from fcsweep.messages.errors import DataError, UserError
from fcsweep.messages.wording import join, one_line

SPLITS = ("train", "val", "test")
NEEDED = ("X_train", "y_train", "X_val", "y_val")


@dataclass(frozen=True, eq=False)
class _Loaded:
    dataset: Dataset
    test: tuple[Tensor, Tensor]

    @property
    def sizes(self) -> dict[str, int]:
        whole = self.dataset
        rows = {"train": whole.y_train, "val": whole.y_val, "test": self.test[1]}
        counts = {split: len(y) for split, y in rows.items()}
        return {**counts, "inputs": whole.X_train.shape[1], "classes": whole.num_classes}


def load(config: CustomDataConfig, dtype: torch.dtype) -> Dataset:
    """The training and validation rows; the function is called once in a process.

    Raises:
        ConfigError: it cannot be imported.
        DataError: it raises, or returns what cannot be trained on or has other sizes than recorded.
    """
    loaded = _whole(config, dtype)
    if config.sizes is not None and config.sizes != loaded.sizes:
        changed = changes(config.sizes, loaded.sizes)
        raise DataError(f"data.load={config.load}: what it returns has changed: {changed}")
    return loaded.dataset.first(config.num_train, config.num_val)


def sizes(config: CustomDataConfig, dtype: torch.dtype) -> dict[str, int]:
    """Rows of each split, inputs and classes; errors as of `load`."""
    return _whole(config, dtype).sizes


def load_test(config: CustomDataConfig, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The test rows and their classes; for `fcsweep.evaluate` alone. Errors as of `load`."""
    return _whole(config, dtype).test


def _whole(config: CustomDataConfig, dtype: torch.dtype) -> _Loaded:
    function = imported.load("data.load", config.load)
    try:
        return _load(function, config.load, _Keywords(config.kwargs), dtype)
    except UserError:
        raise
    except Exception as error:
        raise DataError(f"data.load={config.load}: {one_line(error)}") from error


class _Keywords:
    """Keywords that can be looked up in a cache."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values, self._text = values, repr(sorted(values.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keywords) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


@lru_cache(maxsize=2)
@torch.inference_mode(False)
def _load(function: Any, path: str, keywords: _Keywords, dtype: torch.dtype) -> _Loaded:
    given = _arrays(path, function(**keywords.values))
    digest = sha256()
    for name, one in given.items():
        array = np.ascontiguousarray(one.numpy())
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(array.data if array.size else b"")
    X = {split: _inputs(path, split, given[f"X_{split}"]) for split in SPLITS}
    widths = {split: x.shape[1] for split, x in X.items() if len(x)}
    if len(set(widths.values())) > 1:
        raise DataError(f"data.load={path}: inputs of {widths}; expected one number of them")
    y, classes, units = _targets(path, {split: given[f"y_{split}"] for split in SPLITS})
    for split in SPLITS:
        if len(X[split]) != len(y[split]):
            counts = f"{len(X[split])} rows and {len(y[split])} targets"
            raise DataError(f"data.load={path}: {counts} of {split}; expected a target for each")
    pairs = {s: (X[s].to(dtype), y[s] if classes > 1 else y[s].to(dtype)) for s in SPLITS}
    about = {f"data_{name}": value for name, value in units.items()}
    dataset = Dataset(
        "custom",
        *pairs["train"],
        *pairs["val"],
        num_classes=classes,
        fingerprint=digest.hexdigest(),
        about=about,
        target_mean=units.get("target_mean", 0.0),
        target_scale=units.get("target_scale", 1.0),
    )
    return _Loaded(dataset, pairs["test"])


def _arrays(path: str, returned: Any) -> dict[str, Tensor]:
    """What the function returned, by name; a test set that is not there has no rows."""
    there = returned if isinstance(returned, Mapping) else getattr(returned, "__dict__", {})
    if missing := [name for name in NEEDED if there.get(name) is None]:
        raise DataError(
            f"data.load={path} returns {type(returned).__name__} without {join(missing)}; expected "
            f"{join(NEEDED)}, and X_test and y_test if there are any"
        )
    found = {name: tensor(there[name], name).detach().cpu() for name in NEEDED}
    for name in ("X", "y"):
        test = there.get(f"{name}_test")
        empty = found[f"{name}_train"][:0]
        found[f"{name}_test"] = empty if test is None else tensor(test, name).detach().cpu()
    return {name: one.clone() for name, one in found.items()}


def _inputs(path: str, split: str, X: Tensor) -> Tensor:
    """Rows of finite numbers, ``(n, d)``."""
    if X.ndim < 2 or (not len(X) and split != "test"):
        raise DataError(
            f"data.load={path}: X_{split} has shape {tuple(X.shape)}; expected (n, ...) with n >= 1"
        )
    rows = X.flatten(1)
    if rows.is_complex() or not rows.isfinite().all():
        place = int((~rows.isfinite()).any(1).long().argmax()) + 1
        raise DataError(f"data.load={path}: X_{split} has a number that is not finite, row {place}")
    return rows


def _targets(path: str, y: dict[str, Tensor]) -> tuple[dict[str, Tensor], int, dict[str, float]]:
    """The targets of each split; how many classes, 1 of a quantity; the unit of a quantity."""
    y = {split: one.squeeze(-1) if one.ndim == 2 else one for split, one in y.items()}
    if wrong := [split for split, one in y.items() if one.ndim != 1]:
        shape = tuple(y[wrong[0]].shape)
        raise DataError(f"data.load={path}: y_{wrong[0]} has shape {shape}; expected (n,)")
    train = y["train"]
    if not train.is_floating_point():
        return _classes(path, y)
    if not all(one.isfinite().all() for one in y.values()):
        raise DataError(f"data.load={path}: a target is not finite")
    mean, deviation = train.double().mean().item(), train.double().std(correction=0).item()
    if not deviation > 0:
        raise DataError(f"data.load={path}: all targets of the training rows are {mean:g}")
    scaled = {split: (one.double() - mean) / deviation for split, one in y.items()}
    return scaled, 1, {"target_mean": mean, "target_scale": deviation}


def _classes(path: str, y: dict[str, Tensor]) -> tuple[dict[str, Tensor], int, dict[str, float]]:
    labels = {split: one.long() for split, one in y.items()}
    found = labels["train"].unique().tolist()
    if len(found) < 2 or found != list(range(len(found))):
        shown = join(map(str, found[:10]))
        raise DataError(
            f"data.load={path}: the classes of the training rows are {shown}; expected 0, 1, ... "
            "without a gap, at least two (numbers as floats are a quantity)"
        )
    for split, one in labels.items():
        if len(one) and (one.min() < 0 or one.max() >= len(found)):
            raise DataError(f"data.load={path}: y_{split} has a class that no training row has")
    return labels, len(found), {}
