"""``python -m fcsweep.export_to TRACKER FOLDER``: tell a tracker of runs that have ended.

TRACKER is ``tensorboard``, ``mlflow`` or ``wandb``. Takes the folder of a run, of a sweep, or one
that holds several; of another Hydra app's search the trials of its ``study.journal``. What the
tracker knows of a run from before, by the path of its folder, is replaced.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fcsweep.config.allowed import TRACKERS
from fcsweep.messages.errors import FolderError, UserError
from fcsweep.messages.wording import one_line, printable
from fcsweep.records.filenames import find_runs
from fcsweep.records.reader import are_ours, look, read_run
from fcsweep.system.command import command, plain
from fcsweep.trackers.contents import End, Row, Tracked, end_of, metrics, rows_of, run_in
from fcsweep.trackers.tracker import open_tracker, require

PROGRAM = "python -m fcsweep.export_to"

Exported = tuple[Tracked, Sequence[Row], End]


def main() -> None:
    """Exit code 1 and one line if the tracker or the folder cannot be used."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=plain(__doc__))
    parser.add_argument("tracker", choices=TRACKERS.words)
    parser.add_argument("folder", type=Path, help="of a run, of a sweep, or one that holds some")
    arguments = parser.parse_args()
    with command(PROGRAM):
        print(printable(export(arguments.tracker, arguments.folder)))


def export(name: str, folder: Path) -> str:
    """Tell a tracker of every run in a folder; says how many, and where they are.

    Raises:
        ConfigError: the package of the tracker is not installed.
        FolderError: there is no run.
        UserError: the tracker cannot be used; one line.
    """
    require([name])
    runs = _of_folder(folder)
    count = 0
    try:
        tracker = open_tracker(name)
        for run, rows, end in runs:
            tracker.start(run)
            tracker.log(run, rows)
            tracker.end(run, end)
            count += 1
    except (UserError, OSError):
        raise
    except Exception as error:  # of its package
        raise UserError(f"{name}, after {count} runs: {one_line(error)}") from error
    return f"{count} runs: {tracker.place}"


def _of_folder(folder: Path) -> Iterator[Exported]:
    found = find_runs(folder)
    ours = are_ours(found)
    trials = None if ours else _trials(folder)
    if trials is None and not ours:
        raise FolderError(f"{folder} holds no run of fcsweep, and no study.journal")
    return _runs(found) if trials is None else trials


def _runs(folders: Sequence[Path]) -> Iterator[Exported]:
    """The runs of fcsweep; one that cannot be vouched for is named and left out."""
    for folder in folders:
        found = look(folder)
        try:
            if damage := read_run(folder).damage:
                raise ValueError(damage)
            if found.result is None or found.config is None:
                raise ValueError("it has no record")
            objective = str(found.result.get("objective"))
            rows = [metrics(row, objective) for row in rows_of(folder)]
        except (OSError, ValueError) as error:
            print(printable(f"warning: {folder} is left out: {error}"), file=sys.stderr)
            continue
        yield run_in(folder, found.config), rows, end_of(found.result)


def _trials(folder: Path) -> Iterator[Exported] | None:
    """The trials of another app's search; None if there is no journal of one."""
    from fcsweep.search.study.storage import read_study  # imports Optuna

    study = read_study(folder) if (folder / "study.journal").exists() else None
    if study is None:
        return None
    count = len(study.directions)
    numbered = ["value"] if count == 1 else [f"value_{number}" for number in range(count)]
    names = study.metric_names or numbered
    return (_trial(trial, names, folder) for trial in study.get_trials(deepcopy=False))


def _trial(trial: Any, names: Sequence[str], folder: Path) -> Exported:
    from fcsweep.search.results import folder_of, noted_in, status_of

    params = {key.lstrip("+~"): value for key, value in trial.params.items()}
    run = Tracked(folder_of(trial, folder), folder.resolve().name, str(trial.number), params)
    rows = [(step, {"reported": value}) for step, value in trial.intermediate_values.items()]
    noted = {key: value for key, value in noted_in(trial).items() if _is_number(value)}
    values = dict(zip(names, trial.values or (), strict=False))
    summary = {key: float(value) for key, value in {**noted, **values}.items()}
    reason = trial.user_attrs.get("reason")
    tags = {"status": status_of(trial), **({"reason": str(reason)} if reason else {})}
    return run, rows, End(tags["status"], summary, tags)


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


if __name__ == "__main__":
    main()
