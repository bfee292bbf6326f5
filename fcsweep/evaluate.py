"""``python -m fcsweep.evaluate DIR``: how good the best parameters are, test set included.

Takes the folder of a run, or of a sweep: of that its best run, by the recorded objective; where
runs are repeats, which differ in their seed alone, the best run of those with the best mean. Or
an ``ensemble.json``, whose members predict together.
The only reader of the test set, also for `fcsweep.grade` and `fcsweep.ensemble`: whoever chooses by
it has none any more.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from fcsweep.accuracy import evaluate_on
from fcsweep.config import RunConfig
from fcsweep.config.import_paths import TRUST
from fcsweep.data.choice import data_of, held_out_of, measured
from fcsweep.messages.errors import FolderError, UserError
from fcsweep.messages.wording import printable
from fcsweep.metrics import IN_UNITS, METRICS
from fcsweep.records import sweep_table
from fcsweep.records.filenames import BEST, jobs_of
from fcsweep.records.models import ensemble
from fcsweep.records.reader import are_ours
from fcsweep.run import device_of
from fcsweep.run.build import net_of
from fcsweep.system.command import command, plain
from fcsweep.trained.ensembles import by_fold, check_data, members_of
from fcsweep.trained.predictions import Examples, averaged, targets_of
from fcsweep.trained.runs import Trained, read_trained

PROGRAM = "python -m fcsweep.evaluate"
ERRORS = UserError, OSError, ValueError, MemoryError, RuntimeError
"""RuntimeError: what torch says of a net that does not fit in memory."""
ERRORS_OF_NUMBERS = ("rmse", "mae", "r2")
"""What is told of a quantity."""


def main() -> None:
    """Print the accuracy of each split; exit code 1 and one line for what cannot be evaluated."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=plain(__doc__))
    text = "folder of a run, such as outputs/2026-..., or sweep; or the ensemble.json of a sweep"
    parser.add_argument("dir", type=Path, help=text)
    parser.add_argument("--device", help="cpu, cuda or cuda:N; as the run was configured if absent")
    parser.add_argument("--trust", action="store_true", help=TRUST)
    arguments = parser.parse_args()
    with command(PROGRAM, ERRORS):
        run_dir = arguments.dir
        if run_dir.name == ensemble.FILE:
            lines = evaluate_ensemble(run_dir, arguments.device, arguments.trust)
        else:
            if jobs_of(run_dir):
                run_dir, told = best_of(run_dir)
                print(printable(told))
            asked = run_dir, arguments.device, arguments.trust
            found = evaluate(*asked)
            lines = lines_of_quantity(*asked) if found is None else _of_counts(found)
        for line in lines:
            print(printable(line))


def lines_of_quantity(run_dir: Path, device: str | None = None, trust: bool = False) -> list[str]:
    """A line for each split: of a quantity RMSE and MAE in its unit, and R2.

    Arguments and errors as those of `evaluate`.
    """
    run = read_trained(run_dir, trust)
    try:
        found = errors(run.config, run.params, device)
    except ValueError as error:
        raise FolderError(f"{run_dir / BEST} does not fit the config: {error}") from error
    return _of_errors(found)


def _of_errors(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    return [
        f"{split:<10}  " + "  ".join(f"{name} {value:.4g}" for name, value in known.items())
        for split, known in found.items()
    ]


def _of_counts(found: Mapping[str, tuple[int, int]]) -> list[str]:
    return [
        f"{split:<10}  {correct / rows:.4f}  ({correct:,} of {rows:,})"
        for split, (correct, rows) in found.items()
    ]


def evaluate(
    run_dir: Path, device: str | None = None, trust: bool = False
) -> dict[str, tuple[int, int]] | None:
    """Correct answers and rows of each split, with the parameters of the best epoch.

    Of a quantity there is nothing to count: None, see `lines_of_quantity`.

    Args:
        run_dir: folder of a run.
        device: instead of the configured one.
        trust: whether to import a model that the config names by import path.

    Raises:
        ConfigError: the saved config does not fit the schemas.
        FolderError: the folder holds no run, or a damaged one.
        DataError: its data are not here.
        DeviceError: the device is not here.
    """
    run = read_trained(run_dir, trust)
    if measured(run.config).data.classes == 1:
        return None
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
    place = device_of(device or config.device)
    net = net_of([config], data_of(config), place)
    net.params.assign({name: p.unsqueeze(0) for name, p in params.items()})
    return {
        split: (int(evaluate_on(X.to(place), y.to(place), net).correct.item()), len(y))
        for split, (X, y) in _splits(config).items()
    }


def errors(
    config: RunConfig, params: Mapping[str, Tensor], device: str | None = None
) -> dict[str, dict[str, float]]:
    """RMSE and MAE in the unit of the target, and R2, of each split that has rows.

    Arguments and errors as those of `accuracies`.
    """
    place, data = device_of(device or config.device), data_of(config)
    net = net_of([config], data, place)
    net.params.assign({name: p.unsqueeze(0) for name, p in params.items()})
    found = dict[str, dict[str, float]]()
    for split, (X, y) in _splits(config).items():
        found[split] = {}
        for name in ERRORS_OF_NUMBERS:
            value = evaluate_on(X.to(place), y.to(place), net, metric=METRICS[name]).measured
            assert value is not None  # it was asked for
            found[split][name] = value.item() * (data.target_scale if name in IN_UNITS else 1)
    return found


def _splits(config: RunConfig) -> dict[str, tuple[Tensor, Tensor]]:
    """Examples and labels of each split that has rows."""
    train = data_of(config)
    splits = {
        "train": (train.X_train, train.y_train),
        "validation": (train.X_val, train.y_val),
        "test": held_out_of(config),
    }
    return {split: (X, y) for split, (X, y) in splits.items() if len(y)}


def evaluate_ensemble(path: Path, device: str | None = None, trust: bool = False) -> list[str]:
    """What it is, in a line, and a line for each split, by the mean of the members' predictions.

    Args:
        path: of an ``ensemble.json``, in the folder of its sweep.
        device: instead of the configured one.
        trust: as of `evaluate`.

    Raises:
        ConfigError, DataError, DeviceError: as `evaluate`.
        FolderError: the file or a member is not as it was.
    """
    known = ensemble.read(path)
    runs = members_of(known, path.parent, trust)
    check_data(runs[0].config, known.data_sha256, path.parent)
    weights = [member.weight for member in known.members]
    count = len(known.trials)
    trials = f"{count} trial{'s' * (count > 1)}"
    if data_of(runs[0].config).num_classes == 1:
        found = errors_together(runs, weights, device)
        lines = _of_errors({split: known for split, (known, _) in found.items()})
    else:
        lines = _of_counts(accuracies_together(runs, weights, device))
    return [f"ensemble of {trials} of {path.parent}{known.of_folds}", *lines]


def accuracies_together(
    runs: Sequence[Trained], weights: Sequence[float], device: str | None = None
) -> dict[str, tuple[int, int]]:
    """Correct answers and rows of each split, by the weighted mean of class probabilities.

    Where the runs are of several folds, those of each predict its training and validation rows
    alone, and all of them the test rows.

    Args:
        runs: trained on the same data, or on folds of them, with the same weight on each.
        weights: one each; they add up to 1.
        device: instead of the configured one.

    Raises:
        FolderError: the parameters of a run do not fit its config.
        DataError, DeviceError: the data or the device are not here.
    """
    return {
        split: (int((mean.max(-1).indices == y).sum()), len(y))
        for split, mean, y in _together(runs, weights, device)
    }


def errors_together(
    runs: Sequence[Trained], weights: Sequence[float], device: str | None = None
) -> dict[str, tuple[dict[str, float], int]]:
    """RMSE, MAE and R2 as of `errors`, and rows, of each split, by the weighted mean of quantities.

    Arguments and errors as those of `accuracies_together`.
    """
    found = dict[str, tuple[dict[str, float], int]]()
    for split, mean, y in _together(runs, weights, device):
        known = {name: METRICS[name] for name in ERRORS_OF_NUMBERS}
        values = {
            name: one.of_all(one.of_each(mean, y), y, 1).item() for name, one in known.items()
        }
        found[split] = values, len(y)
    return found


def _together(
    runs: Sequence[Trained], weights: Sequence[float], device: str | None
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Each split that has rows, the weighted mean of predictions ``(n, c)``, and the target."""
    place = device_of(device or runs[0].config.device)
    found: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for places in by_fold(runs):
        nets, shares = [runs[k] for k in places], [weights[k] for k in places]
        for split, mean, y in _of_fold(nets, shares, place):
            found.setdefault(split, []).append((mean, y))
    for split, folds in found.items():
        means, targets = zip(*folds, strict=True)
        if split == "test":
            yield split, torch.stack(means).sum(0), targets[0]
        else:
            yield split, torch.cat(means) * len(folds), torch.cat(targets)


def _of_fold(
    runs: Sequence[Trained], weights: Sequence[float], place: torch.device
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """As `_together`, of runs on the same data; a quantity is in the unit of the target."""
    by_type = {config.dtype: _splits(config) for config in _one_a_type(runs)}
    data = data_of(runs[0].config)
    for split, (_, y) in by_type[runs[0].config.dtype].items():

        def inputs(run: Trained, split: str = split) -> Examples:
            return Examples.of(by_type[run.config.dtype][split][0], data)

        yield split, averaged(runs, weights, inputs, place), targets_of(y, data)


def _one_a_type(runs: Sequence[Trained]) -> list[RunConfig]:
    return list({run.config.dtype: run.config for run in runs}.values())


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
    told = f"best: {best.folder} ({objectives.pop()} {best.value:{best.digits}}){_of(point)}"
    return best.folder, told


def _of(point: sweep_table.Point) -> str:
    """Of repeats what they are together; a single run is all there is to say."""
    value = point.value
    if len(point.rows) == 1:
        return ""
    return f", best of {value.told}"


if __name__ == "__main__":
    main()
