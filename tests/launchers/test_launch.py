"""The stacked launcher: Hydra's own suites, and what only a stack can get wrong."""

import json
import logging
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hydra.experimental.callback import Callback
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from support import preloaded
from support.marks import one_quick

from fcsweep.cli import main
from fcsweep.cli.task import Task
from fcsweep.composition.yaml_dump import as_yaml
from fcsweep.launchers import stack_size, stacked
from fcsweep.nets import FullyConnectedNet
from fcsweep.records.writer import RunRecord
from fcsweep.search import pruning
from fcsweep.system.atomic import RecordError

ignoring = pytest.mark.filterwarnings("ignore::UserWarning")  # theirs: apps without version_base


@ignoring
@pytest.mark.parametrize("launcher_name, overrides", [("stacked", [])])
@pytest.mark.usefixtures("no_version_base")
class TestStackedLauncher(LauncherTestSuite):
    pass


@ignoring
@pytest.mark.parametrize(
    "launcher_name, overrides", [("stacked", ["hydra.sweeper.max_batch_size=2"])]
)
@pytest.mark.usefixtures("no_version_base")
class TestStackedBatches(BatchedSweeperTestSuite):
    pass


@ignoring
@pytest.mark.slow
@pytest.mark.parametrize("task_launcher_cfg, extra_flags", [({}, ["-m", "hydra/launcher=stacked"])])
class TestStackedIntegration(IntegrationTestSuite):
    pass


NUMBERS = ("history.csv", "losses.npy", "best.safetensors")
SAVED = (".hydra/config.yaml", ".hydra/overrides.yaml")


@pytest.fixture
def fcsweep(tmp_path, monkeypatch, capfd):
    """The program, called in an empty folder; what it printed and how it ended. It has no page."""
    no_page = SimpleNamespace(write=lambda folder, **_: Path(folder, "report.html"))
    monkeypatch.setitem(sys.modules, "fcsweep.report", no_page)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["fcsweep", "-m", *arguments])
        capfd.readouterr()
        code = 0
        try:
            main.main()
        except SystemExit as leave:
            code = leave.code
        said = capfd.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err)

    yield call
    for handler in set(root.handlers) - set(before[0]):
        handler.close()
    root.handlers[:], root.level = before


def result_of(folder):
    return json.loads((Path(folder) / "result.json").read_text())


def place_of(folder):
    facts = json.loads((Path(folder) / "provenance.json").read_text())
    return facts["stack_size"], facts["stack_place"]


def assert_same_trials(one, other, *names):
    """All but the times and the place in a stack."""
    for name in names:
        for file in (*NUMBERS, *SAVED):
            here, there = Path(one, name, file), Path(other, name, file)
            assert here.exists() == there.exists(), (name, file)
            if here.exists():
                assert here.read_bytes() == there.read_bytes(), (name, file)
        times = {"seconds": 0}
        assert result_of(Path(one, name)) | times == result_of(Path(other, name)) | times


OPTIONS = {
    "momentum": ["optimizer=momentum", "optimizer.momentum=0.5,0.9", "seed=0,1"],
    "adam": ["optimizer=adam", "optimizer.beta1=0.8,0.9", "optimizer.epsilon=1e-8,1e-4"],
    "rmsprop": ["optimizer=rmsprop", "optimizer.learning_rate=1e-3,1e-2", "model.reg=0,0.1"],
    "sgd": ["optimizer=sgd,momentum", "solver.lr_decay=0.9,1.0", "optimizer.learning_rate=0.1,1"],
    "dropout": ["model=three_layer", "model.dropout=0,0.3", "model.weight_scale=0.05,0.1"],
    "svm": ["model=five_layer", "model.loss_function=svm", "seed=1,2", "model.weight_scale=0.1,10"],
    "float64": ["dtype=float64", "model.hidden_dims=[20],[30]", "optimizer.learning_rate=0.1,0.5"],
    "few": ["data.num_train=50", "solver.batch_size=25", "solver.eval_every=2", "seed=0,1,2"],
    "synthetic": ["data=synthetic", "data.num_train=500", "optimizer.learning_rate=1e-3,1e30"],
}


@pytest.mark.parametrize("options", one_quick(OPTIONS.values()), ids=OPTIONS)
def test_a_trial_is_the_same_as_with_the_basic_launcher(options, fcsweep):
    command = *options, "solver.num_epochs=3"
    for launcher, size in (("basic", []), ("stacked", ["hydra.launcher.max_trials=8"])):
        options = f"hydra/launcher={launcher}", f"hydra.sweep.dir={launcher}", *size
        said = fcsweep(*command, *options)
        assert (said.code, said.err) == (0, "")
    names = sorted(path.name for path in Path("basic").iterdir() if path.is_dir())
    assert len(names) >= 2
    assert_same_trials("basic", "stacked", *names)
    assert place_of("basic/0") == (1, 0)
    assert place_of(f"stacked/{len(names) - 1}")[0] >= 2
    listed = [Path(launcher, "trials.csv").read_text() for launcher in ("basic", "stacked")]
    assert listed[0].count("\n") == listed[1].count("\n") == len(names) + 1


@pytest.mark.slow
def test_what_shares_a_stack_and_how_large_it_is(fcsweep):
    grid = "optimizer=sgd,momentum", "seed=0,1,2,3,4", "solver.num_epochs=1"
    fcsweep(*grid, "hydra/launcher=stacked", "hydra.sweep.dir=a")
    assert [place_of(f"a/{n}") for n in range(10)] == [(5, n) for n in range(5)] * 2
    fcsweep(*grid, "hydra/launcher=stacked", "hydra.launcher.max_trials=3", "hydra.sweep.dir=b")
    assert [place_of(f"b/{n}") for n in range(5)] == [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]
    fcsweep(*grid, "hydra/launcher=stacked", "hydra.launcher.max_trials=1", "hydra.sweep.dir=c")
    assert {place_of(f"c/{n}") for n in range(10)} == {(1, 0)}
    assert_same_trials("a", "b", *map(str, range(10)))
    assert_same_trials("a", "c", *map(str, range(10)))


@pytest.mark.slow
def test_a_grid_learns_its_stack_size_from_cpu_time(fcsweep, monkeypatch):
    """A clock of its own: an epoch of a trial takes least in stacks of 8. Some trials diverge."""
    now, real = [0.0], Task.train

    def train(task, jobs):
        ended = real(task, jobs)
        now[0] += {4: 1.0, 8: 0.5, 16: 0.8}[len(jobs)] * sum(one.epochs for one in ended)
        return ended

    monkeypatch.setattr(stack_size, "limits", lambda config: (4, 64))
    monkeypatch.setattr(stacked, "process_time", lambda: now[0])
    monkeypatch.setattr(Task, "train", train)
    seeds = ",".join(map(str, range(16)))
    rates = "optimizer.learning_rate=0.1,1000000.0,0.2"
    few = "data.num_train=100", "solver.num_epochs=2"
    fcsweep(rates, f"seed={seeds}", *few, "hydra.sweep.dir=a")
    first = [n for n in range(48) if place_of(f"a/{n}")[1] == 0]
    assert [place_of(f"a/{n}")[0] for n in first] == [4, 4, 8, 16, 8, 8]
    fcsweep(rates, f"seed={seeds}", *few, "hydra.sweep.dir=b", "hydra.launcher.max_trials=48")
    assert place_of("b/0") == (48, 0)
    assert_same_trials("a", "b", *map(str, range(48)))


@pytest.mark.parametrize("given", ["0", "-1", "1.5", "many", "true", "null"])
def test_a_wrong_size_is_one_line_and_leaves_nothing(given, fcsweep, tmp_path):
    said = fcsweep("seed=0,1", "hydra/launcher=stacked", f"hydra.launcher.max_trials={given}")
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert said.err.startswith("error: hydra.launcher.max_trials is ")
    assert "expected auto or a whole number >= 1" in said.err
    assert list(tmp_path.iterdir()) == []


def test_each_log_has_its_own_lines(fcsweep):
    grid = "optimizer.learning_rate=0.1,1e30,0.2", "solver.num_epochs=3", "model.weight_scale=0.1"
    fcsweep(*grid, "hydra/launcher=stacked", "hydra.sweep.dir=s")
    logs = [Path(f"s/{n}/fcsweep.log").read_text() for n in range(3)]
    assert [text.count("epoch ") for text in logs] == [3, 2, 3]  # the diverged one says when
    assert "diverged" in logs[1] and "diverged" not in logs[0] + logs[2]
    told = [[line.partition("[INFO]")[2] for line in text.splitlines()] for text in logs]
    assert all("loss " in line for line in told[0]) and told[0] != told[2]


class Watching(Callback):
    """Says in which order it is called, and what it finds."""

    said: list[tuple] = []

    def on_job_start(self, config, *, task_function, **_):
        folder = Path(config.hydra.runtime.output_dir)
        trained = sorted(path.name for path in folder.parent.rglob("history.csv"))
        assert (folder / ".hydra" / "config.yaml").exists() and callable(task_function)
        from hydra.core.hydra_config import HydraConfig

        assert HydraConfig.get().job.num == config.hydra.job.num
        logging.getLogger("callback").info("starting %s", config.hydra.job.num)
        self.said.append(("start", config.hydra.job.num, trained))

    def on_job_end(self, config, job_return, **_):
        logging.getLogger("callback").info("ending")
        found = job_return._return_value, job_return.status.name
        self.said.append(("end", config.hydra.job.num, *found))


def test_callbacks_come_before_the_first_step_and_after_the_last(fcsweep, monkeypatch):
    said: list[tuple] = []
    monkeypatch.setattr(Watching, "said", said)
    monkeypatch.setitem(sys.modules, "test_launch", sys.modules[__name__])
    watch = "+hydra.callbacks.watch._target_=test_launch.Watching"
    grid = "seed=0,1,2", "solver.num_epochs=2", "hydra/launcher=stacked", "hydra.sweep.dir=s"
    assert fcsweep(*grid, watch).code == 0
    assert said[:3] == [("start", n, []) for n in range(3)]
    values = [result_of(f"s/{n}")["value"] for n in range(3)]
    assert said[3:] == [("end", n, values[n], "COMPLETED") for n in range(3)]
    for n in range(3):
        text = Path(f"s/{n}/fcsweep.log").read_text()
        assert text.count("starting") == text.count("ending") == 1
        assert f"starting {n}" in text
    saved = OmegaConf.load("s/1/.hydra/hydra.yaml")
    assert saved.hydra.job.num == 1
    assert saved.hydra.runtime.output_dir == os.path.abspath("s/1")
    assert saved.hydra.overrides.task == ["seed=1", "solver.num_epochs=2"]


@contextmanager
def failing_record(monkeypatch, name, method="add"):
    """The record of one trial cannot be written."""
    real = getattr(RunRecord, method)

    def write(self, *arguments):
        if self.folder.name == name:
            raise RecordError(f"{self.folder}/history.csv cannot be written: No space left")
        return real(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(RunRecord, method, write)
        yield


@pytest.mark.parametrize("method", one_quick(["start", "provenance", "add"]))
def test_a_trial_that_fails_costs_only_itself(method, fcsweep, monkeypatch):
    grid = "seed=0,1,2", "solver.num_epochs=3", "hydra/launcher=stacked"
    fcsweep(*grid, "hydra.sweep.dir=whole")
    with failing_record(monkeypatch, "1", method):
        said = fcsweep(*grid, "hydra.sweep.dir=s")
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert said.err.startswith("error: 1 of 3 jobs failed: s/1 (")
    assert "cannot be written: No space left" in said.err
    assert_same_trials("whole", "s", "0", "2")
    assert "Traceback" in Path("s/1/fcsweep.log").read_text()
    assert "Traceback" not in Path("s/0/fcsweep.log").read_text() + said.out
    assert fcsweep(*grid, "hydra.sweep.dir=s").out.startswith("resuming s: 2 finished, 1 to go")
    assert_same_trials("whole", "s", "0", "1", "2")


def test_a_folder_that_cannot_be_made_costs_only_its_job(fcsweep):
    grid = "seed=0,1,2", "solver.num_epochs=1", "hydra/launcher=stacked", "hydra.sweep.dir=s"
    real = Path.mkdir

    def mkdir(self, *arguments, **options):
        if self == Path("s/1"):
            raise PermissionError(13, "Permission denied", "s/1")
        real(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "mkdir", mkdir)
        said = fcsweep(*grid)
    assert [result_of(f"s/{n}")["status"] for n in (0, 2)] == ["completed"] * 2
    assert [place_of(f"s/{n}") for n in (0, 2)] == [(2, 0), (2, 1)]
    assert not Path("s/1").exists()
    assert said.code == 1
    assert said.err.startswith("error: 1 of 3 jobs failed: 1 (PermissionError: [Errno 13]")


def test_an_error_of_the_whole_stack_is_in_every_record(fcsweep, monkeypatch):
    def broken(config):
        raise OSError("no such data")

    monkeypatch.setattr("fcsweep.run.stack.data_of", broken)
    said = fcsweep("seed=0,1", "hydra/launcher=stacked", "hydra.sweep.dir=s")
    assert said.code == 1 and "2 of 2 jobs failed: s/0, s/1 (OSError: no such data)" in said.err
    for n in range(2):
        assert result_of(f"s/{n}")["reason"] == "OSError: no such data"
        assert "Traceback" in Path(f"s/{n}/fcsweep.log").read_text()


SHORTAGES = [
    torch.OutOfMemoryError("CUDA out of memory"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
]


@pytest.mark.parametrize("error", one_quick([*SHORTAGES, ArithmeticError("by chance")]), ids=repr)
@pytest.mark.parametrize("launcher", ["basic", "stacked"])
def test_a_job_that_raises_or_lacks_memory_costs_only_itself(launcher, error, fcsweep, monkeypatch):
    real = FullyConnectedNet.prepare

    def prepare(self, *arguments):
        if self.seed == [1]:
            raise error
        return real(self, *arguments)

    monkeypatch.setattr(FullyConnectedNet, "prepare", prepare)
    alone = ["hydra.launcher.max_trials=1"] if launcher == "stacked" else []
    grid = ["seed=0,1,2", *alone]
    said = fcsweep(*grid, "solver.num_epochs=1", f"hydra/launcher={launcher}", "hydra.sweep.dir=s")
    assert said.code == 1
    assert said.err.startswith("error: 1 of 3 jobs failed: s/1 (") and said.err.count("\n") == 1
    statuses = [result_of(f"s/{n}")["status"] for n in range(3)]
    assert statuses == ["completed", "failed", "completed"]
    assert str(error) in str(result_of("s/1")["reason"])
    logs = [Path(f"s/{n}/fcsweep.log").read_text() for n in range(3)]
    assert ["Traceback" in text for text in logs] == [False, True, False]
    listed = Path("s/trials.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in listed] == ["status", *statuses]


@pytest.mark.parametrize("error", one_quick(SHORTAGES), ids=lambda error: type(error).__name__)
def test_a_stack_that_does_not_fit_is_split(error, fcsweep, monkeypatch):
    grid = "seed=0,1,2,3,4,5", "solver.num_epochs=2", "hydra/launcher=stacked"
    fcsweep(*grid, "hydra.sweep.dir=whole")
    real = FullyConnectedNet.prepare

    def prepare(self, *arguments):
        gradient = real(self, *arguments)

        def lacking(step):
            # In the second epoch: what is recorded of the first is forgotten.
            if (len(self.seed) > 2 or 5 in self.seed) and step >= 20:
                raise error
            return gradient(step)

        return lacking

    monkeypatch.setattr(FullyConnectedNet, "prepare", prepare)
    said = fcsweep(*grid, "hydra.sweep.dir=s")
    assert said.code == 1
    assert said.err.startswith("error: 1 of 6 jobs failed: s/5 (")
    assert_same_trials("whole", "s", *"01234")
    assert [place_of(f"s/{n}")[0] for n in range(6)] == [2, 2, 1, 2, 2, 1]
    assert result_of("s/5")["epochs"] == 1 and result_of("s/5")["status"] == "failed"


@pytest.mark.slow
def test_pruning_hears_all_before_it_decides(fcsweep, monkeypatch):
    """By an injected pruner; who is pruned leaves, and the others do not notice."""
    told = []

    def prune(values, step):
        told.append((step, dict(values)))
        return {1, 3} if step == 2 else set()

    grid = "seed=0,1,2,3", "solver.num_epochs=4", "hydra/launcher=stacked"
    fcsweep(*grid, "hydra.sweep.dir=whole")
    monkeypatch.setattr(pruning, "prune", prune)
    monkeypatch.setattr("fcsweep.cli.task.job_number", lambda: 0)  # as in a search
    said = fcsweep(*grid, "hydra.sweep.dir=s")
    assert said.code == 0
    assert [(step, sorted(values)) for step, values in told] == [
        (1, [0, 1, 2, 3]),
        (2, [0, 1, 2, 3]),
        (3, [0, 2]),
        (4, [0, 2]),
    ]
    assert told[-1][1] == {n: result_of(f"s/{n}")["value"] for n in (0, 2)}
    assert [result_of(f"s/{n}")["status"] for n in (1, 3)] == ["pruned"] * 2
    assert result_of("s/1")["reason"] == "pruned after epoch 2"
    assert_same_trials("whole", "s", "0", "2")


SEARCH = [
    "hydra/sweeper=optuna",
    "hydra.sweeper.n_trials=16",
    "hydra.sweeper.n_jobs=8",
    "hydra.sweeper.sampler.seed=3",
    "hydra/sweeper/pruner=median",
    "optimizer.learning_rate=tag(log,interval(1e-3,3))",
    "model.weight_scale=tag(log,interval(1e-3,1))",
    "solver.num_epochs=6",
]


@pytest.mark.slow
def test_a_search_is_the_same_as_with_the_basic_launcher(fcsweep):
    """With the median pruner on: it compares with finished trials only."""
    for launcher in ("basic", "stacked"):
        said = fcsweep(*SEARCH, f"hydra/launcher={launcher}", f"hydra.sweep.dir={launcher}")
        assert (said.code, said.err) == (0, "")
    numbers = [str(n) for n in range(16)]
    assert_same_trials("basic", "stacked", *numbers)
    statuses = [result_of(f"stacked/{n}")["status"] for n in numbers]
    assert "pruned" in statuses and "completed" in statuses
    assert [place_of(f"stacked/{n}")[0] for n in numbers] == [8] * 16
    assert {place_of(f"basic/{n}")[0] for n in numbers} == {1}


PROGRAM = [sys.executable, "-W", "error", "-m", "fcsweep"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGKILL", -9)])
def test_a_stack_that_is_stopped_goes_on(name, code, fcsweep, tmp_path):
    grid = "seed=0,1,2", "solver.num_epochs=400", "solver.eval_every=20", "hydra/launcher=stacked"
    where = "hydra.sweep.dir=s"
    with preloaded.Popen(
        [*PROGRAM, "-m", *grid, where], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            if line.startswith("epoch  21"):
                process.send_signal(getattr(signal, name))
                break
        _, error = process.communicate(timeout=60)
    assert process.returncode == code
    results = [result_of(f"s/{n}") for n in range(3)]
    stopped = "running" if name == "SIGKILL" else "interrupted"
    assert {result["status"] for result in results} == {stopped}
    assert all(result["epochs"] >= 20 for result in results)
    if name != "SIGKILL":
        assert error.endswith(f"python -m fcsweep -m {' '.join(grid)} {where}\n")
    assert fcsweep(*grid, where).code == 0
    assert {result_of(f"s/{n}")["status"] for n in range(3)} == {"completed"}


@pytest.mark.slow
def test_what_is_left_of_a_grid_trains_together(fcsweep):
    grid = "seed=0,1,2,3,4", "solver.num_epochs=1", "hydra/launcher=stacked", "hydra.sweep.dir=s"
    fcsweep(*grid)
    for n in (0, 2, 4):
        Path(f"s/{n}/result.json").unlink()
    assert fcsweep(*grid).out.startswith("resuming s: 2 finished, 3 to go")
    assert [place_of(f"s/{n}") for n in range(5)] == [(3, 0), (5, 1), (3, 1), (5, 3), (3, 2)]


@pytest.mark.slow
def test_more_trials_than_files_may_be_open(fcsweep):
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, before[1]))
    try:
        seeds = ",".join(map(str, range(40)))
        size = "hydra.launcher.max_trials=40"
        grid = f"seed={seeds}", "solver.num_epochs=1", "hydra/launcher=stacked", size
        assert fcsweep(*grid, "data.num_train=100", "hydra.sweep.dir=s").code == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert place_of("s/39") == (40, 39)


HARD = ["", "null", "~", "yes", "1e3", "010", "12:30", "- a", "a: b", "#x", "'", '"', "a\nb", " a"]
HARD += ["?", "=", "<<", ".inf", "1_000", "x " * 45, "\x7f", "\u2028", "é", "😀", "2020-01-01"]
TEXTS = st.text(max_size=90) | st.sampled_from(HARD)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
TREES = st.recursive(
    VALUES, lambda tree: st.lists(tree, max_size=4) | st.dictionaries(TEXTS, tree, max_size=4)
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=st.dictionaries(TEXTS, TREES, max_size=5) | st.lists(TREES, max_size=4))
def test_the_quick_yaml_is_that_of_omegaconf(content):
    try:
        cfg = OmegaConf.create(content)
        expected = OmegaConf.to_yaml(cfg)
    except (OmegaConfBaseException, ValueError):  # a broken interpolation
        assume(False)
    assert as_yaml(cfg) == expected
