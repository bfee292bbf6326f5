"""A sweep of another app ends, goes on and is refused as one of our own."""

import csv
import os
import signal
import subprocess
import sys

import pytest
import yaml
from hydra.errors import CompactHydraException
from support.toy_app import multirun, study_of, sweep, told

from fcsweep.search.study.study import started_with

CONFIG = {"x": 0.0}
SEARCH = ["x=interval(-1,1)", "hydra.sweeper.n_jobs=2"]


class Counted:
    """A task that knows how often it ran."""

    def __init__(self):
        self.runs = 0

    def __call__(self, cfg):
        self.runs += 1
        return cfg.x**2


def rows_of(folder):
    return list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))


# --- A journal that lost lines --------------------------------------------------------------------

LOSSES = {
    "cut at a line's end": lambda lines: lines[:12],
    "cut in a line": lambda lines: [*lines[:12], lines[12][:9]],
    "only its first line": lambda lines: lines[:1],
    "a line in the middle": lambda lines: lines[:9] + lines[10:],
    "empty": lambda lines: [],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lost") / "s"
    sweep(folder, Counted(), CONFIG, *SEARCH, "hydra.sweeper.n_trials=4")
    return folder


@pytest.mark.parametrize("loss", [*LOSSES, "gone"])
def test_a_journal_that_lost_lines_is_refused_and_nothing_runs_again(loss, whole):
    journal, size, task = whole / "study.journal", whole / "study.journal.size", Counted()
    content = journal.read_bytes()
    journal.unlink()
    if loss in LOSSES:
        journal.write_bytes(b"".join(LOSSES[loss](content.splitlines(keepends=True))))
    words = [*SEARCH, "hydra.sweeper.n_trials=6"]
    with pytest.raises(CompactHydraException) as error:
        sweep(whole, task, CONFIG, *words)
    told_before = f"{journal} has "
    assert str(error.value).startswith(told_before) and f"had {len(content)}: " in str(error.value)
    assert "restore it from a copy, or remove" in str(error.value) and str(size) in str(error.value)
    assert task.runs == 0
    journal.write_bytes(content)


def test_a_journal_that_is_put_back_goes_on(whole):
    (whole / "study.journal").rename(whole / "copy")
    (whole / "copy").rename(whole / "study.journal")
    task = Counted()
    sweep(whole, task, CONFIG, *SEARCH, "hydra.sweeper.n_trials=5")
    assert task.runs == 1


def test_who_accepts_the_loss_goes_on_from_what_is_left(tmp_path):
    before, task = Counted(), Counted()
    words = [*SEARCH, "hydra.sweeper.n_trials=4", "hydra.sweeper.sampler.seed=1"]
    expected = told(sweep(tmp_path, before, CONFIG, *words))
    journal = tmp_path / "study.journal"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:12]))
    (tmp_path / "study.journal.size").unlink()
    assert told(sweep(tmp_path, task, CONFIG, *words)) == expected
    assert (before.runs, task.runs) == (4, 2)


@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "text"])
def test_what_is_no_size_changes_nothing_elsewhere(kind, tmp_path):
    size, elsewhere = tmp_path / "study.journal.size", tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    {
        "pipe": lambda: os.mkfifo(size),
        "link": lambda: size.symlink_to(elsewhere),
        "folder": size.mkdir,
        "text": lambda: size.write_text("many"),
    }[kind]()
    task = Counted()
    sweep(tmp_path, task, CONFIG, *SEARCH, "hydra.sweeper.n_trials=1")
    assert task.runs == 1 and elsewhere.read_text() == "mine"


# --- A folder that was renamed --------------------------------------------------------------------


@pytest.mark.slow
def test_a_sweep_whose_folder_was_renamed_goes_on_with_its_one_study(tmp_path):
    first, second = tmp_path / "first", tmp_path / "far" / "second"
    words = [*SEARCH, "hydra.sweep.subdir=job_${hydra.job.num}"]
    study = sweep(first, Counted(), CONFIG, *words, "hydra.sweeper.n_trials=4")
    before, seed = told(study), started_with(study)["drawn_seed"]
    second.parent.mkdir()
    first.rename(second)
    task = Counted()
    study = sweep(second, task, CONFIG, *words, "hydra.sweeper.n_trials=6")  # one, or it raises
    assert told(study)[:4] == before and task.runs == 2
    assert study.study_name == "first" and started_with(study)["drawn_seed"] == seed
    assert [row["folder"] for row in rows_of(second)] == [f"{second}/job_{n}" for n in range(6)]
    assert not first.exists()
    with pytest.raises(CompactHydraException, match=r"holds the study first, not other; go on"):
        sweep(second, task, CONFIG, *words, "hydra.sweeper.study_name=other")
    assert study_of(second).study_name == "first" and task.runs == 2


@pytest.mark.slow
def test_a_running_trial_of_a_renamed_folder_is_the_first_to_go_on(tmp_path):
    def interrupted(cfg):
        if len(begun) == 3:
            raise KeyboardInterrupt
        begun.append(cfg.x)
        return cfg.x

    begun = []
    words = [*SEARCH, "hydra.sweeper.n_trials=4"]
    with pytest.raises(SystemExit):
        sweep(tmp_path / "a", interrupted, CONFIG, *words)
    (tmp_path / "a").rename(tmp_path / "b")
    again = Counted()
    trials = told(sweep(tmp_path / "b", again, CONFIG, *words))
    assert [state for _, state, *_ in trials] == ["COMPLETE"] * 4 and again.runs == 1
    assert [params["x"] for _, _, params, _ in trials][:3] == begun


@pytest.mark.slow
def test_a_study_in_a_database_follows_a_folder_that_was_moved(tmp_path):
    url = f"hydra.sweeper.storage=sqlite:///{tmp_path}/all.db"
    words = ["hydra/sweeper=optuna", *SEARCH, url, "hydra.sweeper.n_trials=2"]
    multirun(tmp_path / "a", Counted(), CONFIG, *words)
    (tmp_path / "a").rename(tmp_path / "b")
    task = Counted()
    with pytest.raises(CompactHydraException, match=r"name theirs by hydra.sweeper.study_name="):
        multirun(tmp_path / "b", task, CONFIG, *words)
    multirun(tmp_path / "b", task, CONFIG, *words, "hydra.sweeper.study_name=a")
    assert task.runs == 0 and len(rows_of(tmp_path / "b")) == 2


# --- Signals, and mistakes ------------------------------------------------------------------------


def struck(number, swallowed):
    """A task that a signal strikes in its third run."""

    def task(cfg):
        runs.append(cfg.x)
        try:
            if len(runs) == 3:
                os.kill(os.getpid(), number)
        except BaseException:
            if not swallowed:
                raise
        return cfg.x

    runs = []
    return task


@pytest.mark.parametrize(
    ("number", "word", "swallowed"),
    [
        (signal.SIGINT, "interrupted", False),
        (signal.SIGTERM, "terminated", False),
        (signal.SIGTERM, "terminated", True),
        (signal.SIGHUP, "hung up", False),
    ],
)
def test_a_signal_ends_a_sweep_in_one_line_with_its_results(
    number, word, swallowed, tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr("sys.argv", ["app.py", "-m", "hydra.sweep.dir=other", "size=2"])
    monkeypatch.setattr("sys.orig_argv", ["/bin/python3", "-u", *"app.py -m x".split()])
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(SystemExit) as left:
        sweep(tmp_path, struck(number, swallowed), CONFIG, *SEARCH, "hydra.sweeper.n_trials=6")
    assert left.value.code == 128 + number
    lines = capfd.readouterr().err.splitlines()
    go_on = f"{word}; to go on: python app.py -m size=2 hydra.sweep.dir={tmp_path}"
    assert [line for line in lines if not line.startswith("[")] == [go_on]
    assert [row["status"] for row in rows_of(tmp_path)] == ["completed"] * 2 + ["running"] * 2
    results = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert results["trials"]["completed"] == 2 and results["best_trial"] in (0, 1)
    now = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert now == handlers


@pytest.mark.slow
def test_an_app_with_a_handler_of_its_own_keeps_it(tmp_path):
    heard, before = [], signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        task = struck(signal.SIGTERM, swallowed=False)
        study = sweep(tmp_path, task, CONFIG, *SEARCH, "hydra.sweeper.n_trials=4")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM] and len(told(study)) == 4


@pytest.mark.parametrize("given", ["none", "0", "2.5"])
def test_a_wrong_key_of_the_launcher_is_refused_before_anything_is_made(given, tmp_path):
    words = ["hydra/launcher=stacked", f"hydra.launcher.max_trials={given}"]
    with pytest.raises(CompactHydraException, match=f"max_trials is .*{given}.*; expected auto"):
        multirun(tmp_path / "s", Counted(), CONFIG, "hydra/sweeper=optuna", *SEARCH, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_another_app_is_told_once_that_it_has_nothing_to_stack(tmp_path, capsys):
    told = "hydra/launcher=stacked trains one job after another here: only nets of fcsweep, and"
    words = ["hydra/launcher=stacked", *SEARCH, "hydra.sweeper.n_trials=4"]
    sweep(tmp_path / "s", Counted(), CONFIG, *words)
    assert capsys.readouterr().out.count(told) == 1
    multirun(tmp_path / "g", Counted(), CONFIG, "hydra/launcher=stacked", "x=1,2")
    assert capsys.readouterr().out.count(told) == 1


QUIET_APP = """\
import hydra

@hydra.main(version_base="1.3", config_path=None)
def task(cfg):
    return cfg.x**2

task()
"""


@pytest.mark.slow
def test_a_reader_that_leaves_costs_one_line(tmp_path):
    (tmp_path / "app.py").write_text(QUIET_APP)
    words = "-m hydra/sweeper=optuna +x=interval(0,1) hydra.sweep.dir=s".split()
    process = subprocess.Popen(
        [sys.executable, "-u", "app.py", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0 and said == ""  # logs are no results
    assert len(rows_of(tmp_path / "s")) == 20
