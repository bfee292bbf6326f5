"""Searches as commands: killed, stopped and started again, in an app of ten lines and in ours."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from support import preloaded
from support.toy_app import command, kill_when, make_app, run, study_of, told

APP = """\
import hydra
from fcsweep.search import should_prune

@hydra.main(version_base="1.3", config_path=".", config_name="config")
def task(cfg):
    with open(hydra.core.hydra_config.HydraConfig.get().sweep.dir + "/starts", "a") as starts:
        starts.write(f"{hydra.core.hydra_config.HydraConfig.get().job.num}\\n")
    for step in range(3):
        if should_prune((cfg.x - 1) ** 2 + cfg.y + step, step):
            break
    return (cfg.x - 1) ** 2 + cfg.y

task()
"""
"""The app of ten lines, keeping count of its starts."""

SEARCH = [
    "hydra.sweep.dir=s",
    "hydra.sweeper.sampler.seed=3",
    "hydra.sweeper.n_jobs=4",
    "hydra/sweeper/pruner=median",
    "hydra.sweeper.pruner.n_startup_trials=4",
]


def lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def records(folder: Path) -> Sequence[tuple[object, ...]]:
    return told(study_of(folder / "s"))


def starts(folder: Path) -> Counter[str]:
    path = folder / "s" / "starts"
    return Counter(path.read_text().split()) if path.exists() else Counter()


@pytest.mark.slow
def test_a_search_of_another_app_is_killed_and_goes_on(tmp_path):
    arguments = [*SEARCH, "hydra.sweeper.n_trials=6"]
    whole = make_app(tmp_path / "whole", APP)
    run(whole, *arguments)
    app = make_app(tmp_path / "cut", APP)
    journal = app.parent / "s" / "study.journal"
    assert kill_when(command(app, *arguments), app.parent, lambda: lines(journal) > 28)
    ended = [trial for trial in records(app.parent) if trial[1] != "RUNNING"]
    said = run(app, *arguments)
    assert f"resuming study s: {len(ended)} finished, " in said
    assert records(app.parent) == records(whole.parent)
    assert len([count for count in starts(app.parent).values() if count > 1]) <= 1
    assert set(starts(whole.parent).values()) == {1}
    refused = run(app, *arguments, "hydra.sweeper.direction=maximize", code=1)
    assert "direction: ['minimize'], now ['maximize']" in refused and "Traceback" not in refused


@pytest.mark.slow
def test_a_search_of_another_app_is_killed_at_nine_points(tmp_path):
    arguments = [*SEARCH, "hydra.sweeper.n_trials=8"]
    whole = make_app(tmp_path / "whole", APP)
    run(whole, *arguments)
    total = lines(whole.parent / "s" / "study.journal")
    assert len(records(whole.parent)) == 8
    for point in range(9):
        app = make_app(tmp_path / str(point), APP)
        journal = app.parent / "s" / "study.journal"
        most = 2 + point * (total - 6) // 9
        assert kill_when(command(app, *arguments), app.parent, lambda: lines(journal) > most)  # noqa: B023
        before = starts(app.parent)
        run(app, *arguments)
        assert records(app.parent) == records(whole.parent)
        twice = [number for number, count in starts(app.parent).items() if count > 1]
        assert len(twice) <= 1 and set(twice) <= set(before)


def slower(seconds: float) -> str:
    return APP.replace("    for step", f"    __import__('time').sleep({seconds})\n    for step")


@pytest.mark.slow
def test_another_search_in_the_same_folder_is_refused(tmp_path):
    app = make_app(
        tmp_path, APP.replace("    for step", "    import time; time.sleep(20)\n    for step")
    )
    first = preloaded.Popen(
        command(app, *SEARCH), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(lambda: starts(tmp_path))
        said = run(app, *SEARCH, "hydra.sweeper.n_jobs=3", code=1)
        assert "other settings (n_jobs: 4, now 3)" in said and "Traceback" not in said
    finally:
        first.kill()
        first.wait()


@pytest.mark.slow
def test_ctrl_c_writes_what_was_found(tmp_path):
    app = make_app(
        tmp_path, APP.replace("    for step", "    import time; time.sleep(.3)\n    for step")
    )
    first = preloaded.Popen(
        command(app, *SEARCH), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        _wait_for(lambda: len(starts(tmp_path)) >= 6)
        began = time.monotonic()
        first.send_signal(signal.SIGINT)
        first.wait(10)
        assert time.monotonic() - began < 2
    finally:
        first.kill()
        first.communicate()
    found = yaml.safe_load((tmp_path / "s" / "optimization_results.yaml").read_text())
    assert found["trials"]["running"] == 4 and found["trials"]["completed"] == 4
    rows = list(csv.DictReader((tmp_path / "s" / "trials.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == ["completed"] * 4 + ["running"] * 4
    assert (tmp_path / "s" / "multirun.yaml").exists()


def _wait_for(reached):
    until = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < until
        time.sleep(0.01)


# --- The search of our own program ----------------------------------------------------------------

OURS = [
    sys.executable,
    "-W",
    "error",
    "-m",
    "fcsweep",
    "-m",
    "hydra/sweeper=optuna",
    "hydra/sweeper/pruner=median",
    "hydra.sweeper.pruner.n_startup_trials=3",
    "hydra.sweeper.sampler.seed=2",
    "hydra.sweeper.n_jobs=4",
    "hydra.sweep.dir=s",
    "data=synthetic",
    "data.num_train=40",
    "data.num_val=20",
    "solver.num_epochs=4",
    "solver.batch_size=20",
    "model.hidden_dims=[8]",
    "optimizer.learning_rate=tag(log,interval(1e-3,100))",
    "model.weight_scale=tag(log,interval(1e-3,1))",
]


def ours(folder: Path, *overrides: str) -> str:
    done = preloaded.run(
        [*OURS, *overrides],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def trained(folder: Path) -> dict[str, int]:
    """When each finished run of a sweep wrote its result, in nanoseconds."""
    found = {}
    for path in (folder / "s").glob("*/result.json"):
        if json.loads(path.read_text())["status"] not in ("running", "interrupted"):
            found[path.parent.name] = path.stat().st_mtime_ns
    return found


@pytest.mark.slow
def test_our_own_search_is_killed_at_three_points_and_goes_on(tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    ours(whole, "hydra.sweeper.n_trials=12")
    expected = records(whole)
    assert {state for _, state, _, _ in expected} >= {"COMPLETE", "PRUNED"}
    total = lines(whole / "s" / "study.journal")
    for part in (0.15, 0.5, 0.8):
        cut = tmp_path / str(part)
        cut.mkdir()
        journal = cut / "s" / "study.journal"
        most = int(part * total)
        assert kill_when(
            [*OURS, "hydra.sweeper.n_trials=12"],
            cut,
            lambda: lines(journal) > most,  # noqa: B023
        )
        before = trained(cut)
        assert "resuming study s: " in ours(cut, "hydra.sweeper.n_trials=12")
        assert records(cut) == expected
        after = trained(cut)
        assert {number: after[number] for number in before} == before
        assert len(after) == 12


@pytest.mark.slow
def test_a_search_that_is_refused_its_folder_leaves_it_as_it_is(tmp_path):
    words = ["-m", "hydra/sweeper=optuna", "hydra.sweep.dir=s", "hydra.sweeper.n_trials=2"]
    words += ["solver.num_epochs=1", "hydra.sweeper.sampler.seed=0"]
    program = [sys.executable, "-m", "fcsweep"]
    first = [*program, *words, "model.weight_scale=interval(0.1,1)"]
    preloaded.run(first, cwd=tmp_path, check=True, capture_output=True)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    other = [*program, *words, "model.weight_scale=tag(log,interval(0.1,2))"]
    said = preloaded.run(other, cwd=tmp_path, capture_output=True, text=True)
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (1, "", 1)
    assert "model.weight_scale: 0.1 to 1.0, now 0.1 to 2.0, log" in said.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
