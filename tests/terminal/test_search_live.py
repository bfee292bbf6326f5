"""What a search shows in place while it runs: a line each, on a narrow terminal, too."""

import io
import re

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from rich.console import Console

from fcsweep.search.outcomes import Outcome
from fcsweep.terminal import search_view

KEYS = ["model.weight_scale", "optimizer.learning_rate", "model.reg", "optimizer.momentum"]
SPACE = {key: FloatDistribution(1e-4, 1.0, log=True) for key in KEYS}


@pytest.fixture
def said(monkeypatch):
    """What reaches the terminal."""
    said, options = io.StringIO(), {"force_terminal": True, "color_system": None, "width": 80}
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(
        search_view, "Console", lambda **given: Console(**given, **options, file=said)
    )
    return said


@pytest.fixture
def progress(said):
    """Of a search of 200 trials, 8 of which are running."""
    study = optuna.create_study(direction="maximize")
    progress = search_view.LiveProgress(study, 200, ".4f")
    for number in range(96):
        study.ask(SPACE)
        state = TrialState.PRUNED if number % 4 else TrialState.COMPLETE
        value = 1.0 if number == 12 else number / 200
        study.tell(number, value if state is TrialState.COMPLETE else None, state=state)
        progress.ended(number, Outcome(state, (value,)))
    progress.started([study.ask(SPACE).number for _ in range(8)])
    progress.reported(96, 3, 0.98)
    return progress


def lines(progress, width):
    out = io.StringIO()
    Console(width=width, file=out, color_system=None).print(progress.shown())
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_every_line_fits(width, progress):
    progress.began -= 3723
    bar, counts, best, *running = lines(progress, width)
    assert re.fullmatch(r"trials  96/200 ━{14} {17}\d:\d\d:\d\d about \d:\d\d:\d\d left *", bar)
    assert counts.strip() == "24 completed, 72 pruned, 8 running"
    assert best.startswith("best: trial 12, 1.0000 (weight_scale 0.")
    assert [line.split(":")[0] for line in running] == [f"  trial {n}" for n in range(96, 104)]
    assert running[0].startswith("  trial 96: step 3, 0.9800 (weight_scale 0.")
    assert running[1].startswith("  trial 97: no report yet (weight_scale 0.")
    assert {"…" in line for line in (best, *running)} == {width == 80}


def test_a_failure_is_told_once_above_and_counted(progress, said):
    for number in (96, 97, 98, 99):
        reason = "no data" if number == 99 else f"RuntimeError: of {number}"
        progress.study.tell(number, state=TrialState.FAIL)
        progress.ended(number, Outcome(TrialState.FAIL, reason=reason))
    assert re.findall(r"trial (\d+): failed", said.getvalue()) == ["96", "99"]
    assert "24 completed, 72 pruned, 4 failed, 4 running" in lines(progress, 80)[1]
    assert progress.failures() == ["2 more trials failed as trial 96"]


def test_what_was_running_when_it_ended_was_interrupted(progress):
    ended = "96 of 200 trials: 24 completed, 72 pruned, 8 interrupted"
    assert progress.summary() == ended
    assert progress.summary("target 1.0 reached at trial 12") == (
        f"stopped: target 1.0 reached at trial 12; {ended}"
    )
    progress.n_trials = 96
    assert progress.summary().startswith("all 96 trials done: 24 completed, 72 pruned")


def test_nothing_of_it_stays(progress, said):
    with progress:
        height = len(lines(progress, 80))
    assert said.getvalue().endswith("\x1b[1A\x1b[2K" * height)
