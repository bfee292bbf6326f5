"""What is searched: a distribution for each key, and what a trial has of it as overrides."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import hint, shown
from fcsweep.search.overrides import (
    bare,
    described,
    distribution_of,
    literals_of,
    parsed,
    written,
)


@dataclass(frozen=True)
class Space:
    """The parameters to search, and the overrides that every trial has."""

    distributions: Mapping[str, BaseDistribution]
    """By key, as it stands before the ``=`` (``+w`` adds a key)."""
    fixed: Mapping[str, str]
    """Whole overrides, by key."""
    literals: frozenset[tuple[str, str]] = frozenset()
    """Choices that are lists or mappings, which Optuna keeps as texts, with their keys."""

    def overrides(self, params: Mapping[str, Any]) -> list[str]:
        """A trial as overrides: what it searches, then what is fixed.

        Raises:
            ConfigError: a key is both, as ``custom_search_space`` may ask for any.
        """
        if both := {bare(key) for key in params} & {bare(key) for key in self.fixed}:
            keys = ", ".join(sorted(both))
            raise ConfigError(f"{keys} is searched and has a fixed value; leave one of them out")
        searched = [f"{key}={self._text(key, value)}" for key, value in params.items()]
        return [*searched, *self.fixed.values()]

    def read(self, lines: Sequence[str], key: str, distribution: BaseDistribution) -> Any:
        """The value of a parameter in the overrides of a trial: the way back from `overrides`.

        Raises:
            ValueError: it is not there, or not in the distribution.
        """
        texts = [line.removeprefix(f"{key}=") for line in lines if line.startswith(f"{key}=")]
        if len(texts) != 1:
            raise ValueError(f"{key} is not searched there")
        if isinstance(distribution, CategoricalDistribution):
            for choice in distribution.choices:
                if self._text(key, choice) == texts[0]:
                    return choice
        else:
            kind = int if isinstance(distribution, IntDistribution) else float
            with suppress(ValueError):
                number = kind(texts[0])
                if math.isfinite(number) and distribution._contains(number):
                    return number
        raise ValueError(f"{key} is {shown(texts[0])}; expected {described(distribution)}")

    def as_json(self) -> dict[str, str]:
        """The distributions as texts that two studies can be compared by."""
        return {key: distribution_to_json(one) for key, one in self.distributions.items()}

    def grid(self) -> list[dict[str, Any]]:
        """Every combination of the values, the last key changing fastest.

        Raises:
            ConfigError: A parameter has no finite number of values.
        """
        columns = [list(_values(key, one)) for key, one in self.distributions.items()]
        return [
            dict(zip(self.distributions, row, strict=True)) for row in itertools.product(*columns)
        ]

    def corners(self) -> list[dict[str, Any]]:
        """Few points that hold every bound and every choice, for a check before the first trial."""
        columns = {key: _extremes(one) for key, one in self.distributions.items()}
        longest = max(map(len, columns.values()), default=1)
        return [
            {key: values[min(row, len(values) - 1)] for key, values in columns.items()}
            for row in range(longest)
        ]

    def check(self, points: object) -> list[dict[str, Any]]:
        """The known-good points of ``enqueue``, each value in the type of its distribution.

        Raises:
            ConfigError: An unknown key, or a value outside its distribution.
        """
        if points is None:
            return []
        if not isinstance(points, Sequence) or isinstance(points, str):
            raise ConfigError(f"hydra.sweeper.enqueue is {shown(points)}; expected a list")
        return [self.point(f"hydra.sweeper.enqueue[{n}]", one) for n, one in enumerate(points)]

    def point(self, name: str, point: object) -> dict[str, Any]:
        """Values of some keys, each in the type of its distribution.

        Raises:
            ConfigError: as `check`; ``name`` says where the point is given.
        """
        if not isinstance(point, Mapping):
            raise ConfigError(f"{name} is {shown(point)}; expected a mapping from key to value")
        return {str(key): self._taken(name, str(key), value) for key, value in point.items()}

    def _taken(self, name: str, key: str, value: Any) -> Any:
        distribution = self.distributions.get(key)
        if distribution is None:
            keys = ", ".join(self.distributions) or "no key"
            near = hint(key, self.distributions)
            raise ConfigError(f"{name} has {key}, which is not searched; expected {keys}{near}")
        if isinstance(distribution, CategoricalDistribution):
            for choice in distribution.choices:
                if choice == value or self._meant(key, choice) == value:
                    return choice
            expected = f"one of {', '.join(self._text(key, one) for one in distribution.choices)}"
            raise ConfigError(f"{name}: {key} is {shown(value)}; expected {expected}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and distribution._contains(value)):
            expected = described(distribution)
            raise ConfigError(f"{name}: {key} is {shown(value)}; expected {expected}")
        return distribution.to_external_repr(distribution.to_internal_repr(value))

    def _text(self, key: str, value: Any) -> str:
        """What stands after the ``=``."""
        return value if (key, value) in self.literals else written(value)

    def _meant(self, key: str, choice: Any) -> Any:
        """A choice as the task sees it: a list or a mapping where Optuna has a text."""
        if (key, choice) not in self.literals:
            return choice
        return OverridesParser.create().parse_override(f"key={choice}").value()


def space_of(
    params: Mapping[str, Any] | None, arguments: Sequence[str], loader: ConfigLoader | None = None
) -> Space:
    """The search space of ``hydra.sweeper.params`` and the command line, which wins.

    Args:
        params: from key to what would stand after the ``=``.
        arguments: overrides.
        loader: knows the options of groups, for ``glob``.

    Raises:
        ConfigError: an override that cannot be searched.
    """
    lines = [f"{key}={_stated(value)}" for key, value in (params or {}).items()]
    distributions: dict[str, BaseDistribution] = {}
    fixed: dict[str, str] = {}
    literals: set[tuple[str, str]] = set()
    for override in parsed([*lines, *arguments], loader):
        for known in (distributions, fixed):  # the last one of a key counts
            for key in [key for key in known if bare(key) == override.key_or_group]:
                del known[key]
        key = override.get_key_element()
        if override.is_sweep_override():
            distributions[key] = distribution_of(override)
            literals |= {(key, text) for text in literals_of(override)}
        else:
            fixed[key] = override.input_line or ""
    return Space(distributions, fixed, frozenset(literals))


def _stated(value: Any) -> str:
    """What a value of a YAML file is after the ``=``; a text stands there as it is."""
    plain: Any = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    if isinstance(plain, list | dict):
        return Override._get_value_element_as_str(plain)
    return plain if isinstance(plain, str) else written(plain)


def older_space(search_space: Mapping[str, Any] | None) -> dict[str, str]:
    """``hydra.sweeper.search_space``, the form before Hydra 1.2, as ``params``."""
    return {str(key): _older(str(key), one) for key, one in (search_space or {}).items()}


def _older(key: str, spec: Any) -> str:
    fields = dict(spec) if isinstance(spec, Mapping) else {}
    kind, low, high = fields.get("type"), fields.get("low"), fields.get("high")
    step, choices = fields.get("step"), [written(one) for one in fields.get("choices") or ()]
    if kind == "categorical" and choices:
        # Hydra takes null between commas, but not in the brackets of choice.
        return ",".join(choices) if len(choices) > 1 else f"choice({choices[0]})"
    if kind not in ("int", "float") or low is None or high is None:
        expected = "type int or float with low and high, or categorical with choices"
        given = shown(fields or spec)
        raise ConfigError(f"hydra.sweeper.search_space.{key} is {given}; expected {expected}")
    if step is not None:  # high is included here
        stop = high + 1 if kind == "int" else high + step / 2
        return f"range({low!r},{stop!r},{step!r})"
    interval = f"interval({low!r},{high!r})"
    interval = f"int({interval})" if kind == "int" else interval
    return f"tag(log,{interval})" if fields.get("log") else interval


def _values(key: str, distribution: BaseDistribution) -> Iterator[Any]:
    """Every value of a parameter, in order."""
    if isinstance(distribution, CategoricalDistribution):
        yield from distribution.choices
    elif isinstance(distribution, IntDistribution) and not distribution.log:
        yield from range(distribution.low, distribution.high + 1, distribution.step)
    elif isinstance(distribution, FloatDistribution) and distribution.step is not None:
        count = math.floor((distribution.high - distribution.low) / distribution.step + 1e-9) + 1
        yield from (distribution.low + n * distribution.step for n in range(count))
    else:
        raise ConfigError(
            f"{key} is continuous ({described(distribution)}), but the grid sampler needs a finite "
            "set: use choice(...) or range(...)"
        )


def _extremes(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, FloatDistribution | IntDistribution):
        return [distribution.low, distribution.high]
    return []
