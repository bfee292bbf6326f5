"""Errors that a user can mend: one line that says what was given, what was expected, what to do."""

# pyright: strict
from __future__ import annotations

from fcsweep.messages.wording import squeezed


class ConfigError(ValueError):
    """A config that cannot be run; one line with the key in full, the value and what to do."""

    def __init__(self, text: str) -> None:
        super().__init__(squeezed(text))
