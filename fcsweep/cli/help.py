"""``--help``: every key of every option, of the sweeper and the launcher, made from the schemas."""

from __future__ import annotations

import pydoc
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill
from typing import Any

from omegaconf import OmegaConf

from fcsweep.composition.loader import conf_dir
from fcsweep.config.meaning import Meaning, meanings
from fcsweep.config.schemas import GROUPS, RunConfig
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import hint, join
from fcsweep.records.sweep_table import as_text
from fcsweep.search.settings import PRUNERS, SAMPLERS, OptunaSweeperConf

WIDTH = 80
PLUGINS = {"sampler": SAMPLERS, "pruner": PRUNERS}


@dataclass(frozen=True)
class Entry:
    """A key in the help."""

    key: str
    head: str
    """The key with its default."""
    texts: Sequence[str]
    """What it is for, and what may stand there; a paragraph for each option that differs."""

    def __str__(self) -> str:
        return "\n".join([_filled(self.head, 2, 6), *(_filled(one, 6, 8) for one in self.texts)])


@dataclass(frozen=True)
class Section:
    """The keys of a group."""

    name: str
    title: str
    entries: Sequence[Entry]
    options: Mapping[str, str] = field(default_factory=dict)
    """What each option of the group is."""

    def __str__(self) -> str:
        options = [_filled(f"{name}: {text}", 2, 6) for name, text in self.options.items()]
        return "\n".join([f"== {self.title} ==", *options, *map(str, self.entries)])


def help_of(topics: Sequence[str], header: str, groups: str, footer: str) -> str:
    """The help as a text of 80 columns.

    Args:
        topics: groups or keys to which it is confined; an override stands for its key.
        header: what stands above all groups.
        groups: the list of groups and options.
        footer: what stands below.

    Raises:
        ConfigError: there is no such group or key.
    """
    sections = list(_sections())
    if topics:
        asked = [topic.partition("=")[0] for topic in topics]
        return "\n\n".join(_options(one, groups) or _about(one, sections) for one in asked)
    lists = "\n".join(_filled(line, 0, 4) for line in groups.splitlines())
    return "\n\n".join([header.rstrip(), lists, *map(str, sections), footer.rstrip()])


def show(text: str) -> None:
    """Print a text, page by page where it is longer than the terminal."""
    if sys.stdout.isatty() and text.count("\n") >= shutil.get_terminal_size().lines:
        pydoc.pager(text)
    else:
        sys.stdout.write(text)


def _options(topic: str, groups: str) -> str:
    """The options of a group of the user's own."""
    keyless = topic not in (*GROUPS, "experiment") and not topic.startswith("hydra")
    found = [line for line in groups.splitlines() if line.startswith(f"{topic}: ") and keyless]
    return "\n".join(_filled(line, 0, 4) for line in found)


def _about(topic: str, sections: Sequence[Section]) -> str:
    """What is said of a group, with or without its ``hydra.``, or of a key, whole or its end."""
    plain = topic.replace("/", ".").removeprefix("hydra.")
    found = [str(one) for one in sections if one.name.removeprefix("hydra.") == plain]
    entries = [one for section in sections for one in section.entries]
    found += [str(one) for one in entries if one.key in (topic, plain, f"hydra.{plain}")]
    found = found or [str(one) for one in entries if one.key.rpartition(".")[2] == plain]
    if not found:
        names = [section.name for section in sections]
        near = hint(topic, [*names, *(one.key for one in entries)])
        raise ConfigError(f"no help on {topic}; expected a key, or one of {join(names)}{near}")
    return "\n".join(found)


def _sections() -> Iterator[Section]:
    for group, options in GROUPS.items():
        about = {f"{group}={option}": _docstring(schema) for option, schema in options.items()}
        yield Section(group, group, list(_of_group(group, options)), about)
    yield Section("experiment", "experiment", [], dict(_experiments()))
    run = [_entry("", one, one.default) for one in meanings(RunConfig)]
    yield Section("run", "the run itself", run)
    yield Section("hydra.sweeper", "hydra.sweeper, with hydra/sweeper=optuna", list(_of_sweeper()))
    yield from _of_launchers()


def _experiments() -> Iterator[tuple[str, str]]:
    """Each preset with the comment at the top of its file."""
    for file in sorted((conf_dir() / "experiment").glob("*.yaml")):
        comment = re.findall(r"^# (?!@)(.*)", file.read_text(), re.M)
        yield f"experiment={file.stem}", " ".join(comment)


def _of_group(group: str, options: Mapping[str, type[Any]]) -> Iterator[Entry]:
    """A key that several options have once, with the default of each."""
    known: dict[str, dict[str, Meaning]] = {}
    for option, schema in options.items():
        for one in meanings(schema):
            known.setdefault(one.name, {})[option] = one
    chosen = {option: _chosen(Path(group, f"{option}.yaml")) for option in options}
    for name, each in known.items():
        key, partly = f"{group}.{name}", len(each) < len(options)
        defaults = {option: chosen[option].get(name, one.default) for option, one in each.items()}
        yield Entry(key, _head(key, defaults, partly), _texts(each))


def _of_sweeper() -> Iterator[Entry]:
    chosen = _chosen(Path("hydra", "sweeper", "optuna.yaml"))
    for one in meanings(OptunaSweeperConf):
        if one.name not in ("defaults", *PLUGINS):
            yield _entry("hydra.sweeper.", one, chosen.get(one.name, one.default))
    for kind, options in PLUGINS.items():
        for name, node in options.items():
            names = [key for key in node if not key.startswith("_")]
            fields = f"fields of hydra.sweeper.{kind}: {join(names)}" if names else "no fields"
            text = f"{node['_target_']}; {fields}"
            yield Entry(f"hydra.sweeper.{kind}", f"hydra/sweeper/{kind}={name}", [text])


def _of_launchers() -> Iterator[Section]:
    from hydra_plugins.fcsweep import LAUNCHERS

    for option, schema in LAUNCHERS.items():
        entries = [_entry("hydra.launcher.", one, one.default) for one in meanings(schema)]
        yield Section("hydra.launcher", f"hydra.launcher, with hydra/launcher={option}", entries)


def _entry(prefix: str, one: Meaning, default: Any) -> Entry:
    key = f"{prefix}{one.name}"
    return Entry(key, f"{key}={_text(default)}", _texts({"": one}))


def _head(key: str, defaults: Mapping[str, Any], partly: bool) -> str:
    """A key of a group with its default, or that of each option.

    Args:
        key: dotted.
        defaults: by the options that have it.
        partly: whether other options do not have it.
    """
    shown = {option: _text(value) for option, value in defaults.items()}
    if len(set(shown.values())) > 1:
        return f"{key} ({join(f'{option} {value}' for option, value in shown.items())})"
    return f"{key}={next(iter(shown.values()))}" + (f" ({join(shown)})" if partly else "")


def _texts(each: Mapping[str, Meaning]) -> list[str]:
    """What a key is for, told once for the options in which it is the same."""
    texts: dict[str, list[str]] = {}
    for option, one in each.items():
        text = " ".join(filter(None, [one.text, _expected(one)]))
        texts.setdefault(text, []).append(option)
    if len(texts) == 1:
        return [text for text in texts if text]
    return [f"{join(options)}: {text}" for text, options in texts.items()]


def _expected(one: Meaning) -> str:
    """What may stand there, unless the text has said it."""
    bound = re.search(r"(>=?|in) [^,].*?$", str(one.allowed or ""))
    words = one.allowed.words if one.allowed else ()
    said = bound is not None and bound.group() in one.text
    said = said or (bool(words) and all(word in one.text for word in words))
    return "" if said or not one.expected else f"Expected: {one.expected}."


def _docstring(schema: type[Any]) -> str:
    return str(schema.__doc__).partition("\n\n")[0].replace("``", "")


def _text(value: Any) -> str:
    """A default as one would write it on the command line."""
    if isinstance(value, float):
        return f"{value:g}"
    return "null" if value is None else as_text(value).replace(", ", ",")


def _chosen(file: Path) -> dict[str, Any]:
    """The values that an option of the program sets in place of the defaults."""
    values: Any = OmegaConf.to_container(OmegaConf.load(conf_dir() / file))
    return values


def _filled(text: str, first: int, others: int) -> str:
    options: Any = {"break_long_words": False, "break_on_hyphens": False}
    return fill(text, WIDTH, initial_indent=" " * first, subsequent_indent=" " * others, **options)
