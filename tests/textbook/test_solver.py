"""The Solver: what an epoch is, what it keeps, when it stops; and the courses' own recipes."""

import math

import pytest
import torch

from fcsweep.nets import FullyConnectedNet, TwoLayerNet
from fcsweep.solver import Solver


def blobs(n=60, d=8, classes=3):
    """Separable classes around random centres."""
    source = torch.Generator().manual_seed(0)
    y = torch.arange(n) % classes
    centres = 3 * torch.randn(classes, d, generator=source)
    X = centres[y] + torch.randn(n, d, generator=source)
    half = n // 2
    return {"X_train": X[:half], "y_train": y[:half], "X_val": X[half:], "y_val": y[half:]}


def solver_of(model=None, data=None, **options):
    model = model or TwoLayerNet(8, 10, 3, weight_scale=0.1, seed=0)
    defaults = {"batch_size": 7, "seed": 0, "verbose": False}
    return Solver(model, data or blobs(), **(defaults | options))


class Watched(FullyConnectedNet):
    """A net that remembers which examples it saw."""

    def __init__(self, **options):
        super().__init__([10], 8, 3, seed=0, **options)
        self.seen = []

    def prepare(self, X, y, out):
        gradient = super().prepare(X, y, out)

        def watched(step):
            self.seen.append(X.clone())
            return gradient(step)

        return watched


def test_an_epoch_is_one_pass_in_a_fresh_order():
    model, data = Watched(), blobs()
    epochs = list(solver_of(model, data, num_epochs=2).epochs())
    assert [len(x) for x in model.seen] == [7, 7, 7, 7, 2] * 2
    first, second = torch.cat(model.seen[:5]), torch.cat(model.seen[5:])
    for seen in (first, second):
        assert torch.equal(seen.sort(0).values, data["X_train"].sort(0).values)
    assert not torch.equal(first, second)
    assert [e.number for e in epochs] == [1, 2] and [e.step for e in epochs] == [5, 10]


def batches_of(**options):
    model = Watched()
    solver_of(model, num_epochs=2, **options).train()
    return torch.cat(model.seen)


def test_batches_depend_on_the_seed_alone():
    expected = batches_of(seed=1)
    assert torch.equal(batches_of(seed=1), expected)
    assert not torch.equal(batches_of(seed=2), expected)
    assert torch.equal(batches_of(seed=1, num_train_samples=5), expected)
    assert torch.equal(batches_of(seed=1, eval_every=2), expected)


def test_a_dropout_seed_does_not_freeze_the_batches():
    model = Watched(dropout=0.5)
    solver_of(model, num_epochs=3).train()
    assert not torch.equal(model.seen[0], model.seen[5])


def test_training_draws_new_dropout_masks_each_step():
    model = FullyConnectedNet([50], 8, 3, dropout=0.5, seed=0, weight_scale=0.1)
    data = {name: t[:1] for name, t in blobs().items()}
    solver = Solver(
        model, data, optim_config={"learning_rate": 1e-30}, batch_size=1, seed=0, verbose=False
    )
    solver.train()
    assert len(set(solver.loss_history)) == 10  # one example, the same weights: only masks differ


def test_learns_and_keeps_the_best_parameters():
    solver = solver_of(num_epochs=8, optim_config={"learning_rate": 0.1})
    solver.train()
    assert solver.best_val_acc == max(solver.val_acc_history) > 0.9
    assert solver.best_epoch == 1 + solver.val_acc_history.index(solver.best_val_acc)
    data = blobs()
    assert solver.check_accuracy(data["X_val"], data["y_val"]) == solver.best_val_acc
    for name, p in solver.model.params.items():
        assert torch.equal(p, solver.best_params[name])
    assert len(solver.loss_history) == 8 * 5


def test_the_objective_decides_which_epoch_is_best():
    model = TwoLayerNet(8, 10, 3, weight_scale=0.1, seed=0)
    solver = solver_of(model, objective="train_accuracy", num_epochs=6)
    accuracies = [epoch.train_accuracy for epoch in solver.epochs()]
    assert solver.best_epoch == 1 + accuracies.index(max(accuracies))
    assert solver.best_train_acc == max(accuracies)


def test_best_params_are_never_empty():
    data = blobs()
    data["y_val"] = torch.full_like(data["y_val"], 2)
    model = TwoLayerNet(8, 10, 3, weight_scale=0.1, seed=0)
    model.params["b2"] = torch.tensor([0, 0, -1e9])  # a class that is never predicted
    solver = solver_of(model, data, num_epochs=2)
    assert solver.best_params.keys() == solver.model.params.keys()
    solver.train()
    assert solver.best_val_acc == 0 and solver.best_epoch == 1
    assert all(p.isfinite().all() for p in solver.best_params.values())


def test_the_last_epoch_is_always_evaluated():
    epochs = list(solver_of(num_epochs=5, eval_every=2).epochs())
    assert [e.val_accuracy is not None for e in epochs] == [False, True, False, True, True]


@pytest.mark.parametrize("loss_function", ["softmax", "svm"])
def test_the_validation_loss_is_that_of_the_rows_without_the_l2_term(loss_function):
    data = blobs(1202)  # more than are scored at once
    options = {"reg": 0.5, "dropout": 0.3, "loss_function": loss_function, "dtype": torch.float64}
    net = FullyConnectedNet([10], 8, 3, weight_scale=0.5, seed=0, **options)
    epochs = solver_of(net, data, num_epochs=3, eval_every=2).epochs()
    assert next(epochs).val_loss is None
    told = next(epochs).val_loss
    expected, _ = net.loss_function(net.scores(data["X_val"]), data["y_val"])
    assert told == pytest.approx(expected.item(), rel=1e-12)


def test_learning_rate_decays_after_each_epoch():
    options = {"optim_config": {"learning_rate": 1.0}, "lr_decay": 0.5, "num_epochs": 3}
    epochs = list(solver_of(**options).epochs())
    assert [e.learning_rate for e in epochs] == [1.0, 0.5, 0.25]


def test_the_loss_of_an_epoch_is_the_mean_of_its_steps():
    (epoch,) = solver_of(num_epochs=1).epochs()
    assert epoch.loss == pytest.approx(epoch.losses.mean().item(), rel=1e-6)
    assert epoch.losses.shape == (5,)


def test_a_diverged_trial_stops_and_keeps_its_best():
    solver = solver_of(optim_config={"learning_rate": 1e30}, num_epochs=9)
    epochs = list(solver.epochs())
    assert len(epochs) == 1
    step = epochs[-1].diverged_at
    assert not math.isfinite(solver.loss_history[step - 1])
    assert all(math.isfinite(loss) for loss in solver.loss_history[: step - 1])
    assert solver.best_val_acc == 0 and solver.best_epoch == 0
    assert all(p.isfinite().all() for p in solver.best_params.values())


def test_weights_that_the_last_step_spoiled_are_not_best():
    """The loss of a step is taken before its update, so it can be finite all the same."""
    data = {name: t[:7] for name, t in blobs().items()}
    solver = solver_of(data=data, optim_config={"learning_rate": 1e38}, num_epochs=1)
    (epoch,) = solver.epochs()
    assert epoch.losses.isfinite().all()
    assert epoch.diverged_at == 1
    assert solver.best_epoch == 0


def test_the_others_of_a_stack_do_not_notice():
    def trained(rates, keep=None):
        model = TwoLayerNet(8, 10, 3, weight_scale=[0.1] * len(rates), seed=0)
        rates = torch.tensor(rates, dtype=torch.float64)
        options = {"optim_config": {"learning_rate": rates}, "num_epochs": 4}
        solver = solver_of(model, update_rule="sgd_momentum", lr_decay=0.9, **options)
        for epoch in solver.epochs():
            if keep and epoch.number == 2:
                solver.keep(keep)
        return model.params, solver.best_params, solver.best_val_acc

    for rates, keep in (([0.1, 0.5, 0.2], [0, 2]), ([0.1, 0.5], [0]), ([0.5, 0.1, 0.2], [1])):
        params, best, accuracy = trained(rates, keep)
        expected, expected_best, expected_accuracy = trained([rates[k] for k in keep])
        assert accuracy == expected_accuracy
        for name in params:
            assert torch.equal(params[name], expected[name])
            assert torch.equal(best[name], expected_best[name])


@pytest.mark.parametrize("seed", [3, [3, 4]])
def test_another_solver_goes_on_from_a_state(seed):
    def made():
        net = TwoLayerNet(8, 10, 3, weight_scale=0.1, seed=seed)
        rate = torch.tensor([1e-2, 2e-2] if isinstance(seed, list) else 1e-2, dtype=torch.float64)
        options = {"update_rule": "adam", "optim_config": {"learning_rate": rate}}
        return solver_of(net, seed=seed, num_epochs=5, lr_decay=1e-6, **options), rate

    (one, _), (other, rate) = made(), made()
    given = rate.clone()
    for epoch in one.epochs():
        if epoch.number == 2:
            other.restore(one.state(), epoch.number, epoch.step)
    later = [epoch.number for epoch in other.epochs()]
    assert later == [3, 4, 5] and one.step == other.step
    assert one.best_epoch in (1, [1, 1])
    assert one.best_epoch == other.best_epoch and one.best_val_acc == other.best_val_acc
    for name, value in one.state().items():
        assert torch.equal(value, other.state()[name]), name
    assert torch.equal(rate, given)  # what was handed in is not changed


def test_a_rule_has_its_name_of_the_command_line_too():
    solvers = [solver_of(update_rule=name) for name in ("momentum", "sgd_momentum")]
    for solver in solvers:
        solver.train()
    assert solvers[0].loss_history == solvers[1].loss_history


def test_stop_ends_within_the_epoch():
    solver = solver_of(num_epochs=50)
    for epoch in solver.epochs():
        if epoch.number == 2:
            solver.stop()
    assert solver.epoch == 2


def test_train_without_best_params_leaves_the_last():
    model = TwoLayerNet(8, 10, 3, weight_scale=0.1, seed=0)
    solver = solver_of(model, optim_config={"learning_rate": 0.5}, num_epochs=6)
    list(solver.epochs())
    last = model.params.clone()
    again = TwoLayerNet(8, 10, 3, weight_scale=0.1, seed=0)
    solver_of(again, optim_config={"learning_rate": 0.5}, num_epochs=6).train(
        return_best_params=False
    )
    assert all(torch.equal(last[name], p) for name, p in again.params.items())


def test_verbose_prints_as_the_courses_do(capsys):
    solver_of(num_epochs=2, verbose=True, print_every=4).train()
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition(" loss")[0].partition(" train")[0] for line in printed] == [
        "(Step 1 / 10)",
        "(Step 5 / 10)",
        "(Epoch 1 / 2)",
        "(Step 9 / 10)",
        "(Epoch 2 / 2)",
    ]


def test_data_may_have_images_and_attributes():
    class Data:
        X_train, y_train = torch.rand(12, 2, 2, 2), torch.arange(12, dtype=torch.uint8) % 3
        X_val, y_val = X_train, y_train

    solver = Solver(TwoLayerNet(8, 4, 3), Data, batch_size=5, verbose=False, num_epochs=1)
    solver.train()
    assert len(solver.loss_history) == 3


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"update_rule": "adamm"}, ValueError, "expected one of ['sgd'"),
        ({"optim_config": {"lr": 1}}, ValueError, "optim_config has ['lr']"),
        ({"batch_size": 31}, ValueError, "expected at most the 30 training rows"),
        ({"num_epochs": 0}, ValueError, "num_epochs is 0; expected at least 1"),
        ({"objective": "loss"}, ValueError, "expected one of ['val_accuracy'"),
        ({"learning_rate": 1}, TypeError, "learning_rate"),
    ],
)
def test_refuses(options, error, words):
    with pytest.raises(error) as raised:
        solver_of(**options)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    "labels, words",
    [
        (lambda y: y + 0.5, "has shape (30,) and type torch.float32; expected one integer"),
        (lambda y: y + 1, "holds 3; expected classes from 0 to 2"),
        (lambda y: y - 1, "holds -1; expected classes from 0 to 2"),
        (lambda y: y[:, None], ".squeeze(-1)"),
        (lambda y: torch.eye(3)[y], ".argmax(-1)"),
    ],
)
def test_refuses_labels(labels, words):
    for name in ("y_train", "y_val"):
        data = blobs()
        data[name] = labels(data[name])
        with pytest.raises(ValueError) as raised:
            solver_of(data=data)
        assert str(raised.value).startswith(name) and words in str(raised.value)
    solver, data = solver_of(), blobs()
    with pytest.raises(ValueError) as raised:
        solver.check_accuracy(data["X_val"], labels(data["y_val"]))
    assert words in str(raised.value)


@pytest.mark.parametrize("layers, rate", [(2, 0.1), (4, 0.101)])
def test_overfits_fifty_images(layers, rate):
    """EECS 498, assignment 3: plain sgd, batches of 25, 20 epochs; here on made-up images."""
    source = torch.Generator().manual_seed(0)
    X, y = torch.rand(50, 3072, generator=source) - 0.5, torch.arange(50) % 10
    model = FullyConnectedNet([100] * layers, weight_scale=0.1, seed=0)
    data = {"X_train": X, "y_train": y, "X_val": X, "y_val": y}
    config = {"learning_rate": rate}
    solver = Solver(
        model, data, optim_config=config, batch_size=25, num_epochs=20, seed=0, verbose=False
    )
    solver.train()
    assert solver.best_train_acc == 1.0
