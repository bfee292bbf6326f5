"""``fcsweep.predict``: rows of a file get what they would have got in training and evaluation."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from support.short_runs import config_of, prepared, reseal

from fcsweep.config import FullyConnectedConfig, RunConfig, SolverConfig, TableConfig
from fcsweep.data.choice import data_of, measured
from fcsweep.data.tables.preprocessing import facts_of, inputs
from fcsweep.ensemble.__main__ import ensemble
from fcsweep.export.writing import export
from fcsweep.predict import main, predict
from fcsweep.records.reader import read_json, read_run
from fcsweep.rerun.repeat import rerun
from fcsweep.run import run
from fcsweep.trained.runs import read_trained

N = 200
INPUTS = ["size", "weight", "colour", "code", "plate"]


def cells() -> Any:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": np.arange(N) + 1000,
            "size": draw.normal(5, 2, N),
            "weight": draw.exponential(100, N),
            "colour": draw.choice(["red", "green", "blue, dark"], N),
            "code": draw.integers(0, 4, N).astype(float),
            "plate": draw.choice(["007", "7", "x", "y"], N),
        }
    )
    frame.loc[::9, "weight"] = frame.loc[::10, "code"] = np.nan
    return frame.assign(label=np.where(frame["size"] > 5, "grows", "rests"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Two runs on a table with everything in it, as a sweep; and the table."""
    torch.set_num_threads(1)
    top = tmp_path_factory.mktemp("table")
    cells().to_csv(top / "cells.csv", index=False)
    keys = {"drop": ["id"], "categories": ["code"], "missing": "median", "scale": "quantile"}
    table = TableConfig(path=str(top / "cells.csv"), target="label", **keys)
    net = FullyConnectedConfig(hidden_dims=[8], weight_scale=0.3)
    config = RunConfig(net, data=table, solver=SolverConfig(num_epochs=2, batch_size=20))
    for number, dtype in enumerate(("float32", "float64")):
        one = measured(replace(config, dtype=dtype))
        run(one, prepared(top / "sweep" / str(number), one))
    return top


@pytest.fixture
def here(trained, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, tmp_path / "copy")
    return tmp_path


def said(capsys, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["predict", *map(str, words)])
    try:
        main()
    except SystemExit as stop:
        assert stop.code == 1
    return capsys.readouterr()


def probabilities(folder, X):
    params = load_file(folder / "best.safetensors")
    hidden = (X @ params["W1"] + params["b1"]).relu()
    return (hidden @ params["W2"] + params["b2"]).double().softmax(-1).numpy()


@pytest.mark.parametrize("scale", ["standard", "quantile", "none"])
def test_further_rows_get_the_bits_of_training(trained, scale):
    config = RunConfig(
        data=TableConfig(
            path=str(trained / "cells.csv"),
            target="label",
            drop=["id"],
            categories=["code"],
            missing="mean",
            scale=scale,
            val_fraction=0.3,
        )
    )
    loaded = data_of(config)
    facts = json.loads(json.dumps(loaded.preprocessing))
    made = inputs(pd.read_csv(trained / "cells.csv", dtype={"plate": str}), facts, np.float32)
    rows = {row.tobytes() for row in made}
    for X in (loaded.X_train, loaded.X_val):
        assert all(row.numpy().tobytes() in rows for row in X)
    assert made.shape == (N, loaded.X_train.shape[1])


def test_every_row_gets_its_class_and_probabilities(here, capsys, monkeypatch):
    out, err = said(capsys, monkeypatch, "copy/sweep/1", "copy/cells.csv", "out.csv")
    assert (out, err) == (f"{N} rows: out.csv\n", "")
    table, given = pd.read_csv("out.csv"), cells()
    assert [*table] == ["id", "label", "predicted", "probability_grows", "probability_rests"]
    assert (table[["id", "label"]] == given[["id", "label"]]).all(axis=None)
    config = measured(RunConfig(data=TableConfig(**read_config(here)), dtype="float64"))
    loaded = data_of(config)
    expected = probabilities(here / "copy/sweep/1", torch.cat([loaded.X_train, loaded.X_val]))
    found = table[["probability_grows", "probability_rests"]].to_numpy()
    for row in expected:
        assert np.isclose(found, row, atol=1e-12).all(axis=1).any()
    best = found.argmax(axis=1)
    assert list(table["predicted"]) == [["grows", "rests"][place] for place in best]
    out, _ = said(capsys, monkeypatch, "copy/sweep/1", "copy/cells.csv")
    assert out == Path("out.csv").read_text()


def test_a_quantity_is_predicted_in_its_unit_and_exported(tmp_path):
    frame = cells().assign(price=lambda c: 1000 + 300 * c["size"])[["id", "size", "price"]]
    frame.to_csv(tmp_path / "prices.csv", index=False)
    data = TableConfig(path=str(tmp_path / "prices.csv"), target="price", drop=["id"])
    net = FullyConnectedConfig(hidden_dims=[8], weight_scale=0.3, loss_function="mse")
    solver = SolverConfig(num_epochs=30, batch_size=20)
    config = measured(RunConfig(net, data=data, solver=solver, objective="rmse"))
    config.optimizer.learning_rate = 0.05
    folder = prepared(tmp_path / "run", config)
    run(config, folder)
    table = predict(folder, tmp_path / "prices.csv")
    assert [*table] == ["id", "price", "predicted"]
    off = (table["predicted"] - frame["price"]).to_numpy()
    loaded = data_of(config)
    rows = [
        np.abs((frame["price"] - loaded.target_mean) / loaded.target_scale - y).argmin()
        for y in loaded.y_val.numpy()
    ]
    assert np.sqrt((off[rows] ** 2).mean()) == pytest.approx(
        read_json(folder / "result.json")["value"]
    )
    files = export(read_trained(folder), tmp_path / "out").files
    assert "softmax" not in files[0].read_text() and "target_scale" in files[0].read_text()
    facts = read_json(tmp_path / "out" / "preprocessing.json")
    assert facts["target_scale"] == loaded.target_scale and "classes" not in facts


def read_config(here):
    facts = read_run(here / "copy/sweep/1").config
    keys = ("target", "drop", "categories", "missing", "scale")
    return {"path": str(here / "copy/cells.csv")} | {key: facts[f"data.{key}"] for key in keys}


def test_codes_and_plates_are_what_they_were_however_they_are_written(here):
    frame = cells()[INPUTS][:40]
    frame.to_csv("with.csv", index=False)
    whole = frame[frame["code"].notna()]
    whole.astype({"code": int}).to_csv("whole.csv", index=False)
    whole[whole["plate"] < "a"].to_csv("digits.csv", index=False)
    first = predict(Path("copy/sweep/0"), Path("with.csv"))
    for name, rows in {"whole": whole, "digits": whole[whole["plate"] < "a"]}.items():
        again = predict(Path("copy/sweep/0"), Path(f"{name}.csv"))
        np.testing.assert_array_equal(again, first.iloc[rows.index])
    unseen = frame.assign(colour="mauve", code=9, plate="8", size=np.nan)
    unseen.to_csv("unseen.csv", index=False)
    assert len(predict(Path("copy/sweep/0"), Path("unseen.csv"))) == 40


def test_a_sweep_predicts_by_its_best_run_and_an_ensemble_by_its_mean(here, capsys, monkeypatch):
    values = [read_run(here / f"copy/sweep/{n}").result["value"] for n in range(2)]
    best = predict(Path("copy/sweep"), Path("copy/cells.csv"))
    alone = [predict(Path(f"copy/sweep/{n}"), Path("copy/cells.csv")) for n in range(2)]
    pd.testing.assert_frame_equal(best, alone[values.index(max(values))])
    made = ensemble(here / "copy/sweep")
    together = predict(Path("copy/sweep/ensemble.json"), Path("copy/cells.csv"))
    columns = ["probability_grows", "probability_rests"]
    mean = sum(one.weight * alone[one.trial][columns] for one in made.members)
    np.testing.assert_allclose(together[columns], mean, atol=1e-12)


def test_other_formats(here):
    draw = np.random.default_rng(0)
    X, y = draw.normal(0, 1, (60, 3)), np.arange(60) % 2
    np.save("X.npy", X)
    np.save("y.npy", y)
    np.savez("new.npz", inputs=X, label=y)
    config = RunConfig(
        data=TableConfig(path=str(here / "X.npy"), target="y.npy"),
        solver=SolverConfig(num_epochs=1, batch_size=20),
    )
    config = measured(config)
    run(config, prepared(Path("npy"), config))
    first = predict(Path("npy"), Path("X.npy"))
    assert [*first] == ["predicted", "probability_0", "probability_1"] and len(first) == 60
    pd.testing.assert_frame_equal(predict(Path("npy"), Path("new.npz")), first)


# --- The record -----------------------------------------------------------------------------------


def test_the_record_is_sealed_and_a_run_on_images_has_none(here, tmp_path):
    sealed = read_json(here / "copy/sweep/0/provenance.json")["files"]
    assert "preprocessing.json" in sealed
    images = config_of()
    run(images, prepared(tmp_path / "images", images))
    assert "preprocessing.json" not in read_json(tmp_path / "images/provenance.json")["files"]
    assert not (tmp_path / "images/preprocessing.json").exists()
    file = here / "copy/sweep/0/preprocessing.json"
    file.write_text(file.read_text().replace("grows", "grews"))
    assert "preprocessing.json changed since it ended" in read_run(file.parent).damage
    assert not rerun([file.parent]) and rerun([here / "copy/sweep/1"])


def older(folder):
    """A run as it was recorded before there was ``preprocessing.json``."""
    (folder / "preprocessing.json").unlink()
    facts = read_json(folder / "provenance.json")
    files = {name: one for name, one in facts["files"].items() if name != "preprocessing.json"}
    reseal(folder, files=files)


def test_an_older_record_takes_it_from_the_table_while_that_is_as_it_was(here, trained):
    before = predict(Path("copy/sweep/0"), Path("copy/cells.csv"))
    older(here / "copy/sweep/0")
    assert read_run(here / "copy/sweep/0").damage is None
    pd.testing.assert_frame_equal(predict(Path("copy/sweep/0"), Path("copy/cells.csv")), before)


def test_what_is_too_large_for_a_record_is_left_out(trained, monkeypatch):
    monkeypatch.setattr("fcsweep.data.tables.preprocessing.LARGEST", 100)
    assert facts_of([], {"classes": ["a" * 100, "b"]}, "refuse", ".") is None


# --- Mistakes -------------------------------------------------------------------------------------


def without(*names):
    return lambda frame: frame.drop(columns=[*names])


CASES = {
    "absent": (without("size", "code"), "has no column size, code; expected the columns of the"),
    "near": (lambda f: f.rename(columns={"size": "sizes"}), "did you mean sizes?"),
    "text": (lambda f: f.assign(size=["1.5", "big", *["2"] * 198]), "has 'big' in row 2; expected"),
    "infinite": (lambda f: f.assign(size=np.inf), "column size has inf in row 1"),
    "clash": (lambda f: f.assign(predicted=1), "has a column predicted, as the output does"),
    "empty": (lambda f: f[:0], "has no rows"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_table_that_does_not_fit_is_one_line(here, capsys, monkeypatch, case):
    change, words = CASES[case]
    change(cells()).to_csv("new.csv", index=False)
    out, err = said(capsys, monkeypatch, "copy/sweep/0", "new.csv", "out.csv")
    assert out == "" and err.startswith("error: new.csv") and words in err
    assert err.count("\n") == 1 and not Path("out.csv").exists()


def test_a_missing_value_is_refused_where_training_refused_it(here, capsys, monkeypatch):
    keys = {"path": str(here / "copy/cells.csv"), "target": "label"}
    keys |= {"drop": ["code", "weight", "plate"]}
    config = RunConfig(data=TableConfig(**keys), solver=SolverConfig(num_epochs=1, batch_size=20))
    run(measured(config), prepared(Path("strict"), measured(config)))
    cells().assign(colour=None).to_csv("new.csv", index=False)
    assert "new.csv: column colour has no value in row 1; fill it" in (
        said(capsys, monkeypatch, "strict", "new.csv").err
    )


def gone(here):
    older(here / "copy/sweep/0")
    config = here / "copy/sweep/0/.hydra/config.yaml"
    path = read_run(here / "copy/sweep/0").config["data.path"]
    config.write_text(config.read_text().replace(path, str(here / "gone.csv")))
    reseal(here / "copy/sweep/0")


def of_images(here):
    shutil.rmtree(here / "copy/sweep/0")
    config = config_of()
    run(config, prepared(here / "copy/sweep/0", config))


RUNS = {
    "gone": (gone, "has no preprocessing.json"),
    "images": (of_images, "was trained on the images of digits; fcsweep.predict takes runs on"),
    "damaged": (
        lambda here: (here / "copy/sweep/0/preprocessing.json").write_text("{}"),
        "holds a damaged run",
    ),
    "none": (lambda here: shutil.rmtree(here / "copy/sweep/0"), "copy/sweep/0 is not there"),
}


@pytest.mark.parametrize("case", RUNS)
def test_a_run_that_cannot_predict_is_one_line(here, capsys, monkeypatch, case):
    spoil, words = RUNS[case]
    spoil(here)
    out, err = said(capsys, monkeypatch, "copy/sweep/0", "copy/cells.csv")
    assert out == "" and words in err and err.startswith("error: ") and err.count("\n") == 1


def forged(here):
    file = here / "copy/sweep/0/preprocessing.json"
    file.write_text(json.dumps(read_json(file) | {"columns": [{"name": "size"}]}))
    reseal(here / "copy/sweep/0")


def test_a_forged_record_is_one_line(here, capsys, monkeypatch):
    forged(here)
    out, err = said(capsys, monkeypatch, "copy/sweep/0", "copy/cells.csv")
    assert out == "" and "has other preprocessing than its net" in err


@pytest.mark.parametrize(
    "output, words",
    [
        ("out.parquet", "out.parquet is not the name of a CSV"),
        ("copy/cells.csv", "is the input itself"),
    ],
)
def test_where_the_output_may_go(here, capsys, monkeypatch, output, words):
    before = Path("copy/cells.csv").read_bytes()
    assert words in said(capsys, monkeypatch, "copy/sweep/0", "copy/cells.csv", output).err
    assert Path("copy/cells.csv").read_bytes() == before
