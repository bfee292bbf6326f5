"""Constants given as Python numbers are never rounded to float32 on their way to a float64 net."""

import ast
from pathlib import Path

import pytest
import torch

from fcsweep.gradcheck import compute_numeric_gradient
from fcsweep.layers import Dropout
from fcsweep.nets import FullyConnectedNet, TwoLayerNet
from fcsweep.optim import RULES
from fcsweep.solver import Solver
from fcsweep.updates import Updates

DOUBLE = torch.float64
MODULES = sorted((Path(__file__).parents[2] / "fcsweep").rglob("*.py"))
NUMBERS = {"torch.as_tensor", "torch.tensor", "torch.full", "torch.scalar_tensor"}
"""What makes float32 of a Python number unless it is told otherwise."""


def rand(*shape, seed=0):
    source = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=source, dtype=DOUBLE)


def test_whoever_makes_a_tensor_of_a_number_says_its_type():
    nodes = [node for path in MODULES for node in ast.walk(ast.parse(path.read_text()))]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    calls = [call for call in calls if ast.unparse(call.func) in NUMBERS]
    assert calls
    for call in calls:
        assert "dtype" in {option.arg for option in call.keywords}, ast.unparse(call)


@pytest.mark.parametrize("p", [0.1, 0.4, 0.7])
def test_dropout_scales_by_the_number_that_is_given(p):
    x = rand(40, 50)
    out, mask = Dropout.forward(x, {"mode": "train", "p": p, "seed": 3})
    assert set(mask.unique().tolist()) == {0.0, 1 / (1 - p)}
    assert torch.equal(out, torch.where(out != 0, x * (1 / (1 - p)), 0))


def test_dropout_of_each_trial():
    p = [0.1, 0.4]
    net = FullyConnectedNet([50], 8, 3, dropout=p, weight_scale=1.0, seed=[1, 2], dtype=DOUBLE)
    assert net.dropout.tolist() == p
    for hidden, rate in zip(net._mask(0, torch.ones(2, 20, 50, dtype=DOUBLE), 1), p, strict=True):
        assert set(hidden.unique().tolist()) == {0.0, 1 / (1 - rate)}


@pytest.mark.parametrize("value", [0.1, [0.1, 0.7]], ids=str)
def test_the_numbers_of_a_net(value):
    net = FullyConnectedNet([7], 8, 3, reg=value, weight_scale=value, seed=5, dtype=DOUBLE)
    each = value if isinstance(value, list) else [value]
    assert net.reg.reshape(-1).tolist() == each
    for weights, scale in zip(net.params["W1"].reshape(-1, 8, 7), each, strict=True):
        assert torch.equal(weights, rand(8, 7, seed=5) * scale)


def test_the_l2_term():
    net = TwoLayerNet(8, 7, 3, reg=0.7, l2_factor=0.3, weight_scale=0.1, seed=1, dtype=DOUBLE)
    X, y = rand(5, 8), torch.arange(5) % 3
    loss, grads = net.loss(X, y)
    net.reg = 0.0
    plain, plain_grads = net.loss(X, y)
    squares = sum(net.params[name].square().sum().item() for name in ("W1", "W2"))
    assert loss.item() - plain.item() == pytest.approx(0.3 * 0.7 * squares, rel=1e-13)
    expected = plain_grads["W2"] + 2 * 0.3 * 0.7 * net.params["W2"]
    torch.testing.assert_close(grads["W2"], expected, rtol=1e-14, atol=0)


def one_step(name, w, dw, c):
    """A first step as the papers write it, in Python's float64."""
    rate = c["learning_rate"]
    if name == "rmsprop":
        return w - rate * dw / (((1 - c["decay_rate"]) * dw**2) ** 0.5 + c["epsilon"])
    if name == "nesterov":
        return w - rate * dw - c["momentum"] * rate * dw
    if name == "adamw":
        w = w * (1 - rate * c["weight_decay"])
    if name in ("adam", "adamw"):
        m_hat = (1 - c["beta1"]) * dw / (1 - c["beta1"])
        v_hat = (1 - c["beta2"]) * dw**2 / (1 - c["beta2"])
        return w - rate * m_hat / (v_hat**0.5 + c["epsilon"])
    return w - rate * dw


@pytest.mark.parametrize("name", RULES)
def test_the_constants_of_a_rule(name):
    rule, w, dw = RULES[name], rand(4, 3), rand(4, 3, seed=1)
    numbers = {key: value * 0.7 for key, value in rule.constants.items()}
    tensors = {key: torch.tensor(value, dtype=DOUBLE) for key, value in numbers.items()}
    first, config = rule(w, dw, dict(numbers))
    assert torch.equal(first, rule(w, dw, tensors)[0])
    assert torch.equal(rule(first, dw, config)[0], rule(first, dw, tensors)[0])
    expected = [
        one_step(name, *pair, numbers)
        for pair in zip(w.flatten().tolist(), dw.flatten().tolist(), strict=True)
    ]
    expected = torch.tensor(expected, dtype=DOUBLE).reshape(4, 3)
    torch.testing.assert_close(first, expected, rtol=1e-14, atol=1e-15)


def test_the_constants_of_a_solver():
    net = TwoLayerNet(8, 7, 3, seed=1, dtype=DOUBLE)
    X, y = rand(5, 8), torch.arange(5) % 3
    data = {"X_train": X, "y_train": y, "X_val": X, "y_val": y}
    given = {"learning_rate": 0.1, "momentum": 0.7}
    options = {"optim_config": given, "lr_decay": 0.9, "num_epochs": 2, "batch_size": 5}
    solver = Solver(net, data, update_rule="momentum", verbose=False, **options)
    assert isinstance(solver._updates, Updates)
    for config in solver._updates.configs(net.params, 0):
        assert {key: config[key].item() for key in given} == given
    assert [epoch.learning_rate for epoch in solver.epochs()] == [0.1, 0.1 * 0.9]


def test_the_step_of_a_numeric_gradient():
    seen, x = [], torch.tensor([0.3], dtype=DOUBLE)
    compute_numeric_gradient(lambda x: seen.append(x.item()) or x.clone(), x, h=1e-3)
    assert seen == [0.3 + 1e-3, 0.3 - 1e-3]
