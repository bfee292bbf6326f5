"""``hydra.main`` with another application class, and with errors told in another way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hydra._internal.hydra
import hydra._internal.utils
from hydra._internal.hydra import Hydra


@contextmanager
def replaced(app: type[Hydra], report: Callable[[Callable[[], Any]], Any]) -> Iterator[None]:
    """Let ``hydra.main`` use another application, and tell errors as ``report`` does.

    Hydra has no way to hand it another application class, and prints errors itself, in several
    lines. Both names are looked up when they are used; hydra-core is pinned below 1.4 for this.

    Args:
        app: is used in place of Hydra's own class.
        report: calls a function, and tells the user what it raises.
    """
    places = [
        (hydra._internal.hydra, "Hydra", app),
        (hydra._internal.utils, "run_and_report", report),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in places]
    for module, name, ours in places:
        setattr(module, name, ours)
    try:
        yield
    finally:
        for module, name, theirs in before:
            setattr(module, name, theirs)
