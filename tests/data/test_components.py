"""``data.components``, ``data.whiten``: images by their principal components."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from support.short_runs import config_of, prepared

from fcsweep.config import DigitsConfig, SolverConfig
from fcsweep.data import SETS, DataError, load, load_test
from fcsweep.data.cache import cache_folder
from fcsweep.data.images.image_set import Images
from fcsweep.data.images.loading import _load, normalization, projection
from fcsweep.data.images.principal_components import PrincipalComponents, components_of
from fcsweep.evaluate import evaluate
from fcsweep.export.writing import export
from fcsweep.kernels.threads import with_threads
from fcsweep.rerun.repeat import rerun
from fcsweep.run import run
from fcsweep.trained.runs import read_trained


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    """A cache folder of the test's own, and nothing left in memory."""
    monkeypatch.setenv("FCSWEEP_CACHE", str(tmp_path / "cache"))
    _load.cache_clear()


def images(n: int, d: int, seed: int = 0) -> Images:
    draw = np.random.default_rng(seed)
    mixed = draw.normal(size=(n, d)) @ draw.normal(size=(d, d)) * 20 + 128
    return Images(mixed.clip(0, 255).astype(np.uint8), np.zeros(n, np.uint8))


def test_scikit_learn_finds_the_same_components():
    data, pixels = load("digits", components=12), load("digits").X_train.numpy()
    theirs = PCA(12).fit(pixels.astype(float))
    for X, of in ((data.X_train, pixels), (data.X_val, load("digits").X_val.numpy())):
        expected = theirs.transform(of)
        signs = np.sign((expected * X.numpy()).sum(0))
        np.testing.assert_allclose(X.numpy(), signs * expected, atol=1e-5)
    along = components_of("digits", SETS["digits"].read().first(1397)).directions
    assert (along.gather(0, along.abs().argmax(0, keepdim=True)) > 0).all()


def test_whitened_components_have_a_share_of_unit_variance():
    """``variance / (variance + whiten)``; all of it where that is much, whatever the variance."""
    plain, white = load("digits", components=30).X_train, load("digits", components=30, whiten=0.01)
    variances = plain.double().var(0, correction=0)
    found = white.X_train.double().var(0, correction=0)
    torch.testing.assert_close(found, variances / (variances + 0.01), rtol=1e-5, atol=0)
    assert load("digits", whiten=0.01).X_train.shape[1] == 64


@pytest.mark.parametrize("val_rows", [None, 1_400])
@pytest.mark.parametrize("whiten", [None, 0.1])
def test_the_test_rows_are_projected_by_the_training_rows(whiten, val_rows):
    split = {"val_rows": val_rows}
    W, b = projection("digits", 9, whiten, **split)
    X, y = load_test("digits", components=9, whiten=whiten, dtype=torch.float64, **split)
    expected = load_test("digits", dtype=torch.float64, **split)[0] @ W + b
    torch.testing.assert_close(X, expected)
    torch.testing.assert_close(y, load_test("digits")[1])


def test_a_row_has_the_same_bits_in_any_company():
    """Whatever rows are in use, and in however many threads."""
    some, found = images(5_000, 60), []
    for threads in (1, 2):
        with with_threads(threads):
            along = PrincipalComponents.of(some)
            W = along.matrix(20, 0.1, 255)
            found += [along.project(some.first(n), W)[:700] for n in (5_000, 1_025, 700)]
    assert all(torch.equal(one, found[0]) for one in found[1:])


def test_the_covariance_has_one_rounding():
    """Bright and dark pixels, whose products are the largest, in more rows than float32 can add."""
    draw = np.random.default_rng(0)
    pixels = draw.choice(np.array([0, 1, 254, 255], np.uint8), size=(3_000, 8))
    along = PrincipalComponents.of(Images(pixels, pixels[:, 0]))
    whole = pixels.astype(np.int64)
    exact = len(whole) * whole.T @ whole - np.outer(whole.sum(0), whole.sum(0))
    found, theirs = np.linalg.eigh(exact / len(whole) ** 2)
    assert torch.equal(along.mean, torch.from_numpy(whole.sum(0) / len(whole)))
    np.testing.assert_allclose(abs(along.directions.numpy()), abs(theirs[:, ::-1]), atol=1e-12)
    np.testing.assert_allclose(along.variances.numpy(), found[::-1], rtol=1e-12)


def test_the_fingerprint_tells_how_they_are_made():
    ways = [(None, None), (3, None), (4, None), (4, 0.1), (4, 0.2), (None, 0.1)]
    fingerprints = {load("digits", components=k, whiten=w).fingerprint for k, w in ways}
    assert len(fingerprints) == len(ways)


@pytest.mark.parametrize("number", [0, 65])
def test_other_numbers_are_refused(number):
    with pytest.raises(DataError, match=f"data.components={number}: digits has 64 pixels"):
        load("digits", components=number)


@pytest.mark.parametrize("whiten", [0.0, -1.0, float("nan"), float("inf")])
def test_what_whitens_is_a_number_above_zero(whiten):
    with pytest.raises(DataError, match=f"data.whiten={whiten}: expected a number > 0"):
        load("digits", whiten=whiten)


def test_a_copy_spares_the_second_process_the_search(caplog):
    caplog.set_level(logging.INFO)
    first = load("digits", components=5).X_train
    (copy,) = (cache_folder() / "copies").glob("digits-components*")
    for damage, searches in ((None, 1), (b"no tensors", 2)):
        if damage:
            copy.write_bytes(damage)
        _load.cache_clear()
        assert torch.equal(load("digits", components=5).X_train, first)
        told = [one for one in caplog.messages if one.startswith("finding the principal")]
        assert len(told) == searches


def test_each_split_has_a_copy_of_its_own(caplog):
    caplog.set_level(logging.INFO)
    for val_rows in (200, 400, 200, 400):
        _load.cache_clear()
        load("digits", components=5, val_rows=val_rows)
    told = [one for one in caplog.messages if one.startswith("finding the principal")]
    assert told == [f"finding the principal components of {n} images" for n in ("1,397", "1,197")]


def test_a_run_on_components_is_evaluated_repeated_and_exported(tmp_path, capsys):
    config = config_of()
    of = DigitsConfig(components=16, whiten=0.1, val_fraction=0.2)
    config = replace(config, data=of, solver=SolverConfig(num_epochs=8))
    folder = prepared(tmp_path / "run", config)
    result = run(config, folder)
    scores = evaluate(folder)
    assert scores is not None
    right, rows = scores["validation"]
    assert rows == 319 and right / rows == pytest.approx(result.best_val_accuracy)
    assert rerun([folder])
    assert "identical" in capsys.readouterr().out
    exported = export(read_trained(folder), tmp_path / "out")
    assert "validation rows" in exported.compared
    written = json.loads((tmp_path / "out" / "preprocessing.json").read_text())
    assert written["mean"] == normalization("digits", val_rows=319)["mean"]
    text = (tmp_path / "out" / "model.py").read_text()
    assert "x: (n, 64)" in text and "nn.Linear(64, 20)" in text


def test_sizes_follow():
    assert DigitsConfig(components=16, whiten=0.1).inputs == 16
    assert DigitsConfig().inputs == DigitsConfig(whiten=0.1).inputs == 64
