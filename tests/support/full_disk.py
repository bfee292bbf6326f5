"""The program in a forked child, on a disk that fills up at a chosen write.

As a program (``python -m support.full_disk FOLDER BYTES PROGRAM FREE...``) it runs one command on a
real small disk, mounted at FOLDER, with so much room at first, and again when there is more.
"""

import errno
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

SMALL = ["data=synthetic", "data.num_train=40", "data.num_val=20", "solver.num_epochs=3"]
SMALL += ["solver.batch_size=20", "model.hidden_dims=[4]", "hydra.run.dir=s", "hydra.sweep.dir=s"]
SEARCH = ["-m", *SMALL, "hydra/sweeper=optuna", "hydra.sweeper.n_trials=5"]
SEARCH += ["hydra.sweeper.n_jobs=2", "hydra.sweeper.sampler.seed=0", "hydra/sweeper/pruner=median"]
SEARCH += ["hydra.sweeper.pruner.n_startup_trials=2", "model.weight_scale=interval(0.01,1)"]
PROGRAMS = {
    "run": [*SMALL, "solver.checkpoint_seconds=1e-9"],
    "grid": ["-m", *SMALL, "seed=0,1", "hydra/launcher=basic"],
    "stacked grid": ["-m", *SMALL, "seed=0,1"],
    "search": [*SEARCH, "hydra/launcher=basic"],
    "stacked search": SEARCH,
}


class Said(NamedTuple):
    code: int
    out: str
    err: str


class Event(NamedTuple):
    """Something is about to be written."""

    number: int
    what: str
    path: str

    @property
    def kind(self) -> tuple[str, str]:
        """The same for all jobs of a sweep and all processes."""
        return self.what, re.sub(r"\d+", "#", self.path)


def strike_at(number: int | None, top: Path, events: Path, whole: int | None) -> None:
    """From event ``number`` on no file in the process grows past ``whole`` bytes.

    Where ``whole`` is None only the event fails, as on a disk that is full for a moment.
    """
    count = 0

    def hook(event: str, given: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open":
            writes = given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if isinstance(given[0], int) or not writes:
                return
        elif event not in ("os.mkdir", "os.rename"):
            return
        path = os.path.abspath(os.fsdecode(given[0]))
        if not path.startswith(str(top)):
            return
        count += 1
        os.write(log, (json.dumps([count - 1, event, os.path.relpath(path, top)]) + "\n").encode())
        if count - 1 == number:
            if whole is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            resource.setrlimit(resource.RLIMIT_FSIZE, (whole, resource.RLIM_INFINITY))

    read, log = os.pipe()
    if os.fork() == 0:  # writes what it is told: not bound by the limit
        os.close(log)
        with open(events, "wb") as file:
            while told := os.read(read, 65536):
                file.write(told)
        os._exit(0)
    os.close(read)
    os.set_inheritable(log, False)
    sys.addaudithook(hook)


def started(words: Sequence[str], folder: Path, strike: Any = None, page: bool = True) -> Said:
    """Run the program in ``folder`` to its end, in a child of this process.

    Args:
        words: its command line.
        folder: of the child.
        strike: called in the child before.
        page: whether a sweep ends with ``report.html``, which takes most of the time.
    """
    (out, says), (err, errs) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.chdir(folder)
            for pipe, number in ((says, 1), (errs, 2)):
                os.dup2(pipe, number)
            for pipe in (out, says, err, errs):
                os.close(pipe)
            sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
            sys.argv = ["fcsweep", *words]
            from fcsweep.cli.main import main

            if not page:
                from fcsweep.cli import summary

                summary._report = lambda folder, rows: None
            if strike is not None:
                strike()
            code = 0
            main()
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else 1
        except BaseException:
            import traceback

            traceback.print_exc()
            code = 71
        finally:
            os._exit(code)
    os.close(says)
    os.close(errs)
    texts = []
    for pipe in (out, err):
        with os.fdopen(pipe) as file:
            texts.append(file.read())
    _, status = os.waitpid(child, 0)
    return Said(os.waitstatus_to_exitcode(status), *texts)


@cache
def imported() -> None:
    """Everything that a child would import, read and compute first, once."""
    import torch

    import fcsweep.report
    import fcsweep.run.stack
    import fcsweep.search.sweep
    import fcsweep.terminal.run_view
    import fcsweep.terminal.stack_view  # noqa: F401
    from fcsweep.notebook import train

    torch.set_num_threads(1)
    with TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        train([word for word in SMALL if not word.startswith("hydra.")], f"{folder}/run")


def numbers_of(sweep: Path) -> dict[str, Any]:
    """Every number that a run or a sweep has found, but the times."""
    found: dict[str, Any] = {}
    for path in sorted(sweep.rglob("*")):
        name = str(path.relative_to(sweep))
        if path.name in ("history.csv", "losses.npy", "best.safetensors", "config.yaml"):
            found[name] = path.read_bytes().hex()
        elif path.name == "result.json":
            found[name] = json.loads(path.read_text()) | {"seconds": 0}
        elif path.name == "optimization_results.yaml":
            found[name] = "there"
    if (sweep / "study.journal").exists():
        from support.toy_app import study_of

        for trial in study_of(sweep).get_trials(deepcopy=False):
            steps = sorted(trial.intermediate_values.items())
            found[f"trial {trial.number}"] = [trial.state.name, trial.params, trial.values, steps]
    return json.loads(json.dumps(found))


def left_over(sweep: Path) -> list[str]:
    return [str(path) for path in sweep.rglob("*.tmp")]


def on_a_small_disk(folder: Path, size: int, program: str, frees: Sequence[int]) -> None:
    """One JSON line for each amount of room."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    imported()
    for free in frees:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        (folder / "ballast").write_bytes(b"x" * (size - free))
        first = started(PROGRAMS[program], folder, page=False)
        (folder / "ballast").unlink()
        again = started(PROGRAMS[program], folder, page=False)
        numbers, left = numbers_of(folder / "s"), left_over(folder / "s")
        print(json.dumps([free, first, again, numbers, left]), flush=True)


if __name__ == "__main__":
    on_a_small_disk(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], [*map(int, sys.argv[4:])])
