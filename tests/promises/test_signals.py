"""Signals at random moments, again and again until a command ends: what it leaves is the same."""

import builtins
import csv
import json
import os
import pty
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from support.short_runs import config_of
from support.toy_app import study_of, told

from fcsweep.cli import checks
from fcsweep.config import Cifar10Config
from fcsweep.launchers import grouping
from fcsweep.messages.errors import UserError
from fcsweep.records.formats import TRAINED
from fcsweep.system import signals

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


NUMBERS = ("history.csv", "losses.npy", "best.safetensors")
FINISHED = ("completed", "pruned", "diverged")
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
SECONDS = 10
"""A process that is asked politely ends within these."""
# A signal between `open` and its `with` leaves the file to the garbage collector, which closes it.
PYTHON = [sys.executable, "-W", "error", "-W", "ignore::ResourceWarning"]

TASK = [
    "data=synthetic",
    "data.num_train=60",
    "data.num_val=20",
    "solver.batch_size=10",
    "model.hidden_dims=[8]",
]
RUN = [*TASK, "solver.num_epochs=150", "solver.eval_every=5", "hydra.run.dir=out"]
GRID = ["-m", *TASK, "solver.num_epochs=30", "seed=0,1,2", "hydra.sweep.dir=out"]
GRID += ["optimizer=sgd,momentum"]
SEARCH = ["-m", *TASK, "solver.num_epochs=40", "hydra.sweep.dir=out", "hydra/sweeper=optuna"]
SEARCH += ["hydra.sweeper.n_trials=12", "hydra.sweeper.n_jobs=4", "hydra.sweeper.sampler.seed=2"]
SEARCH += ["hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=3"]
SEARCH += ["model.weight_scale=tag(log,interval(1e-3,1))"]
SEARCH += ["optimizer.learning_rate=tag(log,interval(1e-3,100))"]
KEEPING = "solver.checkpoint_seconds=0.01"
BASIC, STACKED = "hydra/launcher=basic", "hydra/launcher=stacked"
COMMANDS = {
    "run": RUN,
    "run with checkpoints": [*RUN, KEEPING],
    "grid": [*GRID, BASIC],
    "stacked grid": [*GRID, STACKED, KEEPING],
    "search": [*SEARCH, BASIC, KEEPING],
    "stacked search": [*SEARCH, STACKED],
}


class Program:
    """The program in a folder of its own, started again and again.

    Args:
        folder: is made.
        words: of the command line; after a polite signal, what it says to go on with.
    """

    def __init__(self, folder: Path, words: Sequence[str]) -> None:
        self.folder, self.words = folder, list(words)
        self.out, self.temporary = folder / "out", folder / "temporary"
        self.temporary.mkdir(parents=True)
        self.printed, self.error = folder / "stdout", folder / "stderr"

    def start(self, *how: str) -> subprocess.Popen[bytes]:
        """Start it, as a module or by other words for the interpreter."""
        environment = {"TMPDIR": str(self.temporary), "OMP_NUM_THREADS": "1"}
        with open(self.printed, "w") as printed, open(self.error, "w") as error:
            return subprocess.Popen(
                [*PYTHON, *(how or ["-m", "fcsweep"]), *self.words],
                cwd=self.folder,
                env={**os.environ, **environment},
                stdout=printed,
                stderr=error,
                start_new_session=True,
            )

    def end(self) -> tuple[str, float]:
        """Run it to its end; the last line that it printed, and the seconds that it took."""
        began = time.monotonic()
        with self.start() as process:
            process.wait(120)
        assert (process.returncode, self.error.read_text()) == (0, "")
        return self.printed.read_text().splitlines()[-1], time.monotonic() - began

    def strike(self, process, *signals: signal.Signals, group: bool = False) -> None:
        """Send signals to a process, or to its group as a terminal does, and check how it ends."""
        before = unchanged(self.out)
        for number in signals:
            with suppress(ProcessLookupError):
                (os.killpg if group else os.kill)(process.pid, number)
        self.ended(process, *signals, before=before)

    def ended(self, process, *signals: signal.Signals, before=None) -> None:
        """Check how a process ends that has got signals; go on as it says."""
        asked = time.monotonic()
        process.wait(60)
        out, error = self.printed.read_text(), self.error.read_text()
        code = process.returncode
        assert time.monotonic() - asked < SECONDS
        assert left_running(self.folder) == []
        if code == 0:
            assert error == ""
        elif code < 0:  # by force, or politely before Python listens or when all is done
            done = re.search(r"^(report: |best val accuracy|.* is done: )", out, re.MULTILINE)
            assert -code in signals, error
            assert code == -signal.SIGKILL or done or unchanged(self.out) == before, error
        else:
            assert code in {CODES.get(number) for number in signals}, error
            last = error.splitlines()[-1]
            said = re.fullmatch(r"\w[\w ]+; to [a-z ]+: python -m fcsweep (.*)", last)
            assert said and "Traceback" not in error, error
            self.words = shlex.split(said[1])


def unchanged(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.exists()}


def runs_in(out):
    """The records of the runs in a folder, by the names of theirs."""
    found = [path for path in (out / "result.json", *out.glob("*/result.json")) if path.exists()]
    return {path.parent: json.loads(path.read_text()) for path in found}


def finished(out):
    """When the result of each finished run was written, and to which file: once, for ever."""
    ended = [run for run, result in runs_in(out).items() if result["status"] in FINISHED]
    stats = {run: (run / "result.json").stat() for run in ended}
    return {run: (stat.st_mtime_ns, stat.st_ino) for run, stat in stats.items()}


def left(program):
    """Everything that a command leaves, without times, workers and the name of its folder."""
    out = program.out
    runs = {}
    for run, result in runs_in(out).items():
        files = [run / name for name in NUMBERS]
        numbers = [path.read_bytes() if path.exists() else None for path in files]
        runs[run.relative_to(out)] = ({**result, "seconds": 0}, numbers)
    found: dict = {"runs": runs, "names": sorted(p.relative_to(out) for p in out.rglob("*"))}
    if (out / "trials.csv").exists():
        rows = csv.DictReader((out / "trials.csv").read_text().splitlines())
        found["table"] = [row | dict.fromkeys(["seconds", *TRAINED]) for row in rows]
    if (out / "study.journal").exists():
        found["study"] = told(study_of(out))
        results = (out / "optimization_results.yaml").read_text()
        found["results"] = results.replace(str(program.folder), "")
    found["beside"] = sorted(path.name for path in program.folder.iterdir())
    found["temporary"] = list(program.temporary.iterdir())
    return found


def left_running(folder):
    """The processes that a program in this folder has left."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environment = process.environ()
            if environment.get("TMPDIR", "").startswith(str(folder)):
                found.append((process.pid, process.cmdline()))
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a command of `COMMANDS` leaves if nothing disturbs it, and how long it takes."""
    known = {}

    def of(name):
        if name not in known:
            program = Program(tmp_path_factory.mktemp("whole") / "folder", COMMANDS[name])
            known[name] = program.end()[1], left(program)
        return known[name]

    return of


def disturb(program, seed, seconds, most):
    """Strike at random moments until the program ends by itself, at most so many times."""
    chance = random.Random(seed)
    for _ in range(most):
        signals = [chance.choice([signal.SIGKILL, *CODES])]
        if chance.random() < 0.3:
            signals.append(chance.choice([signal.SIGKILL, *CODES]))
        before = finished(program.out)
        with program.start() as process:
            with suppress(subprocess.TimeoutExpired):
                first, last = chance.choice([(0, 1.1), (0.3, 0.8)])  # any moment, or of training
                process.wait(chance.uniform(first, last) * seconds)
            program.strike(process, *signals, group=chance.random() < 0.3)
        assert before.items() <= finished(program.out).items()
        if process.returncode == 0:
            return
    before = finished(program.out)
    program.end()
    assert before.items() <= finished(program.out).items()


# --- At chosen moments ----------------------------------------------------------------------------

AT_IMPORT = """
import os, signal, sys
class Strike:
    def find_spec(self, name, *_):
        if name == {module!r} and self in sys.meta_path:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Strike())
from fcsweep.__main__ import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("torch._C", signal.SIGTERM),  # in an import that makes another error of it
        slow("hydra", signal.SIGINT),  # before anything of ours is imported
        slow("fcsweep.records.writer", signal.SIGHUP),  # before the config of a job is saved
        slow("jinja2", signal.SIGINT),  # after the table, for the report
    ],
)
def test_a_signal_is_heard_from_the_first_import_to_the_report(module, number, tmp_path):
    program = Program(tmp_path / "folder", ["-m", *TASK, "seed=0,1", "solver.num_epochs=2"])
    program.words += ["hydra.sweep.dir=out"]
    given = program.words
    with program.start("-c", AT_IMPORT.format(module=module, number=int(number))) as process:
        program.ended(process, number)
    assert process.returncode == CODES[number]
    assert program.words == given
    assert "failed" not in {result["status"] for result in runs_in(program.out).values()}
    assert program.end()[0] == "report: out/report.html"


LONG = [*TASK, "solver.num_epochs=1000000", "solver.eval_every=100"]


def wait_until(reached, process):
    until = time.monotonic() + 60
    while not reached():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.01)


def is_training(program):
    return any(result["epochs"] for result in runs_in(program.out).values())


@pytest.mark.slow
def test_a_terminal_that_closes_ends_the_run(tmp_path):
    """It sends SIGHUP, sometimes twice, and whatever is written to it from then on is an error."""
    program = Program(tmp_path / "folder", [*LONG, "hydra.run.dir=out"])
    process, ours = pty.fork()
    if process == 0:
        os.chdir(program.folder)
        os.execv(sys.executable, [sys.executable, "-m", "fcsweep", *program.words])
    while not is_training(program):
        os.read(ours, 1000)
    os.close(ours)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGHUP)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 129
    assert runs_in(program.out)[program.out]["status"] == "interrupted"


GONE = """
import os, signal, sys
from fcsweep.system.signals import listening
with listening():
    sys.stdout.write("a line that was not ended")
    os.kill(os.getpid(), signal.SIGHUP)
"""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_what_cannot_be_said_any_more_does_not_change_the_exit_code():
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}  # set, it writes at once
    with open("/dev/full", "w") as gone:
        done = subprocess.run(
            [sys.executable, "-c", GONE], stdout=gone, stderr=gone, env=environment
        )
    assert done.returncode == 129


HELD_BACK = """
import os, signal
from fcsweep.system.signals import held_back, listening
with listening():
    with held_back():
        os.kill(os.getpid(), signal.SIGTERM)
        print("to its end", flush=True)
    print("and further", flush=True)
"""


def test_an_import_that_must_not_be_broken_off_comes_to_its_end_first():
    done = subprocess.run([sys.executable, "-c", HELD_BACK], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (143, "to its end\n")


def test_no_signal_breaks_off_an_import_of_torch(monkeypatch):
    config = config_of()
    slow, held = {"torch", "fcsweep.run", "fcsweep.data"}, dict[str, bool]()
    real = builtins.__import__

    def spy(name, *rest, **more):
        if name in slow and signals._program is not None:
            held[name] = signals._program.held_back
        return real(name, *rest, **more)

    with signals.listening(), monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", spy)
        grouping.stacks([config, config], grouping.largest)
        with suppress(UserError):
            checks.require_device(replace(config, device="cuda:99"))
        with suppress(UserError):
            checks.require_data([replace(config, data=Cifar10Config(root="nowhere"))])
    assert held == dict.fromkeys(slow, True)


IN_A_DESTRUCTOR = """
import os, signal
from fcsweep.system.signals import end_if_asked, listening
class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        sum(range(10**5))
with listening():
    Dying()
    print("it was lost", flush=True)
    end_if_asked()
    print("and stays so")
"""


def test_what_is_raised_in_a_destructor_is_raised_again_without_a_word_of_python():
    done = subprocess.run([sys.executable, "-c", IN_A_DESTRUCTOR], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (130, "it was lost")
    assert done.stderr.startswith("interrupted; to run it again") and done.stderr.count("\n") == 1


HANGING = """
import time
from fcsweep import __main__
from fcsweep.cli import summary
summary._report = lambda *_: time.sleep(100)
__main__.main()
"""


@pytest.mark.slow
def test_a_second_signal_ends_what_hangs(tmp_path):
    program = Program(tmp_path / "folder", ["-m", *LONG, "seed=0,1", "hydra.sweep.dir=out"])
    with program.start("-c", HANGING) as process:
        wait_until(lambda: is_training(program), process)
        process.terminate()
        wait_until((program.out / "trials.csv").exists, process)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.2)
        program.strike(process, signal.SIGTERM)
    assert process.returncode == 143


KILLED_WHILE_WRITING = """
import os, signal
from pathlib import Path
write = Path.write_bytes
def strike(path, content):
    if {name!r} in path.name:
        write(path, content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return write(path, content)
from fcsweep import __main__
Path.write_bytes = strike
__main__.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "stacked"])
def test_a_kill_while_a_config_is_saved_again_leaves_the_old_one(launcher, tmp_path):
    program = Program(tmp_path / "folder", ["-m", *TASK, "seed=0,1", "hydra.sweep.dir=out"])
    program.words += ["solver.num_epochs=2", f"hydra/launcher={launcher}"]
    config = program.out / "0" / ".hydra" / "config.yaml"
    saved = []
    for name in ("best.safetensors", "config.yaml"):
        with program.start("-c", KILLED_WHILE_WRITING.format(name=name)) as process:
            program.ended(process, signal.SIGKILL)
        saved.append(config.read_bytes())
        assert runs_in(program.out)[program.out / "0"]["status"] == "running"
    assert saved[0] == saved[1]
    assert list(program.out.rglob(".*.tmp"))
    program.end()
    assert not list(program.out.rglob(".*.tmp"))


# --- At random moments ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_struck_at_random_moments_ends_as_if_it_were_not(name, undisturbed, tmp_path):
    seconds, whole = undisturbed(name)
    seed = int(os.environ.get("FCSWEEP_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"FCSWEEP_TEST_SEED={seed}")  # pytest shows it with a failure
    program = Program(tmp_path / "folder", COMMANDS[name])
    disturb(program, seed, seconds, most=7)
    assert left(program) == whole
