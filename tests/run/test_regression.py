"""A quantity as target: told by its values, standardised, judged in its own unit."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

import fcsweep
from fcsweep.config import TableConfig
from fcsweep.data.tables import loading
from fcsweep.evaluate import lines_of_quantity
from fcsweep.gradcheck import compute_numeric_gradient, rel_error
from fcsweep.losses import LOSSES, OF_NUMBERS, mean_loss
from fcsweep.messages.errors import ConfigError, DataError
from fcsweep.metrics import METRICS
from fcsweep.nets import FullyConnectedNet, TwoLayerNet
from fcsweep.records import load_history
from fcsweep.report import contents
from fcsweep.report.embedded import embedded
from fcsweep.report.figures import figures
from fcsweep.report.plots import save
from fcsweep.report.tables import tables
from fcsweep.solver import Solver

ERRORS = {"rmse": root_mean_squared_error, "mae": mean_absolute_error, "r2": r2_score}
SHORT = ["solver.num_epochs=3", "solver.batch_size=50", "optimizer.learning_rate=0.05"]
NET = ["model.weight_scale=0.1", "model.hidden_dims=[8]"]


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_that_of_scikit_learn_alone_and_in_a_stack(name):
    y, scores = torch.randn(501), torch.randn(7, 501, 1)
    metric = METRICS[name]
    found = metric.of_all(metric.of_each(scores, y), y, 1)
    expected = [ERRORS[name](y.double(), one.squeeze(-1).double()) for one in scores]
    assert found.tolist() == pytest.approx(expected, rel=1e-9)
    alone = [metric.of_all(metric.of_each(one, y), y, 1).item() for one in scores]
    assert alone == found.tolist()


def test_r2_of_a_target_that_does_not_vary_is_that_of_scikit_learn():
    y, metric = torch.ones(4), METRICS["r2"]
    for scores in (torch.ones(4, 1), torch.zeros(4, 1)):
        found = metric.of_all(metric.of_each(scores, y), y, 1).item()
        assert found == r2_score(y, scores.squeeze(-1))


@pytest.mark.parametrize("loss", OF_NUMBERS)
def test_the_gradients_of_a_net_that_regresses(loss):
    net = FullyConnectedNet(
        [5, 4], 3, 1, weight_scale=0.5, loss_function=loss, seed=0, dtype=torch.float64
    )
    X, y = torch.randn(6, 3, dtype=torch.float64), 2 * torch.randn(6, dtype=torch.float64)
    _, grads = net.loss(X, y)
    for name, p in net.params.items():
        numeric = compute_numeric_gradient(lambda _: net.loss(X, y)[0], p)
        assert rel_error(numeric, grads[name]) < 1e-6
    loss_function, arithmetic = LOSSES[loss]
    scores = net.scores(X)
    assert mean_loss(arithmetic, scores, y) == loss_function(scores, y)[0]


@pytest.mark.parametrize("loss", OF_NUMBERS)
def test_a_trial_trains_alike_alone_and_in_a_stack(loss):
    def train(seeds):
        draw = np.random.RandomState(0)
        X = draw.randn(90, 4).astype(np.float32)
        y = X[:, 0] - X[:, 1] + 0.1 * draw.randn(90).astype(np.float32)
        data = {"X_train": X, "y_train": y, "X_val": X[:40], "y_val": y[:40]}
        net = TwoLayerNet(4, 6, 1, weight_scale=0.3, loss_function=loss, seed=seeds)
        options = {"optim_config": {"learning_rate": 0.1}, "verbose": False, "batch_size": 20}
        solver = Solver(net, data, seed=seeds, objective="rmse", target_scale=3.0, **options)
        return [(e.losses, e.val_value, e.train_value, e.val_loss) for e in solver.epochs()]

    stacked = train([0, 1, 2])
    for trial in range(3):
        for (losses, *values), (all_losses, *each) in zip(train(trial), stacked, strict=True):
            assert torch.equal(losses, all_losses[:, trial])
            assert values == [one[trial] for one in each]
    assert stacked[-1][1][0] < stacked[0][1][0]


def write(folder, **columns):
    draw = np.random.RandomState(0)
    x = draw.randn(200)
    table = {"x": x, "noise": draw.randn(200), "price": 1_000 + 50 * x, **columns}
    path = folder / "homes.csv"
    pd.DataFrame(table).to_csv(path, index=False)
    return path


def test_a_quantity_is_standardised_by_the_training_rows_alone(tmp_path):
    config = TableConfig(path=str(write(tmp_path)), target="price")
    data = loading.load(config, torch.float64)
    assert data.num_classes == 1 and data.y_train.dtype == torch.float64
    assert data.y_train.mean().item() == pytest.approx(0) and data.y_train.std(
        correction=0
    ).item() == pytest.approx(1)
    prices = pd.read_csv(config.path)["price"]
    told = torch.cat([data.y_train, data.y_val]) * data.target_scale + data.target_mean
    assert np.isclose(told.numpy()[:, None], prices.to_numpy()).any(1).all()
    assert loading.sizes(config, torch.float64)["classes"] == 1


@pytest.mark.parametrize(
    ("target", "task", "words"),
    [
        ([1.5] * 200, None, "the target is the same in all training rows"),
        ([*np.arange(199) + 0.5, np.inf], None, "has inf in row 200; expected a finite number"),
        (["dear", "cheap"] * 100, "regression", "price is no quantity; expected numbers"),
    ],
)
def test_a_target_that_is_no_quantity_is_refused(tmp_path, target, task, words):
    path = write(tmp_path, price=target)
    with pytest.raises(DataError, match=words):
        loading.load(TableConfig(path=str(path), target="price", task=task), torch.float32)


def test_whole_numbers_are_a_quantity_where_the_key_says_so(tmp_path):
    path = write(tmp_path, price=np.arange(200) % 7)
    kinds = [
        loading.load(TableConfig(path=str(path), target="price", task=task), torch.float32)
        for task in (None, "regression")
    ]
    assert [one.num_classes for one in kinds] == [7, 1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["data=diabetes"], "data=diabetes is for regression, but model.loss_function is softmax"),
        (
            ["data=diabetes", "model.loss_function=mse"],
            "but objective is val_accuracy; expected objective=val_loss|rmse|mae|r2",
        ),
        (
            ["model.loss_function=huber"],
            "data=digits is for classification, but model.loss_function is huber; expected "
            "model.loss_function=softmax|svm",
        ),
        (["objective=r2"], "data=digits is for classification, but objective is r2"),
    ],
)
def test_a_loss_or_an_objective_of_the_other_task_is_refused_in_one_line(given, words):
    with pytest.raises(ConfigError) as error:
        fcsweep.compose(given)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_run_is_judged_and_evaluated_in_the_unit_of_the_target(tmp_path):
    keys = ["data=diabetes", "model.loss_function=mse", "objective=rmse", *SHORT, *NET]
    fcsweep.train(keys, tmp_path / "run")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["best_val_accuracy"] is None and 40 < result["value"] < 90
    lines = lines_of_quantity(tmp_path / "run")
    assert [line.split()[0] for line in lines] == ["train", "validation", "test"]
    assert lines[1].split()[1:3] == ["rmse", f"{result['value']:.4g}"]
    history = load_history(tmp_path / "run")
    assert history["val_rmse"].min() == result["value"] and history["val_accuracy"].isna().all()


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regression") / "sweep"
    keys = ["data=diabetes", "model.loss_function=mse", "objective=rmse", *SHORT, *NET]
    fcsweep.sweep([*keys, "optimizer=sgd,momentum"], folder)
    return folder


def test_the_table_of_a_page_has_no_accuracies_of_a_quantity(sweep):
    (runs,) = tables(contents.read(sweep))
    headings = [column.name for column in runs.columns]
    assert "rmse" in headings and not {"best val", "best train"} & {*headings}


def test_the_page_has_the_curve_of_the_objective(sweep):
    page = contents.read(sweep)
    known = embedded(page)
    assert known["value_of_curves"] == "val_rmse"
    for number in range(2):
        recorded = load_history(sweep / str(number))["val_rmse"]
        assert known["curves"][number][5] == [pytest.approx(one, rel=1e-2) for one in recorded]
    assert figures(page)[0].caption == "Losses and RMSE per epoch; the best are coloured."
    save(page, ["svg"])
    drawn = (sweep / "figures/learning_curves.svg").read_text()
    assert "val_rmse" in drawn and "accuracy" not in drawn
