"""An update rule that is a plain function ``(w, dw, config) -> (next_w, config)``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fcsweep.kernels.arrays import array
from fcsweep.kernels.parameters import NamedTensors, copy_to
from fcsweep.kernels.python_numbers import numbers


class FunctionUpdates:
    """A function as an update rule: it updates each parameter of each trial alone.

    The function gets copies of a trial's parameter and its gradient, with a config of their own: it
    may change and keep them, and need not know of stacks.

    Args:
        function: the rule.
        params: what it updates.
        config: what each parameter's config starts from; of a stack, a tensor ``(k,)`` gives each
            trial its number.
        arrays: whether the function gets NumPy arrays, as it does where the model or the data are
            made of them.
    """

    def __init__(
        self,
        function: Callable[[Any, Any, dict[str, Any]], tuple[Any, Any]],
        params: NamedTensors,
        config: Mapping[str, Any],
        arrays: bool,
    ) -> None:
        self.function, self._arrays, self._stacked = function, arrays, bool(params.trials)
        trials = range(params.trials.numel())
        self._configs: list[dict[str, Any]] = [
            {name: deepcopy(self._of_trial(config, trial)) for name in params.shapes}
            for trial in trials
        ]

    def _of_trial(self, config: Mapping[str, Any], trial: int) -> dict[str, Any]:
        """The config of one trial of a stack; that of a lone trial as it is."""
        return {
            name: value[trial].item() if self._stacked and _is_each(value) else value
            for name, value in config.items()
        }

    @property
    def learning_rate(self) -> Tensor:
        """Of each trial's first parameter, ``(*t,)``; NaN if its config has none."""
        rates = [_rate(next(iter(configs.values()))) for configs in self._configs]
        return torch.tensor(rates if self._stacked else rates[0], dtype=torch.float64)

    def prepare(
        self, params: NamedTensors, gradient: NamedTensors, step: int
    ) -> Callable[[], None]:
        """A function that updates the parameters by what the gradient holds then."""
        return partial(self._update, params, gradient)

    def _update(self, params: NamedTensors, gradient: NamedTensors) -> None:
        with torch.inference_mode(False), torch.no_grad():
            for trial, configs in enumerate(self._configs):
                for name, config in configs.items():
                    w, dw = (self._one(named[name], trial) for named in (params, gradient))
                    next_w, next_config = self._step(w, dw, config)
                    copy_to(w, next_w, name)
                    if next_config is not None:  # else the rule has none, and gets the old one
                        configs[name] = next_config

    def _one(self, parameter: Tensor, trial: int) -> Tensor:
        """The parameter of one trial."""
        return parameter[trial] if self._stacked else parameter

    def _step(self, w: Tensor, dw: Tensor, config: Any) -> tuple[Any, Any]:
        copies: list[Any] = [w.clone(), dw.clone()]
        if self._arrays:
            copies = [array(copy) for copy in copies]
        returned = self._call(copies[0], copies[1], config)
        if not isinstance(returned, tuple) or len(returned) != 2:
            kind = type(returned).__name__
            raise TypeError(f"update_rule returned {kind}; expected (next_w, config)")
        return returned

    def _call(self, w: Any, dw: Any, config: Any) -> Any:
        try:
            return self.function(w, dw, config)
        except TypeError as error:
            kind = "NumPy arrays, as the data are" if self._arrays else "tensors, as the data are"
            raise TypeError(f"update_rule: {error} (w and dw are {kind})") from error

    def scale(self, factor: Tensor) -> None:
        """Multiply each config's ``learning_rate`` by a factor, ``()`` or ``(*t,)``."""
        for times, configs in zip(
            numbers(factor.expand(len(self._configs))), self._configs, strict=True
        ):
            for config in configs.values() if times != 1 else ():
                if not isinstance(config, dict) or "learning_rate" not in config:
                    raise ValueError(
                        f"lr_decay or schedule multiplies the learning rate by {times}, but the "
                        "config of update_rule has no "
                        'learning_rate; give optim_config={"learning_rate": ...}'
                    )
                config["learning_rate"] = config["learning_rate"] * times

    def keep(self, trials: list[int]) -> None:
        """Drop the other trials of a stack; positions count from 0."""
        self._configs = [self._configs[trial] for trial in trials]

    def parts(self) -> Mapping[str, Tensor]:
        """The state from which training resumes.

        Raises:
            TypeError: what a function keeps in its configs is not known.
        """
        raise TypeError("the state of an update_rule that is a function cannot be saved")


def _is_each(value: object) -> bool:
    """Whether a value of a stack's config has a number for each trial."""
    return isinstance(value, Tensor) and value.ndim == 1


def _rate(config: object) -> float:
    """The learning rate in a config; NaN if it has none."""
    return float(config.get("learning_rate", "nan")) if isinstance(config, Mapping) else math.nan
