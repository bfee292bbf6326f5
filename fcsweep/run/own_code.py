"""Rules and models of the user's own, imported: what a run takes for them, or why it cannot.

Importing this module does not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, cast

from fcsweep.config import CustomConfig, RunConfig, TorchConfig
from fcsweep.courses.imported import load
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import join, one_line

if TYPE_CHECKING:
    import torch

    from fcsweep.modules import ModuleNet
    from fcsweep.optim import Function, UpdateRule


def custom_rule(config: RunConfig) -> UpdateRule | Function:
    """The update rule of a run with ``optimizer=custom``, imported.

    Raises:
        ConfigError: it cannot be imported, is no rule, or does not fit the rest of the config.
    """
    from fcsweep.optim import UpdateRule

    assert isinstance(config.optimizer, CustomConfig)
    path = config.optimizer.rule
    rule = load("optimizer.rule", path)
    if isinstance(rule, UpdateRule):
        if unknown := config.optimizer.constants.keys() - rule.constants.keys():
            expected = join(set(rule.constants) - {"learning_rate"})
            raise ConfigError(
                f"optimizer.constants has {join(unknown)}; {path} takes {expected or 'none'}"
            )
        return rule
    if not callable(rule) or isinstance(rule, type):
        expected = "a function (w, dw, config) -> (next_w, config), or an UpdateRule"
        raise ConfigError(f"optimizer.rule is {path}, {rule!r:.60}; expected {expected}")
    if config.solver.checkpoint_seconds is not None:
        raise ConfigError(
            f"solver.checkpoint_seconds is {config.solver.checkpoint_seconds:g}, but {path} is a "
            "function, whose state no checkpoint holds; make it an UpdateRule, or set null"
        )
    return cast("Function", rule)


def custom_net(
    configs: Sequence[RunConfig],
    input_dim: int,
    num_classes: int,
    device: torch.device | str = "cpu",
    class_weights: torch.Tensor | None = None,
) -> ModuleNet:
    """The stack of the modules of runs with ``model=torch``, imported and built.

    torch's global generator has the seed of its run while a module is built.

    Args:
        configs: of the runs, which may share a stack.
        input_dim: numbers in an example.
        num_classes: how many classes; 1 of a quantity.
        device: where the parameters lie.
        class_weights: of each trial, ``(k, c)``; None: 1.

    Raises:
        ConfigError: it cannot be imported, built or stacked.
    """
    import torch

    from fcsweep.modules import ModuleNet

    models = [config.model for config in configs if isinstance(config.model, TorchConfig)]
    path, first = models[0].build, configs[0]
    build = load("model.build", path)
    given = {"input_dim": input_dim, "num_classes": num_classes}
    try:
        takes = signature(build).parameters
        given = {name: value for name, value in given.items() if name in takes}
        modules: list[Any] = []
        with torch.random.fork_rng(devices=[]):
            for config, model in zip(configs, models, strict=True):
                torch.default_generator.manual_seed(config.seed)
                modules.append(build(**{**given, **model.kwargs}))
        return ModuleNet(
            modules,
            input_dim,
            num_classes,
            reg=[model.reg for model in models],
            loss_function=models[0].loss_function,
            label_smoothing=[model.label_smoothing for model in models],
            class_weights=class_weights,
            seed=[config.seed for config in configs],
            dtype=getattr(torch, first.dtype),
            device=device,
        )
    except Exception as error:
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            raise
        raise ConfigError(f"model.build is {path}: {one_line(error)}") from error
