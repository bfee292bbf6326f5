"""A net in the row space of few examples trains as the net itself does, in fewer coordinates."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from fcsweep.nets import FullyConnectedNet, TwoLayerNet
from fcsweep.row_space import NetInRowSpace, RowSpace
from fcsweep.solver import Solver

TOLERANCES = {torch.float32: (2e-6, 1e-5), torch.float64: (1e-10, 1e-10)}
"""Of a loss; of the weights, relative to their norm. As ``docs/row-space.md`` says."""
VAL = 25


@dataclass
class Case:
    """What is trained: three trials unless said, 20 examples of 3 x 5 x 6 numbers."""

    rule: str = "sgd"
    dtype: torch.dtype = torch.float32
    net: dict[str, Any] = field(default_factory=dict)
    clip_norm: float | None = None
    seeds: Any = (0, 1, 2)
    stacked: dict[str, Any] = field(default_factory=lambda: {"weight_scale": [0.02, 0.1, 0.05]})

    def data(self, spoil=lambda X: X):
        source = torch.Generator().manual_seed(0)
        examples = torch.randn(20 + 40, 3, 5, 6, generator=source, dtype=torch.float64)
        labels = torch.randint(5, (60,), generator=source)
        X = spoil(examples).to(self.dtype)
        return {
            "X_train": X[:20], "y_train": labels[:20], "X_val": X[20:], "y_val": labels[20:]
        }  # fmt: skip

    def solver(self, data, inside):
        options = {"seed": self.seeds, "dtype": self.dtype, **self.stacked, **self.net}
        net = FullyConnectedNet([12, 7], 90, 5, **options)
        space = RowSpace(data, VAL)
        return Solver(
            NetInRowSpace(net, space) if inside else net, space if inside else data,
            update_rule=self.rule, optim_config={"learning_rate": 0.05}, lr_decay=0.95,
            clip_norm=self.clip_norm, num_epochs=8, batch_size=6, num_val_samples=VAL,
            seed=self.seeds, verbose=False,
        )  # fmt: skip


CASES = {
    "sgd": Case("sgd"),
    "momentum": Case("momentum"),
    "nesterov with an L2 term, clipped": Case(
        "nesterov", net={"reg": [0.0, 0.1, 2.0]}, clip_norm=0.3
    ),
    "float64": Case("momentum", torch.float64),
    "float64 with an L2 term, clipped": Case(
        "momentum", torch.float64, {"reg": 0.3, "dropout": 0.2}, 0.5
    ),
    "batch normalization": Case("momentum", torch.float64, {"normalization": "batch"}),
    "layer normalization": Case("momentum", torch.float64, {"normalization": "layer"}),
    "dropout, svm, gelu": Case(net={"dropout": 0.3, "loss_function": "svm", "activation": "gelu"}),
}


def histories(solver):
    """Losses of steps and of epochs; accuracies."""
    epochs = [epoch.val_loss for epoch in solver.epochs()]
    losses = [torch.tensor(each, dtype=torch.float64) for each in (solver.loss_history, epochs)]
    return losses, [solver.train_acc_history, solver.val_acc_history]


def assert_equal_training(case, data):
    plain, inside = (case.solver(data, way) for way in (False, True))
    (losses, accuracies), (others, other_accuracies) = histories(plain), histories(inside)
    of_loss, of_weights = TOLERANCES[case.dtype]
    assert accuracies == other_accuracies
    for one, other in zip(losses, others, strict=True):
        assert torch.allclose(one, other, rtol=of_loss, atol=of_loss)
    last, best = (plain.model.params, inside.model.params), (plain.best_params, inside.best_params)
    for params, coordinates in (last, best):
        outside = inside.model.outside(coordinates)
        assert outside.keys() == params.keys()
        for name, p in params.items():
            assert outside[name].shape == p.shape
            most = of_weights * max(
                p.norm(), 1
            )  # a bias before batch normalization is all rounding
            assert (outside[name] - p).norm() <= most, name
    return inside


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_trains_as_the_net_does(case):
    inside = assert_equal_training(case, case.data())
    assert inside.model.params["W1"].shape == (3, 20 + 1, 12)


@pytest.mark.parametrize(
    "spoil",
    [torch.zeros_like, lambda X: X[:1].expand_as(X), torch.round],
    ids=["zero", "equal", "whole numbers"],
)
def test_examples_may_be_equal_or_zero(spoil):
    assert_equal_training(Case("momentum", net={"reg": 0.1}), Case().data(spoil))


def test_a_lone_net_and_its_file(tmp_path):
    data = Case().data()
    net, whole = (TwoLayerNet(90, 12, 5, weight_scale=0.1, reg=0.1, seed=0) for _ in range(2))
    space = RowSpace(data)
    inside = NetInRowSpace(net, space)
    for one, examples in ((whole, data), (inside, space)):
        Solver(one, examples, num_epochs=3, batch_size=5, seed=0, verbose=False).train()
    inside.save(tmp_path / "net.safetensors")
    read = TwoLayerNet(90, 12, 5)
    read.load(tmp_path / "net.safetensors")
    for name, p in whole.params.items():
        assert torch.allclose(read.params[name], p, rtol=1e-4, atol=1e-6)


def test_a_trial_has_the_same_bits_alone_in_a_stack_and_after_others_have_left():
    case, data = Case("momentum", net={"reg": 0.1}), Case().data()
    stack = case.solver(data, True)
    epochs = stack.epochs()
    next(epochs)
    stack.keep([0, 2])
    list(epochs)
    for place, k in enumerate((0, 2)):
        one = Case("momentum", net={"reg": 0.1}, seeds=[k])
        one.stacked = {"weight_scale": case.stacked["weight_scale"][k : k + 1]}
        alone = one.solver(data, True)
        alone.train(return_best_params=False)
        own = alone.model.outside(alone.model.params, 0)
        in_stack = stack.model.outside(stack.model.params, place)
        assert all(torch.equal(own[name], p) for name, p in in_stack.items())
        whole = stack.model.outside(stack.model.params)
        assert all(torch.equal(whole[name][place], p) for name, p in in_stack.items())


def test_there_must_be_fewer_examples_than_numbers():
    data = Case().data()
    data["X_val"], data["y_val"] = data["X_val"].repeat(2, 1, 1, 1), data["y_val"].repeat(2)
    with pytest.raises(ValueError, match="20 training and 80 validation examples of 90 numbers"):
        RowSpace(data)
    RowSpace(data, 69)
    with pytest.raises(ValueError, match="expected input_dropout=0: coordinates"):
        NetInRowSpace(FullyConnectedNet([3], 90, seed=0, input_dropout=0.1), RowSpace(data, 69))
