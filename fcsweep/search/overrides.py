"""Hydra's sweep overrides as Optuna's distributions, and values as overrides.

====================================  ==========================================================
``choice(a, b)``, ``a,b``             one of the values, each in its own type
``range(1, 9, 2)``                    whole numbers, or floats with a step; the stop is excluded
``interval(0, 1)``                    floats between both, or whole numbers by ``int(...)``
``tag(log, interval(1e-4, 1))``       the same on a log scale
``glob(*)``                           one of the options of a group
``shuffle(range(1, 4))``              one of the values
``~key``                              removes the key, here and in the config
anything else                         a fixed value, the same for every trial
====================================  ==========================================================
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    Quote,
    QuotedString,
    RangeSweep,
)
from hydra.errors import HydraException, OverrideParseException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import one_line


def parse(lines: Sequence[str], loader: ConfigLoader | None) -> list[Override]:
    """Overrides as Hydra reads them; ``loader`` knows the options of groups, for ``glob``.

    Raises:
        ConfigError: one that cannot be read.
    """
    try:
        return OverridesParser.create(config_loader=loader).parse_overrides(list(lines))
    except OverrideParseException as error:  # Hydra has read the command line before
        why = one_line(error).partition(" See https:")[0]
        raise ConfigError(f"hydra.sweeper.params cannot be read: {why}") from error


def as_override(value: Any) -> str:
    """A value as Hydra reads it back: the same value of the same type.

    A text is quoted unless it means itself.
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return (
            value
            if value and _means_itself(value)
            else QuotedString(value, Quote.single).with_quotes()
        )
    return repr(value)


def quoted_choice(override: Override) -> str | None:
    """The first choice in quotes that would be no text without them: a list, a number, true."""
    value = override._value
    choices = value.list if isinstance(value, ChoiceSweep) else []
    texts = [_choice(one) for one in choices if isinstance(one, str | QuotedString)]
    return next((text for text in texts if _reads_otherwise(text)), None)


def _reads_otherwise(text: str) -> bool:
    try:
        parsed = OverridesParser.create().parse_override(f"key={text}")
    except HydraException:
        return False
    return not parsed.is_sweep_override() and not isinstance(parsed.value(), str)


def _means_itself(text: str) -> bool:
    """Whether a text needs no quotes to be read as itself."""
    try:
        (parsed,) = OverridesParser.create().parse_overrides([f"key={text}"])
    except HydraException:
        return False
    return not parsed.is_sweep_override() and parsed._value == text


def describe(distribution: BaseDistribution) -> str:
    """``0.001 to 1.0, log``, or ``one of sgd, adam``."""
    if isinstance(distribution, CategoricalDistribution):
        return f"one of {', '.join(as_override(choice) for choice in distribution.choices)}"
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        return str(distribution)
    step = distribution.step if distribution.step not in (None, 1) else None
    parts = [f"{distribution.low!r} to {distribution.high!r}"]
    parts += ["log"] if distribution.log else [f"step {step!r}"] if step else []
    return ", ".join(parts)


def distribution_of(override: Override) -> BaseDistribution:
    """What an override searches.

    Raises:
        ConfigError: it cannot be searched.
    """
    value, line = override._value, override.input_line
    try:
        if isinstance(value, IntervalSweep):
            return _interval(value)
        if isinstance(value, RangeSweep) and not value.shuffle:
            return _range(value)
        return _categorical([_choice(one) for one in _elements(override)])
    except (ValueError, HydraException) as error:
        raise ConfigError(f"{line} cannot be searched: {one_line(error)}") from error


def _categorical(choices: Sequence[Any]) -> BaseDistribution:
    if not choices:
        raise ValueError("there is nothing to choose from")
    different = {(type(one), one): one for one in choices}.values()
    for one, another in itertools.combinations(different, 2):
        if one == another:  # as 1, 1.0 and True are
            pair = f"{as_override(one)} and {as_override(another)}"
            raise ValueError(f"Optuna cannot tell {pair} apart")
    if any(one != one for one in different):
        raise ValueError("Optuna cannot choose nan")
    return CategoricalDistribution(list(different))


def _interval(value: IntervalSweep) -> BaseDistribution:
    assert value.start is not None and value.end is not None  # the grammar asks for both
    log = "log" in value.tags
    if not (math.isfinite(value.start) and math.isfinite(value.end)):
        raise ValueError("expected finite bounds")
    if isinstance(value.start, int) and isinstance(value.end, int):
        return IntDistribution(value.start, value.end, log=log)
    return FloatDistribution(value.start, value.end, log=log)


def _range(value: RangeSweep) -> BaseDistribution:
    numbers = sorted(value.range())
    if not numbers:
        raise ValueError("the range is empty")
    low, high, step = numbers[0], numbers[-1], abs(value.step)
    if isinstance(low, int) and isinstance(step, int):
        return IntDistribution(low, high, step=step)
    return FloatDistribution(float(low), float(high), step=float(step))


def bare(key: str) -> str:
    """A key without what says how it is set; a group keeps its package: ``rule@first``."""
    return key.lstrip("+~")


def place(key: str) -> str:
    """Where in the config lies what a key sets: ``first`` for ``+rule@first``."""
    group, _, package = bare(key).partition("@")
    return package or group.replace("/", ".")


def replaces(later: str, earlier: str) -> bool:
    """Whether of two keys only the later one counts; to delete and to add are two acts."""
    both = earlier.startswith("~") and later.startswith("+")
    return bare(later) == bare(earlier) and not both


def literals_of(override: Override) -> list[str]:
    """Choices that are lists or mappings, as the texts that stand for them."""
    if not override.is_choice_sweep():
        return []
    return [_choice(one) for one in _elements(override) if isinstance(one, list | dict)]


def _elements(override: Override) -> list[Any]:
    """What there is to choose from, in the order given: a shuffled one would not resume."""
    value = override._value
    if isinstance(value, ChoiceSweep):
        return value.list
    return list(value.range() if isinstance(value, RangeSweep) else override.sweep_iterator())


def _choice(element: Any) -> Any:
    """A choice in its own type; a list or a mapping as the text that stands for it."""
    if isinstance(element, QuotedString):
        return element.text
    if isinstance(element, list | dict):
        return Override._get_value_element_as_str(element)
    return element
