"""What each key means, from the schemas: the text below its field, its allowed values, its default.

``--help`` and the completion of the command line are made of it.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from typing import Any

from fcsweep.config.allowed import Allowed
from fcsweep.config.schemas import GROUPS, RunConfig


@dataclass(frozen=True)
class Meaning:
    """What is known of a key in one schema."""

    name: str
    """Without its group."""
    text: str
    """What it is for, with unit and range: the first paragraph below its field, on one line."""
    allowed: Allowed | None
    """None for a key that is checked elsewhere."""
    optional: bool
    """Whether it may be null."""
    default: Any

    @property
    def expected(self) -> str:
        """What may stand there; empty if that is said elsewhere."""
        null = " or null" if self.optional else ""
        return f"{self.allowed}{null}" if self.allowed else ""

    @property
    def words(self) -> list[str]:
        """The values that can be listed, ``null`` where it is one."""
        if self.allowed is None:
            return []
        return [*self.allowed.words, *(["null"] if self.optional else [])]


def meanings(schema: type[Any]) -> list[Meaning]:
    """Of the keys of a schema, in order, without the name of its option."""
    texts = texts_of(schema)
    return [_meaning(spec, texts.get(spec.name, "")) for spec in fields(schema) if _is_key(spec)]


def meanings_of(key: str) -> Iterator[Meaning]:
    """Of a dotted key in every option of its group that has it."""
    group, _, name = key.rpartition(".")
    for schema in GROUPS.get(group, {}).values() if group else [RunConfig]:
        yield from (one for one in meanings(schema) if one.name == name)


def allowed_of(key: str) -> Allowed | None:
    """The allowed values of a dotted key, in the first option that has it; None of no key."""
    return next((one.allowed for one in meanings_of(key)), None)


@cache
def texts_of(schema: type[Any]) -> dict[str, str]:
    """The first paragraph of the text below each field of a dataclass, on one line."""
    bases = [base for base in reversed(schema.__mro__) if is_dataclass(base)]
    return {name: text for base in bases for name, text in _texts_in(base).items()}


def _texts_in(schema: type[Any]) -> dict[str, str]:
    """Of the fields that stand in a class itself."""
    module = ast.parse(inspect.getsource(inspect.getmodule(schema) or schema))
    found = (node for node in module.body if isinstance(node, ast.ClassDef))
    body = next(node.body for node in found if node.name == schema.__name__)
    return {
        field.target.id: _line(text.value.value)
        for field, text in zip(body, body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def _line(text: object) -> str:
    paragraph = str(text).partition("\n\n")[0]
    return " ".join(paragraph.replace("``", "").replace(":func:", "").replace("`", "").split())


def _is_key(spec: Field[Any]) -> bool:
    return spec.name != "name" and not spec.name.startswith("_") and spec.name not in GROUPS


def _meaning(spec: Field[Any], text: str) -> Meaning:
    made = spec.default_factory
    default = made() if made is not MISSING else spec.default
    about = spec.metadata
    return Meaning(spec.name, text, about.get("allowed"), about.get("optional", False), default)
