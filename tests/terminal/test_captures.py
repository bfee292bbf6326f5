"""What a terminal shows of a grid and of a search, from the first line to the last."""

import os
import re
import subprocess
import sys

import pytest
from support import preloaded
from support.terminals import on_terminal

pytest.importorskip("pyte")

FCSWEEP = [sys.executable, "-W", "error", "-m", "fcsweep"]
QUICK = ["data.num_train=50", "solver.batch_size=50", "model.hidden_dims=[8]", "solver.lr_decay=1"]
GRID = ["-m", *QUICK, "solver.num_epochs=30", "optimizer.learning_rate=0.1,0.5,1e9"]
SEARCH = [
    *("-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=14", "hydra.sweeper.n_jobs=7"),
    *("optimizer.learning_rate=tag(log,interval(1e-3,1))", "hydra.sweeper.sampler.seed=0"),
    *("model.weight_scale=tag(log,interval(1e-4,1))", *QUICK, "hydra.sweep.dir=s"),
]


def seen(shown, pattern):
    """The lines that fit a pattern, of all screens."""
    found = (re.search(pattern, line) for screen in shown.screens for line in screen)
    return [match.group() for match in found if match]


@pytest.mark.parametrize("columns", [80, pytest.param(120, marks=pytest.mark.slow)])
def test_a_grid_is_a_stack_with_a_bar_and_ends_with_a_table(columns, tmp_path):
    # Long enough for a bar: what ends at once has none.
    words = [*GRID, "solver.num_epochs=300", "hydra.sweep.dir=s", "hydra.verbose=true"]
    shown = on_terminal([*FCSWEEP, *words], tmp_path, columns)
    assert shown.code == 0 and shown.screens[0][0] == "starting ..."
    assert seen(shown, r"^epoch +\d+/300 ━+") and seen(shown, r"^ +0 .* \d+/300 ")
    assert "starting ..." not in shown.text and "Traceback" not in shown.text
    end = shown.lines[shown.lines.index("s") :]
    assert sum("completed" in line for line in end) == 3 and len(end) <= 12
    assert end[-2].startswith("best: s/") and end[-1] == "report: s/report.html"
    assert not re.search(r"font|site-packages", "\n".join(end))


@pytest.mark.parametrize("columns", [80, pytest.param(120, marks=pytest.mark.slow)])
def test_a_search_shows_its_trials_and_ends_within_a_screen(columns, tmp_path):
    shown = on_terminal([*FCSWEEP, *SEARCH, "solver.num_epochs=20"], tmp_path, columns)
    assert shown.code == 0
    assert seen(shown, r"^trials +\d+/14 ━.* \d:\d\d:\d\d")
    assert seen(shown, r"^best: trial \d+, \d\.\d{4} \(")
    running = seen(shown, r"^  trial \d+: (step \d+, \d\.\d+|no report yet) \(.*")
    assert running and max(map(len, running)) <= columns
    assert len(shown.lines) <= 20 and shown.lines[0] == "study s: 14 trials"
    assert shown.lines[1].startswith("all 14 trials done: ")
    assert "10 best of 14, best first; 4 more in s/trials.csv" in shown.lines
    text = " ".join(shown.lines)
    assert re.search(r"best: s/\d+ \(\d\.\d{4}\), weight_scale \S+, learning_rate \S+", text)
    assert shown.lines[-1] == "report: s/report.html"


@pytest.mark.slow
def test_ctrl_c_leaves_a_table_and_says_how_to_go_on(tmp_path):
    def strike(screen):
        return any(re.match(r"  trial \d+: step", line) for line in screen)

    words = [*SEARCH, "solver.num_epochs=100000", "solver.eval_every=10"]
    shown = on_terminal([*FCSWEEP, *words], tmp_path, strike=strike)
    assert shown.code == 130
    text = "".join(shown.lines)
    assert text.endswith(" hydra.sweep.dir=s") and "Traceback" not in text
    assert "interrupted; to go on: python -m fcsweep -m hydra/sweeper=optuna" in text
    assert any("7 interrupted" in line for line in shown.lines) and len(shown.lines) <= 24
    assert not [line for line in shown.lines if line.startswith("trials ")]  # the display has gone


def test_without_a_terminal_there_are_lines(tmp_path):
    done = preloaded.run(
        [*FCSWEEP, *GRID, "hydra.sweep.dir=s"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and "\x1b" not in done.stdout and "\r" not in done.stdout
    assert lines[0].startswith("stack of 3: two_layer (8), sgd, digits -> s/0 to 2")
    assert sum(line.startswith("epoch ") for line in lines) == 30
    assert lines[-1] == "report: s/report.html" and lines[-2].startswith("best: s/")
