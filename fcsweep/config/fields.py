"""The keys of a schema: fields with a default and what else may stand there.

The metadata of a field says what may stand there: ``allowed`` (an `Allowed`), ``optional`` (may be
null); and ``per_trial`` (trials that differ in nothing else may share a stack). A key whose default
is `MISSING` must be given.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, TypeVar

from fcsweep.config.allowed import POSITIVE, Allowed, ColumnNames, Keywords, Numbers, Sizes

T = TypeVar("T")

MISSING = "???"
"""In place of a default: the key must be given (as in OmegaConf)."""


def key(default: T, allowed: Allowed, *, optional: bool = False, per_trial: bool = False) -> T:
    """A field with its default and what else may stand there."""
    about = {"allowed": allowed, "optional": optional, "per_trial": per_trial}
    return field(default=default, metadata=about)


def sizes(*default: int, single: bool = False) -> list[int]:
    """A field that holds a list of sizes."""
    about = {"allowed": Sizes(single), "optional": False, "per_trial": False}
    return field(default_factory=lambda: list(default), metadata=about)


def clip_norm() -> float | None:
    """The field that every optimizer has."""
    return key(None, POSITIVE, optional=True, per_trial=True)


def numbers() -> dict[str, float]:
    """A field that holds numbers by name, of each trial its own."""
    about = {"allowed": Numbers(), "optional": False, "per_trial": True}
    return field(default_factory=dict[str, float], metadata=about)


def keywords(*, per_trial: bool = True) -> dict[str, Any]:
    """A field that holds keywords of a function; per trial, each has its own decimal numbers."""
    about = {"allowed": Keywords(), "optional": False, "per_trial": per_trial}
    return field(default_factory=dict[str, Any], metadata=about)


def columns() -> list[str]:
    """A field that holds names of columns, none at first."""
    about = {"allowed": ColumnNames(), "optional": False, "per_trial": False}
    return field(default_factory=list[str], metadata=about)
