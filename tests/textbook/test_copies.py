"""Copies of nets and solvers: equal values, own memory, and the same bits from there on."""

import copy
import io
import pickle

import pytest
import torch

from fcsweep.kernels.parameters import Parameters
from fcsweep.nets import FullyConnectedNet, TwoLayerNet
from fcsweep.solver import Solver


def saved_by_torch(value):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value)), saved_by_torch],
    ids=["deepcopy", "pickle", "torch.save"],
)
NETS = {
    "fully connected": lambda: FullyConnectedNet(
        [7, 5], 8, 3, dropout=0.3, reg=0.1, weight_scale=0.3, seed=1, dtype=torch.float64
    ),
    "two layers": lambda: TwoLayerNet(8, 6, 3, weight_scale=0.3, reg=0.1, seed=2),
    "stack": lambda: FullyConnectedNet(
        [7], 8, 3, dropout=[0.0, 0.3], reg=0.1, weight_scale=[0.1, 0.3], seed=[1, 2]
    ),
}


@pytest.fixture(params=NETS)
def net(request):
    return NETS[request.param]()


def batch(model):
    source = torch.Generator().manual_seed(0)
    X = torch.randn(20, 8, generator=source)
    return (X.unsqueeze(0) if model.trials else X), torch.arange(20) % 3


def solver_of(model, **options):
    X, y = batch(model)
    X = X.reshape(20, 8)
    data = {"X_train": X, "y_train": y, "X_val": X, "y_val": y}
    defaults = {"update_rule": "adam", "batch_size": 6, "num_epochs": 4, "seed": 0}
    return Solver(model, data, verbose=False, **(defaults | options))


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, p in one.items():
        assert torch.equal(p, other[name]), name
        assert p.data_ptr() != other[name].data_ptr()


@COPIES
@pytest.mark.parametrize("trials", [(), (3,)], ids=str)
def test_parameters(copied, trials):
    params = Parameters(trials, [8, 5, 3], torch.float64, torch.device("cpu"))
    for number, p in enumerate(params.values()):
        p.fill_(number + 0.1)
    other = copied(params)
    assert isinstance(other, Parameters)
    assert_equal(params, other)
    assert (other.trials, other.dims, other.dtype) == (params.trials, params.dims, params.dtype)
    for block in other.blocks:
        block.zero_()
    assert not any(p.any() for p in other.values()) and all(p.all() for p in params.values())


def test_a_pickle_is_as_small_as_what_it_holds():
    params = FullyConnectedNet([50] * 5, 50, 50).params
    held = sum(p.numel() * p.itemsize for p in params.values())
    assert len(pickle.dumps(params)) < 1.5 * held


@COPIES
def test_a_net_has_the_same_loss_and_gradient_and_its_own_memory(net, copied):
    other = copied(net)
    assert type(other) is type(net)
    assert_equal(net.params, other.params)
    (loss, grads), (other_loss, other_grads) = net.loss(*batch(net)), other.loss(*batch(net))
    assert torch.equal(loss, other_loss)
    assert_equal(grads, other_grads)
    other.params["W1"] += 1
    other.reg = 0.0
    assert torch.equal(net.loss(*batch(net))[0], loss)


@COPIES
def test_a_copy_trains_to_the_same_bits(net, copied):
    other = copied(net)
    solvers = [solver_of(model) for model in (net, other)]
    for solver in solvers:
        solver.train(return_best_params=False)
    assert solvers[0].loss_history == solvers[1].loss_history
    assert_equal(net.params, other.params)


@COPIES
def test_a_solver_goes_on_to_the_same_bits(net, copied):
    solver, later = solver_of(net), None
    for epoch in solver.epochs():
        if epoch.number == 2:
            later = copied(solver)
    assert later is not None and later.epoch == 2
    assert [epoch.number for epoch in later.epochs()] == [3, 4]
    assert later.loss_history == solver.loss_history
    assert later.best_val_acc == solver.best_val_acc
    assert_equal(later.model.params, solver.model.params)
    assert_equal(later.best_params, solver.best_params)
