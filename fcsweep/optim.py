"""Update rules: ``rule(w, dw, config) -> (next_w, config)``, as the courses write them.

A ``config`` holds the constants of the rule and its state; a constant may also be ``(*t,)``, one
value each trial. A rule called this way changes neither ``w`` nor ``dw`` and writes its new state
into ``config``, where the courses' notebooks read it. The Solver uses the same arithmetic in place,
``rule.step``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fcsweep.kernels.arithmetic import total
from fcsweep.kernels.arrays import array, tensor

Config = dict[str, Any]
Function = Callable[[Any, Any, Config], tuple[Any, Any]]
"""A rule that is a plain function, as the courses' own are."""


@dataclass(frozen=True)
class UpdateRule:
    """An update rule as a value: its constants with the courses' defaults, its state, its step."""

    name: str
    constants: Mapping[str, float]
    state: tuple[str, ...]
    """Names of its state tensors, each of the shape of ``w`` and initially zero."""
    step: Callable[[Tensor, Tensor, Config], None]
    """One step in place."""

    def __call__(
        self, w: Tensor, dw: Tensor, config: Config | None = None
    ) -> tuple[Tensor, Config]:
        """The next ``w``, and the config for the next call: the given dict, updated.

        The call sets every constant and state in ``config``, the state to new tensors: the tensors
        that it held keep their values, as do ``w`` and ``dw``.

        Args:
            w: ``(*t, ...)``, parameters.
            dw: gradient of the loss, of the same shape.
            config: constants (a float, or a tensor ``(*t,)``) and the state of earlier calls, of
                this ``w`` alone; None for the default constants and no earlier calls. With ``w`` as
                a NumPy array the next ``w`` and the state are arrays, too.

        Raises:
            TypeError: the config is not a dict.
            ValueError: it holds a name that this rule does not know, or state of another shape.
        """
        config = {} if config is None else config
        given, of_arrays = self.complete(config, w), isinstance(w, np.ndarray)
        w, dw = tensor(w, "w"), tensor(dw, "dw")
        working = {k: tensor(v, k).clone() if k in self.state else v for k, v in given.items()}
        working |= {k: per_trial(given[k], w) for k in self.constants}
        next_w = w.clone()
        self.step(next_w, dw, working)
        state = {k: array(working[k]) if of_arrays else working[k] for k in self.state}
        config.update(working | state | {k: given[k] for k in self.constants})
        return (array(next_w) if of_arrays else next_w), config

    def complete(self, config: Mapping[str, Any], w: Tensor) -> Config:
        """The config, with defaults for the constants and the state that it lacks."""
        if not isinstance(config, MutableMapping):
            form = f"expected a dict such as {dict(self.constants)}, or None"
            raise TypeError(f"config of {self.name} is of type {type(config).__name__}; {form}")
        known = {*self.constants, *self.state, "t"}
        if unknown := [k for k in config if k not in known]:
            raise ValueError(f"{self.name} does not know {unknown}; it has {sorted(known)}")
        for k in self.state:
            if k in config and tensor(config[k], k).shape != w.shape:
                raise ValueError(
                    f"{k} in config has shape {tuple(config[k].shape)}; expected that of w, "
                    f"{tuple(w.shape)}: each parameter needs a config of its own"
                )
        zeros = {k: torch.zeros_like(tensor(w, "w")) for k in self.state if k not in config}
        return {**self.constants, "t": 0, **zeros, **config}


def per_trial(value: float | Tensor, w: Tensor) -> Tensor:
    """A constant in the type of ``w (*t, ...)``, reshaped to broadcast over each of its trials."""
    value = torch.as_tensor(value, dtype=w.dtype, device=w.device)
    return value.reshape(*value.shape, *[1] * (w.ndim - value.ndim)) if value.ndim else value


def clip_norm(dw: Sequence[Tensor], most: Tensor) -> None:
    """Scale a gradient whose norm over all its parts exceeds ``most``, in place (Pascanu, 2013).

    Args:
        dw: its parts, each ``(k, size)``.
        most: the largest norm of each trial, ``(k,)``; infinity changes nothing.
    """
    squares = [total(part.square(), -1) for part in dw]
    norm = reduce(torch.add, squares).sqrt_()
    factor = torch.where(norm > most, most / norm, 1.0).unsqueeze(-1)
    for part in dw:
        part.mul_(factor)


def _sgd(w: Tensor, dw: Tensor, c: Config) -> None:
    """``w <- w - learning_rate dw``."""
    w.addcmul_(dw, c["learning_rate"], value=-1)


def _sgd_momentum(w: Tensor, dw: Tensor, c: Config) -> None:
    """``v <- momentum v - learning_rate dw``, ``w <- w + v`` (CS231n; Polyak, 1964)."""
    v = c["velocity"]
    v.mul_(c["momentum"]).addcmul_(dw, c["learning_rate"], value=-1)
    w.add_(v)


def _nesterov(w: Tensor, dw: Tensor, c: Config) -> None:
    """``v`` as with momentum, then ``w <- w + momentum v - learning_rate dw`` (Nesterov, 1983).

    The form of Sutskever et al. (2013), written for the point at which it takes the gradient.
    """
    v = c["velocity"]
    v.mul_(c["momentum"]).addcmul_(dw, c["learning_rate"], value=-1)
    w.addcmul_(v, c["momentum"]).addcmul_(dw, c["learning_rate"], value=-1)


def _rmsprop(w: Tensor, dw: Tensor, c: Config) -> None:
    """``s <- d s + (1 - d) dw^2``, ``w <- w - learning_rate dw / (sqrt(s) + epsilon)`` (Hinton)."""
    average, decay = c["cache"], c["decay_rate"]
    average.mul_(decay).addcmul_(dw * (1 - decay), dw)
    w.sub_(dw * c["learning_rate"] / average.sqrt().add_(c["epsilon"]))


def _adam(w: Tensor, dw: Tensor, c: Config) -> None:
    """Kingma and Ba (2015), algorithm 1."""
    m, v, beta1, beta2 = c["m"], c["v"], c["beta1"], c["beta2"]
    c["t"] += 1
    m.mul_(beta1).addcmul_(dw, 1 - beta1)
    v.mul_(beta2).addcmul_(dw * (1 - beta2), dw)
    m_hat = m / (1 - _power(beta1, c["t"]))
    v_hat = v / (1 - _power(beta2, c["t"]))
    w.sub_(m_hat * c["learning_rate"] / v_hat.sqrt_().add_(c["epsilon"]))


def _adamw(w: Tensor, dw: Tensor, c: Config) -> None:
    """``w <- w - learning_rate weight_decay w``, then Adam (Loshchilov and Hutter, 2019)."""
    w.mul_(1 - c["learning_rate"] * c["weight_decay"])
    _adam(w, dw, c)


def _power(base: Tensor, exponent: int) -> Tensor:
    """By repeated squaring: torch's own power rounds by the place of an element in a stack."""
    result, square = torch.ones_like(base, dtype=torch.float64), base.double()
    while exponent:
        if exponent & 1:
            result = result * square
        square, exponent = square * square, exponent >> 1
    return result.to(base)


sgd = UpdateRule("sgd", {"learning_rate": 1e-2}, (), _sgd)
sgd_momentum = UpdateRule(
    "sgd_momentum", {"learning_rate": 1e-2, "momentum": 0.9}, ("velocity",), _sgd_momentum
)
nesterov = UpdateRule(
    "nesterov", {"learning_rate": 1e-2, "momentum": 0.9}, ("velocity",), _nesterov
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
adamw = UpdateRule("adamw", {**adam.constants, "weight_decay": 1e-2}, adam.state, _adamw)

RULES = {rule.name: rule for rule in (sgd, sgd_momentum, nesterov, rmsprop, adam, adamw)}
"""Each rule by its name."""


def rule_of(rule: UpdateRule | Function | str) -> UpdateRule | Function:
    """A rule, or the one of a name; ``"momentum"``, as on the command line, is ``sgd_momentum``.

    Raises:
        ValueError: no rule has this name.
    """
    if callable(rule):
        return rule
    rule = "sgd_momentum" if rule == "momentum" else rule
    if rule not in RULES:
        form = "(w, dw, config) -> (next_w, config)"
        raise ValueError(f"update_rule is {rule!r}; expected one of {[*RULES]}, or a rule {form}")
    return RULES[rule]
