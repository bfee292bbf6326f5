"""Samplers and pruners by the ``_target_`` of a config node, and the objects in their fields.

A class of Optuna gets the fields that the installed version knows; null is its own default. What
comes from elsewhere is instantiated by Hydra. A node is what a user wrote for this search; nothing
that lies in a folder comes here.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, TypeGuard

import optuna
from hydra.utils import get_object, instantiate
from omegaconf import OmegaConf
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import hint, one_line, render
from fcsweep.search.settings import DEFAULTS, PRUNERS, SAMPLERS

log = logging.getLogger(__name__)

NEEDS = {
    "CmaEsSampler": ("cmaes",),
    "GPSampler": ("scipy", "torch"),
    "QMCSampler": ("scipy",),
    "WilcoxonPruner": ("scipy",),
}
"""Packages that Optuna imports when such a class is first used."""

HYDRAS_OWN = ("_target_", "_partial_", "_convert_", "_recursive_")
OPTUNA = "optuna."
"""What the ``_target_`` of Optuna's own classes begins with."""
OPTIONS = {"sampler": SAMPLERS, "pruner": PRUNERS}
CLASSES: dict[str, tuple[Any, Any]] = {
    "sampler": (optuna.samplers, BaseSampler),
    "pruner": (optuna.pruners, BasePruner),
}
"""Where the classes of a group are, and of which they all are subclasses."""
OBJECTS = frozenset(
    "gamma weights constraints_func mutation crossover child_generation_strategy base_sampler "
    "elite_population_selection_strategy after_trial_strategy independent_sampler wrapped_pruner "
    "reference_points".split()
)
"""Fields that are functions or objects."""


def fields_of(group: str, node: Any) -> dict[str, Any]:
    """The fields of a node; without one those of the default.

    Args:
        group: ``sampler`` or ``pruner``.
        node: from a config, or None.

    Raises:
        ConfigError: it is something else, such as the name of an option.
    """
    if node is None:
        return dict(DEFAULTS[group])
    if not isinstance(node, Mapping):
        option = node if isinstance(node, str) else next(iter(OPTIONS[group]))
        raise ConfigError(
            f"hydra.sweeper.{group} is {render(node)}; expected a mapping with _target_; an option "
            f"is chosen with slashes: hydra/sweeper/{group}={option}"
        )
    plain: Any = OmegaConf.to_container(OmegaConf.create(dict(node)), resolve=True)
    return plain


def own_class(group: str, fields: Mapping[str, Any]) -> Any | None:
    """The class of Optuna that ``_target_`` names; None if it names something from elsewhere.

    Raises:
        ConfigError: no such class in Optuna, or a package that it needs is missing.
    """
    target = str(fields.get("_target_"))
    if not target.startswith(OPTUNA):
        return None
    kind = _find(group, target)
    if kind is None:
        raise _no_such_class(group, target)
    if missing := [name for name in NEEDS.get(kind.__name__, ()) if find_spec(name) is None]:
        packages = " ".join(missing)
        raise ConfigError(f"{kind.__name__} of Optuna needs a package; pip install {packages}")
    return kind


def _find(group: str, target: str) -> Any | None:
    module, base = CLASSES[group]
    kind = getattr(module, target.rpartition(".")[2], None)
    return kind if inspect.isclass(kind) and issubclass(kind, base) and kind is not base else None


def _no_such_class(group: str, target: str, why: str = "") -> ConfigError:
    """``_target_`` names no sampler, or no pruner."""
    known, name = ", ".join(OPTIONS[group]), target.rpartition(".")[2]
    given = f"hydra.sweeper.{group}._target_ is {render(target)}{why}"
    if name in ("MOTPESampler", "raise_motpe_removed"):
        return ConfigError(f"{given}; Optuna 4 has removed it: use hydra/sweeper/sampler=tpe")
    near = "" if why else hint(name, [node["_target_"] for node in OPTIONS[group].values()])
    expected = f"a {group} of Optuna, as hydra/sweeper/{group}= one of {known}"
    return ConfigError(f"{given}; expected {expected}, or the import path of another{near}")


def foreign(group: str, fields: Mapping[str, Any], seed: int | None = None) -> Any:
    """A sampler or pruner from outside of Optuna, with the fields that are set.

    Args:
        group: ``sampler`` or ``pruner``.
        fields: of its node.
        seed: given to it if it takes one.

    Raises:
        ConfigError: it cannot be instantiated, or is something else.
    """
    target = str(fields.get("_target_"))
    given = {name: value for name, value in fields.items() if value is not None}
    given["_partial_"] = False
    try:
        if seed is not None and "seed" in inspect.signature(get_object(target)).parameters:
            given["seed"] = seed
        made = instantiate(given)
    except Exception as error:  # of an import, or of the user's code
        raise _no_such_class(group, target, f" ({one_line(error)})") from error
    if not isinstance(made, CLASSES[group][1]):
        raise _no_such_class(group, target, f", which makes {render(made)}")
    return made


def arguments_of(group: str, kind: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are set, as far as a class of Optuna has them.

    Raises:
        ConfigError: a text or a number where a function or an object belongs.
    """
    accepted = inspect.signature(kind).parameters
    arguments: dict[str, Any] = {}
    for name, value in fields.items():
        default = accepted[name].default if name in accepted else None
        if name in HYDRAS_OWN or (value is None and default is not inspect.Parameter.empty):
            continue
        if name not in accepted:
            log.warning(
                f"hydra.sweeper.{group}.{name} is ignored: {kind.__name__} of Optuna "
                f"{optuna.__version__} has no such field"
            )
        elif name in OBJECTS and value is not None and not _has_target(value):
            raise ConfigError(
                f"hydra.sweeper.{group}.{name} is {render(value)}; expected a mapping with "
                "_target_, and with _partial_: true if that is a function"
            )
        else:
            arguments[name] = _recipe(value) if _has_target(value) else value
    return arguments


def make(kind: Any, arguments: Mapping[str, Any], seed: int | None = None) -> Any:
    """A sampler or pruner of Optuna, with what its fields describe."""
    seeded = seed is not None and _takes_seed(kind)
    return kind(**({"seed": seed} if seeded else {}), **with_objects(arguments, seed))


@cache
def _takes_seed(kind: Any) -> bool:
    return "seed" in inspect.signature(kind).parameters


def with_objects(arguments: Mapping[str, Any], seed: int | None) -> dict[str, Any]:
    """Arguments with the objects that they describe; samplers of Optuna among them are seeded."""
    return {
        name: value.make(seed) if isinstance(value, _Recipe) else value
        for name, value in arguments.items()
    }


@dataclass(frozen=True)
class _Recipe:
    """How an object in a field is made, from a seed."""

    make: Callable[[int | None], Any]


def _recipe(fields: Mapping[str, Any]) -> _Recipe:
    target = str(fields["_target_"])
    groups = [group for group in CLASSES if target.startswith(OPTUNA) and _find(group, target)]
    if not groups:
        return _Recipe(lambda seed: instantiate(fields))
    kind = own_class(groups[0], fields)
    unseeded = {name: value for name, value in fields.items() if name != "seed"}
    arguments = arguments_of(groups[0], kind, unseeded)
    return _Recipe(lambda seed: make(kind, arguments, seed))


def _has_target(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping) and "_target_" in value
