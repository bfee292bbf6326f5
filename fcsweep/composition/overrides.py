"""Parse overrides, and refuse mistakes before anything is composed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, ValueType
from hydra.errors import OverrideParseException

from fcsweep.config import allowed_of, conditional_keys, known_keys
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import hint, render


def parse(overrides: list[str]) -> list[Override]:
    """The overrides of a command line, or a ConfigError that names the one that cannot be read."""
    parser = _parser()
    parsed: list[Override] = []
    for line in overrides:
        try:
            if line.startswith("="):
                raise OverrideParseException(line, "no key")
            if not is_unicode(line):
                raise ConfigError(f"cannot read {line!r}; expected UTF-8")
            parsed += parser.parse_overrides([line])
        except OverrideParseException as error:
            if line in known_keys() or re.match(r"[^='\"]*(\s=|=\s)", line):
                text = "expected KEY=VALUE, without spaces around the ="
                raise ConfigError(f"cannot read {line!r}; {text}") from error
            if "=" not in line:
                near = hint(line, ["-m", "--multirun", "--help", *known_keys()])
                raise ConfigError(f"cannot read {line!r}; expected KEY=VALUE{near}") from error
            why = str(error).partition("\n")[0].removeprefix(f"Error parsing override '{line}'")
            quote = "text with brackets, commas, quotes, = or ~ goes in quotes: KEY=\"'a,b'\""
            raise ConfigError(f"cannot read {line!r} ({why or 'no such form'}); {quote}") from error
    return parsed


@cache
def _parser() -> OverridesParser:
    """Hydra's, which looks at the signatures of its functions when it is made."""
    return OverridesParser.create()


def is_unicode(text: str) -> bool:
    """Whether a word of the command line can be written to a file: other bytes cannot."""
    return not any("\ud800" <= one <= "\udfff" for one in text)


def parsed_line(line: str) -> Override:
    """One override."""
    return parse([line])[0]


def value_of(override: Override) -> object:
    """The value of an override; of several, the text that holds them."""
    if override.is_sweep_override():
        return str(override.input_line).partition("=")[2]
    return override.value()


def is_conditional(override: Override) -> bool:
    """Whether it fixes a key that only some options of its group have."""
    plain = override.type is OverrideType.CHANGE and not override.is_sweep_override()
    return plain and override.package is None and override.key_or_group in conditional_keys()


def needs_multirun(override: Override) -> ConfigError:
    """The error for several values, or a range, without ``-m``."""
    line, key = override.input_line, override.key_or_group
    if not override.is_discrete_sweep():
        return ConfigError(f"{line} is a range to search; add -m and hydra/sweeper=optuna")
    lists = f", or write {key}=[...] for one list" if key == "model.hidden_dims" else ""
    return ConfigError(f"{line} holds several values; add -m to run each of them{lists}")


def refuse_bare_sizes(override: Override) -> None:
    """Refuse ``model.hidden_dims=50,100``, where each of several values is meant as a list."""
    allowed = allowed_of(override.key_or_group)
    if allowed is None or override.value_type is ValueType.GLOB_CHOICE_SWEEP:
        return
    if not override.is_discrete_sweep():
        return
    values = [given for given in override.sweep_iterator() if isinstance(given, int)]
    if any([value] in allowed and value not in allowed for value in values):
        lists = ",".join(f"[{value}]" for value in values)
        what = f"{override.input_line} sweeps numbers; expected lists"
        raise ConfigError(f"{what}; did you mean {override.key_or_group}={lists}?")


def not_an_option(group: str, value: object, options: Sequence[str]) -> ConfigError:
    """The error for a value of a group that cannot name an option."""
    if isinstance(value, list):
        each = ",".join(str(choice) for choice in value)
        return ConfigError(f"{group} is a list; to run each option: -m {group}={each}")
    expected = f"expected one of {', '.join(options)}"
    return ConfigError(f"{group} is {render(value)}; {expected}")


def check_mapping(override: Override, group: str) -> None:
    """Refuse a dot where a slash belongs: ``hydra.sweeper.sampler=tpe`` would set a text."""
    value = value_of(override)
    if isinstance(value, dict) or value is None or override.is_delete():
        return
    option = str(value).partition(",")[0]
    given_line = f"{override.input_line} sets a value"
    raise ConfigError(f"{given_line}; an option is chosen with slashes: {group}={option}")


def check_inside(group: str, choice: object) -> None:
    """Refuse an option that leads out of the config folders."""
    if isinstance(choice, str) and (
        ".." in Path(choice).parts or "\\" in choice or choice.startswith(("/", "~"))
    ):
        raise ConfigError(f"{group} is {choice!r}; expected the name of an option, not a path")
