"""NumPy arrays, lists and numbers as tensors, and back: what the courses' notebooks hand in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])


def tensor(value: Any, name: str) -> Tensor:
    """What was handed in as a tensor, which shares the memory of an array where it can.

    Args:
        value: a tensor, an array, or what NumPy makes one of: numbers, lists, a column of pandas.
        name: of the argument, for the error.

    Raises:
        TypeError: it holds something other than numbers, or numbers that torch does not have.
    """
    if isinstance(value, Tensor):
        return value
    expected = "expected a tensor or a NumPy array of numbers"
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"{name} is not rectangular; {expected}") from error
    if np.ma.is_masked(value):
        raise TypeError(f"{name} has masked elements; {expected}: use {name}.filled(...)")
    if array.dtype.kind not in "biuf" or array.dtype == np.longdouble:
        raise TypeError(f"{name} is {_kind(value, array)}; {expected}")
    if not array.flags.writeable or min(array.strides, default=0) < 0 or not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="), order="C")  # torch takes no such memory
    return torch.from_numpy(array)


def array(value: Tensor) -> Any:
    """A tensor as an array, or as a NumPy number if it has no axes."""
    return value.numpy(force=True)[()]


def plain(value: Any) -> Any:
    """A number or a list in place of NumPy's; anything else as it is."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def seeds(value: Any) -> Any:
    """A seed, or one for each trial, as integers of Python; None stays.

    Raises:
        TypeError: it is something else.
    """
    given = plain(value)
    for seed in given if isinstance(given, Sequence) and not isinstance(given, str) else [given]:
        if not isinstance(seed, int | np.integer | None):
            raise TypeError(f"seed is {value!r}; expected a whole number, one a trial, or None")
    return given


def dtype_of(value: Any) -> torch.dtype:
    """A type of torch, also by the type or the name that NumPy has for it.

    Raises:
        TypeError: it is not a floating-point type.
    """
    try:
        dtype = value if isinstance(value, torch.dtype) else tensor(np.empty(0, value), "").dtype
    except TypeError:
        dtype = torch.int64
    if not dtype.is_floating_point:
        raise TypeError(f"dtype is {value}; expected a floating-point type, such as torch.float32")
    return dtype


def whole(value: Any, name: str, least: int | None = None) -> int:
    """A whole number of any integer type.

    Raises:
        TypeError: it is something else.
        ValueError: it is less than ``least``.
    """
    if not isinstance(value, int | np.integer):
        raise TypeError(f"{name} is {value!r}; expected a whole number")
    if least is not None and value < least:
        raise ValueError(f"{name} is {value}; expected at least {least}")
    return int(value)


def takes_arrays(function: Function) -> Function:
    """Let a function of tensors take NumPy arrays, too.

    If one is given, the tensors that the function returns become arrays; a cache or the gradients
    in a dict stay as they are.
    """
    form = signature(function)
    kinds = {name: str(parameter.annotation) for name, parameter in form.parameters.items()}

    def foreign(name: str, value: Any) -> bool:
        if isinstance(value, Tensor) or (value is None and "None" in kinds.get(name, "")):
            return False
        return kinds.get(name, "").startswith("Tensor") or isinstance(value, np.ndarray)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(form.parameters, args, strict=False)), **kwargs}
        names = [name for name, value in given.items() if foreign(name, value)]
        if not names:
            return function(*args, **kwargs)
        bound = form.bind(*args, **kwargs)
        bound.arguments |= {name: tensor(given[name], name) for name in names}
        returned = function(*bound.args, **bound.kwargs)
        if isinstance(returned, tuple):
            return tuple(array(one) if isinstance(one, Tensor) else one for one in returned)
        return array(returned) if isinstance(returned, Tensor) else returned

    return cast("Function", call)


def _kind(value: Any, array: np.ndarray) -> str:
    if isinstance(value, np.ndarray | list | tuple):
        return f"an array of type {array.dtype}"
    return f"of type {type(value).__name__}"
