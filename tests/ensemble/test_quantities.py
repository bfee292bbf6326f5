"""``fcsweep.ensemble`` of trials that predict a quantity: the mean of what they predict."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from support.report_pages import page_of
from support.short_runs import prepared, result_of

import fcsweep.evaluate as evaluation
from fcsweep.config import FullyConnectedConfig, RunConfig, SolverConfig, TableConfig
from fcsweep.data.choice import data_of, held_out_of, measured
from fcsweep.ensemble.__main__ import ensemble, main
from fcsweep.ensemble.selection import select
from fcsweep.predict import predict
from fcsweep.records.models.ensemble import read
from fcsweep.records.reader import read_json
from fcsweep.run import run

ERRORS = {"rmse": root_mean_squared_error, "mae": mean_absolute_error, "r2": r2_score}
TRIALS = 5


def homes(rows=240):
    draw = np.random.default_rng(0)
    size, age = draw.normal(100, 30, rows), draw.exponential(20, rows)
    noise = draw.normal(0, 1, rows)
    price = 1_000 + 5 * size - 2 * age + 0.05 * (size - 100) ** 2 + draw.normal(0, 40, rows)
    return pd.DataFrame({"size": size, "age": age, "noise": noise, "price": price})


def config_of(path, number, objective="rmse"):
    net = FullyConnectedConfig(
        hidden_dims=[[8], [12]][number % 2], weight_scale=0.4, loss_function="mse"
    )
    config = RunConfig(
        net,
        data=TableConfig(path=str(path), target="price"),
        solver=SolverConfig(num_epochs=4, batch_size=20),
        objective=objective,
        seed=number,
        dtype=["float32", "float64"][number == 4],
    )
    return replace(config, optimizer=replace(config.optimizer, learning_rate=0.03))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Trials of two shapes and two types."""
    torch.set_num_threads(1)
    top = tmp_path_factory.mktemp("quantities")
    homes().to_csv(top / "homes.csv", index=False)
    for number in range(TRIALS):
        config = measured(config_of(top / "homes.csv", number))
        run(config, prepared(top / "sweep" / str(number), config))
    return top


@pytest.fixture
def sweep(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained / "sweep", tmp_path / "sweep"))


def said(capsys, monkeypatch, program, *words):
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["program", *map(str, words)])
    program()
    return capsys.readouterr().out.splitlines()


def by_hand(P, y, rounds, error):
    """Caruana's loop in NumPy, one candidate at a time."""
    added, path = [], []
    for _ in range(rounds):
        tried = [error(y, np.mean([P[j] for j in [*added, k]], axis=0)) for k in range(len(P))]
        added.append(int(np.argmin(tried)))
        path.append(min(tried))
    return added[: int(np.argmin(path)) + 1]


@pytest.mark.parametrize("by", ["rmse", "mae"])
def test_the_selection_lowers_the_error_of_the_mean(by):
    draw = np.random.default_rng(3)
    y = draw.normal(0, 1, 60)
    P = y + draw.normal(0, 0.7, (9, 1)) + draw.normal(0, 0.5, (9, 60))
    found = select(torch.tensor(P).unsqueeze(-1), torch.tensor(y), rounds=12, by=by)
    added = by_hand(P, y, 12, ERRORS[by])
    assert found.counts == {k: added.count(k) for k in added} and len(found.counts) > 2
    assert found.values == pytest.approx([-ERRORS[by](y, one) for one in P])
    assert found.best == int(np.argmax(found.values))


def predicted(trained, sweep, made, X_rows):
    """The weighted mean of what each member predicts alone, of rows by their place."""
    alone = {one.trial: predict(sweep / str(one.trial), X_rows) for one in made.members}
    return sum(one.weight * alone[one.trial]["predicted"] for one in made.members)


def test_the_scores_are_those_of_averaged_quantities(trained, sweep):
    made = ensemble(sweep)
    assert made.score == "rmse" and made.candidates == TRIALS and len(made.members) > 1
    values = [result_of(sweep / str(trial))["value"] for trial in range(TRIALS)]
    assert made.best.trial == values.index(min(values))
    assert [one.value for one in made.members] == pytest.approx(
        [values[one.trial] for one in made.members]
    )
    assert made.scores["validation"].ensemble < made.scores["validation"].best
    assert made.scores["validation"].best == pytest.approx(min(values))
    together = np.asarray(predicted(trained, sweep, made, trained / "homes.csv"))
    table, config = homes()["price"].to_numpy(), config_of(trained / "homes.csv", 4)
    data = data_of(config)
    splits = {"validation": data.y_val, "test": held_out_of(config)[1]}
    for split, y in splits.items():
        prices = y.numpy() * data.target_scale + data.target_mean
        rows = [int(np.abs(table - price).argmin()) for price in prices]
        for name, error in ERRORS.items():
            score = made.all_scores[name][split]
            assert score.rows == len(y)
            assert score.ensemble == pytest.approx(error(table[rows], together[rows]), rel=1e-6)
    assert [*made.all_scores] == ["rmse", "mae", "r2"] and read(sweep / "ensemble.json") == made


def test_what_it_reaches_is_told_and_evaluate_reads_the_same(sweep, capsys, monkeypatch):
    out = said(capsys, monkeypatch, main, sweep)
    made = read(sweep / "ensemble.json")
    test = {name: scores["test"] for name, scores in made.all_scores.items()}
    line = next(line for line in out if line.startswith("test mae"))
    one = test["mae"]
    assert line.split()[2:] == [f"{one.ensemble:.4g}", f"{one.best:.4g}", str(one.rows)]
    lines = said(capsys, monkeypatch, evaluation.main, sweep / "ensemble.json")
    assert lines[0] == f"ensemble of {len(made.members)} trials of {sweep}"
    told = "  ".join(f"{name} {one.ensemble:.4g}" for name, one in test.items())
    assert lines[3] == f"test        {told}"


def test_it_predicts_the_mean_in_the_unit_of_the_target(trained, sweep):
    made = ensemble(sweep)
    together = predict(sweep / "ensemble.json", trained / "homes.csv")["predicted"]
    expected = predicted(trained, sweep, made, trained / "homes.csv")
    np.testing.assert_allclose(together, expected, rtol=1e-12)


def test_the_page_shows_its_errors(sweep):
    made = ensemble(sweep)
    page = page_of(sweep).text()
    for name, scores in made.all_scores.items():
        for split, one in scores.items():
            assert f"{split} {name}" in page
            assert f"{one.ensemble:.4g}" in page and f"{one.ensemble - one.best:+.4g}" in page


def test_trials_judged_by_the_mae_are_selected_by_it(trained, tmp_path):
    for number in range(2):
        config = measured(config_of(trained / "homes.csv", number, "mae"))
        run(config, prepared(tmp_path / str(number), config))
    made = ensemble(tmp_path)
    assert made.score == "mae" and [*made.all_scores] == ["mae", "rmse", "r2"]
    values = [result_of(tmp_path / str(number))["value"] for number in range(2)]
    assert made.best.value == pytest.approx(min(values))
    assert {*read_json(tmp_path / "ensemble.json")["further_scores"]} == {"rmse", "r2"}


@pytest.mark.slow
def test_from_the_command_line_to_predictions(tmp_path):
    def out(module, *words):
        command = [sys.executable, "-m", module, *words]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    homes().to_csv(tmp_path / "homes.csv", index=False)
    keys = ["data=table", "data.path=homes.csv", "data.target=price", "model.loss_function=mse"]
    short = ["solver.num_epochs=3", "solver.batch_size=20", "objective=r2"]
    rates = "optimizer.learning_rate=0.02,0.05"
    out("fcsweep", "-m", *keys, *short, rates, "seed=0,1", "hydra.sweep.dir=sweep")
    assert "validation rmse" in out("fcsweep.ensemble", "sweep")
    made = read(tmp_path / "sweep/ensemble.json")
    test = made.scores["test"].ensemble
    assert made.score == "rmse" and made.candidates == 4
    out("fcsweep.predict", "sweep/ensemble.json", "homes.csv", "told.csv")
    told = pd.read_csv(tmp_path / "told.csv")
    assert len(told) == 240 and root_mean_squared_error(told["price"], told["predicted"]) < 2 * test
