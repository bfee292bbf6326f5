"""MLflow: a run each, in an experiment for the sweep, in the store that MLflow is set to.

That is what ``MLFLOW_TRACKING_URI`` names; else MLflow's own default.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Sequence

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from fcsweep.trackers.contents import End, Row, Tracked

IDENTITY = "fcsweep.run"
"""Tag with the identity of a run."""
ENDS = {"failed": "FAILED", "interrupted": "KILLED", "running": "RUNNING"}
"""What MLflow calls a status; all others are ``FINISHED``."""
MOST = 1000
"""Metrics in a request, by MLflow."""
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""By default a server that is gone would hold up training for minutes."""


class MLflow:
    """A `fcsweep.trackers.tracker.Tracker`."""

    def __init__(self) -> None:
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # of each new table
        self.place = mlflow.get_tracking_uri()
        self._client = MlflowClient(self.place)
        self._runs: dict[str, str] = {}
        self._experiments: dict[str, str] = {}

    def start(self, run: Tracked) -> None:
        """Create a run; one of the same folder from before is deleted, as MLflow deletes."""
        experiment = self._experiment(run.sweep)
        for old in self._client.search_runs([experiment], f"tags.`{IDENTITY}` = '{run.identity}'"):
            self._client.delete_run(old.info.run_id)
        tags = {**run.tags, IDENTITY: run.identity}
        made = self._client.create_run(experiment, run_name=run.name, tags=tags).info.run_id
        self._runs[run.identity] = made
        params = [Param(_allowed_key(key), str(value)[:6000]) for key, value in run.params.items()]
        for first in range(0, len(params), 100):
            self._client.log_batch(made, params=params[first : first + 100])
        if run.config is not None:
            self._client.log_artifact(made, str(run.config))

    def log(self, run: Tracked, rows: Sequence[Row]) -> None:
        """Add metrics; the step is the epoch."""
        now = int(1000 * time.time())
        found = [
            Metric(_allowed_key(name), value, now, epoch)
            for epoch, metrics in rows
            for name, value in metrics.items()
        ]
        for first in range(0, len(found), MOST):
            self._client.log_batch(self._runs[run.identity], found[first : first + MOST])

    def end(self, run: Tracked, end: End) -> None:
        """Add the summary and the tags, and set the status."""
        made, now = self._runs.pop(run.identity), int(1000 * time.time())
        metrics = [Metric(f"end/{name}", value, now, 0) for name, value in end.summary.items()]
        tags = [RunTag(key, value) for key, value in end.tags.items()]
        self._client.log_batch(made, metrics=metrics, tags=tags)
        self._client.set_terminated(made, status=ENDS.get(end.status, "FINISHED"))

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            found = self._client.get_experiment_by_name(name)
            self._experiments[name] = found.experiment_id if found else self._create(name)
        return self._experiments[name]

    def _create(self, name: str) -> str:
        try:
            return self._client.create_experiment(name)
        except MlflowException:  # another process has just made it
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return found.experiment_id


def open_tracker() -> MLflow:
    """MLflow, where its settings say."""
    return MLflow()


def _allowed_key(key: str) -> str:
    """A key without the characters that MLflow refuses."""
    return re.sub(r"[^\w\-. :/]", "_", key)
