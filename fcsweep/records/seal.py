"""The seal of a run that has ended: a sha256 of each file that it left, in ``provenance.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from fcsweep.records.filenames import (
    BEST,
    CONFIG,
    HISTORY,
    LOSSES,
    PREPROCESSING,
    PROVENANCE,
    RESULT,
)

LARGEST = 4_000_000_000
"""Bytes of a file of a run: a thousand million parameters."""


def as_json(content: Mapping[str, Any]) -> bytes:
    """Strict JSON: a number that is not finite is a ValueError, never a ``NaN``."""
    plain = not any(isinstance(value, Mapping | list | tuple) for value in content.values())
    if not content or not plain:
        return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()
    return f"{{\n  {_FLAT.encode(content)[1:-1]}\n}}\n".encode()


_FLAT = json.JSONEncoder(allow_nan=False, separators=(",\n  ", ": "))
"""Writes the inside of a mapping of plain values as ``indent=2`` does, which Python does slowly."""


def add_seal(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts and, last, a sha256 of them."""
    return {**facts, "sha256": sha256(as_json(facts)).hexdigest()}


def changed_files(folder: Path, provenance: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Which files are not as the run wrote them: their sha256 then, and now (None: not there).

    Args:
        folder: of the run.
        provenance: what ``provenance.json`` holds; ``files`` is a mapping.

    Raises:
        OSError: a file cannot be read.
        ValueError: the facts are no strict JSON.
    """
    found: dict[str, tuple[Any, Any]] = {}
    if not is_genuine((folder / PROVENANCE).read_bytes()):
        facts = {name: fact for name, fact in provenance.items() if name != "sha256"}
        found[PROVENANCE] = provenance.get("sha256"), add_seal(facts)["sha256"]
    for name in (CONFIG, HISTORY, LOSSES, RESULT, BEST, PREPROCESSING):
        then, now = provenance["files"].get(name), _sha256(folder / name)
        if then != now:
            found[name] = then, now
    return found


def is_genuine(content: bytes) -> bool:
    """Whether the sealed facts end with a sha256 of the rest of them, as `add_seal` writes it."""
    facts, mark, _ = content.rpartition(b',\n  "sha256": "')
    digest = sha256(facts + b"\n}\n").hexdigest().encode()
    return content == facts + mark + digest + b'"\n}\n'


def _sha256(path: Path) -> str | None:
    if not path.exists():
        return None
    if not path.is_file() or path.stat().st_size > LARGEST:  # a pipe, or more than any run leaves
        return "not to be read"
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
