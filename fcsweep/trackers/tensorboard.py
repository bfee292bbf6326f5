"""TensorBoard: event files in ``tensorboard/`` in the folder of each run, with its parameters.

Written by TensorBoard's own format, without the thread for each file that its writers have: a stack
may hold hundreds of runs.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from fcsweep.trackers.contents import End, Row, Tracked

FOLDER = "tensorboard"


class TensorBoard:
    """A `fcsweep.trackers.tracker.Tracker`."""

    place = f"{FOLDER}/ in the folder of each run"

    def start(self, run: Tracked) -> None:
        """Begin a file, without those from before."""
        file = _file(run)
        file.parent.mkdir(exist_ok=True)
        for old in file.parent.glob("events.out.tfevents.*"):
            old.unlink()
        params: dict[Any, Any] = dict(run.params)
        first = Event(wall_time=time.time(), file_version="brain.Event:2")
        _append(run, [first, _event(hparams_pb(params, trial_id=run.identity))])

    def log(self, run: Tracked, rows: Sequence[Row]) -> None:
        """Add scalars; the step is the epoch."""
        _append(run, [_event(_scalars(metrics), epoch) for epoch, metrics in rows])

    def end(self, run: Tracked, end: End) -> None:
        """Say how the run ended, as the view of hyperparameters asks."""
        ended = api_pb2.STATUS_FAILURE if end.status == "failed" else api_pb2.STATUS_SUCCESS
        last = {f"end/{name}": value for name, value in end.summary.items()}
        _append(run, [_event(_scalars(last)), _event(_session_end(ended))])


def open_tracker() -> TensorBoard:
    """TensorBoard."""
    return TensorBoard()


def _file(run: Tracked) -> Path:
    return run.folder / FOLDER / "events.out.tfevents.0.fcsweep"


def _scalars(metrics: dict[str, float]) -> Summary:
    values = [Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
    return Summary(value=values)


def _session_end(status: int) -> Summary:
    """How a run ended, for the view of hyperparameters; TensorBoard's own needs TensorFlow."""
    ended = HParamsPluginData(session_end_info=SessionEndInfo(status=status))
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(ended),
        tensor=metadata.NULL_TENSOR,
    )
    return Summary(value=[value])


def _event(summary: Summary, step: int = 0) -> Event:
    return Event(wall_time=time.time(), step=step, summary=summary)


def _append(run: Tracked, events: Sequence[Event]) -> None:
    with _file(run).open("ab") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())
