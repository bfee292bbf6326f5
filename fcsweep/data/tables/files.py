"""Reads a file as a table, without trusting it: nothing in it is executed, and its size is bounded.

Row numbers, also in errors, count from 1 for the first row below the header.
"""

from __future__ import annotations

import csv
import stat
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import psutil

from fcsweep.messages.errors import DataError
from fcsweep.messages.wording import join, one_line

SEPARATORS = ",;\t"
HEADER = 1_000_000
"""Most characters of the line with the names of the columns."""


@dataclass(frozen=True)
class Asked:
    """How a file is read."""

    target: str | None = None
    """Of NPZ the array, of NPY the file of the array that becomes this column; None: no target."""
    decimal: str = "."
    """The decimal point in CSV."""
    texts: Sequence[str] = ()
    """Columns of CSV that are text, whatever they look like."""


def read(key: str, path: str, asked: Asked) -> pd.DataFrame:
    """The columns of a file, in order.

    Args:
        key: of the config, for the error; empty where a command names the file.
        path: of the file.
        asked: how it is read.

    Raises:
        DataError: It is missing, damaged, too large, or no table; one line that names it.
    """
    file, named = Path(path), f"{key}={path}" if key else path
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise DataError(
            f"{key or 'the table'} is {path}; expected a name that ends in {join(READERS)}"
        )
    try:
        check(file)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            frame = reader(file, asked)
        _check_names([str(name) for name in frame.columns])
        if not len(frame):
            raise DataError("has no rows")
        return frame
    except DataError as error:
        raise DataError(f"{named}: {error}") from error
    except OSError as error:
        raise DataError(f"{named}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # what a library says of a damaged file is of any kind
        raise DataError(f"{named}: cannot be read ({one_line(error)[:200]})") from error


def check(file: Path) -> None:
    """Refuse what is no file, or larger than the free memory."""
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DataError("is no file")
    _check_size(status.st_size)


def state(path: str) -> tuple[object, ...]:
    """Size and times: while they are the same, so is the content."""
    status = Path(path).stat()
    return path, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def sha256(path: str) -> str:
    """Of the content, in hex."""
    with Path(path).open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _check_size(size: int) -> None:
    free = psutil.virtual_memory().available
    if size > free:
        raise DataError(f"has {size:,} bytes; expected at most {free:,}, the free memory")


def _check_names(names: list[str]) -> None:
    for place, name in enumerate(names, 1):
        if not name.strip() or name.startswith("Unnamed: "):
            raise DataError(f"column {place} has no name; give it one, or write without an index")
        if names.count(name) > 1:
            raise DataError(f"has {names.count(name)} columns with the name {name}")


def _csv(file: Path, asked: Asked) -> pd.DataFrame:
    names, separator = _header(file)
    _check_names(names)
    options: Any = {"names": names, "sep": separator, "decimal": asked.decimal, "index_col": False}
    texts: Any = {name: str for name in asked.texts if name in names}
    return pd.read_csv(
        file,
        **options,
        dtype=texts or None,
        header=None,
        skiprows=1,
        compression=None,
        encoding="utf-8-sig",
        na_values=["?"],
        skipinitialspace=True,
        low_memory=False,
    )


def _header(file: Path) -> tuple[list[str], str]:
    """The names of the columns, and what separates them: what most often does in their line."""
    with file.open(encoding="utf-8-sig", newline="") as opened:
        line = opened.readline(HEADER).rstrip("\r\n")
    if not line.strip():
        raise DataError("has no names of columns in its first line")
    if "\0" in line or len(line) == HEADER:
        raise DataError("is no CSV: its first line has no end, or a zero byte")
    separator = max(SEPARATORS, key=line.count)
    names = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
    return [name.strip() for name in names], separator


def _arrow(read: Callable[[Path], pd.DataFrame]) -> Callable[[Path, Asked], pd.DataFrame]:
    def reader(file: Path, asked: Asked) -> pd.DataFrame:
        if find_spec("pyarrow") is None:
            raise DataError("needs pyarrow: pip install 'fcsweep[table]'")
        return read(file)

    return reader


def _npz(file: Path, asked: Asked) -> pd.DataFrame:
    with zipfile.ZipFile(file) as archive:
        _check_size(sum(info.file_size for info in archive.infolist()))
        for info in archive.infolist():
            with archive.open(info) as member:
                _check_header(member, info.file_size)
    target = asked.target
    with np.load(file, allow_pickle=False) as arrays:
        if target is None:
            return _inputs(file, arrays)
        others = [name for name in arrays.files if name != target]
        if target not in arrays.files or len(others) != 1:
            raise DataError(
                f"holds the arrays {join(arrays.files) or 'none'}; expected data.target={target} "
                "and one other"
            )
        return _frame(arrays[others[0]], arrays[target], target)


def _inputs(file: Path, arrays: Any) -> pd.DataFrame:
    """The rows of an NPZ without regard to a target: its one array of two or more axes."""
    found = [array for name in arrays.files if (array := arrays[name]).ndim > 1]
    if len(found) != 1:
        raise DataError(f"holds {len(found)} arrays of inputs; expected one, of shape (n, d)")
    return _frame(found[0])


def _npy(file: Path, asked: Asked) -> pd.DataFrame:
    named = [file] if asked.target is None else [file, file.parent / asked.target]
    for one in named:
        check(one)
        with one.open("rb") as opened:
            _check_header(opened, one.stat().st_size)
    X, *y = (np.load(one, allow_pickle=False) for one in named)
    return _frame(X, *y, target=asked.target)


def _check_header(opened: BinaryIO | Any, size: int) -> None:
    """Refuse an array of objects, or one that claims more than its file holds."""
    version = np.lib.format.read_magic(opened)
    header = {(1, 0): np.lib.format.read_array_header_1_0}.get(
        version, np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = header(opened)
    if dtype.hasobject:
        raise DataError("holds pickled objects; expected numbers, as numpy.save writes them")
    claimed = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
    if claimed > size:
        raise DataError(f"claims an array of {claimed:,} bytes, and holds {size:,}")


def _frame(X: np.ndarray, y: np.ndarray | None = None, target: str | None = None) -> pd.DataFrame:
    if y is None:
        if X.ndim < 2:
            raise DataError(f"holds an array of shape {X.shape}; expected (n, d)")
    elif y.ndim != 1 or X.ndim < 2 or len(X) != len(y):
        raise DataError(
            f"holds arrays of shapes {X.shape} and, of the target, {y.shape}; expected (n, d) and "
            "(n,)"
        )
    frame = pd.DataFrame(X.reshape(len(X), -1))
    frame.columns = [f"x{place}" for place in range(frame.shape[1])]
    if target is not None:
        frame[target] = y
    return frame


READERS: dict[str, Callable[[Path, Asked], pd.DataFrame]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _arrow(pd.read_parquet),
    ".feather": _arrow(pd.read_feather),
    ".npz": _npz,
    ".npy": _npy,
}
