"""What is searched: a distribution for each key, and what a trial has of it as overrides."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
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

from fcsweep.composition.conditional import OptionKeys
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import hint, render
from fcsweep.search.overrides import (
    as_override,
    bare,
    describe,
    distribution_of,
    literals_of,
    parse,
    quoted_choice,
    replaces,
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
    quoted: Mapping[str, str] = field(default_factory=dict)
    """By key a choice in quotes, thus a text, that would be a list, a number ... without them."""
    conditional: frozenset[str] = frozenset()
    """Keys that only some options of the searched groups have."""
    options: OptionKeys | None = None
    """Tells which those are; None where every trial has every key."""

    def overrides(self, params: Mapping[str, Any]) -> list[str]:
        """A trial as overrides: what is deleted, what it searches, then what is fixed.

        Raises:
            ConfigError: a key is both, as ``custom_search_space`` may ask for any.
        """
        deleted = [line for key, line in self.fixed.items() if key.startswith("~")]
        fixed = {
            key: line
            for key, line in self.fixed.items()
            if not key.startswith("~") and self.has(key, params)
        }
        if both := {bare(key) for key in params} & {bare(key) for key in fixed}:
            keys = ", ".join(sorted(both))
            raise ConfigError(f"{keys} is searched and has a fixed value; leave one of them out")
        searched = [f"{key}={self._text(key, value)}" for key, value in params.items()]
        return [*deleted, *searched, *fixed.values()]

    def has(self, key: str, params: Mapping[str, Any]) -> bool:
        """Whether a trial with these parameters has a key, which its options may lack."""
        if key not in self.conditional or self.options is None:
            return True
        chosen = [f"{name}={self._text(name, value)}" for name, value in params.items()]
        lines = [line for line in (*chosen, *self.fixed.values()) if self.options.chooses(line)]
        return f"{key}=" in self.options.applying([*lines, f"{key}="])

    def by_options(self, options: OptionKeys) -> Space:
        """The space in which a trial has only the keys that its options have.

        A key that no option has stays in every trial, so that composing one refuses it.
        """
        several = [key for key in self.distributions if not options.chooses(key)]
        keys = frozenset([*several, *self.fixed])
        asked = replace(self, conditional=keys, options=options)
        rows = asked._rows()
        lacked = {key for key in keys if not all(asked.has(key, row) for row in rows)}
        some = frozenset(key for key in lacked if any(asked.has(key, row) for row in rows))
        first = sorted(self.distributions, key=some.__contains__)  # the groups before their keys
        ordered = {key: self.distributions[key] for key in first}
        return replace(asked, distributions=ordered, conditional=some)

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
        raise ValueError(f"{key} is {render(texts[0])}; expected {describe(distribution)}")

    def as_json(self) -> dict[str, str]:
        """The distributions as texts that two studies can be compared by."""
        return {key: distribution_to_json(one) for key, one in self.distributions.items()}

    def grid(self) -> list[dict[str, Any]]:
        """Every combination of the values, the last key changing fastest.

        Raises:
            ConfigError: A parameter has no finite number of values.
        """
        columns = [list(_values(key, one)) for key, one in self.distributions.items()]
        rows = itertools.product(*columns)
        return self._distinct(dict(zip(self.distributions, row, strict=True)) for row in rows)

    def corners(self) -> list[dict[str, Any]]:
        """Few points that hold every bound and every choice, for a check before the first trial."""
        return self._distinct(self._rows())

    def _rows(self) -> list[dict[str, Any]]:
        """The corners with every key; where options have keys of their own, each option in all."""
        columns = {key: _extremes(one) for key, one in self.distributions.items()}
        longest = max(map(len, columns.values()), default=1)
        rows = [
            {key: values[min(row, len(values) - 1)] for key, values in columns.items()}
            for row in range(longest)
        ]
        others = [
            {**row, key: one} for key in self._groups() for one in columns[key] for row in rows
        ]
        return [*others, *rows]

    def _groups(self) -> list[str]:
        """The searched groups, where their options have keys of their own."""
        options = self.options
        return [key for key in self.distributions if options is not None and options.chooses(key)]

    def _distinct(self, points: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """The points, each once, with the parameters that it has."""
        parts = [{key: one for key, one in row.items() if self.has(key, row)} for row in points]
        return list({tuple(part.items()): part for part in parts}.values())

    def check(self, points: object) -> list[dict[str, Any]]:
        """The known-good points of ``enqueue``, each value in the type of its distribution.

        Raises:
            ConfigError: An unknown key, or a value outside its distribution.
        """
        if points is None:
            return []
        if not isinstance(points, Sequence) or isinstance(points, str):
            raise ConfigError(f"hydra.sweeper.enqueue is {render(points)}; expected a list")
        return [self.point(f"hydra.sweeper.enqueue[{n}]", one) for n, one in enumerate(points)]

    def point(self, name: str, point: object) -> dict[str, Any]:
        """Values of some keys, each in the type of its distribution.

        Raises:
            ConfigError: as `check`; ``name`` says where the point is given.
        """
        if not isinstance(point, Mapping):
            raise ConfigError(f"{name} is {render(point)}; expected a mapping from key to value")
        taken = {str(key): self._convert(name, str(key), value) for key, value in point.items()}
        if set(self._groups()) <= set(taken):
            for key in [key for key in taken if not self.has(key, taken)]:
                chosen = ", ".join(f"{group}={taken[group]}" for group in self._groups())
                raise ConfigError(f"{name} has {key}, which is no key with {chosen}")
        return taken

    def _convert(self, name: str, key: str, value: Any) -> Any:
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
            raise ConfigError(f"{name}: {key} is {render(value)}; expected {expected}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and distribution._contains(value)):
            expected = describe(distribution)
            raise ConfigError(f"{name}: {key} is {render(value)}; expected {expected}")
        return distribution.to_external_repr(distribution.to_internal_repr(value))

    def _text(self, key: str, value: Any) -> str:
        """What stands after the ``=``."""
        return value if (key, value) in self.literals else as_override(value)

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
    lines = [f"{key}={_text_of(str(key), value)}" for key, value in (params or {}).items()]
    distributions: dict[str, BaseDistribution] = {}
    fixed: dict[str, str] = {}
    texts: dict[str, str] = {}
    literals: dict[str, list[str]] = {}
    for override in parse([*lines, *arguments], loader):
        key = override.get_key_element()
        for known in (distributions, fixed, texts, literals):
            for earlier in [one for one in known if replaces(key, one)]:
                del known[earlier]
        if override.is_sweep_override():
            distributions[key] = distribution_of(override)
            literals[key] = literals_of(override)
            if (text := quoted_choice(override)) is not None:
                texts[key] = text
        else:
            fixed[key] = override.input_line or ""
    pairs = {(key, text) for key, several in literals.items() for text in several}
    return Space(distributions, fixed, frozenset(pairs), texts)


def _text_of(key: str, value: Any) -> str:
    """What a value of a YAML file is after the ``=``; a text stands there as it is."""
    plain: Any = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    if isinstance(plain, dict):
        raise ConfigError(
            f"hydra.sweeper.params.{key} is a mapping; expected a text for each key, as "
            f"{_meant_by(key, plain)}"
        )
    if isinstance(plain, list):
        return Override._get_value_element_as_str(plain)
    return plain if isinstance(plain, str) else as_override(plain)


SPEC = {"type", "low", "high", "choices", "values", "min", "max"}
"""Words for a range in a mapping: in ``search_space``, and in the sweeps of other programs."""


def _meant_by(key: str, value: Any) -> str:
    """``net.width: choice(8,16)``, for a range that is a mapping or lies in one."""
    if not isinstance(value, Mapping) or not value:
        return f"{key}: {'choice(8,16,32)' if value == {} else _text_of(key, value)}"
    with suppress(ConfigError):
        return f"{key}: {_older(key, value)}"
    if SPEC & set(value):
        return f"{key}: choice(8,16,32) or {key}: tag(log,interval(1e-4,1e-1))"
    name, inner = next(iter(value.items()))
    return _meant_by(f"{key}.{name}", inner)


def older_space(search_space: Mapping[str, Any] | None) -> dict[str, str]:
    """``hydra.sweeper.search_space``, the form before Hydra 1.2, as ``params``."""
    return {str(key): _older(str(key), one) for key, one in (search_space or {}).items()}


def _older(key: str, spec: Any) -> str:
    fields = dict(spec) if isinstance(spec, Mapping) else {}
    kind, low, high = fields.get("type"), fields.get("low"), fields.get("high")
    step, choices = fields.get("step"), [as_override(one) for one in fields.get("choices") or ()]
    if kind == "categorical" and choices:
        # Hydra takes null between commas, but not in the brackets of choice.
        return ",".join(choices) if "null" in choices else f"choice({','.join(choices)})"
    if kind not in ("int", "float") or low is None or high is None:
        expected = "type int or float with low and high, or categorical with choices"
        given = render(fields or spec)
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
            f"{key} is continuous ({describe(distribution)}), but the grid sampler needs a finite "
            "set: use choice(...) or range(...)"
        )


def _extremes(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, FloatDistribution | IntDistribution):
        return [distribution.low, distribution.high]
    return []
