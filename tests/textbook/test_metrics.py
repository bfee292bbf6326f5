"""Objectives beside the accuracy: as scikit-learn computes them, the same bits in any stack."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn

from fcsweep.metrics import METRICS
from fcsweep.nets import TwoLayerNet
from fcsweep.objectives import OBJECTIVES, direction_of, reaches
from fcsweep.solver import Solver

CLASSES = 5
CLASSES_ALONE = [one.name for one in OBJECTIVES.values() if one.task != "regression"]


def labels_and_scores(trials=3, n=60, classes=CLASSES):
    draw = np.random.RandomState(0)
    y = draw.randint(0, classes - 1, n)  # the last class is never there
    return torch.from_numpy(y), torch.from_numpy(draw.randn(trials, n, classes))


def measured(name, scores, y):
    metric = METRICS[name]
    return metric.of_all(metric.of_each(scores, y), y, scores.shape[-1])


def by_sklearn(name, scores, y):
    predicted, p = scores.argmax(-1).numpy(), scores.softmax(-1).numpy()
    if name == "balanced_accuracy":
        return sklearn.balanced_accuracy_score(y, predicted)
    if name == "f1_macro":
        return sklearn.f1_score(y, predicted, average="macro")
    return sklearn.log_loss(y, p, labels=range(scores.shape[-1]))


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
@pytest.mark.parametrize("name", ["balanced_accuracy", "f1_macro", "log_loss"])
def test_a_metric_is_that_of_scikit_learn(name):
    y, scores = labels_and_scores()
    found = measured(name, scores, y)
    assert found.dtype == torch.float64
    expected = [by_sklearn(name, one, y) for one in scores]
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", [name for name in METRICS if name in CLASSES_ALONE])
def test_a_metric_has_the_same_bits_alone_and_in_a_stack(name):
    y, scores = labels_and_scores(trials=7, n=501)
    stacked = measured(name, scores.float(), y)
    assert [measured(name, one.float(), y).item() for one in scores] == stacked.tolist()


def test_a_class_that_is_never_predicted_has_f1_0():
    y = torch.tensor([0, 0, 1])
    scores = torch.eye(3, dtype=torch.float64)[[0, 0, 0]]
    assert measured("f1_macro", scores, y).item() == pytest.approx(0.8 / 2)


def test_each_objective_knows_its_direction():
    low = [name for name in OBJECTIVES if direction_of(name) == "minimize"]
    assert low == ["val_loss", "log_loss", "rmse", "mae"]
    assert reaches("log_loss", 0.2, 0.2) and not reaches("log_loss", 0.3, 0.2)
    assert reaches("f1_macro", 0.2, 0.2) and not reaches("f1_macro", 0.1, 0.2)
    assert direction_of("a metric of another app") == "maximize"


def solver(objective, seeds=0, patience=None):
    draw = np.random.RandomState(1)
    X, y = draw.randn(60, 4).astype(np.float32), draw.randint(0, 3, 60)
    data = {"X_train": X, "y_train": y, "X_val": X[:30], "y_val": y[:30]}
    net = TwoLayerNet(4, 6, 3, weight_scale=0.5, seed=seeds)
    return Solver(
        net,
        data,
        optim_config={"learning_rate": 3.0},  # it jumps: the last epoch is not the best
        num_epochs=8,
        batch_size=10,
        seed=seeds,
        objective=objective,
        patience=patience,
        verbose=False,
    )


@pytest.mark.parametrize("objective", CLASSES_ALONE)
def test_the_best_epoch_is_the_best_by_its_objective(objective):
    one = solver(objective)
    column = {"val_accuracy": "val_accuracy", "train_accuracy": "train_accuracy"}
    column |= {"val_loss": "val_loss"}
    values = [getattr(epoch, column.get(objective, "val_value")) for epoch in one.epochs()]
    best = min(values) if OBJECTIVES[objective].low else max(values)
    assert one.best_epoch == 1 + values.index(best) and len(set(values)) > 1


@pytest.mark.parametrize("objective", CLASSES_ALONE)
def test_a_trial_is_judged_alike_alone_and_in_a_stack(objective):
    stack = solver(objective, [0, 1, 2])
    stacked = [(e.train_value, e.val_value, e.val_loss) for e in stack.epochs()]
    for trial in range(3):
        alone = solver(objective, trial)
        each = [(e.train_value, e.val_value, e.val_loss) for e in alone.epochs()]
        assert each == [
            tuple(None if one is None else one[trial] for one in epoch) for epoch in stacked
        ]
        assert alone.best_epoch == stack.best_epoch[trial]


def test_patience_waits_for_a_lower_loss():
    one = solver("log_loss", patience=2)
    values = [epoch.val_value for epoch in one.epochs()]
    assert len(values) == one.best_epoch + 2 < 8
    assert min(values) == values[one.best_epoch - 1]


def test_a_model_of_ones_own_is_not_judged_by_a_loss_that_nobody_knows():
    class Own:
        def __init__(self):
            self.params = {"W": torch.zeros(4, 3)}

        def loss(self, X, y=None):
            scores = X @ self.params["W"]
            return scores if y is None else (0.0, {"W": torch.zeros(4, 3)})

    X, y = torch.randn(10, 4), torch.zeros(10, dtype=torch.long)
    data = {"X_train": X, "y_train": y, "X_val": X, "y_val": y}
    with pytest.raises(ValueError, match="the loss of this model is its own"):
        Solver(Own(), data, objective="val_loss", batch_size=5)
    with pytest.raises(ValueError, match="expected one of"):
        Solver(Own(), data, objective="accuracy", batch_size=5)
