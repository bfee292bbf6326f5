"""Schedules: the rates of the published formulas, alone and in a stack."""

import math

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, StepLR

from fcsweep.nets import FullyConnectedNet
from fcsweep.schedules import SCHEDULES
from fcsweep.solver import Solver

EPOCHS = 7


def solver_of(model=None, epochs=EPOCHS, **options):
    X = torch.randn(20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.arange(20) % 3
    data = {"X_train": X, "y_train": y, "X_val": X, "y_val": y}
    model = model or FullyConnectedNet([4], 5, 3, seed=0, dtype=torch.float64)
    fixed = {"num_epochs": epochs, "batch_size": 10, "verbose": False, "seed": 0}
    return Solver(model, data, optim_config={"learning_rate": 0.3}, **fixed | options)


def rates(**options):
    return [epoch.learning_rate for epoch in solver_of(**options).epochs()]


def theirs(make):
    optimizer = SGD([torch.zeros(1)], lr=0.3)
    schedule: LRScheduler = make(optimizer)
    found = []
    for _ in range(EPOCHS):
        found += schedule.get_last_lr()
        optimizer.step()
        schedule.step()
    return found


def test_the_rates_are_those_of_torch():
    step = theirs(lambda o: StepLR(o, step_size=3, gamma=0.5))
    assert rates(lr_decay=0.5, decay_every=3) == pytest.approx(step, rel=1e-12)
    cosine = theirs(lambda o: CosineAnnealingLR(o, T_max=EPOCHS))
    assert rates(schedule="cosine") == pytest.approx(cosine, rel=1e-12)
    assert rates(schedule="constant", lr_decay=0.5) == [0.3] * EPOCHS


def test_lr_decay_alone_multiplies_after_every_epoch():
    expected, rate = [], 0.3
    for _ in range(EPOCHS):
        expected.append(rate)
        rate *= 0.9
    assert rates(lr_decay=0.9) == expected


def test_the_rate_warms_up():
    assert rates(warmup=2)[:4] == pytest.approx([0.1, 0.2, 0.3, 0.3])
    warm = rates(warmup=2, schedule="cosine")
    rest = [0.15 * (1 + math.cos(math.pi * k / 5)) for k in range(5)]
    assert warm == pytest.approx([0.1, 0.2, *rest])
    assert rates(warmup=9)[-1] == pytest.approx(0.3 * 7 / 10)


STACK = {
    "schedule": ["step", "cosine", "constant", "cosine"],
    "lr_decay": [0.9, 0.9, 0.9, 1.0],
    "decay_every": [2, 1, 1, 1],
    "warmup": [0, 2, 1, 0],
}


@pytest.mark.parametrize("function", [False, True])
def test_each_trial_of_a_stack_has_its_own(function):
    def rule(w, dw, config):
        return w - config["learning_rate"] * dw, config

    more = {"update_rule": rule} if function else {}

    def net(*seeds):
        return FullyConnectedNet([4], 5, 3, seed=[*seeds], dtype=torch.float64)

    stack = solver_of(net(0, 1, 2, 3), **STACK, **more)
    found = []
    for epoch in stack.epochs():
        found.append(epoch.learning_rate)
        if epoch.number == 4:
            stack.keep([1, 3])
    for k in range(4):
        own = {name: [values[k]] for name, values in STACK.items()}
        alone = [rate for (rate,) in rates(model=net(k), **own, **more)]
        kept = [row[k] for row in found[:4]]
        kept += [row[(1, 3).index(k)] for row in found[4:]] if k in (1, 3) else []
        assert kept == alone[: len(kept)], k


@pytest.mark.parametrize(
    "options, words",
    [
        ({"schedule": "linear"}, f"schedule is 'linear'; expected one of {[*SCHEDULES]}"),
        ({"decay_every": 0}, "decay_every is 0; expected at least 1"),
        ({"warmup": -1}, "warmup is -1; expected at least 0"),
        ({"warmup": [1, 2], "lr_decay": [1.0] * 3}, "schedules for [2, 3] trials"),
        ({"patience": 0}, "patience is 0; expected a number > 0, or None"),
        ({"clip_norm": -1.0}, "clip_norm is -1.0; expected a number > 0, or None"),
    ],
)
def test_refuses(options, words):
    with pytest.raises(ValueError) as error:
        solver_of(**options)
    assert words in str(error.value)


# --- Patience -------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [1, 2])
def test_a_trial_ends_when_its_patience_does(every):
    """The best epoch, then so many evaluations; a stack keeps what each would be alone."""
    patience, seeds = [1, 2, 4, 100], [0, 1, 2, 3]

    def solver(*k):
        model = FullyConnectedNet([4], 5, 3, weight_scale=1.0, seed=[seeds[i] for i in k])
        own = [float(patience[i]) for i in k]
        return solver_of(model, epochs=30, eval_every=every, patience=own)

    stack = solver(0, 1, 2, 3)
    last = [*stack.epochs()][-1]
    assert last.number == 30 and last.stalled[:3] == [True] * 3 and last.stalled[3] is False
    for k in range(4):
        alone = solver(k)
        epochs = [*alone.epochs()]
        assert epochs[-1].number == min(30, alone.best_epoch[0] + every * patience[k])
        assert [epoch.stalled for epoch in epochs[:-1]] == [[False]] * (len(epochs) - 1)
        assert (stack.best_epoch[k], stack.best_val_acc[k]) == (
            alone.best_epoch[0],
            alone.best_val_acc[0],
        )
        for name, p in alone.best_params.items():
            assert torch.equal(p[0], stack.best_params[name][k])
