"""``python -m fcsweep.report A B ...``: several sweeps on one page."""

import sys

import pytest
from support import preloaded
from support.report_pages import Page
from support.toy_app import sweep as sweep_of_an_app
from support.written_sweeps import config_of, write_repeats, write_run, write_sweep

from fcsweep import report
from fcsweep.messages.errors import FolderError

RATES = (0.1, 0.2, 0.4)


def grid(folder, reached, **more):
    """Runs of some learning rates, which reach these train accuracies."""
    sweep = write_sweep(folder, {"optimizer.learning_rate": "0.1,0.2,0.4"})
    for number, (rate, value) in enumerate(zip(RATES, reached, strict=True)):
        write_run(sweep / str(number), config_of(0.1, rate, **more), (0.3, value), target=None)
    return sweep


def compared(*folders, out) -> Page:
    return Page(report.compare(folders, out).read_text())


def test_the_best_of_each_and_what_differs(tmp_path):
    plain, seeds = grid(tmp_path / "plain", (0.5, 0.85, 0.6)), write_repeats(tmp_path / "seeds")
    page = compared(plain, seeds, out=tmp_path / "both.html")
    said = page.text()
    assert "Which of 2 sweeps found the best train accuracy?" in said
    lead = "plain reaches train accuracy 0.8500, 0.1000 above the best of seeds (0.7500 ± 0.0500)."
    assert lead in said
    assert "plain train accuracy 3 1 0.8500" in said and "learning_rate 0.2" in said
    assert "seeds mean train accuracy 9 0, 1, 2 0.7500 ± 0.0500" in said
    assert "optimizer.learning_rate 0.2 0.1" in said and "± is the standard deviation" in said
    assert page.figures() == ["learning_curves", "repeats", "landscape", "history"]
    data = page.data
    assert data["compared"] and data["title"] == "plain, seeds"
    assert data["runs"]["names"][:4] == ["plain/0", "plain/1", "plain/2", "seeds/0"]
    of = {one["name"]: one["values"] for one in data["runs"]["columns"]}
    assert of["sweep"] == ["plain"] * 3 + ["seeds"] * 9
    assert data["runs"]["best"] == [1, 4] and data["points"]["best"] == [1, 3]
    assert data["runs"]["folders"][1] == "plain/1"
    assert len(data["curves"]) == 12


def test_sweeps_of_one_name_are_told_apart_by_their_paths(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    sweeps = (
        grid(tmp_path / "a" / "s", (0.5, 0.7, 0.6)),
        grid(tmp_path / "b" / "s", (0.5, 0.7, 0.6)),
    )
    page = compared(*sweeps, out=tmp_path / "both.html")
    assert page.data["title"] == "a/s, b/s"
    assert "a/s reaches train accuracy 0.7000, as b/s does." in page.text()


@pytest.mark.slow
def test_what_does_not_compare_is_said_or_refused(tmp_path):
    one, other = grid(tmp_path / "one", (0.5, 0.7, 0.6)), tmp_path / "other"
    grid(other, (0.5, 0.7, 0.6), data={"name": "synthetic"})
    said = compared(one, other, out=tmp_path / "c.html").text()
    assert "They are trained on different data sets: their values do not compare." in said
    with pytest.raises(FolderError, match="is named twice; expected different sweeps"):
        report.compare([one, other, tmp_path / "other"], tmp_path / "d.html")
    sweep_of_an_app(tmp_path / "app", lambda cfg: cfg.x, {"x": 0.0}, "x=range(0,3)")
    with pytest.raises(FolderError, match="app is a search of another app; expected only such"):
        report.compare([one, tmp_path / "app"], tmp_path / "d.html")
    assert not (tmp_path / "d.html").exists()
    sweep_of_an_app(tmp_path / "app2", lambda cfg: cfg.x + 1, {"x": 0.0}, "x=range(0,3)")
    said = compared(tmp_path / "app", tmp_path / "app2", out=tmp_path / "d.html").text()
    assert "Which of 2 sweeps found the best value?" in said and "app reaches value 0.0000" in said


def test_as_a_command(tmp_path):
    for name in "ab":
        grid(tmp_path / name, (0.5, 0.7, 0.6))
    start = [sys.executable, "-m", "fcsweep.report"]

    def call(*words):
        return preloaded.run([*start, *words], cwd=tmp_path, capture_output=True, text=True)

    assert call("a", "b").stdout == "comparison.html\n"
    assert call("a", "b", "--out", "x.html").stdout == call("a", "--out", "x.html").stdout
    assert (tmp_path / "x.html").exists() and not (tmp_path / "a" / "report.html").exists()
    refused = call("a", "b", "--png")
    assert refused.returncode == 2 and "expected a single DIR" in refused.stderr
