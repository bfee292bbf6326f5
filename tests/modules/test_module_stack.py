"""A stack of torch modules is each of them: as torch trains it, alone and among others."""

import copy
import re

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fcsweep.batches import Batches
from fcsweep.modules import ModuleNet
from fcsweep.modules.form import same
from fcsweep.optim import sgd_momentum
from fcsweep.solver import Solver

N, D, C, BATCH = 90, 12, 4, 32
"""The last minibatch of an epoch has 26 rows."""


def examples(dtype=torch.float32):
    source = torch.Generator().manual_seed(0)
    X = torch.randn(N, D, generator=source, dtype=dtype)
    y = torch.randint(C, (N,), generator=source)
    return {"X_train": X, "y_train": y, "X_val": X[:40], "y_val": y[:40]}


class Net(nn.Module):
    """With all that needs care: dropout used twice, batch norm, a buffer, a frozen parameter."""

    def __init__(self, p=0.0, width=16):
        super().__init__()
        self.first, self.norm = nn.Linear(D, width), nn.BatchNorm1d(width)
        self.hidden, self.last = nn.Linear(width, width), nn.Linear(width, C)
        self.drop = nn.Dropout(p)
        self.frozen = nn.Parameter(torch.randn(C), requires_grad=False)
        self.register_buffer("seen", torch.zeros(width))
        self.register_buffer("order", torch.arange(width).flip(0))

    def forward(self, x):
        x = self.drop(self.norm(self.first(x)).relu())[:, self.order]
        if self.training:
            self.seen = 0.9 * self.seen + x.detach().mean(0)
        return self.last(self.drop(torch.tanh(self.hidden(x)))) + self.frozen


def modules_of(seeds, make=Net, p=(0.0, 0.0, 0.0)):
    made = []
    for seed in seeds:
        torch.manual_seed(seed)
        made.append(make(p[seed]))
    return made


RATES, REG = (0.1, 0.05, 0.2), (0.0, 0.01, 0.1)


def trained(seeds, dtype=torch.float32, p=(0.0, 0.0, 0.0), make=Net, epochs=3, **options):
    of = [RATES[seed] for seed in seeds]
    reg = [REG[seed] for seed in seeds]
    net = ModuleNet(modules_of(seeds, make, p), D, C, reg=reg, seed=seeds, dtype=dtype, **options)
    solver = Solver(
        net, examples(dtype), update_rule=sgd_momentum, seed=seeds, num_epochs=epochs,
        optim_config={"learning_rate": of}, batch_size=BATCH, verbose=False,
    )  # fmt: skip
    solver.train(return_best_params=False)
    return solver


def by_torch(seed, dtype, make=Net, **loss):
    """The same training as most people would write it."""
    (module,) = modules_of([seed], make)
    module.to(dtype)
    weights = [w for w in module.parameters() if w.requires_grad]
    velocities = [torch.zeros_like(w) for w in weights]
    data = examples(dtype)
    batches = Batches(data["X_train"], data["y_train"], BATCH, torch.Size(), seed)
    for epoch in (1, 2, 3):
        for x, y in batches.epoch(epoch):
            term = sum((w**2).sum() for w in weights if w.ndim > 1)
            value = nn.functional.cross_entropy(module(x), y, **loss) + 0.5 * REG[seed] * term
            for w, v, g in zip(
                weights, velocities, torch.autograd.grad(value, weights), strict=True
            ):
                v.mul_(0.9).sub_(g, alpha=RATES[seed])
                w.data.add_(v)
    return module


@pytest.mark.parametrize("loss", [{}, {"label_smoothing": 0.2}])
def test_each_module_is_trained_as_by_torch(loss):
    solver = trained([0, 1, 2], torch.float64, **loss)
    for place, seed in enumerate([0, 1, 2]):
        module = by_torch(seed, torch.float64, **loss)
        state = {k: v for k, v in module.state_dict().items() if v.is_floating_point()}
        assert state.keys() == solver.model.params.keys()
        for name, expected in state.items():
            found = solver.model.params[name][place]
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11, msg=name)
        expected = module.eval()(examples(torch.float64)["X_val"])
        found = solver.model.scores(examples(torch.float64)["X_val"].unsqueeze(0))[place]
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


TOLERANCE = 1e-5
"""Of a parameter, alone and in a stack, after the 9 steps of these tests; as the docs say it."""


def test_the_same_stack_has_the_same_bits_and_another_is_near():
    p = (0.3, 0.0, 0.5)
    first, again, alone = trained([0, 1, 2], p=p), trained([0, 1, 2], p=p), trained([2], p=p)
    for name, values in first.model.params.items():
        assert torch.equal(values, again.model.params[name])
        near = alone.model.params[name][0]
        torch.testing.assert_close(values[2], near, rtol=TOLERANCE, atol=TOLERANCE)
    assert first.val_acc_history[-1][2] == alone.val_acc_history[-1][0]


def test_dropout_is_of_the_trials_own_stream_and_rate():
    given = (0.0, 0.3, 0.5)
    net = ModuleNet(modules_of([0, 1, 2], p=given), D, C, seed=[0, 1, 2])
    masks = net._masks(torch.zeros(1, 1000, D)).draw(net.seed, 7, torch.zeros(()))
    assert [len(each) for each in masks] == [2]  # one dropout, called twice
    once, twice = masks[0]
    assert not torch.equal(once[1], twice[1])
    assert [(once[k] == 0).float().mean().item() for k in range(3)] == pytest.approx(
        given, abs=0.02
    )
    assert once[2].max() == 2.0
    again = net._masks(torch.zeros(1, 1000, D)).draw(net.seed, 8, torch.zeros(()))
    assert not torch.equal(again[0][0][1], once[1])


def test_those_that_stay_are_not_changed_by_those_that_leave():
    whole, left = trained([0, 1, 2], p=(0.2, 0.2, 0.2)), trained([0, 1, 2], p=(0.2,) * 3, epochs=1)
    left.num_epochs, left.epoch = 3, 1
    left.keep([1, 2])
    left.train(return_best_params=False)
    for name, values in whole.model.params.items():
        torch.testing.assert_close(left.model.params[name], values[1:], rtol=1e-5, atol=1e-5)


def test_the_modules_and_the_random_numbers_of_the_process_stay_as_they_were():
    modules = modules_of([0, 1])
    before, state = [copy.deepcopy(m.state_dict()) for m in modules], torch.get_rng_state()
    net = ModuleNet(modules, D, C, seed=[0, 1])
    Solver(net, examples(), seed=0, num_epochs=1, batch_size=30, verbose=False).train()
    assert torch.equal(torch.get_rng_state(), state)
    for module, values in zip(modules, before, strict=True):
        assert all(torch.equal(v, values[name]) for name, v in module.state_dict().items())


def test_a_module_loads_what_was_saved(tmp_path):
    solver = trained([1])
    solver.model.save(tmp_path / "net.safetensors")
    state = {name: p[0] for name, p in load_file(tmp_path / "net.safetensors").items()}
    module = nn.Sequential(nn.Linear(D, 3), nn.BatchNorm1d(3), nn.Linear(3, C))
    net = ModuleNet([module], D, C)
    module.load_state_dict({name: p[0] for name, p in net.params.items()})  # strict
    fresh = Net()
    assert set(fresh.state_dict()) - set(state) == {"norm.num_batches_tracked", "order"}


def test_regression():
    data = examples()
    numbers = {**data, "y_train": data["X_train"].sum(1), "y_val": data["X_val"].sum(1)}
    net = ModuleNet([nn.Linear(D, 1)], D, 1, loss_function="mse")
    solver = Solver(
        net, numbers, num_epochs=40, verbose=False, objective="val_loss", batch_size=30,
        optim_config={"learning_rate": 0.05},
    )  # fmt: skip
    solver.train()
    assert (net.params["weight"] - 1).abs().max() < 0.05


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(D, C)

    def forward(self, x):
        return self.last(x if x.sum() > 0 else -x)


class Noisy(Branching):
    def forward(self, x):
        return self.last(nn.functional.dropout(x, 0.5, self.training))


class Counting(Branching):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.tensor(0))

    def forward(self, x):
        if self.training:
            self.count += 1
        return self.last(x)


@pytest.mark.parametrize(
    "module, told",
    [
        (lambda: nn.Linear(D, C)(torch.zeros(1, D)), "is of type Tensor; expected an nn.Module"),
        (lambda: nn.LazyLinear(C), "weight of the model has no size yet; expected layers that are"),
        (lambda: nn.ReLU(), "the model has no parameter to learn"),
        (lambda: nn.Sequential(nn.Linear(D, C), nn.AlphaDropout(0.1)), "1 of the model is AlphaD"),
        (lambda: nn.Sequential(nn.Linear(D, C), nn.BatchNorm1d(C, momentum=None)), "counts batch"),
        (lambda: nn.Linear(D, C + 1), "Linear returns (2, 5) for n = 2; expected scores (n, 4)"),
        (lambda: nn.Linear(D + 1, C), "Linear does not work in a stack, on examples (n, 12): Run"),
        (Branching, "Branching does not work in a stack, on examples (n, 12): Runt"),
        (Noisy, "(n, 12): RuntimeError: vmap: called random operation"),
        (Counting, "count of Counting is of type torch.int64 and changes in training"),
    ],
)  # fmt: skip
def test_what_cannot_be_stacked_is_refused_by_name(module, told):
    with pytest.raises((TypeError, ValueError), match=re.escape(told)):
        ModuleNet([module()], D, C)


def leaky(slope):
    return nn.Sequential(nn.Linear(D, C), nn.LeakyReLU(slope))


class Scaled(nn.Module):
    def __init__(self, scale, registered=False):
        super().__init__()
        self.last, self.act = nn.Linear(D, C), lambda x: x * scale
        if registered:
            self.act = torch.relu
            self.register_buffer("scale", torch.tensor(scale))

    def forward(self, x) -> Tensor:
        return self.act(self.last(x)) * getattr(self, "scale", 1)


@pytest.mark.parametrize(
    "pair, told",
    [
        ((leaky(0.1), leaky(0.2)), "1.negative_slope is 0.1 and 0.2; expected the same in all"),
        ((nn.Linear(D, C), leaky(0.2)), "the layers of one are [], of another ['0', '1']"),
        ((Net(), Net(width=8)), "first.out_features is 16 and 8"),
        ((Scaled(1.0), Scaled(2.0)), "act is <function"),
    ],
)
def test_modules_that_differ_in_more_than_tensors_are_refused(pair, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        ModuleNet(pair, D, C)


def test_what_is_built_by_the_same_code_is_the_same():
    ModuleNet([Scaled(1.0), Scaled(1.0)], D, C)
    net = ModuleNet([Scaled(1.0, registered=True), Scaled(2.0, registered=True)], D, C)
    assert net.params["scale"].tolist() == [1.0, 2.0]  # each trial has its own
    assert same({"a": [1, torch.ones(2)]}, {"a": [1, torch.ones(2)]})
    assert not same({"a": [1, torch.ones(2)]}, {"a": [1, torch.zeros(2)]})
