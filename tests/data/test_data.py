import gzip
import hashlib
import io
import logging
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.mirrors import Mirrors, serving

from fcsweep.data import (
    SETS,
    DataError,
    Dataset,
    download,
    load,
    require,
)
from fcsweep.data import load_test as load_test_rows
from fcsweep.data.cache import Copy, staging
from fcsweep.data.images import cifar10, cifar10_files, loading
from fcsweep.data.images.cifar10_files import BINARY, PYTHON, TEST, TRAINING
from fcsweep.data.images.image_set import Images

ROWS = 20
"""Rows of a batch here instead of 10,000."""


# --- files as they are published, small ----------------------------------------------------------


def python2_pickle(value: object) -> bytes:
    """Protocol 2 with byte strings, as Python 2 wrote the published files."""

    def text(raw: bytes) -> bytes:
        if len(raw) < 256:
            return b"U" + bytes([len(raw)]) + raw
        return b"T" + struct.pack("<i", len(raw)) + raw

    def encode(v: Any) -> bytes:
        match v:
            case bytes():
                return text(v)
            case int():
                return b"J" + struct.pack("<i", v)
            case list():
                return b"](" + b"".join(map(encode, v)) + b"e"
            case dict():
                return b"}(" + b"".join(encode(k) + encode(x) for k, x in v.items()) + b"u"
            case np.ndarray():
                return array(v)
        raise TypeError(type(v))

    def array(v: np.ndarray) -> bytes:
        empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + text(b"b")
        code = v.dtype.str.removeprefix("|").encode()
        dtype = b"cnumpy\ndtype\n(" + text(code) + b"K\x00K\x01tR(K\x03" + text(b"|")
        dtype += b"NNN" + encode(-1) + encode(-1) + b"K\x00tb"
        shape = b"(" + b"".join(map(encode, v.shape)) + b"t"
        raw = text(np.ascontiguousarray(v).tobytes())
        return empty + b"tR(K\x01" + shape + dtype + b"I00\n" + raw + b"tb"

    return b"\x80\x02" + encode(value) + b"."


def make_images(seed: int = 0) -> dict[str, Images]:
    """Random images for each batch."""
    draw = np.random.default_rng(seed)
    return {
        batch: Images(
            draw.integers(0, 256, (ROWS, 3072), np.uint8), draw.integers(0, 10, ROWS, np.uint8)
        )
        for batch in TRAINING + TEST
    }


def python_bytes(images: Images, **changes: object) -> bytes:
    record = {
        b"batch_label": b"training batch 1 of 5",
        b"labels": images.labels.tolist(),
        b"data": images.pixels,
        b"filenames": [b"leptodactylus_pentadactylus_s_000004.png"] * len(images),
    }
    return python2_pickle(record | {key.encode(): value for key, value in changes.items()})


def binary_bytes(images: Images) -> bytes:
    return np.column_stack([images.labels, images.pixels]).tobytes()


def write_python(parent: Path, images: dict[str, Images] | None = None) -> Path:
    folder = parent / PYTHON.folder
    folder.mkdir(parents=True)
    for batch, content in (images or make_images()).items():
        (folder / batch).write_bytes(python_bytes(content))
    (folder / "batches.meta").write_bytes(python2_pickle({b"num_vis": 3072}))
    (folder / "readme.html").write_text("<html>")
    return folder


def write_binary(parent: Path, images: dict[str, Images] | None = None) -> Path:
    folder = parent / BINARY.folder
    folder.mkdir(parents=True)
    for batch, content in (images or make_images()).items():
        (folder / f"{batch}.bin").write_bytes(binary_bytes(content))
    return folder


def pack(
    folder: Path, archive: Path, extra: Callable[[tarfile.TarFile], None] | None = None
) -> Path:
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        if extra is not None:
            extra(tar)
        tar.add(folder, folder.name)
    return archive


def overwrite(file: Path, position: int, value: bytes) -> None:
    with file.open("r+b") as stream:
        stream.seek(position)
        stream.write(value)


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """No test sees a copy of another one, and none the user's."""
    monkeypatch.setenv("FCSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    loading._load.cache_clear()
    yield tmp_path / "cache"
    loading._load.cache_clear()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 20 rows: 80 train, 20 validate, 20 test."""
    monkeypatch.setattr(cifar10_files, "BATCH_ROWS", ROWS)
    cut = replace(SETS["cifar10"], sizes=(4 * ROWS, ROWS, ROWS))
    monkeypatch.setitem(SETS, "cifar10", cut)


def forget() -> None:
    """What a fresh process has not: sets loaded earlier in this one."""
    loading._load.cache_clear()


def same(a: Dataset, b: Dataset) -> bool:
    pairs = [(a.X_train, b.X_train), (a.y_train, b.y_train), (a.X_val, b.X_val), (a.y_val, b.y_val)]
    return a.fingerprint == b.fingerprint and all(torch.equal(x, y) for x, y in pairs)


# --- every set -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["digits", "synthetic"])
def test_a_set_has_its_sizes_types_and_memory_of_torch(name: str):
    data = load(name)
    train, val, test = SETS[name].sizes
    width = {"digits": 64, "synthetic": 3072}[name]
    assert data.name == name and data.num_classes == 10
    assert data.X_train.shape == (train, width) and data.X_val.shape == (val, width)
    assert data.y_train.shape == (train,) and data.y_val.shape == (val,)
    assert data.y_train.dtype == data.y_val.dtype == torch.int64
    assert data.y_train.unique().tolist() == data.y_val.unique().tolist() == list(range(10))
    X, y = load_test_rows(name)
    assert X.shape == (test, width) and y.shape == (test,) and y.dtype == torch.int64
    for rows in (data.X_train, data.X_val, X):
        assert rows.dtype == torch.float32 and rows.device.type == "cpu"
        assert rows.is_contiguous() and rows.data_ptr() % 64 == 0
        assert -1 <= rows.min() < 0 < rows.max() <= 1


def test_sizes_are_the_published_ones():
    assert SETS["digits"].sizes == (1397, 200, 200)
    assert SETS["cifar10"].sizes == (40_000, 10_000, 10_000)


def test_digits_are_those_of_scikit_learn_shuffled_and_centred():
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    data, (X_test, y_test) = (
        load("digits", dtype=torch.float64),
        load_test_rows("digits", dtype=torch.float64),
    )
    X = torch.cat([data.X_train, data.X_val, X_test])
    y = torch.cat([data.y_train, data.y_val, y_test])
    mean = -X.min()
    ours = torch.column_stack([((X + mean) * 16).round(), y]).numpy()
    theirs = np.column_stack([pixels, labels])
    assert not np.array_equal(ours, theirs)
    assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])
    assert abs(data.X_train.mean()) < 1e-12


def test_digits_come_the_same_from_the_file_and_from_scikit_learns_loader(monkeypatch):
    from_file = load("digits")
    forget()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert same(load("digits"), from_file)


def test_digits_are_the_same_for_ever():
    # If this changes, saved runs can no longer be repeated.
    assert load("digits").fingerprint.startswith("6cc34ebb10a76170")
    assert load("synthetic").fingerprint.startswith("eb0d9419")


def linear_and_two_layer_accuracy(data: Dataset) -> list[float]:
    """Best validation accuracy of torch's own nets, trained by momentum."""
    accuracies = []
    for hidden, rate in ((0, 1e-2), (100, 2e-2)):
        torch.manual_seed(0)
        layers = [torch.nn.Linear(3072, 10)]
        if hidden:
            layers = [torch.nn.Linear(3072, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 10)]
        net = torch.nn.Sequential(*layers)
        rule = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9, weight_decay=1e-3)
        best = 0.0
        for _ in range(10):
            for rows in torch.randperm(len(data.X_train)).split(100):
                rule.zero_grad()
                scores = net(data.X_train[rows])
                torch.nn.functional.cross_entropy(scores, data.y_train[rows]).backward()
                rule.step()
            right = net(data.X_val).argmax(1) == data.y_val
            best = max(best, right.float().mean().item())
        accuracies.append(best)
    return accuracies


@pytest.mark.slow
def test_synthetic_is_learnable_and_needs_a_hidden_layer():
    linear, two_layer = linear_and_two_layer_accuracy(load("synthetic"))
    assert 0.35 < linear < 0.6
    assert linear + 0.1 < two_layer < 0.9


@pytest.mark.parametrize("name", ["digits", "synthetic"])
def test_num_train_and_num_val_are_the_first_rows(name: str):
    full, part = load(name), load(name, num_train=50, num_val=7)
    assert torch.equal(part.X_train, full.X_train[:50])
    assert torch.equal(part.y_train, full.y_train[:50])
    assert torch.equal(part.X_val, full.X_val[:7])
    assert torch.equal(part.y_val, full.y_val[:7])


def test_the_fingerprint_tells_rows_and_sets_apart_but_not_dtypes():
    fingerprints = [
        load("digits").fingerprint,
        load("digits", num_train=1396).fingerprint,
        load("digits", num_val=199).fingerprint,
        load("synthetic").fingerprint,
    ]
    assert len(set(fingerprints)) == 4
    assert all(len(f) == 64 and int(f, 16) for f in fingerprints)
    wide = load("digits", dtype=torch.float64)
    assert wide.X_train.dtype == torch.float64 and wide.y_train.dtype == torch.int64
    assert wide.fingerprint == fingerprints[0]
    assert load("digits", num_train=1397).fingerprint == fingerprints[0]


def test_a_second_load_is_the_same_set_and_takes_no_time():
    first = load("synthetic")
    began = time.process_time()
    assert load("synthetic") is first
    assert time.process_time() - began < 0.01


def test_a_set_that_was_changed_in_place_is_made_anew():
    first = load("digits")
    untouched = first.X_train.clone()
    first.X_train[3].mul_(2)
    second = load("digits")
    assert second is not first and torch.equal(second.X_train, untouched)
    second.y_val.fill_(0)
    assert load("digits").y_val.any()


def test_a_set_loaded_in_inference_mode_can_be_loaded_again():
    with torch.inference_mode():
        first = load("digits")
    assert load("digits") is first


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            dict(name="digit"),
            "data.name=digit: expected one of digits, cifar10, mnist, fashion_mnist, synthetic; "
            "did you mean digits?",
        ),
        (
            dict(name="digits", num_train=1398),
            "data.num_train=1398: digits has 1397 training rows; give 1 to 1397, or null for all",
        ),
        (
            dict(name="cifar10", num_train=50000),
            "data.num_train=50000: cifar10 has 40000 training rows; give 1 to 40000, "
            "or null for all",
        ),
        (
            dict(name="digits", num_val=0),
            "data.num_val=0: digits has 200 validation rows; give 1 to 200, or null for all",
        ),
        (
            dict(name="digits", val_rows=1597),
            "val_rows=1597: digits has 1597 training and validation rows; give 1 to 1596, or None "
            "for 200",
        ),
        (
            dict(name="digits", num_train=800, val_rows=798),
            "data.num_train=800: digits has 799 training rows; give 1 to 799, or null for all",
        ),
        (
            dict(name="digits", root="/x"),
            "data.root=/x: digits has no files (as cifar10, mnist, fashion_mnist have); "
            "leave it out",
        ),
        (
            dict(name="digits", dtype=torch.int32),
            "dtype=torch.int32: expected a floating-point type such as torch.float32",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments: dict[str, Any], expected: str):
    with pytest.raises(DataError) as error:
        load(**arguments)
    assert str(error.value) == expected


def test_an_error_is_one_line_whatever_a_path_holds():
    with pytest.raises(DataError) as error:
        load("cifar10", root="no\nsuch\nfolder")
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_importing_the_package_imports_nothing_but_torch_and_numpy():
    heavy = "sklearn scipy pooch requests safetensors pandas omegaconf hydra optuna".split()
    code = f"import fcsweep.data, sys; print([m for m in {heavy} if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert printed.stdout.strip() == b"[]"


# --- CIFAR-10: layouts, split, mean --------------------------------------------------------------


@pytest.fixture
def places(tmp_path: Path, tiny: None) -> dict[str, Path]:
    """The same images in everything that ``root`` may name."""
    python = write_python(tmp_path / "python")
    binary = write_binary(tmp_path / "binary")
    archived = tmp_path / "archived"
    archived.mkdir()
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for file in python.iterdir():
        (renamed / file.name).symlink_to(file)
    return {
        "folder": python,
        "parent": python.parent,
        "binary folder": binary,
        "binary parent": binary.parent,
        "archive": pack(python, tmp_path / "cifar-10-python.tar.gz"),
        "binary archive": pack(binary, tmp_path / "cifar-10-binary.tar.gz"),
        "parent of archive": pack(python, archived / "cifar-10-python.tar.gz").parent,
        "another name": renamed,
    }


def test_every_place_and_layout_gives_the_same(places: dict[str, Path]):
    first, (X, y) = (
        load("cifar10", root=places["folder"]),
        load_test_rows("cifar10", root=places["folder"]),
    )
    for place in places.values():
        assert same(load("cifar10", root=str(place)), first)
        X_other, y_other = load_test_rows("cifar10", root=place)
        assert torch.equal(X_other, X) and torch.equal(y_other, y)


def test_a_place_may_have_any_name(tmp_path: Path, tiny: None):
    folder = write_python(tmp_path / "a, =b' ü \" ; $HOME" / ("long" * 50))
    assert len(load("cifar10", root=folder.parent).X_train) == 4 * ROWS


def test_a_place_may_be_relative_or_in_the_home_folder(tmp_path, tiny, monkeypatch):
    write_python(tmp_path / "here")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert same(load("cifar10", root="here"), load("cifar10", root="~/here"))


@pytest.mark.parametrize(("val_rows", "n"), [(None, 80), (20, 80), (5, 95), (70, 30)])
def test_the_last_rows_validate_and_the_mean_of_the_others_is_subtracted(
    tmp_path, tiny, val_rows, n
):
    images = make_images(seed=5)
    options: Any = {"dtype": torch.float64, "val_rows": val_rows}
    data = load("cifar10", root=write_python(tmp_path, images), **options)
    pixels = np.concatenate([images[batch].pixels for batch in TRAINING])
    labels = np.concatenate([images[batch].labels for batch in TRAINING]).tolist()
    mean = pixels[:n].reshape(n, 3, 1024).mean(axis=(0, 2)) / 255

    def rows(pixels: np.ndarray) -> np.ndarray:
        return (pixels.reshape(len(pixels), 3, 1024) / 255 - mean[:, None]).reshape(len(pixels), -1)

    np.testing.assert_allclose(data.X_train.numpy(), rows(pixels[:n]), rtol=0, atol=1e-15)
    np.testing.assert_allclose(data.X_val.numpy(), rows(pixels[n:]), atol=1e-15)
    assert (data.y_train.tolist(), data.y_val.tolist()) == (labels[:n], labels[n:])
    usual = load("cifar10", root=tmp_path, dtype=torch.float64)
    assert (data.fingerprint == usual.fingerprint) is (n == 80)
    X, y = load_test_rows("cifar10", root=tmp_path, **options)
    np.testing.assert_allclose(X.numpy(), rows(images["test_batch"].pixels), atol=1e-15)
    assert y.tolist() == images["test_batch"].labels.tolist()


def test_the_mean_is_that_of_all_training_rows_whatever_num_train(tmp_path, tiny):
    root = write_python(tmp_path)
    full, part = load("cifar10", root=root), load("cifar10", root=root, num_train=3, num_val=2)
    assert torch.equal(part.X_train, full.X_train[:3])
    assert torch.equal(part.X_val, full.X_val[:2])
    assert part.fingerprint != full.fingerprint


def test_one_pixel_more_is_another_fingerprint(tmp_path, tiny):
    images = make_images()
    before = load("cifar10", root=write_python(tmp_path / "a", images)).fingerprint
    images["data_batch_5"].pixels[7, 100] ^= 1
    after = load("cifar10", root=write_python(tmp_path / "b", images)).fingerprint
    images["data_batch_5"].labels[7] ^= 1
    last = load("cifar10", root=write_python(tmp_path / "c", images)).fingerprint
    assert len({before, after, last}) == 3


def test_pickles_that_were_written_anew_by_python_3_are_read(tmp_path, tiny):
    images = make_images()
    folder = write_python(tmp_path / "a", images)
    first = load("cifar10", root=folder)
    for by_column in (False, True):
        for batch in TRAINING:
            pixels = np.asarray(images[batch].pixels, order="F" if by_column else "C")
            record = {b"data": pixels, b"labels": images[batch].labels.tolist()}
            (folder / batch).write_bytes(pickle.dumps(record, protocol=3))
        assert same(load("cifar10", root=folder), first)


def test_the_test_batch_is_not_read_for_training(tmp_path, tiny):
    folder = write_python(tmp_path)
    (folder / "test_batch").write_bytes(b"rubbish")
    load("cifar10", root=folder)
    with pytest.raises(DataError, match="test_batch has 7 bytes"):
        load_test_rows("cifar10", root=folder)


# --- CIFAR-10: what is wrong is named, and nothing of it is run ----------------------------------


class Bomb:
    """Unpickling it with python's own unpickler runs a command."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self.witness}'",)


def padded(raw: bytes) -> bytes:
    """As large as a batch, so that only its content can be wrong."""
    return raw.ljust(ROWS * 3072 + 1000, b" ")


def test_a_malicious_pickle_is_not_run(tmp_path, tiny):
    witness = tmp_path / "witness"
    bomb = padded(pickle.dumps({b"data": Bomb(witness)}, protocol=3))
    pickle.loads(bomb)
    assert witness.exists(), "the bomb does not work, so the test would prove nothing"
    witness.unlink()
    folder = write_python(tmp_path)
    (folder / "data_batch_3").write_bytes(bomb)
    archive = pack(folder, tmp_path / "cifar-10-python.tar.gz")
    for root in (folder, archive):
        with pytest.raises(DataError, match=r"data_batch_3 asks for \w+.system, which no batch"):
            load("cifar10", root=root)
    assert not witness.exists()


def reduced(module: str, name: str, arguments: bytes, state: bytes = b"") -> bytes:
    """A batch whose array is made by a call of ``module.name``."""
    call = f"c{module}\n{name}\n".encode() + arguments
    return b"\x80\x02}(U\x04data" + call + state + b"U\x06labels]u."


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (reduced("builtins", "eval", b"(U\x031+1tR"), "asks for builtins.eval"),
        (reduced("numpy", "load", b"(U\x01xtR"), "asks for numpy.load"),
        (reduced("numpy.core.multiarray", "scalar", b"(tR"), "asks for numpy.core.multiarray.sca"),
        (reduced("numpy", "ndarray.tofile", b""), "asks for numpy.ndarray.tofile"),
        (reduced("numpy", "ndarray", b"(I99999999999\ntR"), "holds no array"),
        (reduced("numpy", "dtype", b"", b"}(U\x01xI1\nub"), "damaged"),
        (reduced("numpy", "ndarray", b"", b"}(U\x01xI1\nub"), "damaged"),
        (reduced("_codecs", "encode", b"(U\x01xU\x05utf-8tR"), "asks for _codecs.encode"),
        (reduced("numpy.core.multiarray", "_reconstruct", b"(tR"), "not 20 rows of 3072"),
        (b"\x82\x01.", "damaged"),
        (b"\x80\x02" + b"(" * 60000, "damaged"),
        (b"\x80\x02]r\xff\xff\xff\x7f.", "holds no array|damaged"),
        (b"not a pickle at all", "damaged"),
        (b"", "damaged"),
        (python2_pickle({b"labels": [1]}), "holds no array"),
        (python2_pickle([1, 2]), "holds no array"),
    ],
)  # fmt: skip
def test_pickles_that_are_no_batch_are_refused(tmp_path, tiny, raw: bytes, expected: str):
    folder = write_python(tmp_path)
    (folder / "data_batch_2").write_bytes(padded(raw))
    with pytest.raises(DataError, match=f"data_batch_2 .*({expected})"):
        load("cifar10", root=folder)


def test_a_pickle_leaves_no_trace_in_what_stands_in_for_numpy():
    names = [(stand_in, set(vars(stand_in))) for stand_in in cifar10_files._STAND_INS.values()]
    for module, name in cifar10_files._STAND_INS:
        changing = reduced(module, name, b"", b"N}(U\x08__init__I1\nu\x86b")
        with pytest.raises(DataError):
            cifar10_files._parse_python(changing)
    assert names == [(stand_in, set(vars(stand_in))) for stand_in, _ in names]


def blank(rows: int = ROWS, width: int = 3072, **changes: object) -> bytes:
    images = Images(np.zeros((rows, width), np.uint8), np.zeros(rows, np.uint8))
    return python_bytes(images, **changes)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "has 0 bytes, expected 61440 to 69440"),
        (b"x" * 61439, "has 61439 bytes, expected 61440 to 69440"),
        (b"x" * 69441, "has 69441 bytes, expected 61440 to 69440"),
        (blank(ROWS + 1), r"has pixels of shape \(21, 3072\), expected \(20, 3072\)"),
        (blank(ROWS, 3073), r"has pixels of shape \(20, 3073\), expected"),
        (blank(labels=[0] * 19), "has 19 labels, expected 20"),
        (blank(labels=[0] * 7 + [10] + [0] * 12), "has label 10 in row 7, expected 0 to 9"),
        (blank(labels=[-1] * 20), "has label -1 in row 0"),
        (blank(labels=[b"1"] * 20), "has label bytes in row 0"),
        (
            blank().replace(struct.pack("<iB", ROWS, ord("J")), struct.pack("<iB", 21, ord("J"))),
            "has pixels that are not 20 rows of 3072",
        ),
        (blank(data=np.zeros((ROWS, 3072), np.int8)), "has pixels that are not 20 rows of 3072"),
        (blank(data=np.zeros((ROWS, 768), np.uint32)), "has pixels that are not 20 rows of 3072"),
        (blank(data=np.zeros(ROWS * 3072, np.uint8)), "has pixels that are not 20 rows of 3072"),
    ],
)
def test_batches_of_a_wrong_size_or_label_are_named(tmp_path, tiny, raw: bytes, expected: str):
    folder = write_python(tmp_path)
    (folder / "data_batch_2").write_bytes(raw)
    with pytest.raises(DataError, match=f"data_batch_2 {expected}"):
        load("cifar10", root=folder)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda raw: raw[:-1], "has 61459 bytes, expected 61460"),
        (lambda raw: raw + b"x", "has 61461 bytes, expected 61460"),
        (lambda raw: b"\x0a" + raw[1:], "has label 10 in row 0, expected 0 to 9"),
    ],
)
def test_binary_batches_of_a_wrong_size_or_label_are_named(tmp_path, tiny, change, expected):
    file = write_binary(tmp_path) / "data_batch_4.bin"
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(DataError, match=rf"data_batch_4\.bin {expected}"):
        load("cifar10", root=tmp_path)


def test_a_missing_batch_is_named(tmp_path, tiny):
    folder = write_python(tmp_path)
    (folder / "data_batch_3").unlink()
    expected = "data_batch_3 is missing.*, expected data_batch_1 to data_batch_5"
    with pytest.raises(DataError, match=expected):
        load("cifar10", root=folder)
    with pytest.raises(DataError, match=expected):
        load("cifar10", root=pack(folder, tmp_path / "cifar.tar.gz"))
    os.mkfifo(folder / "data_batch_3")
    with pytest.raises(DataError, match=expected):
        load("cifar10", root=folder)


def test_a_missing_test_batch_is_named_where_it_is_needed(tmp_path, tiny):
    folder = write_python(tmp_path)
    (folder / "test_batch").unlink()
    load("cifar10", root=folder)
    with pytest.raises(DataError, match="test_batch is missing.*, expected test_batch$"):
        load_test_rows("cifar10", root=folder)


def test_places_without_cifar10_are_named(tmp_path, tiny):
    with pytest.raises(DataError, match=r"^data.root=.*nowhere: there is no such file or folder$"):
        load("cifar10", root=tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no CIFAR-10, expected cifar-10-python.tar.gz, or"):
        load("cifar10", root=tmp_path)
    with pytest.raises(DataError, match="cannot be read .File name too long"):
        load("cifar10", root=tmp_path / ("x" * 300))
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DataError, match="data.root=.*loop"):
        load("cifar10", root=tmp_path / "loop")
    with pytest.raises(DataError, match="data.root="):
        load("cifar10", root="a\0b")


def add(tar: tarfile.TarFile, name: str, raw: bytes = b"", **fields: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(raw)
    for field, value in fields.items():
        setattr(member, field, value)
    tar.addfile(member, io.BytesIO(raw))


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (lambda tar: add(tar, "../evil", b"x"), "'../evil', a link, a device or a path that leads"),
        (lambda tar: add(tar, "a/../../data_batch_1", b"x"), "a path that leads outside"),
        (lambda tar: add(tar, "/evil", b"x"), "'/evil', a link"),
        (
            lambda tar: add(tar, "c/data_batch_1", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
            "'c/data_batch_1', a link",
        ),
        (
            lambda tar: add(tar, "c/data_batch_1", type=tarfile.LNKTYPE, linkname="../../x"),
            "'c/data_batch_1', a link",
        ),
        (lambda tar: add(tar, "c/data_batch_1", type=tarfile.FIFOTYPE), "a link, a device"),
        (lambda tar: add(tar, "c/data_batch_1", b"short"), "c/data_batch_1 has 5 bytes"),
        (
            lambda tar: add(tar, "c/data_batch_1", python_bytes(make_images()["data_batch_1"])),
            "data_batch_1 is there twice",
        ),
    ],
)
def test_archives_with_hostile_members_are_refused(tmp_path, tiny, extra, expected: str):
    folder = write_python(tmp_path / "made" / "here")
    archive = pack(folder, tmp_path / "made" / "cifar-10-python.tar.gz", extra)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=expected):
        load("cifar10", root=archive)
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_of_an_archive_is_unpacked_to_disk(tmp_path, tiny, private_cache):
    folder = write_python(tmp_path / "made")
    archive = pack(folder, tmp_path / "cifar-10-python.tar.gz", lambda tar: add(tar, "else", b"x"))
    before = sorted(tmp_path.rglob("*"))
    load("cifar10", root=archive)
    new = set(tmp_path.rglob("*")) - set(before)
    assert [path.suffix for path in new if path.is_file()] == [".safetensors"]


def test_damaged_archives_are_named(tmp_path, tiny):
    whole = pack(write_python(tmp_path / "made"), tmp_path / "cifar-10-python.tar.gz").read_bytes()
    archive = tmp_path / "damaged.tar.gz"
    for end in (len(whole) // 2, len(whole) - 4, 1000, 12):
        archive.write_bytes(whole[:end])
        with pytest.raises(DataError, match="damaged.tar.gz: is damaged or truncated"):
            load("cifar10", root=archive)
    # Behind the header of 10 bytes and the file name, which hold nothing of the data.
    first = 10 + len("cifar-10-python.tar\0")
    for position in np.random.default_rng(0).integers(first, len(whole), 20):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << int(position) % 8
        archive.write_bytes(flipped)
        with pytest.raises(DataError):
            load("cifar10", root=archive)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\n<!DOCTYPE html><html>Not found</html>", "is a web page .it starts with"),
        (b"", "is no packed archive"),
        (b"PK\x03\x04" + b"x" * 100, "is no packed archive .it starts with b'PK"),
        (gzip.compress(b"<html></html>" * 1000, mtime=0), "is damaged"),
        (gzip.compress(b"", mtime=0), "is damaged"),
    ],
)
def test_files_that_are_no_archive_are_named(tmp_path, tiny, raw: bytes, expected: str):
    archive = tmp_path / "cifar-10-python.tar.gz"
    archive.write_bytes(raw)
    with pytest.raises(DataError, match=expected):
        load("cifar10", root=archive)


def test_an_archive_that_unpacks_without_end_is_stopped(tmp_path, tiny, monkeypatch):
    archive = tmp_path / "cifar-10-python.tar.gz"
    pack(write_python(tmp_path / "made"), archive, lambda tar: add(tar, "big", bytes(5_000_000)))
    monkeypatch.setattr(cifar10._Bounded, "left", 4_000_000)
    with pytest.raises(DataError, match="unpacks to more than 500000000 bytes"):
        load("cifar10", root=archive)
    with archive.open("r+b") as file:
        file.truncate(cifar10.ARCHIVE_LIMIT + 1)
    with pytest.raises(DataError, match="has 500000001 bytes, expected at most 500000000"):
        load("cifar10", root=archive)


# --- the cached copy -----------------------------------------------------------------------------


def copies(cache: Path) -> list[Path]:
    return sorted((cache / "copies").iterdir())


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, batches can no longer be read, but copies can."""

    def refuse(*_: object) -> None:
        raise AssertionError("a batch was read, although there is a copy")

    return lambda: monkeypatch.setattr(cifar10, "_collect", refuse)


@pytest.mark.parametrize("place", ["folder", "archive", "binary folder"])
def test_a_second_start_reads_the_copy(places, private_cache, no_reading, place: str):
    first = load("cifar10", root=places[place])
    X, _ = load_test_rows("cifar10", root=places[place])
    assert len(copies(private_cache)) == 2
    forget()
    no_reading()
    assert same(load("cifar10", root=places[place]), first)
    assert torch.equal(load_test_rows("cifar10", root=places[place])[0], X)


def test_a_changed_source_is_never_read_from_its_old_copy(tmp_path, tiny, private_cache):
    folder = write_python(tmp_path)
    first = load("cifar10", root=folder)
    file = folder / "data_batch_2"
    stat = file.stat()
    overwrite(file, stat.st_size - 5000, b"\x00")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file.stat().st_size == stat.st_size and file.stat().st_mtime_ns == stat.st_mtime_ns
    file.write_bytes(python_bytes(make_images(seed=9)["data_batch_2"]))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    second = load("cifar10", root=folder)
    assert second.fingerprint != first.fingerprint
    assert not torch.equal(second.X_train, first.X_train)
    assert len(copies(private_cache)) == 1, "the old copy is of no use to anybody"


def test_a_source_that_changes_while_it_is_read_leaves_no_copy(
    tmp_path, tiny, private_cache, monkeypatch
):
    folder = write_python(tmp_path)
    collect = cifar10._collect

    def changing(*arguments: Any) -> Images:
        images = collect(*arguments)
        (folder / "data_batch_1").touch()
        return images

    monkeypatch.setattr(cifar10, "_collect", changing)
    load("cifar10", root=folder)
    assert not (private_cache / "copies").exists()


def test_a_flipped_byte_of_a_copy_is_found(tmp_path, tiny, private_cache, no_reading, caplog):
    root = write_python(tmp_path)
    first = load("cifar10", root=root)
    [copy] = copies(private_cache)
    whole = copy.read_bytes()
    positions = [0, 7, 8, 60, 200, len(whole) // 2, len(whole) - 1]
    for position in positions:
        flipped = bytearray(whole)
        flipped[position] ^= 4
        copy.write_bytes(flipped)
        forget()
        assert same(load("cifar10", root=root), first), position
    assert "safetensors is damaged: reading the data again" in caplog.text
    forget()
    no_reading()
    assert same(load("cifar10", root=root), first), "a good copy has taken the damaged one's place"


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\xff" * 100, None], ids=repr)
def test_a_file_in_the_place_of_a_copy_does_no_harm(tmp_path, tiny, private_cache, content):
    root = write_python(tmp_path)
    first = load("cifar10", root=root)
    [copy] = copies(private_cache)
    copy.unlink()
    if content is None:
        copy.mkdir()
    else:
        copy.write_bytes(content)
    forget()
    assert same(load("cifar10", root=root), first)


def test_a_truncated_copy_is_found(tmp_path, tiny, private_cache, caplog):
    root = write_python(tmp_path)
    first = load("cifar10", root=root)
    [copy] = copies(private_cache)
    os.truncate(copy, copy.stat().st_size - 1)
    forget()
    assert same(load("cifar10", root=root), first)
    assert "is damaged" in caplog.text


@pytest.mark.parametrize("obstacle", ["a file in the way", "read-only", "no room"])
def test_a_cache_folder_that_cannot_be_written_is_no_error(
    tmp_path, tiny, private_cache, monkeypatch, obstacle, caplog
):
    caplog.set_level(logging.INFO)
    if obstacle == "a file in the way":
        private_cache.write_text("")
    if obstacle == "read-only":
        # A tester may be root, whom no mode keeps from writing.
        monkeypatch.setattr(Path, "mkdir", raises(PermissionError(13, "Permission denied")))
    if obstacle == "no room":
        monkeypatch.setattr("safetensors.torch.save_file", raises(OSError(28, "No space left")))
    folder = tmp_path / "data" / PYTHON.folder
    os.makedirs(folder)
    for batch, images in make_images().items():
        (folder / batch).write_bytes(python_bytes(images))
    assert len(load("cifar10", root=folder).X_train) == 4 * ROWS
    assert "no copy of the data is kept in" in caplog.text
    assert obstacle == "a file in the way" or not list(tmp_path.rglob("*.safetensors"))


def raises(error: Exception) -> Callable[..., Any]:
    def function(*_: object, **__: object) -> None:
        raise error

    return function


@pytest.mark.slow
def test_what_a_killed_process_left_in_the_making_is_removed(tmp_path):
    code = (
        "import os, sys, pathlib; from fcsweep.data.cache import staging\n"
        "with staging(pathlib.Path(sys.argv[1]), wait=False) as fresh:\n"
        "    (fresh / 'half').write_text('x'); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True)
    assert killed.returncode == -9
    assert [path.name for path in tmp_path.rglob("half")] == ["half"]
    with staging(tmp_path, wait=False) as fresh:
        assert fresh is not None and list(tmp_path.iterdir()) == [fresh]
    assert not list(tmp_path.iterdir())


def test_one_at_a_time_is_at_work_in_a_folder(tmp_path):
    with staging(tmp_path, wait=False) as first, staging(tmp_path, wait=False) as second:
        assert first is not None and second is None
    with staging(tmp_path, wait=False) as third:
        assert third is not None


def test_a_busy_cache_folder_keeps_nobody_waiting(tmp_path, tiny, private_cache):
    folder = write_python(tmp_path)
    with staging(private_cache / "copies", wait=False):
        load("cifar10", root=folder)
    assert not copies(private_cache)


def test_without_locks_two_may_be_at_work(tmp_path, monkeypatch):
    monkeypatch.setattr("fcsweep.system.locks.fcntl", None)
    with staging(tmp_path, wait=True) as first, staging(tmp_path, wait=True) as second:
        assert first is not None and second is not None and first != second


def test_a_copy_is_read_under_its_name_and_for_its_source_only(private_cache):
    images = make_images()["test_batch"]
    Copy("name", "here").write(images)
    again = Copy("name", "here").read(Images.from_tensors)
    assert again is not None and again.sha256 == images.sha256
    assert np.array_equal(again.pixels, images.pixels)
    assert Copy("name", "there").read(Images.from_tensors) is None
    assert Copy("other", "here").read(Images.from_tensors) is None


# --- the download --------------------------------------------------------------------------------


def publish(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    monkeypatch.setattr(cifar10, "PUBLISHED", replace(cifar10.PUBLISHED, **changes))


@pytest.fixture
def mirrors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrors]:
    with serving() as server:
        publish(monkeypatch, mirrors=(server.url("/first"), server.url("/second")))
        yield server


@pytest.fixture
def published(tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A small archive that takes the place of the published one."""
    raw = pack(write_python(tmp_path / "made"), tmp_path / "published.tar.gz").read_bytes()
    publish(monkeypatch, bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest())
    return raw


def archive_in(cache: Path) -> Path:
    return cache / "archive" / "cifar-10-python.tar.gz"


def test_without_a_root_the_archive_is_downloaded_once(mirrors, published, private_cache, tmp_path):
    mirrors.answers["/first"] = (200, published)
    first = load("cifar10")
    assert same(first, load("cifar10", root=tmp_path / "made"))
    forget()
    load("cifar10")
    load_test_rows("cifar10")
    assert mirrors.asked == ["/first"]
    assert archive_in(private_cache).read_bytes() == published
    assert not list(private_cache.rglob("making-*"))


def test_the_copy_is_enough_when_the_archive_is_gone(mirrors, published, private_cache):
    mirrors.answers["/first"] = (200, published)
    first = load("cifar10")
    archive_in(private_cache).unlink()
    forget()
    assert same(load("cifar10"), first)
    assert mirrors.asked == ["/first"]


def test_the_next_mirror_is_asked_when_one_fails(mirrors, published, caplog):
    mirrors.answers = {"/first": (503, b"busy"), "/second": (200, published)}
    load("cifar10")
    assert mirrors.asked == ["/first", "/second"]
    assert "answered 503" in caplog.text


@pytest.mark.parametrize(
    ("status", "change", "expected"),
    [
        (404, lambda raw: raw, "answered 404"),
        (200, lambda raw: b"<html>Please log in</html>", "sent a web page instead of the file"),
        (200, lambda raw: raw[:-1] + b"x", "sent another file, its sha256 is wrong"),
        (200, lambda raw: raw[:100], r"sent 100 of \d+ bytes"),
        (200, lambda raw: raw + b"x", "sent a file larger than the published one"),
    ],
)
def test_a_wrong_file_is_named_and_not_kept(
    mirrors, published, private_cache, status, change, expected
):
    mirrors.answers = dict.fromkeys(["/first", "/second"], (status, change(published)))
    with pytest.raises(DataError, match=expected) as error:
        load("cifar10")
    assert "use data=digits, or data.root=FOLDER that holds cifar-10-batches-py" in str(error.value)
    assert mirrors.asked == ["/first", "/second"]
    assert not [path for path in private_cache.rglob("*") if path.is_file()]


def test_a_connection_that_breaks_off_is_named(mirrors, published):
    mirrors.answers = dict.fromkeys(["/first", "/second"], (200, published))
    mirrors.cut = {"/first", "/second"}
    with pytest.raises(DataError, match=r"(broke off after|sent) \d+ of \d+ bytes"):
        load("cifar10")


def test_offline_is_one_line_that_says_what_to_do(monkeypatch, tiny, caplog):
    caplog.set_level(logging.INFO, logger="fcsweep")
    # Nobody listens on port 1 of the loopback.
    publish(monkeypatch, mirrors=("http://127.0.0.1:1/cifar-10-python.tar.gz",))
    began = time.monotonic()
    with pytest.raises(DataError) as error:
        load("cifar10")
    assert time.monotonic() - began < 5
    assert str(error.value) == (
        "CIFAR-10 is not on this machine and could not be downloaded (127.0.0.1:1: no connection): "
        "use data=digits, or data.root=FOLDER that holds cifar-10-batches-py"
    )
    assert not caplog.messages


def test_nobody_waits_for_all_mirrors_without_a_network(monkeypatch, tiny):
    asked = []
    publish(monkeypatch, mirrors=tuple(f"http://host{n}/" for n in range(9)))
    monkeypatch.setattr(download, "PATIENCE_SECONDS", 0.05)

    def fetch(wanted: download.Published, url: str, target: Path) -> str:
        asked.append(url)
        time.sleep(0.03)
        return download.NO_CONNECTION

    monkeypatch.setattr(download, "_fetch", fetch)
    with pytest.raises(DataError, match="no connection"):
        load("cifar10")
    assert 2 <= len(asked) < 9


def test_a_proxy_with_a_password_is_in_no_message(monkeypatch, tiny, caplog):
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("http_proxy", "http://user:hunter2@127.0.0.1:1")
    publish(monkeypatch, mirrors=("http://mirror.invalid/cifar-10-python.tar.gz",))
    caplog.set_level(logging.DEBUG)
    with pytest.raises(DataError, match="the proxy refuses it") as error:
        load("cifar10")
    assert "hunter2" not in str(error.value) + caplog.text


def test_what_is_required_is_downloaded_once_and_no_image_is_read(
    mirrors, published, private_cache, no_reading
):
    mirrors.answers["/first"] = (200, published)
    require("digits")
    require("synthetic")
    assert not mirrors.asked
    require("cifar10")
    require("cifar10")
    assert mirrors.asked == ["/first"] and not (private_cache / "copies").exists()
    load("cifar10")
    archive_in(private_cache).unlink()
    no_reading()
    require("cifar10")  # the copy is enough
    assert mirrors.asked == ["/first"]
    (copy,) = copies(private_cache)
    copy.write_bytes(b"damaged")
    require("cifar10")
    assert mirrors.asked == ["/first"] * 2


@pytest.mark.parametrize("place", ["folder", "archive", "binary parent"])
def test_what_is_required_from_a_root_is_looked_for(mirrors, places, place, tmp_path):
    require("cifar10", root=places[place])
    with pytest.raises(DataError, match=r"data\.root=\S+/nowhere: there is no such file or folder"):
        require("cifar10", root=tmp_path / "nowhere")
    for file in places[place].rglob("*_batch_3*"):
        file.unlink()
        with pytest.raises(DataError, match="data_batch_3(.bin)? is missing"):
            require("cifar10", root=places[place])
    with pytest.raises(DataError, match="digits has no files"):
        require("digits", root=places[place])
    assert not mirrors.asked


def test_with_a_root_no_mirror_is_asked(mirrors, tmp_path, tiny):
    load("cifar10", root=write_python(tmp_path / "made"))
    with pytest.raises(DataError):
        load("cifar10", root=tmp_path / "nowhere")
    assert not mirrors.asked


def test_a_damaged_archive_in_the_cache_is_named_and_downloaded_again(
    mirrors, published, private_cache, caplog
):
    mirrors.answers["/first"] = (200, published)
    archive_in(private_cache).parent.mkdir(parents=True)
    archive_in(private_cache).write_bytes(published[:-1] + b"x")
    load("cifar10")
    assert "cifar-10-python.tar.gz is damaged: downloading it again" in caplog.text
    assert archive_in(private_cache).read_bytes() == published


def test_an_archive_put_into_the_cache_folder_by_hand_is_used(mirrors, published, private_cache):
    archive_in(private_cache).parent.mkdir(parents=True)
    archive_in(private_cache).write_bytes(published)
    load("cifar10")
    assert not mirrors.asked


def test_of_two_downloads_at_once_one_is_made_and_both_are_served(
    mirrors, published, private_cache
):
    mirrors.answers["/first"] = (200, published)
    mirrors.go_on.clear()
    results: list[bytes] = []

    def fetch() -> None:
        results.append(download.downloaded(cifar10.PUBLISHED).read_bytes())

    threads = [threading.Thread(target=fetch) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    mirrors.go_on.set()
    for thread in threads:
        thread.join()
    assert results == [published] * 3
    assert mirrors.asked == ["/first"]


def test_a_cache_folder_without_room_is_named(mirrors, published, private_cache, monkeypatch):
    mirrors.answers["/first"] = (200, published)
    monkeypatch.setattr(download._Received, "write", raises(OSError(28, "No space left on device")))
    with pytest.raises(
        DataError, match=r"cannot keep CIFAR-10 in .*archive \(No space left on dev"
    ):
        load("cifar10")
    assert not [path for path in private_cache.rglob("*") if path.is_file()]


def test_the_mirrors_name_the_archive_and_are_encrypted():
    assert len(cifar10.PUBLISHED.mirrors) > 1
    for url in cifar10.PUBLISHED.mirrors:
        assert url.startswith("https://") and cifar10.PUBLISHED.name in url
