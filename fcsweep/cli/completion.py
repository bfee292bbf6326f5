"""Completion by the tab key: Hydra's, and flags, listed values, and values after a comma."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from hydra._internal.core_plugins.bash_completion import BashCompletion
from hydra._internal.core_plugins.fish_completion import FishCompletion
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.plugins.completion_plugin import CompletionPlugin

from fcsweep.config.meaning import meanings_of
from fcsweep.config.schemas import GROUPS

SCRIPT = """\
fcsweep_bash_completion()
{
    local line=${COMP_LINE:0:COMP_POINT} program=${COMP_WORDS[0]}
    if [[ ${program##*/} == python* ]]; then
        [[ $line =~ ^[^[:space:]]+[[:space:]]+-m[[:space:]]+fcsweep[[:space:]] ]] || return
        program="$program -m fcsweep"
    fi
    local choices=$(COMP_LINE=$line COMP_POINT=$COMP_POINT $program -sc query=bash 2>/dev/null)
    COMPREPLY=($(compgen -W "$choices" -- "${line##*[[:space:]]}"))
}
COMP_WORDBREAKS=${COMP_WORDBREAKS//=}
complete -o nospace -o default -F fcsweep_bash_completion fcsweep python python3
"""
"""For a shell to evaluate: ``fcsweep`` and ``python -m fcsweep``; other commands of Python get what
bash completes by default, names of files."""


class Offers(CompletionPlugin):
    """What is offered for the word at the cursor, in any shell."""

    @staticmethod
    def strip_python_or_app_name(line: str) -> str:
        """What follows the program in a command line."""
        program = r"\s*(\S*python[\d.]*\s+-m\s+fcsweep|\S+)(\s+|$)"
        return re.sub(rf"^{program}", "", line)

    def _query(self, config_name: str | None, line: str) -> list[str]:
        word = line.rpartition(" ")[2]
        if word.startswith("-"):
            return [flag for flag in _flags() if flag.startswith(word)]
        key, equals, value = word.partition("=")
        if equals and (choices := self._choices(key)):
            before, comma, last = value.rpartition(",")
            left = [one for one in choices if one.startswith(last) and one not in before.split(",")]
            return [f"{key}={before}{comma}{one}" for one in left]
        return [one for one in super()._query(config_name, line) if not _renames(one)]

    def _choices(self, key: str) -> list[str]:
        """The options of a group, or the values of a key that can be listed."""
        words = dict.fromkeys(word for one in meanings_of(key) for word in one.words)
        return list(words) or self.config_loader.get_group_options(key, ObjectType.CONFIG)


class Bash(Offers, BashCompletion):
    """Also for ``python -m fcsweep``."""

    def install(self) -> None:
        """Print what bash is to evaluate."""
        print(SCRIPT, end="")

    def uninstall(self) -> None:
        """Print what undoes it."""
        print("complete -r fcsweep python python3; unset -f fcsweep_bash_completion")


class Fish(Offers, FishCompletion):
    """Hydra's way to install it, and what is offered here."""


def by_shell(loader: ConfigLoader) -> Mapping[str, list[CompletionPlugin]]:
    """The completion of each shell, as Hydra asks for it."""
    bash = Bash(loader)  # zsh takes it, too, after `bashcompinit`
    return defaultdict(list, {"bash": [bash], "zsh": [bash], "fish": [Fish(loader)]})


def _renames(offer: str) -> bool:
    """Whether it is the name of an option, which is refused."""
    group, _, name = offer.rpartition(".")
    return group in GROUPS and name == "name="


def _flags() -> list[str]:
    """The flags of the command line, without those that are refused."""
    actions: Any = get_args_parser()._actions
    flags = [flag for action in actions for flag in action.option_strings]
    return sorted(flag for flag in flags if "rerun" not in flag)
