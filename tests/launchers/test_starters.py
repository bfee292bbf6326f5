"""What starts the workers of a sweep: their command, how they end, and what is refused."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import hydra_plugins.fcsweep as plugins
from fcsweep.launchers.starters import ray as starters_ray
from fcsweep.launchers.starters import slurm as starters_slurm
from fcsweep.launchers.starters import starter
from fcsweep.launchers.starters.command import WORKER, Command, is_worker, worker_command
from fcsweep.launchers.starters.settings import starter_of
from fcsweep.launchers.starters.starter import KILLED, WorkerFailed, require_program, started
from fcsweep.messages.errors import ConfigError

URL = "postgresql://me:secret@db/studies"
STACKED = {"_target_": "hydra_plugins.fcsweep.StackedLauncher", "max_trials": "auto"}


class Known:
    """A starter whose workers end as is said beforehand."""

    asked = "hydra/launcher is known"

    def __init__(self, endings):
        self.count, self._endings = len(endings), endings
        self.command, self.ended_by = None, None

    def start(self, command):
        self.command = command

    def working(self):
        return False

    def end(self, number):
        self.ended_by = number

    def endings(self):
        return self._endings


@pytest.fixture(autouse=True)
def a_program(monkeypatch):
    """Not a notebook; and no worker, unless a test says so."""
    monkeypatch.setattr(starter, "is_listening", lambda: True)
    is_worker.cache_clear()
    yield
    is_worker.cache_clear()


@pytest.mark.parametrize(
    ("endings", "why"),
    [
        ([None, "the disk is full", "later"], "a worker failed: the disk is full"),
        ([KILLED, KILLED], "all workers were killed; run the same command to resume"),
        ([KILLED], "the worker was killed; run the same command to resume"),
    ],
)
def test_an_ending_that_leaves_work_undone_is_told(endings, why, tmp_path):
    with pytest.raises(WorkerFailed) as error, started(Known(endings), tmp_path, tmp_path):
        pass
    assert str(error.value) == why


def test_of_several_workers_one_may_be_killed(tmp_path, caplog):
    with caplog.at_level(logging.WARNING), started(Known([None, KILLED]), tmp_path, tmp_path):
        pass
    assert caplog.messages == ["1 of 2 workers were killed; the others have trained what was left"]


@pytest.mark.parametrize(
    ("error", "number"), [(KeyboardInterrupt, signal.SIGINT), (SystemExit(143), signal.SIGTERM)]
)
def test_what_ends_the_sweep_ends_its_workers(error, number, tmp_path):
    known = Known([None, None])
    with pytest.raises((KeyboardInterrupt, SystemExit)), started(known, tmp_path, tmp_path):
        raise error
    assert known.ended_by == number


def test_a_notebook_starts_no_workers(monkeypatch):
    monkeypatch.setattr(starter, "is_listening", lambda: False)
    require_program(None)
    with pytest.raises(ConfigError, match="is known; from Python a sweep has one worker: use a"):
        require_program(Known([None]))


def test_a_worker_has_the_command_of_its_sweep_and_no_password_in_it(monkeypatch):
    given = ["-m", "seed=0,1", f"hydra.sweeper.storage='{URL}'", "hydra.sweep.dir=out"]
    monkeypatch.setattr(sys, "argv", ["app.py", *given])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-W", "error", "app.py", *given])
    monkeypatch.setenv("FCSWEEP_STORAGE", URL)
    command = worker_command(Path("/shared/out"), Path("/home/me"))
    assert command.words[1:] == [
        *("-W", "error", "app.py", "-m", "seed=0,1"),
        *("hydra.sweeper.storage=${oc.env:FCSWEEP_STORAGE}", "hydra.sweep.dir=/shared/out"),
    ]
    assert command.words[0] == sys.executable
    assert command.environment == {**os.environ, WORKER: "1"}


def test_a_worker_starts_no_workers_and_what_it_starts_is_none(monkeypatch):
    launcher = OmegaConf.create({**STACKED, "workers": 2})
    assert starter_of(launcher).count == 2
    is_worker.cache_clear()
    monkeypatch.setenv(WORKER, "1")
    assert starter_of(launcher) is None
    told = subprocess.run(
        [sys.executable, "-c", f"import os; print(os.environ.get({WORKER!r}))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "None\n" and starter_of(launcher) is None


REFUSED = [
    ({"workers": 0}, "hydra.launcher.workers is 0; expected auto or a whole number >= 1"),
    ({"workers": True}, "hydra.launcher.workers is true; expected auto or a whole number >= 1"),
    ({"workers": "few"}, "hydra.launcher.workers is 'few'; expected auto or a whole number >= 1"),
    (
        {"_target_": "x.SlurmLauncher", "workers": "auto"},
        "hydra.launcher.workers is 'auto'; expected a whole number >= 1",
    ),
    (
        {"_target_": "x.SlurmLauncher", "cpus": 0.5, "additional": {}, "minutes": 1, "gpus": 0},
        "hydra.launcher.cpus is 0.5; expected a whole number >= 1",
    ),
    (
        {"_target_": "x.SlurmLauncher", "additional": "mem=8G"},
        "hydra.launcher.additional is 'mem=8G'; expected options of sbatch",
    ),
]


@pytest.mark.parametrize(("given", "why"), REFUSED)
def test_a_wrong_key_of_the_launcher_is_refused(given, why):
    with pytest.raises(ConfigError) as error:
        starter_of(OmegaConf.create({**STACKED, **given}))
    assert str(error.value) == why


# --- Slurm, of which programs with its names stand in ---------------------------------------------

SLURM = {
    "_target_": "hydra_plugins.fcsweep.SlurmLauncher",
    "partition": None,
    "gpus": 0,
    "cpus": 1,
    "minutes": None,
    "additional": {},
}
SBATCH = """#!/bin/sh
printf '%s\\n' "$@" >> sbatch.said; cat >> sbatch.script; env >> sbatch.env
number=$(cat job 2> job.error || echo 7); echo $((number + 1)) > job; echo "$number;cluster"
"""
PROGRAMS = {
    "sbatch": SBATCH,
    "squeue": "#!/bin/sh\nfor word; do job=$word; case $word in --jobs=*) break;; esac; done\n"
    'cat "${job#--jobs=}.squeue"\n',
    "scancel": '#!/bin/sh\necho "$@" >> scancel.said',
}


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Says what ``squeue`` tells of the jobs of an array."""
    for name, script in PROGRAMS.items():
        path = tmp_path / name
        path.write_text(script)
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(starters_slurm, "SOONEST", 0.0)

    def tell(array, *states):
        rows = [f"{array}_{n} {state}" for n, state in enumerate(states, 1)]
        (tmp_path / f"{array}.squeue").write_text("\n".join(rows))

    return tell


def submitted(tmp_path, **keys):
    begun = starter_of(OmegaConf.create({**SLURM, **keys}))
    command = Command(["python", "-m", "it's"], {**os.environ, WORKER: "1"}, tmp_path, tmp_path)
    begun.start(command)
    return begun


def test_slurm_is_told_what_a_worker_needs_and_no_password(slurm, tmp_path, monkeypatch):
    monkeypatch.setenv("FCSWEEP_STORAGE", URL)
    monkeypatch.setenv("SLURM_JOB_ID", "3")
    more = {"mem": "8G", "exclusive": True, "nice": False}
    submitted(tmp_path, workers=3, gpus=2, cpus=4, minutes=90, partition="short", additional=more)
    words = (tmp_path / "sbatch.said").read_text().splitlines()
    asked = {"--cpus-per-task=4", "--partition=short", "--time=90", "--gpus=2", "--mem=8G"}
    assert asked | {"--exclusive", "--array=1-3", "--requeue", "--export=ALL"} <= set(words)
    assert not [word for word in words if "nice" in word or "secret" in word]
    script = (tmp_path / "sbatch.script").read_text()
    assert script.endswith("exec python -m 'it'\"'\"'s'\n") and "secret" not in script
    environment = (tmp_path / "sbatch.env").read_text().splitlines()
    assert {"FCSWEEP_WORKER=1", f"FCSWEEP_STORAGE={URL}"} <= set(environment)
    assert "SLURM_JOB_ID=3" not in environment


def test_nobody_waits_for_jobs_that_would_find_nothing_to_do(slurm, tmp_path):
    begun = submitted(tmp_path, workers=2)
    slurm(7, "RUNNING 0", "PENDING 0")
    assert begun.working() and not (tmp_path / "scancel.said").exists()
    slurm(7, "COMPLETED 0", "PENDING 0")
    assert not begun.working() and begun.endings() == [None, None]
    assert (tmp_path / "scancel.said").read_text() == "--state=PENDING 7_2\n"


def test_who_is_ended_by_a_time_limit_is_submitted_again(slurm, tmp_path):
    begun = submitted(tmp_path, workers=2, minutes=1)
    slurm(7, "TIMEOUT 15", "RUNNING 0")
    slurm(8, "PENDING 0")
    assert begun.working()
    assert (tmp_path / "sbatch.said").read_text().count("--array=1-1\n") == 1
    slurm(7, "TIMEOUT 15", "COMPLETED 0")
    slurm(8, "COMPLETED 0")
    assert not begun.working() and begun.endings() == [None, None]


def test_how_each_job_of_slurm_ended(slurm, tmp_path):
    begun = submitted(tmp_path, workers=4)
    (tmp_path / ".slurm" / "7_2.log").write_text("error: the disk is full\nslurmstepd: bye\n")
    slurm(7, "COMPLETED 0", "FAILED 256", "FAILED 9", "CANCELLED 15")
    assert not begun.working()
    assert begun.endings() == [None, "the disk is full", KILLED, KILLED]


def test_slurm_that_does_not_answer_or_has_forgotten(slurm, tmp_path):
    begun = submitted(tmp_path, workers=1)
    assert begun.working()  # there is no such file
    forgotten = "#!/bin/sh\necho 'slurm_load_jobs error: Invalid job id specified' >&2\nexit 1"
    (tmp_path / "squeue").write_text(forgotten)
    assert not begun.working()


def test_without_slurm_its_launcher_is_refused(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="hydra/launcher is slurm, but there is no sbatch on"):
        starter_of(OmegaConf.create(SLURM))


@pytest.mark.parametrize("name", ["SlurmLauncher", "RayLauncher"])
def test_the_process_that_starts_workers_runs_no_job_of_another_app_s_grid(name):
    launcher = getattr(plugins, name)("auto", workers=2, cpus=1)
    with pytest.raises(ConfigError, match=r"expected hydra/sweeper=optuna, for a grid with"):
        launcher.launch([["x=1"]], 0)


# --- Ray ------------------------------------------------------------------------------------------


def test_without_ray_its_launcher_is_refused(monkeypatch):
    monkeypatch.setattr(starters_ray, "find_spec", lambda name: None)
    launcher = {"_target_": "x.RayLauncher", "num_cpus": 1, "num_gpus": 0, "address": "auto"}
    with pytest.raises(ConfigError, match=r"is ray, and Ray is not installed; pip install 'fcsw"):
        starter_of(OmegaConf.create(launcher))


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        ("pass", None),
        ("raise SystemExit('error: the disk is full')", "the disk is full"),
        ("import os; os.kill(os.getpid(), 9)", KILLED),
        (
            "import os; assert os.environ['FCSWEEP_X'] == 'sweep' and os.environ['X'] == 'node'",
            None,
        ),
    ],
)
def test_a_task_tells_how_its_worker_ended(code, ending, tmp_path, monkeypatch):
    for name in ("FCSWEEP_X", "X"):
        monkeypatch.setenv(name, "node")
    handed = {"FCSWEEP_X": "sweep", "X": "sweep"}
    assert starters_ray.work(["-c", code], handed, str(tmp_path)) == ending
