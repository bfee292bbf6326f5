"""The schemas: a plain dataclass for each option of a group, with every default.

YAML holds choices, never a value that a schema has as its default. What a value is for, and its
unit, stands below its field.

Data sets are in ``data_sets.py``, update rules in ``optimizers.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeAlias, get_args

from fcsweep.config.allowed import (
    ACTIVATION,
    CLASS_WEIGHTS,
    COUNT,
    DTYPE,
    EPOCHS,
    FINITE,
    FIRST_LAYER,
    FRACTION,
    INITIALIZATION,
    LOSS,
    NORMALIZATION,
    NOT_NEGATIVE,
    OBJECTIVE,
    POSITIVE,
    SCHEDULE,
    SEED,
    TRACKERS,
    UNDER_ONE,
    Device,
    ImportPath,
)
from fcsweep.config.data_sets import DataConfig, DigitsConfig, MnistConfig, SklearnConfig
from fcsweep.config.fields import MISSING
from fcsweep.config.fields import key as _key
from fcsweep.config.fields import keywords as _keywords
from fcsweep.config.fields import sizes as _sizes
from fcsweep.config.optimizers import OptimizerConfig, SgdConfig


@dataclass
class TwoLayerConfig:
    """TwoLayerNet: one hidden layer, no dropout, L2 term ``reg * sum(W**2)``."""

    name: str = "two_layer"
    hidden_dims: list[int] = _sizes(100, single=True)
    """Units of the hidden layer; a list of exactly one size, >= 1."""
    weight_scale: float = _key(1e-3, POSITIVE, per_trial=True)
    """Standard deviation of the initial weights; > 0."""
    reg: float = _key(0.0, NOT_NEGATIVE, per_trial=True)
    """Strength of the L2 term; >= 0."""
    loss_function: str = _key("softmax", LOSS)
    """``softmax`` (nats) or ``svm`` (margin 1); of a quantity ``mse`` or ``huber`` (delta 1)."""
    label_smoothing: float = _key(0.0, UNDER_ONE, per_trial=True)
    """Share of each label that ``softmax`` spreads over all classes; in [0, 1)."""
    class_weights: str = _key("none", CLASS_WEIGHTS, per_trial=True)
    """How ``softmax`` weighs rows: ``none``, or ``balanced``, so that all classes count alike."""
    activation: str = _key("relu", ACTIVATION)
    """Of the hidden units: ``relu``, ``leaky_relu`` (slope 0.01), ``tanh`` or ``gelu``."""
    normalization: str = _key("none", NORMALIZATION)
    """Before the activation: ``none``, ``batch`` (over the minibatch) or ``layer`` (over units)."""
    initialization: str | None = _key(None, INITIALIZATION, optional=True, per_trial=True)
    """Initial weights by layer: ``kaiming`` or ``xavier``; null = by ``weight_scale``."""


@dataclass
class FullyConnectedConfig:
    """FullyConnectedNet of any depth, L2 term ``0.5 * reg * sum(W**2)``."""

    name: str = "fully_connected"
    hidden_dims: list[int] = _sizes(100)
    """Units of each hidden layer, first to last; at least one size, each >= 1."""
    weight_scale: float = _key(1e-2, POSITIVE, per_trial=True)
    """Standard deviation of the initial weights; > 0."""
    reg: float = _key(0.0, NOT_NEGATIVE, per_trial=True)
    """Strength of the L2 term; >= 0."""
    dropout: float = _key(0.0, UNDER_ONE, per_trial=True)
    """Probability of dropping a unit in training; in [0, 1)."""
    input_dropout: float = _key(0.0, UNDER_ONE, per_trial=True)
    """Probability of dropping an input in training; in [0, 1)."""
    loss_function: str = _key("softmax", LOSS)
    """``softmax`` (nats) or ``svm`` (margin 1); of a quantity ``mse`` or ``huber`` (delta 1)."""
    label_smoothing: float = _key(0.0, UNDER_ONE, per_trial=True)
    """Share of each label that ``softmax`` spreads over all classes; in [0, 1)."""
    class_weights: str = _key("none", CLASS_WEIGHTS, per_trial=True)
    """How ``softmax`` weighs rows: ``none``, or ``balanced``, so that all classes count alike."""
    activation: str = _key("relu", ACTIVATION)
    """Of the hidden units: ``relu``, ``leaky_relu`` (slope 0.01), ``tanh`` or ``gelu``."""
    normalization: str = _key("none", NORMALIZATION)
    """Before the activation: ``none``, ``batch`` (over the minibatch) or ``layer`` (over units)."""
    initialization: str | None = _key(None, INITIALIZATION, optional=True, per_trial=True)
    """Initial weights by layer: ``kaiming`` or ``xavier``; null = by ``weight_scale``."""


@dataclass
class TorchConfig:
    """An ``nn.Module`` of your own."""

    hidden_dims: ClassVar[list[int]] = [64, 64]
    """A guess for the size of a stack: what a module holds is known when it is built."""
    normalization: ClassVar[str] = "none"

    name: str = "torch"
    build: str = _key(MISSING, ImportPath())
    """Import path of a function, or of a class, that returns an untrained module.

    It gets ``kwargs``, and ``input_dim`` and ``num_classes`` if it has arguments of these names.
    """
    kwargs: dict[str, Any] = _keywords()
    """Keywords of ``build``. Trials that differ in decimal numbers alone may share a stack."""
    reg: float = _key(0.0, NOT_NEGATIVE, per_trial=True)
    """Strength of the L2 term over all parameters with two axes or more; >= 0."""
    loss_function: str = _key("softmax", LOSS)
    """``softmax`` (nats) or ``svm`` (margin 1); of a quantity ``mse`` or ``huber`` (delta 1)."""
    label_smoothing: float = _key(0.0, UNDER_ONE, per_trial=True)
    """Share of each label that ``softmax`` spreads over all classes; in [0, 1)."""
    class_weights: str = _key("none", CLASS_WEIGHTS, per_trial=True)
    """How ``softmax`` weighs rows: ``none``, or ``balanced``, so that all classes count alike."""


@dataclass
class SolverConfig:
    """How long and in what steps a run trains, and on what it is measured."""

    name: str = "default"
    num_epochs: int = _key(10, COUNT)
    """Passes over the training rows; >= 1."""
    batch_size: int = _key(100, COUNT)
    """Rows in a step; from 1 to the training rows in use. The last batch may be short."""
    schedule: str = _key("step", SCHEDULE, per_trial=True)
    """Learning rate over the epochs: ``constant``; ``step`` by ``lr_decay``; ``cosine`` to 0."""
    lr_decay: float = _key(1.0, FRACTION, per_trial=True)
    """Factor on the learning rate at each decay of the schedule ``step``; in (0, 1]."""
    decay_every: int = _key(1, COUNT, per_trial=True)
    """Epochs from one decay of the schedule ``step`` to the next; >= 1."""
    warmup: int = _key(0, EPOCHS, per_trial=True)
    """Epochs at the start in which the learning rate rises linearly; >= 0."""
    num_train_samples: int | None = _key(1_000, COUNT, optional=True)
    """At most so many training rows measure the train accuracy; >= 1, null = all in use."""
    num_val_samples: int | None = _key(None, COUNT, optional=True)
    """At most so many validation rows measure the val accuracy; >= 1, null = all in use."""
    eval_every: int = _key(1, COUNT)
    """Epochs from one evaluation to the next; >= 1. The last epoch is always evaluated."""
    patience: int | None = _key(None, COUNT, optional=True, per_trial=True)
    """Evaluations without a better objective that end the training; >= 1, null = none do."""
    first_layer: str = _key("plain", FIRST_LAYER)
    """In what it trains: ``plain``, its weights; ``row_space``, their parts along the rows in use.

    The second is the same training at a fraction of the cost where the training and validation rows
    in use are fewer than the inputs; for rules with a linear step. Equal within roundings.
    """
    checkpoint_seconds: float | None = _key(None, POSITIVE, optional=True)
    """Seconds from one checkpoint to the next, at least; > 0, null = no checkpoints.

    They are written after an epoch, and when a signal ends the run; a killed run goes on from them.
    """


LayeredConfig: TypeAlias = TwoLayerConfig | FullyConnectedConfig
ModelConfig: TypeAlias = LayeredConfig | TorchConfig


@dataclass
class RunConfig:
    """Everything that decides the numbers of a run, and who is told of them."""

    model: ModelConfig = field(default_factory=TwoLayerConfig)
    optimizer: OptimizerConfig = field(default_factory=SgdConfig)
    data: DataConfig = field(default_factory=DigitsConfig)
    solver: SolverConfig = field(default_factory=SolverConfig)
    seed: int = _key(0, SEED, per_trial=True)
    """Seed of initial weights, batches and dropout; in [0, 2**32)."""
    device: str = _key("auto", Device())
    """``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:N``."""
    dtype: str = _key("float32", DTYPE)
    """Floating point type of weights and images."""
    objective: str = _key("val_accuracy", OBJECTIVE)
    """What a run is judged by: the best over its epochs, on the validation rows in use.

    Which end is best follows from it (`fcsweep.objectives`).
    """
    target: float | None = _key(None, FINITE, optional=True)
    """The objective that counts as success, such as 0.9 of an accuracy; null = none."""
    tracker: list[str] | None = _key(None, TRACKERS, optional=True)
    """Trackers that are told of the run; null = none. It decides no number (`NO_NUMBER`)."""


NO_NUMBER = ("tracker",)
"""Keys that decide no number: a run and a study go on with other values of them."""


def _by_name(schemas: object) -> dict[str, type[Any]]:
    """The options of a group whose schemas are a union."""
    return {schema.name: schema for schema in get_args(schemas)}


GROUPS: dict[str, dict[str, type[Any]]] = {
    "model": {
        "two_layer": TwoLayerConfig,
        "three_layer": FullyConnectedConfig,
        "five_layer": FullyConnectedConfig,
        "fully_connected": FullyConnectedConfig,
        "torch": TorchConfig,
    },
    "optimizer": _by_name(OptimizerConfig),
    "data": {
        **_by_name(DataConfig),
        "fashion_mnist": MnistConfig,
        **dict.fromkeys(("breast_cancer", "wine", "diabetes"), SklearnConfig),
    },
    "solver": {"default": SolverConfig},
}

HIDDEN_LAYERS = {"three_layer": 2, "five_layer": 4}
"""Models that are named for their depth."""


def known_keys() -> Iterator[str]:
    """Every key that a config may have, groups first, dotted."""
    yield from names(RunConfig)
    for group, options in GROUPS.items():
        for schema in options.values():
            yield from (f"{group}.{name}" for name in names(schema))


def conditional_keys() -> set[str]:
    """The keys that only some options of their group have, dotted."""
    return {
        f"{group}.{name}"
        for group, options in GROUPS.items()
        for some in options.values()
        for name in names(some)
        if not all(name in names(schema) for schema in options.values())
    }


def names(schema: type[Any]) -> list[str]:
    """The keys of a schema, in order."""
    return [spec.name for spec in fields(schema)]
