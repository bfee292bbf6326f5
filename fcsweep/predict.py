"""``python -m fcsweep.predict RUN INPUT [OUTPUT]``: the target of further rows of a table.

RUN is the folder of a run on a table, or of a sweep: of that its best run; or an ``ensemble.json``.
INPUT is a table with the columns that the run was trained on. OUTPUT, a CSV, has a row for each:
the other columns of INPUT, the predicted class and the probability of each, or the predicted
quantity. Without OUTPUT it goes to standard output.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcsweep.config.import_paths import TRUST
from fcsweep.messages.errors import DataError, FolderError, UserError
from fcsweep.messages.wording import printable
from fcsweep.system.command import command, plain
from fcsweep.system.signals import held_back

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from fcsweep.trained.runs import Trained

PROGRAM = "python -m fcsweep.predict"
PREDICTED, PROBABILITY = "predicted", "probability_"
"""The columns of the output; a class's name follows the second."""


def main() -> None:
    """Exit code 1 and one line for what cannot be predicted."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=plain(__doc__))
    parser.add_argument("run", type=Path, help="folder of a run or a sweep, or an ensemble.json")
    parser.add_argument("input", type=Path, help="a table: CSV, TSV, Parquet, Feather, NPZ or NPY")
    parser.add_argument("output", type=Path, nargs="?", help="a CSV; standard output if absent")
    parser.add_argument("--device", help="cpu, cuda or cuda:N; as the run was configured if absent")
    parser.add_argument("--trust", action="store_true", help=TRUST)
    asked = parser.parse_args()
    with command(PROGRAM):
        _check(asked.run, asked.input, asked.output)
        with held_back():  # torch and pandas, not before the paths are checked
            from fcsweep.kernels.threads import one_thread
            from fcsweep.system.atomic import write_atomically
        one_thread()
        table = predict(asked.run, asked.input, asked.device, asked.trust)
        text = table.to_csv(index=False, lineterminator="\n")
        if asked.output is None:
            print(text, end="")
        else:
            write_atomically(asked.output, text.encode())
            print(printable(f"{len(table):,} rows: {asked.output}"))


def _check(run: Path, table: Path, output: Path | None) -> None:
    if not run.exists():
        raise FolderError(f"{run} is not there; expected a run, a sweep or an ensemble.json")
    if not table.is_file():
        raise DataError(f"{table} is no file; expected a table, such as new.csv")
    if output is None:
        return
    if output.suffix.lower() != ".csv":
        raise DataError(f"{output} is not the name of a CSV; expected one that ends in .csv")
    if output.exists() and output.samefile(table):
        raise DataError(f"{output} is the input itself; name another file")


def predict(run: Path, table: Path, device: str | None = None, trust: bool = False) -> pd.DataFrame:
    """The output for the rows of a table, in their order.

    Args:
        run: folder of a run or a sweep, or an ``ensemble.json``.
        table: the file.
        device: instead of the configured one.
        trust: whether to import a model that a config names by import path.

    Raises:
        UserError: the run or the table cannot be used; one line.
    """
    import pandas as pd

    from fcsweep.run import device_of
    from fcsweep.trained.predictions import averaged
    from fcsweep.trained.rows import Rows, preprocessing_of

    runs, weights = _nets(run, trust)
    facts = preprocessing_of(runs[0])
    try:
        rows = Rows(table, facts)
        kept, place = rows.others(), device_of(device or runs[0].config.device)
        mean = averaged(runs, weights, rows.inputs, place)
        columns = _classes(mean, facts["classes"]) if "classes" in facts else _quantity(mean)
        if clash := [name for name in kept.columns if str(name) in columns]:
            raise DataError(f"{table} has a column {clash[0]}, as the output does; rename it")
    except (KeyError, TypeError, IndexError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise FolderError(f"{runs[0].folder} has other preprocessing than its net") from error
    return pd.concat([kept, pd.DataFrame(columns, index=kept.index)], axis=1)


def _classes(mean: Tensor, names: Sequence[object]) -> dict[str, Any]:
    """The predicted class of each row, and the probability of each class."""
    classes = list(map(str, names))
    predicted = [classes[place] for place in mean.max(-1).indices.tolist()]
    shares = zip(classes, mean.T.numpy(), strict=True)
    return {PREDICTED: predicted, **{f"{PROBABILITY}{name}": share for name, share in shares}}


def _quantity(mean: Tensor) -> dict[str, Any]:
    """The predicted quantity of each row, in the unit of the target."""
    return {PREDICTED: mean[:, 0].numpy()}


def _nets(run: Path, trust: bool) -> tuple[Sequence[Trained], Sequence[float]]:
    """The nets that predict, with their weights."""
    from fcsweep.evaluate import best_of
    from fcsweep.records.filenames import jobs_of
    from fcsweep.records.models import ensemble
    from fcsweep.trained.ensembles import members_of
    from fcsweep.trained.runs import read_trained

    if run.name == ensemble.FILE:
        known = ensemble.read(run)
        return members_of(known, run.parent, trust), [one.weight for one in known.members]
    folder = best_of(run)[0] if jobs_of(run) else run
    return [read_trained(folder, trust)], [1.0]


if __name__ == "__main__":
    main()
