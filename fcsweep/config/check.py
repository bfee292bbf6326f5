"""Checks every config, composed or saved: it becomes a `RunConfig`, or is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from fcsweep.config.allowed import FRACTION, LOSS, POSITIVE, Allowed, Measured, Range
from fcsweep.config.data_sets import (
    DataConfig,
    ImagesConfig,
    MeasuredConfig,
    SklearnConfig,
    TableConfig,
)
from fcsweep.config.fields import MISSING
from fcsweep.config.optimizers import MomentumConfig, NesterovConfig, SgdConfig
from fcsweep.config.saved import flat
from fcsweep.config.schemas import GROUPS, HIDDEN_LAYERS, RunConfig, TorchConfig, known_keys, names
from fcsweep.config.sizes import rows_in_use
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import hint, join, nearest, render
from fcsweep.objectives import OBJECTIVES

LINEAR = (SgdConfig, MomentumConfig, NesterovConfig)
"""Rules that take the same steps in any rotated coordinates (`fcsweep.row_space`)."""

OF_SWEEPS = (
    *("hydra.sweep.dir", "hydra.run.dir"),
    *(f"hydra.sweeper.{name}" for name in ("n_trials", "n_jobs", "timeout", "repeats", "storage")),
    *("hydra.sweeper.sampler.seed", "hydra.launcher.workers"),
)
"""Keys of Hydra that are given without ``hydra.``, for hints alone."""


OF_NUMBERS = ("mse", "huber")
"""Losses of regression."""
UP_TO_1 = Range(-math.inf, 1)


def typed(cfg: DictConfig | Mapping[str, Any]) -> RunConfig:
    """Check a composed or a saved config against its schemas and return plain dataclasses.

    Args:
        cfg: A config as Hydra composed it (its ``hydra`` node is ignored), or the mapping read
            from a run's ``.hydra/config.yaml``. It is not changed. A missing key gets the default
            of its schema; the groups and their ``name`` are required.

    Returns:
        The config, every number in the type of its field, ``data.root`` absolute.

    Raises:
        ConfigError: An unknown, misspelt or missing key, a value of the wrong kind or out of its
            range, or a size that the data does not have.
    """
    data = _plain(cfg)
    known = {spec.name: spec for spec in fields(RunConfig)}
    for key, value in data.items():
        if key not in known:
            raise _unknown_key(str(key), value)
    values = {group: _section(group, data.get(group)) for group in GROUPS}
    values |= {
        key: _convert(key, data[key], spec)
        for key, spec in known.items()
        if key in data and key not in GROUPS
    }
    config = RunConfig(**values)
    _check_objective(config)
    check_sizes(config)
    _check_loss(config)
    _check_normalization(config)
    _check_linear(config)
    return config


def _plain(cfg: DictConfig | Mapping[str, Any]) -> dict[str, Any]:
    """The config as plain containers, interpolations resolved, without Hydra's own node."""
    if not isinstance(cfg, DictConfig):
        return dict(cfg)
    own = OmegaConf.masked_copy(cfg, [key for key in cfg if key != "hydra"])  # type: ignore[arg-type]
    try:
        plain = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = str(error.full_key)
        raise ConfigError(f"{key} is missing; expected {_expectation(key)}") from error
    except OmegaConfBaseException as error:
        text = str(error).partition("\n")[0].rstrip(".")
        raise ConfigError(f"{error.full_key} has no value: {text}") from error
    return cast("dict[str, Any]", plain)


def _section(group: str, data: object) -> Any:
    """The config of one group, in the schema that its name asks for."""
    options = GROUPS[group]
    if not isinstance(data, Mapping):
        expected = f"a mapping with a name, one of {join(options)}"
        raise ConfigError(f"{group} is {render(data)}; expected {expected}")
    section = cast("Mapping[str, Any]", data)
    name = section.get("name")
    if not isinstance(name, str) or name not in options:
        raise ConfigError(
            f"{group}.name is {render(name)}; expected one of {join(options)}"
            + hint(str(name), options)
        )
    schema = options[name]
    known = {spec.name: spec for spec in fields(schema)}
    for key, value in section.items():
        if key not in known:
            raise _unknown_key(f"{group}.{key}", value, name)
    for key, spec in known.items():
        if section.get(key, spec.default) == MISSING:
            raise ConfigError(f"{group}.{key} is missing; expected {spec.metadata['allowed']}")
    values = {
        key: _convert(f"{group}.{key}", value, known[key])
        for key, value in section.items()
        if key != "name"
    }
    return schema(name=name, **values)


def _convert(key: str, value: object, spec: Field[Any]) -> Any:
    """The value in the type of its field, or a ConfigError that says what the key expects."""
    allowed: Allowed = spec.metadata["allowed"]
    optional: bool = spec.metadata["optional"]
    if value in allowed:
        return allowed.keep(value)
    if value is None and optional:
        return None
    null = " or null" if optional else ""
    near = hint(value, allowed.words) if isinstance(value, str) else ""
    near = f"; did you mean [{value}]?" if [value] in allowed else near
    raise ConfigError(f"{key} is {render(value)}; expected {allowed}{null}{near}")


def check_sizes(config: RunConfig) -> None:
    """Refuse counts above those of the data, and a depth that the model does not have.

    Raises:
        ConfigError: One of them.
    """
    depth = HIDDEN_LAYERS.get(config.model.name, len(config.model.hidden_dims))
    if len(config.model.hidden_dims) != depth:
        raise ConfigError(
            f"model.hidden_dims is {config.model.hidden_dims}; expected {depth} sizes for "
            f"{config.model.name} (model=fully_connected takes any number)"
        )
    data, solver = config.data, config.solver
    _check_table(data)
    if isinstance(data, Measured) and data.sizes is None:
        return
    _check_task(config)
    rows = data.rows
    train = f"the training rows of {data.name}"
    val = f"the validation rows of {data.name}"
    _at_most("data.num_train", data.num_train, rows.train, train)
    _at_most("data.num_val", data.num_val, rows.val, val)
    if isinstance(data, ImagesConfig):
        pixels = f"the pixels of an image of {data.name}"
        _at_most("data.components", data.components, data.pixels, pixels)
    # Against all rows of the split: `data.num_train=50` alone must not fail for the default of
    # 1,000 samples, nor may a small table. A solver measures on the rows in use, at most.
    if isinstance(data, ImagesConfig):
        most = max(rows.train, data.published.train)
        _at_most("solver.num_train_samples", solver.num_train_samples, most, train)
    _at_most("solver.num_val_samples", solver.num_val_samples, rows.val, val)
    if data.num_train is not None:
        used = "the value of data.num_train"
        _at_most("solver.batch_size", solver.batch_size, data.num_train, used)
    _at_most("solver.batch_size", solver.batch_size, rows.train, train)
    _check_row_space(config)


def _check_row_space(config: RunConfig) -> None:
    """Refuse the row space of rows that span all inputs, and of inputs that cannot be rotated."""
    if config.solver.first_layer != "row_space":
        return
    if isinstance(config.model, TorchConfig):
        raise ConfigError(
            "solver.first_layer is row_space; expected plain with model=torch, whose layers are "
            "its own"
        )
    if dropped := getattr(config.model, "input_dropout", 0):
        raise ConfigError(
            f"solver.first_layer is row_space; expected plain with model.input_dropout={dropped:g},"
            " as coordinates in a row space are no inputs"
        )
    inputs, (train, val) = config.data.inputs, rows_in_use(config)
    if train + val >= inputs:
        raise ConfigError(
            f"solver.first_layer is row_space; expected plain, as {train} training and {val} "
            f"validation rows are not fewer than the {inputs} inputs of {config.data.name} "
            "(data.num_train and solver.num_val_samples take fewer)"
        )


def _check_linear(config: RunConfig) -> None:
    """Refuse a rule that takes other steps in a row space."""
    if config.solver.first_layer == "row_space" and not isinstance(config.optimizer, LINEAR):
        raise ConfigError(
            f"solver.first_layer is row_space; expected plain with optimizer="
            f"{config.optimizer.name}, as only the steps of sgd, momentum and nesterov are linear"
        )


def _check_table(data: DataConfig) -> None:
    """Refuse fractions that leave no training rows, and two ways to split at once."""
    if not isinstance(data, TableConfig | SklearnConfig):
        return
    if data.val_fraction + data.test_fraction >= 1:
        raise ConfigError(
            f"data.val_fraction is {data.val_fraction:g} and data.test_fraction "
            f"{data.test_fraction:g}; expected a sum < 1"
        )
    _check_folds(data)
    if isinstance(data, TableConfig) and data.split_column and (data.val_path or data.test_path):
        raise ConfigError(
            f"data.split_column is {data.split_column}, but data.val_path or data.test_path names "
            "another file; give one of them"
        )


def _check_folds(data: MeasuredConfig) -> None:
    """Refuse a fold that is not there, and folds of rows that are split already."""
    if data.fold >= (data.folds or 1):
        folds = "null: give it" if data.folds is None else f"{data.folds}: expected less"
        raise ConfigError(f"data.fold is {data.fold}, but data.folds is {folds}")
    if data.folds is not None and isinstance(data, TableConfig):
        for name in ("split_column", "val_path"):
            if getattr(data, name) is not None:
                raise ConfigError(
                    f"data.folds is {data.folds}, but data.{name} says which rows validate; give "
                    "one of them"
                )


def _check_task(config: RunConfig) -> None:
    """Refuse a loss or an objective that is not for such a target."""
    task = "classification" if config.data.classes > 1 else "regression"
    losses = [name for name in LOSS.words if (name in OF_NUMBERS) == (task == "regression")]
    objectives = [one.name for one in OBJECTIVES.values() if one.task in (task, None)]
    given = {
        "model.loss_function": (config.model.loss_function, losses),
        "objective": (config.objective, objectives),
    }
    wrong = {key: fitting for key, (one, fitting) in given.items() if one not in fitting}
    if wrong:
        named = join(f"{key} is {given[key][0]}" for key in wrong)
        expected = join(f"{key}={'|'.join(fitting)}" for key, fitting in wrong.items())
        what = f"data={config.data.name} is for {task}, but {named}"
        raise ConfigError(f"{what}; expected {expected}")


def _check_objective(config: RunConfig) -> None:
    """Refuse a target that the objective cannot reach, or has always reached."""
    objective, target = OBJECTIVES[config.objective], config.target
    allowed = FRACTION if objective.fraction else POSITIVE if objective.low else UP_TO_1
    if target is not None and target not in allowed:
        of = "" if objective.recorded and objective.fraction else f" of {objective.name}"
        raise ConfigError(f"target is {target:g}; expected {allowed}{of} or null")


def _check_loss(config: RunConfig) -> None:
    """Refuse what a loss does not have."""
    model = config.model
    if config.objective == "log_loss" and model.loss_function == "svm":
        raise ConfigError(
            "objective is log_loss; expected val_loss or another with model.loss_function=svm, as "
            "softmax alone gives probabilities"
        )
    if model.loss_function == "softmax":
        return
    for key, value, off in (
        ("label_smoothing", model.label_smoothing, 0),
        ("class_weights", model.class_weights, "none"),
    ):
        if value != off:
            raise ConfigError(
                f"model.{key} is {value}; expected {off} with model.loss_function="
                f"{model.loss_function}, as softmax alone has it"
            )


def _check_normalization(config: RunConfig) -> None:
    """Refuse minibatches of one row where they are normalized."""
    if config.model.normalization == "batch" and config.solver.batch_size == 1:
        raise ConfigError(
            "solver.batch_size is 1; expected at least 2 with model.normalization=batch, as one "
            "row has no variance (model.normalization=layer needs none)"
        )


def _at_most(key: str, value: int | None, most: int, what: str) -> None:
    if value is not None and value > most:
        raise ConfigError(f"{key} is {value}; expected at most {most}, {what}")


def _unknown_key(key: str, value: object, option: str | None = None) -> ConfigError:
    """The error for a key that no schema has, or that belongs to another option of its group."""
    if isinstance(value, Mapping):
        inner = flat(cast("Mapping[str, Any]", value), f"{key}.")
        key, value = next(iter(inner.items()), (key, "{}"))
    group, _, name = key.partition(".")
    text = f"unknown key {key} (given {render(value, key)})"
    if option is None:
        near = _suggest(nearest(key, known_keys())) or hint(key, OF_SWEEPS)
        return ConfigError(text + (near or _choices(names(RunConfig))))
    if belongs := _owners(group, name):
        return ConfigError(f"{text} for {group}={option}; it belongs to {belongs}")
    own = _settable(GROUPS[group][option])
    if near := nearest(name, own):
        return ConfigError(text + _suggest(f"{group}.{near}"))
    if near := nearest(name, [one for schema in GROUPS[group].values() for one in names(schema)]):
        key = f"{group}.{near}"
        return ConfigError(f"{text}; did you mean {key}, which belongs to {_owners(group, near)}?")
    others = [known for known in known_keys() if not known.endswith(".name")]
    return ConfigError(text + (_suggest(nearest(name, others)) or _choices(own)))


def _owners(group: str, name: str) -> str:
    """The options of a group that have a key."""
    return join(option for option, schema in GROUPS[group].items() if name in names(schema))


def _settable(schema: type[Any]) -> list[str]:
    """The keys of an option, without the name by which it is chosen."""
    return [name for name in names(schema) if name != "name"]


def _suggest(key: str | None) -> str:
    return f"; did you mean {key}, {_expectation(key)}?" if key else ""


def _choices(keys: list[str]) -> str:
    return f"; expected one of {join(keys)}"


def _expectation(key: str) -> str:
    """What a key of the schemas expects."""
    group, _, name = key.rpartition(".")
    if key in GROUPS or name == "name":
        return f"one of {join(GROUPS[group or key])}"
    schemas = GROUPS[group].values() if group else [RunConfig]
    specs = [spec for schema in schemas for spec in fields(schema) if spec.name == name]
    return str(specs[0].metadata["allowed"])
