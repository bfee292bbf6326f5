"""``report.html`` of a search by another Hydra app, which keeps no records of ours."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.report_pages import HOSTILE, page_of
from support.toy_app import multirun, sweep

from fcsweep import report
from fcsweep.evaluate import main as evaluate
from fcsweep.messages.errors import FolderError, StudyError
from fcsweep.report import contents
from fcsweep.report.foreign_study import read_study
from fcsweep.rerun.__main__ import main as rerun
from fcsweep.search import should_prune

CONFIG = {"x": 0.0, "rate": 1.0, "kind": "a"}
SPACE = ["x=interval(-3,3)", "rate=tag(log,interval(1e-4,1))", "kind=a,b"]
RANDOM = ["hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=0"]
MANY = ["hydra.sweeper.n_trials=16", "hydra.sweeper.max_failure_rate=1.0"]


def task(cfg):
    """Best where x is near 1; fails where x is under -2."""
    if cfg.x < -2:
        raise ValueError("x is too small")
    should_prune((cfg.x - 1) ** 2, 1)
    return (cfg.x - 1) ** 2


@pytest.fixture(scope="module")
def search(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("app") / "search"
    pruner = "hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.upper=5"
    study = sweep(folder, task, CONFIG, *SPACE, *RANDOM, *MANY, *pruner)
    assert {trial.state.name for trial in study.trials} == {"COMPLETE", "PRUNED", "FAIL"}
    return folder


@pytest.fixture(params=["study.journal", "trials.csv"])
def told_by(request, search, tmp_path) -> Path:
    """The search, known by its journal; and by its table alone, as if the study were elsewhere."""
    folder = Path(shutil.copytree(search, tmp_path / "search"))
    if request.param == "trials.csv":
        (folder / "study.journal").unlink()
    return folder


@pytest.mark.slow
def test_a_search_of_another_app_is_answered(told_by, search):
    source = "study.journal" if (told_by / "study.journal").exists() else "trials.csv"
    valued = [one for one in read_study(search).trials if one["value"] is not None]
    best = min(valued, key=lambda one: one["value"])
    point = f"x {best['params.x']:.4g}, rate {best['params.rate']:.4g} and kind"
    page = page_of(told_by)
    said = page.text()
    assert "Which x, rate and kind give the lowest value of " in said
    assert f"Trial {best['number']} has value {best['value']:.4g} with {point}" in said
    assert "16 trials: " in said and f"Read from {source}." in said
    assert page.figures() == ["landscape", "history", "importance", "parallel"]
    assert "accuracy" not in said and "fcsweep.rerun" not in said
    assert len(page.rows("best")) == 1
    axes = {axis.key: axis.kind for axis in read_study(told_by).searched}
    assert axes == {"params.x": "linear", "params.rate": "log", "params.kind": "choice"}


def test_a_journal_tells_why_a_trial_failed_and_a_table_has_the_same_numbers(search, tmp_path):
    assert "ValueError: x is too small" in page_of(search).text()
    copy = Path(shutil.copytree(search, tmp_path / "search"))
    (copy / "study.journal").unlink()
    journal, table = (read_study(folder).trials for folder in (search, copy))
    same = ["number", "status", "value", "params.x", "params.rate", "params.kind", "reached.value"]
    assert [[one[name] for name in same] for one in journal] == [
        [one[name] for name in same] for one in table
    ]


@pytest.mark.slow
def test_the_highest_value_is_the_best_where_it_is_asked_for(tmp_path):
    maximize = "hydra.sweeper.direction=maximize"
    study = sweep(tmp_path / "s", lambda cfg: cfg.x, CONFIG, "x=range(0,4)", *MANY, maximize)
    said = page_of(tmp_path / "s").text()
    assert "Which x gives the highest value of" in said
    assert f"has value {study.best_value:.4g} with x 3." in said


@pytest.mark.slow
def test_parameters_matter_and_the_direction_counts(tmp_path):
    folder = tmp_path / "s"
    trials = "hydra.sweeper.n_trials=30"
    sweep(folder, lambda cfg: (cfg.x - 1) ** 2, CONFIG, *SPACE, *RANDOM, trials)
    parts = contents.read(folder).parts
    assert max(parts, key=parts.__getitem__) == "params.x" and parts["params.x"] > 0.5
    assert page_of(folder).data["objectives"][0]["minimize"]


@pytest.mark.parametrize("told_by", ["study.journal"], indirect=True)
def test_its_figures_as_files(told_by):
    report.write(told_by, ("svg",))
    drawn = {path.name for path in (told_by / "figures").iterdir()}
    assert drawn == {"landscape.svg", "history.svg", "parallel.svg", "importance.svg"}


@pytest.mark.slow
@pytest.mark.parametrize("source", ["study.journal", "trials.csv"])
def test_several_objectives_have_a_front(tmp_path, source):
    directions = "hydra.sweeper.direction=[minimize,maximize]"
    objectives = lambda cfg: ((cfg.x - 1) ** 2, -((cfg.x - 2) ** 2))  # noqa: E731
    study = sweep(tmp_path / "s", objectives, CONFIG, "x=interval(0,3)", *MANY, directions)
    best = [trial.number for trial in study.best_trials]
    if source == "trials.csv":
        (tmp_path / "s" / "study.journal").unlink()
    page = page_of(tmp_path / "s")
    said = page.text()
    assert page.data["runs"]["best"] == best and len(page.rows("best")) == len(best)
    assert "landscape" in page.figures()
    assert "the lowest value_0 and the highest value_1" in said
    front = read_study(tmp_path / "s").front()
    assert [one["number"] for one in front] == best and f" and {best[-1]}" in said
    assert f"than the {len(best)} trials of the Pareto front: {best[0]}" in said


def test_a_search_that_runs_is_told_as_it_stands(search, tmp_path):
    lines = (search / "study.journal").read_bytes().splitlines(keepends=True)
    (tmp_path / "multirun.yaml").write_bytes((search / "multirun.yaml").read_bytes())
    first = next(n for n, line in enumerate(lines) if json.loads(line)["op_code"] == 6)
    for count, said in ((first, "No trial has a value yet."), (len(lines) - 1, " running")):
        half = b"".join(lines[:count]) + lines[count][:20]
        (tmp_path / "study.journal").write_bytes(half)
        assert said in page_of(tmp_path).text()
        assert (tmp_path / "study.journal").read_bytes() == half


@pytest.mark.slow
def test_what_an_app_names_is_text(tmp_path):
    folder = tmp_path / "s"
    word = "'" + HOSTILE.replace("'", "") + "'"
    sweep(folder, lambda cfg: 1.0, CONFIG, f"kind={word},b", *MANY)
    page = page_of(folder)
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert HOSTILE in page.text()


def test_a_grid_of_another_app_is_refused(tmp_path):
    multirun(tmp_path / "s", task, CONFIG, "x=0,1")
    with pytest.raises(FolderError, match="holds runs of another program, without a study.journal"):
        report.write(tmp_path / "s")
    assert not (tmp_path / "s" / "report.html").exists()


DAMAGES = {
    "study.journal": [
        (b"nonsense\n", "study.journal is damaged in line 1"),
        (b'{"op_code": 9}\n', "study.journal is damaged"),
        (b'{"op_code": 4, "study_id": 7}\n', "study.journal is damaged"),
    ],
    "trials.csv": [
        (b"", "expected the columns of a search"),
        (b"a,b\n", "expected the columns of a search"),
        (b"number,status,x,seconds,folder\n", "expected a column of values"),
        (b"number,status,value,seconds,folder\n1\n", "trials.csv cannot be read"),
        (b"number,status,value,seconds,folder\n1,failed,x,,\n", "trials.csv cannot be read"),
        (b"number,status,value_0,value_1,seconds,folder\n", "has no direction for the values"),
        (b"\xff\xfe", "trials.csv cannot be read"),
    ],
}


@pytest.mark.parametrize(
    "file, content, said", [(file, *each) for file, all_ in DAMAGES.items() for each in all_]
)
def test_a_damaged_study_is_one_line(search, tmp_path, file, content, said):
    shutil.copy(search / "multirun.yaml", tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(StudyError) as refused:
        report.write(tmp_path)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_a_table_without_a_word_of_its_direction_is_refused(search, tmp_path):
    shutil.copy(search / "trials.csv", tmp_path)
    with pytest.raises(StudyError, match="has no direction for the values"):
        report.write(tmp_path)


@pytest.mark.parametrize("command, does", [(rerun, "repeats runs"), (evaluate, "takes those")])
def test_the_other_commands_refuse_it_in_one_line(search, monkeypatch, capsys, command, does):
    name = f"fcsweep.{'rerun' if command is rerun else 'evaluate'}"
    monkeypatch.setattr(sys, "argv", [name, str(search)])
    with pytest.raises(SystemExit) as stop:
        command()
    out, err = capsys.readouterr()
    assert stop.value.code == 1 and out == ""
    assert err == f"error: {search} holds runs of another program; {name} {does} of fcsweep\n"


def test_as_a_command_without_torch(told_by):
    code = "import sys; sys.argv = ['report', sys.argv[1]]; import fcsweep.report.__main__ as it; "
    code += "it.main(); assert 'torch' not in sys.modules"
    command = [sys.executable, "-W", "error", "-c", code, str(told_by)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"{told_by}/report.html\n")
