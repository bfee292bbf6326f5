"""``python -m fcsweep.status``: where a sweep stands, seen from outside and without a trace."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, replace

import optuna
import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from support import toy_app
from support.bare_sweeps import MOMENTUM, SGD, leave

from fcsweep.search import should_prune
from fcsweep.status import __main__ as status
from fcsweep.status.estimate import seconds_left
from fcsweep.status.standing import Standing, Trial, Worker
from fcsweep.status.words import duration, lines
from fcsweep.system import locks
from fcsweep.system.crew import ROLL, Crew, Member

SPACE = ["x=interval(-1,1)", "hydra.sweeper.sampler.seed=1", "hydra.sweeper.n_trials=6"]
BATCHES = ["hydra.sweeper.n_jobs=2", "hydra.sweeper.direction=maximize"]


@pytest.fixture
def say(monkeypatch, capsys):
    """A command, in this process: exit code, lines on stdout, stderr."""

    def said(*words):
        monkeypatch.setattr(sys, "argv", ["fcsweep.status", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            status.main()
        out, err = capsys.readouterr()
        return stop.value.code, out.splitlines(), err

    return said


@pytest.fixture
def search(tmp_path, hydra_restore_singletons, capsys):
    """Search in a folder; what a function says of it while a trial runs."""

    def run(task, *words, folder=tmp_path / "s"):
        words = ["hydra/sweeper=optuna", *SPACE, *BATCHES, *words]
        toy_app.multirun(folder, task, {"x": 0.0}, *words)
        capsys.readouterr()
        return folder

    return run


def easy(cfg):
    should_prune(cfg.x, 1)
    return cfg.x


def contents(folder):
    """All that is in a folder, to the byte, and when it was written."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def member(folder, **about):
    """A line of the roll, as a worker leaves it."""
    (folder / ROLL).mkdir(exist_ok=True)
    path = folder / ROLL / f"{about.get('pid', 0)}"
    path.write_text(json.dumps(asdict(Member(**about))))


# --- Searches -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def over(tmp_path_factory):
    """The folder of a search that has ended."""
    folder = tmp_path_factory.mktemp("over") / "s"
    words = ["hydra/sweeper=optuna", *SPACE, *BATCHES]
    toy_app.multirun(folder, easy, {"x": 0.0}, *words)
    return folder


def test_a_search_that_has_ended(over, say):
    folder = over
    before = contents(folder)
    code, (title, done, best), err = say(folder)
    assert (code, err) == (0, "")
    assert title.startswith(f"search s: ended in {folder}"[:77])
    assert done == "done     6 of 6 trials: 6 completed"
    assert best.startswith("best     trial ") and best.endswith(")") and " (x " in best
    assert contents(folder) == before


def test_one_that_runs_says_who_works_on_what(search, say):
    seen = []

    def task(cfg):
        should_prune(cfg.x, 3)
        if HydraConfig.get().job.num == 3:
            seen.append(say(HydraConfig.get().sweep.dir))
            seen.append(say(HydraConfig.get().sweep.dir, "--json"))
        return cfg.x

    search(task)
    (code, text, err), (_, (line,), _) = seen
    assert (code, err) == (3, "")
    assert text[0].startswith("search s: running")
    assert text[1:3] == ["done     2 of 6 trials: 2 completed", "open     2 running, 2 to go"]
    assert text[3].startswith("best     trial") or text[4].startswith("best     trial")
    assert f"{os.getpid()}  alive" in "\n".join(text)
    assert any(row.split()[:4] == ["2", "3", text[-2].split()[2], "1"] for row in text)
    assert max(map(len, text)) <= 80
    told = json.loads(line)
    assert told["state"] == "running" and told["trials"]["running"] == 2
    assert [one["number"] for one in told["running"]] == [2, 3]
    assert told["workers"][0]["pid"] == os.getpid() and told["workers"][0]["work"] == [2, 3]
    assert told["seconds_left"] > 0


def test_one_whose_process_was_killed_is_stopped_and_says_what_is_left(
    tmp_path, hydra_restore_singletons, say
):
    folder = tmp_path / "s"
    words = [*SPACE, *BATCHES]
    assert toy_app.killed_sweep(folder, 25, easy, {"x": 0.0}, *words)
    before = contents(folder)
    code, text, _ = say(folder)
    told = "\n".join(text)
    assert code == 4 and "search s: stopped" in told
    assert "that no worker works on" in told and "cannot be told: nobody works on it" in told
    assert "worker " not in told.replace("no worker", "")
    assert contents(folder) == before


def test_the_worker_of_a_killed_one_that_another_process_has_the_number_of_is_none(tmp_path, say):
    leave(tmp_path, (SGD, {"status": "running"}))
    member(tmp_path, pid=os.getpid(), began=1.0, work=[0])
    code, text, _ = say(tmp_path)
    assert code == 4 and "1 that no worker works on" in "\n".join(text)


def test_a_search_that_reached_its_target_has_ended(search, say):
    folder = search(easy, "+target=-1", "hydra.sweeper.stop_at_target=true")
    code, text, _ = say(folder)
    assert code == 0 and text[1] == "done     2 of 6 trials: 2 completed"


def test_failed_trials_have_an_exit_code_of_their_own(search, say):
    def task(cfg):
        if HydraConfig.get().job.num == 1:
            raise ValueError("unlucky")
        return cfg.x

    code, text, _ = say(search(task, "hydra.sweeper.max_failure_rate=1"))
    assert code == 5 and text[1] == "done     6 of 6 trials: 5 completed, 1 failed"


def test_several_objectives_have_a_front(search, say):
    words = ["hydra.sweeper.direction=[minimize,maximize]"]
    code, text, _ = say(search(lambda cfg: (cfg.x, cfg.x), *words))
    assert code == 0 and any(line.startswith("Pareto front: 6 of 6 trials: ") for line in text)


def test_repeats_are_one_trial(search, say):
    seen = []

    def task(cfg):
        if HydraConfig.get().job.num == 7:
            leave_record = {"status": "running", "epochs": 3, "value": 0.5}
            folder = os.path.join(HydraConfig.get().sweep.dir, "6")
            with open(os.path.join(folder, "result.json"), "w") as file:
                json.dump(leave_record, file)
            with open(os.path.join(folder, ".hydra", "config.yaml"), "w") as file:
                file.write("solver: {num_epochs: 10}\n")
            seen.append(say(HydraConfig.get().sweep.dir, "--json"))
        return cfg.x

    search(task, "hydra.sweeper.repeats=2", "+seed=0")
    told = json.loads(seen[0][1][0])
    (first, *_) = [one for one in told["running"] if one["number"] == 3]
    assert (first["epoch"], first["epochs"]) == (3, 20)


# --- Databases ------------------------------------------------------------------------------------


def test_sqlite_by_its_url_and_by_its_folder_without_a_write(search, tmp_path, say, monkeypatch):
    file = tmp_path / "studies.db"
    folder = search(easy, f"hydra.sweeper.storage=sqlite:///{file}")
    before = contents(tmp_path)
    os.chmod(file, 0o444)
    code, text, err = say(f"sqlite:///{file}")
    assert (code, err) == (0, "") and text[1] == "done     6 of 6 trials: 6 completed"
    assert say(folder) == (code, text, err)
    monkeypatch.setenv("DB", f"sqlite:///{file}")
    assert say("${oc.env:DB}", "s") == (code, text, err)
    assert contents(tmp_path) == before


def test_of_several_studies_one_has_to_be_named(tmp_path, say):
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    for name in ("a", "b"):
        optuna.create_study(study_name=name, storage=url)
    code, out, err = say(url)
    assert (code, out) == (1, []) and err.endswith("holds the studies a, b; name one of them\n")
    assert "not c; name one" in say(url, "c")[2]
    assert say(url, "b")[1][0].startswith("search b: stopped")


def test_a_search_whose_database_is_out_of_reach_is_told_by_its_records(tmp_path, say):
    running = {"status": "running", "epochs": 5, "value": 0.7}
    leave(tmp_path, (SGD, {}), (MOMENTUM, running), (SGD, {"status": "pruned", "value": 0.1}))
    url = "postgresql://me:***@nowhere.invalid/fcsweep"
    sweeper = {"_target_": "hydra_plugins.fcsweep.OptunaSweeper", "storage": url}
    sweeper |= {"n_trials": 9, "n_jobs": 2, "direction": "maximize"}
    OmegaConf.save(OmegaConf.create({"hydra": {"sweeper": sweeper}}), tmp_path / "multirun.yaml")
    code, text, _ = say(tmp_path)
    assert code == 4
    assert text[1] == "done     2 of 9 trials: 1 completed, 1 pruned"
    assert any("by the records alone: no variable of the environment holds" in one for one in text)


def test_the_password_of_a_database_is_never_printed(tmp_path, say, monkeypatch):
    pytest.importorskip("psycopg")
    secret = "postgresql://me:hush%21hush@127.0.0.1:9/fcsweep"
    for given in (secret, "${oc.env:DB_URL}"):
        monkeypatch.setenv("DB_URL", secret)
        code, out, err = say(given)
        assert (code, out, err.count("\n")) == (1, [], 1)
        assert "me:***@" in err and "hush" not in err


# --- Grids and runs -------------------------------------------------------------------------------


def grid(folder, *task):
    asked = {"hydra": {"overrides": {"task": list(task)}, "sweeper": {"params": None}}}
    OmegaConf.save(OmegaConf.create(asked), folder / "multirun.yaml")
    for path in folder.glob("[0-9]*"):
        rule = "momentum" if int(path.name) % 2 else "sgd"
        lines = [f"optimizer={rule}", f"seed={int(path.name) // 2}", "model=two_layer"]
        (path / ".hydra" / "overrides.yaml").write_text("".join(f"- {one}\n" for one in lines))


def test_a_grid_that_runs(tmp_path, say):
    running = {"status": "running", "epochs": 5, "value": 0.7, "seconds": 2}
    leave(tmp_path, (SGD, {}), (MOMENTUM, {"value": 0.9}), (SGD, running), (MOMENTUM, None))
    grid(tmp_path, "optimizer=sgd,momentum", "seed=range(3)", "model=two_layer")
    with Crew(tmp_path) as worker:
        with worker.turn():
            worker.take([2, 3])
        code, text, _ = say(tmp_path)
    assert code == 3
    assert text[1:3] == ["done     2 of 6 jobs: 2 completed", "open     2 running, 2 to go"]
    assert text[3].startswith("time     about ")
    assert text[4] == "best     trial 0, 0.9500 (optimizer sgd, seed 0)"
    assert text[-2].split() == "2 5 of 10 0.7000 1 optimizer sgd, seed 1".split()
    assert text[-1].split()[:5] == ["3", "-", "-", "1", "optimizer"]


def test_what_all_jobs_have_is_not_shown_also_where_hydra_saves_it_with_a_backslash(tmp_path, say):
    leave(tmp_path, (SGD, {}), (MOMENTUM, {"value": 0.9}))
    grid(tmp_path, "optimizer=sgd,momentum", "seed=0", "model=two_layer", "device=cuda:0")
    for path in tmp_path.glob("*/.hydra/overrides.yaml"):
        path.write_text(path.read_text() + "- device=cuda\\:0\n")
    assert say(tmp_path)[1][2] == "best     trial 0, 0.9500 (optimizer sgd)"


def test_the_best_of_a_grid_is_that_by_its_objective(tmp_path, say):
    for objective, best in {"rmse": "1, 42.25", "f1_macro": "0, 97.2500"}.items():
        (folder := tmp_path / objective).mkdir()
        runs = [(SGD, {"objective": objective, "value": value}) for value in (97.25, 42.25)]
        grid(leave(folder, *runs), "seed=0,1")
        assert say(folder)[1][2].startswith(f"best     trial {best} (")


def test_of_jobs_that_are_judged_by_opposite_ends_none_is_the_best(tmp_path, say):
    grid(leave(tmp_path, (SGD, {}), (SGD, {"objective": "val_loss"})), "seed=0,1")
    assert not [line for line in say(tmp_path)[1] if line.startswith("best")]


def test_how_many_jobs_a_living_worker_says_is_how_many_there_are(tmp_path, say):
    leave(tmp_path, (SGD, {}))
    with Crew(tmp_path, total=17):
        assert say(tmp_path)[1][1] == "done     1 of 17 jobs: 1 completed"
    assert say(tmp_path)[0] == 0


def test_a_grid_in_which_a_key_does_not_apply_to_all_jobs_has_no_known_total(tmp_path, say):
    leave(tmp_path, (SGD, {}), (MOMENTUM, {}))
    grid(tmp_path, "optimizer=sgd,momentum", "optimizer.momentum=0.5,0.9")
    assert say(tmp_path)[1][1] == "done     2 jobs: 2 completed"


def test_a_stopped_grid_is_stopped(tmp_path, say):
    leave(tmp_path, (SGD, {}), (MOMENTUM, {"status": "interrupted"}))
    grid(tmp_path, "optimizer=sgd,momentum", "seed=0,1")
    code, text, _ = say(tmp_path)
    assert code == 4
    assert text[2] == "open     2 to go, 1 that no worker works on"


def test_a_run(tmp_path, say):
    run = leave(tmp_path, (SGD, {"status": "running", "epochs": 4, "value": 0.8})) / "0"
    code, text, _ = say(run)
    assert code == 4 and text[0].startswith("run 0: stopped in ")
    locked = locks.lock(run)
    code, text, _ = say(run)
    locks.unlock(locked)
    assert code == 3 and text[1:3] == ["done     0 of 1 run", "open     1 running"]
    assert f"  {os.getpid()}  alive" in text[-1] and text[-1].endswith("  0")


# --- What it leaves alone -------------------------------------------------------------------------


def test_it_takes_no_lock(search, say, monkeypatch):
    def refused(*_):
        raise AssertionError("a lock was taken")

    seen = []

    def task(cfg):
        if HydraConfig.get().job.num == 3:
            with monkeypatch.context() as patch:
                patch.setattr(locks.fcntl, "flock", refused)
                seen.append(say(HydraConfig.get().sweep.dir))
        return cfg.x

    search(task)
    assert [code for code, *_ in seen] == [3]


def test_it_loads_without_torch(over):
    heavy = {"torch", "pandas", "matplotlib", "sklearn"}
    code = "import sys\nfrom fcsweep.status.__main__ import main\nsys.argv[1:] = sys.argv[1:]\n"
    code += "try:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-W", "error", "-c", code, str(over)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("search s: ended")
    assert not heavy & set(done.stderr.split())


# --- Arguments and following ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "words, code, told",
    [
        ([], 2, "error: the following arguments are required: STUDY|FOLDER"),
        (["s", "--fast"], 2, "error: unrecognized arguments: --fast"),
        (["s", "name"], 2, "error: name names a study in a database; a folder holds one sweep"),
        (["nowhere"], 1, "error: nowhere is not a folder; expected that of a run or a sweep"),
        (["."], 1, "error: . holds neither a run nor a sweep; name the folder of one"),
        (["sqlite:///no.db"], 1, "error: sqlite:///no.db: there is no file no.db"),
        (["${oc.env:NO_SUCH_DB}"], 1, "error: ${oc.env:NO_SUCH_DB} has no value: Env"),
        (["gopher://x"], 1, "error: gopher://x cannot be read: "),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, say, words, code, told):
    monkeypatch.chdir(tmp_path)
    ended, out, err = say(*words)
    assert (ended, out, err.count("\n")) == (code, [], 1) and err.startswith(told)


def test_a_grid_of_another_app_is_named_as_such(tmp_path, say):
    (tmp_path / "0" / ".hydra").mkdir(parents=True)
    (tmp_path / "0" / ".hydra" / "config.yaml").write_text("x: 1\n")
    (tmp_path / "multirun.yaml").write_text("hydra: {}\n")
    code, _, err = say(tmp_path)
    assert code == 1 and "the grid of another Hydra app" in err


def test_following_ends_with_the_sweep(tmp_path, say, monkeypatch):
    monkeypatch.setattr(status, "PAUSE", 0.01)
    monkeypatch.setattr(status, "SHARE", 0)
    leave(tmp_path, (SGD, {"status": "running", "epochs": 1}))
    joined, ending = threading.Event(), threading.Event()

    def work():
        with Crew(tmp_path, total=1) as worker:
            with worker.turn():
                worker.take([0])
            joined.set()
            ending.wait(20)
            leave_result = json.loads((tmp_path / "0" / "result.json").read_text())
            leave_result |= {"status": "completed", "epochs": 20}
            (tmp_path / "0" / "result.json").write_text(json.dumps(leave_result))

    thread = threading.Thread(target=work)
    thread.start()
    joined.wait(20)
    threading.Timer(0.2, ending.set).start()
    code, text, err = say(tmp_path, "--follow", "--json")
    thread.join()
    states = [json.loads(line)["state"] for line in text]
    assert (code, err) == (0, "") and states[0] == "running" and states[-1] == "ended"


# --- Words and numbers ----------------------------------------------------------------------------


def standing(trials, total=10, now=100.0, **more):
    worker = Worker(1, "m", 1, "alive", 0.0, [one.number for one in trials if one.is_open])
    workers = [worker]
    return replace(Standing("s", "search", None, total, trials, workers, now), **more)


def test_the_time_that_is_left():
    stack = [Trial(n, "completed", start=0.0, end=50.0) for n in range(4)]
    half = [Trial(n, "running", start=50.0, epoch=5, epochs=10) for n in range(4, 8)]
    # 4 + 4/2 trials in 100 s; 2 and 4/2 are left
    assert seconds_left(standing(stack + half))[0] == pytest.approx(100 / 6 * 4)
    assert seconds_left(standing(half))[0] == pytest.approx(50 / 2 * 8)
    long_ago = [replace(one, start=-1e6, end=50 - 1e6) for one in stack]
    assert seconds_left(standing(long_ago + half))[0] == pytest.approx(100 / 6 * 4)
    assert seconds_left(standing(stack, total=4, workers=[])) == (0.0, "")


def test_why_none_can_be_told():
    trials = [Trial(0, "running", start=0.0)]
    assert seconds_left(standing(trials)) == (None, "no trial has come far enough")
    assert "is not known" in seconds_left(standing(trials, total=None))[1]
    assert seconds_left(standing(trials, workers=[]))[1] == "nobody works on it"


def test_a_worker_elsewhere_that_gives_no_signs_cannot_be_told_dead(tmp_path, say):
    leave(tmp_path, (SGD, {"status": "running"}))
    member(tmp_path, pid=7, host="node7", machine="another", work=[0])
    code, text, _ = say(tmp_path)
    assert code == 3 and any(row.split()[1:4] == ["node7", "7", "elsewhere"] for row in text)


def test_who_only_waits_for_workers_is_none(tmp_path, say):
    leave(tmp_path, (SGD, {}))
    member(tmp_path, pid=os.getpid(), starts=2, total=3)
    assert say(tmp_path, "--json")[0] == 4
    assert json.loads(say(tmp_path, "--json")[1][0])["workers"] == []


def test_no_line_is_longer_than_80_columns():
    trials = [Trial(n, "running", params={"k" * 90: 1.0}, epoch=1, epochs=2) for n in range(64)]
    shown = lines(standing(trials, total=64, remarks=["x" * 100]))
    assert max(map(len, shown)) <= 80 and "        and 44 more" in shown


@pytest.mark.parametrize(
    "seconds, text",
    [(0.2, "0 s"), (99, "99 s"), (100, "2 min"), (3599, "1 h 0 min"), (200_000, "2 d 7 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
