"""What a stack shows: a line an epoch, or on a terminal a table; of many trials the best."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from test_run import config_of

from fcsweep import board
from fcsweep.hooks import Report
from fcsweep.records import HistoryRow, Result


def reports(epoch, values, **statuses):
    row = HistoryRow(epoch, 14 * epoch, 2.3 / epoch, 0.5, 0.25, 0.1)
    return [
        Report(n, row, Result("val_accuracy", value=value, best_epoch=value and epoch, status=s))
        for n, value in enumerate(values)
        for s in [statuses.get(f"t{n}", "running")]
    ]


@pytest.fixture
def printed(monkeypatch):
    """What is printed of these reports, to a terminal or not."""

    def of(terminal, count, *told):
        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal, width=120, highlight=False)
        monkeypatch.setattr(board, "Screen", lambda **_: console)
        configs = [config_of(0.1 * (n + 1)) for n in range(count)]
        with board.shown_stack([Path("s") / str(n) for n in range(count)], configs) as hook:
            for one in told:
                assert not hook(one)
        return out.getvalue()

    return of


def test_plain_lines(printed):
    ended = reports(2, [0.5, 0.75, None], t0="completed", t1="pruned", t2="diverged")
    ended[1].result.reason, ended[2].result.reason = "pruned after epoch 2", "not finite"
    assert printed(False, 3, reports(1, [0.5, 0.25, None]), ended, []).splitlines() == [
        "stack of 3: fully_connected (20-10), momentum, digits -> s/0 to 2",
        "epoch 1/3  best val accuracy 0.5000 (trial 0)  3 training",
        "epoch 2/3  best val accuracy 0.7500 (trial 1)  1 completed, 1 pruned, 1 diverged",
        "trial 0, learning_rate 0.1: best 0.5000 at epoch 2",
        "trial 1, learning_rate 0.2: best 0.7500 at epoch 2; pruned: pruned after epoch 2",
        "trial 2, learning_rate 0.30000000000000004: diverged: not finite",
    ]


def test_many_are_counted_and_the_best_are_shown(printed):
    values = [n / 100 for n in range(30)]
    lines = printed(False, 30, reports(3, values, t0="completed")).splitlines()
    assert lines[1] == "epoch 3/3  best val accuracy 0.2900 (trial 29)  1 completed, 29 training"
    assert [line.split(",")[0] for line in lines[2:-1]] == [f"trial {n}" for n in range(29, 24, -1)]
    assert lines[-1] == "1 completed, 29 training"


@pytest.mark.parametrize(("count", "rows"), [(3, 3), (20, 20), (21, 5)])
def test_a_table_on_a_terminal(printed, count, rows):
    text = printed(True, count, reports(1, [0.5] * count))
    assert f"{count} training" in text and "learning_rate" in text
    assert text.count("1/3") == rows


def test_a_stack_of_which_nothing_was_told(printed):
    assert printed(False, 2).splitlines() == [
        "stack of 2: fully_connected (20-10), momentum, digits -> s/0 to 1"
    ]
