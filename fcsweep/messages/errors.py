"""Errors that a user can fix: one line that says what was given, what was expected, what to do.

A program that ends with one of them prints the line and has exit code 1
(`fcsweep.system.command`). Other exceptions are faults of the program.
"""

from __future__ import annotations

from fcsweep.messages.wording import sanitize


class UserError(Exception):
    """An error that a user can fix; its text is one line, without secrets."""

    def __init__(self, text: str) -> None:
        super().__init__(sanitize(text))


class ConfigError(UserError, ValueError):
    """A config that cannot be run; the line has the key in full, the value and what to do."""


class DeviceError(UserError):
    """A device that this machine does not have."""


class DataError(UserError):
    """Data that are missing, incomplete or not what was asked for."""


class FolderError(UserError):
    """A folder that is in use, or does not hold what is looked for, or holds it damaged."""


class StudyError(UserError):
    """A study that belongs to other settings, data or runs, or is damaged."""


class RecordError(UserError):
    """A file that cannot be written; the line has path and cause."""


class UnreadableError(UserError, ValueError):
    """A file that is not read: not a regular file, too large or nested too deeply."""
