"""What trackers are told, live and afterwards; that one which fails costs no trial."""

from dataclasses import asdict

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from support.short_runs import (
    assert_same_numbers,
    config_of,
    config_with,
    prepared,
    result_of,
)

import fcsweep
from fcsweep import export_to
from fcsweep.config import ConfigError, differences, typed
from fcsweep.run import run, run_many
from fcsweep.search.study.storage import read_study
from fcsweep.trackers import observer
from fcsweep.trackers.contents import End
from fcsweep.trackers.observer import Tracking


class Heard:
    """A tracker that keeps what it is told, and may fail."""

    place = "memory"

    def __init__(self, fails=()):
        self.runs, self.rows, self.ends, self.fails = {}, {}, {}, fails

    def start(self, run):
        self._fail("start")
        self.runs[run.identity], self.rows[run.identity] = run, []

    def log(self, run, rows):
        self._fail("log")
        self.rows[run.identity] += rows

    def end(self, run, end):
        self._fail("end")
        self.ends[run.identity] = end

    def _fail(self, when):
        if when in self.fails:
            raise RuntimeError(f"{when} is\nout of order")

    @property
    def all(self):
        return self.runs, self.rows, self.ends


@pytest.fixture
def heard(monkeypatch):
    """A tracker in place of each that is opened."""
    tracker = Heard()
    monkeypatch.setattr(observer, "open_tracker", lambda name: tracker)
    monkeypatch.setattr(export_to, "open_tracker", lambda name: tracker)
    monkeypatch.setattr(export_to, "require", lambda names: None)
    monkeypatch.setattr(observer, "_FAILED", set())
    return tracker


def stack(folder, observers=()):
    """A trial that ends, one that diverges and one that is pruned, in a stack."""
    configs = [config_of(rate) for rate in (0.1, 1e30, 0.2)]
    folders = [prepared(folder / str(k), config) for k, config in enumerate(configs)]
    prune = lambda reports: [r.trial for r in reports if r.trial == 2 and r.row.epoch == 2]  # noqa: E731
    run_many(configs, folders, prune, observers)
    return folders


@pytest.mark.parametrize("seconds", [0, 1000], ids=["at each epoch", "at the end"])
def test_live_and_afterwards_a_tracker_gets_the_same(heard, tmp_path, monkeypatch, seconds):
    monkeypatch.setattr(observer, "SECONDS", seconds)
    folders = stack(tmp_path / "s", [Tracking(["mlflow"])])
    live = repr(heard.all)
    statuses = sorted(end.status for end in heard.ends.values())
    assert statuses == ["completed", "diverged", "pruned"]
    first = next(one for one in heard.runs.values() if one.name == "0")
    assert (first.sweep, first.params["optimizer.learning_rate"]) == ("s", 0.1)
    assert first.params["model.hidden_dims"] == "[20, 10]" and "target" not in first.params
    rows = heard.rows[first.identity]
    assert [epoch for epoch, _ in rows] == [1, 2, 3]
    assert max(metrics["val_accuracy"] for _, metrics in rows) == result_of(folders[0])["value"]
    assert first.config == folders[0] / ".hydra" / "config.yaml"
    ends, heard.ends = heard.ends, {}
    assert export_to.export("mlflow", tmp_path / "s") == "3 runs: memory"
    assert heard.ends == ends and sorted(repr(heard.all)) == sorted(live)


def test_a_run_that_goes_on_is_told_from_its_first_epoch(heard, tmp_path):
    def ends(reports):
        if reports[0].row.epoch == 3:
            raise KeyboardInterrupt
        return ()

    config = config_with()
    folder = prepared(tmp_path / "run", config)
    with pytest.raises(KeyboardInterrupt):
        run(config, folder, ends, [Tracking(["mlflow"])])
    assert [end.status for end in heard.ends.values()] == ["interrupted"]
    config.tracker = ["mlflow"]  # another one, which decides no number
    told = []
    watch = type("Watch", (observer.Observer,), {"epoch": lambda self, r: told.append(r)})
    run(config, folder, observers=[Tracking(["mlflow"]), watch()])
    assert told[0][0].row.epoch == 3  # from the checkpoint after the second
    ((identity, rows),) = heard.rows.items()
    assert [epoch for epoch, _ in rows] == [1, 2, 3, 4, 5, 6]
    assert heard.ends[identity].status == "completed"


@pytest.mark.parametrize("when", ["open", "start", "log", "end"])
def test_a_tracker_that_fails_costs_one_line(heard, tmp_path, monkeypatch, capfd, when):
    heard.fails = (when,)
    if when == "open":
        monkeypatch.setattr(observer, "open_tracker", lambda name: 1 / 0)
    alone = stack(tmp_path / "alone")
    for name in ("s", "s/more"):  # two stacks of a sweep
        monkeypatch.setattr(observer, "SECONDS", 0)
        told = stack(tmp_path / name, [Tracking(["mlflow"])])
        for one, other in zip(alone, told, strict=True):
            assert result_of(one)["status"] == result_of(other)["status"]
        assert_same_numbers(alone[0], told[0])
    lines = capfd.readouterr().err.splitlines()
    why = "ZeroDivisionError" if when == "open" else f"RuntimeError: {when} is out of order"
    first = f"warning: mlflow is disabled for this sweep: {why}"
    assert lines[0].startswith(first) and "fcsweep.export_to mlflow" in lines[0]
    assert len(lines) == 2  # each of the two folders is a sweep


def test_a_tracker_that_failed_is_left_alone_for_the_rest_of_a_sweep(heard, tmp_path, capfd):
    heard.fails = ("log",)
    for number in range(3):  # jobs of one sweep, one after the other
        folder = prepared(tmp_path / "s" / str(number), config_of(seed=number))
        run(config_of(seed=number), folder, observers=[Tracking(["mlflow"])])
    assert capfd.readouterr().err.count("\n") == 1 and len(heard.runs) == 1


def test_what_cannot_be_vouched_for_is_not_exported(heard, tmp_path, capfd):
    folders = stack(tmp_path / "s")
    file = folders[0] / "history.csv"
    file.write_text(file.read_text().replace("\n1,", "\n9,"))
    assert export_to.export("wandb", tmp_path / "s") == "2 runs: memory"
    err = capfd.readouterr().err
    assert err.startswith(f"warning: {folders[0]} is left out: ") and err.count("\n") == 1


def test_the_key_is_checked_and_decides_no_number(tmp_path, monkeypatch):
    words = ["tracker=[mlflow,nope]"]
    expected = r"tracker is \['mlflow', 'nope'\]; expected a list of some of tensorboard, mlflow"
    with pytest.raises(ConfigError, match=expected):
        fcsweep.compose(words)
    with pytest.raises(ConfigError, match=r"did you mean \[mlflow\]\?"):
        fcsweep.compose(["tracker=mlflow"])
    assert not differences(fcsweep.compose(), fcsweep.compose(["tracker=[mlflow]"]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fcsweep.trackers.tracker.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs a package; pip install 'fcsweep\[wandb\]'"):
        fcsweep.train(["tracker=[wandb]"])
    assert list(tmp_path.iterdir()) == []


def test_a_search_goes_on_with_a_tracker(heard, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fcsweep.cli.checks.require", lambda names: None)
    words = ["hydra/sweeper=optuna", "model.reg=tag(log,interval(1e-4,1))", "solver.num_epochs=1"]
    fcsweep.sweep([*words, "hydra.sweeper.n_trials=2"], folder="s")
    assert not heard.runs
    fcsweep.sweep([*words, "hydra.sweeper.n_trials=4", "tracker=[mlflow]"], folder="s")
    assert sorted(one.name for one in heard.runs.values()) == ["2", "3"]
    study = read_study(tmp_path / "s")
    assert study.metric_names == ["val_accuracy"]  # as dashboards show it
    assert list(study.user_attrs) == ["fcsweep.data"]  # and no wall of settings


def test_of_another_app_the_trials_are_exported(heard, tmp_path):
    (tmp_path / "s" / "0" / ".hydra").mkdir(parents=True)
    (tmp_path / "s" / "0" / ".hydra" / "config.yaml").write_text("x: 1\n")
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "s" / "study.journal")))
    study = optuna.create_study(storage=storage, study_name="s")
    trial = study.ask({"+x": optuna.distributions.FloatDistribution(0, 1)})
    trial.report(0.5, 1)
    study.tell(trial, 0.25)
    assert export_to.export("mlflow", tmp_path / "s") == "1 runs: memory"
    ((identity, run),) = heard.runs.items()
    assert (run.sweep, run.name, list(run.params)) == ("s", "0", ["x"])
    assert heard.rows[identity] == [(1, {"reported": 0.5})]
    assert heard.ends[identity] == End("completed", {"value": 0.25}, {"status": "completed"})


def test_saved_configs_from_before_have_no_tracker(tmp_path):
    known = asdict(config_of())
    known.pop("tracker")
    assert typed(known).tracker is None
