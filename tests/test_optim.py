"""Every rule is the published one: equal to torch.optim over 100 steps; and it changes nothing."""

import pytest
import torch

from fcsweep.optim import RULES, adam, rmsprop, sgd, sgd_momentum

REFERENCE = {
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-2),
    "sgd_momentum": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=1e-2, alpha=0.99, eps=1e-8),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3, betas=(0.9, 0.999), eps=1e-8),
}


@pytest.fixture(params=RULES)
def name(request):
    return request.param


def start(dtype=torch.float64, *trials):
    source = torch.Generator().manual_seed(0)
    w = torch.randn(*trials, 4, 3, generator=source, dtype=torch.float64)
    return w.to(dtype)


def gradient(w):
    """Of a bowl that is steep in one direction, so that steps and signs vary."""
    scale = torch.linspace(0.1, 30, w.shape[-1], dtype=w.dtype)
    return torch.sin(3 * w) + scale * w


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 2e-4)])
def test_agrees_with_torch_over_100_steps(name, dtype, tolerance):
    w, config = start(dtype), None
    theirs = start(dtype).requires_grad_()
    optimizer = REFERENCE[name]([theirs])
    for _ in range(100):
        w, config = RULES[name](w, gradient(w), config)
        theirs.grad = gradient(theirs.detach())
        optimizer.step()
    torch.testing.assert_close(w, theirs.detach(), rtol=tolerance, atol=tolerance)


def test_converges(name):
    w, config = start(), {"learning_rate": 3e-2}
    for _ in range(2000):
        w, config = RULES[name](w, 2 * w, config)
    assert w.abs().max() < 2e-2


def test_nothing_handed_in_is_changed(name):
    w, dw = start(), gradient(start())
    _, config = RULES[name](w, dw)
    before = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in config.items()}
    RULES[name](w, dw, config)
    assert torch.equal(w, start()) and torch.equal(dw, gradient(start()))
    for key, value in config.items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(before[key])), key


def test_each_trial_has_its_own_constants(name):
    rule, w = RULES[name], start(torch.float64, 3)
    factors = torch.tensor([0.5, 0.8, 1.0], dtype=torch.float64)
    stacked = {key: value * factors for key, value in rule.constants.items()}
    together, state = w, stacked
    for _ in range(3):
        together, state = rule(together, gradient(together), state)
    for k in range(3):
        alone, own = w[k], {key: value[k].item() for key, value in stacked.items()}
        for _ in range(3):
            alone, own = rule(alone, gradient(alone), own)
        assert torch.equal(together[k], alone)


def test_state_has_the_names_of_the_courses():
    w = start()
    assert set(sgd(w, w)[1]) >= {"learning_rate"}
    assert set(sgd_momentum(w, w)[1]) >= {"learning_rate", "momentum", "velocity"}
    assert set(rmsprop(w, w)[1]) >= {"learning_rate", "decay_rate", "epsilon", "cache"}
    assert set(adam(w, w)[1]) >= {"learning_rate", "beta1", "beta2", "epsilon", "m", "v", "t"}


def test_adam_goes_on_from_a_given_t():
    """The course's own check: state and ``t`` from outside."""
    w, config = start(), None
    for _ in range(5):
        w, config = adam(w, gradient(w), config)
    given = {key: config[key] for key in ("m", "v", "t")}
    assert given["t"] == 5
    again, _ = adam(w, gradient(w), given)
    assert torch.equal(again, adam(w, gradient(w), config)[0])


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"sgd does not know \['learnin_rate'\]"):
        sgd(start(), start(), {"learnin_rate": 1.0})
