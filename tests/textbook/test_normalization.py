"""Normalizations: running averages, test mode, a lone row, and who leaves the averages alone."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from fcsweep.nets import FullyConnectedNet, TwoLayerNet
from fcsweep.normalization import NORMALIZATIONS, BatchNorm, LayerNorm
from fcsweep.solver import Solver

DOUBLE = torch.float64


def rand(*shape, seed=0):
    source = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=source, dtype=DOUBLE)


def data(rows=24):
    X, y = rand(rows, 6, seed=1) * 3 + 1, torch.arange(rows) % 3
    return {"X_train": X, "y_train": y, "X_val": X, "y_val": y}


def trained(model, **options):
    given = {"num_epochs": 2, "batch_size": 8, "seed": 0, "verbose": False}
    solver = Solver(model, data(), **(given | options))
    solver.train(return_best_params=False)
    return solver


def batch_net(**options):
    return FullyConnectedNet([5, 4], 6, 3, normalization="batch", dtype=DOUBLE, **options)


def test_a_minibatch_gets_mean_beta_and_deviation_gamma():
    x, gamma, beta = 4 * rand(3, 50, 5) + 2, rand(3, 5, seed=1).abs(), rand(3, 5, seed=2)
    out, _ = BatchNorm.forward(x, gamma, beta, {"mode": "train"})
    torch.testing.assert_close(out.mean(-2), beta)
    torch.testing.assert_close(out.std(-2, correction=0), gamma, rtol=1e-5, atol=0)
    ones, zeros = torch.ones(3, 5, dtype=DOUBLE), torch.zeros(3, 5, dtype=DOUBLE)
    out, _ = LayerNorm.forward(x, ones, zeros, {"mode": "test"})
    torch.testing.assert_close(out.mean(-1), torch.zeros(3, 50, dtype=DOUBLE))


def test_running_averages_and_what_test_mode_makes_of_them():
    gamma, beta, param = rand(5, seed=1), rand(5, seed=2), {"mode": "train", "momentum": 0.7}
    mean, var = torch.zeros(5, dtype=DOUBLE), torch.zeros(5, dtype=DOUBLE)
    n, x = 12, rand(0)
    for step in range(4):
        x = 2 * rand(n, 5, seed=step) + step
        BatchNorm.forward(x, gamma, beta, param)
        functional.batch_norm(x, mean, var, training=True, momentum=0.3)
    torch.testing.assert_close(param["running_mean"], mean)
    torch.testing.assert_close(param["running_var"], var * (n - 1) / n)  # torch's is unbiased
    var *= (n - 1) / n
    out, _ = BatchNorm.forward(x, gamma, beta, param | {"mode": "test"})
    torch.testing.assert_close(out, functional.batch_norm(x, mean, var, gamma, beta))
    torch.testing.assert_close(param["running_mean"], mean)


def test_a_lone_row_is_its_beta_and_leaves_the_averages():
    x, gamma, beta = rand(1, 5), rand(5, seed=1), rand(5, seed=2)
    param = {"mode": "train", "running_mean": rand(5, seed=3), "running_var": rand(5, seed=4) ** 2}
    before = {name: value.clone() for name, value in param.items() if name != "mode"}
    out, cache = BatchNorm.forward(x, gamma, beta, param)
    assert torch.equal(out, beta[None])
    assert all(torch.equal(param[name], value) for name, value in before.items())
    dx, dgamma, dbeta = BatchNorm.backward(x, cache)
    assert not dx.any() and not dgamma.any() and torch.equal(dbeta, x[0])


@pytest.mark.parametrize("normalization", [BatchNorm, LayerNorm])
def test_it_takes_arrays_and_refuses_another_mode(normalization):
    x, gamma, beta = (part.numpy() for part in (rand(4, 5), rand(5, seed=1), rand(5, seed=2)))
    out, cache = normalization.forward(x, gamma, beta, {"mode": "train"})
    assert all(isinstance(one, np.ndarray) for one in (out, *normalization.backward(out, cache)))
    with pytest.raises(ValueError, match="mode is 'eval'; expected 'train' or 'test'"):
        normalization.forward(x, gamma, beta, {"mode": "eval"})


def test_the_names_of_the_course_and_of_the_parameters():
    for given, name in ((None, "none"), ("batchnorm", "batch"), ("layernorm", "layer")):
        assert TwoLayerNet(6, 5, 3, normalization=given).normalization == name
    of_layer = ["W1", "b1", "gamma1", "beta1"], ["W2", "b2"], ["running_mean1", "running_var1"]
    for name, parts in (("none", ()), ("layer", of_layer[:2]), ("batch", of_layer)):
        model = TwoLayerNet(6, 5, 3, normalization=name)
        assert [*model.params] == sum(parts, []) or name == "none"
        assert all((p == 1).all() for key, p in model.params.items() if key.startswith("gamma"))
        rest = [p for key, p in model.params.items() if key[0] not in "Wg"]
        assert not any(p.any() for p in rest)


def test_no_rule_and_no_l2_term_touches_the_averages_nor_l2_the_scales():
    """One step on one minibatch leaves a tenth of its statistics, whatever the rule."""
    X = data()["X_train"]
    for options in (
        {"update_rule": "sgd"},
        {"update_rule": "adamw", "optim_config": {"weight_decay": 0.5, "learning_rate": 0.1}},
        {"update_rule": lambda w, dw, config: (w * 0.5 - dw, config), "clip_norm": 0.1},
    ):
        model = batch_net(seed=1, reg=0.5)
        first = X @ model.params["W1"]
        trained(model, num_epochs=1, batch_size=24, **options)
        torch.testing.assert_close(model.params["running_mean1"], 0.1 * first.mean(0))
        torch.testing.assert_close(model.params["running_var1"], 0.1 * first.var(0, correction=0))
        assert not torch.equal(model.params["beta1"], torch.zeros(5, dtype=DOUBLE))
    plain, decayed = batch_net(seed=1), batch_net(seed=1, reg=0.5)
    one, other = (model.loss(X, data()["y_train"])[1] for model in (plain, decayed))
    assert all(torch.equal(one[name], other[name]) for name in one if name[0] != "W")
    assert not torch.equal(one["W1"], other["W1"])


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_save_and_load_keep_the_averages(tmp_path, normalization, ending):
    model = FullyConnectedNet([5, 4], 6, 3, normalization=normalization, seed=1)
    trained(model)
    model.save(tmp_path / f"net.{ending}")
    other = FullyConnectedNet([5, 4], 6, 3, normalization=normalization, seed=2)
    other.load(tmp_path / f"net.{ending}")
    X = data()["X_val"]
    assert torch.equal(model.loss(X), other.loss(X))
    with pytest.raises(ValueError, match="expected"):
        FullyConnectedNet([5, 4], 6, 3).load(tmp_path / f"net.{ending}")


def test_the_best_parameters_are_those_with_the_averages_of_their_epoch():
    model = batch_net(seed=[1, 2])
    solver = Solver(model, data(), num_epochs=6, batch_size=8, seed=0, verbose=False)
    scored = {}
    for epoch in solver.epochs():
        scored[epoch.number] = model.loss(data()["X_val"][None]).clone()
    model.params.assign(solver.best_params)
    scores = model.loss(data()["X_val"][None])
    for k, number in enumerate(solver.best_epoch):
        assert torch.equal(scores[k], scored[number][k])


@pytest.mark.parametrize("rows", [24, 25])
@pytest.mark.parametrize("normalization", [name for name in NORMALIZATIONS if name != "none"])
def test_trials_that_stay_go_on_and_resume_to_the_same_bits(normalization, rows):
    """With 25 rows the last minibatch of an epoch is a lone row."""

    def solver(trials):
        model = FullyConnectedNet(
            [5, 4], 6, 3, normalization=normalization, reg=[0.1 * k for k in trials], seed=1
        )
        given = {"num_epochs": 4, "batch_size": 8, "seed": 0, "verbose": False}
        return Solver(model, data(rows), update_rule="adam", **given)

    whole, stack, alone = solver([0, 1, 2]), solver([0, 1, 2]), solver([2])
    whole.train(return_best_params=False)
    alone.train(return_best_params=False)
    epochs = stack.epochs()
    next(epochs), next(epochs)
    stack.keep([2])
    resumed = solver([2])
    resumed.restore(stack.state(), stack.epoch, stack.step)
    for other in (stack, resumed):
        other.train(return_best_params=False)
        for name, p in whole.model.params.items():
            assert torch.equal(p[2], other.model.params[name][0]), name
            assert torch.equal(p[2], alone.model.params[name][0]), name
            assert torch.equal(whole.best_params[name][2], other.best_params[name][0]), name
