"""``python -m fcsweep.evaluate DIR``: how good the best parameters are, test set included.

Takes the folder of a run, or of a sweep: of that its best run, by the recorded objective; where
runs are repeats, which differ in their seed alone, the best run of those with the best mean.
The only reader of the test set, also for `fcsweep.grade`: whoever chooses by it has none any more.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from fcsweep.accuracy import evaluate_on
from fcsweep.config import RunConfig
from fcsweep.data.choice import data_of, held_out_of
from fcsweep.messages.errors import FolderError, UserError
from fcsweep.messages.wording import printable
from fcsweep.records import sweep_table
from fcsweep.records.filenames import BEST, jobs_of
from fcsweep.records.reader import are_ours
from fcsweep.run import device_of
from fcsweep.run.build import net_of
from fcsweep.run.trained import read_trained
from fcsweep.system.command import command, plain

PROGRAM = "python -m fcsweep.evaluate"
ERRORS = UserError, OSError, ValueError, MemoryError, RuntimeError
"""RuntimeError: what torch says of a net that does not fit in memory."""


def main() -> None:
    """Print the accuracy of each split; exit code 1 and one line for what cannot be evaluated."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=plain(__doc__))
    parser.add_argument(
        "dir", type=Path, help="folder of a run, such as outputs/2026-..., or sweep"
    )
    parser.add_argument("--device", help="cpu, cuda or cuda:N; as the run was configured if absent")
    arguments = parser.parse_args()
    with command(PROGRAM, ERRORS):
        run_dir = arguments.dir
        if jobs_of(run_dir):
            run_dir, told = best_of(run_dir)
            print(printable(told))
        for split, (correct, rows) in evaluate(run_dir, arguments.device).items():
            print(f"{split:<10}  {correct / rows:.4f}  ({correct:,} of {rows:,})")


def evaluate(run_dir: Path, device: str | None = None) -> dict[str, tuple[int, int]]:
    """Correct answers and rows of each split, with the parameters of the best epoch.

    Args:
        run_dir: folder of a run.
        device: instead of the configured one.

    Raises:
        ConfigError: the saved config does not fit the schemas.
        FolderError: the folder holds no run, or a damaged one.
        DataError: its data are not here.
        DeviceError: the device is not here.
    """
    run = read_trained(run_dir)
    try:
        return accuracies(run.config, run.params, device)
    except ValueError as error:
        raise FolderError(f"{run_dir / BEST} does not fit the config: {error}") from error


def accuracies(
    config: RunConfig, params: Mapping[str, Tensor], device: str | None = None
) -> dict[str, tuple[int, int]]:
    """Correct answers and rows of each split that has rows.

    Args:
        config: of the run.
        params: of its net, by name.
        device: instead of the configured one.

    Raises:
        ValueError: the parameters do not fit the config.
        DataError, DeviceError: the data or the device are not here.
    """
    train = data_of(config)
    splits = {
        "train": (train.X_train, train.y_train),
        "validation": (train.X_val, train.y_val),
        "test": held_out_of(config),
    }
    place = device_of(device or config.device)
    net = net_of([config], train, place)
    net.params.assign({name: p.unsqueeze(0) for name, p in params.items()})
    return {
        split: (int(evaluate_on(X.to(place), y.to(place), net).correct.item()), len(y))
        for split, (X, y) in splits.items()
        if len(y)
    }


def best_of(sweep: Path) -> tuple[Path, str]:
    """The folder of the best run of a sweep, and the line that says which it is.

    Raises:
        FolderError: there is none, or its runs cannot be compared.
    """
    rows = sweep_table.load(sweep)
    if are_ours(row.folder for row in rows) is False:
        raise FolderError(
            f"{sweep} holds runs of another program; fcsweep.evaluate takes those of fcsweep"
        )
    ended = [row for row in rows if row.status in ("completed", "pruned")]
    usable = [row for row in ended if (row.folder / BEST).is_file()]
    every = sweep_table.points(rows)
    point = sweep_table.best_point([one for one in every if any(r in usable for r in one.rows)])
    best = point and sweep_table.best([row for row in point.rows if row in usable])
    if point is None or best is None:
        raise FolderError(f"{sweep} holds no run that has ended with a value and a {BEST}")
    objectives = {str(row.config.get("objective")) for row in ended}
    if len(objectives) > 1:
        several = " and ".join(sorted(objectives))
        raise FolderError(f"{sweep} holds runs judged by {several}; name a run of it")
    told = f"best: {best.folder} ({objectives.pop()} {best.value:.4f}){_of(point)}"
    return best.folder, told


def _of(point: sweep_table.Point) -> str:
    """Of repeats what they are together; a single run is all there is to say."""
    value = point.value
    if len(point.rows) == 1:
        return ""
    return f", best of {value.told}"


if __name__ == "__main__":
    main()
