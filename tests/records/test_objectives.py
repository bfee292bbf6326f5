"""An objective with another direction, from a run's record to the table and the page."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from omegaconf import OmegaConf

from fcsweep.analysis import findings
from fcsweep.config import RunConfig, typed
from fcsweep.evaluate import best_of
from fcsweep.messages.errors import ConfigError
from fcsweep.records import load_history, load_runs, sweep_table
from fcsweep.records.formats import HistoryRow
from fcsweep.records.reader import read_columns, read_history
from fcsweep.records.writer import RunRecord
from fcsweep.report import contents, words
from fcsweep.terminal import sweep_view

VALUES = (0.7, 0.3, 0.4)


def write(folder, number, values, objective="log_loss", target=0.35, seed=0):
    run = folder / str(number)
    (run / ".hydra").mkdir(parents=True)
    config = asdict(RunConfig(objective=objective, target=target, seed=seed))
    OmegaConf.save(OmegaConf.create(config), run / ".hydra" / "config.yaml")
    record, best = RunRecord(run, objective, target), None
    record.start()
    for epoch, value in enumerate(values, 1):
        better = best is None or value < best
        best = value if better else best
        row = HistoryRow(epoch, 2 * epoch, 1.0, 0.5, 0.25, 0.1, 0.2, 2 * value, value)
        record.add(row, np.zeros(2, np.float32), 0.5, b"parameters" if better else None)
    record.finish("completed")
    return run


def test_the_history_has_two_columns_more_where_no_other_holds_the_objective(tmp_path):
    run = write(tmp_path, 0, VALUES)
    heading, first, *_ = (run / "history.csv").read_text().splitlines()
    assert heading.endswith(",learning_rate,val_loss,train_log_loss,val_log_loss")
    assert first.endswith(",0.1,0.2,1.4,0.7")
    assert [row.val_value for row in read_history(run / "history.csv")] == [*VALUES]
    assert read_columns(run / "history.csv").names == ("train_log_loss", "val_log_loss")
    other = write(tmp_path, 1, (), objective="val_loss") / "history.csv"
    assert other.read_text() == heading.partition(",train_log_loss")[0] + "\n"


def test_the_lowest_value_is_the_best_and_reaches_the_target(tmp_path):
    write(tmp_path, 0, VALUES)
    write(tmp_path, 1, (0.5,), seed=1)
    rows = sweep_table.load(tmp_path)
    assert [row.value for row in rows] == [0.3, 0.5]
    assert [row.found.result["target_reached"] for row in rows] == [True, False]
    assert rows[0].found.result["best_epoch"] == 2
    assert sweep_table.best(rows) == rows[0]
    assert rows[0].reached["log_loss"] == 0.3
    assert "best of 2 seeds, mean 0.4" in sweep_view.below(rows)[0]
    runs = load_runs(tmp_path)
    assert findings.best(runs)["value"] == 0.3
    assert [*findings.verdicts(runs)] == [findings.HITS, findings.LEARNS]
    assert best_of(tmp_path)[0] == tmp_path / "0"


def test_the_worst_of_repeats_is_the_highest_loss():
    assert (
        replace(sweep_table.spread_of([((0, 0), 0.1), ((1, 0), 0.9)], "worst"), sign=-1).judged
        == 0.9
    )


def test_a_page_asks_for_the_lowest_loss(tmp_path):
    for number, value in enumerate((0.5, 0.3, 0.4)):
        run = write(tmp_path, number, (value,), target=None)
        config = OmegaConf.load(run / ".hydra" / "config.yaml")
        config.optimizer.learning_rate = 0.1 + number
        OmegaConf.save(OmegaConf.create(config), run / ".hydra" / "config.yaml")
        (run / "provenance.json").unlink()  # the seal of the other config
    sweep = contents.read(tmp_path)
    assert sweep.objectives == {"value": "minimize"}
    assert [top["number"] for top in sweep.tops] == [1]
    asked = words.question(sweep.points, sweep.searched)
    assert asked == "Which learning_rate gives the lowest log loss with two_layer on digits?"
    told = words.answer(sweep.points, sweep.tops[0], sweep.searched)
    assert told == "Trial 1 reaches log loss 0.3 with learning_rate 1.1."


def test_runs_that_are_judged_in_opposite_ways_have_no_best(tmp_path):
    write(tmp_path, 0, (0.5,))
    write(tmp_path, 1, (0.5,), objective="f1_macro", target=None)
    rows = sweep_table.load(tmp_path)
    assert {row.sign for row in rows} == {0}
    assert findings.best(load_runs(tmp_path)) is None
    history = load_history(tmp_path)
    assert history["val_log_loss"].tolist()[0] == 0.5 and np.isnan(history["val_f1_macro"][0])


@pytest.mark.parametrize(
    ("objective", "target", "expected"),
    [
        ("log_loss", 0, "target is 0; expected a number > 0 of log_loss or null"),
        ("f1_macro", 1.5, "target is 1.5; expected a number in (0, 1] of f1_macro or null"),
        ("log_loss", 2.5, None),
        ("f1_macro", 1, None),
    ],
)
def test_the_target_is_one_of_the_objective(objective, target, expected):
    config = asdict(RunConfig())
    config |= {"objective": objective, "target": target}
    if expected is None:
        assert typed(config).target == target
        return
    with pytest.raises(ConfigError) as error:
        typed(config)
    assert str(error.value) == expected


def test_svm_has_no_log_loss():
    config = asdict(RunConfig(objective="log_loss"))
    config["model"]["loss_function"] = "svm"
    with pytest.raises(ConfigError, match="softmax alone gives probabilities"):
        typed(config)
