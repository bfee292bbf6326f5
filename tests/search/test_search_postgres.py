"""Workers of several machines on one study in PostgreSQL: the trials of one, whatever happens."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import optuna
import psutil
import pytest
import sqlalchemy as sa
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from optuna.storages import RDBStorage
from sqlalchemy import event, exc
from support.forked_workers import (
    CONFIG,
    COUNTS,
    SPACE,
    ended,
    known_of,
    pruner,
    task,
    work_on,
    worker,
)
from support.postgres import pooled, server
from support.toy_app import multirun, study_of

from fcsweep.messages.errors import FolderError, UserError
from fcsweep.search import should_prune
from fcsweep.search.database import crew as database_crew
from fcsweep.search.database.crew import crew_of
from fcsweep.search.database.opening import settle
from fcsweep.search.database.patience import DatabaseLost
from fcsweep.search.database.storage import Database
from fcsweep.search.study.storage import storage_of
from fcsweep.system import crew

try:
    import psycopg
except ImportError:  # of the extra postgres: the server says so
    psycopg = None

pytestmark = pytest.mark.slow

MEDIAN = pruner("median", n_startup_trials=3)
AHEAD = [*MEDIAN, "hydra.sweeper.ahead=2", "hydra.sweeper.sampler.n_startup_trials=4"]
FIRST = "SELECT count(*) FROM trials"


@pytest.fixture(scope="module")
def postgres():
    with server() as started:
        yield started


@pytest.fixture(autouse=True)
def restored(hydra_restore_singletons):
    """Hydra as it was."""


@pytest.fixture
def url(postgres):
    return postgres.database()


def at(url):
    return f"hydra.sweeper.storage='{url}'"


def theirs(url):
    """Optuna's own storage."""
    return RDBStorage(url, engine_kwargs={"poolclass": sa.pool.NullPool})


def known(url):
    (name,) = optuna.get_all_study_names(storage := theirs(url))
    return known_of(optuna.load_study(study_name=name, storage=storage))


def undisturbed(folder, *words):
    """What one worker leaves in a journal."""
    assert work_on(folder, 1, *words) == [0]
    return known_of(study_of(folder))


FEW = [*AHEAD, "hydra.sweeper.n_trials=5", "hydra.sweeper.n_jobs=2"]


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return undisturbed(tmp_path_factory.mktemp("few"), *FEW)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return undisturbed(tmp_path_factory.mktemp("whole"), *AHEAD)


def elsewhere(monkeypatch, name):
    """Workers that are started from now on are on another machine, as far as they can tell."""
    monkeypatch.setattr(crew, "this_machine", lambda: name)


@contextmanager
def patched(owner, name, new):
    """Workers that are started in the block have something else in place of a method."""
    old = getattr(owner, name)
    setattr(owner, name, new(old))
    try:
        yield
    finally:
        setattr(owner, name, old)


def until(happened, seconds=20):
    """Wait until something has happened; how long it took."""
    began = time.monotonic()
    while not happened():
        assert time.monotonic() < began + seconds
        time.sleep(0.02)
    return time.monotonic() - began


def rows(server, url):
    with suppress(psycopg.Error):  # the tables are not there yet
        return server.query(FIRST, url)[0][0]
    return 0


# --- The same trials ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sampler", "pruning"),
    [
        ("tpe", MEDIAN),
        ("tpe", pruner("hyperband")),
        ("nsgaii", pruner("successive_halving")),
        ("cmaes", MEDIAN),
    ],
)
def test_workers_of_three_machines_find_the_trials_of_one_on_a_journal(
    sampler, pruning, url, tmp_path, monkeypatch
):
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    fields = {"nsgaii": ["hydra.sweeper.sampler.population_size=4"]}.get(sampler, [])
    fields = ["hydra.sweeper.sampler.n_startup_trials=4"] if sampler == "tpe" else fields
    words = [*pruning, f"hydra/sweeper/sampler={sampler}", *fields, "hydra.sweeper.ahead=3"]
    expected = undisturbed(tmp_path / "alone", *words)
    folder, started = tmp_path / "study", []
    folder.mkdir()
    for name in "abc":  # at once, in a database without tables
        elsewhere(monkeypatch, name)
        started.append(worker(folder, *words, at(url), sleep=0.01))
    assert [ended(child) for child in started] == [0] * 3
    assert known(url) == expected
    starts = map(int, (folder / "starts").read_text().split())
    assert sorted(starts) == list(range(13))  # each trained once
    assert not (folder / crew.ROLL).exists()
    assert not [key for key in theirs(url).get_study_system_attrs(1) if "worker" in key]


def test_of_eight_workers_each_trial_is_claimed_once_and_their_number_is_exact(url, tmp_path):
    words = ["hydra.sweeper.n_trials=25", "hydra.sweeper.ahead=16", at(url)]
    assert work_on(tmp_path, 8, *words) == [0] * 8
    assert [number for number, *_ in known(url)] == list(range(25))
    starts = map(int, (tmp_path / "starts").read_text().split())
    assert sorted(starts) == list(range(25))


def test_through_the_pooling_of_transactions_workers_find_the_same_trials(
    whole, url, postgres, tmp_path, monkeypatch
):
    with pooled(postgres) as port:
        through = url.replace(f":{postgres.port}/", f":{port}/")
        elsewhere(monkeypatch, "another")
        first = worker(tmp_path, *AHEAD, at(through), sleep=0.05)
        monkeypatch.undo()
        other = worker(tmp_path, *AHEAD, at(through), sleep=0.05)
        assert [ended(first), ended(other)] == [0, 0]
        assert known(url) == whole
        assert len((tmp_path / "starts").read_text().split()) == 13


# --- Kills ----------------------------------------------------------------------------------------


def dying(count, after):
    """A method that kills its process at its n-th call, before or after what it does."""

    def killing(method):
        calls = iter(range(count + 1))

        def call(*args, **kwargs):
            last = next(calls, 0) == count
            if last and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            method(*args, **kwargs)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)

        return call

    return killing


@pytest.mark.parametrize("after", [False, True])
def test_a_worker_that_is_killed_at_any_commit_loses_nothing_and_tells_nothing_twice(
    after, few, postgres, tmp_path
):
    for count in range(1, 12, 2):
        url, folder = postgres.database(), tmp_path / str(count)
        folder.mkdir()
        with patched(sa.Connection, "commit", dying(count, after)):
            first = worker(folder, *FEW, at(url))
        assert ended(first) in (-9, 0)
        assert work_on(folder, 1, *FEW, at(url)) == [0]
        assert known(url) == few, count


def cut(count, after):
    """A COMMIT whose connection is cut, before or after the server has done it."""

    def cutting(commit):
        calls = iter(range(count + 1))

        def call(self):
            if next(calls, 0) != count:
                return commit(self)
            if after:
                commit(self)
            else:
                self.rollback()
            raise exc.OperationalError("COMMIT", None, psycopg.OperationalError("it was cut"))

        return call

    return cutting


@pytest.mark.parametrize("after", [False, True])
def test_a_connection_that_is_cut_in_a_commit_changes_nothing(after, few, postgres, tmp_path):
    for count in range(1, 10, 3):
        url, folder = postgres.database(), tmp_path / str(count)
        with patched(sa.Connection, "commit", cut(count, after)):
            assert work_on(folder, 1, *FEW, at(url)) == [0]
        assert known(url) == few, count
        assert len((folder / "starts").read_text().split()) == 5


def test_the_batch_of_a_killed_worker_is_taken_over_at_once_on_its_machine(
    whole, url, postgres, tmp_path
):
    first = worker(tmp_path, *AHEAD, at(url), sleep=100)
    until(lambda: rows(postgres, url))
    other = worker(tmp_path, *AHEAD, at(url))
    until(lambda: rows(postgres, url) > 3)
    os.kill(first, signal.SIGKILL)  # it stays a zombie: that is no life
    began = time.monotonic()
    assert ended(other) == 0
    assert time.monotonic() - began < 40  # the lease is 60
    ended(first)
    assert known(url) == whole


def test_that_of_one_on_another_machine_after_the_lease(
    whole, url, postgres, tmp_path, monkeypatch
):
    words = [*AHEAD, at(url), "hydra.sweeper.lease=3"]
    elsewhere(monkeypatch, "another")
    first = worker(tmp_path, *words, sleep=100)
    until(lambda: rows(postgres, url))
    monkeypatch.undo()
    other = worker(tmp_path, *words)
    until(lambda: rows(postgres, url) > 3)
    time.sleep(4)  # longer than the lease: but it lives
    assert (tmp_path / "starts").read_text().split().count("0") == 1
    os.kill(first, signal.SIGKILL)
    began = time.monotonic()
    assert ended(other) == 0
    assert 1.5 < time.monotonic() - began < 40
    ended(first)
    assert known(url) == whole


def test_a_worker_that_sleeps_beyond_the_lease_writes_nothing_more(
    whole, url, postgres, tmp_path, monkeypatch
):
    words = [*AHEAD, at(url), "hydra.sweeper.lease=2"]
    elsewhere(monkeypatch, "another")
    first = worker(tmp_path, *words, sleep=1)
    until(lambda: rows(postgres, url))
    os.kill(first, signal.SIGSTOP)
    monkeypatch.undo()
    assert work_on(tmp_path, 1, *words) == [0]
    assert known(url) == whole
    os.kill(first, signal.SIGCONT)
    assert ended(first) == 1
    assert known(url) == whole
    assert not (tmp_path / crew.ROLL).exists()


def test_the_server_waits_for_no_worker_within_a_statement(url, tmp_path):
    """One that is stopped between the messages of a pipeline would keep what it has locked."""

    def refuse(*args):
        assert not args[-1]  # executemany

    event.listen(sa.Engine, "before_cursor_execute", refuse)
    try:
        assert work_on(tmp_path, 1, *AHEAD, at(url)) == [0]
    finally:
        event.remove(sa.Engine, "before_cursor_execute", refuse)


def test_who_is_taken_for_dead_while_it_asks_writes_nothing(url, tmp_path, monkeypatch):
    """A connection that is cut answers after seconds, in which others take over."""
    study = optuna.create_study(study_name="s", storage=storage_of(url, tmp_path))
    settle(study, "fcsweep", {})

    def cut_off(*args):
        for path in (tmp_path / crew.ROLL).iterdir():
            path.unlink()
        raise exc.OperationalError("UPDATE", None, psycopg.OperationalError("timeout expired"))

    with (
        pytest.raises(FolderError, match="taken this one for dead"),
        crew_of(study, tmp_path, 0, 9),
    ):
        clock = database_crew._clock
        monkeypatch.setattr(database_crew, "_clock", lambda: clock() + 100)
        monkeypatch.setattr(Database, "send", cut_off)
        crew.fence()
    study._storage.remove_session()


@pytest.mark.timeout(60)
def test_who_was_silent_for_long_may_take_work_in_its_turn(url, tmp_path, monkeypatch):
    """As after a crash of the database: to give a sign in a turn would wait for the turn's end."""
    study = optuna.create_study(study_name="s", storage=storage_of(url, tmp_path))
    settle(study, "fcsweep", {})
    clock = database_crew._clock
    with crew_of(study, tmp_path, 0, 60) as mine:

        def take():
            monkeypatch.setattr(database_crew, "_clock", lambda: clock() + 100)
            mine.take([7])

        mine.in_turn(take)
        mine.exchange()
        noted = study._storage.get_study_system_attrs(study._study_id)
        assert [noted[key]["work"] for key in noted if key.startswith(database_crew.WORKER)] == [
            [7]
        ]
    study._storage.remove_session()


@pytest.mark.parametrize("learnt", ["as it writes", "as it leaves"])
def test_who_was_struck_off_writes_nothing_to_the_study(learnt, url, tmp_path):
    storage = storage_of(url, tmp_path)
    study = optuna.create_study(study_name="s", storage=storage)
    settle(study, "fcsweep", {})
    with (
        pytest.raises(FolderError, match="taken this one for dead"),
        crew_of(study, tmp_path, 0, 60) as mine,
    ):
        number = mine.in_turn(study.ask).number
        with psycopg.connect(url) as connection:
            connection.execute("DELETE FROM study_system_attributes WHERE key LIKE '%worker%'")
        study.tell(number, 1.0)
        if learnt == "as it writes":
            mine.exchange()
    storage.remove_session()
    assert known(url) == [(0, "RUNNING", {}, None, {})]


class Cable:
    """A way to a database that can be cut."""

    def __init__(self, port):
        self._target, self.whole = ("127.0.0.1", port), True
        self._door = socket.create_server(("127.0.0.1", 0))
        self._ends = []
        threading.Thread(target=self._serve, daemon=True).start()

    def through(self, url):
        return url.replace(f":{self._target[1]}/", f":{self._door.getsockname()[1]}/")

    def _serve(self):
        while True:
            near = self._door.accept()[0]
            if not self.whole:
                near.close()
                continue
            far = socket.create_connection(self._target)
            self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one, other):
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)

    def cut(self):
        self.whole = False
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def test_a_worker_whose_cable_is_cut_writes_nothing_false(
    whole, url, postgres, tmp_path, monkeypatch
):
    cable = Cable(postgres.port)
    words = [*AHEAD, "hydra.sweeper.lease=2", "hydra.sweeper.patience=30"]
    elsewhere(monkeypatch, "another")
    first = worker(tmp_path, *words, at(cable.through(url)), sleep=2)
    until(lambda: rows(postgres, url))
    monkeypatch.undo()
    cable.cut()
    assert work_on(tmp_path, 1, *words, at(url)) == [0]
    assert known(url) == whole
    cable.whole = True
    assert ended(first) == 1
    assert known(url) == whole


# --- The database ---------------------------------------------------------------------------------


def test_a_database_that_crashes_while_trials_are_trained_costs_nothing(
    whole, url, postgres, tmp_path
):
    both = [worker(tmp_path, *AHEAD, at(url), sleep=0.3) for _ in range(2)]
    until(lambda: rows(postgres, url))
    for pause in (0.5, 4):  # in the second all batches come to their end, and wait
        time.sleep(0.7)
        postgres.crash()
        time.sleep(pause)
        postgres.start()
    assert [ended(child) for child in both] == [0, 0]
    assert known(url) == whole
    assert len((tmp_path / "starts").read_text().split()) == 13


def test_one_that_stays_away_is_one_line_and_the_same_command_goes_on(
    whole, url, postgres, tmp_path, capfd
):
    words = [*AHEAD, at(url), "hydra.sweeper.patience=1"]
    both = [worker(tmp_path, *words, sleep=0.3) for _ in range(2)]
    until(lambda: rows(postgres, url))
    postgres.crash()
    try:
        assert [ended(child) for child in both] == [1, 1]
        with pytest.raises(CompactHydraException) as error:
            multirun(tmp_path, task, CONFIG, "hydra/sweeper=optuna", *SPACE, *COUNTS, *words)
        assert isinstance(error.value.__cause__, DatabaseLost)
        line = str(error.value.__cause__)
        assert "hydra.sweeper.patience (1 s)" in line and line.endswith("the same command goes on")
        assert "\n" not in line and postgres.password not in line
        waiting = worker(tmp_path, *AHEAD, at(url))  # at the start, too
        time.sleep(1)
    finally:
        postgres.start()
    assert ended(waiting) == 0
    assert known(url) == whole


def test_what_waiting_does_not_change_is_said_at_once(postgres, url, tmp_path):
    for wrong in (url.replace("pw-", "xx-"), f"{url}_none"):
        began = time.monotonic()
        with pytest.raises(UserError, match="cannot be used") as error:
            storage_of(wrong, tmp_path, patience=600)
        assert time.monotonic() - began < 5
        assert postgres.password.removeprefix("pw-") not in str(error.value)


def idle(server, url):
    """Connections to a database that wait for their process."""
    name = url.rpartition("/")[2]
    found = server.query(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'")
    return found[0][0]


def test_no_connection_is_held_while_trials_are_trained(postgres, url, tmp_path):
    def looking(cfg):
        number = HydraConfig.get().job.num
        should_prune(cfg.x, 1)
        until(lambda: not idle(postgres, url), 5)  # what was reported is written meanwhile
        return number

    multirun(tmp_path, looking, CONFIG, "hydra/sweeper=optuna", *SPACE, *COUNTS, at(url))
    assert len(known(url)) == 13


def test_a_trial_takes_few_transactions(postgres, url, tmp_path):
    name = url.rpartition("/")[2]
    count = f"SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{name}'"
    words = ["hydra.sweeper.n_trials=32", "hydra.sweeper.n_jobs=16", at(url)]
    assert work_on(tmp_path, 1, *words) == [0]
    until(lambda: not idle(postgres, url))
    time.sleep(0.5)  # the server counts at the end of a connection
    assert postgres.query(count)[0][0] <= 12 * 32


LARGE = """
INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete)
    SELECT n, 1, 'COMPLETE', now(), now() FROM generate_series(0, 9999) AS n;
INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
    SELECT trial_id, name, 0.1, '{"name": "FloatDistribution", "attributes":
    {"step": null, "low": -1.0, "high": 1.0, "log": false}}'
    FROM trials, (VALUES ('x'), ('y')) AS names (name);
INSERT INTO trial_values (trial_id, objective, value, value_type)
    SELECT trial_id, 0, number, 'FINITE' FROM trials;
INSERT INTO trial_intermediate_values
    (trial_id, step, intermediate_value, intermediate_value_type)
    SELECT trial_id, step, number + step, 'FINITE' FROM trials, generate_series(1, 10) AS step;
"""


def test_a_study_of_ten_thousand_trials_is_read_in_two_seconds(postgres, url, tmp_path):
    study = optuna.create_study(study_name="large", storage=theirs(url))
    with psycopg.connect(url) as connection:
        for statement in LARGE.split(";")[:-1]:
            connection.execute(statement)
    storage = storage_of(url, tmp_path)
    assert isinstance(storage, Database)
    began = time.process_time()
    trials = storage.get_all_trials(study._study_id, deepcopy=False)
    assert time.process_time() - began < 2
    assert len(trials) == 10_000
    last = study._storage.get_trial(trials[-1]._trial_id)
    assert trials[-1] == last and len(last.intermediate_values) == 10
    storage.remove_session()


# --- Passwords ------------------------------------------------------------------------------------

SWEEP = [sys.executable, "-W", "error", "-m", "fcsweep", "-m", "data=synthetic"]
SWEEP += ["data.num_train=60", "data.num_val=20", "solver.batch_size=10", "hydra/sweeper=optuna"]
SWEEP += ["solver.num_epochs=300", "hydra.sweeper.n_trials=4", "hydra.launcher.workers=2"]
SWEEP += ["optimizer.learning_rate=tag(log,interval(1e-3,1))", "hydra.sweep.dir=out"]


def test_a_password_is_in_no_argument_list_file_or_line_of_the_workers(postgres, url, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*SWEEP, at(url)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    command = psutil.Process(process.pid)
    given = command.cmdline()  # which a child has, too, between its fork and its exec

    def both_run():
        return [child.cmdline() != given for child in command.children()] == [True, True]

    until(both_run, 60)
    for child in command.children():
        assert not any(postgres.password in word for word in child.cmdline())
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and "all 4 trials done" in out, out
    assert postgres.password not in out
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert not [path for path in files if postgres.password.encode() in path.read_bytes()]


MUTE = """
from fcsweep.search.database.crew import StudyCrew
StudyCrew._live = lambda self: self._end.wait()
from fcsweep.__main__ import main
main()
"""
"""A worker that writes to the study only what it draws and tells."""
RUNS = [*SWEEP[6:-3], "hydra.sweeper.n_trials=8", "hydra.sweeper.n_jobs=4", *SWEEP[-2:]]
RUNS += ["hydra.sweeper.sampler.seed=2", "solver.num_epochs=60", "model.hidden_dims=[8]", *MEDIAN]
RUNS += ["solver.checkpoint_seconds=0.01"]


def test_what_a_killed_worker_reported_is_known_from_the_records_of_its_runs(url, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(name, *words):
        (tmp_path / name).mkdir(exist_ok=True)
        command = [sys.executable, *words, "-m", *RUNS]
        return subprocess.Popen(
            command, cwd=tmp_path / name, env=environment, stdout=subprocess.DEVNULL
        )

    assert start("alone", "-m", "fcsweep").wait() == 0
    expected = known_of(study_of(tmp_path / "alone" / "out"))
    mute = start("killed", "-c", MUTE, at(url))
    histories = tmp_path / "killed" / "out"
    until(lambda: any(p.read_text().count("\n") > 20 for p in histories.glob("*/history.csv")), 90)
    mute.kill()
    mute.wait()
    assert not any(reports for *_, reports in known(url))
    assert start("killed", "-m", "fcsweep", at(url)).wait() == 0
    assert known(url) == expected
