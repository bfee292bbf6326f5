"""What a run shows: a line an epoch, or on a terminal a table."""

import io

import pytest
from rich.console import Console
from support.short_runs import config_of

from fcsweep.records.formats import HistoryRow, Report, Result
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
        with run_view.shown("outputs/x", config_of()) as show:
            assert not show(reports(1, 0.25, 0.25))
            assert not show(reports(2, None, 0.25))
            assert not show(reports(3, 0.75, 0.75))
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


def test_a_table_on_a_terminal(printed):
    text = printed(True)
    for word in ("train accuracy", "learning rate", "0.7500", "3/3", "best val accuracy"):
        assert word in text


def test_how_a_run_ended():
    assert run_view.ending(Result("val_accuracy")) == "no val accuracy yet"
    diverged = Result("val_accuracy", status="diverged", reason="the loss is not finite")
    assert run_view.ending(diverged) == "diverged: the loss is not finite"
