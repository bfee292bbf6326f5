"""What a job tells of its trial: its values, notes and constraints; and `sys.exit`."""

import csv
import math
import signal
import sys
from fractions import Fraction

import numpy as np
import optuna
import pytest
import torch
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from optuna.storages import RDBStorage
from support.marks import one_quick
from support.toy_app import multirun, study_of, sweep

from fcsweep.report.foreign_study import read_study
from fcsweep.report.page import write
from fcsweep.search import constrain, note, trial_number, trial_params
from fcsweep.search.study.trial import TAKEN, numbers_in

X = ["x=interval(-1,1)", "hydra.sweeper.sampler.seed=1", "hydra.sweeper.n_jobs=1"]
FREE = "hydra.sweeper.max_failure_rate=1.0"
FOUR = "hydra.sweeper.n_trials=4"


@pytest.fixture(autouse=True)
def restored(hydra_restore_singletons):
    """Hydra as it was."""


def number():
    return HydraConfig.get().job.num


# --- What a task returns --------------------------------------------------------------------------

SEVERAL = [
    np.array([1.0, 2.0]),
    torch.tensor([1.0, 2.0], requires_grad=True),
    {"loss": 1, "accuracy": 2}.values(),
    (float(one) for one in (1, 2)),
    map(float, (1, 2)),
    [np.float32(1), torch.tensor(2.0)],
    (np.int64(1), Fraction(2)),
    range(1, 3),
]
NO_NUMBERS = ["12", b"12", {1: 1.0, 2: 2.0}, {1.0, 2.0}, np.ones((2, 2)), [1, "2"], [1, None], None]


@pytest.mark.slow
def test_several_values_in_whatever_holds_them(tmp_path, capsys):
    ways = "hydra.sweeper.direction=[minimize,maximize]"
    ends = [*SEVERAL, *NO_NUMBERS, (1.0, math.nan), (math.inf, 9.0), (0.5, 0.0)]
    count = f"hydra.sweeper.n_trials={len(ends)}"
    study = sweep(tmp_path, lambda cfg: ends[number()], {"x": 0.0}, *X, FREE, count, ways)
    whole = [trial.values for trial in study.trials]
    assert whole == [[1.0, 2.0]] * 8 + [None] * 10 + [[0.5, 0.0]]
    last = capsys.readouterr().out.splitlines()[-1]
    front = ", ".join(f"{n} (1, 2)" for n in range(5))
    assert last == f"Pareto front: 9 of 19 trials: {front} and 4 more in optimization_results.yaml"


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), torch.tensor(0.5), [0.5], np.array([0.5])])
def test_one_value_alone_or_in_a_list(value):
    assert numbers_in(value) == (0.5,)


@pytest.mark.parametrize("sampler", one_quick(["tpe", "random", "gp", "qmc", "nsgaii"]))
@pytest.mark.parametrize(("way", "worst"), [("minimize", math.inf), ("maximize", -math.inf)])
def test_a_penalty_tells_the_sampler_and_is_never_the_best(sampler, way, worst, tmp_path):
    ends = [worst, 0.5, worst, 0.25, worst, 0.75]
    count = f"hydra.sweeper.n_trials={len(ends)}"
    fields = [f"hydra.sweeper.direction={way}", f"hydra/sweeper/sampler={sampler}", count]
    if sampler in ("tpe", "gp"):
        fields.append("hydra.sweeper.sampler.n_startup_trials=2")
    study = sweep(tmp_path, lambda cfg: ends[number()], {"x": 0.0}, *X, *fields)
    assert [trial.value for trial in study.trials] == ends
    assert study.best_value == {"minimize": 0.25, "maximize": 0.75}[way]
    assert sum(trial["value"] is not None for trial in read_study(tmp_path).trials) == 3


@pytest.mark.slow
def test_what_is_not_finite_ends_no_search_and_is_told(tmp_path, capsys):
    ends = [math.nan, -math.inf, math.nan, 0.5]
    study = sweep(tmp_path, lambda cfg: ends[number()], {"x": 0.0}, *X, FOUR)
    assert [trial.state.name for trial in study.trials] == ["FAIL"] * 3 + ["COMPLETE"]
    said = capsys.readouterr().out
    assert said.count("the task returned nan, which is not finite") == 1
    assert "all 4 trials done: 1 completed, 3 failed" in said and "best: trial 3, 0.5" in said


@pytest.mark.slow
def test_a_search_without_a_finite_value_says_so(tmp_path, capsys):
    sweep(tmp_path / "a", lambda cfg: math.inf, {"x": 0.0}, *X, FOUR)
    assert capsys.readouterr().out.endswith("no trial has a finite value\n")
    results = yaml.safe_load((tmp_path / "a" / "optimization_results.yaml").read_text())
    assert results["best_trial"] is None and results["trials"]["completed"] == 4
    with pytest.raises(CompactHydraException, match=r"^all 4 trials failed; the first: .* nan"):
        sweep(tmp_path / "b", lambda cfg: math.nan, {"x": 0.0}, *X, FOUR)


@pytest.mark.slow
def test_sys_exit_ends_a_job_and_not_the_sweep(tmp_path):
    codes = [3, "no data", 0, None]
    task = lambda cfg: sys.exit(codes[number()]) if number() < 4 else 0.5  # noqa: E731
    study = sweep(tmp_path, task, {"x": 0.0}, *X, FREE, "hydra.sweeper.n_trials=5")
    reasons = [trial.user_attrs.get("reason") for trial in study.trials]
    nothing = "the task returned null; expected a number"
    assert reasons == [
        "the task called sys.exit(3)",
        "the task called sys.exit('no data')",
        nothing,
        nothing,
        None,
    ]
    assert study.trials[4].value == 0.5


def test_sys_exit_by_a_signal_ends_the_sweep(tmp_path):
    def task(cfg):
        sys.exit(128 + signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        sweep(tmp_path, task, {"x": 0.0}, *X, FREE, FOUR)
    assert ended.value.code == 143
    assert [trial.state.name for trial in study_of(tmp_path).trials] == ["RUNNING"]


# --- Notes and constraints ------------------------------------------------------------------------


def telling(cfg):
    """Notes what it knows; the value is bad where the constraint is met."""
    assert trial_number() == number() and trial_params() == {"x": cfg.x}
    note("accuracy", 0.0)
    note("accuracy", np.float64(number() / 8))
    note("kind", "a, b" if number() else "c")
    note("good", number() > 1)
    constrain("limit", 1 if number() < 2 else -1.0)
    constrain("limit", torch.tensor(number() - 1.5) * -1)
    return float(number())


NOTES = {
    "accuracy": ["0.0", "0.125", "0.25", "0.375"],
    "good": ["False", "False", "True", "True"],
    "kind": ["c", "a, b", "a, b", "a, b"],
    "constraint.limit": ["1.5", "0.5", "-0.5", "-1.5"],
}


@pytest.mark.parametrize("kept", one_quick(["journal", "database"]))
def test_notes_and_constraints_are_in_study_table_and_page(kept, tmp_path, capsys):
    url = f"sqlite:///{tmp_path}/a.db"
    place = [] if kept == "journal" else [f"hydra.sweeper.storage={url}"]
    folder = tmp_path / "s"
    multirun(folder, telling, {"x": 0.0}, "hydra/sweeper=optuna", *X, FOUR, *place)
    said = capsys.readouterr().out
    storage = RDBStorage(url) if place else study_of(folder)._storage
    study = optuna.load_study(study_name="s", storage=storage)
    assert [one.user_attrs["accuracy"] for one in study.trials] == [0.0, 0.125, 0.25, 0.375]
    assert [one.constraints["limit"] for one in study.trials] == [1.5, 0.5, -0.5, -1.5]
    assert study.best_trial.number == 2 and "best: trial 2, 2" in said
    text = (folder / "trials.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert {name: [row[name] for row in rows] for name in NOTES} == NOTES
    assert list(rows[0])[-5:] == ["folder", *NOTES]
    assert set(read_study(folder).noted) == {f"notes.{name}" for name in NOTES}
    page = write(folder).read_text()
    assert "constraint.limit" in page and "accuracy" in page and "Trial 2 has value 2" in page


@pytest.mark.slow
def test_a_search_whose_constraints_are_never_met(tmp_path, capsys):
    def task(cfg):
        constrain("never", 1)
        return 0.0, 1.0

    ways = "hydra.sweeper.direction=[minimize,minimize]"
    sweep(tmp_path, task, {"x": 0.0}, *X, FOUR, ways)
    assert capsys.readouterr().out.endswith("none of 4 trials meets its constraints\n")
    assert read_study(tmp_path).front() == []


@pytest.mark.slow
def test_the_notes_of_a_job_that_was_killed_are_kept_once(tmp_path):
    lives = []

    def task(cfg):
        lives.append(number())
        note("lives", len(lives))
        constrain("limit", float(len(lives)))
        if len(lives) == 2:
            raise KeyboardInterrupt
        return 0.5

    three = "hydra.sweeper.n_trials=3"
    with pytest.raises(SystemExit, match="130"):
        sweep(tmp_path, task, {"x": 0.0}, *X, three)
    study = sweep(tmp_path, task, {"x": 0.0}, *X, three)
    assert lives == [0, 1, 1, 2]
    assert [one.user_attrs["lives"] for one in study.trials] == [1, 3, 4]
    assert [one.constraints for one in study.trials] == [{"limit": n} for n in (1.0, 3.0, 4.0)]


def test_outside_a_search_nothing_happens():
    assert trial_number() is None and trial_params() == {}
    note("accuracy", 0.5)
    constrain("limit", 0.5)


@pytest.mark.parametrize(
    ("tell", "error"),
    one_quick(
        [
            (
                lambda: note("history", [1, 2]),
                "TypeError: note 'history' is [1, 2]; expected a number",
            ),
            (lambda: note("x", 1), "ValueError: a note is named 'x'; expected a name other than"),
            (lambda: note("reason", "a"), "ValueError: a note is named 'reason'; expected a name"),
            (lambda: note("", 1), "ValueError: a note is named ''; expected a name other"),
            (
                lambda: constrain("a", math.nan),
                "ValueError: constraint 'a' is nan; expected a number",
            ),
            (
                lambda: constrain("a", [1, 2]),
                "TypeError: constraint 'a' is [1, 2]; expected a number",
            ),
        ]
    ),
)
def test_what_cannot_be_noted_is_said(tell, error, tmp_path):
    with pytest.raises(CompactHydraException) as failed:
        sweep(tmp_path, lambda cfg: tell() or 0.0, {"x": 0.0}, *X, FOUR)
    assert error in str(failed.value)


def test_the_names_that_are_taken_are_those_of_the_sweeper():
    from fcsweep.search import pruning, results
    from fcsweep.search.study import study, trial

    own = {pruning.PRUNED_AT, results.FOLDER, trial.RETURNED, study.REASON, study.COUNTS}
    assert own | {"number", "status"} == TAKEN
