"""An update rule at work: its constants and its state for all parameters of a stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fcsweep.courses.rule_function import FunctionUpdates
from fcsweep.kernels.arrays import tensor
from fcsweep.kernels.parameters import NamedTensors, PerTrial, limits
from fcsweep.optim import Config, Function, UpdateRule, clip_norm, per_trial, rule_of


class Updates:
    """The updates of a rule.

    Args:
        rule: of ``fcsweep.optim``.
        params: what it updates.
        optim_config: constants of the rule; each may have one value a trial.

    Raises:
        ValueError: the rule has no such constant.
    """

    def __init__(
        self,
        rule: UpdateRule,
        params: NamedTensors,
        optim_config: Mapping[str, Any],
    ) -> None:
        if unknown := set(optim_config) - set(rule.constants):
            known = sorted(rule.constants)
            raise ValueError(f"optim_config has {sorted(unknown)}; {rule.name} takes {known}")
        self.rule = rule
        self._constants = {
            name: tensor(value, name).to("cpu", torch.float64).clone()
            for name, value in {**rule.constants, **optim_config}.items()
        }
        self._state = {name: params.learnt_like(zero=True) for name in rule.state}

    @property
    def learning_rate(self) -> Tensor:
        """Of now, ``(*t,)`` or ``()``."""
        return self._constants["learning_rate"]

    def configs(self, params: NamedTensors, step: int) -> list[Config]:
        """The config of the rule for each block of the parameters, after ``step`` updates."""
        return [
            {"t": step}
            | {name: per_trial(value, w) for name, value in self._constants.items()}
            | {name: state.blocks[place] for name, state in self._state.items()}
            for place, w in enumerate(params.blocks)
        ]

    def prepare(
        self, params: NamedTensors, gradient: NamedTensors, step: int
    ) -> Callable[[], None]:
        """A function that updates the parameters by what the gradient holds then.

        It is valid until ``scale`` or ``keep``; ``step`` counts the updates before its first call.
        """
        blocks = params.blocks, gradient.blocks, self.configs(params, step)
        return partial(self._update, [*zip(*blocks, strict=True)])

    def _update(self, blocks: list[tuple[Tensor, Tensor, Config]]) -> None:
        for w, dw, config in blocks:
            self.rule.step(w, dw, config)

    def scale(self, factor: Tensor) -> None:
        """Multiply the learning rate by a factor, ``()`` or ``(*t,)``."""
        self._constants["learning_rate"] = self._constants["learning_rate"] * factor

    def keep(self, trials: list[int]) -> None:
        """Let the other trials of a stack go; positions count from 0."""
        self._constants = {name: _select(value, trials) for name, value in self._constants.items()}
        self._state = {name: state.select(trials) for name, state in self._state.items()}

    def parts(self) -> Mapping[str, Tensor]:
        """What training goes on from, by name."""
        sets = self._state.items()
        state = {f"{of}.{name}": p for of, named in sets for name, p in named.items()}
        return {**state, "learning_rate": self.learning_rate}


class Clipping:
    """Clips the gradient before an update.

    Args:
        limit: largest norm over all parameters; may be one a trial. None: any.
        params: that the gradient is of.
    """

    def __init__(self, limit: PerTrial | None, params: NamedTensors) -> None:
        most = limits(limit, "clip_norm").expand(params.trials).reshape(-1)
        self._most = most.to(params.device, params.dtype)
        self._clips = bool(most.isfinite().any())

    def before(self, update: Callable[[], None], gradient: NamedTensors) -> Callable[[], None]:
        """A function that clips the gradient and then updates; valid until ``keep``."""
        return partial(self._clip, update, gradient) if self._clips else update

    def _clip(self, update: Callable[[], None], gradient: NamedTensors) -> None:
        clip_norm(gradient.pieces, self._most)
        update()

    def keep(self, trials: list[int]) -> None:
        """Let the other trials of a stack go; positions count from 0."""
        self._most = self._most[trials]


def updates_of(
    rule: UpdateRule | Function | str,
    params: NamedTensors,
    optim_config: Mapping[str, Any],
    arrays: bool,
) -> Updates | FunctionUpdates:
    """The updates of a rule, of the rule of a name, or of a function, which may get arrays."""
    rule = rule_of(rule)
    if isinstance(rule, UpdateRule):
        return Updates(rule, params, optim_config)
    return FunctionUpdates(rule, params, optim_config, arrays)


def _select(value: Tensor, trials: list[int]) -> Tensor:
    """Of one value for each trial, those; a value that all trials share stays."""
    return value[trials] if value.ndim else value
