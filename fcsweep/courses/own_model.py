"""A model of one's own, with ``params`` and ``loss(X, y)``, as the Solver trains it.

The courses' Solvers train any model whose ``params`` is a dict of tensors or arrays and whose
``loss(X, y)`` returns the loss and a dict of gradients, and scores without ``y``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fcsweep.courses.files import write_pth
from fcsweep.kernels.arrays import array, tensor
from fcsweep.kernels.parameters import NamedTensors

EXPECTED = "a model with params, a dict of tensors or arrays, and loss(X, y)"


class OwnModel:
    """One trial with any named parameters.

    Its parameters lie in one piece of memory, and ``model.params`` gets views of them. A value that
    the model puts in the place of a view is copied into that memory before it is used.

    Args:
        model: with ``params`` and ``loss``.
        example: ``(1, ...)``, to count the classes.

    Attributes:
        num_classes: scores an example gets.
        arrays: whether the model computes with NumPy.

    Raises:
        TypeError: ``params`` is not a dict of floating-point tensors or arrays.
        ValueError: ``loss(X)`` returns no scores ``(n, num_classes)``.
    """

    trials = torch.Size()
    arithmetic = None  # its loss may be any
    regresses = False

    def __init__(self, model: Any, example: Tensor) -> None:
        if not isinstance(getattr(model, "params", None), Mapping) or not model.params:
            raise TypeError(f"model is of type {type(model).__name__}; expected {EXPECTED}")
        self.model = model
        self.arrays = any(isinstance(p, np.ndarray) for p in model.params.values())
        given = {name: tensor(p, f"params[{name!r}]") for name, p in model.params.items()}
        for name, p in given.items():
            if not p.is_floating_point():
                raise TypeError(f"params[{name!r}] is of type {p.dtype}; expected floats")
        dtype = reduce(torch.promote_types, (p.dtype for p in given.values()))
        shapes = {name: p.shape for name, p in given.items()}
        self._params = NamedTensors((), shapes, dtype, next(iter(given.values())).device)
        self._views: dict[str, Any] = {}
        self.num_classes = self.scores(example.to(self._params.device, dtype)).shape[-1]

    def __getstate__(self) -> dict[str, Any]:
        """For ``copy`` and ``pickle``: a copy of a view is not a view."""
        return {**self.__dict__, "_views": {}}

    @property
    def params(self) -> NamedTensors:
        """All parameters, as the model has them now."""
        self._take_back()
        return self._params

    def _take_back(self) -> None:
        """Copy a tensor that the model has assigned over a view."""
        for name, p in self._params.items():
            given = self.model.params[name]
            if given is not self._views.get(name):
                self._params[name] = tensor(given, name).detach()
                self._views[name] = self.model.params[name] = self._view(given, p)
                if self.model.params[name] is not self._views[name]:
                    kind = type(self.model).__name__
                    raise TypeError(
                        f"params of {kind} is a new dict each time; expected one it keeps"
                    )

    def _view(self, given: Any, p: Tensor) -> Any:
        """The view to store in the model in place of its current value."""
        if isinstance(given, Tensor) and given.requires_grad and given.dtype == p.dtype:
            given.data = p  # the layer of a module holds the same tensor
            return given
        return p.numpy() if self.arrays else p

    def scores(self, X: Tensor) -> Tensor:
        """Scores ``(n, num_classes)`` in test mode."""
        scores = tensor(self._call(X), "the result of loss(X)").detach()
        if scores.ndim != 2 or len(scores) != len(X):
            raise ValueError(
                f"loss(X) of {type(self.model).__name__} has shape {tuple(scores.shape)}; expected "
                f"scores (n, num_classes) for n = {len(X)}"
            )
        return scores

    def prepare(self, X: Tensor, y: Tensor, out: NamedTensors) -> Callable[[int], Tensor]:
        """A function for the loss of what ``X`` and ``y`` hold then; the gradient goes to ``out``.

        ``loss`` gets copies: it may change and keep them.
        """
        return partial(self._loss, X, y, out)

    def _loss(self, X: Tensor, y: Tensor, out: NamedTensors, step: int) -> Tensor:
        returned = self._call(X, y)
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise TypeError(
                f"loss(X, y) of {type(self.model).__name__} returned {type(returned).__name__}; "
                "expected (loss, grads)"
            )
        loss, grads = returned
        if missing := [name for name in out if name not in grads]:
            raise ValueError(f"loss(X, y) has no gradient for {missing}; it has {[*grads]}")
        for name in out:
            out[name] = tensor(grads[name], f"grads[{name!r}]").detach()
        return torch.tensor(float(loss), dtype=torch.float64)

    def _call(self, *batch: Tensor) -> Any:
        """``loss``, outside of inference mode: the model may use autograd."""
        with torch.inference_mode(False):
            self._take_back()
            copies = [part.clone() for part in batch]
            returned = self.model.loss(*(map(array, copies) if self.arrays else copies))
            self._take_back()
            return returned

    def own_form(self, params: NamedTensors) -> dict[str, Any]:
        """Copies of parameters as the model has its own: tensors or arrays."""
        return {name: array(p.clone()) if self.arrays else p.clone() for name, p in params.items()}

    def save(self, path: str | Path, **others: Any) -> None:
        """Write the parameters, and what else is given, to a ``.pth``."""
        write_pth(path, self._params, **others)

    def keep(self, trials: list[int]) -> None:
        """There is one trial, which stays."""
        raise ValueError("a model of one's own is one trial; keep is for the trials of a stack")
