"""Each backward is the derivative: by random direction in float64, and as autograd has it."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from fcsweep.layers import GELU, Dropout, LeakyReLU, Linear, Linear_ReLU, ReLU, Tanh
from fcsweep.normalization import BatchNorm, LayerNorm

TRIALS = pytest.mark.parametrize("trials", [(), (1,), (3,), (2, 3)], ids=str)


def rand(*shape: int, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=source, dtype=torch.float64)


class FixedDropout:
    """Dropout as an operation of ``x`` alone."""

    param = {"mode": "train", "p": 0.4, "seed": 5}
    backward = Dropout.backward

    @staticmethod
    def forward(x):
        return Dropout.forward(x, FixedDropout.param)


class Training:
    """A normalization of a minibatch, as an operation of ``x``, ``gamma`` and ``beta``."""

    def __init__(self, normalization):
        self.normalization, self.backward = normalization, normalization.backward

    def forward(self, x, gamma, beta):
        return self.normalization.forward(x, gamma, beta, {"mode": "train"})


def of_each_trial(function):
    """A function of ``(n, h)`` and two ``(h,)`` for each trial of a stack."""

    def each(x, gamma, beta):
        parts = x.flatten(0, -3) if x.ndim > 2 else x[None], gamma, beta
        flat = [
            part.reshape(-1, *part.shape[part.ndim - at :])
            for part, at in zip(parts, (2, 1, 1), strict=True)
        ]
        outs = [function(*one) for one in zip(*flat, strict=True)]
        return torch.stack(outs).reshape(x.shape)

    return each


class WrongSign:
    """A wrong derivative, off by a thousandth."""

    @staticmethod
    def forward(x):
        return x.square(), x

    @staticmethod
    def backward(dout, cache):
        return 2.002 * cache * dout


OPS = {
    "linear": (Linear, lambda t: (rand(*t, 4, 2, 3), rand(*t, 6, 5, seed=1), rand(*t, 5, seed=2))),
    "linear_relu": (
        Linear_ReLU,
        lambda t: (rand(*t, 4, 6), rand(*t, 6, 5, seed=1), rand(*t, 5, seed=2)),
    ),
    "relu": (ReLU, lambda t: (rand(*t, 4, 5),)),
    "leaky_relu": (LeakyReLU, lambda t: (rand(*t, 4, 5),)),
    "tanh": (Tanh, lambda t: (rand(*t, 4, 5),)),
    "gelu": (GELU, lambda t: (3 * rand(*t, 4, 5),)),
    "dropout": (FixedDropout, lambda t: (rand(*t, 4, 5),)),
    "batch_norm": (
        Training(BatchNorm),
        lambda t: (2 * rand(*t, 7, 5) + 1, rand(*t, 5, seed=1), rand(*t, 5, seed=2)),
    ),
    "layer_norm": (
        Training(LayerNorm),
        lambda t: (2 * rand(*t, 7, 5) + 1, rand(*t, 5, seed=1), rand(*t, 5, seed=2)),
    ),
}


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)


def check_backward(op, *args, eps=1e-6, rtol=1e-6):
    """<dy, J dx> by central difference along a random direction equals <backward(dy), dx>."""
    y, cache = op.forward(*args)
    dy = rand(*y.shape, seed=10)
    directions = [rand(*a.shape, seed=11 + i) for i, a in enumerate(args)]
    plus, _ = op.forward(*(a + eps * d for a, d in zip(args, directions, strict=True)))
    minus, _ = op.forward(*(a - eps * d for a, d in zip(args, directions, strict=True)))
    numeric = (dy * (plus - minus) / (2 * eps)).sum()
    grads = as_tuple(op.backward(dy, cache))
    assert [g.shape for g in grads] == [a.shape for a in args]
    exact = sum((g * d).sum() for g, d in zip(grads, directions, strict=True))
    torch.testing.assert_close(exact, numeric, rtol=rtol, atol=1e-8)


@TRIALS
@pytest.mark.parametrize("name", OPS)
def test_backward_is_the_derivative(name, trials):
    op, arguments = OPS[name]
    check_backward(op, *arguments(trials))


def test_the_check_catches_a_wrong_backward():
    with pytest.raises(AssertionError):
        check_backward(WrongSign, rand(3, 2))


@TRIALS
@pytest.mark.parametrize("name", OPS)
def test_backward_agrees_with_autograd(name, trials):
    op, arguments = OPS[name]
    args = [a.requires_grad_() for a in arguments(trials)]
    with torch.no_grad():
        y, cache = op.forward(*args)
        dy = rand(*y.shape, seed=10)
        grads = as_tuple(op.backward(dy, cache))
    expected = torch.autograd.grad(REFERENCE[name](*args), args, dy)
    torch.testing.assert_close(y, REFERENCE[name](*args).detach(), rtol=1e-12, atol=1e-12)
    for grad, witness in zip(grads, expected, strict=True):
        torch.testing.assert_close(grad, witness, rtol=1e-8, atol=1e-10)


REFERENCE = {
    "linear": lambda x, w, b: x.flatten(-2) @ w + b.unsqueeze(-2),
    "linear_relu": lambda x, w, b: torch.relu(x @ w + b.unsqueeze(-2)),
    "relu": torch.relu,
    "leaky_relu": functional.leaky_relu,
    "tanh": torch.tanh,
    "gelu": functional.gelu,
    "dropout": lambda x: x * FixedDropout.forward(torch.ones_like(x))[0],
    "batch_norm": of_each_trial(
        lambda x, gamma, beta: functional.batch_norm(x, None, None, gamma, beta, training=True)
    ),
    "layer_norm": of_each_trial(
        lambda x, gamma, beta: functional.layer_norm(x, gamma.shape, gamma, beta)
    ),
}


@pytest.mark.parametrize("shape", [(1, 6), (4, 2, 3), (4, 1, 2, 3)])
def test_linear_flattens_what_an_example_has(shape):
    x, w, b = rand(*shape), rand(6, 5, seed=1), rand(5, seed=2)
    out, cache = Linear.forward(x, w, b)
    torch.testing.assert_close(out, x.reshape(len(x), 6) @ w + b)
    dx, dw, db = Linear.backward(out, cache)
    assert (dx.shape, dw.shape, db.shape) == (x.shape, w.shape, b.shape)


def test_linear_takes_tensors_of_any_strides():
    x, w = rand(6, 8).T[::2], rand(5, 12).T[::2]
    b = rand(10)[::2]
    out, _ = Linear.forward(x, w, b)
    torch.testing.assert_close(out, x.contiguous() @ w.contiguous() + b)


def test_a_stack_shares_one_batch():
    x, w, b = rand(1, 4, 6), rand(3, 6, 5, seed=1), rand(3, 5, seed=2)
    out, cache = Linear.forward(x, w, b)
    alone = torch.stack([x[0] @ w[k] + b[k] for k in range(3)])
    torch.testing.assert_close(out, alone)
    assert cache[0] is x  # not copied
    dx, _, _ = Linear.backward(out, cache)
    assert dx.shape == (3, 4, 6)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"4, 6\) and .*5, 7\)"):
        Linear.forward(rand(4, 6), rand(5, 7), rand(7))


def test_relu_has_derivative_0_at_a_tie():
    out, cache = ReLU.forward(torch.tensor([-1.0, 0.0, 2.0]))
    assert out.tolist() == [0, 0, 2]
    assert ReLU.backward(torch.ones(3), cache).tolist() == [0, 0, 1]


def test_leaky_relu_has_its_slope_at_a_tie():
    out, cache = LeakyReLU.forward(torch.tensor([-1.0, 0.0, 2.0]))
    torch.testing.assert_close(out, torch.tensor([-0.01, 0, 2]))
    torch.testing.assert_close(LeakyReLU.backward(out + 1, cache), torch.tensor([0.0099, 0.01, 3]))


@pytest.mark.parametrize("p", [0.0, 0.25, 0.7])
def test_dropout_keeps_the_mean(p):
    x = torch.full((500, 500), 3.0)
    out, mask = Dropout.forward(x, {"mode": "train", "p": p, "seed": 1})
    assert (out == 0).float().mean().item() == pytest.approx(p, abs=0.01)
    assert out.mean().item() == pytest.approx(3, abs=0.03)
    torch.testing.assert_close(Dropout.backward(torch.ones_like(x), mask) * 3, out)


def test_dropout_of_each_trial():
    x = torch.ones(3, 300, 300)
    p = torch.tensor([0.0, 0.5, 0.9])
    out, _ = Dropout.forward(x, {"mode": "train", "p": p, "seed": [(1,), (2,), (2,)]})
    dropped = (out == 0).float().mean((1, 2))
    torch.testing.assert_close(dropped, p, atol=0.01, rtol=0)
    assert (out[1] == 0).logical_and(out[2] != 0).sum() == 0  # equal seeds, equal draws


def test_dropout_in_test_mode_is_nothing():
    x = rand(4, 5)
    out, cache = Dropout.forward(x, {"mode": "test", "p": 0.5})
    assert torch.equal(out, x)
    assert torch.equal(Dropout.backward(x, cache), x)


def test_dropout_draws_from_torch_without_a_seed():
    x = torch.ones(50, 50)

    def drawn():
        return Dropout.forward(x, {"mode": "train", "p": 0.5})[0]

    torch.manual_seed(0)
    first, second = drawn(), drawn()
    torch.manual_seed(0)
    assert torch.equal(first, drawn())
    assert not torch.equal(first, second)


def test_a_dropout_seed_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Dropout.forward(torch.ones(5, 5), {"mode": "train", "p": 0.5, "seed": 3})
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("param", [{"mode": "eval", "p": 0.5}, {"mode": "train", "p": 1.0}])
def test_dropout_refuses(param):
    with pytest.raises(ValueError, match="expected"):
        Dropout.forward(torch.ones(2, 2), param)


@pytest.mark.parametrize("name", OPS)
def test_nothing_handed_in_is_changed(name):
    op, arguments = OPS[name]
    args = arguments((3,))
    before = [a.clone() for a in args]
    out, cache = op.forward(*args)
    dout = rand(*out.shape, seed=4)
    dout_before, out_before = dout.clone(), out.clone()
    op.backward(dout, cache)
    assert all(torch.equal(a, b) for a, b in zip(args, before, strict=True))
    assert torch.equal(dout, dout_before) and torch.equal(out, out_before)
