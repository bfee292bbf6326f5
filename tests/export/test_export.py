"""``fcsweep.export``: files that score as the net does, without fcsweep."""

import importlib.util
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
from support.short_runs import config_of, prepared

from fcsweep import data
from fcsweep.config import RunConfig, SklearnConfig, SolverConfig
from fcsweep.data.choice import measured
from fcsweep.export import plain_torch
from fcsweep.export.__main__ import main
from fcsweep.predict import predict
from fcsweep.run import run

FORMULAS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "tanh": np.tanh,
    "gelu": lambda x: x * torch.special.ndtr(torch.from_numpy(x)).numpy(),
}
NORMALIZATIONS = ("batch", "layer")
ONNX = importlib.util.find_spec("onnx") is not None


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A run with each activation, and one in float64 with dropout and the other loss."""
    torch.set_num_threads(1)
    top = tmp_path_factory.mktemp("runs")
    made = {name: config_of(activation=name) for name in FORMULAS}
    made |= {name: config_of(normalization=name, activation="gelu") for name in NORMALIZATIONS}
    made["float64"] = replace(config_of(dropout=0.3, loss_function="svm"), dtype="float64")
    for name, config in made.items():
        config.data.num_train = 300
        run(config, prepared(top / name, config))
    return top


@pytest.fixture
def export(capsys, monkeypatch):
    """Runs the command; returns what was printed."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["export", *map(str, words)])
        try:
            main()
        except SystemExit as stop:
            assert stop.code == 1
        return capsys.readouterr()

    return call


def model_in(folder):
    """The module ``model.py``, as whoever gets the folder would import it."""
    assert "fcsweep" not in (folder / "model.py").read_text().partition("\n")[2]
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def normal(x, params, layer):
    """A normalized hidden layer: by running averages where there are any."""
    mean, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    if f"running_mean{layer}" in params:
        mean, var = params[f"running_mean{layer}"], params[f"running_var{layer}"]
    z = (x - mean) / np.sqrt(var + 1e-5)
    return z * params[f"gamma{layer}"] + params[f"beta{layer}"]


def scores(folder, activation, X):
    """By the formulas, in float64."""
    params = {
        name: p.double().numpy() for name, p in load_file(folder / "best.safetensors").items()
    }
    x, last = X.astype(float), sum(name.startswith("W") for name in params)
    for layer in range(1, last + 1):
        x = x @ params[f"W{layer}"] + params[f"b{layer}"]
        x = normal(x, params, layer) if f"gamma{layer}" in params else x
        x = FORMULAS[activation](x) if layer < last else x
    return x


@pytest.mark.parametrize("name", [*FORMULAS, *NORMALIZATIONS, "float64"])
def test_every_form_has_the_scores_of_the_net(runs, tmp_path, export, name):
    out, err = export(runs / name, "--out", tmp_path / "out", *["--onnx"] * ONNX)
    first, *files = out.splitlines()
    assert err == "" and first.startswith("scores of 100 validation rows: largest difference ")
    assert sorted(files) == sorted(map(str, (tmp_path / "out").iterdir()))
    dtype, exact = ("float64", 1e-12) if name == "float64" else ("float32", 1e-5)
    X = np.random.default_rng(0).normal(0, 1, (50, 64)).astype(dtype)
    activation = {"float64": "relu", "batch": "gelu", "layer": "gelu"}.get(name, name)
    expected = scores(runs / name, activation, X)
    net = model_in(tmp_path / "out").load()
    assert type(net) is torch.nn.Sequential and not net.training
    found = net(torch.from_numpy(X)).detach().numpy()
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=exact, atol=exact)
    if ONNX:
        from onnx.reference import ReferenceEvaluator

        session = ReferenceEvaluator(str(tmp_path / "out/model.onnx"))
        found, shares = session.run(None, {"x": X})
        np.testing.assert_allclose(found, expected, rtol=exact, atol=exact)
        exp = np.exp(expected - expected.max(1, keepdims=True))
        np.testing.assert_allclose(shares, exp / exp.sum(1, keepdims=True), atol=exact)


def test_the_preprocessing_of_images_makes_their_inputs(runs, tmp_path, export):
    export(runs / "relu", "--out", tmp_path / "out")
    facts = json.loads((tmp_path / "out/preprocessing.json").read_text())
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    made = digits.data / facts["white"] - facts["mean"]
    X, _ = data.load_test("digits")
    rows = {tuple(row) for row in made.astype(np.float32).round(4)}
    assert all(tuple(row) in rows for row in X.numpy().round(4))


def test_of_a_table_the_record_s_and_of_a_sweep_the_best_run(tmp_path, export):
    config = RunConfig(data=SklearnConfig("iris"), solver=SolverConfig(batch_size=20, num_epochs=2))
    for number in range(2):
        one = measured(replace(config, seed=number))
        run(one, prepared(tmp_path / "sweep" / str(number), one))
    out, _ = export(tmp_path / "sweep")
    best, _, first, *_ = out.splitlines()
    folder = Path(first).parent
    assert best.startswith(f"best: {folder.parent} ") and folder.name == "export"
    recorded = (folder.parent / "preprocessing.json").read_bytes()
    assert (folder / "preprocessing.json").read_bytes() == recorded
    facts, net = json.loads(recorded), model_in(folder).load()
    given = pd.DataFrame({one["name"]: [one["mean"]] for one in facts["columns"]})
    given.to_csv(tmp_path / "mean.csv", index=False)
    expected = predict(folder.parent, tmp_path / "mean.csv").filter(like="probability_")
    found = net(torch.zeros(1, 4)).softmax(-1).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert export(tmp_path / "sweep").err == ""  # again, over its own files


def test_a_form_with_other_scores_is_not_written(runs, tmp_path, export, monkeypatch):
    monkeypatch.setitem(plain_torch.ACTIVATIONS, "leaky_relu", ("LeakyReLU", (0.2,)))
    out, err = export(runs / "leaky_relu", "--out", tmp_path / "out")
    assert out == "" and "model.py of" in err and "has scores that differ by" in err
    assert not (tmp_path / "out").exists()


def test_a_name_in_the_folder_never_becomes_code(runs, tmp_path, export):
    odd = tmp_path / 'x"""\nprint(1)\n"""'
    shutil.copytree(runs / "relu", odd)
    export(odd, "--out", tmp_path / "out")
    assert "print" not in (tmp_path / "out/model.py").read_text()


def test_mistakes_are_one_line(runs, tmp_path, export, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").touch()
    cases = {
        ("nowhere",): "nowhere is no folder",
        (runs,): "holds no run",
        (runs / "relu", "--out", tmp_path / "mine"): "holds something else; name a new or an empty",
    }
    monkeypatch.setattr("fcsweep.export.__main__.find_spec", lambda name: None)
    cases[(runs / "relu", "--onnx")] = "--onnx needs onnx: pip install 'fcsweep[onnx]'"
    for words, said in cases.items():
        out, err = export(*words)
        assert out == "" and said in err and err.startswith("error: ") and err.count("\n") == 1
