"""MNIST and Fashion-MNIST from small IDX files that a test writes, and from a mirror of its own."""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from support.mirrors import Mirrors, serving
from support.programs import Command, said

from fcsweep.config import MnistConfig
from fcsweep.data import SETS, DataError, load, load_test, require
from fcsweep.data.images import loading, mnist
from fcsweep.data.images.loading import normalization

TRAIN, VAL, TEST = 60, 20, 30
NAMES = ("mnist", "fashion_mnist")
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Files of 80 and 30 images, and a cache of the test's own."""
    monkeypatch.setenv("FCSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(mnist, "ROWS", {"train": TRAIN + VAL, "t10k": TEST})
    for name in NAMES:
        monkeypatch.setitem(SETS, name, replace(SETS[name], sizes=(TRAIN, VAL, TEST)))
    loading._load.cache_clear()
    yield
    loading._load.cache_clear()


def idx(values: np.ndarray, shape: tuple[int, ...] | None = None, kind: int = 8) -> bytes:
    """An IDX file that says it holds ``shape``."""
    axes = np.array(shape or values.shape, ">u4")
    return bytes([0, 0, kind, len(axes)]) + axes.tobytes() + values.tobytes()


def made(seed: int = 0) -> dict[str, np.ndarray]:
    """Images and labels by the name of their file."""
    draw = np.random.default_rng(seed)
    arrays = {}
    for part, rows in (("train", TRAIN + VAL), ("t10k", TEST)):
        arrays[f"{part}-images-idx3-ubyte"] = draw.integers(0, 256, (rows, 28, 28), np.uint8)
        arrays[f"{part}-labels-idx1-ubyte"] = draw.integers(0, 10, rows, np.uint8)
    return arrays


def write(folder: Path, packed: bool = True, seed: int = 0) -> Path:
    folder.mkdir(parents=True)
    for name, values in made(seed).items():
        raw = idx(values)
        file = folder / (f"{name}.gz" if packed else name)
        file.write_bytes(gzip.compress(raw, 1) if packed else raw)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_the_files_split_scaled_and_centred(name, tmp_path):
    arrays, root = made(), write(tmp_path / "here")
    data = load(name, root=root, dtype=torch.float64)
    pixels = torch.from_numpy(arrays[IMAGES]).double().div(255).reshape(-1, 784)
    mean = pixels[:TRAIN].mean()
    torch.testing.assert_close(data.X_train, pixels[:TRAIN] - mean)
    torch.testing.assert_close(data.X_val, pixels[TRAIN:] - mean)
    assert data.y_train.tolist() + data.y_val.tolist() == arrays[LABELS].tolist()
    X, y = load_test(name, root=root, dtype=torch.float64)
    tests = torch.from_numpy(arrays["t10k-images-idx3-ubyte"]).double().div(255)
    torch.testing.assert_close(X, tests.reshape(-1, 784) - mean)
    assert y.tolist() == arrays["t10k-labels-idx1-ubyte"].tolist()
    assert normalization(name, root=root) == {"white": 255, "mean": [pytest.approx(mean.item())]}


def test_files_may_be_unpacked_or_where_torchvision_keeps_them(tmp_path):
    places = [
        write(tmp_path / "packed"),
        write(tmp_path / "plain", packed=False),
        write(tmp_path / "torch" / "MNIST" / "raw").parent.parent,
    ]
    assert len({load("mnist", root=place).fingerprint for place in places}) == 1
    other = write(tmp_path / "other", seed=1)
    assert load("mnist", root=other).fingerprint != load("mnist", root=places[0]).fingerprint
    assert load("fashion_mnist", root=other).fingerprint != load("mnist", root=other).fingerprint
    with pytest.raises(DataError, match="holds no Fashion-MNIST, expected train-images-idx3-ubyte"):
        load("fashion_mnist", root=places[2])


def test_a_copy_serves_until_a_file_changes(tmp_path, monkeypatch):
    root = write(tmp_path / "here")
    first = load("mnist", root=root)
    loading._load.cache_clear()
    read = mnist._images
    monkeypatch.setattr(mnist, "_images", None)
    assert load("mnist", root=root).fingerprint == first.fingerprint
    monkeypatch.setattr(mnist, "_images", read)
    raw = idx(made(seed=1)[IMAGES])
    (root / f"{IMAGES}.gz").write_bytes(gzip.compress(raw))
    assert load("mnist", root=root).fingerprint != first.fingerprint


GOOD = made()
BAD = {
    "a web page": (IMAGES, b"<!DOCTYPE html>" * 20, "starts with b'<!DO', expected b'"),
    "no bytes": (IMAGES, b"", "starts with b''"),
    "half a header": (IMAGES, idx(GOOD[IMAGES])[:10], r"its shape is \(80, \d+, 0\), expected"),
    "other numbers": (IMAGES, idx(GOOD[IMAGES], kind=13), r"starts with b'\\x00\\x00\\r\\x03'"),
    "labels as images": (IMAGES, idx(GOOD[LABELS]), r"starts with b'\\x00\\x00\\x08\\x01'"),
    "10 GB claimed": (IMAGES, idx(GOOD[IMAGES], (80, 11_000, 11_000)), r"its shape is \(80, 11000"),
    "2**96 bytes claimed": (IMAGES, idx(GOOD[IMAGES], (2**32 - 1,) * 3), r"\(4294967295, 42949"),
    "fewer rows": (IMAGES, idx(GOOD[IMAGES][:79]), r"its shape is \(79, 28, 28\), expected \(80, "),
    "a byte less": (IMAGES, idx(GOOD[IMAGES])[:-1], "holds 62719 values, expected 62720"),
    "a byte more": (IMAGES, idx(GOOD[IMAGES]) + b"x", "holds more than 62720 values"),
    "much more": (IMAGES, idx(GOOD[IMAGES]) + b"x" * 9_000, "has 71736 bytes, expected at most 6"),
    "without end": (IMAGES, gzip.compress(bytes(10**6)), "starts with b'.x00.x00.x00.x00', expec"),
    "packed, too long": (IMAGES, gzip.compress(idx(GOOD[IMAGES]) + bytes(10**5)), "holds more tha"),
    "packed, cut": (IMAGES, gzip.compress(idx(GOOD[IMAGES]), 1)[:900], "is damaged or truncated"),
    "packed, changed": (
        LABELS,
        gzip.compress(idx(GOOD[LABELS]))[:-8] + b"x" * 8,
        "is damaged or truncated",
    ),
    "label 10": (LABELS, idx(GOOD[LABELS] // 10 + 10), "has label 10 in row 0, expected 0 to 9"),
}


@pytest.mark.parametrize(("name", "raw", "expected"), BAD.values(), ids=BAD)
def test_bad_files_are_named(name, raw, expected, tmp_path):
    root = write(tmp_path / "here", packed=False)
    (root / name).write_bytes(raw)
    with pytest.raises(DataError, match=expected) as error:
        load("mnist", root=root)
    assert name in str(error.value) and "\n" not in str(error.value)
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_a_claim_costs_no_memory(tmp_path):
    """A small file that unpacks to 20 MB and claims 10 GB."""
    import tracemalloc

    root = write(tmp_path / "here")
    bomb = idx(np.zeros(2 * 10**7, np.uint8), (80, 11_000, 11_000))
    (root / f"{IMAGES}.gz").write_bytes(gzip.compress(bomb, 1))
    del bomb
    load("digits")
    tracemalloc.start()
    with pytest.raises(DataError, match="expected at most|its shape is"):
        load("mnist", root=root)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


def test_places_without_the_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"data\.root=.*nowhere: there is no such file or folder"):
        load("mnist", root=tmp_path / "nowhere")
    root = write(tmp_path / "here")
    (root / f"{LABELS}.gz").unlink()
    with pytest.raises(DataError, match="holds no MNIST, expected train-images-idx3-ubyte.gz and"):
        load("mnist", root=root)
    with pytest.raises(DataError, match="holds no MNIST"):
        load("mnist", root=root / f"{IMAGES}.gz")


@pytest.fixture
def mirrors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrors]:
    """One that has nothing and one that has all, in the place of the published files."""
    with serving() as server:
        parts = {}
        for part, files in mnist._MNIST.published.items():
            parts[part] = tuple(_small(server, file) for file in files)
        small = replace(mnist._MNIST, published=parts)
        kept = {"find": small.find, "read": small.read, "require": small.require}
        monkeypatch.setitem(SETS, "mnist", replace(SETS["mnist"], **kept))
        yield server


def _small(server: Mirrors, file: mnist.Published) -> mnist.Published:
    name = Path(file.name).name
    raw = gzip.compress(idx(made()[name.removesuffix(".gz")]), 1, mtime=0)
    server.answers |= {f"/empty/{name}": (404, b""), f"/full/{name}": (200, raw)}
    urls = tuple(server.url(f"/{mirror}/{name}") for mirror in ("empty", "full"))
    return replace(file, bytes=len(raw), sha256=sha256(raw).hexdigest(), mirrors=urls)


def test_the_files_of_a_part_are_downloaded_once(mirrors, tmp_path):
    require("mnist")
    asked = [f"/{mirror}/{name}.gz" for name in (IMAGES, LABELS) for mirror in ("empty", "full")]
    assert mirrors.asked == asked
    first = load("mnist")
    assert first.fingerprint == load("mnist", root=write(tmp_path / "here")).fingerprint
    assert sorted(one.name for one in (tmp_path / "cache" / "archive" / "mnist").glob("*.gz")) == [
        f"{IMAGES}.gz",
        f"{LABELS}.gz",
    ]
    assert mirrors.asked == asked
    load_test("mnist")
    assert len(mirrors.asked) == 8
    for file in (tmp_path / "cache" / "archive" / "mnist").glob("*.gz"):
        file.unlink()
    loading._load.cache_clear()
    require("mnist")
    assert load("mnist").fingerprint == first.fingerprint  # the copy is enough
    assert len(mirrors.asked) == 8


def test_a_mirror_with_other_bytes_is_not_believed(mirrors, tmp_path):
    status, raw = mirrors.answers[f"/full/{IMAGES}.gz"]
    mirrors.answers[f"/full/{IMAGES}.gz"] = (status, raw[:-1] + b"x")
    with pytest.raises(DataError, match="MNIST is not on .*sent another file, its sha256 is wrong"):
        load("mnist")
    assert not list((tmp_path / "cache").rglob("*.gz"))


def test_what_is_published():
    """The sizes in a file are part of what its sha256 promises; mirrors name the file."""
    assert MnistConfig.published == (50_000, 10_000, 10_000)
    for one in (mnist._MNIST, mnist._FASHION_MNIST):
        files = [file for part in one.published.values() for file in part]
        assert [Path(file.name).stem for file in files] == list(made())
        assert {Path(file.name).parent.name for file in files} == {one.name}
        for file in files:
            assert len(file.sha256) == 64 and len(file.mirrors) > 1
            assert all(url.endswith(f"/{Path(file.name).name}") for url in file.mirrors)
            assert file.mirrors[0].startswith("https://")


@pytest.mark.slow
def test_mnist_trains_in_a_sweep(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "ROWS", {"train": 60_000, "t10k": 10_000})
    draw = np.random.default_rng(0)
    root = tmp_path / "real"
    root.mkdir()
    for part, rows in mnist.ROWS.items():
        pixels = draw.integers(0, 256, (rows, 28, 28), np.uint8)
        labels = (pixels[:, 0, 0] > 127).astype(np.uint8)
        (root / f"{part}-images-idx3-ubyte").write_bytes(idx(pixels))
        (root / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    sizes = ["data.num_train=200", "data.num_val=100", "solver.num_epochs=2"]
    grid = ["fcsweep", "-m", "data=mnist,fashion_mnist", "seed=0,1", f"data.root={root}", *sizes]
    words = [[*grid, "hydra.sweep.dir=g"], ["evaluate", "g/3"]]
    ended = [one for line in words for one in said([Command(line, str(tmp_path))], quick=False)]
    assert [one.code for one in ended] == [0, 0], ended
    assert "of 10,000)" in ended[1].out
