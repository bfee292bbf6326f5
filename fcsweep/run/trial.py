"""A trial while it trains: its config, its records, its log."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from fcsweep.config import RunConfig
from fcsweep.messages.errors import RecordError
from fcsweep.messages.secrets import mask
from fcsweep.messages.wording import one_line
from fcsweep.records.formats import HistoryRow, Result
from fcsweep.records.writer import RunRecord

log = logging.getLogger(__name__)


class Trial:
    """A trial while it trains: its config, its records, its log."""

    def __init__(
        self, place: int, config: RunConfig, folder: Path, log: logging.Logger = log
    ) -> None:
        self.place, self.config, self.log = place, config, log
        self.record = RunRecord(folder, config.objective, config.target)
        self.made_with: dict[str, Any] = {}
        self.error: Exception | None = None

    @property
    def result(self) -> Result:
        """The result so far."""
        return self.record.result

    @property
    def running(self) -> bool:
        """Whether the trial has not ended yet."""
        return self.result.status == "running"

    def add(
        self, row: HistoryRow, losses: NDArray[Any], seconds: float, best: bytes | None
    ) -> None:
        """Record an epoch."""
        self.record.add(row, losses, seconds, best)
        self.log.info(row.line(self.config.solver.num_epochs, self.config.objective))

    def end(self, status: str, reason: str | None = None) -> None:
        """Record how the trial ended."""
        if status == "diverged":
            self.log.warning("diverged: %s", reason)
        self.record.finish(status, reason)

    def fail(self, error: Exception) -> None:
        """Record an error as far as the disk allows; a full disk is no failure of the run."""
        self.error = error
        text = "".join(traceback.format_exception(error)).rstrip()
        self.log.error("the run failed\n%s", mask(text))
        status = "interrupted" if isinstance(error, RecordError) else "failed"
        with suppress(RecordError):
            self.record.finish(status, one_line(error))
        traceback.clear_frames(error.__traceback__)  # they would hold the memory of the stack

    @contextmanager
    def alone(self) -> Iterator[None]:
        """An error in the block ends this trial and no other."""
        try:
            yield
        except Exception as error:
            if out_of_memory(error):  # which concerns the whole stack
                raise
            self.fail(error)


def out_of_memory(error: Exception) -> bool:
    """Whether memory ran out; on a CPU torch raises a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
