"""What is done for a GPU: shown on a CPU as far as that goes, the rest where there is one."""

from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fcsweep.accuracy import EVALUATION_ROWS, evaluate_on, rows_at_once
from fcsweep.kernels.arithmetic import Product
from fcsweep.kernels.parameters import NamedTensors, Parameters
from fcsweep.kernels.products import AtOnce
from fcsweep.nets import FullyConnectedNet
from fcsweep.solver import Solver

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def stack(device="cpu", **keys):
    scales = torch.tensor([0.01, 0.1, 0.02])
    return FullyConnectedNet(
        [20, 8], 12, weight_scale=scales, seed=[0, 0, 1], device=device, **keys
    )


def data(rows=60):
    source = torch.Generator().manual_seed(1)
    X, y = torch.randn(rows, 12, generator=source), torch.randint(10, (rows,), generator=source)
    return {"X_train": X[:40], "y_train": y[:40], "X_val": X[40:], "y_val": y[40:]}


def solver_on(device, rule="adam", **keys):
    return Solver(
        stack(device, **keys), data(), update_rule=rule, seed=[0, 0, 0], batch_size=10,
        num_epochs=2, verbose=False,
    )  # fmt: skip


class Waits(TorchDispatchMode):
    """Counts what makes the CPU wait for a GPU: numbers that become Python's, copies back."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        asks = ("_local_scalar_dense", "is_nonzero", "equal.", "nonzero")
        self.count += any(name in str(func) for name in asks)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("rule", ["sgd", "sgd_momentum", "nesterov", "rmsprop", "adam", "adamw"])
def test_a_step_waits_for_nothing(rule, monkeypatch):
    real, waits = Solver._step, Waits()

    def step(self, *minibatch):
        with waits:
            return real(self, *minibatch)

    monkeypatch.setattr(Solver, "_step", step)
    solver_on("cpu", rule, reg=0.1).train()
    assert waits.count == 0
    with waits:
        bool(torch.ones(()) > 0)
    assert waits.count == 1  # it does count


def test_an_evaluation_waits_once(monkeypatch):
    net, copies, real = stack(), [], torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda one: copies.append(1) or real(one))
    X, y = data()["X_train"], data()["y_train"]
    found = evaluate_on(X, y, net, rows=7, with_loss=True)
    assert len(copies) == 1
    assert found.accuracy.dtype == found.loss.dtype == torch.float64
    assert found.finite.tolist() == [True] * 3


def test_a_shared_batch_is_one_product():
    """Of the whole stack: a batched product would read it once for each trial."""
    w = torch.empty(4, 6, 12, device="meta").mT
    x, dout = torch.empty(1, 5, 12, device="meta"), torch.empty(4, 6, 5, device="meta").mT
    forward, gradient = Product(x, w), Product(x.mT, dout, out=torch.empty_like(w))
    assert all(isinstance(one._compute, AtOnce) for one in (forward, gradient))
    assert forward().shape == forward.once().shape == (4, 5, 6)
    assert gradient().shape == (4, 12, 6)
    own = Product(x.expand(4, -1, -1).contiguous(), w)
    assert not isinstance(own._compute, AtOnce)


class OnGPU(Parameters):
    @property
    def device(self):
        return torch.device("cuda")


def test_rows_scored_at_once_follow_the_memory_of_a_gpu(monkeypatch):
    properties = SimpleNamespace(total_memory=16 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    made = (3072, 100, 10), torch.float32, torch.device("cpu")
    assert rows_at_once(OnGPU([64], *made)) == 2**30 // (3 * 64 * 110 * 4)
    assert rows_at_once(OnGPU([2**12], (8, 100, 10), *made[1:])) == EVALUATION_ROWS
    assert rows_at_once(Parameters([64], *made)) == EVALUATION_ROWS
    own = NamedTensors([], {"W": (3, 2)}, *made[1:])  # of a model that tells no layers
    assert rows_at_once(own) == EVALUATION_ROWS


@pytest.mark.cuda
@on_a_gpu
def test_initial_weights_are_those_of_the_cpu():
    here, there = stack().params, stack("cuda").params
    assert all(torch.equal(here[name], there[name].cpu()) for name in here)


@pytest.mark.cuda
@on_a_gpu
@pytest.mark.parametrize("rule", ["sgd_momentum", "adam"])
def test_a_stack_learns_what_it_learns_on_the_cpu(rule):
    solvers = [solver_on(device, rule, reg=0.01) for device in ("cpu", "cuda")]
    for solver in solvers:
        solver.train()
    losses = [torch.tensor(solver.loss_history) for solver in solvers]
    torch.testing.assert_close(*losses, rtol=1e-3, atol=1e-4)


@pytest.mark.cuda
@on_a_gpu
def test_an_evaluation_of_many_rows_agrees_with_that_of_few():
    X, y = (data()[name].to("cuda") for name in ("X_train", "y_train"))
    few, many = (evaluate_on(X, y, stack("cuda"), rows, with_loss=True) for rows in (7, 40))
    torch.testing.assert_close(few.loss, many.loss, rtol=1e-4, atol=1e-5)
    assert torch.equal(few.finite, many.finite)
