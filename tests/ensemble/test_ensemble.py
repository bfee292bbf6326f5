"""``fcsweep.ensemble``: the right members, the right scores, and what is left out."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file
from support.report_pages import page_of
from support.short_runs import config_of, prepared, result_of

import fcsweep.evaluate as evaluation
from fcsweep import data
from fcsweep.config import RunConfig, SklearnConfig, SolverConfig, read
from fcsweep.data.choice import measured
from fcsweep.ensemble.__main__ import ensemble, main
from fcsweep.ensemble.candidates import Candidates
from fcsweep.ensemble.selection import select
from fcsweep.evaluate import evaluate, evaluate_ensemble
from fcsweep.messages.errors import FolderError
from fcsweep.records.models.ensemble import read as read_ensemble
from fcsweep.records.reader import read_json
from fcsweep.records.sweep_table import Row
from fcsweep.run import run
from fcsweep.trained import ensembles

ACTIVATIONS = {
    "relu": torch.relu,
    "leaky_relu": torch.nn.functional.leaky_relu,
    "tanh": torch.tanh,
    "gelu": torch.nn.functional.gelu,
}


def model(config, **keys):
    return replace(config, model=replace(config.model, **keys))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Six trials of four shapes, two losses and two types."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("runs") / "sweep"
    configs = [
        config_of(0.02),
        config_of(0.05, seed=1),
        model(config_of(0.05), activation="tanh"),
        model(config_of(0.05), activation="gelu", hidden_dims=[30]),
        model(config_of(0.01), loss_function="svm", activation="leaky_relu"),
        replace(config_of(0.02, seed=2), dtype="float64"),
    ]
    for number, config in enumerate(configs):
        run(config, prepared(folder / str(number), config))
    return folder


@pytest.fixture
def sweep(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "sweep"))


def probabilities(folder, X):
    """By the formulas, in float64."""
    config, params = read(folder / ".hydra/config.yaml"), load_file(folder / "best.safetensors")
    x, last = X.double(), len(params) // 2
    for layer in range(1, last + 1):
        x = x @ params[f"W{layer}"].double() + params[f"b{layer}"].double()
        x = ACTIVATIONS[config["model"]["activation"]](x) if layer < last else x
    return x.softmax(-1)


def mean_accuracy(sweep, weights, X, y):
    each = [w * probabilities(sweep / str(trial), X) for trial, w in weights.items()]
    mean = torch.stack(each).sum(0)
    return (mean.argmax(-1) == y).double().mean().item()


def said(capsys, monkeypatch, program, *words):
    monkeypatch.setattr(sys, "argv", ["program", *map(str, words)])
    try:
        program()
    except SystemExit as stop:
        assert stop.code == 1
    return capsys.readouterr()


# --- Selection ------------------------------------------------------------------------------------


def by_hand(P, y, rounds):
    """Caruana's loop in NumPy, one candidate at a time."""
    added, path = [], []
    for _ in range(rounds):
        tried = []
        for k in range(len(P)):
            mean = np.mean([P[j] for j in [*added, k]], axis=0)
            likelihood = np.log(mean[np.arange(len(y)), y]).mean()
            tried.append(((mean.argmax(-1) == y).mean(), likelihood))
        added.append(max(range(len(P)), key=lambda k: tried[k]))
        path.append(tried[added[-1]])
    return added[: path.index(max(path)) + 1], max(path)[0]


@pytest.mark.parametrize("seed", range(4))
def test_the_selection_is_greedy_with_replacement(seed):
    draw = np.random.default_rng(seed)
    y = draw.integers(0, 4, 60)
    scores = draw.normal(0, 1, (9, 60, 4)) + 0.7 * np.eye(4)[y]
    P = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    found = select(torch.tensor(P), torch.tensor(y), rounds=12)
    added, reached = by_hand(P, y, rounds=12)
    assert found.counts == {k: added.count(k) for k in added}
    values = (P.argmax(-1) == y).mean(-1)
    assert found.values == pytest.approx(list(values)) and found.best == values.argmax()
    assert reached >= values.max() and len(set(added)) < len(added)


def test_many_candidates_are_scored_in_blocks(monkeypatch):
    draw = torch.Generator().manual_seed(0)
    P = torch.rand(7, 50, 3, generator=draw, dtype=torch.float64).softmax(-1)
    y = torch.randint(3, (50,), generator=draw)
    whole = select(P, y, rounds=5)
    monkeypatch.setattr("fcsweep.ensemble.selection.BLOCK", 320)
    assert select(P, y, rounds=5) == whole


# --- A sweep --------------------------------------------------------------------------------------


def test_the_scores_are_those_of_averaged_probabilities(sweep, capsys, monkeypatch):
    made = ensemble(sweep)
    weights = {one.trial: one.weight for one in made.members}
    assert len(weights) > 1 and sum(weights.values()) == pytest.approx(1)
    loaded = data.load("digits")
    splits = {"validation": (loaded.X_val, loaded.y_val), "test": data.load_test("digits")}
    for split, (X, y) in splits.items():
        score = made.scores[split]
        assert score.rows == len(y) == 200
        assert score.ensemble == pytest.approx(mean_accuracy(sweep, weights, X, y))
        assert score.best == pytest.approx(mean_accuracy(sweep, {made.best.trial: 1}, X, y))
    values = [result_of(sweep / str(trial))["best_val_accuracy"] for trial in range(6)]
    assert made.best.trial == values.index(max(values)) and made.best.value == max(values)
    assert made.scores["validation"].ensemble > max(values)
    assert [one.value for one in made.members] == [values[one.trial] for one in made.members]
    assert read_ensemble(sweep / "ensemble.json") == made
    assert "further_scores" not in read_json(sweep / "ensemble.json")
    capsys.readouterr()
    out = said(capsys, monkeypatch, evaluation.main, sweep / "ensemble.json").out.splitlines()
    test = made.scores["test"].ensemble
    assert out[0] == f"ensemble of {len(weights)} trials of {sweep}"
    assert out[3] == f"test        {test:.4f}  ({test * 200:.0f} of 200)"


def test_the_test_rows_decide_nothing(sweep, monkeypatch):
    first = ensemble(sweep)
    X, y = data.load_test("digits")
    monkeypatch.setattr(evaluation, "held_out_of", lambda config: (X.to(torch.float64), 9 - y))
    other = ensemble(sweep)
    assert (
        other.members == first.members
        and other.scores["validation"] == (first.scores["validation"])
    )
    assert other.scores["test"] != first.scores["test"]


def test_what_cannot_be_a_member_is_left_out_and_counted(sweep, capsys, monkeypatch):
    (sweep / "0/history.csv").write_text("damaged")
    (sweep / "1/best.safetensors").unlink()
    for trial, status in {2: "failed", 3: "running"}.items():
        file = sweep / str(trial) / "result.json"
        file.write_text(file.read_text().replace('"completed"', f'"{status}"'))
        (sweep / str(trial) / "provenance.json").unlink()
    out, err = said(capsys, monkeypatch, main, sweep)
    counts = "1 damaged, 1 without best.safetensors, 1 failed, 1 running"
    assert out.startswith(f"2 of 6 trials; left out: {counts}\n") and err == ""
    assert {one["trial"] for one in read_json(sweep / "ensemble.json")["members"]} <= {4, 5}


def test_trials_on_other_data_are_named(sweep, capsys, monkeypatch):
    config = config_of()
    config.data.num_train = 500
    for number in (6, 7):
        run(config, prepared(sweep / str(number), config))
    out, _ = said(capsys, monkeypatch, main, sweep)
    first, second, *_ = out.splitlines()
    assert first == "6 of 8 trials; left out: 2 on other data"
    assert second == "left out: 6, 7, trained on other data than 0"


def test_of_many_trials_on_other_data_ten_are_named():
    trials = [[Row(n, "completed", 0.5, {}, 1.0, Path(str(n)), {}, "")] for n in range(15)]
    assert Candidates(trials[:3], "a", {}, trials[3:]).other_data == (
        "left out: 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 2 more, trained on other data than 0"
    )


def test_of_more_than_fit_in_memory_the_best_are_tried(sweep, monkeypatch):
    memory = psutil.virtual_memory()._replace(available=2 * 8 * 200 * 10 * 3)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    made = ensemble(sweep)
    assert made.candidates == 3 and made.left_out == {"more than fit in memory": 3}
    values = sorted(result_of(sweep / str(trial))["value"] for trial in range(6))
    assert min(one.value for one in made.members) >= values[3]


# --- What it leaves -------------------------------------------------------------------------------


def test_the_page_shows_what_it_brings(sweep):
    assert "Ensemble" not in page_of(sweep).text()
    (sweep / "report.html").write_text("an older page")
    made = ensemble(sweep)
    page = (sweep / "report.html").read_text()
    for score in made.scores.values():
        assert f"<td>{score.ensemble:.4f}</td>" in page and f"<td>{score.best:.4f}</td>" in page
        assert f"<td>{score.ensemble - score.best:+.4f}</td>" in page
    assert f"best trial: {made.best.trial}" in page_of(sweep).text()
    assert "on the validation rows, which flatter it" in page_of(sweep).text()


def forged(path):
    path.write_text(path.read_text().replace('"rounds": 50', '"rounds": 51'))


def trained_again(path):
    member = read_json(path)["members"][0]["trial"]
    config = config_of(0.07, seed=9)
    shutil.rmtree(path.parent / str(member))
    run(config, prepared(path.parent / str(member), config))


@pytest.mark.parametrize(
    "spoil, words, on_page",
    [
        (forged, "ensemble.json cannot be read: ValueError: it changed after", "it changed after"),
        (lambda path: path.write_text("{"), "ensemble.json cannot be read", "cannot be read"),
        (trained_again, "is not the one that", "are not as they were"),
    ],
)
def test_an_ensemble_that_has_changed_is_one_line(
    sweep, capsys, monkeypatch, spoil, words, on_page
):
    ensemble(sweep)
    spoil(sweep / "ensemble.json")
    capsys.readouterr()
    out, err = said(capsys, monkeypatch, evaluation.main, sweep / "ensemble.json")
    assert out == "" and words in err and err.count("\n") == 1
    page = page_of(sweep)
    assert "The ensemble is left out" in page.text() and on_page in page.text()
    assert "best trial:" not in page.text()


def test_data_that_have_changed_are_one_line(sweep, monkeypatch):
    ensemble(sweep)
    changed = replace(data.load("digits"), fingerprint="0" * 64)
    monkeypatch.setattr(ensembles, "data_of", lambda config: changed)
    for call in (lambda: ensemble(sweep), lambda: evaluate_ensemble(sweep / "ensemble.json")):
        with pytest.raises(FolderError, match="was trained on other data than data=digits has now"):
            call()


@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_nets_with_a_normalization_are_members(tmp_path, kind):
    for number in range(2):
        config = model(config_of(0.02, seed=number), normalization=kind if number else "none")
        run(config, prepared(tmp_path / str(number), config))
    made = ensemble(tmp_path)
    found = dict.fromkeys(range(2), 0.0)
    for number in found:
        correct, rows = evaluate(tmp_path / str(number))["validation"]
        found[number] = correct / rows
    assert made.best.value == max(found.values())
    assert all(one.value == found[one.trial] for one in made.members)


def test_without_test_rows_it_says_so(tmp_path, capsys):
    config = RunConfig(
        data=SklearnConfig("iris", test_fraction=0.0), solver=SolverConfig(batch_size=20)
    )
    for number in range(2):
        run(replace(config, seed=number), prepared(tmp_path / str(number), measured(config)))
    made = ensemble(tmp_path)
    assert [*made.scores] == ["validation"]
    assert "flatter them; there are no test rows" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["."], ["nowhere"], ["{sweep}/0"], ["{sweep}", "--rounds", "0"]])
def test_a_mistake_is_one_line(sweep, capsys, monkeypatch, words):
    given = [word.format(sweep=sweep) for word in words]
    out, err = said(capsys, monkeypatch, main, *given)
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1
    assert ("--rounds is 0; expected 1 to 1,000" if len(words) > 1 else given[0]) in err
    assert ("is not a folder; expected that of a sweep" in err) == (words == ["nowhere"])
    assert not (sweep / "ensemble.json").exists()
