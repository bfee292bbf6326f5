"""The schemas of the group ``optimizer``: the constants of each update rule.

A ``ClassVar`` is a fact about the option and no key of a config: the name of the update ``rule`` (a
key of ``fcsweep.optim.RULES``), and the number of its ``state_tensors``, each as large as the
parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from fcsweep.config.allowed import NOT_NEGATIVE, POSITIVE, UNDER_ONE, ImportPath
from fcsweep.config.fields import MISSING, clip_norm, key, numbers


@dataclass
class SgdConfig:
    """Plain stochastic gradient descent."""

    rule: ClassVar[str] = "sgd"
    state_tensors: ClassVar[int] = 0

    name: str = "sgd"
    learning_rate: float = key(1e-2, POSITIVE, per_trial=True)
    """Step size: the weights move by this much times the gradient; > 0."""
    clip_norm: float | None = clip_norm()
    """Largest norm of the gradient of all parameters, scaled down to it; > 0, null = any."""


@dataclass
class MomentumConfig:
    """SGD with a velocity that gradients add to: the rule ``sgd_momentum``."""

    rule: ClassVar[str] = "sgd_momentum"
    state_tensors: ClassVar[int] = 1

    name: str = "momentum"
    learning_rate: float = key(1e-2, POSITIVE, per_trial=True)
    """Step size: the velocity gains this much times the gradient; > 0."""
    momentum: float = key(0.9, UNDER_ONE, per_trial=True)
    """Share of the velocity that is kept from step to step; in [0, 1)."""
    clip_norm: float | None = clip_norm()
    """Largest norm of the gradient of all parameters, scaled down to it; > 0, null = any."""


@dataclass
class NesterovConfig:
    """SGD with a velocity, and with the gradient of where it leads."""

    rule: ClassVar[str] = "nesterov"
    state_tensors: ClassVar[int] = 1

    name: str = "nesterov"
    learning_rate: float = key(1e-2, POSITIVE, per_trial=True)
    """Step size: the velocity gains this much times the gradient; > 0."""
    momentum: float = key(0.9, UNDER_ONE, per_trial=True)
    """Share of the velocity that is kept from step to step; in [0, 1)."""
    clip_norm: float | None = clip_norm()
    """Largest norm of the gradient of all parameters, scaled down to it; > 0, null = any."""


@dataclass
class RmspropConfig:
    """RMSProp: steps divided by a running root mean square of the gradient."""

    rule: ClassVar[str] = "rmsprop"
    state_tensors: ClassVar[int] = 1

    name: str = "rmsprop"
    learning_rate: float = key(1e-2, POSITIVE, per_trial=True)
    """Step size; one update moves a weight by about this much; > 0."""
    decay_rate: float = key(0.99, UNDER_ONE, per_trial=True)
    """Share of the mean square that is kept from step to step; in [0, 1)."""
    epsilon: float = key(1e-8, POSITIVE, per_trial=True)
    """Added to the root mean square, in units of the gradient; > 0."""
    clip_norm: float | None = clip_norm()
    """Largest norm of the gradient of all parameters, scaled down to it; > 0, null = any."""


@dataclass
class AdamConfig:
    """Adam, with bias correction."""

    rule: ClassVar[str] = "adam"
    state_tensors: ClassVar[int] = 2

    name: str = "adam"
    learning_rate: float = key(1e-3, POSITIVE, per_trial=True)
    """Step size; one update moves a weight by about this much; > 0."""
    beta1: float = key(0.9, UNDER_ONE, per_trial=True)
    """Share of the mean gradient that is kept from step to step; in [0, 1)."""
    beta2: float = key(0.999, UNDER_ONE, per_trial=True)
    """Share of the mean square that is kept from step to step; in [0, 1)."""
    epsilon: float = key(1e-8, POSITIVE, per_trial=True)
    """Added to the root mean square, in units of the gradient; > 0."""
    clip_norm: float | None = clip_norm()
    """Largest norm of the gradient of all parameters, scaled down to it; > 0, null = any."""


@dataclass
class AdamwConfig:
    """Adam with weight decay that does not pass through the gradient."""

    rule: ClassVar[str] = "adamw"
    state_tensors: ClassVar[int] = 2

    name: str = "adamw"
    learning_rate: float = key(1e-3, POSITIVE, per_trial=True)
    """Step size; one update moves a weight by about this much; > 0."""
    beta1: float = key(0.9, UNDER_ONE, per_trial=True)
    """Share of the mean gradient that is kept from step to step; in [0, 1)."""
    beta2: float = key(0.999, UNDER_ONE, per_trial=True)
    """Share of the mean square that is kept from step to step; in [0, 1)."""
    epsilon: float = key(1e-8, POSITIVE, per_trial=True)
    """Added to the root mean square, in units of the gradient; > 0."""
    weight_decay: float = key(1e-2, NOT_NEGATIVE, per_trial=True)
    """Each step takes ``learning_rate`` times this share from every parameter; >= 0."""
    clip_norm: float | None = clip_norm()
    """Largest norm of the gradient of all parameters, scaled down to it; > 0, null = any."""


@dataclass
class CustomConfig:
    """An update rule of your own: ``(w, dw, config) -> (next_w, config)``."""

    state_tensors: ClassVar[int] = 2
    """A guess: what a rule keeps is known when it runs."""

    name: str = "custom"
    rule: str = key(MISSING, ImportPath())
    """Import path of a function, or of an ``UpdateRule`` as those of ``fcsweep.optim``."""
    learning_rate: float = key(1e-2, POSITIVE, per_trial=True)
    """Step size, ``learning_rate`` in the config of the rule; > 0."""
    constants: dict[str, float] = numbers()
    """Further numbers in the config of the rule, by name."""
    clip_norm: float | None = clip_norm()
    """Largest norm of the gradient of all parameters, scaled down to it; > 0, null = any."""


OptimizerConfig: TypeAlias = (
    SgdConfig
    | MomentumConfig
    | NesterovConfig
    | RmspropConfig
    | AdamConfig
    | AdamwConfig
    | CustomConfig
)
