"""Data, net, rule and Solver of a config: the one module that knows both sides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, cast

import torch
from safetensors.numpy import save

from fcsweep import data
from fcsweep.config import (
    CustomConfig,
    OptimizerConfig,
    RunConfig,
    TorchConfig,
    TwoLayerConfig,
)
from fcsweep.labels import balanced_weights
from fcsweep.messages.errors import DeviceError
from fcsweep.modules import ModuleNet
from fcsweep.nets import FullyConnectedNet, TwoLayerNet
from fcsweep.optim import RULES, Function, UpdateRule
from fcsweep.row_space import NetInRowSpace, RowSpace
from fcsweep.run.own_code import custom_net, custom_rule
from fcsweep.solver import Solver


def solver_of(configs: Sequence[RunConfig], dataset: data.Dataset, device: torch.device) -> Solver:
    """Net and rule of a stack."""
    first = configs[0]
    net, solver = net_of(configs, dataset, device), first.solver
    examples: data.Dataset | RowSpace = dataset
    if solver.first_layer == "row_space":
        examples = RowSpace(dataset, solver.num_val_samples)
        net = NetInRowSpace(cast("FullyConnectedNet", net), examples)
    return Solver(
        net,
        examples,
        update_rule=rule_of(first),
        optim_config=_optim_config(configs),
        lr_decay=_constant(configs, "solver", "lr_decay"),
        schedule=[config.solver.schedule for config in configs],
        decay_every=[config.solver.decay_every for config in configs],
        warmup=[config.solver.warmup for config in configs],
        patience=_each([_or_never(config.solver.patience) for config in configs]),
        clip_norm=_each([_or_never(config.optimizer.clip_norm) for config in configs]),
        num_epochs=solver.num_epochs,
        batch_size=solver.batch_size,
        num_train_samples=solver.num_train_samples,
        num_val_samples=solver.num_val_samples,
        eval_every=solver.eval_every,
        seed=[config.seed for config in configs],
        verbose=False,
        objective=first.objective,
        target_scale=dataset.target_scale,
    )


def best_file(solver: Solver, place: int) -> bytes:
    """The best parameters of a trial so far, as a safetensors file."""
    net, params = solver.model, solver.best_params
    if isinstance(net, NetInRowSpace):
        best = net.outside(params, place)
    else:
        best = {name: p[place] for name, p in params.items()}
    return save({name: p.cpu().contiguous().numpy() for name, p in best.items()})


NO_CONSTANT = ("name", "rule", "constants", "clip_norm")
"""Keys of an optimizer that are no constant of its rule."""


WORDS = ("initialization", "class_weights")
"""Keys of a model that are one word a trial, not a number."""


def rule_of(config: RunConfig) -> UpdateRule | Function:
    """The update rule that a config names."""
    rule = config.optimizer
    return custom_rule(config) if isinstance(rule, CustomConfig) else RULES[rule.rule]


def _optim_config(configs: Sequence[RunConfig]) -> dict[str, torch.Tensor]:
    """The constants of the rule, a number for each trial."""
    rows = [_constants(config.optimizer) for config in configs]
    return {name: _each([row[name] for row in rows]) for name in rows[0]}


def _constants(rule: OptimizerConfig) -> dict[str, float]:
    own = rule.constants if isinstance(rule, CustomConfig) else {}
    keys = [spec.name for spec in fields(rule) if spec.name not in NO_CONSTANT]
    return {**{key: getattr(rule, key) for key in keys}, **own}


def net_of(
    configs: Sequence[RunConfig], dataset: data.Dataset, device: torch.device
) -> FullyConnectedNet | ModuleNet:
    """A stack with a trial for each config, with its initial weights.

    Raises:
        ConfigError: a model of the user's own that cannot be built or stacked.
    """
    weights = _class_weights(configs, dataset)
    if isinstance(configs[0].model, TorchConfig):
        return custom_net(configs, dataset.X_train.shape[1], dataset.num_classes, device, weights)
    options = {
        **_model_options(configs),
        "class_weights": weights,
        "input_dim": dataset.X_train.shape[1],
        "num_classes": dataset.num_classes,
        "seed": [config.seed for config in configs],
        "dtype": dataset.X_train.dtype,
        "device": device,
    }
    if isinstance(configs[0].model, TwoLayerConfig):
        (options["hidden_dim"],) = options.pop("hidden_dims")
        return TwoLayerNet(**options)
    return FullyConnectedNet(**options)


def _model_options(configs: Sequence[RunConfig]) -> dict[str, Any]:
    """Every key of the model but its name, as the net's argument of that name."""
    model = configs[0].model
    specs = [spec for spec in fields(model) if spec.name != "name"]
    shared = {spec.name: getattr(model, spec.name) for spec in specs}
    per_trial = [spec.name for spec in specs if spec.metadata["per_trial"]]
    each = {name: [getattr(config.model, name) for config in configs] for name in per_trial}
    return shared | {name: each[name] if name in WORDS else _each(each[name]) for name in each}


def _class_weights(configs: Sequence[RunConfig], dataset: data.Dataset) -> torch.Tensor | None:
    """Of each trial, ``(k, c)``; None if no trial has any."""
    balances = [config.model.class_weights == "balanced" for config in configs]
    if not any(balances):
        return None
    weights = balanced_weights(dataset.y_train, dataset.num_classes)
    return torch.stack([weights if one else torch.ones_like(weights) for one in balances])


def _constant(configs: Sequence[RunConfig], group: str, key: str) -> torch.Tensor:
    """A key of each trial, ``(k,)`` float64."""
    return _each([getattr(getattr(config, group), key) for config in configs])


def _or_never(limit: float | None) -> float:
    return math.inf if limit is None else limit


def _each(values: Sequence[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def device_of(name: str) -> torch.device:
    """The device that a config names; ``auto`` is a GPU where there is one.

    Raises:
        DeviceError: torch finds no such GPU here.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    device = torch.device(("cuda" if count else "cpu") if name == "auto" else name)
    if device.type != "cuda":
        return device
    if count == 0:
        raise DeviceError(
            f"device is {name!r}, but torch {torch.__version__} finds no GPU here; "
            "expected cpu, or auto for a GPU only where there is one"
        )
    if (device.index or 0) >= count:
        names = ", ".join(f"cuda:{number}" for number in range(count))
        raise DeviceError(f"device is {name!r}; expected one of {names}, cpu, auto")
    return device
