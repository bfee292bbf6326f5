"""Data from a function of one's own: as tensors, as a run, and what is refused."""

import json
import re
import sys

import numpy as np
import pytest
import torch
from support.short_runs import assert_same_numbers

import fcsweep
from fcsweep.config import CustomDataConfig
from fcsweep.courses import imported
from fcsweep.data import custom
from fcsweep.evaluate import evaluate
from fcsweep.messages.errors import ConfigError, DataError, FolderError
from fcsweep.rerun.repeat import rerun

CELLS = """
import numpy as np

calls = []


def load(rows=60, seed=0):
    calls.append(rows)
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(rows + 40, 3, 2)).astype("float32")
    y = (X[:, 0, 0] > 0).astype("int8") + (X[:, 1, 1] > 1)
    parts = {"train": slice(0, rows), "val": slice(rows, rows + 20), "test": slice(rows + 20, None)}
    made = {f"X_{name}": X[part] for name, part in parts.items()}
    return {**made, **{f"y_{name}": y[part] for name, part in parts.items()}}


def quantity(seed=0):
    made = load(seed=seed)
    ys = {f"y_{s}": 10 + 5 * made[f"X_{s}"].sum((1, 2)) for s in ("train", "val", "test")}
    return {**made, **ys}
"""
SHORT = ["data=custom", "solver.num_epochs=3", "solver.batch_size=20", "seed=1"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_cells.py").write_text(CELLS)
    forget()
    yield tmp_path
    forget()


def forget():
    sys.modules.pop("my_cells", None)
    imported.forget()
    custom._load.cache_clear()


def config(name="load", **keys):
    return CustomDataConfig(load=f"my_cells:{name}", **keys)


def test_arrays_become_the_rows_of_a_run():
    data = custom.load(config(kwargs={"rows": 50}, num_val=7), torch.float64)
    assert data.X_train.shape == (50, 6) and data.X_train.dtype == torch.float64
    assert (len(data.X_val), data.num_classes, data.y_train.dtype) == (7, 3, torch.int64)
    X, y = custom.load_test(config(kwargs={"rows": 50}), torch.float64)
    assert (X.shape, len(y)) == ((20, 6), 20)
    import my_cells  # pyright: ignore[reportMissingImports]

    assert my_cells.calls == [50]  # once
    assert torch.equal(data.X_train[3], torch.from_numpy(my_cells.load(50)["X_train"][3]).flatten())


def test_the_fingerprint_is_of_the_arrays_and_the_rows_in_use():
    def fingerprint(dtype=torch.float32, **keys):
        return custom.load(config(**keys), dtype).fingerprint

    same = fingerprint()
    assert fingerprint(torch.float64) == same
    assert len({same, fingerprint(kwargs={"seed": 1}), fingerprint(num_train=9)}) == 3


def test_floats_are_a_quantity():
    data = custom.load(config("quantity"), torch.float32)
    assert data.num_classes == 1 and data.y_train.dtype == torch.float32
    assert abs(data.y_train.mean()) < 1e-5 and abs(data.y_train.std(correction=0) - 1) < 1e-5
    told = data.y_train[0] * data.target_scale + data.target_mean
    expected = 10 + 5 * data.X_train[0].sum()
    assert told.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_run_is_trained_tested_and_repeated_with_trust(here, capsys):
    fcsweep.train([*SHORT, "data.load=my_cells:load", "data.kwargs.rows=50"], "run")
    facts = json.loads((here / "run/provenance.json").read_text())
    assert facts["data_load_file"] == "my_cells.py" and len(facts["data_load_sha256"]) == 64
    counted = evaluate(here / "run", trust=True)
    assert counted is not None and {s: n for s, (_, n) in counted.items()} == {
        "train": 50,
        "validation": 20,
        "test": 20,
    }
    forget()
    with pytest.raises(FolderError, match="run was trained with data.load=my_cells:load; this"):
        evaluate(here / "run")
    capsys.readouterr()
    assert not rerun([here / "run"])
    assert "add --trust" in capsys.readouterr().err and "my_cells" not in sys.modules
    assert rerun([here / "run"], trust=True)
    (here / "my_cells.py").write_text(CELLS.replace("X[:, 0, 0] > 0", "X[:, 0, 0] > 0.1"))
    forget()
    assert not rerun([here / "run"], trust=True)
    assert "likely cause: the data (" in capsys.readouterr().out


@pytest.mark.slow
def test_a_grid_over_keywords_of_the_data(here):
    words = [*SHORT, "data.load=my_cells:load", "data.kwargs.rows=40,50", "model.reg=0,0.1"]
    fcsweep.sweep(words, "grid")
    stacks = [json.loads((here / f"grid/{n}/provenance.json").read_text()) for n in range(4)]
    assert [one["stack_size"] for one in stacks] == [2] * 4
    fcsweep.train([*SHORT, "data.load=my_cells:load", "data.kwargs.rows=50"], "run")
    assert_same_numbers(here / "run", here / "grid/2")


GOOD = {
    "X_train": np.eye(4, dtype="float32"),
    "y_train": np.array([0, 1, 0, 1]),
    "X_val": np.ones((2, 4), "float32"),
    "y_val": np.array([0, 1]),
}
NAN = np.array([[0, 1, 2, np.nan], [0, 0, 0, 0]], "float32")


@pytest.mark.parametrize(
    "wrong, told",
    [
        ({"X_val": None}, "returns dict without X_val; expected X_train, y_train, X_val, y_val"),
        ({"X_train": np.zeros(4)}, "X_train has shape (4,); expected (n, ...) with n >= 1"),
        ({"X_val": np.zeros((0, 4)), "y_val": np.zeros(0, int)}, "X_val has shape (0, 4); expec"),
        ({"X_val": NAN}, "X_val has a number that is not finite, row 1"),
        ({"X_val": np.ones((2, 5))}, "inputs of {'train': 4, 'val': 5}; expected one number"),
        ({"X_val": np.array([["a"] * 4] * 2)}, "X_val is "),
        ({"y_val": np.array([0])}, "2 rows and 1 targets of val; expected a target for each"),
        ({"y_val": np.array([0, 2])}, "y_val has a class that no training row has"),
        ({"y_train": np.array([0, 2, 0, 2])}, "classes of the training rows are 0, 2; expected"),
        ({"y_train": np.zeros(4, int)}, "the classes of the training rows are 0; expected 0, 1"),
        ({"y_train": np.zeros(4), "y_val": np.zeros(2)}, "all targets of the training rows are 0"),
        ({"y_train": np.zeros((4, 2))}, "y_train has shape (4, 2); expected (n,)"),
    ],
)
def test_what_cannot_be_trained_on_is_one_line(monkeypatch, wrong, told):
    import my_cells  # pyright: ignore[reportMissingImports]

    monkeypatch.setattr(my_cells, "load", lambda: {**GOOD, **wrong})
    with pytest.raises(DataError, match=re.escape(told)) as caught:
        custom.load(config(), torch.float32)
    assert str(caught.value).startswith("data.load=my_cells:load") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words, told",
    [
        ([], "data.load is missing; expected module:name"),
        (["data.load=nowhere:f"], "data.load is nowhere:f, ModuleNotFoundError"),
        (["data.load=my_cells:load", "data.kwargs.row=3"], "unexpected keyword argument 'row'"),
        (
            ["data.load=my_cells:load", "data.num_train=61"],
            "data.num_train is 61; expected",
        ),
    ],
)
def test_a_mistake_is_refused_before_anything_is_made(here, words, told):
    with pytest.raises((ConfigError, DataError), match=re.escape(told)):
        fcsweep.train([*SHORT, *words], "never")
    assert not (here / "never").exists()
