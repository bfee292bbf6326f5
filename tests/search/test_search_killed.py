"""A search whose trials hold more than a number is killed, and goes on as if it were not."""

from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from support.marks import one_quick
from support.toy_app import killed_sweep, sweep, told

from fcsweep.search import constrain, note


class Shade(Enum):
    """JSON has no form for it."""

    DARK = 1
    LIGHT = 2


CONFIG = {"x": 0.0, "rule": "a", "shade": Shade.DARK, "places": [Path("a"), b"b", float("nan")]}
SEARCH = [
    "x=interval(-1,1)",
    "rule=a,b",
    "hydra/sweeper/sampler=nsgaii",
    "hydra.sweeper.sampler.seed=1",
    "hydra.sweeper.sampler.population_size=4",
    "hydra.sweeper.direction=[minimize,maximize]",
    "hydra.sweeper.n_trials=12",
    "hydra.sweeper.n_jobs=3",
    "hydra.sweeper.max_failure_rate=1.0",
]


def task(cfg):
    """Two objectives in an array, with notes and a constraint."""
    note("square", cfg.x**2)
    note("text", f"{cfg.rule} {cfg.shade.name}")
    constrain("limit", cfg.x - 0.5)
    if cfg.x < -0.8:
        raise ArithmeticError("too small")
    return np.array([cfg.x**2, cfg.x if cfg.rule == "a" else -np.inf])


def known(study):
    """All that a study knows of its trials."""
    trials = study.get_trials(deepcopy=False)
    return told(study), [trial.user_attrs for trial in trials], [one.constraints for one in trials]


@pytest.fixture(autouse=True)
def restored(hydra_restore_singletons):
    """Hydra as it was."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    study = sweep(folder, task, CONFIG, *SEARCH)
    return known(study), (folder / "study.journal").read_bytes().count(b"\n")


@pytest.mark.slow
def test_what_the_others_are_compared_with_has_notes_constraints_and_both_ends(whole):
    trials, notes, constraints = whole[0]
    assert {state for _, state, _, _ in trials} == {"COMPLETE", "FAIL"} and len(trials) == 12
    assert {one["text"] for one in notes} == {"a DARK", "b DARK"}
    assert [one["limit"] + 0.5 for one in constraints] == pytest.approx(
        [params["x"] for _, _, params, _ in trials]
    )


NINE = [0.02, 0.1, 0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.95]


@pytest.mark.parametrize("part", one_quick([0.4, *NINE]))
def test_it_goes_on_as_if_it_were_not(part, whole, tmp_path):
    expected, lines = whole
    assert killed_sweep(tmp_path, int(part * lines), task, CONFIG, *SEARCH)
    assert known(sweep(tmp_path, task, CONFIG, *SEARCH)) == expected
