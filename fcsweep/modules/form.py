"""What the modules of a stack have in common: all but their tensors and how much they drop out.

A stack runs the code of one module on the tensors of all. So whatever that code reads and is no
tensor must be the same in each: the types of the layers, the slope of a ``LeakyReLU``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

RANDOM = (
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
    nn.RReLU,
)
"""Layers that draw numbers in a way of their own."""

HIDDEN = ("_parameters", "_buffers", "_modules", "training")
"""Attributes of a module that are compared otherwise, or are no part of its form."""

MAY_DIFFER = (
    "expected the same in all of a stack but for parameters, buffers and the p of nn.Dropout"
)


def check(module: object, what: str = "the model") -> nn.Module:
    """Refuse what cannot be part of a stack, by name.

    Raises:
        TypeError: it is no ``nn.Module``.
        ValueError: it has no parameters, or a part that cannot be stacked.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"{what} is of type {type(module).__name__}; expected an nn.Module")
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if is_lazy(tensor):
            raise ValueError(f"{name} of {what} has no size yet; expected layers that are not lazy")
    if not [p for p in module.parameters() if p.requires_grad]:
        raise ValueError(f"{what} has no parameter to learn")
    for name, part in module.named_modules():
        _check_part(f"{name or type(part).__name__} of {what}", part)
    return module


def _check_part(what: str, part: nn.Module) -> None:
    if isinstance(part, RANDOM) or (isinstance(part, nn.Dropout) and type(part) is not nn.Dropout):
        raise ValueError(
            f"{what} is {part}, whose random numbers are not those of the trial; expected "
            "nn.Dropout or none"
        )
    if isinstance(part, nn.modules.batchnorm._BatchNorm):
        if part.track_running_stats and part.momentum is None:
            raise ValueError(
                f"{what} is {part}, which counts batches; expected a momentum, such as 0.1"
            )


def difference(one: nn.Module, other: nn.Module) -> str | None:
    """The first thing in which two modules differ and must not; None if there is none."""
    parts, others = dict(one.named_modules()), dict(other.named_modules())
    if [*parts] != [*others]:
        return f"the layers of one are {[*parts][1:]}, of another {[*others][1:]}"
    for name, part in parts.items():
        dot = f"{name}." if name else ""
        if type(part) is not type(others[name]):
            kinds = f"{type(part).__name__} and {type(others[name]).__name__}"
            return f"{name or 'the module'} is {kinds}"
        own, its = _attributes(part), _attributes(others[name])
        for key in dict.fromkeys([*own, *its]):
            if not same(own.get(key), its.get(key)):
                return f"{dot}{key} is {own.get(key)!r:.40} and {its.get(key)!r:.40}"
    return _difference_of_tensors(one, other)


def _attributes(part: nn.Module) -> dict[str, Any]:
    hidden = {*HIDDEN, "p"} if type(part) is nn.Dropout else {*HIDDEN}
    of_all = vars(nn.Module()).keys()
    return {key: value for key, value in vars(part).items() if key not in {*hidden, *of_all}}


def _difference_of_tensors(one: nn.Module, other: nn.Module) -> str | None:
    tensors, others = _tensors(one), _tensors(other)
    if [*tensors] != [*others]:
        return f"the tensors of one are {[*tensors]}, of another {[*others]}"
    for name, tensor in tensors.items():
        its = others[name]
        if tensor.shape != its.shape or tensor.dtype != its.dtype:
            shapes = f"{tuple(tensor.shape)} and {tuple(its.shape)}"
            return f"{name} has shape {shapes}, type {tensor.dtype} and {its.dtype}"
        if tensor.requires_grad != its.requires_grad:
            return f"{name} is learnt in one and not in another"
        if not tensor.is_floating_point() and not torch.equal(tensor, its):
            return f"{name} holds other values of type {tensor.dtype}"
    return None


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def same(a: Any, b: Any, seen: frozenset[int] = frozenset()) -> bool:
    """Whether two attributes mean the same to the code that reads them, as far as can be seen."""
    if a is b or id(a) in seen:
        return True
    if type(a) is not type(b):
        return False
    seen |= {id(a)}
    if isinstance(a, Tensor):
        return a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, FunctionType):
        return _same_functions(a, b, seen)
    if isinstance(a, Mapping):
        return same([*cast("Mapping[Any, Any]", a).items()], [*b.items()], seen)
    if isinstance(a, list | tuple):
        pairs = zip(cast("Sequence[Any]", a), b, strict=False)
        return len(a) == len(b) and all(same(x, y, seen) for x, y in pairs)
    try:
        equal = bool(a == b)
    except (TypeError, ValueError, RuntimeError):
        equal = False
    return equal or (bool(getattr(a, "__dict__", None)) and same(vars(a), vars(b), seen))


def _same_functions(a: FunctionType, b: FunctionType, seen: frozenset[int]) -> bool:
    def parts(one: FunctionType) -> list[Any]:
        cells = [cell.cell_contents for cell in one.__closure__ or ()]
        return [cells, one.__defaults__, one.__kwdefaults__]

    return a.__code__ == b.__code__ and same(parts(a), parts(b), seen)
