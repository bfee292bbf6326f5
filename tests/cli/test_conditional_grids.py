"""Grids with keys that only some options have: which runs there are, and what is left of them."""

import csv
from pathlib import Path

import pytest
from support.marks import one_quick

from fcsweep.config import read


def task_lines(sweep: str) -> list[str]:
    folders = sorted(path for path in Path(sweep).iterdir() if path.name.isdecimal())
    assert [folder.name for folder in folders] == [str(n) for n in range(len(folders))]
    lines = [(folder / ".hydra" / "overrides.yaml").read_text() for folder in folders]
    return [text.replace("- ", "").replace("\n", " ").strip() for text in lines]


GRIDS = {
    "optimizer=rmsprop,adam optimizer.epsilon=0.1": [
        "optimizer=rmsprop optimizer.epsilon=0.1",
        "optimizer=adam optimizer.epsilon=0.1",
    ],
    "optimizer.momentum=0.5,0.9 optimizer=sgd,momentum": [
        "optimizer=sgd",
        "optimizer.momentum=0.5 optimizer=momentum",
        "optimizer.momentum=0.9 optimizer=momentum",
    ],
    "experiment=sgd_vs_momentum optimizer.momentum=0.8": [
        "optimizer=sgd experiment=sgd_vs_momentum",
        "optimizer=momentum experiment=sgd_vs_momentum optimizer.momentum=0.8",
    ],
}


@pytest.mark.parametrize(("grid", "runs"), one_quick(GRIDS.items()), ids=GRIDS)
def test_a_key_applies_where_the_option_has_it(grid, runs, fcsweep, trained):
    said = fcsweep("-m", *grid.split(), "hydra.sweep.dir=s")
    assert (said.code, said.err) == (0, "")
    assert task_lines("s") == runs


@pytest.mark.slow
def test_such_a_grid_goes_on_has_a_table_and_is_repeated(fcsweep, tmp_path):
    """In batches that end between the options, with runs that train."""
    command = ["-m", "optimizer=momentum,sgd", "optimizer.momentum=0.5,0.9", "hydra.sweep.dir=s"]
    command += ["solver.num_epochs=1", "hydra.sweeper.max_batch_size=2"]
    assert fcsweep(*command).code == 0
    Path("s/2/result.json").unlink()
    said = fcsweep(*command)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("resuming s: 2 finished, 1 to go\n")
    with open("s/trials.csv", newline="") as file:
        rows = [(row["optimizer.name"], row["optimizer.momentum"]) for row in csv.DictReader(file)]
    assert rows == [("momentum", "0.5"), ("momentum", "0.9"), ("sgd", "")]
    assert "momentum" not in read("s/2/.hydra/config.yaml")["optimizer"]
    assert "Which optimizer and momentum give the highest" in Path("s/report.html").read_text()
    assert "optimizer.momentum=0.5,0.9" in Path("s/multirun.yaml").read_text()


@pytest.mark.slow
def test_another_grid_of_such_keys_is_refused_the_folder(fcsweep, trained):
    grid = ["-m", "optimizer=sgd,momentum", "hydra.sweep.dir=s"]
    assert fcsweep(*grid, "optimizer.momentum=0.5").code == 0
    said = fcsweep(*grid, "optimizer.momentum=0.6")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "(optimizer.momentum: recorded 0.5, requested 0.6)" in said.err
    assert len(trained) == 2
