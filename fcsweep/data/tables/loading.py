"""A table as tensors, its sizes, its fingerprint, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fcsweep.config import MeasuredConfig, TableConfig
from fcsweep.data.dataset import Dataset, changes, versions
from fcsweep.data.tables import files
from fcsweep.data.tables.columns import Column, columns_of, matrix
from fcsweep.data.tables.preprocessing import facts_of
from fcsweep.data.tables.splits import Places, Splits, by_column, by_folds, by_fractions
from fcsweep.data.tables.target import Quantity, target_of
from fcsweep.messages.errors import DataError
from fcsweep.messages.wording import hint, join

SKLEARN_TARGET = "class"
QUANTITIES = ("diabetes",)
"""Tables of scikit-learn whose target is a quantity."""
PATHS = ("path", "val_path", "test_path")
UNUSED = (*PATHS, "num_train", "num_val", "sizes")
"""Keys that do not decide what is in the whole table."""


@dataclass(frozen=True)
class Source:
    """A table that a config names, and the state of its files: equal if the tensors are."""

    config: MeasuredConfig = field(compare=False)
    keys: str
    files: tuple[object, ...]


@dataclass(frozen=True, eq=False)
class Loaded:
    """The training and validation rows of a whole table."""

    dataset: Dataset
    sizes: dict[str, int]
    versions: list[int]


def load(config: MeasuredConfig, dtype: torch.dtype) -> Dataset:
    """The training and validation rows that a config names.

    The last two tables are cached: equal configs share the same tensors while the files are
    unchanged.

    Raises:
        DataError: The table is missing, damaged or cannot be trained on, or its sizes are not those
            that the config has.
    """
    loaded = _whole(config, dtype)
    if config.sizes is not None and config.sizes != loaded.sizes:
        changed = changes(config.sizes, loaded.sizes)
        advice = "put the old file back, or start anew"
        raise DataError(f"{_named(config)} has changed: {changed}; {advice}")
    return loaded.dataset.first(config.num_train, config.num_val)


def sizes(config: MeasuredConfig, dtype: torch.dtype) -> dict[str, int]:
    """Rows of each split, inputs and classes; as `load`, which then has the tensors."""
    return dict(_sizes(_source(config), dtype))


@lru_cache(maxsize=200)  # a search asks for those of each fold again and again
def _sizes(source: Source, dtype: torch.dtype) -> dict[str, int]:
    return _whole(source.config, dtype).sizes


def load_test(config: MeasuredConfig, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The test rows and their classes, made as by `load`; for `fcsweep.evaluate` alone."""
    table = _Table(config)
    return table.tensors(table.splits.test, dtype)


def _source(config: MeasuredConfig) -> Source:
    unused = UNUSED if config.folds is not None else (*UNUSED, "folds", "fold")
    keys = {key: value for key, value in asdict(config).items() if key not in unused}
    try:
        states = tuple(files.state(path) for path in _paths(config).values())
    except OSError as error:
        raise DataError(f"{_named(config)}: cannot be read ({error.strerror})") from error
    return Source(config, repr(keys), states)


def _whole(config: MeasuredConfig, dtype: torch.dtype) -> Loaded:
    source = _source(config)
    loaded = _load(source, dtype)
    if versions(loaded.dataset) != loaded.versions:
        _load.cache_clear()
        loaded = _load(source, dtype)
    return loaded


@lru_cache(maxsize=2)
@torch.inference_mode(False)
def _load(source: Source, dtype: torch.dtype) -> Loaded:
    table = _Table(source.config)
    digests = {key: files.sha256(path) for key, path in _paths(source.config).items()}
    train, val = (table.tensors(rows, dtype) for rows in (table.splits.train, table.splits.val))
    content = f"{source.keys} {list(digests.values()) or table.sha256()}"
    dataset = Dataset(
        source.config.name,
        *train,
        *val,
        num_classes=len(table.target.names),
        fingerprint=sha256(content.encode()).hexdigest(),
        about={
            "data_columns": _short([str(column.values.name) for column in table.columns]),
            **table.facts,
            "data_files_sha256": digests,
        },
        preprocessing=table.preprocessing(),
        **table.units,
    )
    rows = dict(zip(Splits._fields, map(len, table.splits), strict=True))
    sizes = rows | {"inputs": train[0].shape[1], "classes": dataset.num_classes}
    return Loaded(dataset, sizes, versions(dataset))


class _Table:
    """A table that was read: its rows with their classes, its splits, its inputs.

    Raises:
        DataError: It cannot be read, or not be trained on.
    """

    def __init__(self, config: MeasuredConfig) -> None:
        asked = _as_table(config)
        self._parts = _read(config, asked)
        self._frame = _joined(list(self._parts.values()))
        self._config = config
        with _name_table(config):
            self._refuse_absent(asked)
            self.target = target_of(self._frame[asked.target], asked.task)
            self.splits = self._splits(asked)
            self._refuse_empty()
            if isinstance(self.target, Quantity):
                self.target = self.target.fitted(self.splits.train)
            self.columns = self._inputs(asked)

    def _refuse_absent(self, asked: TableConfig) -> None:
        """Refuse a name of no column, and a row without a class."""
        split = [asked.split_column] if asked.split_column else []
        there = [str(name) for name in self._frame.columns]
        for name in [asked.target, *split, *asked.drop, *asked.categories]:
            if name not in there:
                raise DataError(
                    f"has no column {name}{hint(name, there) or f', but {_some(there)}'}"
                )
        if (missing := self._frame[asked.target].isna().to_numpy()).any():
            row = self._where(int(np.flatnonzero(missing)[0]))
            raise DataError(f"column {asked.target}, the target, has no value in {row}")

    def _splits(self, asked: TableConfig) -> Splits:
        if asked.split_column:
            return by_column(self._frame[asked.split_column])
        starts = np.cumsum([0, *map(len, self._parts.values())])
        own = {
            key: np.arange(start, end)
            for key, start, end in zip(self._parts, starts, starts[1:], strict=False)
        }
        val = 0 if "val_path" in own else asked.val_fraction
        test = 0 if own.keys() & {"val_path", "test_path"} else asked.test_fraction
        groups = self.target.groups[own["path"]]
        if asked.folds is None:
            drawn = by_fractions(groups, val, test, asked.split_seed)
        else:
            drawn = by_folds(groups, asked.folds, asked.fold, test, asked.split_seed)
        return Splits(drawn.train, own.get("val_path", drawn.val), own.get("test_path", drawn.test))

    def _refuse_empty(self) -> None:
        """Refuse a split without rows, and a class that no row could teach."""
        for split, rows in zip(("training", "validation"), self.splits, strict=False):
            if not len(rows):
                raise DataError(f"has no {split} rows; it has {len(self._frame)} in all")
        groups, names = self.target.groups, self.target.names
        taught = np.isin(np.arange(len(names)), groups[self.splits.train])
        if not taught.all():
            name = names[int(np.argmin(taught))]
            raise DataError(f"has no training row of the class {name}")

    def _inputs(self, asked: TableConfig) -> list[Column]:
        others = {asked.target, asked.split_column, *asked.drop}
        inputs = [self._frame[name] for name in self._frame.columns if name not in others]
        fitted = (asked.categories, asked.missing, asked.scale)
        return columns_of(inputs, self.splits.train, *fitted, self._where)

    def _where(self, place: int) -> str:
        """How an error names the row at a position."""
        for key, frame in self._parts.items():
            if place < len(frame):
                return f"row {place + 1}" + (f" of data.{key}" if len(self._parts) > 1 else "")
            place -= len(frame)
        raise IndexError(place)

    def tensors(self, rows: Places, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Inputs ``(n, d)`` and classes or numbers ``(n,)`` of some rows."""
        numbers = np.float64 if dtype == torch.float64 else np.float32
        with _name_table(self._config):
            X = torch.from_numpy(matrix(self.columns, rows, numbers, self._where))
        return X.to(dtype), self.target.of(rows, dtype)

    @property
    def units(self) -> dict[str, float]:
        """How a quantity was standardised; nothing of classes."""
        if not isinstance(self.target, Quantity):
            return {}
        return {"target_mean": self.target.mean, "target_scale": self.target.deviation}

    @property
    def facts(self) -> dict[str, Any]:
        """What provenance tells of the target."""
        units = {f"data_{name}": value for name, value in self.units.items()}
        return units or {"data_classes": _short(self.target.names)}

    def preprocessing(self) -> dict[str, Any] | None:
        """What makes inputs of further rows; None where that is too much for a record."""
        asked = _as_table(self._config)
        target = {"target": asked.target, **(self.units or {"classes": [*self.target.names]})}
        return facts_of(self.columns, target, asked.missing, asked.decimal)

    def sha256(self) -> str:
        """Of the values, for a table without files."""
        return sha256(self._frame.to_csv(index=False).encode()).hexdigest()


@contextmanager
def _name_table(config: MeasuredConfig) -> Iterator[None]:
    """Put the file in front of the text of a `DataError`."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{_named(config)}: {error}") from error


def _as_table(config: MeasuredConfig) -> TableConfig:
    """What a config asks of its table; that of scikit-learn is one like others."""
    if isinstance(config, TableConfig):
        return config
    shared = {key: value for key, value in asdict(config).items() if key != "sizes"}
    task = "regression" if config.name in QUANTITIES else "classification"
    return TableConfig(path="", target=SKLEARN_TARGET, task=task, **shared)


def _read(config: MeasuredConfig, asked: TableConfig) -> dict[str, pd.DataFrame]:
    """The tables of the files, by their keys; all with the same columns."""
    if not isinstance(config, TableConfig):
        return {"path": _of_sklearn(config.name)}
    read = {
        key: files.read(f"data.{key}", path, files.Asked(asked.target, asked.decimal))
        for key, path in _paths(config).items()
    }
    for key, frame in read.items():
        if other := set(frame.columns) ^ set(read["path"].columns):
            raise DataError(
                f"data.{key}={getattr(config, key)}: its columns are not those of data.path; only "
                f"one has {_some(sorted(map(str, other)))}"
            )
    return read


def _joined(parts: list[pd.DataFrame]) -> Any:
    """One table; that of a single file is not copied."""
    return pd.concat(parts, ignore_index=True) if parts[1:] else parts[0]


def _of_sklearn(name: str) -> pd.DataFrame:
    from sklearn import datasets

    loaded = getattr(datasets, f"load_{name}")(as_frame=True)
    if name in QUANTITIES:
        return loaded.data.assign(**{SKLEARN_TARGET: loaded.target})
    names = dict(enumerate(map(str, loaded.target_names)))
    return loaded.data.assign(**{SKLEARN_TARGET: loaded.target.map(names)})


def _paths(config: MeasuredConfig) -> dict[str, str]:
    """The files that a config names, by key."""
    named = {key: getattr(config, key, None) for key in PATHS}
    return {key: path for key, path in named.items() if path is not None}


def _named(config: MeasuredConfig) -> str:
    return f"data.path={config.path}" if isinstance(config, TableConfig) else f"data={config.name}"


def _short(names: Sequence[str]) -> list[str]:
    """As many names, as long, as a record may hold."""
    return [name[:60] for name in names[:1_000]]


def _some(names: Sequence[str]) -> str:
    return join(names[:10]) + (", ..." if len(names) > 10 else "")
