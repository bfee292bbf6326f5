"""The two published file formats of CIFAR-10, read without trusting them.

A batch is one file of 10,000 images. In the python layout it is a pickled dictionary with the
pixels as a numpy array and the labels as a list; in the binary layout it is 10,000 records of one
label byte and 3,072 pixel bytes. A row is 1,024 red, then green, then blue values in both.
Source: https://www.cs.toronto.edu/~kriz/cifar.html
"""

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fcsweep.data.images.image_set import Images
from fcsweep.messages.errors import DataError

BATCH_ROWS = 10_000
ROW = 3072
CLASSES = 10

TRAINING = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = ("test_batch",)


@dataclass(frozen=True)
class Layout:
    """One of the two formats.

    Attributes:
        folder: Name of the folder in the published archive.
        suffix: What follows the name of a batch in the name of its file.
        row_bytes: Least and greatest size of an image in a file, with what belongs to it.
        parse: Makes images of the bytes of a batch of the right size.
    """

    folder: str
    suffix: str
    row_bytes: tuple[int, int]
    parse: Callable[[bytes], Images]

    def file(self, batch: str) -> str:
        """The name of the file that holds ``batch``."""
        return batch + self.suffix

    def greatest(self) -> int:
        """The greatest number of bytes that the file of a batch can have."""
        return BATCH_ROWS * self.row_bytes[1]

    def check_size(self, size: int) -> None:
        """Raise `DataError` if ``size`` bytes cannot be a batch, before any of them is read."""
        least, greatest = BATCH_ROWS * self.row_bytes[0], self.greatest()
        if not least <= size <= greatest:
            wanted = f"{least}" if least == greatest else f"{least} to {greatest}"
            raise DataError(f"has {size} bytes, expected {wanted}")

    def images(self, raw: bytes) -> Images:
        """The images of a batch, ``BATCH_ROWS`` of them.

        Raises:
            DataError: ``raw`` is no batch; the text starts with a verb, for a name before it.
        """
        self.check_size(len(raw))
        return self.parse(raw)


def _parse_binary(raw: bytes) -> Images:
    rows = np.frombuffer(raw, np.uint8).reshape(BATCH_ROWS, 1 + ROW)
    return _check(rows[:, 1:], rows[:, 0].tolist())


def _parse_python(raw: bytes) -> Images:
    try:
        record = _BatchUnpickler(io.BytesIO(raw), encoding="bytes").load()
    except DataError:
        raise
    # A damaged pickle can fail in any way at all, and each of them means the same.
    except Exception as error:
        raise DataError(f"is damaged: it cannot be unpickled ({type(error).__name__})") from error
    pixels = record.get(b"data") if isinstance(record, dict) else None
    labels = record.get(b"labels") if isinstance(record, dict) else None
    if not isinstance(pixels, _Array) or not isinstance(labels, list):
        raise DataError("holds no array b'data' with a list b'labels'")
    return _check(pixels.values(), labels)


def _check(pixels: np.ndarray, labels: list[Any]) -> Images:
    if pixels.shape != (BATCH_ROWS, ROW):
        raise DataError(f"has pixels of shape {pixels.shape}, expected {(BATCH_ROWS, ROW)}")
    if len(labels) != BATCH_ROWS:
        raise DataError(f"has {len(labels)} labels, expected {BATCH_ROWS}")
    for row, label in enumerate(labels):
        if type(label) is not int or not 0 <= label < CLASSES:
            shown = label if type(label) is int else type(label).__name__
            raise DataError(f"has label {shown!s:.20} in row {row}, expected 0 to {CLASSES - 1}")
    return Images(pixels, np.array(labels, np.uint8))


class _BatchUnpickler(pickle.Unpickler):
    """Admits what a published batch names, and gives stand-ins for it that only remember.

    numpy's own classes would not be safe: a pickle may set the flags of a dtype, and thereby make
    numpy take bytes of the file for addresses.
    """

    def find_class(self, module: str, name: str) -> Any:
        stand_in = _STAND_INS.get((module, name))
        if stand_in is None:
            raise DataError(f"asks for {module}.{name}, which no batch needs: refused, not run")
        return stand_in


class _StandIn:
    """All stand-ins are classes with `__setstate__`: a pickle may set any attribute of others."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class _NdarrayType(_StandIn):
    pass


class _Dtype(_StandIn):
    code: object = None

    def __init__(self, code: object, *_: object) -> None:
        self.code = code


class _Array(_StandIn):
    state: Any = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def values(self) -> np.ndarray:
        match self.state:
            case (
                int(),
                (int() as rows, int() as row),
                _Dtype(code="u1" | b"u1"),
                int() as by_column,
                bytes() as raw,
            ) if min(rows, row) >= 0 and rows * row == len(raw):
                order = "F" if by_column else "C"
                return np.frombuffer(raw, np.uint8).reshape((rows, row), order=order)
        raise DataError(f"has pixels that are not {BATCH_ROWS} rows of {ROW} unsigned bytes")


_STAND_INS: dict[tuple[str, str], type] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _NdarrayType,
    ("numpy", "dtype"): _Dtype,
}

# A published python row has 20 to 50 bytes of label and file name besides its pixels.
PYTHON = Layout("cifar-10-batches-py", "", (ROW, ROW + 400), _parse_python)
BINARY = Layout("cifar-10-batches-bin", ".bin", (1 + ROW, 1 + ROW), _parse_binary)
LAYOUTS = (PYTHON, BINARY)
