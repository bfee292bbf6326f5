"""Every rule is the published one, equal to torch.optim over 100 steps; its state is in config."""

import pytest
import torch

from fcsweep.optim import RULES, adam, clip_norm, rmsprop, sgd, sgd_momentum

REFERENCE = {
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-2),
    "sgd_momentum": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, nesterov=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=1e-2, alpha=0.99, eps=1e-8),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3, betas=(0.9, 0.999), eps=1e-8),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-3, betas=(0.9, 0.999), eps=1e-8),
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


@pytest.mark.parametrize("most", [0.5, 7.0, 1e6, float("inf")])
def test_a_gradient_is_clipped_as_by_torch(most):
    parts = [start().reshape(1, -1), gradient(start()).reshape(1, -1)]
    theirs = [torch.zeros_like(part).requires_grad_() for part in parts]
    for theirs_part, part in zip(theirs, parts, strict=True):
        theirs_part.grad = part.clone()
    torch.nn.utils.clip_grad_norm_(theirs, most)
    before = [part.clone() for part in parts]
    clip_norm(parts, torch.tensor([most], dtype=torch.float64))
    for part, theirs_part, old in zip(parts, theirs, before, strict=True):
        torch.testing.assert_close(part, theirs_part.grad, rtol=1e-5, atol=0)
        assert torch.equal(part, old) == (most > 1e3)


def test_each_trial_is_clipped_by_its_own_norm():
    dw = [gradient(start(torch.float32, 3)).flatten(1), start(torch.float32, 3).flatten(1)]
    dw[0][2] = 1e30  # whose square is infinite: not clipped, it stays
    most = torch.tensor([1.0, float("inf"), float("inf")])
    stack = [part.clone() for part in dw]
    clip_norm(stack, most)
    for k in range(3):
        alone = [part[k : k + 1].clone() for part in dw]
        clip_norm(alone, most[k : k + 1])
        assert all(torch.equal(a, s[k : k + 1]) for a, s in zip(alone, stack, strict=True))
        changed = [not torch.equal(s[k], part[k]) for s, part in zip(stack, dw, strict=True)]
        assert changed == [k == 0] * 2


def test_converges(name):
    w, config = start(), {"learning_rate": 3e-2}
    for _ in range(2000):
        w, config = RULES[name](w, 2 * w, config)
    assert w.abs().max() < 2e-2


def test_only_the_config_is_changed_and_no_tensor_in_it(name):
    rule, w, dw = RULES[name], start(), gradient(start())
    _, config = rule(w, dw)
    held = dict(config)
    before = {key: config[key].clone() for key in rule.state}
    rule(w, dw, config)
    assert torch.equal(w, start()) and torch.equal(dw, gradient(start()))
    for key in rule.state:
        assert torch.equal(held[key], before[key]), key
        assert not torch.equal(config[key], before[key]), key
    assert {key: config[key] for key in rule.constants} == rule.constants


def test_the_state_is_in_the_config_that_was_given(name):
    rule, dw = RULES[name], gradient(start())
    given, config, w, later = {}, None, start(), start()
    for step in range(1, 4):
        w, config = rule(w, dw, config)
        later, returned = rule(later, dw, given)
        assert returned is given and given.keys() == config.keys()
        assert torch.equal(w, later) and given["t"] == (step if "v" in rule.state else 0)
        assert all(torch.equal(given[key], config[key]) for key in rule.state)


def test_what_fails_leaves_the_config_as_it_was(name):
    config = {"learning_rate": 0.1}
    with pytest.raises(RuntimeError):
        RULES[name](start(), torch.ones(5, 5, dtype=torch.float64), config)
    assert config == {"learning_rate": 0.1}


def test_each_trial_has_its_own_constants(name):
    rule, w = RULES[name], start(torch.float64, 3)
    factors = torch.tensor([0.5, 0.8, 1.0], dtype=torch.float64)
    stacked = {key: value * factors for key, value in rule.constants.items()}
    together, state = w, dict(stacked)
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


@pytest.mark.parametrize("config", [0.1, [("learning_rate", 0.1)], "sgd", torch.ones(2)])
def test_a_config_that_is_no_dict_is_refused(name, config):
    with pytest.raises(TypeError) as error:
        RULES[name](start(), start(), config)
    kind, said = type(config).__name__, str(error.value)
    assert f"config of {name} is of type {kind}; expected a dict such as {{'learning_rate'" in said


def test_the_config_of_another_parameter_is_refused():
    config = {}
    sgd_momentum(start(), start(), config)
    with pytest.raises(ValueError, match=r"velocity in config has shape \(4, 3\).* of w, \(5,\)"):
        sgd_momentum(torch.ones(5), torch.ones(5), config)
