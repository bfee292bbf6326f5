"""``fcsweep.grade`` from outside: a row for each hand-in, whatever it is."""

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml
from support.short_runs import config_of, prepared, reseal, result_of

from fcsweep.evaluate import evaluate
from fcsweep.grade import grading, hand_in
from fcsweep.grade.__main__ import main
from fcsweep.run import run

CONFIG = ".hydra/config.yaml"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Two runs of different quality, as the jobs of a sweep."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("runs") / "sweep"
    for number, rate in enumerate((1e-4, 0.1)):
        config = config_of(rate)
        run(config, prepared(folder / str(number), config))
    return folder


@pytest.fixture
def grade(monkeypatch, capfd, tmp_path):
    """Grades folders; returns the exit code, the rows, and what was printed."""
    out = tmp_path / "grades.csv"

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["grade", *map(str, words), "--out", str(out)])
        with pytest.raises(SystemExit) as stop:
            main()
        rows = []
        if out.exists():
            with out.open(newline="") as file:
                rows = list(csv.DictReader(file))
        return stop.value.code, rows, capfd.readouterr()

    return call


def handed_in(runs, folder, number=1):
    return Path(shutil.copytree(runs / str(number), folder))


def replaced(folder, name, old, new):
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))


def test_a_row_tells_verdict_target_and_test_accuracy(runs, grade):
    run_dir = runs / "1"
    value = result_of(run_dir)["value"]
    correct, rows = evaluate(run_dir)["test"]
    code, (row,), said = grade(run_dir, "--target", "0.4")
    expected = {
        "hand_in": str(run_dir),
        "run": "",
        "verdict": "identical",
        "objective": "val_accuracy",
        "recorded": repr(value),
        "repeated": repr(value),
        "target": "0.4",
        "target_reached": "true",
        "test_accuracy": repr(correct / rows),
        "epochs": "3",
        "sha256": json.loads((run_dir / "provenance.json").read_text())["sha256"],
        "copy_of": "",
        "note": "",
    }
    assert (code, row) == (0, expected)
    line = f"1/1 {run_dir}: identical, val_accuracy {value:.4f}, test {correct / rows:.4f}"
    assert said.out.splitlines()[0] == line and said.err == ""


def test_of_a_sweep_the_best_run_is_graded_wherever_it_lies(runs, grade, tmp_path):
    best = tmp_path / "alice" / "homework" / "multirun" / "x"
    shutil.copytree(runs, best)
    (tmp_path / "alice" / "answers.pdf").touch()
    (tmp_path / "alice" / "__MACOSX" / "0").mkdir(parents=True)
    code, (row,), _ = grade(tmp_path / "alice", "--target", "0.99")
    assert (code, row["run"], row["note"]) == (0, "homework/multirun/x/1", "the best of 2 runs")
    assert (row["verdict"], row["target_reached"]) == ("identical", "false")


def test_a_forged_number_counts_for_nothing(runs, grade, tmp_path):
    edited, forged = (handed_in(runs, tmp_path / name) for name in ("edited", "forged"))
    value = result_of(edited)["value"]
    for folder in (edited, forged):
        replaced(folder, "result.json", f'"value": {value}', '"value": 0.999')
    reseal(forged)
    code, rows, said = grade(edited, forged, "--target", "0.99")
    verdicts = ["changed after its end", "different"]
    assert code == 1 and [row["verdict"] for row in rows] == verdicts
    for row in rows:
        assert (row["recorded"], row["repeated"]) == ("0.999", repr(value))
        assert row["target_reached"] == "false"
        assert f"result.json, value: recorded 0.999, now {value}" in row["note"]
    assert said.out.endswith("0 of 2 repeated: " + str(tmp_path / "grades.csv") + "\n")


def test_a_copy_is_named(runs, grade, tmp_path):
    copy = handed_in(runs, tmp_path / "copy")
    again = prepared(tmp_path / "again", config_of(0.1))
    run(config_of(0.1), again)  # honest: the same bits, trained by another student
    code, rows, _ = grade(runs / "1", copy, again)
    assert code == 0
    assert [row["copy_of"] for row in rows] == ["", str(runs / "1"), ""]


def test_what_was_graded_is_not_graded_again(runs, grade, tmp_path, monkeypatch):
    folders = [handed_in(runs, tmp_path / name) for name in ("a", "b", "c")]
    real, trained = grading.repeat, []

    def stopped(run, *arguments):
        trained.append(run.folder.name)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return real(run, *arguments)

    monkeypatch.setattr(grading, "repeat", stopped)
    code, rows, said = grade(*folders)
    assert code == 130 and [Path(row["hand_in"]).name for row in rows] == ["a"]
    assert "interrupted; to run it again: python -m fcsweep.grade " in said.err
    code, rows, said = grade(*folders)
    assert code == 0 and [Path(row["hand_in"]).name for row in rows] == ["a", "b", "c"]
    assert trained == ["a", "b", "b", "c"]
    assert said.out.startswith(f"1 of 3 are graded in {tmp_path / 'grades.csv'}\n")


def linked(folder, name):
    (folder / name).rename(folder.parent / f"outside-{folder.name}")
    (folder / name).symlink_to(folder.parent / f"outside-{folder.name}")


def without_value(folder):
    known = {k: v for k, v in result_of(folder).items() if k in ("status", "epochs")}
    (folder / "result.json").write_text(json.dumps(known))


def wide(folder):
    replaced(folder, CONFIG, "- 20", "- 2000000000")
    reseal(folder)


def several(folder):
    for name in ("x", "y"):
        prepared(folder / "r" / name, config_of())
    shutil.rmtree(folder / ".hydra")


def with_own_rule(folder):
    saved = yaml.safe_load((folder / CONFIG).read_text())
    saved["optimizer"] = {"name": "custom", "rule": "this:rule", "learning_rate": 0.1}
    (folder / CONFIG).write_text(yaml.safe_dump(saved, sort_keys=False))
    reseal(folder)


HOSTILE = {
    "a rule by import path": (with_own_rule, "was trained with optimizer.rule=this:rule; a rerun"),
    "link": (lambda d: linked(d, "history.csv"), "is a link, or no file"),
    "link deep within": (lambda d: (d / ".hydra" / "x").symlink_to("/"), "is a link, or no file"),
    "pipe": (lambda d: os.mkfifo(d / "x"), "is a link, or no file"),
    "huge": (lambda d: os.truncate(d / "history.csv", 10**12), "more than 50,000 files or"),
    "bomb": (lambda d: (d / CONFIG).write_text("a: &a [x]\nb: [*a, *a]\n"), "uses a YAML alias"),
    "no record": (lambda d: (d / "result.json").unlink(), "holds no run: there is no"),
    "empty": (lambda d: [shutil.rmtree(d), d.mkdir()], "holds no run: there is no"),
    "a file": (lambda d: [shutil.rmtree(d), d.touch()], "is not a folder"),
    "running": (
        lambda d: replaced(d, "result.json", "completed", "running"),
        "is running, or was killed",
    ),
    "target": (
        lambda d: replaced(d, CONFIG, "model:", "model:\n  _target_: os.abort"),
        "unknown key model._target_",
    ),
    "a net without end": (wide, "bytes of memory"),
    "two runs": (
        lambda d: several(d),
        "holds 2 runs or sweeps (r/x, r/y); name one",
    ),
    "no value": (without_value, "recorded nothing, now"),
}


def test_whatever_is_handed_in_is_a_row_with_a_reason(runs, grade, tmp_path):
    folders = {name: handed_in(runs, tmp_path / "in" / name) for name in HOSTILE}
    for name, (spoil, _) in HOSTILE.items():
        spoil(folders[name])
    (tmp_path / "in" / "a link").symlink_to(runs / "1")
    code, rows, said = grade(*folders.values(), tmp_path / "in" / "a link", runs / "1")
    assert "this" not in sys.modules  # which would print
    *found, link, honest = rows
    assert (code, said.err) == (1, "")
    for (name, (_, words)), row in zip(HOSTILE.items(), found, strict=True):
        assert words in row["note"] and "\n" not in row["note"], name
        verdict = "changed after its end" if name == "no value" else "not graded"
        assert (row["verdict"], row["target_reached"]) == (verdict, ""), name
    assert (link["verdict"], honest["verdict"]) == ("not graded", "identical")


def test_many_files_are_not_read(runs, tmp_path, grade, monkeypatch):
    monkeypatch.setattr(hand_in, "MOST_FILES", 5)
    assert "more than 5 files" in grade(runs / "1")[1][0]["note"]


def test_a_run_that_takes_too_long_is_given_up(runs, grade):
    code, (row,), _ = grade(runs / "1", "--minutes", "0")
    assert (code, row["verdict"]) == (1, "not graded")
    assert "after 0 minutes it is at epoch 1; see --minutes" in row["note"]


def test_no_cell_is_a_formula(runs, grade, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    handed_in(runs, tmp_path / "=HYPERLINK(1)")
    _, (row,), _ = grade("=HYPERLINK(1)")
    assert row["hand_in"] == "'=HYPERLINK(1)"
    assert grade("=HYPERLINK(1)")[2].out.startswith("1 of 1 are graded")


def test_another_file_is_not_written_over(runs, grade, tmp_path):
    (tmp_path / "grades.csv").write_text("name,points\n")
    code, _, said = grade(runs / "1")
    assert code == 1 and "is not a table of grades; name another file" in said.err
    assert (tmp_path / "grades.csv").read_text() == "name,points\n"


def test_the_data_are_those_of_this_machine(runs, grade, tmp_path):
    folder = handed_in(runs, tmp_path / "cifar")
    replaced(folder, CONFIG, "name: digits", "name: cifar10\n  root: /home/student/cifar")
    reseal(folder)
    _, (row,), _ = grade(folder, "--data-root", tmp_path / "mine")
    assert row["verdict"] == "not graded" and str(tmp_path / "mine") in row["note"]
    assert "/home/student" not in row["note"]
