"""Several processes at once: jobs in processes of their own, two in one folder, readers."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import psutil
import pytest

from fcsweep.records import sweep_table

PROGRAM = [sys.executable, "-W", "error", "-m", "fcsweep"]
PYTHON = os.path.basename(sys.executable)
TASK = ["data=synthetic", "data.num_train=60", "data.num_val=20", "solver.batch_size=10"]
TASK += ["model.hidden_dims=[8]"]
LONG = [*TASK, "solver.num_epochs=1000000", "solver.eval_every=100"]
SEARCH = ["-m", *TASK, "solver.num_epochs=12", "hydra/sweeper=optuna"]
SEARCH += ["hydra.sweeper.n_trials=12", "hydra.sweeper.n_jobs=4", "hydra.sweeper.sampler.seed=2"]
SEARCH += ["hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=3"]
SEARCH += ["optimizer.learning_rate=tag(log,interval(1e-3,100))"]


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(autouse=True)
def nothing_left(tmp_path, monkeypatch):
    """Whatever a test that fails has left running is ended."""
    monkeypatch.setenv("STARTED_BY", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("STARTED_BY") == str(tmp_path) and process.pid != os.getpid():
                process.kill()


def start(folder, *command, **more):
    with open(folder / "stdout", "w") as out, open(folder / "stderr", "w") as error:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **more},
            stdout=out,
            stderr=error,
        )


def run(folder, *command):
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
    )


def wait_until(reached, process):
    until = time.monotonic() + 100
    while not reached():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.01)


def statuses(folder):
    rows = sweep_table.load(folder) if folder.exists() else []
    return {row.number: row.status for row in rows}


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- Jobs in processes of their own ---------------------------------------------------------------

GRID = ["-m", *TASK, "solver.num_epochs=300", "seed=0,1,2", "hydra.sweep.dir=s"]


def offspring(process, word):
    """The processes below one whose command line holds a word, from the oldest."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.Error):
            if word in " ".join(child.cmdline()):
                found.append(child)
    return sorted(found, key=lambda child: child.create_time())


def goes_on_as_told(folder, launcher):
    said = run(folder, *PROGRAM, *GRID, *launcher)
    assert (said.returncode, said.stderr) == (0, "")
    assert statuses(folder / "s") == dict.fromkeys(range(3), "completed")
    return said.stdout


@pytest.mark.slow
def test_with_a_process_a_job_the_others_finish_when_one_is_killed(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="the extra slurm")
    launcher = ["hydra/launcher=submitit_local"]
    process = start(tmp_path, *PROGRAM, *GRID, *launcher)
    wait_until(lambda: len(offspring(process, "submitit.core._submit")) == 3, process)
    wait_until(lambda: (tmp_path / "s" / "0" / "result.json").exists(), process)
    killed = next(p for p in offspring(process, "submitit.core._submit") if first(process, p))
    killed.kill()
    assert process.wait(200) == 1
    lost = "error: 1 of 3 jobs failed: s/0 (its process was killed)\n"
    assert (tmp_path / "stderr").read_text() == lost
    assert statuses(tmp_path / "s") == {0: "interrupted", 1: "completed", 2: "completed"}
    assert "resuming s: 2 finished, 1 to go" in goes_on_as_told(tmp_path, launcher)


def first(process, job):
    """Whether a process of submitit is that of the first job."""
    return min(p.pid for p in offspring(process, "submitit.core._submit")) == job.pid


@pytest.mark.slow
def test_with_joblib_a_killed_worker_is_one_line_and_the_command_goes_on(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the extra parallel")
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    process = start(tmp_path, *PROGRAM, *GRID, *launcher)
    wait_until(lambda: "running" in statuses(tmp_path / "s").values(), process)
    offspring(process, "LokyProcess")[0].kill()
    assert process.wait(200) == 1
    said = (tmp_path / "stderr").read_text()
    assert said.startswith("error: a worker process was killed") and said.count("\n") == 1
    assert "running" not in statuses(tmp_path / "s").values()
    goes_on_as_told(tmp_path, launcher)


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", ["SIGKILL", "SIGTERM"])
def test_with_joblib_no_worker_outlives_its_sweep(ended_by, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the extra parallel")
    words = ["-m", *LONG, "seed=0,1,2", "hydra.sweep.dir=s", "hydra/launcher=joblib"]
    process = start(tmp_path, *PROGRAM, *words, "hydra.launcher.n_jobs=2")
    wait_until(lambda: list(statuses(tmp_path / "s").values()).count("running") == 2, process)
    workers = offspring(process, "LokyProcess")
    process.send_signal(getattr(signal, ended_by))
    process.wait(60)
    if ended_by == "SIGKILL":  # nobody but themselves can write how their jobs ended
        psutil.wait_procs(workers, timeout=30)
    assert not any(worker.is_running() for worker in workers)
    assert "running" not in statuses(tmp_path / "s").values()


@pytest.mark.slow
def test_a_job_that_outlives_its_sweep_keeps_its_folder(tmp_path):
    """With submitit the jobs go on when the sweep is killed."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="the extra slurm")
    words = ["-m", *LONG, "seed=0,1", "hydra.sweep.dir=s", "hydra/launcher=submitit_local"]
    process = start(tmp_path, *PROGRAM, *words)
    wait_until(lambda: list(statuses(tmp_path / "s").values()) == ["running"] * 2, process)
    process.kill()
    process.wait()
    said = run(tmp_path, *PROGRAM, *words)
    assert said.returncode == 1
    assert said.stderr.startswith("error: 2 of 2 jobs failed: s/0 (")
    assert list(statuses(tmp_path / "s").values()) == ["running"] * 2


# --- Two in one folder ----------------------------------------------------------------------------

IN_ONE_FOLDER = {
    "run": ([*LONG, "hydra.run.dir=s"], []),
    "grid": (["-m", *LONG, "seed=0,1", "hydra.sweep.dir=s"], ["seed=0,2"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grid", slow("run")])
def test_the_second_of_two_in_one_folder_is_refused(kind, tmp_path):
    command, other = IN_ONE_FOLDER[kind]
    process = start(tmp_path, *PROGRAM, *command)
    wait_until(lambda: list(tmp_path.rglob("history.csv")), process)
    said = run(tmp_path, *PROGRAM, *command, *other)
    assert process.poll() is None
    process.kill()
    process.wait()
    assert (said.returncode, said.stdout) == (1, "")
    user = f"({PYTHON} -W error -m fcsweep " if kind == "run" else "on "
    assert f"s is in use by process {process.pid} {user}" in said.stderr
    assert said.stderr.endswith("; name a new or an empty folder\n")
    assert said.stderr.count("\n") == 1


@pytest.mark.slow
def test_starts_in_one_second_have_folders_of_their_own(tmp_path):
    words = [*TASK, "solver.num_epochs=1"]
    for parent, more in (("outputs", []), ("multirun", ["-m", "seed=0,1"])):
        started = [
            subprocess.Popen(
                [*PROGRAM, *words, *more],
                cwd=tmp_path,
                stdout=subprocess.DEVNULL,
            )
            for _ in range(4)
        ]
        assert [process.wait(200) for process in started] == [0] * 4
        made = list((tmp_path / parent).iterdir())
        assert len(made) == 4
        assert all(len(list(folder.rglob("result.json"))) == max(len(more), 1) for folder in made)


ARCHIVE = b"not CIFAR-10, but as good for this" * 10_000

DOWNLOAD = f"""
import hashlib, sys
from fcsweep.data.download import Published, downloaded
sum = "{sha256(ARCHIVE).hexdigest()}"
wanted = Published("archive", {len(ARCHIVE)}, sum, (sys.argv[1],), "CIFAR-10", "nothing")
print(hashlib.sha256(downloaded(wanted).read_bytes()).hexdigest() == sum)
"""


@pytest.fixture
def mirror():
    """A server that sends the archive, the second half when it is let."""
    asked, go_on = [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(ARCHIVE)))
            self.end_headers()
            half = len(ARCHIVE) // 2
            with suppress(OSError):  # whoever asked may have been killed
                self.wfile.write(ARCHIVE[:half])
                go_on.wait(60)
                self.wfile.write(ARCHIVE[half:])

        def log_message(self, format, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(port=server.server_port, asked=asked, go_on=go_on)
    go_on.set()
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_of_downloads_at_once_one_is_made_and_the_next_takes_over_if_it_is_killed(mirror, tmp_path):
    url = f"http://127.0.0.1:{mirror.port}/archive"
    command = [sys.executable, "-W", "error", "-c", DOWNLOAD, url]
    private = {"FCSWEEP_CACHE": str(tmp_path / "cache"), "NO_PROXY": "127.0.0.1"}
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    killed = start(folders[0], *command, **private)
    wait_until(lambda: mirror.asked, killed)
    others = [start(folder, *command, **private) for folder in folders[1:]]
    killed.kill()
    killed.wait()
    wait_until(lambda: len(mirror.asked) == 2, others[0])
    mirror.go_on.set()
    assert [process.wait(60) for process in others] == [0, 0]
    assert [(folder / "stdout").read_text() for folder in folders[1:]] == ["True\n"] * 2
    assert len(mirror.asked) == 2
    (whole,) = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert whole.read_bytes() == ARCHIVE


# --- Readers --------------------------------------------------------------------------------------

READERS = {
    "tables": """
from fcsweep.records.frames import load_runs, load_history, load_losses
def read():
    assert not load_runs(sweep)["damage"].notna().any()
    load_history(sweep), load_losses(sweep)
""",
    "report": """
from fcsweep import report
from fcsweep.records import sweep_table
def read():
    report.write(sweep)
    assert "damaged" not in {row.status for row in sweep_table.load(sweep)}
""",
    "dashboard": """
import optuna
from optuna.storages.journal import JournalFileBackend
optuna.logging.set_verbosity(optuna.logging.ERROR)
def read():
    opened = []
    for folder, _, names in os.walk(sweep):  # which passes over folders that are gone
        for name in names:
            with suppress(FileNotFoundError):
                opened.append(open(Path(folder, name), "rb"))
    contents = [file.read() for file in opened]
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(sweep / "study.journal")))
    for name in optuna.get_all_study_names(storage):
        optuna.load_study(study_name=name, storage=storage).trials_dataframe()
    for file in opened:
        file.close()
""",
}
READING = """
import os, sys
from contextlib import suppress
from pathlib import Path
sweep, done = Path(sys.argv[1]), Path(sys.argv[2])
{how}
count = 0
while not done.exists():
    read()
    count += 1
print(count)
"""


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "stacked"])
def test_who_reads_while_a_search_is_written_sees_whole_records_and_disturbs_nothing(
    launcher, tmp_path
):
    """Also while it is killed and goes on."""
    sweep, done = tmp_path / "s", tmp_path / "done"
    command = [*PROGRAM, *SEARCH, f"hydra/launcher={launcher}", "hydra.sweep.dir=s"]
    command += ["solver.num_epochs=60"]
    process = start(tmp_path, *command)
    readers = {}
    try:
        wait_until(lambda: statuses(sweep), process)
        for name, how in READERS.items():
            (tmp_path / name).mkdir()
            code = READING.format(how=how)
            words = [sys.executable, "-W", "error", "-c", code, str(sweep), str(done)]
            readers[name] = start(tmp_path / name, *words)
        wait_until(lambda: "completed" in statuses(sweep).values(), process)
        process.kill()
        process.wait()
        process = start(tmp_path, *command)
        process.wait(200)
    finally:
        process.kill()
        done.touch()
        ends = {name: reader.wait(100) for name, reader in readers.items()}
    assert ends == dict.fromkeys(READERS, 0)
    assert all(int((tmp_path / name / "stdout").read_text()) > 3 for name in READERS)
    assert (process.returncode, (tmp_path / "stderr").read_text()) == (0, "")
    ended = [json.loads(path.read_text())["status"] for path in sweep.glob("*/result.json")]
    assert len(ended) == 12 and set(ended) <= {"completed", "pruned", "diverged"}
