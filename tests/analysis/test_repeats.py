"""Points in pandas: runs that differ in their seed alone, with means and deviations."""

import numpy as np
import pandas as pd
import pytest
from support.written_sweeps import config_of, write_repeats, write_run, write_sweep

from fcsweep import analysis
from fcsweep.analysis import findings
from fcsweep.analysis.repeats import points
from fcsweep.records import load_history, load_runs, sweep_table


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return write_repeats(tmp_path_factory.mktemp("repeats") / "sweep")


def test_a_row_a_point(sweep):
    table = points(load_runs(sweep))
    assert list(table["runs"]) == ["0, 1, 2", "3, 4, 5", "6, 7, 8"]
    assert list(table["value"]) == pytest.approx([0.75, 0.6, 0.95])
    deviations = [np.std(values, ddof=1) for values in ((0.7, 0.8, 0.75), (0.5, 0.9, 0.4), (1, 1))]
    assert list(table["value_std"]) == pytest.approx(deviations)
    assert list(table["seeds"]) == [3, 3, 3] and list(table["valued"]) == [3, 3, 2]
    assert list(table["status"]) == ["completed", "completed", "2 completed, 1 failed"]
    assert list(table["best_run"]) == [f"{sweep}/{number}" for number in (1, 4, 6)]
    assert list(table["number"]) == [0, 3, 6] and "seed" not in table


def test_the_table_after_a_sweep_has_the_same_points_to_the_bit(sweep):
    of_rows = [point.value for point in sweep_table.points(sweep_table.load(sweep))]
    of_runs = points(load_runs(sweep))
    assert [one.mean for one in of_rows] == list(of_runs["value"])
    assert [one.deviation for one in of_rows] == list(of_runs["value_std"])


def test_the_best_point_is_that_of_the_table(sweep):
    best = findings.best(points(load_runs(sweep)))
    assert best is not None and best["optimizer.learning_rate"] == 0.1
    lacking = load_runs(sweep).iloc[6:]
    best = findings.best(points(lacking))
    assert best is not None and best["runs"] == "6, 7, 8"


def test_without_repeats_a_point_is_a_run(tmp_path):
    sweep = write_sweep(tmp_path / "sweep", {})
    for number, rate in enumerate((0.1, 0.2)):
        write_run(sweep / str(number), config_of(0.1, rate), (0.5,) * (number + 1))
    table = points(load_runs(sweep))
    assert list(table["runs"]) == ["0", "1"] and list(table["seeds"]) == [1, 1]
    assert list(table["value"]) == [0.5, 0.5] and table["value_std"].isna().all()
    assert points(load_runs(tmp_path / "sweep" / "0"))["runs"].tolist() == ["0"]


def test_no_runs_no_points(tmp_path):
    assert len(points(load_runs(tmp_path))) == 0


def test_many_points_are_told_apart_by_their_means(sweep):
    runs = load_runs(sweep)
    searched = findings.axes(sweep, runs)
    every = findings.groups(runs, searched)
    assert list(every) == ["learning_rate 0.1", "learning_rate 0.2", "learning_rate 0.3"]
    best = findings.groups(runs, searched, most=2)
    assert best == {"trials 0, 1, 2": [f"{sweep}/{number}" for number in range(3)]}


def test_repeats_are_thin_lines_and_their_mean(sweep):
    runs, history = load_runs(sweep), load_history(sweep)
    groups = findings.groups(runs, findings.axes(sweep, runs))
    (panel,) = analysis.learning_curves(history, groups, ["train_accuracy"]).axes
    assert len(panel.lines) == 3 + 1 + 3 + 1 + 2 + 1  # the failed run has no epoch
    mean = panel.lines[3]
    assert mean.get_label() == "learning_rate 0.1"
    assert np.asarray(mean.get_ydata()) == pytest.approx([0.3, 0.75])
    widths = [line.get_linewidth() for line in panel.lines[:4]]
    assert widths[:3] == [0.6] * 3 and widths[3] > 1


def test_the_mean_of_curves_is_drawn_where_all_have_a_value():
    rows = [("a", 1, 0.1), ("a", 2, 0.2), ("a", 3, 0.3), ("b", 1, 0.1), ("b", 2, 0.2)]
    history = pd.DataFrame(rows, columns=["folder", "epoch", "loss"])
    (panel,) = analysis.learning_curves(history, {"both": ["a", "b"]}, ["loss"]).axes
    assert np.asarray(panel.lines[-1].get_xdata()).tolist() == [1, 2]
