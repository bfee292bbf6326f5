"""``data.folds``: parts of the rows, each of which validates once; a search trains them all."""

import csv
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from support.programs import Command, said

from fcsweep.analysis.repeats import points
from fcsweep.config import RunConfig, SklearnConfig, SolverConfig, TableConfig, typed
from fcsweep.data.choice import data_of, held_out_of, measured
from fcsweep.data.tables.loading import _source
from fcsweep.data.tables.splits import by_folds, by_fractions
from fcsweep.messages.errors import ConfigError
from fcsweep.records import load_runs
from fcsweep.records.sweep_table import unit_of
from fcsweep.search.study.repeats import Repeats

LABELS = np.repeat([0, 1, 2], [61, 30, 9]).astype(np.int64)


@pytest.mark.parametrize("folds", [2, 3, 5, 9])
def test_each_row_validates_once_and_classes_are_spread(folds):
    splits = [by_folds(LABELS, folds, fold, 0.15, seed=4) for fold in range(folds)]
    test = splits[0].test
    assert test.tolist() == by_fractions(LABELS, 0.15, 0.15, 4).test.tolist()
    validated = np.concatenate([one.val for one in splits])
    assert sorted([*validated, *test]) == list(range(100))
    for one in splits:
        assert sorted([*one.train, *one.val, *one.test]) == list(range(100))
        assert one.test.tolist() == test.tolist()
    counts = [np.bincount(LABELS[one.val], minlength=3) for one in splits]
    assert max(map(sum, counts)) - min(map(sum, counts)) <= 1
    assert np.ptp(counts, axis=0).max() <= 1


def config_of(name="iris", **data):
    return RunConfig(data=SklearnConfig(name=name, **data), solver=SolverConfig(batch_size=50))


def test_scales_come_from_the_training_rows_of_the_fold():
    each = [data_of(measured(config_of(folds=3, fold=fold))) for fold in range(3)]
    for one in each:
        assert one.X_train.double().mean(0).abs().max() < 1e-6
    assert len({one.fingerprint for one in each}) == 3
    X, _ = zip(*(held_out_of(config_of(folds=3, fold=fold)) for fold in range(3)), strict=True)
    assert not torch.equal(X[0], X[1])  # the same rows, on other scales


def test_a_quantity_has_folds_too():
    config = config_of("diabetes", folds=5, fold=4)
    config.model.loss_function, config.objective = "mse", "rmse"
    sizes = measured(config).data.rows
    assert (sizes.train, sizes.val, sizes.test) == (301, 75, 66)


def test_without_folds_data_are_what_they_were():
    assert "fold" not in _source(SklearnConfig()).keys
    assert "fold" in _source(SklearnConfig(folds=2)).keys


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (dict(folds=3, fold=3), "data.fold is 3, but data.folds is 3: expected less"),
        (dict(fold=1), "data.fold is 1, but data.folds is null: give it"),
        (dict(folds=1), r"data.folds is 1; expected a whole number in \[2, 100\]"),
        (dict(folds=3, fold=-1), "data.fold is -1; expected"),
    ],
)
def test_folds_that_are_not_there_are_refused(data, expected):
    with pytest.raises(ConfigError, match=expected):
        typed(asdict(config_of(**data)))


@pytest.mark.parametrize("key", ["split_column", "val_path"])
def test_folds_of_rows_that_are_split_are_refused(key):
    table = TableConfig(path="cells.csv", target="label", folds=3, **{key: "part"})
    with pytest.raises(ConfigError, match=f"data.folds is 3, but data.{key} says which rows"):
        typed(asdict(RunConfig(data=table)))


def test_the_jobs_of_a_trial_are_its_folds_with_each_seed():
    lines = ["x=1", "seed=7"]
    folds, both = Repeats(3, folds=3), Repeats(4, seed=7, folds=2)
    assert [folds.overrides(lines, job)[2:] for job in folds.jobs(2)] == [
        ["data.fold=0"],
        ["data.fold=1"],
        ["data.fold=2"],
    ]
    assert [both.overrides(lines, job)[1:] for job in both.jobs(1)] == [
        ["seed=7", "data.fold=0"],
        ["seed=7", "data.fold=1"],
        ["seed=8", "data.fold=0"],
        ["seed=8", "data.fold=1"],
    ]


def test_what_tells_repeats_apart_has_a_name():
    assert unit_of([(0, None), (1, None)]) == unit_of([(0, 2)]) == "seed"
    assert unit_of([(0, 0), (0, 1)]) == "fold"
    assert unit_of([(0, 0), (0, 1), (1, 0)]) == "repeat"


IRIS = ["data=iris", "data.folds=3", "solver.batch_size=20", "solver.num_epochs=3"]
SEARCH = ["fcsweep", "-m", *IRIS, "optimizer=adam", "hydra/sweeper=optuna", "hydra.sweep.dir=s"]
SEARCH += ["optimizer.learning_rate=interval(1e-3,1e-1)", "hydra.sweeper.n_jobs=2"]


@pytest.mark.slow
def test_a_search_trains_each_trial_on_every_fold(tmp_path: Path):
    def run(*commands: list[str]) -> list[str]:
        ended = [
            one for line in commands for one in said([Command(line, str(tmp_path))], quick=False)
        ]
        assert [one.code for one in ended] == [0] * len(commands), ended
        return [one.out for one in ended]

    [first] = run([*SEARCH, "hydra.sweeper.n_trials=2"])
    runs = load_runs(tmp_path / "s")
    assert list(runs["data.fold"]) == [0, 1, 2] * 2
    assert "best of 3 folds, mean 0." in first and " folds " in first
    table = points(runs)
    means = [runs["value"][start : start + 3].mean() for start in (0, 3)]
    assert table["value"].tolist() == pytest.approx(means)
    assert list(table["repeated"]) == ["fold"] * 2 and "data.fold" not in table
    journal = (tmp_path / "s" / "study.journal").read_text()
    assert all(repr(float(mean))[:12] in journal for mean in means)
    assert "over the folds" in (tmp_path / "s" / "report.html").read_text()

    (tmp_path / "s" / "study.journal").unlink()
    more, again = run([*SEARCH, "hydra.sweeper.n_trials=3"], ["rerun", "s/7"])
    assert "from the records of 6 runs" in more and "identical: s/7" in again
    lines = yaml.safe_load((tmp_path / "s" / "7" / ".hydra" / "overrides.yaml").read_text())
    assert "data.fold=1" in lines
    # The two trials of a batch share a stack in each fold.
    facts = json.loads((tmp_path / "s" / "0" / "provenance.json").read_text())
    assert facts["stack_size"] == 2


@pytest.mark.slow
def test_a_search_of_folds_is_pruned(tmp_path: Path):
    """A pruned trial has been trained on other rows in the fold that was stopped."""
    words = ["hydra/sweeper/pruner=successive_halving", "hydra.sweeper.n_trials=8"]
    words += ["hydra.sweeper.n_jobs=4", "hydra.sweeper.sampler.seed=1"]
    (ended,) = said([Command([*SEARCH, *words], str(tmp_path))], quick=False)
    assert (ended.code, ended.err) == (0, "")
    runs = load_runs(tmp_path / "s")
    pruned = runs[runs["status"] == "pruned"]
    assert 0 < len(pruned) and set(pruned["data.fold"]) == {2} and len(runs) == 8 * 3


@pytest.mark.slow
def test_a_grid_of_folds_is_a_table_of_means(tmp_path: Path):
    grid = ["fcsweep", "-m", *IRIS, "data.fold=0,1,2", "optimizer.learning_rate=0.1,0.3"]
    (ended,) = said([Command([*grid, "hydra.sweep.dir=g"], str(tmp_path))])
    assert ended.code == 0 and "best of 3 folds, mean" in ended.out
    with open(tmp_path / "g" / "trials.csv", newline="") as file:
        assert [row["data.fold"] for row in csv.DictReader(file)] == ["0", "0", "1", "1", "2", "2"]


@pytest.mark.slow
def test_a_search_of_folds_is_refused(tmp_path):
    words = {
        "data.fold=1": "a search trains every trial on each fold; leave data.fold out",
        "data.folds=2,3": "data.folds is searched; give it one value",
    }
    ended = said([Command([*SEARCH, word], str(tmp_path)) for word in words])
    for one, expected in zip(ended, words.values(), strict=True):
        assert one.code == 1 and expected in one.err
    assert not (tmp_path / "s").exists()
