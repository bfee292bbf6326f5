"""What people bring from the courses' notebooks: it runs, or one line says what belongs there."""

import copy
import os

import numpy as np
import pytest
import torch
from torch.nn import functional

from fcsweep.gradcheck import compute_numeric_gradient, rel_error
from fcsweep.layers import Dropout, Linear, Linear_ReLU, ReLU
from fcsweep.losses import softmax_loss, svm_loss
from fcsweep.nets import FullyConnectedNet, TwoLayerNet
from fcsweep.optim import RULES, adam
from fcsweep.solver import Solver

OPTIONS = {"num_epochs": 3, "batch_size": 20, "seed": 0, "verbose": False}


def arrays(dtype=np.float32, labels=np.int64):
    """Examples as NumPy has them, with labels that a linear map finds."""
    draw = np.random.default_rng(0)
    X = draw.normal(size=(90, 2, 3, 3)).astype(dtype)
    y = (X.reshape(90, -1) @ draw.normal(size=(18, 4))).argmax(1).astype(labels)
    return {"X_train": X[:60], "y_train": y[:60], "X_val": X[60:], "y_val": y[60:]}


def tensors():
    return {name: torch.from_numpy(value) for name, value in arrays().items()}


def net(**options):
    return FullyConnectedNet([8], **({"input_dim": 18, "num_classes": 4, "seed": 0} | options))


def losses(data=None, model=None, **options):
    solver = Solver(model or net(), data or tensors(), **(OPTIONS | options))
    solver.train()
    return solver.loss_history


class Softmax:
    """A student's linear classifier, in torch."""

    def __init__(self, source=torch):
        self.params = {"W": torch.full((18, 4), 0.01), "b": torch.zeros(4)}
        self.reg = 0.0

    def loss(self, X, y=None):
        rows = X.reshape(len(X), -1)
        scores = rows @ self.params["W"] + self.params["b"]
        if y is None:
            return scores
        p = scores.softmax(1)
        dscores = (p - functional.one_hot(y, 4)) / len(X)
        return functional.cross_entropy(scores, y), {"W": rows.T @ dscores, "b": dscores.sum(0)}


class NumpySoftmax:
    """The same in NumPy."""

    def __init__(self):
        self.params = {"W": np.full((18, 4), 0.01, np.float32), "b": np.zeros(4, np.float32)}

    def loss(self, X, y=None):
        assert isinstance(X, np.ndarray)
        rows = X.reshape(len(X), -1)
        scores = rows.dot(self.params["W"]) + self.params["b"]
        if y is None:
            return scores
        p = np.exp(scores - scores.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        loss = -np.log(p[np.arange(len(y)), y]).mean()
        p[np.arange(len(y)), y] -= 1
        return loss, {"W": rows.T.dot(p / len(y)), "b": (p / len(y)).sum(0)}


class Module(torch.nn.Module):
    """One that leaves its gradients to autograd, and its parameters where its layer has them."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(18, 4)
        torch.nn.init.constant_(self.linear.weight, 0.01)
        torch.nn.init.zeros_(self.linear.bias)
        self.params = dict(self.linear.named_parameters())

    def loss(self, X, y=None):
        scores = self.linear(X.flatten(1))
        if y is None:
            return scores
        loss = functional.cross_entropy(scores, y)
        return loss, dict(
            zip(self.params, torch.autograd.grad(loss, [*self.params.values()]), strict=True)
        )


def momentum(w, dw, config=None):
    """As CS231n's notebooks write it, for NumPy."""
    config = {} if config is None else config
    config.setdefault("momentum", 0.9)
    v = config.get("velocity", np.zeros_like(w))
    v = config["momentum"] * v - config["learning_rate"] * dw
    config["velocity"] = v
    return w + v, config


def plain_sgd(w, dw, config=None):
    """As EECS 498/598's: in place."""
    config.setdefault("learning_rate", 0.05)
    w -= config["learning_rate"] * dw
    return w, config


# NumPy


@pytest.mark.parametrize("labels", [np.uint8, np.int16, np.uint16, np.int32, np.int64])
def test_data_may_be_arrays_of_any_integer_and_float(labels):
    assert losses(arrays(labels=labels)) == losses()
    assert losses(arrays(np.float64, labels)) == pytest.approx(losses())


def test_arrays_that_torch_cannot_look_into():
    given = arrays()
    reversed_twice = np.ascontiguousarray(given["X_train"][::-1])[::-1]
    frozen = given["X_val"].copy()
    frozen.flags.writeable = False
    odd = {"X_train": reversed_twice, "y_train": given["y_train"].astype(">i4"), "X_val": frozen}
    assert losses({**given, **odd}) == losses()
    assert losses({**given, "y_train": given["y_train"].tolist()}) == losses()


@pytest.mark.parametrize(
    "name, value, told",
    [
        ("X_train", None, "X_train is of type NoneType; expected a tensor or a NumPy array"),
        ("X_train", np.array([["a"]] * 60), "X_train is an array of type <U1"),
        ("X_val", [[1.0], [2.0, 3.0]], "X_val is not rectangular"),
        ("y_train", np.ma.masked_less(arrays()["y_train"], 1), "y_train has masked elements"),
    ],
)
def test_what_is_no_numbers_is_refused_by_name(name, value, told):
    with pytest.raises(TypeError, match=told):
        losses({**tensors(), name: value})


@pytest.mark.parametrize("of", [arrays, tensors])
@pytest.mark.parametrize(
    "change, told",
    [
        (lambda y: y[:, None], r"y_train has shape \(60, 1\) .* use y_train.squeeze\(-1\)"),
        (lambda y: np.eye(4)[y], r"y_train has shape \(60, 4\) .* one-hot, use y_train.argmax"),
        (lambda y: y + 1, "y_train holds 4; expected classes from 0 to 3"),
        (lambda y: y * 1.0, r"use y_train.long\(\), or y_train.astype\(int\) of an array"),
    ],
)
def test_labels_of_another_form_are_refused_with_what_to_do(of, change, told):
    for model in (net(), Softmax()):
        with pytest.raises(ValueError, match=told):
            losses({**of(), "y_train": change(of()["y_train"])}, model)


def test_hyperparameters_may_be_numpy_scalars_and_arrays():
    ours = net(reg=0.25, dropout=0.5, weight_scale=0.125, seed=3)
    theirs = FullyConnectedNet(
        np.array([8]),
        input_dim=np.int64(18),
        num_classes=np.int32(4),
        reg=np.float32(0.25),
        dropout=np.float64(0.5),
        weight_scale=np.array(0.125),
        seed=np.int64(3),
    )
    counts = {"num_epochs": np.int64(3), "batch_size": np.int32(20), "seed": np.uint8(0)}
    config = {"optim_config": {"learning_rate": np.float64(0.125)}, "lr_decay": np.float64(0.5)}
    expected = losses(None, ours, optim_config={"learning_rate": 0.125}, lr_decay=0.5)
    assert losses(None, theirs, **counts, **config) == expected

    stack = net(reg=np.array([0.0, 0.25]), seed=np.arange(2))
    assert stack.trials == (2,) and stack.seed == [0, 1] and stack.reg.tolist() == [0, 0.25]


@pytest.mark.parametrize("name", ["num_epochs", "batch_size", "print_acc_every"])
def test_a_count_that_is_no_whole_number_is_refused_by_name(name):
    with pytest.raises(TypeError, match=f"{name} is 10.0; expected a whole number"):
        losses(**{name: 10.0})
    with pytest.raises(TypeError, match="hidden_dims is 100; expected a list"):
        FullyConnectedNet(100)


@pytest.mark.parametrize("dtype", [np.float64, np.dtype("float64"), "float64"])
def test_the_type_may_be_numpy_s(dtype):
    assert net(dtype=dtype).params.dtype == torch.float64
    for other in (int, "text", torch.int32):
        with pytest.raises(TypeError, match="dtype is .*; expected a floating-point type, such as"):
            net(dtype=other)


@pytest.mark.parametrize(
    "options, told",
    [
        ({"optim_config": {"learning_rate": "0.1"}}, "learning_rate is of type str; expected a te"),
        ({"lr_decay": "a"}, "lr_decay is of type str"),
        ({"seed": 1.5}, "seed is 1.5; expected a whole number, one a trial, or None"),
        ({"num_train_samples": 9.5}, "the number of samples is 9.5; expected a whole number"),
        ({"model": FullyConnectedNet}, "model is of type type; expected a model with params"),
    ],
)
def test_a_hyperparameter_that_is_no_number_is_refused_by_name(options, told):
    with pytest.raises(TypeError, match=told):
        losses(**options)
    with pytest.raises(TypeError, match="seed is 1.5"):
        net(seed=1.5)
    with pytest.raises(TypeError, match="reg, dropout or weight_scale is of type str"):
        net(reg="a")


def test_layers_and_losses_of_arrays_return_arrays():
    draw = np.random.default_rng(0)
    x, w, b, dout = (draw.normal(size=s) for s in [(4, 2, 3), (6, 5), (5,), (4, 5)])
    out, cache = Linear.forward(x, w, b)
    np.testing.assert_allclose(out, x.reshape(4, 6) @ w + b, rtol=1e-12)
    for grad, value in zip(Linear.backward(dout, cache), (x, w, b), strict=True):
        numeric = compute_numeric_gradient(lambda _: Linear.forward(x, w, b)[0], value, dout)
        assert isinstance(grad, np.ndarray) and isinstance(numeric, np.ndarray)
        assert rel_error(grad, numeric) < 1e-8
    hidden, cache = Linear_ReLU.forward(x, w, b)
    assert np.array_equal(hidden, np.maximum(out, 0))
    assert all(isinstance(one, np.ndarray) for one in Linear_ReLU.backward(dout, cache))
    assert np.array_equal(ReLU.backward(dout, ReLU.forward(out)[1]), dout * (out > 0))
    dropped, mask = Dropout.forward(x, {"mode": "train", "p": np.float64(0.5), "seed": np.int64(0)})
    assert (dropped == x * mask).all() and set(np.unique(mask)) == {0, 2}

    y = np.array([0, 4, 2, 2], np.uint8)
    for loss_function in (softmax_loss, svm_loss):
        loss, dscores = loss_function(out, y)
        expected = loss_function(torch.from_numpy(out), torch.from_numpy(y))
        assert loss == expected[0].item() and np.array_equal(dscores, expected[1].numpy())


def test_a_net_scores_arrays_as_arrays_and_keeps_its_gradients_with_its_parameters():
    model, data = net(reg=0.1), arrays()
    scores = model.loss(data["X_train"])
    assert np.mean(np.argmax(scores, axis=1) == data["y_train"]) <= 1
    loss, grads = model.loss(data["X_train"], data["y_train"])
    assert isinstance(loss, np.floating)
    assert loss == model.loss(*[*tensors().values()][:2])[0].item()
    for name in model.params:
        model.params[name] -= 0.1 * grads[name]
    model.params["b1"] = np.ones(8)
    assert model.params["b1"].tolist() == [1] * 8


@pytest.mark.parametrize("name", RULES)
def test_a_rule_of_arrays_keeps_its_state_in_arrays(name):
    draw, rule = np.random.default_rng(0), RULES[name]
    w, dw, *state = (draw.random((3, 2)) for _ in range(2 + len(rule.state)))
    of_arrays = {"learning_rate": np.float64(0.1), **dict(zip(rule.state, state, strict=True))}
    of_tensors = {"learning_rate": 0.1, **{k: torch.tensor(of_arrays[k]) for k in rule.state}}
    for _ in range(2):
        next_w, of_arrays = rule(w, dw, of_arrays)
        expected, of_tensors = rule(torch.from_numpy(w), torch.from_numpy(dw), of_tensors)
        assert isinstance(next_w, np.ndarray) and np.array_equal(next_w, expected.numpy())
    for kept in rule.state:
        assert isinstance(of_arrays[kept], np.ndarray)
        assert (of_arrays[kept] == of_tensors[kept].numpy()).all()
    with pytest.raises(TypeError, match="w is of type NoneType"):
        adam(None, dw)


# a model of one's own


@pytest.mark.parametrize("model", [Softmax, NumpySoftmax, Module])
def test_a_model_of_ones_own_trains(model):
    given, data = model(), tensors()
    solver = Solver(given, data, update_rule="adam", **OPTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "manual_seed", None)  # nothing is drawn
        solver.train()
    expected = losses(model=Softmax(), update_rule="adam")
    assert solver.loss_history == pytest.approx(expected, rel=1e-5)
    assert len(solver.val_acc_history) == 3 and solver.best_val_acc == max(solver.val_acc_history)
    assert solver.check_accuracy(data["X_val"], data["y_val"]) == solver.best_val_acc
    assert solver.model is given and [*solver.best_params] == [*given.params]
    for name, best in solver.best_params.items():
        assert isinstance(best, np.ndarray) == (model is NumpySoftmax)
        assert (best == given.params[name]).all()


def test_a_module_is_trained_where_its_layers_are():
    model = Module()
    losses(model=model)
    assert model.linear.weight is model.params["weight"]
    assert (model.linear.weight != 0.01).any()


def test_the_rule_updates_a_model_of_ones_own_step_by_step():
    """Against the loop of the courses' Solvers, with all rows in each minibatch."""
    data, config = tensors(), {"learning_rate": 0.1, "momentum": 0.8}
    model, by_hand = Softmax(), Softmax()
    options = OPTIONS | {"batch_size": 60, "num_epochs": 4}
    Solver(model, data, update_rule="sgd_momentum", optim_config=config, **options).train(
        return_best_params=False
    )
    configs = {name: {**config} for name in by_hand.params}
    for _ in range(4):
        grads = by_hand.loss(data["X_train"], data["y_train"])[1]
        for name, w in by_hand.params.items():
            by_hand.params[name] = RULES["sgd_momentum"](w, grads[name], configs[name])[0]
    for name, p in model.params.items():
        torch.testing.assert_close(p, by_hand.params[name])


def test_a_model_may_put_values_of_its_own_into_params():
    class Clipped(Softmax):
        def loss(self, X, y=None):
            self.params["W"] = self.params["W"].clip(-0.02, 0.02)
            return super().loss(X, y)

    model = Clipped()
    losses(model=model)
    assert 0.01 < model.params["W"].abs().max() < 0.1


def test_a_copy_of_a_solver_has_a_model_of_its_own():
    solver = Solver(NumpySoftmax(), arrays(), **OPTIONS)
    next(solver.epochs())
    other = copy.deepcopy(solver)
    before = solver.model.params["W"].copy()
    other.train()
    assert (solver.model.params["W"] == before).all()
    solver.train()
    assert other.loss_history == solver.loss_history
    assert (other.model.params["W"] == solver.model.params["W"]).all()


@pytest.mark.parametrize(
    "part, value, error, told",
    [
        ("params", {}, TypeError, "model is of type Broken; expected a model with params"),
        ("params", {"W": "x"}, TypeError, r"params\['W'\] is of type str"),
        ("params", {"W": torch.ones(2).long()}, TypeError, r"params\['W'\] is of type torch.int64"),
        ("scores", 3.0, ValueError, r"loss\(X\) of Broken has shape \(\); expected scores"),
        ("both", torch.ones(1), TypeError, r"loss\(X, y\) of Broken returned Tensor"),
        ("both", (1.0, {"W": 0}), ValueError, r"no gradient for \['b'\]; it has \['W'\]"),
        ("both", (1.0, {"W": np.ones(3), "b": np.ones(4)}), ValueError, "W is "),
    ],
)
def test_a_model_that_does_not_do_is_refused_by_what_it_lacks(part, value, error, told):
    class Broken(Softmax):
        def loss(self, X, y=None):
            if part == ("scores" if y is None else "both"):
                return value
            return super().loss(X, y)

    model = Broken()
    if part == "params":
        model.params = value
    with pytest.raises(error, match=told):
        losses(model=model)


def test_params_that_cannot_be_set_are_refused():
    class Copies(Softmax):
        values = {"W": torch.ones(18, 4), "b": torch.ones(4)}
        params = property(lambda self: dict(self.values), lambda self, values: None)

    with pytest.raises(TypeError, match="params of Copies is a new dict each time"):
        losses(model=Copies())


@pytest.mark.parametrize("dropout", [0, 0.25])
def test_a_net_with_a_loss_of_its_own_is_trained_by_it(dropout):
    """Not by what ``prepare`` knows of the net that it extends."""

    class Doubled(FullyConnectedNet):
        def loss(self, X, y=None, step=0):  # pyright: ignore[reportIncompatibleMethodOverride]
            if y is None:
                return super().loss(X)
            loss, grads = super().loss(X, y, step)
            return 2 * loss, {name: 2 * grad for name, grad in grads.items()}

    model = Doubled([8], 18, 4, seed=0, dropout=dropout)
    doubled = losses(model=model, optim_config={"learning_rate": 0.05})
    single = losses(model=net(dropout=dropout), optim_config={"learning_rate": 0.1})
    assert doubled == pytest.approx([2 * loss for loss in single], rel=1e-5)


def test_a_model_without_params_is_refused():
    with pytest.raises(TypeError, match="model is of type Linear; expected a model with params"):
        losses(model=torch.nn.Linear(18, 4))


# a rule of one's own


@pytest.mark.parametrize("model, data", [(NumpySoftmax, tensors), (net, arrays)])
def test_a_function_of_arrays_updates_as_the_rule_of_its_name(model, data):
    options = {"optim_config": {"learning_rate": 0.1}, "lr_decay": 0.5}
    by_function = losses(data(), model(), update_rule=momentum, **options)
    assert by_function == pytest.approx(
        losses(data(), model(), update_rule="sgd_momentum", **options), rel=1e-5
    )


def test_a_function_of_tensors_may_work_in_place_and_needs_no_constants():
    options = {"optim_config": {"learning_rate": 0.05}, "lr_decay": 0.9}
    expected = losses(update_rule="sgd", **options)
    assert losses(update_rule=plain_sgd, **options) == pytest.approx(expected, rel=1e-5)
    assert losses(update_rule=plain_sgd, lr_decay=0.9) == pytest.approx(expected, rel=1e-5)
    without = losses(update_rule=lambda w, dw, config: (w - 0.05 * dw, None))
    assert without == pytest.approx(losses(optim_config={"learning_rate": 0.05}), rel=1e-5)


def test_what_a_function_keeps_is_not_written_to():
    seen = []

    def keeping(w, dw, config):
        seen.append((w, w.clone(), dw, dw.clone()))
        return w - 0.1 * dw, config

    losses(update_rule=keeping)
    assert len(seen) == 4 * 9
    assert all(torch.equal(w, w0) and torch.equal(dw, dw0) for w, w0, dw, dw0 in seen)


@pytest.mark.parametrize(
    "rule, options, error, told",
    [
        (lambda w, dw, c: w, {}, TypeError, r"update_rule returned Tensor; expected \(next_w, c"),
        (lambda w, dw, c: (w[0], c), {}, ValueError, r"W1 is \(8,\); expected \(18, 8\)"),
        (
            lambda w, dw, c: (w, c),
            {"lr_decay": 0.9},
            ValueError,
            "by 0.9, but the config of",
        ),
        (momentum, {}, TypeError, "update_rule: .*w and dw are tensors, as the data are"),
        (3, {}, ValueError, r"update_rule is 3; expected one of .* or a rule \(w, dw, config\)"),
    ],
)
def test_a_rule_that_does_not_do_is_refused_by_what_it_did(rule, options, error, told):
    config = {"learning_rate": 0.1} if rule is momentum else {}
    with pytest.raises(error, match=told):
        losses(update_rule=rule, optim_config=config, **options)


def test_a_function_updates_each_trial_of_a_stack_as_it_would_alone():
    rates, decays = [0.01, 1e30, 0.05], [1.0, 1.0, 0.5]
    stack = Solver(
        net(reg=[0, 0, 0.1], seed=[0, 1, 2]),
        arrays(),
        update_rule=momentum,
        optim_config={"learning_rate": torch.tensor(rates), "momentum": 0.9},
        lr_decay=torch.tensor(decays),
        **OPTIONS | {"seed": [0, 1, 2]},
    )
    histories = [[], [], []]
    places = [0, 1, 2]
    for epoch in stack.epochs():
        for place, losses in zip(places, epoch.losses.T.tolist(), strict=True):
            histories[place] += losses
        if len(places) == 3:  # the diverged trial leaves
            assert epoch.diverged_at[1] is not None
            places = [0, 2]
            stack.keep(places)
    for place in places:
        alone = Solver(
            net(reg=[0, 0, 0.1][place], seed=place),
            arrays(),
            update_rule=momentum,
            optim_config={"learning_rate": torch.tensor(rates)[place].item(), "momentum": 0.9},
            lr_decay=decays[place],
            **OPTIONS | {"seed": place},
        )
        alone.train()
        assert alone.loss_history == histories[place]
        assert stack._updates.learning_rate[places.index(place)] == alone._updates.learning_rate


# what the courses' Solvers and nets are given


def test_the_keywords_of_the_solvers(tmp_path, capsys):
    solver = Solver(
        net(),
        arrays(),
        device="cpu",
        print_acc_every=2,
        checkpoint_name=tmp_path / "best",
        **(OPTIONS | {"verbose": True, "num_epochs": 4, "print_every": 100}),
    )
    solver.train()
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("(Epoch")]
    assert [line.partition(")")[0] for line in said] == ["(Epoch 2 / 4", "(Epoch 4 / 4"]
    assert sorted(os.listdir(tmp_path)) == [f"best_epoch_{n}.pth" for n in (1, 2, 3, 4)]
    saved = torch.load(tmp_path / "best_epoch_3.pth", weights_only=True)
    assert saved["epoch"] == 3 and saved["val_acc_history"] == solver.val_acc_history[:3]
    other = net(seed=1)
    other.load(tmp_path / f"best_epoch_{solver.best_epoch}.pth")
    assert torch.equal(other.params["W1"], solver.best_params["W1"])
    assert solver.check_accuracy(solver.X_val, solver.y_val) == solver.best_val_acc


def test_a_checkpoint_of_a_model_of_ones_own(tmp_path):
    model = NumpySoftmax()
    losses(model=model, num_epochs=1, checkpoint_name=tmp_path / "mine")
    saved = torch.load(tmp_path / "mine_epoch_1.pth", weights_only=True)
    assert (saved["params"]["W"].numpy() == model.params["W"]).all()


def test_training_ends_at_the_time_limit_with_an_evaluation():
    solver = Solver(net(), tensors(), **(OPTIONS | {"num_epochs": 1000, "eval_every": 1000}))
    solver.train(time_limit=0)
    assert (solver.step, solver.epoch, len(solver.loss_history)) == (1, 1, 1)
    assert len(solver.val_acc_history) == 1 == solver.best_epoch
    solver.train(0.05, return_best_params=False)
    assert 1 < solver.epoch < 1000
    with pytest.raises(TypeError, match="time_limit is False; expected seconds"):
        solver.train(False)


@pytest.mark.parametrize(
    "options, error, told",
    [
        ({"device": "cuda"}, ValueError, "device is 'cuda', but the parameters .* lie on cpu"),
        ({"learning_rate": 1}, TypeError, "no argument learning_rate: give optim_config="),
        ({"reg": 0.1}, TypeError, "Solver has no argument reg: give it to the net"),
        ({"batch": 3}, TypeError, r"Solver has no argument batch \(given 3\)"),
        ({"model": net(reg=[0, 1]), "checkpoint_name": "x"}, ValueError, "checkpoint_name is 'x'"),
        ({"data": {}}, ValueError, "data has no X_train; expected X_train, y_train, X_val"),
    ],
)
def test_what_the_solver_does_not_have(options, error, told):
    with pytest.raises(error, match=told):
        Solver(**({"model": net(), "data": tensors()} | options))


@pytest.mark.parametrize(
    "options, told",
    [
        ({"use_batchnorm": True}, 'use_batchnorm: give normalization="batch"'),
        ({"dropout_keep_ratio": 0.8}, "give dropout=1 - the keep ratio"),
        ({"depth": 3}, r"FullyConnectedNet has no argument depth \(given 3\)"),
    ],
)
def test_what_the_nets_do_not_have(options, told):
    with pytest.raises(TypeError, match=told):
        net(**options)
    with pytest.raises(TypeError, match="TwoLayerNet has no argument hidden_size: hidden_dim"):
        TwoLayerNet(input_dim=4, hidden_size=3)


def test_what_is_left_out_by_its_value():
    given = net(normalization=None, use_batchnorm=False, dropout_keep_ratio=1)
    assert losses(model=given) == losses()


def test_a_dropout_of_one_says_which_probability_is_meant():
    told = "in .0, 1., that of dropping a unit, as in EECS 498/598: where CS231n gives that of keep"
    with pytest.raises(ValueError, match=f"dropout is 1; .* {told}"):
        net(dropout=1)
    with pytest.raises(ValueError, match=f"dropout p is 1.0; .* {told}"):
        Dropout.forward(torch.ones(2, 2), {"mode": "train", "p": 1})


# .pth


def checkpoint(**changes):
    """As a notebook of EECS 498/598 writes it."""
    params = {name: p.clone() for name, p in net(seed=5).params.items()}
    return {"reg": 0.25, "dtype": torch.float32, "params": params, "num_layers": 2} | changes


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pth_of_the_course_is_read(tmp_path, zipped):
    param = {"use_dropout": True, "dropout_param": {"mode": "train", "p": 0.25, "seed": 0}}
    path = tmp_path / "best_net.pth"
    torch.save(checkpoint(**param), path, _use_new_zipfile_serialization=zipped)
    model = FullyConnectedNet([100], dtype=torch.float64)  # other sizes do not matter there
    model.load(path, dtype=torch.float32, device="cpu")
    assert (model.reg, model.dropout, model.dtype) == (0.25, 0.25, torch.float32)
    assert torch.equal(model.params["W1"], net(seed=5).params["W1"])
    solver = Solver(model, arrays(), **OPTIONS)
    model.load(path)
    solver.train()
    assert len(solver.loss_history) == 9


def test_a_net_is_written_as_the_course_does(tmp_path):
    model = TwoLayerNet(18, 8, 4, reg=0.125, seed=1, weight_scale=0.1)
    model.save(tmp_path / "best.pth")
    saved = torch.load(tmp_path / "best.pth", weights_only=True)
    assert (saved["reg"], saved["num_layers"], saved["use_dropout"]) == (0.125, 2, False)
    assert [*saved["params"]] == ["W1", "b1", "W2", "b2"]
    other = TwoLayerNet(18, 8, 4)
    other.load(tmp_path / "best.pth")
    X = tensors()["X_val"]
    assert torch.equal(other.loss(X), model.loss(X)) and other.reg == 0.125

    model.save(tmp_path / "best.safetensors")
    other.load(tmp_path / "best.safetensors", dtype=torch.float64)
    assert other.params["W1"].dtype == torch.float64
    with pytest.raises(ValueError, match="a stack of 2 nets, and a .pth holds one"):
        net(reg=[0, 1]).save(tmp_path / "stack.pth")


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("/tmp/made-by-a-pickle",)


@pytest.mark.parametrize(
    "content, told",
    [
        (b"", "cannot be read"),
        (b"PK\x03\x04 is cut", r"cannot be read \(\w+\)"),
        (b"\x80\x02 is cut", r"cannot be read \(\w+\)"),
        ({"params": Hostile()}, "holds posix.mkdir, which could execute something, and is not"),
        ([1, 2], "has no dict of tensors named params; expected a file that save wrote"),
        ({"model": 1}, "has no dict of tensors named params"),
        (checkpoint(params={"W1": torch.ones(2, 3)}), r"holds \{'W1': \(2, 3\)\}; expected W1, b1"),
        (checkpoint(params={}), "expected W1, b1, W2"),
    ],
)
def test_a_file_that_is_damaged_or_unsafe_is_refused_in_one_line(tmp_path, content, told):
    path = tmp_path / "best.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    model = net()
    with pytest.raises(ValueError, match=told) as refused:
        model.load(path)
    assert "\n" not in str(refused.value) and str(path) in str(refused.value)
    assert not os.path.exists("/tmp/made-by-a-pickle")
    assert torch.equal(model.params["W1"], net().params["W1"])


def test_a_solver_whose_model_was_loaded_with_other_sizes_says_so(tmp_path):
    FullyConnectedNet([5], input_dim=18, num_classes=4).save(tmp_path / "five.pth")
    model = net()
    solver = Solver(model, tensors(), **OPTIONS)
    model.load(tmp_path / "five.pth")
    assert 0 <= solver.check_accuracy(solver.X_train, solver.y_train) <= 1
    with pytest.raises(ValueError, match="parameters of another form now; make it a new Solver"):
        solver.train()
