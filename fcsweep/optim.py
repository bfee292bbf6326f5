"""Update rules: ``rule(w, dw, config) -> (next_w, config)``, as the courses write them.

A ``config`` holds the constants of the rule and its state; each may also be ``(*t,)``, one value
each trial. A rule called this way changes nothing that it is given. The Solver uses the same
arithmetic in place, ``rule.update``. Only single roundings (no fused multiply-add) appear, so that
an element gets the same bits wherever in a stack it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Config = dict[str, Any]


@dataclass(frozen=True)
class UpdateRule:
    """An update rule as a value: its constants with the courses' defaults, its state, its step."""

    name: str
    constants: Mapping[str, float]
    state: tuple[str, ...]
    """Names of the tensors like ``w`` that it carries from step to step, zero at first."""
    step: Callable[[Tensor, Tensor, Config], None]
    """One step in place; may overwrite ``dw``."""

    def __call__(
        self, w: Tensor, dw: Tensor, config: Mapping[str, Any] | None = None
    ) -> tuple[Tensor, Config]:
        """The next ``w`` and the config to hand to the next call; nothing given is changed.

        Args:
            w: ``(*t, ...)``, parameters.
            dw: gradient of the loss, of the same shape.
            config: constants (a float, or a tensor ``(*t,)``) and the state of earlier calls.

        Raises:
            ValueError: the config holds a name that this rule does not know.
        """
        given = self.complete(config or {}, w)
        working = {k: v.clone() if k in self.state else v for k, v in given.items()}
        working |= {k: per_trial(given[k], w) for k in self.constants}
        next_w = w.clone()
        self.step(next_w, dw.clone(), working)
        return next_w, working | {k: given[k] for k in self.constants}

    def complete(self, config: Mapping[str, Any], w: Tensor) -> Config:
        """The config with every constant and state that is not given."""
        known = {*self.constants, *self.state, "t"}
        if unknown := set(config) - known:
            raise ValueError(f"{self.name} does not know {sorted(unknown)}; it has {sorted(known)}")
        zeros = {k: torch.zeros_like(w) for k in self.state if k not in config}
        return {**self.constants, "t": 0, **zeros, **config}


def per_trial(value: float | Tensor, w: Tensor) -> Tensor:
    """A constant as a float64 tensor that multiplies each trial of ``w (*t, ...)``."""
    value = torch.as_tensor(value, dtype=torch.float64, device=w.device)
    return value.reshape(*value.shape, *[1] * (w.ndim - value.ndim)) if value.ndim else value


def _sgd(w: Tensor, dw: Tensor, c: Config) -> None:
    """``w <- w - learning_rate dw``."""
    w.sub_(dw.mul_(c["learning_rate"].to(w.dtype)))


def _sgd_momentum(w: Tensor, dw: Tensor, c: Config) -> None:
    """``v <- momentum v - learning_rate dw``, ``w <- w + v`` (CS231n; Polyak, 1964)."""
    v = c["velocity"]
    v.mul_(c["momentum"].to(w.dtype)).sub_(dw.mul_(c["learning_rate"].to(w.dtype)))
    w.add_(v)


def _rmsprop(w: Tensor, dw: Tensor, c: Config) -> None:
    """``s <- d s + (1 - d) dw^2``, ``w <- w - learning_rate dw / (sqrt(s) + epsilon)`` (Hinton)."""
    average, decay = c["cache"], c["decay_rate"]
    average.mul_(decay.to(w.dtype)).add_(dw.square().mul_((1 - decay).to(w.dtype)))
    scale = average.sqrt().add_(c["epsilon"].to(w.dtype))
    w.sub_(dw.mul_(c["learning_rate"].to(w.dtype)).div_(scale))


def _adam(w: Tensor, dw: Tensor, c: Config) -> None:
    """Kingma and Ba (2015), algorithm 1, with the bias corrections applied to both moments."""
    m, v, beta1, beta2 = c["m"], c["v"], c["beta1"], c["beta2"]
    c["t"] += 1
    m.mul_(beta1.to(w.dtype)).add_(dw.mul((1 - beta1).to(w.dtype)))
    v.mul_(beta2.to(w.dtype)).add_(dw.square().mul_((1 - beta2).to(w.dtype)))
    m_hat = m / (1 - _power(beta1, c["t"])).to(w.dtype)
    v_hat = v / (1 - _power(beta2, c["t"])).to(w.dtype)
    step = m_hat.mul_(c["learning_rate"].to(w.dtype))
    w.sub_(step.div_(v_hat.sqrt_().add_(c["epsilon"].to(w.dtype))))


def _power(base: Tensor, exponent: int) -> Tensor:
    """By repeated squaring: torch's own power rounds by the place of an element in a stack."""
    result = torch.ones_like(base)
    while exponent:
        if exponent & 1:
            result = result * base
        base, exponent = base * base, exponent >> 1
    return result


sgd = UpdateRule("sgd", {"learning_rate": 1e-2}, (), _sgd)
sgd_momentum = UpdateRule(
    "sgd_momentum", {"learning_rate": 1e-2, "momentum": 0.9}, ("velocity",), _sgd_momentum
)
rmsprop = UpdateRule(
    "rmsprop", {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8}, ("cache",), _rmsprop
)
adam = UpdateRule(
    "adam",
    {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    ("m", "v"),
    _adam,
)

RULES = {rule.name: rule for rule in (sgd, sgd_momentum, rmsprop, adam)}
