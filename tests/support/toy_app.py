"""Sweeps of an app that is not fcsweep: in this process, or as a command."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study

from fcsweep.search.study import storage
from support import preloaded

Task = Callable[[Any], Any]

APP = """\
import hydra
from fcsweep.search import should_prune

@hydra.main(version_base="1.3", config_path=".", config_name="config")
def task(cfg):
    for step in range(3):
        if should_prune((cfg.x - 1) ** 2 + cfg.y + step, step):
            break
    return (cfg.x - 1) ** 2 + cfg.y

task()
"""
"""A Hydra app of ten lines."""

CONFIG = """\
defaults:
  - _self_
  - override hydra/sweeper: optuna
x: 0.0
y: 0
hydra:
  sweeper:
    params:
      x: interval(-5.0,5.0)
      y: choice(0,1,2)
"""


QUIET = ["hydra/job_logging=none", "hydra.hydra_logging.formatters.simple.format='%(message)s'"]


def make_app(folder: Path, app: str = APP, config: str = CONFIG) -> Path:
    """The app in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.py").write_text(app)
    (folder / "config.yaml").write_text(config)
    return folder / "app.py"


def command(app: Path, *overrides: str) -> list[str]:
    return [sys.executable, "-W", "error", str(app), "-m", *overrides]


def run(app: Path, *overrides: str, code: int = 0, **environment: str) -> str:
    """Run a command to its end; what it printed."""
    done = preloaded.run(
        command(app, *overrides),
        cwd=app.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def kill_when(arguments: Sequence[str], folder: Path, reached: Callable[[], bool]) -> bool:
    """Start a command and end it by SIGKILL as soon as ``reached``; False if it ended before."""
    process = preloaded.Popen(
        arguments,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None:
        if reached():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.0005)
    return False


def sweep(folder: Path, task: Task, config: Mapping[str, Any], *overrides: str) -> Study:
    """Search in this process, with its lines on stdout; the study kept in ``folder``."""
    multirun(folder, task, config, "hydra/sweeper=optuna", *overrides)
    return study_of(folder)


def killed_sweep(
    folder: Path, lines: int, task: Task, config: Mapping[str, Any], *overrides: str
) -> bool:
    """`sweep` in a process that kills itself when its journal has grown ``lines`` times.

    Returns:
        Whether it was killed, and did not end before.
    """
    child = os.fork()
    if child == 0:
        count, append = 0, storage.Journal.append_logs

        def dying(self: storage.Journal, logs: list[dict[str, Any]]) -> None:
            nonlocal count
            if count == lines:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
            append(self, logs)

        storage.Journal.append_logs = dying
        sweep(folder, task, config, *overrides)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def multirun(folder: Path, task: Task, config: Mapping[str, Any], *overrides: str) -> None:
    """What ``python app.py -m`` does, in this process."""
    version.setbase("1.3")
    GlobalHydra.instance().clear()
    ConfigStore.instance().store(name="toy", node=dict(config))
    hydra = Hydra.create_main_hydra2("toy", create_config_search_path(None))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        hydra.multirun(
            config_name="toy",
            task_function=task,
            overrides=[*QUIET, "hydra.mode=MULTIRUN", f"hydra.sweep.dir='{folder}'", *overrides],
        )
    finally:
        GlobalHydra.instance().clear()
        for handler in root.handlers[:]:  # the streams and files of this sweep
            root.removeHandler(handler)
        for handler in handlers:
            root.addHandler(handler)
        root.setLevel(level)


def study_of(folder: Path) -> Study:
    """What the journal in a sweep's folder holds, read by Optuna alone."""
    backend = JournalFileBackend(str(folder / "study.journal"))
    storage = optuna.storages.JournalStorage(backend)
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage)


def told(study: Study) -> list[tuple[int, str, dict[str, Any], list[float] | None]]:
    """Numbers, states, parameters and values of all trials."""
    return [
        (trial.number, trial.state.name, trial.params, trial.values)
        for trial in study.get_trials(deepcopy=False)
    ]
