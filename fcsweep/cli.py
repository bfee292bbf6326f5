"""The command line: ``python -m fcsweep``, also as the console script ``fcsweep``.

A mistake is one line on standard error. torch is imported when a run starts, not for ``--help``.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import hydra
import hydra._internal.hydra
import hydra._internal.utils
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fcsweep.app import App
from fcsweep.config import ConfigError, RunConfig, hint, one_line, typed
from fcsweep.launch import Ended, stackable
from fcsweep.loader import conf_dir
from fcsweep.search.pruning import job_number, reporting

if TYPE_CHECKING:
    from fcsweep.search.outcomes import Outcome

CONF = str(conf_dir())


def main() -> None:
    """Run the program on ``sys.argv``.

    Exit codes: 0, 1 for any mistake or failed job (one line on standard error; the stack trace with
    HYDRA_FULL_ERROR=1), 130, 143 and 129 after SIGINT, SIGTERM and SIGHUP.
    """
    try:
        sys.argv[1:] = _arguments(sys.argv[1:])
        with _our_hydra():
            configured = hydra.main(version_base="1.3", config_path=CONF, config_name="config")
            configured(task)()
    except KeyboardInterrupt:
        _leave("interrupted", 130)
    except BrokenPipeError:  # as in `fcsweep --help | head`; nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        _leave(f"error: {one_line(error)}", 1)


def train_stack(
    configs: Sequence[RunConfig], folders: Sequence[Path], logs: Sequence[logging.Logger]
) -> list[Ended]:
    """Train jobs of a sweep together, each in the folder that Hydra made for it."""
    from fcsweep.board import shown_stack
    from fcsweep.run import run_many

    if job_number() is not None:  # the search shows its trials
        numbers = [int(folder.name) for folder in folders]
        results = run_many(configs, folders, reporting(numbers), logs)
    else:
        with shown_stack(folders, configs) as on_epoch:
            results = run_many(configs, folders, on_epoch, logs)
    return [
        Ended(result.value, result.reason if result.status == "failed" else None)
        for result in results
    ]


@stackable(train_stack)
def task(cfg: DictConfig) -> float | None:
    """Train what ``cfg`` says in the folder that Hydra made for it; returns the objective."""
    # torch is imported here, not for --help
    from fcsweep.display import shown
    from fcsweep.run import run

    config, folder = typed(cfg), Path(HydraConfig.get().runtime.output_dir)
    number = job_number()
    if number is not None:  # the search shows its trials
        return run(config, folder, reporting([number])).value
    with shown(os.path.relpath(folder), config) as on_epoch:
        return run(config, folder, on_epoch).value


def recorded(folder: Path) -> Outcome | None:
    """What the records of a run prove, for a search."""
    from fcsweep.search.outcomes import recorded  # imports optuna

    return recorded(folder)


setattr(task, "recorded", recorded)  # noqa: B010  read by the sweeper from the task function


@contextmanager
def _our_hydra() -> Iterator[None]:
    """Let ``hydra.main`` use our `App`, and let errors through to `main`.

    Hydra has no way to hand it another application class, and prints errors itself, in several
    lines. Both names are looked up when they are used; hydra-core is pinned below 1.4 for this.
    """
    places = [
        (hydra._internal.hydra, "Hydra", App),
        (hydra._internal.utils, "run_and_report", lambda function: function()),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in places]
    for module, name, ours in places:
        setattr(module, name, ours)
    try:
        yield
    finally:
        for module, name, theirs in before:
            setattr(module, name, theirs)


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
    if known.experimental_rerun is not None:
        raise ConfigError(
            "--experimental-rerun executes what a pickle says; use python -m fcsweep.rerun RUN_DIR"
        )
    places = [place for place, word in enumerate(words) if word in known.overrides]
    if not places or len(places) == places[-1] - places[0] + 1:
        return list(words)
    return [*known.overrides, *(word for word in words if word not in known.overrides)]


def _leave(text: str, code: int) -> NoReturn:
    sys.stdout.flush()
    print(text, file=sys.stderr)
    sys.exit(code)
