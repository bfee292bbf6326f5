"""``@fcsweep.app``: another Hydra app has the display, the table, the errors and the page."""

import csv
import logging
import re
import sys

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from support.commands import Said
from support.terminals import on_terminal
from support.toy_app import make_app

import fcsweep
from fcsweep.messages.errors import ConfigError

APP = """\
import logging

import hydra

import fcsweep

@fcsweep.app(direction="minimize")
@hydra.main(version_base="1.3", config_path=".", config_name="config")
def task(cfg):
    logging.getLogger("mine").info("x is %s", cfg.x)
    print("printed", flush=True)
    if cfg.x > 4:
        raise RuntimeError(f"no x of {cfg.x}")
    import time; time.sleep(cfg.wait)
    return (cfg.x - 1) ** 2 + cfg.y

task()
"""
CONFIG = "x: 0.0\ny: 0\nwait: 0.0\n"


def task(cfg):
    """A job that fails where x is 5."""
    logging.getLogger("mine").info("x is %s", cfg.x)
    if cfg.x == 5:
        raise RuntimeError(f"no x of {cfg.x}")
    return {"a text": "much", "two": (cfg.x, -cfg.x)}.get(cfg.kind, (cfg.x - 1) ** 2 + cfg.y)


@pytest.fixture
def call(tmp_path, monkeypatch, capfd):
    """The app, called with these words in an empty folder; how it ended and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "config.yaml").write_text("x: 0.0\ny: 0\nkind: a number\n")
    root = logging.getLogger()
    before = root.handlers[:], root.level
    main = hydra.main(version_base="1.3", config_path=str(conf), config_name="config")
    configured = main(task)

    def call(*words, decorated=fcsweep.app):
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["app.py", *words])
        monkeypatch.setattr(sys, "orig_argv", ["python", "app.py", *words])
        capfd.readouterr()
        code = 0
        try:
            decorated(configured)()
        except SystemExit as left:
            code = left.code
        said = capfd.readouterr()
        return Said(code, said.out, said.err)

    yield call
    GlobalHydra.instance().clear()
    for handler in set(root.handlers) - set(before[0]):
        handler.close()
    root.handlers[:], root.level = before


def rows_of(folder):
    return list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))


GRID = ["-m", "x=1,2,5", "y=0,1", "hydra.sweep.dir=s"]


@pytest.mark.slow
def test_a_grid_has_a_table_and_an_error_in_one_line(call, tmp_path):
    said = call(*GRID)
    lines = said.out.splitlines()
    assert lines[0] == "trial 0: completed 0 (x=1, y=0)"
    assert lines[5] == "trial 5: failed (x=5, y=1): RuntimeError: no x of 5"
    assert lines[6].split() == ["x", "y", "value", "status", "seconds", "folder"]
    assert [line.split()[:4] for line in lines[9:11]] == [
        ["2", "0", "1", "completed"],
        ["2", "1", "2", "completed"],
    ]
    assert lines[13:] == [
        "no page: which value is best is not known; say so by "
        '@fcsweep.app(direction="minimize") or "maximize"'
    ]
    assert said.code == 1
    assert said.err == "error: 2 of 6 jobs failed: s/4, s/5 (RuntimeError: no x of 5)\n"
    log = (tmp_path / "s" / "4" / "test_foreign.log").read_text()
    assert "x is 5" in log and "Traceback" in log and "no x of 5" in log
    assert [row["value"] for row in rows_of(tmp_path / "s")] == ["0.0", "1.0", "1.0", "2.0", "", ""]


@pytest.mark.slow
@pytest.mark.parametrize(("direction", "best"), [("minimize", "s/0 (0)"), ("maximize", "s/2 (4)")])
def test_with_a_direction_a_grid_has_a_best_job_and_a_page(direction, best, call, tmp_path):
    decorated = fcsweep.app(direction=direction)
    said = call("-m", "x=1,2,3", "hydra.sweep.dir=s", decorated=decorated)
    x = {"minimize": 1, "maximize": 3}[direction]
    end = [f"best: {best}, x {x}", "report: s/report.html"]
    assert said.code == 0 and said.out.splitlines()[-2:] == end
    end_of_value = {"minimize": "lowest", "maximize": "highest"}[direction]
    page = (tmp_path / "s" / "report.html").read_text()
    assert f"the {end_of_value} value of test_foreign" in page and "not finished" not in page


@pytest.mark.slow
def test_a_search_has_the_table_and_the_page(call, tmp_path):
    words = "x=interval(-1,3) y=0,1 hydra.sweeper.n_trials=12 hydra.sweep.dir=s".split()
    words += ["hydra.sweeper.n_jobs=6"]
    said = call("-m", "hydra/sweeper=optuna", *words)
    lines = said.out.splitlines()
    assert said.code == 0 and said.err == "" and "[HYDRA]" not in said.out
    assert lines[0] == "study s: 12 trials" and lines[1].startswith("trial 0: completed ")
    assert lines[14].split() == ["x", "y", "value", "status", "seconds", "folder"]
    values = [float(line.split()[2]) for line in lines[15:25]]
    assert (
        values == sorted(values)
        and lines[25] == "10 best of 12, best first; 2 more in s/trials.csv"
    )
    assert re.fullmatch(rf"best: s/\d+ \({values[0]:.4g}\), x \S+, y [01]", lines[26])
    assert lines[27:] == ["report: s/report.html"]
    assert sum(line.startswith("best: ") for line in lines) == 1


@pytest.mark.slow
def test_of_several_objectives_the_front_comes_first(call, monkeypatch):
    monkeypatch.setattr("fcsweep.report.write", lambda folder, **_: folder / "report.html")
    words = [
        "hydra.sweeper.n_trials=11",
        "hydra.sweeper.direction=[minimize,minimize]",
        "kind=two",
        "hydra.sweep.dir=s",
    ]
    said = call("-m", "hydra/sweeper=optuna", "x=interval(0,1)", *words)
    lines = said.out.splitlines()
    front = next(line for line in lines if line.startswith("Pareto front: 11 of 11 trials: "))
    head = lines[lines.index(front) + 1]
    assert head.split()[:3] == ["x", "value_0", "value_1"]
    assert lines[-2:] == ["10 of 11; 1 more in s/trials.csv", "report: s/report.html"]


def test_a_job_without_a_number_has_no_value(call, tmp_path):
    said = call("-m", "x=1,2", "+z=[1,2]", "kind=a text", "hydra.sweep.dir=s")
    assert said.code == 0 and said.out.splitlines()[-1] == "no run has a value"
    assert [row["status"] for row in rows_of(tmp_path / "s")] == ["completed"] * 2


MISTAKES = {
    "an unknown key": (["lr=1"], "Could not override 'lr'. To append to your config use +lr=1"),
    "in a grid": (["-m", "lr=1,2"], "Could not override 'lr'"),
    "a range in a grid": (["-m", "x=interval(0,1)"], "x=interval(0,1) is a range to search; add"),
    "of a search": (
        ["-m", "hydra/sweeper=optuna", "x=interval(2,1)"],
        "x=interval(2,1) cannot be searched",
    ),
    "an unknown group": (["hydra/launcher=many"], "Could not find 'hydra/launcher/many'"),
    "the other direction": (
        ["-m", "hydra/sweeper=optuna", "x=interval(0,1)", "hydra.sweeper.direction=maximize"],
        "hydra.sweeper.direction is maximize; the app says minimize",
    ),
    "of the grammar": (["x=[1"], "no viable alternative at input '[1'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake, call, tmp_path):
    words, told = MISTAKES[mistake]
    said = call(*words, decorated=fcsweep.app(direction="minimize"))
    assert said.code == 1 and said.out == ""
    assert said.err.startswith("error: ") and said.err.count("\n") == 1 and told in said.err
    assert "HYDRA_FULL_ERROR" not in said.err and not list(tmp_path.glob("**/trials.csv"))


def test_an_error_of_the_task_in_a_single_run_keeps_its_stack_trace(call):
    said = call("x=5")
    assert said.code == 1 and 'raise RuntimeError(f"no x of {cfg.x}")' in said.err
    assert "site-packages" not in said.err
    said = call("x=2")
    assert said.code == 0 and said.err == ""


def test_a_config_of_the_apps_own_is_handed_on(call):
    given = fcsweep.app(lambda cfg: cfg)
    assert given({"x": 1}) == {"x": 1}
    with pytest.raises(ConfigError, match=r"fcsweep.app is 'up'; expected minimize or maximize"):
        fcsweep.app(direction="up")


@pytest.mark.slow
def test_another_sweep_in_the_same_folder_has_only_its_own_jobs(call, tmp_path):
    call(*GRID)
    said = call("-m", "x=1,2", "hydra.sweep.dir=s")
    assert said.code == 0 and len(rows_of(tmp_path / "s")) == 2


@pytest.mark.slow
def test_jobs_of_joblib_are_told_and_counted(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    pytest.importorskip("pyte")
    app = make_app(tmp_path, APP, CONFIG)
    words = ["-m", "x=1,2,5", "y=0,1", "wait=0.5", "hydra/launcher=joblib", "hydra.sweep.dir=s"]
    words += ["hydra.launcher.n_jobs=2"]
    shown = on_terminal([sys.executable, str(app), *words], tmp_path)
    assert shown.code == 1 and "best: s/0 (0), x 1, y 0" in shown.lines
    counts = {line for screen in shown.screens for line in screen if "running" in line}
    assert counts & {"1 completed, 1 running", "2 completed, 2 running", "2 running"}
    assert shown.lines[-1] == "error: 2 of 6 jobs failed: s/4, s/5 (RuntimeError: no x of 5)"


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_it_has_a_bar_and_a_table(columns, tmp_path):
    pytest.importorskip("pyte")
    app = make_app(tmp_path, APP, CONFIG)
    grid = ["-m", "x=1,2", "y=0,1", "wait=0.3", "hydra.sweep.dir=s"]
    shown = on_terminal([sys.executable, str(app), *grid], tmp_path, columns)
    assert shown.code == 0 and "┃ x ┃ y ┃ value ┃ status    ┃ seconds ┃ folder ┃" in shown.lines
    bars = {line for screen in shown.screens for line in screen if line.startswith("trials ")}
    assert any(re.match(r"trials 1/4 ━+.* about \d:\d\d:\d\d left", line) for line in bars)
    assert not [line for line in shown.lines if line.startswith("trials ")]
    assert shown.lines[-2:] == ["best: s/0 (0), x 1, y 0", "report: s/report.html"]
    assert shown.lines.count("printed") == 4 and "x is" not in shown.text


def test_ctrl_c_in_a_grid_is_one_line_below_the_table(tmp_path):
    pytest.importorskip("pyte")
    app = make_app(tmp_path, APP, CONFIG)
    words = ["-m", "x=1,2,3", "wait=0.6", "hydra.sweep.dir=s"]
    shown = on_terminal(
        [sys.executable, str(app), *words],
        tmp_path,
        strike=lambda screen: "1 completed, 1 running" in screen,
    )
    assert shown.code == 130 and "Traceback" not in shown.text
    command = f"python {app} -m x=1,2,3 wait=0.6 hydra.sweep.dir=s"
    assert "".join(shown.lines).endswith(f"interrupted; to run it again: {command}")
    assert [row["status"] for row in rows_of(tmp_path / "s")] == ["completed", "running"]
