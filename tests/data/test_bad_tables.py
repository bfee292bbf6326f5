"""Bad tables: each is refused in one line that names the file and the place, or read right."""

import io
import os
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from fcsweep.config import RunConfig, TableConfig
from fcsweep.data.choice import data_of
from fcsweep.data.tables import files
from fcsweep.messages.errors import DataError

ROWS = [
    f"{row / 7:.3f},{row % 5},{'red' if row % 3 else 'blue'},{'yes' if row % 2 else 'no'}"
    for row in range(40)
]
GOOD = "\n".join(["size,count,colour,label", *ROWS]) + "\n"
"""40 rows: two numbers, a category with two values, two classes."""


def changed(row, line, text=GOOD):
    lines = text.splitlines()
    lines[row] = line
    return "\n".join(lines) + "\n"


def loaded(folder, content, name="cells.csv", **keys):
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    config = TableConfig(path=str(file), **{"target": "label", **keys})
    return data_of(RunConfig(data=config))


def npy(array, **options):
    opened = io.BytesIO()
    np.save(opened, array, **options)
    return opened.getvalue()


def npz(**arrays):
    opened = io.BytesIO()
    np.savez(opened, **arrays)
    return opened.getvalue()


def claiming(shape):
    """An array whose header claims another shape."""
    opened = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(opened, header)
    return opened.getvalue() + bytes(800)


def zipped(**members):
    opened = io.BytesIO()
    with zipfile.ZipFile(opened, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return opened.getvalue()


HUGE = claiming((10**5, 12_500))
OBJECTS = np.array([{"a": 1}] * 40, object)
X, Y = np.arange(80.0).reshape(40, 2), np.arange(40) % 2
LATE = "x,label\n" + "\n".join(f"{n},{n % 2}" for n in range(90_010)).replace("\n89999,", "\noops,")
MANY = "code,label\n" + "\n".join(f"c{n},{n % 2}" for n in range(20_000))

REFUSED = {
    "a row with too many fields": (changed(5, "1,2,red,yes,7"), {}, "line 6, saw 5"),
    "every row with one field more": (GOOD.replace(",label", ""), {}, "Length of header"),
    "a row with too few fields": (
        changed(5, "1,2"),
        {},
        "label, the target, has no value",
    ),
    "a missing number": (changed(5, "1,,red,yes"), {}, "column count has no value in row 5"),
    "a missing class": (changed(5, "1,2,red,NA"), {}, "no value in row 5"),
    "a missing category": (changed(5, "1,2,,yes"), {}, "column colour has no value in row 5"),
    "NaN": (changed(9, "nan,2,red,yes"), {}, "column size has no value in row 9"),
    "an infinite number": (changed(9, "inf,2,red,yes"), {}, "column size has inf in row 9"),
    "a string in row 90,000": (LATE, {}, "column x has 'oops' in row 90000, and numbers elsewhere"),
    "decimal commas": (
        "a;label\n" + "\n".join(f"{n},5;{n % 2}" for n in range(40)),
        {},
        r"column a has decimal commas \(0,5\); set data.decimal=','",
    ),
    "a column twice": (GOOD.replace("count", "size"), {}, "2 columns with the name size"),
    "a column without a name": (GOOD.replace("size", "", 1), {}, "column 1 has no name"),
    "no such target": (GOOD, {"target": "lable"}, "no column lable; did you mean label"),
    "no such column to drop": (GOOD, {"drop": ["id"]}, "no column id.* size, count"),
    "one class": (GOOD.replace("yes", "no"), {}, "label has 1 classes; expected 2"),
    "too many classes": (MANY, {"target": "code"}, "code has 20,000 classes"),
    "text as a quantity": (GOOD, {"task": "regression"}, "is no quantity; expected numbers"),
    "dates": (
        "day,label\n" + "\n".join(f"2024-01-{n % 28 + 1:02},{n % 2}" for n in range(40)),
        {},
        r"column day has dates \(2024-01-01\); make numbers of them, or data.drop=\[day\]",
    ),
    "10,000 categories": (MANY, {}, r"categories; expected at most 1,000: .*drop=\[code\]"),
    "nothing but the target": ("label\nyes\nno\n" * 20, {}, "no column but the target"),
    "an empty file": ("", {}, "no names of columns"),
    "a header only": ("a,label\n", {}, "has no rows"),
    "two rows": ("a,label\n1,x\n2,y\n", {}, "has no validation rows"),
    "UTF-16": (GOOD.encode("utf-16"), {}, "cannot be read .*UnicodeDecodeError"),
    "Latin-1": (GOOD.replace("red", "grün").encode("latin-1"), {}, "UnicodeDecodeError"),
    "zero bytes": (b"\0" * 1000, {}, "first line"),
    "an open quote": (changed(3, '"1,2,red,yes'), {}, "cannot be read .*EOF inside string"),
    "too large for float32": (
        changed(2, "1e300,2,red,yes"),
        {"scale": "none"},
        r"column size has 1e\+300 in row 2, too large",
    ),
    "an unknown split": (
        GOOD,
        {"split_column": "colour"},
        "colour has 'blue' in row 1",
    ),
}
OTHER_FILES = {
    "a spreadsheet": ("cells.xlsx", b"PK", "expected a name that ends in .csv"),
    "no Parquet": ("cells.parquet", b"PAR1" + bytes(99), "cannot be read"),
    "no Feather": ("cells.feather", b"ARROW1" + bytes(99), "cannot be read"),
    "10 GB claimed in NPY": ("cells.npy", HUGE, "claims an array of 10,000,0"),
    "an endless shape in NPY": ("cells.npy", claiming((2**62, 2**62)), "claims an array of"),
    "NPY of objects": ("cells.npy", npy(OBJECTS, allow_pickle=True), "holds pickled objects"),
    "pickled NPZ": ("cells.npz", npz(x=X, label=OBJECTS), "holds pickled objects"),
    "10 GB claimed in NPZ": (
        "cells.npz",
        zipped(x=claiming((10**5, 12_500)), label=npy(Y)),
        "claims",
    ),
    "NPZ without the target": ("cells.npz", npz(x=X, y=Y), "holds the arrays x, y"),
    "NPZ of other lengths": ("cells.npz", npz(x=X, label=Y[:9]), r"shapes \(40, 2\)"),
    "a damaged NPZ": ("cells.npz", npz(x=X, label=Y)[:300], "cannot be read"),
}


@pytest.mark.parametrize(("content", "keys", "line"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused(tmp_path, content, keys, line):
    with pytest.raises(DataError, match=line) as refused:
        loaded(tmp_path, content, **keys)
    told = str(refused.value)
    assert str(tmp_path / "cells.csv") in told and "\n" not in told and len(told) < 500


@pytest.mark.parametrize(("name", "content", "line"), OTHER_FILES.values(), ids=OTHER_FILES)
def test_a_file_is_refused(tmp_path, name, content, line):
    if name.endswith((".parquet", ".feather")):
        pytest.importorskip("pyarrow")
    (tmp_path / "y.npy").write_bytes(npy(Y))
    target = "y.npy" if name.endswith(".npy") else "label"
    with pytest.raises(DataError, match=line) as refused:
        loaded(tmp_path, content, name, target=target)
    assert str(tmp_path / name) in str(refused.value) and "\n" not in str(refused.value)


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name, line in {"folder": "no file", "pipe": "no file", "none": "No such file"}.items():
        with pytest.raises(DataError, match=f"{name}.csv: .*{line}"):
            config = TableConfig(path=str(tmp_path / f"{name}.csv"), target="label")
            data_of(RunConfig(data=config))


def test_a_file_larger_than_the_memory_is_refused(tmp_path, monkeypatch):
    free = SimpleNamespace(available=99)
    monkeypatch.setattr(files.psutil, "virtual_memory", lambda: free)
    with pytest.raises(DataError, match="expected at most 99, the free memory"):
        loaded(tmp_path, GOOD)


def numbers(dataset):
    return np.concatenate([dataset.X_train.numpy(), dataset.X_val.numpy()])


SAME = {
    "BOM": "\ufeff" + GOOD,
    "semicolons": GOOD.replace(",", ";"),
    "tabs": GOOD.replace(",", "\t"),
    "Windows line ends": GOOD.replace("\n", "\r\n"),
    "spaces after commas": GOOD.replace(",", ", "),
    "quotes": GOOD.replace("red", '"red"').replace("label", '"label"'),
    "no last line end": GOOD.rstrip("\n"),
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_it_is_read_right(tmp_path, text):
    (tmp_path / "good").mkdir()
    good, other = loaded(tmp_path / "good", GOOD), loaded(tmp_path, text)
    assert (numbers(good) == numbers(other)).all()
    assert good.about["data_classes"] == other.about["data_classes"] == ["no", "yes"]


def test_decimal_commas_are_read_with_their_key(tmp_path):
    (tmp_path / "good").mkdir()
    german = GOOD.replace(",", ";").replace(".", ",")
    good, other = loaded(tmp_path / "good", GOOD), loaded(tmp_path, german, decimal=",")
    assert (numbers(good) == numbers(other)).all()


def test_missing_values_are_filled_by_the_training_rows(tmp_path):
    text = "a,kind,split,label\n1,x,train,0\n3,x,train,1\n8,y,train,1\n,,val,0\n2,z,test,1\n"
    keys = {"split_column": "split", "scale": "none"}
    mean = loaded(tmp_path, text, missing="mean", **keys)
    median = loaded(tmp_path, text, missing="median", **keys)
    assert mean.X_train.tolist() == [[1, 1, 0, 0], [3, 1, 0, 0], [8, 0, 1, 0]]
    assert mean.X_val.tolist() == [[4, 0, 0, 1]] and median.X_val.tolist() == [[3, 0, 0, 1]]
