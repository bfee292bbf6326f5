"""``hydra.launcher.ensemble=true``: a sweep that ends with its ensemble."""

import re
from pathlib import Path

import pytest
from support import toy_app

from fcsweep.ensemble.__main__ import ensemble
from fcsweep.records.reader import read_json

GRID = ["-m", "solver.num_epochs=3", "seed=0,1", "optimizer.learning_rate=0.1,0.5"]
ENSEMBLE = ["hydra.launcher.ensemble=true", "hydra.sweep.dir=out"]
SEARCH = ["-m", "solver.num_epochs=3", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=4"]
SEARCH += ["optimizer.learning_rate=interval(0.1,0.5)"]


def read(folder: str = "out") -> dict:
    """What the file says, but for what made it."""
    return read_json(Path(folder, "ensemble.json")) | {"provenance": None}


@pytest.mark.parametrize("words", [GRID, SEARCH], ids=["grid", "search"])
def test_the_end_of_a_sweep_selects_what_the_command_does(words, fcsweep):
    said = fcsweep(*words, *ENSEMBLE)
    assert (said.code, said.err) == (0, "")
    *_, first, members, _, validation, test, _, file, page = said.out.splitlines()
    assert (first, file, page) == ("4 of 4 trials", "out/ensemble.json", "report: out/report.html")
    assert members.startswith("members (weights): ")
    assert validation.startswith("validation  ") and test.startswith("test  ")
    assert "The ensemble was selected from 4 trials" in Path("out/report.html").read_text()
    made = read()
    Path("out/ensemble.json").unlink()
    ensemble(Path("out"))
    assert read() == made


def test_a_sweep_without_candidates_ends_as_it_would_without_it(fcsweep):
    said = fcsweep("-m", "solver.num_epochs=3", "model.weight_scale=1e38,2e38", *ENSEMBLE)
    assert said.code == 0 and "report: out/report.html" in said.out
    assert re.fullmatch(r"ensemble\.json was not written: [^\n]*out[^\n]*\n", said.err)


@pytest.mark.parametrize("given", ["1", "many", "null"])
def test_a_wrong_value_is_one_line_and_leaves_nothing(given, fcsweep, tmp_path):
    said = fcsweep(*GRID, f"hydra.launcher.ensemble={given}")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert said.err.startswith("error: hydra.launcher.ensemble is ")
    assert said.err.endswith("; expected true or false\n")
    assert list(tmp_path.iterdir()) == []


def test_another_app_has_none(tmp_path):
    app = toy_app.make_app(tmp_path)
    words = ["hydra/launcher=stacked", "hydra.launcher.ensemble=true"]
    said = toy_app.run(app, *words, code=1)
    assert "hydra.launcher.ensemble is true; only trials of fcsweep's own have an ensemble" in said
