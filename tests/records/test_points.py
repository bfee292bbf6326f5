"""Runs that differ in their seed alone are repeats: the table after a sweep, and evaluate."""

import csv
import io
from dataclasses import replace

import pytest
from rich.console import Console
from support.bare_sweeps import MOMENTUM, SGD, leave
from support.written_sweeps import write_repeats

from fcsweep import evaluate
from fcsweep.records import sweep_table
from fcsweep.records.sweep_table import best_point, points, spread_of
from fcsweep.terminal import sweep_view


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return write_repeats(tmp_path_factory.mktemp("repeats") / "sweep")


def seeded(config, *seeds):
    return [replace(config, seed=seed) for seed in seeds]


def test_a_point_is_the_runs_that_differ_in_their_seed_alone(sweep):
    found = points(sweep_table.load(sweep))
    assert [[row.number for row in one.rows] for one in found] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    first = found[0].value
    assert first.values == [0.7, 0.8, 0.75] and first.mean == 0.75
    assert first.deviation == pytest.approx(0.05) and str(first) == "0.7500 ± 0.0500"


def test_the_best_is_the_best_mean_of_those_whose_seeds_all_have_a_value(sweep):
    rows = sweep_table.load(sweep)
    best = best_point(points(rows))
    assert best is not None and best.first.config["optimizer.learning_rate"] == 0.1
    assert best.top is rows[1]
    lacking = best_point(points(rows[6:]))  # where all lack one, the best of them
    assert lacking is not None and lacking.value.count == "2 of 3"


def test_plain_lines(sweep, capsys):
    sweep_view.show(sweep_table.load(sweep))
    said = capsys.readouterr().out.splitlines()
    head = "learning_rate  best val         best train       seeds   status"
    assert said[0].startswith(head)
    assert "0.7500 ± 0.0500  3" in said[1] and said[1].endswith(f"{sweep}/0, 1, 2")
    assert "0.9500 ± 0.0000  2 of 3  2 completed, 1 failed" in said[3]
    assert said[-1] == f"best: {sweep}/1 (best of 3 seeds, mean 0.7500 ± 0.0500), learning_rate 0.1"


def test_a_terminal_of_80_columns(sweep):
    rows = sweep_table.load(sweep)
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    console.print(sweep_view.table(rows, 80))
    shown = out.getvalue()
    assert "0.7500 ± 0.0500" in shown and "2 of 3" in shown and "0, 1, 2" in shown


def test_the_file_stays_a_row_a_run(sweep):
    sweep_table.write(sweep)
    rows = list(csv.DictReader((sweep / "trials.csv").read_text().splitlines()))
    assert len(rows) == 9 and {row["seed"] for row in rows} == {"0", "1", "2"}


def test_seeds_alone_are_one_point(tmp_path, capsys):
    runs = [(one, {"value": 0.9 + one.seed / 100}) for one in seeded(SGD, 0, 1, 2)]
    sweep_view.show(sweep_table.load(leave(tmp_path / "s", *runs)))
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 and "seed " not in said[0]
    assert said[-1] == f"best: {tmp_path}/s/2 (best of 3 seeds, mean 0.9100 ± 0.0100)"


def test_what_is_no_repeat_stays_a_row_of_its_own(tmp_path):
    """Equal runs, as a search over few values has them; one seed each; configs that are gone."""
    equal = leave(tmp_path / "equal", (SGD, {}), (SGD, {}), (MOMENTUM, {}))
    different = leave(tmp_path / "one", (SGD, {}), (replace(MOMENTUM, seed=2), {}))
    seeds = [(one, {}) for one in seeded(SGD, 0, 1)]
    gone = leave(tmp_path / "gone", (None, {}), (None, {}), *seeds)
    counts = [
        [len(point.rows) for point in points(sweep_table.load(folder))]
        for folder in (equal, different, gone)
    ]
    assert counts == [[1, 1, 1], [1, 1], [1, 1, 2]]


def test_unequal_numbers_and_a_seed_that_was_trained_twice(tmp_path):
    configs = [*seeded(SGD, 0, 1, 1), *seeded(MOMENTUM, 0)]
    values = (0.5, 0.7, 0.7, 0.6)
    runs = [(config, {"value": value}) for config, value in zip(configs, values, strict=True)]
    sgd, momentum = points(sweep_table.load(leave(tmp_path, *runs)))
    assert (sgd.value.count, sgd.value.mean, momentum.value.count) == ("2", 0.6, "1")
    assert str(momentum.value) == "0.6000"
    assert best_point([sgd, momentum]) is sgd  # the first of equals
    line = sweep_view.below([*sgd.rows, *momentum.rows])[-1]
    assert line.endswith("optimizer sgd, learning_rate 0.01; 1 other reaches it")


def test_a_damaged_repeat_counts_as_one_without_a_value(tmp_path):
    sweep = leave(tmp_path, *((one, {}) for one in seeded(SGD, 0, 1)), (replace(SGD, seed=2), "{"))
    (point,) = points(sweep_table.load(sweep))
    assert point.value.count == "2 of 3" and point.value.mean == 0.95
    damaged = sweep_view.lines(point.rows)[1]
    assert "2 of 3  2 completed, 1 damaged" in damaged


def test_nothing_has_no_mean():
    nothing = spread_of([((0, 0), None), ((1, 0), None)])
    assert (nothing.mean, nothing.deviation, nothing.count, str(nothing)) == (
        *(None, None),
        *("0 of 2", ""),
    )
    assert best_point([]) is None


@pytest.fixture
def evaluated(monkeypatch, capsys):
    """Which run `fcsweep.evaluate` takes of a sweep, and what it says of it."""

    def run(folder):
        taken = []
        monkeypatch.setattr("sys.argv", ["evaluate", str(folder)])
        monkeypatch.setattr(evaluate, "evaluate", lambda run, *given: taken.append(run) or {})
        evaluate.main()
        return taken[0], capsys.readouterr().out

    return run


def test_evaluate_takes_the_best_run_of_the_best_point(sweep, evaluated):
    run, said = evaluated(sweep)
    assert run == sweep / "1"
    of = "best of 3 seeds, mean 0.7500 ± 0.0500"
    assert said == f"best: {sweep}/1 (train_accuracy 0.8000), {of}\n"


def test_runs_without_parameters_count_in_the_mean_all_the_same(tmp_path, evaluated):
    sweep = write_repeats(tmp_path / "sweep")
    for number in (0, 1):
        (sweep / str(number) / "best.safetensors").unlink()
    run, said = evaluated(sweep)
    assert run == sweep / "2"
    assert said.endswith("(train_accuracy 0.7500), best of 3 seeds, mean 0.7500 ± 0.0500\n")
