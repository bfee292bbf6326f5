"""Cells as the courses' notebooks have them, in our words: EECS 498/598 A3, CS231n A1 and A2.

Each calls our names the way a notebook does and checks what it would print. What is expected comes
from autograd, torch.optim, torch.nn or numpy.
"""

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional

from fcsweep.gradcheck import compute_numeric_gradient, rel_error
from fcsweep.layers import Dropout, Linear, Linear_ReLU, ReLU
from fcsweep.losses import softmax_loss, svm_loss
from fcsweep.nets import FullyConnectedNet, TwoLayerNet
from fcsweep.optim import adam, rmsprop, sgd, sgd_momentum
from fcsweep.solver import Solver

DOUBLE = {"dtype": torch.float64}


@pytest.fixture(autouse=True)
def reset_seed():
    torch.manual_seed(0)


def test_cell_linear():
    x, w, b = torch.randn(10, 2, 3, **DOUBLE), torch.randn(6, 5, **DOUBLE), torch.randn(5, **DOUBLE)
    dout = torch.randn(10, 5, **DOUBLE)
    out, cache = Linear.forward(x, w, b)
    expected = x.numpy().reshape(10, 6) @ w.numpy() + b.numpy()
    assert rel_error(out, torch.from_numpy(expected)) < 1e-14

    dx, dw, db = Linear.backward(dout, cache)
    dx_num = compute_numeric_gradient(lambda x: Linear.forward(x, w, b)[0], x, dout)
    dw_num = compute_numeric_gradient(lambda w: Linear.forward(x, w, b)[0], w, dout)
    db_num = compute_numeric_gradient(lambda b: Linear.forward(x, w, b)[0], b, dout)
    assert rel_error(dx, dx_num) < 1e-9
    assert rel_error(dw, dw_num) < 1e-9
    assert rel_error(db, db_num) < 1e-9


def test_cell_relu():
    x = torch.randn(3, 4, **DOUBLE)
    out, cache = ReLU.forward(x)
    assert rel_error(out, torch.from_numpy(np.maximum(x.numpy(), 0))) == 0
    dout = torch.randn(3, 4, **DOUBLE)
    dx_num = compute_numeric_gradient(lambda x: ReLU.forward(x)[0], x, dout)
    assert rel_error(ReLU.backward(dout, cache), dx_num) < 1e-9


def test_cell_sandwich():
    x, w, b = (
        torch.randn(2, 3, 4, **DOUBLE),
        torch.randn(12, 10, **DOUBLE),
        torch.randn(10, **DOUBLE),
    )
    dout = torch.randn(2, 10, **DOUBLE)
    _, cache = Linear_ReLU.forward(x, w, b)
    for grad, value in zip(Linear_ReLU.backward(dout, cache), (x, w, b), strict=True):
        numeric = compute_numeric_gradient(lambda _: Linear_ReLU.forward(x, w, b)[0], value, dout)
        assert rel_error(grad, numeric) < 1e-8


@pytest.mark.parametrize(
    "loss_function, witness",
    [
        (softmax_loss, functional.cross_entropy),
        (svm_loss, lambda x, y: functional.multi_margin_loss(x, y) * x.shape[1]),
    ],
)
def test_cell_losses(loss_function, witness):
    num_classes, num_inputs = 6, 20
    x = 0.001 * torch.randn(num_inputs, num_classes, **DOUBLE)
    y = torch.randint(num_classes, size=(num_inputs,))
    loss, dx = loss_function(x, y)
    assert loss.item() == pytest.approx(witness(x, y).item(), rel=1e-12)
    assert rel_error(dx, compute_numeric_gradient(lambda x: loss_function(x, y)[0], x)) < 1e-8


@pytest.mark.parametrize("l2_factor, options", [(1.0, {}), (0.5, {"l2_factor": 0.5})])
def test_cell_two_layer_net(l2_factor, options):
    """EECS 498/598 by default, CS231n with ``l2_factor=0.5``."""
    N, D, H, C = 4, 6, 9, 3
    model = TwoLayerNet(
        input_dim=D, hidden_dim=H, num_classes=C, weight_scale=1e-3, **DOUBLE, **options
    )
    assert model.params["W1"].std().item() == pytest.approx(1e-3, rel=0.3)
    assert not model.params["b1"].any() and not model.params["b2"].any()

    for name, p in model.params.items():
        model.params[name] = torch.randn(p.shape, **DOUBLE)
    X, y = torch.randn(N, D, **DOUBLE), torch.tensor([0, 2, 1, 1])

    W1, b1, W2, b2 = (model.params[name].numpy() for name in ("W1", "b1", "W2", "b2"))
    scores = np.maximum(X.numpy() @ W1 + b1, 0) @ W2 + b2
    assert (model.loss(X) - torch.from_numpy(scores)).abs().sum() < 1e-10

    data_loss = functional.cross_entropy(torch.from_numpy(scores), y).item()
    for reg in (0.0, 0.2, 1.5):
        model.reg = reg
        loss, grads = model.loss(X, y)
        expected = data_loss + l2_factor * reg * ((W1**2).sum() + (W2**2).sum())
        assert loss.item() == pytest.approx(expected, rel=1e-12)
        for name in sorted(grads):
            grad_num = compute_numeric_gradient(lambda _: model.loss(X, y)[0], model.params[name])
            assert rel_error(grads[name], grad_num) < 1e-6, name


@pytest.mark.parametrize("reg", [0, 1.5])
@pytest.mark.parametrize("dropout", [0, 0.2, 0.4])
def test_cell_fully_connected_net(reg, dropout):
    N, D, H1, H2, C = 3, 12, 20, 15, 6
    X, y = torch.randn(N, D, **DOUBLE), torch.randint(C, size=(N,))
    model = FullyConnectedNet(
        [H1, H2],
        input_dim=D,
        num_classes=C,
        reg=reg,
        dropout=dropout,
        weight_scale=5e-2,
        seed=0,
        **DOUBLE,
    )
    loss, grads = model.loss(X, y)
    weights = sum(model.params[name].square().sum().item() for name in ("W1", "W2", "W3"))
    assert loss.item() == pytest.approx(np.log(C) + 0.5 * reg * weights, rel=0.05)
    for name in sorted(grads):
        grad_num = compute_numeric_gradient(lambda _: model.loss(X, y)[0], model.params[name])
        assert rel_error(grads[name], grad_num) < 1e-5, name


@pytest.mark.parametrize("drop", [0.25, 0.4, 0.7])
def test_cell_dropout(drop):
    """EECS's ``p`` drops; CS231n's keeps, and its cells run with ``1 - p``."""
    x = torch.randn(500, 500) + 10
    out, _ = Dropout.forward(x, {"mode": "train", "p": drop})
    out_test, _ = Dropout.forward(x, {"mode": "test", "p": drop})
    assert out.mean().item() == pytest.approx(x.mean().item(), rel=0.02)
    assert (out == 0).float().mean().item() == pytest.approx(drop, abs=0.01)
    assert torch.equal(out_test, x)

    x, dout = torch.randn(10, 10, **DOUBLE) + 10, torch.randn(10, 10, **DOUBLE)
    dropout_param = {"mode": "train", "p": drop, "seed": 0}
    _, cache = Dropout.forward(x, dropout_param)
    dx_num = compute_numeric_gradient(lambda x: Dropout.forward(x, dropout_param)[0], x, dout)
    assert rel_error(Dropout.backward(dout, cache), dx_num) < 1e-8


def drawn(count):
    """Weights, their gradient, and state from earlier steps, which is positive."""
    w, dw, *state = torch.randn(count, 4, 5, **DOUBLE)
    return [w, dw, *(one.abs() for one in state)]


def by_torch(optimizer, w, dw, **state):
    """A step of torch.optim from a given state; the next ``w`` and the next state."""
    w = w.clone().requires_grad_()
    rule = optimizer([w])
    w.grad = dw.clone()
    rule.state[w] = {name: value.clone() for name, value in state.items()}
    rule.step()
    return w.detach(), rule.state[w]


def test_cell_sgd():
    w, dw = drawn(2)
    next_w, _ = sgd(w, dw, {"learning_rate": 1e-3})
    expected, _ = by_torch(lambda p: torch.optim.SGD(p, lr=1e-3), w, dw)
    assert rel_error(next_w, expected) < 1e-15


def test_cell_sgd_momentum():
    w, dw, v = drawn(3)
    config = {"learning_rate": 1e-3, "velocity": v}
    next_w, _ = sgd_momentum(w, dw, config=config)
    velocity = 0.9 * v.numpy() - 1e-3 * dw.numpy()
    assert rel_error(config["velocity"], torch.from_numpy(velocity)) < 1e-8
    assert rel_error(next_w, w + torch.from_numpy(velocity)) < 1e-8


def test_cell_rmsprop():
    w, dw, cache = drawn(3)
    config = {"learning_rate": 1e-2, "cache": cache}
    next_w, _ = rmsprop(w, dw, config=config)
    expected, state = by_torch(
        lambda p: torch.optim.RMSprop(p, lr=1e-2, alpha=0.99, eps=1e-8),
        w,
        dw,
        step=torch.tensor(1.0),
        square_avg=cache,
    )
    assert rel_error(config["cache"], state["square_avg"]) < 1e-8
    assert rel_error(next_w, expected) < 1e-8


def test_cell_adam():
    w, dw, m, v = drawn(4)
    config = {"learning_rate": 1e-2, "m": m, "v": v, "t": 5}
    next_w, _ = adam(w, dw, config=config)
    expected, state = by_torch(
        lambda p: torch.optim.Adam(p, lr=1e-2),
        w,
        dw,
        step=torch.tensor(5.0),
        exp_avg=m,
        exp_avg_sq=v,
    )
    assert rel_error(config["m"], state["exp_avg"]) < 1e-8
    assert rel_error(config["v"], state["exp_avg_sq"]) < 1e-8
    assert config["t"] == 6
    assert rel_error(next_w, expected) < 1e-8


def test_cell_a_loop_that_keeps_config():
    """A training loop by hand, with a config for each parameter."""
    model = TwoLayerNet(input_dim=6, hidden_dim=20, num_classes=3, weight_scale=0.1, seed=0)
    X = torch.randn(60, 6)
    y = (X @ torch.randn(6, 3)).argmax(1)
    optim_configs = {name: {"learning_rate": 1e-2} for name in model.params}
    losses = []
    for _ in range(100):
        loss, grads = model.loss(X, y)
        losses.append(loss.item())
        for name, w in model.params.items():
            model.params[name], _ = adam(w, grads[name], optim_configs[name])
    assert losses[-1] < 0.3 < 1 < losses[0]
    assert optim_configs["W1"]["t"] == 100
    assert (model.loss(X).argmax(1) == y).float().mean() > 0.95


def small_data():
    X = torch.randn(120, 3, 4, 4)
    y = (X.flatten(1) @ torch.randn(48, 5)).argmax(1)
    return {"X_train": X[:80], "y_train": y[:80], "X_val": X[80:], "y_val": y[80:]}


def test_cell_search_that_keeps_the_best_model():
    data, best_net, best_val = small_data(), None, -1.0
    tried = {}
    for learning_rate in (1e-4, 1e-2, 1e-1):
        model = TwoLayerNet(input_dim=48, hidden_dim=30, num_classes=5, weight_scale=1e-2)
        solver = Solver(
            model,
            data,
            optim_config={"learning_rate": learning_rate},
            update_rule="sgd_momentum",
            num_epochs=8,
            batch_size=20,
            verbose=False,
        )
        solver.train()
        tried[learning_rate] = solver.best_val_acc
        if solver.best_val_acc > best_val:
            best_val, best_net = solver.best_val_acc, copy.deepcopy(model)
        for p in model.params.values():
            p.zero_()  # what happens to the model later does not matter
    assert best_val == max(tried.values()) > tried[1e-4]
    assert solver.check_accuracy(data["X_val"], data["y_val"]) != best_val
    predicted = best_net.loss(data["X_val"]).argmax(1)
    assert (predicted == data["y_val"]).double().mean().item() == best_val


@pytest.mark.parametrize("rule", ["sgd", "sgd_momentum", "rmsprop", "adam"])
def test_cell_compare_rules(rule):
    rates = {"sgd": 5e-2, "sgd_momentum": 5e-2, "rmsprop": 1e-3, "adam": 1e-3}
    model = FullyConnectedNet([40, 40], input_dim=48, num_classes=5, weight_scale=0.1, seed=0)
    solver = Solver(
        model,
        small_data(),
        num_epochs=10,
        batch_size=20,
        update_rule=rule,
        optim_config={"learning_rate": rates[rule]},
        verbose=False,
    )
    solver.train()
    assert len(solver.loss_history) == 40
    assert solver.loss_history[-1] < solver.loss_history[0]
    assert len(solver.train_acc_history) == len(solver.val_acc_history) == 10
    assert solver.train_acc_history[-1] > solver.train_acc_history[0]
