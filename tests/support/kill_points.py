"""A search as a kill would leave it, at each place in its journal that differs from the others.

What SIGKILL leaves is what lies on disk at that moment, so the folder of one search is copied while
it runs, instead of a search of its own being killed at each place.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest

from fcsweep.search.study import storage

AROUND = 2
"""So many appends before a kill, and after it, make its place one of its own."""

Kind = tuple[Any, ...]


def killed_at_every_place(
    folder: Path, search: Callable[[], Any], torn: bool = False
) -> Iterator[Path]:
    """Search, and put the folder into the state of a kill; once for each place.

    A place is what the journal was told last and what it would have been told next: the kinds of
    these operations, and which of them are of one trial.

    Args:
        folder: of the search, not yet there.
        search: searches in it.
        torn: whether every other kill comes in the middle of the next line.

    Yields:
        What is to be searched on in: ``folder`` again, so that its path is as before.
    """
    copies = folder.with_name(f"{folder.name}, killed")
    appends: list[list[dict[str, Any]]] = []
    append = storage.Journal.append_logs

    def copying(self: storage.Journal, logs: list[dict[str, Any]]) -> None:
        if self._waiting is None:
            shutil.copytree(folder, copies / str(len(appends)))
            appends.append(logs)
        append(self, logs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage.Journal, "append_logs", copying)
        search()
    numbers = count()
    for place in _places(appends):
        shutil.rmtree(folder)
        (copies / str(place)).rename(folder)
        if torn and next(numbers) % 2:
            _tear(folder / storage.JOURNAL, appends[place])
        yield folder


def _tear(journal: Path, logs: list[dict[str, Any]]) -> None:
    text = "\n".join(map(json.dumps, logs)).encode()
    with open(journal, "ab") as file:
        file.write(text[: len(text) // 2])


def _places(appends: list[list[dict[str, Any]]]) -> list[int]:
    """Of all appends that come after the same and before the same, the first."""
    kinds = [_kind(logs, before) for before, logs in pairwise([[{}], *appends])]
    padded = [()] * AROUND + kinds + [()] * AROUND
    first: dict[Kind, int] = {}
    for number in range(len(kinds)):
        first.setdefault(tuple(padded[number : number + 2 * AROUND]), number)
    return list(first.values())


def _kind(logs: list[dict[str, Any]], before: list[dict[str, Any]]) -> Kind:
    """What is appended, and whether it is of the trial of what was appended before."""
    same = logs[0].get("trial_id") == before[-1].get("trial_id")
    return same, *map(_operation, logs)


def _operation(log: Mapping[str, Any]) -> Kind:
    names = [name for key in ("user_attr", "system_attr") for name in log.get(key, ())]
    return log["op_code"], log.get("state"), *(re.sub(r"\d+", "#", name) for name in names)
