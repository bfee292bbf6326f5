"""``fcsweep.find_lr``: the losses are those of runs, and the suggestion follows from them."""

import csv
import sys

import numpy as np
import pytest
import torch

import fcsweep
from fcsweep.data.choice import data_of
from fcsweep.find_lr.__main__ import main, rates_between
from fcsweep.find_lr.drawing import chart
from fcsweep.find_lr.suggestion import suggest
from fcsweep.find_lr.training import Losses, losses_of
from fcsweep.messages.errors import ConfigError
from fcsweep.run.build import solver_of


@pytest.fixture
def said(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["find_lr", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, *capfd.readouterr()

    return call


def made_up(means, start=2.3):
    """Losses with these means, which scatter otherwise than those before training."""
    scatter = np.linspace(-0.01, 0.01, 10)
    blocks = np.array(means, float) - scatter[:, None]
    return Losses([10.0**n for n in range(-3, len(means) - 3)], blocks, start + scatter, 14)


@pytest.mark.parametrize("rule", ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"])
def test_each_rate_has_the_loss_of_a_net_that_is_trained_alone(rule):
    config = fcsweep.compose([f"optimizer={rule}", "model=three_layer", "data.num_train=300"])
    rates = [1e-3, 1e-2, 1e30]
    found = losses_of(config, rates)
    again = losses_of(config, rates)
    assert found.mean.tolist()[:2] == again.mean.tolist()[:2] and found.steps == 3
    config.optimizer.learning_rate = rates[1]
    config.solver.num_epochs = 1
    alone = solver_of([config], data_of(config), torch.device("cpu"))
    start = alone.model.loss(alone.X_train[None], alone.y_train[None])[0].item()
    assert found.start.mean() == pytest.approx(start, rel=1e-6)
    for _ in alone.epochs():
        pass
    loss = alone.model.loss(alone.X_train[None], alone.y_train[None])[0].item()
    assert found.mean[1] == pytest.approx(loss, rel=1e-6)


def test_a_net_that_diverges_has_no_loss():
    config = fcsweep.compose(["model=five_layer", "data.num_train=200"])
    found = losses_of(config, [0.1, 1e20], epochs=2)
    assert np.isnan(found.mean).tolist() == [False, True] and found.steps == 4


SUGGESTIONS = {
    "a third": ([2.3, 1.5, 0.4, 0.9], 0.033, "a third of 0.1, which has the least loss, 0.4000"),
    "diverging": ([2.3, 1.5, np.nan], 0.0033, "(2.3000 before); 0.1 diverges"),
    "the end": ([2.3, 1.5, 0.4], 0.033, "the range ends there: try --to 100"),
    "the beginning": ([0.4, 1.5, 2.4], 0.00033, "the range ends there: try --from 1e-06"),
    "nothing learns": ([2.3, 2.2999, 2.31], None, "is not below the 2.3000 before training"),
    "nothing is finite": ([np.nan] * 3, None, "every rate diverges; try --from 1e-06"),
}


@pytest.mark.parametrize(("means", "rate", "words"), SUGGESTIONS.values(), ids=SUGGESTIONS)
def test_the_suggestion_and_its_reason(means, rate, words):
    suggestion = suggest(made_up(means))
    assert suggestion.rate == rate and words in suggestion.reason


def test_the_chart_fits_a_terminal_and_marks_what_diverged():
    found = made_up([2.3, 1.5, 0.4, np.nan])
    lines = chart(found, suggest(found)).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].endswith("|   x") and lines[1] == "2.3000 |*"
    assert lines[12] == "0.4000 |  *" and lines[13] == "  loss +----"
    wide = Losses(rates_between(1e-6, 100, 64), np.ones((10, 64)), np.ones(10), 1)
    assert max(map(len, chart(wide, suggest(wide)).splitlines())) <= 80


@pytest.mark.slow
def test_as_a_command(said, tmp_path):
    words = ["optimizer=adam", "data.num_train=300", "--count", "8", "--from", "1e-4", "--to", "1"]
    code, out, err = said(*words, "--csv", "a.csv", "--png", "a.png", "--svg", "a.svg")
    assert (code, err) == (0, "")
    first, *_, suggestion, command = out.splitlines()
    assert first == "8 learning rates, two_layer, adam, digits, 1 epoch"
    rate = suggestion.removeprefix("suggestion: ").partition(",")[0]
    told = f"python -m fcsweep optimizer=adam data.num_train=300 optimizer.learning_rate={rate}"
    assert command == told
    with open("a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["learning_rate"]) for row in rows] == rates_between(1e-4, 1, 8)
    least = min(rows, key=lambda row: float(row["loss"]))
    assert float(rate) == float(f"{float(least['learning_rate']) / 3:.2g}")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
    assert said(*words)[:2] == (0, out)  # the same again


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["optimizer=adm"], "did you mean adam?"),
        (["--from", "1", "--to", "0.1"], "--from is 1 and --to is 0.1; expected 0 < from < to"),
        (["--count", "7"], "--count is 7; expected 8 to 64"),
        (["--epochs", "0"], "--epochs is 0; expected a whole number >= 1"),
        (["--png", "a.jpg"], "--png is a.jpg; expected a file that ends in .png"),
        (["--from", "1", "--to", "1.001"], "has no 49 rates of three digits; widen it"),
    ],
)
def test_a_mistake_is_one_line(said, words, told):
    code, out, err = said(*words)
    assert (code, out) == (1, "") and told in err and err.count("\n") == 1


def test_a_stack_that_does_not_fit_is_one_line(said, monkeypatch):
    def lacks(*arguments):
        raise MemoryError

    monkeypatch.setattr("fcsweep.find_lr.training.solver_of", lacks)
    code, _, err = said()
    assert code == 1 and err == (
        "error: 49 nets of this size do not fit in memory; take fewer by --count\n"
    )


def test_what_is_no_range_is_refused():
    with pytest.raises(ConfigError):
        rates_between(0.0, 1.0, 10)
