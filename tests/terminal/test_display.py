"""What a run shows: a line an epoch, or on a terminal a table."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from support.short_runs import config_of

from fcsweep.records.events import Report
from fcsweep.records.formats import HistoryRow, Result
from fcsweep.terminal import run_view


def reports(epoch, val, best=None):
    row = HistoryRow(epoch, 14 * epoch, 2.3 / epoch, 0.5, val, 0.1)
    return [Report(0, row, Result("val_accuracy", value=best, best_epoch=epoch if best else None))]


@pytest.fixture
def printed(monkeypatch):
    """What the display prints, to a terminal or not."""

    def of(terminal):
        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal, width=100, highlight=False)
        monkeypatch.setattr(run_view, "Screen", lambda **_: console)
        with run_view.RunView("outputs/x") as view:
            view.started([config_of()], [Path("outputs/x")])
            view.epoch(reports(1, 0.25, 0.25))
            view.epoch(reports(2, None, 0.25))
            view.epoch(last := reports(3, 0.75, 0.75))
            view.ended([report.result for report in last])
        return out.getvalue()

    return of


def test_plain_lines(printed):
    assert printed(False).splitlines() == [
        "fully_connected (20-10), momentum (learning_rate 0.1), digits, seed 0 -> outputs/x",
        "epoch 1/3  loss 2.3       train 0.5000  val 0.2500",
        "epoch 2/3  loss 1.15      train 0.5000  val -",
        "epoch 3/3  loss 0.7667    train 0.5000  val 0.7500",
        "best val accuracy 0.7500 at epoch 3",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_resumed_run_says_where_it_goes_on(terminal, monkeypatch):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, highlight=False)
    monkeypatch.setattr(run_view, "Screen", lambda **_: console)
    with run_view.RunView("outputs/x") as view:
        view.started([config_of()], [Path("outputs/x")])
        view.epoch(reports(2, 0.5))
        view.epoch(reports(3, 0.75))
    assert out.getvalue().count("resumed after epoch") == 1
    assert "resumed after epoch 1\n" in out.getvalue()


def test_a_table_on_a_terminal(printed):
    text = printed(True)
    heads = "val loss", "train accuracy", "learning rate"
    for word in (*heads, "0.7500", "3/3", "best val accuracy"):
        assert word in text


def test_how_a_run_ended():
    assert run_view.ending(Result("val_accuracy")) == "no val accuracy yet"
    diverged = Result("val_accuracy", status="diverged", reason="the loss is not finite")
    assert run_view.ending(diverged) == "diverged: the loss is not finite"
