"""The allowed values of a key, as data: ranges, words, sizes, devices, paths; counts of rows.

Each kind tells whether it allows a value (``value in kind``), how an error names it (``str(kind)``)
and what the config stores (``kind.keep(value)``).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

from fcsweep.objectives import OBJECTIVES


class Allowed(Protocol):
    """The allowed values of a key."""

    @property
    def words(self) -> tuple[str, ...]:
        """The allowed words, if they can be listed; an error suggests the nearest."""
        ...

    def __contains__(self, value: object, /) -> bool: ...

    def keep(self, value: Any) -> Any:
        """The value as the field's own type."""
        ...


@dataclass(frozen=True)
class Range:
    """Finite numbers from ``low`` to ``high`` (None: no upper end), both included unless open."""

    low: float
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    whole: bool = False
    words = ()

    def __contains__(self, value: object) -> bool:
        kinds = (int,) if self.whole else (int, float)
        # A bool is an int to Python, but `dropout=true` is a mistake.
        if isinstance(value, bool) or not isinstance(value, kinds):
            return False
        try:
            finite = math.isfinite(value)
        except OverflowError:  # a whole number too large for a float
            return False
        above = value > self.low if self.open_low else value >= self.low
        below = self.high is None or (value < self.high if self.open_high else value <= self.high)
        return finite and above and below

    def __str__(self) -> str:
        what = "a whole number" if self.whole else "a number"
        if self.low == -math.inf:
            return what if self.high is None else f"{what} <= {self.high:g}"
        if self.high is None:
            return f"{what} {'>' if self.open_low else '>='} {self.low:g}"
        high = "2**32" if self.high == 2**32 else f"{self.high:g}"
        opening, closing = "(" if self.open_low else "[", ")" if self.open_high else "]"
        return f"{what} in {opening}{self.low:g}, {high}{closing}"

    def keep(self, value: float) -> float:
        """A whole number given for a float becomes one."""
        return value if self.whole else float(value)


@dataclass(frozen=True)
class Words:
    """One of a few words."""

    words: tuple[str, ...]

    def __contains__(self, value: object) -> bool:
        return value in self.words

    def __str__(self) -> str:
        return f"one of {', '.join(self.words)}"

    def keep(self, value: str) -> str:
        """The word itself."""
        return value


@dataclass(frozen=True)
class Sizes:
    """A list of sizes, at least one, each a whole number >= 1; exactly one if ``single``."""

    single: bool = False
    words = ()

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, list):
            return False
        sizes = cast("list[object]", value)
        enough = len(sizes) == 1 if self.single else len(sizes) >= 1
        return enough and all(size in COUNT for size in sizes)

    def __str__(self) -> str:
        if self.single:
            return "a list of one whole number >= 1, such as [100] (fully_connected takes more)"
        return "a list of whole numbers >= 1, such as [100, 50]"

    def keep(self, value: list[int]) -> list[int]:
        """A list of its own."""
        return list(value)


@dataclass(frozen=True)
class Several:
    """A list of some of a few words, none twice."""

    words: tuple[str, ...]

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, list):
            return False
        given = cast("list[object]", value)
        return all(one in self.words and given.count(one) == 1 for one in given)

    def __str__(self) -> str:
        return f"a list of some of {', '.join(self.words)}"

    def keep(self, value: list[str]) -> list[str]:
        """A list of its own."""
        return list(value)


class Device:
    """The name of a device; a run checks at its start whether the machine has it."""

    words = ("auto", "cpu", "cuda")

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and bool(_DEVICE.fullmatch(value))

    def __str__(self) -> str:
        return "auto, cpu, cuda or cuda:N"

    def keep(self, value: str) -> str:
        """The name itself."""
        return value


_DEVICE = re.compile(r"auto|cpu|cuda(:(0|[1-9]\d{0,3}))?")


@dataclass(frozen=True)
class FilePath:
    """A path; the reader checks whether it exists."""

    example: str = "./cifar-10"
    words = ()

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and bool(value.strip()) and "\0" not in value

    def __str__(self) -> str:
        return f"a path, such as {self.example}"

    def keep(self, value: str) -> str:
        """Absolute, so that the saved config means the same from any folder."""
        return str(Path(value).expanduser().absolute())


class ColumnName:
    """The name of a column; a number is one, too."""

    words = ()

    def __contains__(self, value: object) -> bool:
        text = isinstance(value, str) and bool(value.strip())
        return text or (isinstance(value, int) and not isinstance(value, bool))

    def __str__(self) -> str:
        return "the name of a column, such as label"

    def keep(self, value: str | int) -> str:
        """The name as text."""
        return str(value)


class ColumnNames:
    """A list of names of columns."""

    words = ()

    def __contains__(self, value: object) -> bool:
        return isinstance(value, list) and all(one in COLUMN for one in cast("list[object]", value))

    def __str__(self) -> str:
        return "a list of names of columns, such as [id,day]"

    def keep(self, value: list[str | int]) -> list[str]:
        """The names as texts."""
        return [str(one) for one in value]


class Counts:
    """The sizes of a data set that is measured: `Measured`."""

    words = ()

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, dict):
            return False
        items = cast("dict[object, object]", value)
        bounded = all(isinstance(one, int) and 0 <= one <= 10**9 for one in items.values())
        return set(items) == {*Rows._fields, "inputs", "classes"} and bounded

    def __str__(self) -> str:
        return "null: it is measured"

    def keep(self, value: dict[str, int]) -> dict[str, int]:
        """A mapping of its own."""
        return dict(value)


class ImportPath:
    """A module and a name in it; a run imports it, nobody else does."""

    words = ()

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and bool(_IMPORT_PATH.fullmatch(value))

    def __str__(self) -> str:
        return "module:name, such as my_code:make"

    def keep(self, value: str) -> str:
        """The path itself."""
        return value


_NAME = r"[^\W\d]\w*"
_IMPORT_PATH = re.compile(rf"{_NAME}(\.{_NAME})*:{_NAME}")


class Numbers:
    """A mapping from names to finite numbers."""

    words = ()

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, dict):
            return False
        items = cast("dict[object, object]", value).items()
        return all(isinstance(k, str) and k.isidentifier() and v in FINITE for k, v in items)

    def __str__(self) -> str:
        return "numbers by name, such as {beta: 0.9}"

    def keep(self, value: dict[str, float]) -> dict[str, float]:
        """A mapping of its own, each number a float."""
        return {name: float(number) for name, number in value.items()}


class Keywords:
    """A mapping from names to numbers, words, truth values, null, or lists of these."""

    words = ()

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, dict):
            return False
        items = cast("dict[object, object]", value).items()
        return all(isinstance(k, str) and k.isidentifier() and _is_keyword(v) for k, v in items)

    def __str__(self) -> str:
        return "keywords of the function, such as {width: 64, p: 0.5}"

    def keep(self, value: dict[str, Any]) -> dict[str, Any]:
        """A mapping of its own."""
        return dict(value)


def _is_keyword(value: object) -> bool:
    if isinstance(value, list):
        return all(_is_keyword(one) for one in cast("list[object]", value))
    return value is None or isinstance(value, bool | str) or value in FINITE


FINITE = Range(-math.inf)
POSITIVE = Range(0, open_low=True)
NOT_NEGATIVE = Range(0)
UNDER_ONE = Range(0, 1, open_high=True)
FRACTION = Range(0, 1, open_low=True)
SHARE = Range(0, 1, open_low=True, open_high=True)
COUNT = Range(1, whole=True)
COLUMN = ColumnName()
EPOCHS = Range(0, whole=True)
SEED = Range(0, 2**32, open_high=True, whole=True)  # what torch takes in on a CPU

CLASS_WEIGHTS = Words(("none", "balanced"))
ACTIVATION = Words(("relu", "leaky_relu", "tanh", "gelu"))
INITIALIZATION = Words(("kaiming", "xavier"))
LOSS = Words(("softmax", "svm", "mse", "huber"))
NORMALIZATION = Words(("none", "batch", "layer"))
SCHEDULE = Words(("constant", "step", "cosine"))
FIRST_LAYER = Words(("plain", "row_space"))
DTYPE = Words(("float32", "float64"))
TRACKERS = Several(("tensorboard", "mlflow", "wandb"))
OBJECTIVE = Words(tuple(OBJECTIVES))


class Rows(NamedTuple):
    """How many examples the splits of a data set have."""

    train: int
    val: int
    test: int

    def with_val(self, share: float | None) -> Rows:
        """Rows of which this share of those that train or validate validates; None: as here."""
        if share is None:
            return self
        both = self.train + self.val
        val = min(max(1, round(share * both)), both - 1)
        return Rows(both - val, val, self.test)


class Measured:
    """What a data set says of its sizes that is measured when its config is composed."""

    sizes: dict[str, int] | None

    @property
    def rows(self) -> Rows:
        """Examples of each split."""
        return Rows(*(self._size(split) for split in Rows._fields))

    @property
    def inputs(self) -> int:
        """Numbers in an example."""
        return self._size("inputs")

    @property
    def classes(self) -> int:
        """How many there are; 1 where the target is a quantity."""
        return self._size("classes")

    def _size(self, name: str) -> int:
        assert self.sizes is not None  # `fcsweep.data.measured` comes before
        return self.sizes[name]
