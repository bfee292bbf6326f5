"""The members of an ensemble, each as it was when it was selected, and their folds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fcsweep.config import RunConfig
from fcsweep.data.choice import data_of
from fcsweep.messages.errors import FolderError
from fcsweep.records.filenames import BEST
from fcsweep.records.models.ensemble import FILE, Ensemble
from fcsweep.trained.runs import Trained, read_trained


def members_of(ensemble: Ensemble, sweep: Path, trust: bool = False) -> Sequence[Trained]:
    """The members, in the order of the file.

    Args:
        ensemble: as it was selected.
        sweep: its folder.
        trust: as of `read_trained`.

    Raises:
        ConfigError, FolderError: a member is damaged, or not the one that was selected.
    """
    runs: list[Trained] = []
    for member in ensemble.members:
        run = read_trained(sweep / str(member.trial), trust)
        if run.sha256 != member.best_sha256:
            raise FolderError(
                f"{run.folder / BEST} is not the one that {sweep / FILE} names; run python -m "
                f"fcsweep.ensemble {sweep} again"
            )
        runs.append(run)
    return runs


def by_fold(runs: Sequence[Trained]) -> list[list[int]]:
    """The places of the runs that were trained on each fold; without folds all are on one."""
    places: dict[int, list[int]] = {}
    for place, run in enumerate(runs):
        places.setdefault(getattr(run.config.data, "fold", 0), []).append(place)
    return [places[fold] for fold in sorted(places)]


def check_data(config: RunConfig, fingerprint: str, sweep: Path) -> None:
    """Refuse data that have changed.

    Args:
        config: of a run on these data.
        fingerprint: as recorded.
        sweep: of the run.

    Raises:
        DataError: the data are not here.
        FolderError: their fingerprint is another one now.
    """
    if data_of(config).fingerprint != fingerprint:
        raise FolderError(
            f"{sweep} was trained on other data than data={config.data.name} has now; put the old "
            "ones back"
        )
