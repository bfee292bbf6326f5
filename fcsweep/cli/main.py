"""The command line: ``python -m fcsweep``, also as the console script ``fcsweep``.

A mistake is one line on standard error. torch is imported when a run starts, not for ``--help``.
"""

from __future__ import annotations

import io
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser

from fcsweep.cli.app import App
from fcsweep.cli.help import show
from fcsweep.cli.hydra_main import replaced
from fcsweep.cli.task import task
from fcsweep.composition.loader import conf_dir
from fcsweep.composition.overrides import is_unicode
from fcsweep.launchers.logs import report_lost_lines
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.secrets import mask
from fcsweep.messages.wording import hint, printable
from fcsweep.system.command import command, leave
from fcsweep.system.signals import end_if_asked
from fcsweep.system.stdout import ReaderLeft

CONF = str(conf_dir())


def main() -> None:
    """Run the program on ``sys.argv``.

    Exit codes: 0, 1 for any mistake or failed job (one line on standard error; the stack trace with
    HYDRA_FULL_ERROR=1), 130, 143 and 129 after SIGINT, SIGTERM and SIGHUP.
    """
    try:
        with command(errors=(Exception,)), _stack_trace_if_asked():
            _obey()
    except ReaderLeft:
        if _trains():
            raise
        sys.exit(1)  # as in `fcsweep --help | head`; nothing is lost


@contextmanager
def _stack_trace_if_asked() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR") != "1" or isinstance(error, BrokenPipeError):
            raise
        end_if_asked()
        lines = mask("".join(traceback.format_exception(error))).splitlines()
        leave("\n".join(map(printable, lines)))


def _obey() -> None:
    """Do what the command line says."""
    sys.argv[1:] = _arguments(sys.argv[1:])
    if not is_unicode(os.getcwd()):  # Hydra saves its name
        raise ConfigError(f"the name of the folder {os.getcwd()} is not UTF-8; use another")
    quietly = nullcontext() if _trains() else _masked_output()
    errors_pass = replaced(App, lambda function: function())
    with errors_pass, report_lost_lines(), quietly:
        configured = hydra.main(version_base="1.3", config_path=CONF, config_name="config")
        configured(task)()


def _trains() -> bool:
    """Whether the command runs something, instead of saying what would be run."""
    if "--version" in sys.argv:
        return False
    known = get_args_parser().parse_args()
    return not (known.cfg or known.info or known.help or known.hydra_help)


@contextmanager
def _masked_output() -> Iterator[None]:
    """Print what the block prints without the secrets in it."""
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            yield
    finally:
        show(mask(said.getvalue()))


def _arguments(words: Sequence[str]) -> list[str]:
    """The command line, with all overrides in one place as Hydra's parser wants them.

    Raises:
        ConfigError: An unknown flag, or one that this program does not take.
    """
    if "--version" in words:
        from fcsweep import __version__

        print(f"fcsweep {__version__}, Hydra {hydra.__version__}")
        sys.exit(0)
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        flags = re.findall(r"--[a-z][\w-]+", parser.format_usage())
        flag = next((word for word in words if word.startswith("--")), "")
        near = hint(flag, flags) if "unrecognized" in message else ""
        raise ConfigError(f"{message}{near or '; --help lists the flags'}")

    setattr(parser, "error", refuse)  # noqa: B010  argparse would print its usage and leave
    known = parser.parse_intermixed_args(words)
    _refuse_two_modes(known)
    if known.experimental_rerun is not None:
        raise ConfigError(
            "--experimental-rerun executes what a pickle says; use python -m fcsweep.rerun RUN_DIR"
        )
    places = [place for place, word in enumerate(words) if word in known.overrides]
    if not places or len(places) == places[-1] - places[0] + 1:
        return list(words)
    return [*known.overrides, *(word for word in words if word not in known.overrides)]


def _refuse_two_modes(known: Any) -> None:
    """Refuse flags of which each asks for something else, such as ``-m --cfg job``."""
    modes = ("run", "multirun", "cfg", "info", "shell_completion")
    given = [f"--{mode}".replace("_", "-") for mode in modes if getattr(known, mode)]
    if len(given) > 1:
        text = f"{given[0]} and {given[1]} do not go together"
        alone = f"; {given[1]} tells of one run: leave -m out, and give one value a key"
        raise ConfigError(text + alone * known.multirun)
