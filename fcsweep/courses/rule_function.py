"""An update rule that is a plain function ``(w, dw, config) -> (next_w, config)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fcsweep.kernels.arrays import array
from fcsweep.kernels.parameters import NamedTensors


class FunctionUpdates:
    """A function as an update rule: each parameter is updated alone, with a config of its own.

    The function gets copies of a parameter and its gradient: it may change and keep them.

    Args:
        function: the rule.
        params: of one trial.
        config: what each parameter's config starts from.
        lr_decay: factor of each config's ``learning_rate`` after an epoch.
        arrays: whether the function gets NumPy arrays, as it does where the model or the data are
            made of them.

    Raises:
        ValueError: a stack.
    """

    def __init__(
        self,
        function: Callable[[Any, Any, dict[str, Any]], tuple[Any, Any]],
        params: NamedTensors,
        config: Mapping[str, Any],
        lr_decay: float,
        arrays: bool,
    ) -> None:
        if params.trials:
            raise ValueError(
                f"update_rule is a function, which updates one trial; for a stack of "
                f"{params.trials.numel()} give an UpdateRule, as those of fcsweep.optim"
            )
        self.function, self._lr_decay, self._arrays = function, lr_decay, arrays
        self.configs: dict[str, Any] = {name: deepcopy({**config}) for name in params}

    @property
    def learning_rate(self) -> Tensor:
        """Of the first parameter; NaN if its config has none."""
        config = next(iter(self.configs.values()))
        rate = config.get("learning_rate", "nan") if isinstance(config, Mapping) else "nan"
        return torch.tensor(float(rate), dtype=torch.float64)

    def prepare(
        self, params: NamedTensors, gradient: NamedTensors, step: int
    ) -> Callable[[], None]:
        """A function that updates the parameters by what the gradient holds then."""
        return partial(self._update, params, gradient)

    def _update(self, params: NamedTensors, gradient: NamedTensors) -> None:
        with torch.inference_mode(False), torch.no_grad():
            for name, w in params.items():
                copies: list[Any] = [w.clone(), gradient[name].clone()]
                if self._arrays:
                    copies = [array(copy) for copy in copies]
                returned = self._call(copies[0], copies[1], self.configs[name])
                if not isinstance(returned, tuple) or len(returned) != 2:
                    kind = type(returned).__name__
                    raise TypeError(f"update_rule returned {kind}; expected (next_w, config)")
                params[name], config = returned
                if config is not None:  # the rule has none, and may be given the old one again
                    self.configs[name] = config

    def _call(self, w: Any, dw: Any, config: Any) -> Any:
        try:
            return self.function(w, dw, config)
        except TypeError as error:
            kind = "NumPy arrays, as the data are" if self._arrays else "tensors, as the data are"
            raise TypeError(f"update_rule: {error} (w and dw are {kind})") from error

    def decay(self) -> None:
        """End an epoch."""
        if self._lr_decay == 1:
            return
        for config in self.configs.values():
            if not isinstance(config, dict) or "learning_rate" not in config:
                raise ValueError(
                    f"lr_decay is {self._lr_decay}, but the config of update_rule has no "
                    'learning_rate; give optim_config={"learning_rate": ...}'
                )
            config["learning_rate"] = config["learning_rate"] * self._lr_decay

    def keep(self, trials: list[int]) -> None:
        """There is one trial, which stays."""

    def parts(self) -> Mapping[str, Tensor]:
        """What training goes on from.

        Raises:
            TypeError: what a function keeps in its configs is not known.
        """
        raise TypeError("the state of an update_rule that is a function cannot be saved")
