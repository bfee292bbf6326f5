"""What a stack shows: a line an epoch, or on a terminal a table; of many trials the best."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from support.short_runs import config_of

from fcsweep.records.events import Report
from fcsweep.records.formats import HistoryRow, Result
from fcsweep.terminal import stack_view


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
        monkeypatch.setattr(stack_view, "Screen", lambda **_: console)
        configs = [config_of(0.1 * (n + 1)) for n in range(count)]
        with stack_view.StackView() as view:
            view.started(configs, [Path("s") / str(n) for n in range(count)])
            for one in told:
                view.epoch(one)
            view.ended([])
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
        "trial 2, learning_rate 0.3: diverged: not finite",
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
    assert text.count("1/3") == rows + 1  # and the bar


@pytest.mark.parametrize("width", [80, 120])
def test_a_trial_is_one_line_and_below_is_a_bar(width, monkeypatch):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, highlight=False)
    monkeypatch.setattr(stack_view, "Screen", lambda **_: console)
    configs = [
        replace(one, model=replace(one.model, weight_scale=0.1 / 3**n))
        for n, one in enumerate(config_of(0.0123456789 * (n + 1)) for n in range(8))
    ]
    with stack_view.StackView() as view:
        view.started(configs, [Path("s") / str(n) for n in range(8)])
        view.epoch(reports(1, [0.5] * 8))
        view.epoch(reports(2, [0.75] * 8))
        view.epoch([])
        out.seek(0)
        out.truncate()
    shown = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", out.getvalue().partition("trial 0,")[0])
    head, *rows, counts, bar = [line.strip() for line in shown.split("\n") if line.strip()]
    assert [row.split()[0] for row in rows] == list("01234567")
    assert rows[7].split()[1:4] == ["4.572e-05", "0.09877", "2/3"]
    assert "learning_ra" in head and counts == "8 training"
    assert re.fullmatch(r"epoch 2/3 ━+\S*━* (\d+:\d\d:\d\d|-:--:--)", bar)


def test_a_stack_of_which_nothing_was_told(printed):
    assert printed(False, 2).splitlines() == [
        "stack of 2: fully_connected (20-10), momentum, digits -> s/0 to 1"
    ]
