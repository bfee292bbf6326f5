"""The data that a config names: a set by its name, or a table."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from fcsweep.config import CustomDataConfig, ImagesConfig, RunConfig, check_sizes
from fcsweep.config.allowed import Measured
from fcsweep.data import custom
from fcsweep.data.dataset import Dataset
from fcsweep.data.images import loading as images


def data_of(config: RunConfig) -> Dataset:
    """The training and validation rows of a run.

    Raises:
        DataError: They are missing, damaged, or not what the config says.
    """
    dtype = getattr(torch, config.dtype)
    if isinstance(config.data, CustomDataConfig):
        return custom.load(config.data, dtype)
    if isinstance(config.data, Measured):
        from fcsweep.data.tables import loading  # imports pandas: not for other sets

        return loading.load(config.data, dtype)
    return images.load(**_images(config.data), dtype=dtype)


def held_out_of(config: RunConfig) -> tuple[Tensor, Tensor]:
    """The test rows ``(n, d)`` of a run and their classes ``(n,)``; for `fcsweep.evaluate` alone.

    Raises:
        DataError: As `data_of`.
    """
    dtype = getattr(torch, config.dtype)
    if isinstance(config.data, CustomDataConfig):
        return custom.load_test(config.data, dtype)
    if isinstance(config.data, Measured):
        from fcsweep.data.tables import loading

        return loading.load_test(config.data, dtype)
    wanted = _images(config.data)
    for rows in ("num_train", "num_val"):
        del wanted[rows]
    return images.load_test(**wanted, dtype=dtype)


def _images(config: ImagesConfig) -> dict[str, Any]:
    """What `load` is asked for."""
    wanted = asdict(config) | {"val_rows": config.val_rows}
    del wanted["val_fraction"]
    return wanted


def measured(config: RunConfig) -> RunConfig:
    """The config with the sizes of its table, which is read; any other config as it is.

    Raises:
        DataError: The table cannot be trained on.
        ConfigError: The rest of the config does not fit its sizes.
    """
    if not isinstance(config.data, Measured) or config.data.sizes is not None:
        return config
    dtype = getattr(torch, config.dtype)
    if isinstance(config.data, CustomDataConfig):
        sizes = custom.sizes(config.data, dtype)
    else:
        from fcsweep.data.tables import loading

        sizes = loading.sizes(config.data, dtype)
    known = replace(config, data=replace(config.data, sizes=sizes))
    check_sizes(known)
    return known
