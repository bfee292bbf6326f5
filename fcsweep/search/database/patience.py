"""Waiting for a database that does not answer: one that starts again, or is cut off."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import exc

from fcsweep.messages.errors import StudyError
from fcsweep.messages.secrets import masked_url, without_password
from fcsweep.messages.wording import one_line
from fcsweep.system.signals import end_if_asked

log = logging.getLogger(__name__)
T = TypeVar("T")

QUIET = 3.0
"""Seconds of waiting of which nothing is said."""
LONGEST = 2.0
"""Seconds between two tries, at most."""
LOST = ("08", "25P03", "40", "53", "55P03", "57")
"""How those SQLSTATEs begin after which the same is tried again (PostgreSQL, appendix A)."""
HELD = "55P03"
REFUSALS = ("authentication", "does not exist", "pg_hba", "password", "resolve", "translate")
"""In the message of a server, or of a resolver of names, that waiting does not change."""


class DatabaseLost(StudyError):
    """The database has not answered for too long."""


class TurnLost(Exception):
    """The connection was lost in a turn, of which nobody knows whether it was written."""


def is_lost(error: BaseException | None) -> bool:
    """Whether an error means that the database does not answer now, and may later."""
    while error is not None:
        if isinstance(error, exc.PendingRollbackError):
            return True
        if isinstance(error, exc.DBAPIError):
            return error.connection_invalidated or _is_passing(error)
        error = error.__cause__
    return False


def _is_passing(error: exc.DBAPIError) -> bool:
    state: Any = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state.startswith(LOST)
    refused = any(word in str(error.orig) for word in REFUSALS)
    return isinstance(error, exc.OperationalError | exc.InterfaceError) and not refused


def _is_held(error: Exception) -> bool:
    """Whether the database answers, but another worker has had its turn for long."""
    return isinstance(error, exc.DBAPIError) and getattr(error.orig, "sqlstate", "") == HELD


class Patience:
    """Tries again, for some time, what fails because the database does not answer.

    Args:
        url: of the database; what is said of it has no password.
        seconds: after which it is given up.
    """

    def __init__(self, url: str, seconds: float) -> None:
        self._url, self._seconds = url, seconds
        self.losses = 0
        """How often the database did not answer."""
        self.given_up = False

    def __call__(self, call: Callable[[], T]) -> T:
        """Call until the database answers.

        Raises:
            DatabaseLost: it has not for as long as is to be waited.
        """
        began, pause, told = time.monotonic(), 0.1, False
        while True:
            try:
                answer = call()
            except Exception as error:
                if not is_lost(error):
                    raise
                self.losses += not _is_held(error)
                waited = time.monotonic() - began
                if self.given_up or waited >= self._seconds:
                    self.given_up = True
                    raise DatabaseLost(self._farewell(error)) from None
                if waited > QUIET and not told and not _is_held(error):
                    log.warning(f"the database does not answer; waiting: {self._why(error)}")
                    told = True
            else:
                if told:
                    log.info("the database answers again")
                return answer
            end_if_asked()
            time.sleep(pause)
            pause = min(2 * pause, LONGEST)

    def _farewell(self, error: Exception) -> str:
        shown = f"hydra.sweeper.storage {masked_url(self._url)} cannot be used"
        wait = f" within hydra.sweeper.patience ({self._seconds:g} s)" if self._seconds else ""
        return f"{shown}{wait}: {self._why(error)}; the same command goes on"

    def _why(self, error: BaseException) -> str:
        while not isinstance(error, exc.DBAPIError) and error.__cause__ is not None:
            error = error.__cause__
        cause = getattr(error, "orig", None) or error
        return without_password(one_line(cause), self._url)
