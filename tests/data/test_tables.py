"""Tables: what a net gets of them, and whole runs: swept, searched, evaluated, repeated."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm, rankdata
from support.short_runs import assert_same_numbers

import fcsweep
from fcsweep.config import (
    ConfigError,
    RunConfig,
    SklearnConfig,
    SolverConfig,
    TableConfig,
    read,
)
from fcsweep.data.choice import data_of, held_out_of, measured
from fcsweep.data.tables.splits import by_fractions
from fcsweep.evaluate import evaluate
from fcsweep.messages.errors import StudyError, UserError
from fcsweep.rerun.repeat import rerun
from fcsweep.run import run

N = 600


def cells():
    draw = np.random.default_rng(0)
    size, weight = draw.normal(5, 2, N), draw.exponential(100, N)
    colour = draw.choice(["red", "green", "blue"], N)
    grows = (size - 5) / 2 + 2 * (colour == "red") - weight / 100 > 0
    label = np.where(grows, "grows", "rests")
    return pd.DataFrame({"size": size, "weight": weight, "colour": colour, "label": label})


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells().to_csv("cells.csv", index=False)
    return tmp_path


def of(path="cells.csv", target="label", **keys):
    config = TableConfig(path=str(path), target=target, **keys)
    return RunConfig(data=config, solver=SolverConfig(batch_size=20))


def splits(config):
    loaded, (X_test, y_test) = data_of(config), held_out_of(config)
    return [
        (X.double().numpy(), y.numpy())
        for X, y in (
            (loaded.X_train, loaded.y_train),
            (loaded.X_val, loaded.y_val),
            (X_test, y_test),
        )
    ]


# --- What a net gets ------------------------------------------------------------------------------


def test_numbers_are_scaled_and_categories_one_hot_by_the_training_rows():
    frame = cells()
    frame["split"] = ["train"] * 400 + ["val"] * 100 + ["test"] * 100
    frame.loc[450, "colour"] = "mauve"
    frame.to_csv("split.csv", index=False)
    (train, y), (val, _), (test, y_test) = splits(of("split.csv", split_column="split"))
    known = frame[["size", "weight"]].to_numpy()
    scaled = (known - known[:400].mean(0)) / known[:400].std(0)
    colours = frame["colour"].to_numpy()[:, None] == ["blue", "green", "red", "mauve"]
    expected = np.column_stack([scaled, colours])
    np.testing.assert_allclose(np.concatenate([train, val, test]), expected, atol=1e-5)
    assert y.tolist() == (frame.label[:400] == "rests").astype(int).tolist()
    assert y_test.tolist() == (frame.label[500:] == "rests").astype(int).tolist()


def test_quantiles_are_those_of_a_normal_distribution():
    (train, _), *_ = splits(of(scale="quantile", drop=["colour", "size"]))
    ranks = (rankdata(train[:, 0]) - 1) / (len(train) - 1)
    inner = (ranks > 0.01) & (ranks < 0.99)
    np.testing.assert_allclose(train[inner, 0], norm.ppf(ranks[inner]), atol=0.01)


def test_every_format_gives_the_same_tensors(here):
    frame: Any = cells()[["size", "weight", "label"]]
    frame["label"] = (frame["label"] == "rests").astype(int)
    frame.to_csv("t.csv", index=False)
    frame.to_csv("t.tsv", index=False, sep="\t")
    X, y = frame[["size", "weight"]].to_numpy(), frame["label"].to_numpy()
    np.savez("t.npz", inputs=X, label=y)
    np.save("t.npy", X)
    np.save("label.npy", y)
    tables = [of("t.csv"), of("t.tsv"), of("t.npz"), of("t.npy", "label.npy")]
    if pytest.importorskip("pyarrow"):
        frame.to_parquet("t.parquet")
        frame.to_feather("t.feather")
        tables += [of("t.parquet"), of("t.feather")]
    first, *others = map(splits, tables)
    for other in others:
        for (X, y), (X_other, y_other) in zip(first, other, strict=True):
            np.testing.assert_allclose(X, X_other, atol=1e-6)
            assert (y == y_other).all()


def test_columns_are_dropped_and_codes_are_categories():
    frame = cells().assign(code=np.arange(N) % 4, id=np.arange(N))
    frame.to_csv("codes.csv", index=False)
    config = measured(of("codes.csv", categories=["code"], drop=["id", "colour"]))
    assert config.data.inputs == 2 + (4 + 1)
    assert data_of(config).about["data_columns"] == ["size", "weight", "code"]


def test_separate_files_are_the_splits():
    frame = cells()
    for name, rows in {"a": slice(400), "b": slice(400, 500), "c": slice(500, 600)}.items():
        frame[rows].to_csv(f"{name}.csv", index=False)
    config = of("a.csv", val_path="b.csv", test_path="c.csv", scale="none", drop=["colour"])
    _, (val, y_val), (test, _) = splits(config)
    np.testing.assert_allclose(val, frame[["size", "weight"]][400:500], rtol=1e-6)
    np.testing.assert_allclose(test, frame[["size", "weight"]][500:], rtol=1e-6)
    assert measured(config).data.rows == (400, 100, 100)
    assert measured(of("a.csv", val_path="b.csv")).data.rows == (400, 100, 0)


@pytest.mark.parametrize("seed", range(3))
def test_a_split_has_its_share_of_every_class(seed):
    labels = np.random.default_rng(1).permutation(np.repeat([0, 1, 2, 3], [600, 300, 99, 1]))
    found = by_fractions(labels, 0.2, 0.1, seed)
    assert sorted(np.concatenate(found)) == list(range(1000))
    assert [len(rows) for rows in found] == [700, 200, 100]
    for rows, fraction in zip(found[1:], (0.2, 0.1), strict=True):
        counts = np.bincount(labels[rows], minlength=4)
        assert abs(counts - fraction * np.array([600, 300, 99, 0])).max() <= 1.5
    assert 3 in labels[found.train]
    assert abs(labels[found.train[:100]].mean() - labels.mean()) < 0.3  # not class by class
    assert (found.val == by_fractions(labels, 0.2, 0.1, seed).val).all()
    assert not set(found.val) == set(by_fractions(labels, 0.2, 0.1, seed + 1).val)


def test_rows_in_use_are_the_first_of_the_split_and_share_memory():
    whole, part = data_of(of()), data_of(of(num_train=50, num_val=20))
    assert part.X_train.data_ptr() == whole.X_train.data_ptr()
    assert torch.equal(part.X_train, whole.X_train[:50]) and len(part.y_val) == 20
    assert part.fingerprint != whole.fingerprint
    assert data_of(of()).fingerprint == whole.fingerprint


def test_a_shared_tensor_that_was_changed_is_made_again():
    loaded = data_of(of())
    before = loaded.X_train.clone()
    loaded.X_train.zero_()
    assert torch.equal(data_of(of()).X_train, before)


# --- Runs -----------------------------------------------------------------------------------------

TABLE = ["data=table", "data.path=cells.csv", "data.target=label", "solver.num_epochs=3"]
TABLE += ["model=fully_connected", "model.weight_scale=0.1", "model.hidden_dims=[20]"]


def stack_sizes(folder):
    found = sorted(folder.glob("*/provenance.json"))
    return [json.loads(one.read_text())["stack_size"] for one in found]


def test_a_sweep_over_a_table_is_stacked_evaluated_and_repeated(here, capsys):
    rates = "optimizer.learning_rate=0.1,0.3"
    runs = fcsweep.sweep([*TABLE, "optimizer=sgd,momentum", rates], "grid")
    assert list(runs["status"]) == ["completed"] * 4 and runs["value"].max() > 0.8
    assert stack_sizes(here / "grid") == [2, 2, 2, 2]
    fcsweep.train([*TABLE, "optimizer=momentum", "optimizer.learning_rate=0.3"], "run")
    assert_same_numbers(here / "grid/3", here / "run")
    accuracies = evaluate(here / "run")
    assert [rows for _, rows in accuracies.values()] == [420, 90, 90]
    assert accuracies["test"][0] > 70
    saved = read(here / "grid/3/.hydra/config.yaml")
    assert saved["data"]["sizes"] == {
        "train": 420,
        "val": 90,
        "test": 90,
        "inputs": 6,
        "classes": 2,
    }
    facts = json.loads((here / "run/provenance.json").read_text())
    assert facts["data_columns"] == ["size", "weight", "colour"]
    assert facts["data_classes"] == ["grows", "rests"]
    assert rerun([here / "grid/3", here / "run"])

    text = (here / "cells.csv").read_text()
    (here / "cells.csv").write_text(text.replace("red", "green", 1))
    capsys.readouterr()
    assert not rerun([here / "run"])
    assert f"likely cause: data.path={here}/cells.csv has changed" in capsys.readouterr().out
    (here / "cells.csv").write_text("".join(text.splitlines(keepends=True)[:-9]))
    assert not rerun([here / "run"])
    told = capsys.readouterr().err
    assert "cells.csv has changed: train 420, now" in told and "put the old file back" in told


def test_a_search_on_a_table_is_stacked_and_refuses_a_changed_file(here):
    search = [*TABLE, "hydra/sweeper=optuna", "hydra.sweeper.n_jobs=3"]
    search += ["optimizer.learning_rate=tag(log,interval(1e-2,1))"]
    runs = fcsweep.sweep([*search, "hydra.sweeper.n_trials=3"], "search")
    assert list(runs["status"]) == ["completed"] * 3 and stack_sizes(here / "search") == [3] * 3
    text = (here / "cells.csv").read_text()
    (here / "cells.csv").write_text(text.replace("red", "green", 1))
    with pytest.raises(StudyError, match="the data have changed since this study began"):
        fcsweep.sweep([*search, "hydra.sweeper.n_trials=6"], "search")


def test_tables_of_scikit_learn_and_images_in_one_grid(here):
    choices = ["data=iris,wine,breast_cancer,digits", "data.num_train=60"]
    short = ["optimizer=adam", "optimizer.learning_rate=0.02", "solver.batch_size=20"]
    runs = fcsweep.sweep([*choices, *short], "grid")
    assert list(runs["data.name"]) == ["iris", "wine", "breast_cancer", "digits"]
    assert (here / "grid/trials.csv").read_text().startswith("number,status,value,data.name,")
    assert "sizes" not in (here / "grid/trials.csv").read_text()
    assert (runs["value"] > [0.9, 0.9, 0.9, 0.6]).all()
    assert data_of(RunConfig(data=SklearnConfig(name="wine"))).about["data_columns"][0] == "alcohol"


def test_a_config_of_the_library_is_measured_when_it_runs(here):
    config = of()
    config.solver = SolverConfig(num_epochs=2, checkpoint_seconds=1e-9)
    (here / "checkpoint-0.safetensors").write_bytes(b"")  # its size is compared with the config's
    assert run(config, here).status == "completed"


def test_a_mistake_makes_no_folder(here):
    with pytest.raises(UserError, match="has no column lable; did you mean label"):
        fcsweep.sweep(
            ["data=table", "data.path=cells.csv", "data.target=lable", "seed=0,1"], "grid"
        )
    with pytest.raises(ConfigError, match="batch_size is 500; expected at most 420"):
        fcsweep.train([*TABLE, "solver.batch_size=500"], "run")
    with pytest.raises(ConfigError, match=r"data.target is missing; expected the name of a column"):
        fcsweep.train(["data=table", "data.path=cells.csv"], "run")
    with pytest.raises(ConfigError, match="expected a sum < 1"):
        fcsweep.train([*TABLE, "data.val_fraction=0.5", "data.test_fraction=0.5"], "run")
    with pytest.raises(ConfigError, match="data.val_path or data.test_path names another file"):
        fcsweep.train([*TABLE, "data.split_column=size", "data.val_path=cells.csv"], "run")
    assert [path.name for path in here.iterdir()] == ["cells.csv"]


ON_DIGITS = """
import sys
import fcsweep.run.stack
from fcsweep.config import RunConfig
from fcsweep.data.choice import data_of, measured
data_of(measured(RunConfig()))
assert "pandas" not in sys.modules
"""


def test_only_a_table_imports_pandas():
    subprocess.run([sys.executable, "-c", ON_DIGITS], check=True)
