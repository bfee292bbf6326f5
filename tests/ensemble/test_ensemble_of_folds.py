"""``fcsweep.ensemble`` of trials that were trained on each fold: all their nets are members."""

import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import root_mean_squared_error
from support.report_pages import page_of
from support.short_runs import prepared, result_of

from fcsweep.config import (
    FullyConnectedConfig,
    RunConfig,
    SklearnConfig,
    SolverConfig,
    TableConfig,
)
from fcsweep.data.choice import data_of, held_out_of, measured
from fcsweep.ensemble.__main__ import ensemble
from fcsweep.evaluate import evaluate_ensemble
from fcsweep.predict import predict
from fcsweep.records.models.ensemble import read
from fcsweep.run import run
from fcsweep.trained.predictions import Examples, predictions
from fcsweep.trained.runs import read_trained

FOLDS, TRIALS = 3, 3
SHORT = SolverConfig(num_epochs=3, batch_size=20)


def wine(trial, fold):
    net = FullyConnectedConfig(hidden_dims=[[6], [6], [9]][trial], weight_scale=0.3)
    rate = [0.05, 0.15, 0.1][trial]
    config = RunConfig(net, data=SklearnConfig("wine", folds=FOLDS, fold=fold), solver=SHORT)
    return replace(config, optimizer=replace(config.optimizer, learning_rate=rate), seed=trial)


def trained_on_folds(sweep, config_of):
    for number, (trial, fold) in enumerate(product(range(TRIALS), range(FOLDS))):
        config = measured(config_of(trial, fold))
        run(config, prepared(sweep / str(number), config))
    return sweep


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Three trials of two shapes on three folds: runs 0 to 8, of which 0 to 2 are the first."""
    torch.set_num_threads(1)
    return trained_on_folds(tmp_path_factory.mktemp("folds") / "sweep", wine)


@pytest.fixture
def sweep(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "sweep"))


def alone(folder, rows):
    """What one run predicts for the rows that ``rows`` takes of its data."""
    member = read_trained(folder)
    X, y = rows(member.config)
    return predictions([member], lambda _: Examples(X), torch.device("cpu"))[0], y


def validation_rows(config):
    data = data_of(config)
    return data.X_val, data.y_val


def share_right(sweep, weights, rows):
    """Of the weighted mean of what runs predict for the same rows: right answers, and rows."""
    each = {number: alone(sweep / str(number), rows) for number in weights}
    mean = torch.stack([weights[number] * each[number][0] for number in weights]).sum(0)
    return (mean.argmax(-1) == each[min(each)][1]).tolist()


def test_a_net_predicts_no_row_that_it_was_trained_on(sweep):
    made = ensemble(sweep)
    assert made.folds == FOLDS and made.candidates == TRIALS
    weights = {one.trial: one.weight for one in made.members}
    assert len(weights) > FOLDS and sum(weights.values()) == pytest.approx(1)
    for chosen, score in [
        (weights, "ensemble"),
        ({made.best.trial + k: 1 for k in range(3)}, "best"),
    ]:
        right = []
        for fold in range(FOLDS):
            of_fold = {number: chosen[number] for number in chosen if number % FOLDS == fold}
            right += share_right(sweep, of_fold, validation_rows)
        validation = made.scores["validation"]
        assert validation.rows == len(right) == 151
        assert getattr(validation, score) == pytest.approx(np.mean(right))
        tested = share_right(sweep, chosen, held_out_of)
        assert len(tested) == made.scores["test"].rows == 27
        assert getattr(made.scores["test"], score) == pytest.approx(np.mean(tested))
    assert evaluate_ensemble(sweep / "ensemble.json")[2:] == [
        f"{split:<10}  {one.ensemble:.4f}  ({one.ensemble * one.rows:.0f} of {one.rows})"
        for split, one in made.scores.items()
    ]


def test_the_nets_of_a_trial_have_one_weight_and_one_score(sweep):
    made = ensemble(sweep)
    for first in range(0, len(made.members), FOLDS):
        nets = made.members[first : first + FOLDS]
        assert [one.trial for one in nets] == [nets[0].trial + k for k in range(FOLDS)]
        assert nets[0].trial % FOLDS == 0
        assert len({(one.weight, one.value) for one in nets}) == 1
    rows = [len(data_of(measured(wine(0, fold))).y_val) for fold in range(FOLDS)]
    values = [
        np.average(
            [result_of(sweep / str(FOLDS * trial + k))["value"] for k in range(FOLDS)], weights=rows
        )
        for trial in range(TRIALS)
    ]
    assert made.best.value == pytest.approx(max(values))
    assert made.best.trial == FOLDS * int(np.argmax(values))
    assert read(sweep / "ensemble.json") == made


def test_console_page_and_evaluation_name_trials(sweep, capsys):
    made = ensemble(sweep)
    named = ", ".join(f"{trial} ({weight:.2f})" for trial, weight in made.trials)
    assert sum(weight for _, weight in made.trials) == pytest.approx(1)
    assert [trial % FOLDS for trial, _ in made.trials] == [0] * len(made.trials)
    assert f"members, 3 folds each (weights): {named}\n" in capsys.readouterr().out
    count = f"{len(made.trials)} trials"
    assert f"{count}, 3 folds each (weights): {named}" in page_of(sweep).text()
    first = evaluate_ensemble(sweep / "ensemble.json")[0]
    assert first == f"ensemble of {count} of {sweep}, 3 folds each"


def test_a_trial_without_all_its_folds_is_left_out(sweep, capsys):
    shutil.rmtree(sweep / "1")
    (sweep / "5/best.safetensors").unlink()
    made = ensemble(sweep)
    assert made.candidates == 1 and {one.trial for one in made.members} == {6, 7, 8}
    assert made.left_out == {"not trained on every fold": 1, "without best.safetensors": 1}
    assert capsys.readouterr().out.startswith("1 of 3 trials; left out: ")


def test_runs_of_a_single_fold_are_trials(sweep):
    for number in range(TRIALS * FOLDS):
        if number % FOLDS != 1:
            shutil.rmtree(sweep / str(number))
    made = ensemble(sweep)
    assert made.folds == 1 and made.candidates == TRIALS
    correct = share_right(sweep, {one.trial: one.weight for one in made.members}, validation_rows)
    assert made.scores["validation"].ensemble == pytest.approx(np.mean(correct))


def test_each_seed_is_a_trial(tmp_path):
    for number, (seed, fold) in enumerate(product(range(2), range(FOLDS))):
        config = measured(replace(wine(0, fold), seed=seed))
        run(config, prepared(tmp_path / str(number), config))
    made = ensemble(tmp_path)
    assert made.candidates == 2 and made.folds == FOLDS


# --- Quantities -----------------------------------------------------------------------------------


def homes(rows=200):
    draw = np.random.default_rng(0)
    size, kind = draw.normal(100, 30, rows), draw.choice(["flat", "house"], rows)
    price = 1_000 + 5 * size + 100 * (kind == "house") + draw.normal(0, 40, rows)
    return pd.DataFrame({"id": range(rows), "size": size, "kind": kind, "price": price})


def test_a_quantity_is_averaged_in_its_unit_not_as_each_fold_scales_it(tmp_path):
    homes().to_csv(tmp_path / "homes.csv", index=False)

    def config_of(trial, fold):
        table = {"path": str(tmp_path / "homes.csv"), "target": "price", "drop": ["id"]}
        data = TableConfig(**table, folds=FOLDS, fold=fold)
        net = FullyConnectedConfig(hidden_dims=[8], weight_scale=0.4, loss_function="mse")
        config = RunConfig(net, data=data, solver=SHORT, objective="rmse", seed=trial)
        return replace(config, optimizer=replace(config.optimizer, learning_rate=0.05))

    sweep = trained_on_folds(tmp_path / "sweep", config_of)
    made = ensemble(sweep)
    each = {
        one.trial: predict(sweep / str(one.trial), tmp_path / "homes.csv")["predicted"].to_numpy()
        for one in made.members
    }
    means = [data_of(measured(config_of(0, fold))).target_mean for fold in range(FOLDS)]
    assert max(means) - min(means) > 1
    together = predict(sweep / "ensemble.json", tmp_path / "homes.csv")
    expected = sum(one.weight * each[one.trial] for one in made.members)
    np.testing.assert_allclose(together["predicted"], expected, rtol=1e-12)
    assert together["id"].tolist() == [*range(200)]

    table, predicted, true = homes(), [], []
    for fold in range(FOLDS):
        data = data_of(measured(config_of(0, fold)))
        prices = data.y_val.double().numpy() * data.target_scale + data.target_mean
        rows = [int((table["price"] - price).abs().argmin()) for price in prices]
        own = {one.trial: FOLDS * one.weight for one in made.members if one.trial % FOLDS == fold}
        predicted += list(sum(weight * each[number][rows] for number, weight in own.items()))
        true += table["price"][rows].tolist()
    error = root_mean_squared_error(true, predicted)
    assert made.scores["validation"].ensemble == pytest.approx(error, rel=1e-6)
    assert made.scores["validation"].rows == 170 and error < table["price"].std()


@pytest.mark.slow
def test_a_search_with_folds_ends_with_its_ensemble(tmp_path):
    words = ["data=wine", "data.folds=3", "solver.batch_size=20", "solver.num_epochs=3"]
    words += ["optimizer.learning_rate=interval(0.01,0.3)", "hydra/sweeper=optuna"]
    words += ["hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=4", "hydra.launcher.ensemble=true"]
    command = [sys.executable, "-m", "fcsweep", "-m", *words, "hydra.sweep.dir=sweep"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0 and "4 of 4 trials\n" in ended.stdout, ended.stderr
    assert read(tmp_path / "sweep/ensemble.json").folds == 3
