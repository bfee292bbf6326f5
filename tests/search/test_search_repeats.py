"""``hydra.sweeper.repeats``: a trial is trained with several seeds, and judged by all of them."""

import csv
import json
import logging
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev

import optuna
import pytest
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from support.kill_points import killed_at_every_place
from support.toy_app import killed_sweep, study_of, sweep, told

from fcsweep.cli.main import main
from fcsweep.messages.errors import ConfigError, StudyError
from fcsweep.records import load_runs
from fcsweep.search import pruning
from fcsweep.search.study import trial
from fcsweep.search.study.duplicates import REUSED
from fcsweep.search.study.repeats import Repeats
from fcsweep.search.study.study import REASON

THREE = [
    "x=interval(-1,1)",
    "hydra.sweeper.sampler.seed=1",
    "hydra.sweeper.repeats=3",
    "hydra.sweeper.max_failure_rate=1.0",
]
CONFIG = {"x": 0.0, "seed": 5}


@pytest.fixture(autouse=True)
def restored(hydra_restore_singletons):
    """Hydra as it was."""


def trials(count, jobs=2):
    return [f"hydra.sweeper.n_trials={count}", f"hydra.sweeper.n_jobs={jobs}"]


def number():
    return HydraConfig.get().job.num


@pytest.mark.slow
def test_a_trial_is_several_jobs_with_the_seeds_that_follow(tmp_path):
    ran = []

    def task(cfg):
        ran.append((number(), cfg.x, cfg.seed))
        return cfg.x + cfg.seed

    study = sweep(tmp_path, task, CONFIG, *THREE, *trials(3))
    assert [job for job, *_ in ran] == list(range(9))
    assert [seed for *_, seed in ran] == [5, 6, 7] * 3
    for one in study.trials:
        values = [x + seed for job, x, seed in ran if job // 3 == one.number]
        assert {x for job, x, _ in ran if job // 3 == one.number} == {one.params["x"]}
        assert one.values == [fmean(values)]
        assert one.user_attrs["repeats.values"] == values and one.user_attrs["std"] == stdev(values)
    rows = list(csv.DictReader((tmp_path / "trials.csv").read_text().splitlines()))
    assert list(rows[0]) == ["number", "status", "value", "x", "seconds", "folder", "std"]
    assert [Path(row["folder"]) for row in rows] == [tmp_path / one for one in "036"]
    results = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    best = results["best_trial"]
    assert Path(results["best_dir"]) == tmp_path / str(3 * best)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, direction, value",
    [
        ("mean", "minimize", 4.0),
        ("median", "minimize", 2.0),
        ("worst", "minimize", 9.0),
        ("worst", "maximize", 1.0),
    ],
)
def test_how_values_become_one(tmp_path, kind, direction, value):
    keys = f"hydra.sweeper.repeats_as={kind}", f"hydra.sweeper.direction={direction}"
    study = sweep(tmp_path, lambda cfg: (2, 9, 1)[cfg.seed - 5], CONFIG, *THREE, *trials(1), *keys)
    assert study.trials[0].values == [value]


@pytest.mark.slow
def test_several_objectives_are_aggregated_one_by_one(tmp_path):
    keys = "hydra.sweeper.direction=[minimize,maximize]", "hydra.sweeper.repeats_as=worst"
    task = lambda cfg: (cfg.seed, cfg.seed)  # noqa: E731
    study = sweep(tmp_path, task, CONFIG, *THREE, *trials(1), *keys)
    assert study.trials[0].values == [7, 5]


@pytest.mark.slow
def test_a_repeat_that_fails_fails_its_trial(tmp_path):
    def task(cfg):
        if number() == 4:
            raise ArithmeticError("by chance")
        return cfg.x

    study = sweep(tmp_path, task, CONFIG, *THREE, *trials(3))
    assert [one.state.name for one in study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert study.trials[1].user_attrs[REASON] == "repeat 1: ArithmeticError: by chance"


@pytest.mark.slow
def test_a_trial_with_the_point_of_an_earlier_one_is_reused_as_a_whole(tmp_path):
    """Within a batch and across batches; where the earlier one failed, it is trained."""
    ran = []

    def task(cfg):
        ran.append(number())
        if number() == 1:
            raise ArithmeticError("by chance")
        return cfg.x + cfg.seed

    points = "hydra.sweeper.enqueue=[{x: 0.5},{x: 0.5},{x: 0.5},{x: 0.25},{x: 0.5}]"
    keys = points, "hydra.sweeper.duplicates=reuse"
    study = sweep(tmp_path, task, CONFIG, *THREE, *trials(5, 3), *keys)
    assert ran == [0, 1, 2, 3, 4, 5, 9, 10, 11]
    assert [one.values for one in study.trials] == [None, [6.5], [6.5], [6.25], [6.5]]
    assert [one.user_attrs.get(REUSED) for one in study.trials] == [None, None, 1, None, 1]
    rows = list(csv.DictReader((tmp_path / "trials.csv").read_text().splitlines()))
    assert [Path(row["folder"]) for row in rows] == [tmp_path / one for one in "03393"]


@pytest.mark.slow
def test_a_target_is_reached_by_the_value_of_a_trial(tmp_path):
    def task(cfg):
        return cfg.seed - 5 + (10 if number() < 6 else 0)  # a repeat alone would reach it

    keys = "hydra.sweeper.stop_at_target=true", "target=1"
    study = sweep(tmp_path, task, {**CONFIG, "target": 0}, *THREE, *trials(9), *keys)
    assert [one.values for one in study.trials] == [[11], [11], [1], [1]]


def test_a_trial_is_pruned_by_its_value_and_as_a_whole(monkeypatch):
    study = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=2.0))
    study.ask()
    study.ask()
    monkeypatch.setattr(trial, "_session", trial.Session(study, repeats=Repeats(3)))
    first, second = {0: 1.0, 1: 2.0, 2: 1.5}, {3: 9.0, 4: 0.0, 5: 0.0}
    assert pruning.prune({**first, **second}, 1) == {3, 4, 5}  # by a mean of 3
    assert pruning.prune({0: 9.0}, 2) == pruning.prune({2: 9.0}, 2) == set()
    assert pruning.prune({1: 9.0}, 2) == {1}  # the last to be there decides
    assert pruning.prune({0: 1.0, 2: 1.0}, 3) == {0, 2}  # and the others learn of it
    reported = [one.intermediate_values for one in study.get_trials()]
    assert reported == [{1: 1.5, 2: 9.0}, {1: 3.0}]


# --- Stopped and started again --------------------------------------------------------------------

LONG = [
    *THREE,
    *trials(4),
    "hydra.sweeper.repeats=2",
    "hydra/sweeper/pruner=median",
    "hydra.sweeper.pruner.n_startup_trials=2",
]


def reports(cfg):
    """Differs by seed, so that only the mean is near the best x."""
    value = (cfg.x - 0.3) ** 2 + (cfg.seed - 5.5)
    if cfg.x > 0.9:
        raise ArithmeticError("too large")
    for step in range(3):
        if pruning.should_prune(value + 1 / (step + 1), step):
            break
    return value


def known(study):
    """What a search has told, and all that it has noted of its trials but the folders."""
    notes = [one.user_attrs for one in study.get_trials(deepcopy=False)]
    return told(study), [one.intermediate_values for one in study.trials], notes


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    study = sweep(folder, reports, CONFIG, *LONG)
    return known(study), (folder / "study.journal").read_bytes().count(b"\n")


@pytest.mark.slow
def test_what_the_others_are_compared_with_has_every_kind_of_end(whole):
    states = [state for _, state, _, _ in whole[0][0]]
    assert set(states) >= {"COMPLETE", "PRUNED"} and len(states) == 4


@pytest.mark.slow
@pytest.mark.parametrize("part", [0.1, 0.5, 0.8])
def test_a_search_with_repeats_that_is_killed_goes_on_as_if_it_were_not(part, whole, tmp_path):
    expected, lines = whole
    assert killed_sweep(tmp_path, int(part * lines), reports, CONFIG, *LONG)
    assert known(sweep(tmp_path, reports, CONFIG, *LONG)) == expected


@pytest.mark.slow
def test_a_search_with_repeats_may_be_killed_at_any_place(whole, tmp_path):
    search = partial(sweep, tmp_path / "s", reports, CONFIG, *LONG)
    count = 0
    for _ in killed_at_every_place(tmp_path / "s", search):
        assert known(search()) == whole[0]
        count += 1
    assert count >= 30


def test_other_repeats_are_another_search(tmp_path):
    sweep(tmp_path, lambda cfg: cfg.x, CONFIG, *THREE, *trials(1))
    with pytest.raises(CompactHydraException) as refused:
        sweep(tmp_path, lambda cfg: cfg.x, CONFIG, *THREE, *trials(1), "hydra.sweeper.repeats=2")
    assert isinstance(refused.value.__cause__, StudyError)
    assert "repeats: 3, now 2" in str(refused.value)


MISTAKES = {
    "seed=0,1": "hydra.sweeper.repeats is 3, but seed is searched; give it one value or leave it",
    "seed=null": "hydra.sweeper.repeats is 3, but seed is null; repeats need a whole number there",
    "~seed": "hydra.sweeper.repeats is 3, but seed is null; repeats need a whole number there",
    "hydra.sweeper.repeats=0": "hydra.sweeper.repeats is 0; expected a whole number >= 1",
    "hydra.sweeper.repeats_as=best": "hydra.sweeper.repeats_as is 'best'; expected mean, median,",
}


@pytest.mark.parametrize("given", MISTAKES)
def test_a_mistake_is_one_line(tmp_path, given):
    with pytest.raises((CompactHydraException, ConfigError)) as refused:
        sweep(tmp_path / "s", lambda cfg: cfg.x, CONFIG, *THREE, given)
    assert str(refused.value).startswith(MISTAKES[given])
    assert not (tmp_path / "s" / "0").exists()


@pytest.mark.slow
def test_a_fixed_seed_is_that_of_the_first_repeat(tmp_path):
    seeds = []
    task = lambda cfg: seeds.append(cfg.seed) or 0.0  # noqa: E731
    sweep(tmp_path / "a", task, CONFIG, *THREE, *trials(1), "seed=40")
    sweep(tmp_path / "b", task, {"x": 0.0}, *THREE, *trials(1), "+seed=7")
    assert seeds == [40, 41, 42, 7, 8, 9]


# --- Of our own program ---------------------------------------------------------------------------

SMALL = ["data.num_train=40", "data.num_val=40", "solver.batch_size=20", "solver.num_epochs=3"]
OURS = [
    *("-m", "hydra/sweeper=optuna", "hydra.sweeper.repeats=2", "hydra.sweeper.sampler.seed=3"),
    *("hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=2", *SMALL),
    *("optimizer.learning_rate=tag(log,interval(1e-3,1))", "hydra.sweep.dir=s", *trials(6)),
]


@pytest.fixture
def program(tmp_path, monkeypatch, capfd):
    """The program in an empty folder; what it prints."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["fcsweep", *arguments])
        main()
        for handler in set(root.handlers) - set(before[0]):
            root.removeHandler(handler)
            handler.close()
        return capfd.readouterr().out

    yield call
    root.handlers[:], root.level = before


@pytest.mark.slow
def test_our_trials_train_in_one_stack_and_a_lost_study_is_rebuilt(program, tmp_path):
    said = program(*OURS)
    sweep_ = tmp_path / "s"
    runs = load_runs(sweep_)
    assert list(runs["number"]) == list(range(12)) and list(runs["seed"]) == [0, 1] * 6
    assert set(runs["provenance.stack_size"]) == {4}  # two trials of two seeds
    assert all(a == b for a, b in pairwise(runs["optimizer.learning_rate"][:2]))
    study = study_of(sweep_)
    before = known(study)
    for one in study.trials:
        both = runs.iloc[[2 * one.number, 2 * one.number + 1]]
        assert one.value == fmean(both["value"])
        assert set(both["status"]) == ({"pruned"} if one.state.name == "PRUNED" else {"completed"})
    assert {one.state.name for one in study.trials} == {"COMPLETE", "PRUNED"}
    best = max(one.value for one in study.trials)
    assert f"best of 2 seeds, mean {best:.4f} ± " in said
    written = {path: path.stat().st_mtime_ns for path in sweep_.glob("*/result.json")}
    journal = sweep_ / "study.journal"
    journal.rename(sweep_ / "lost")
    result = sweep_ / "7" / "result.json"  # of a trial whose other run has ended
    record = json.loads(result.read_text())
    result.write_text('{"status": "interrupted"}')
    assert "rebuilt from the records of 12 runs" in program(*OURS)
    assert known(study_of(sweep_)) == before
    again = {path for path in written if path.stat().st_mtime_ns != written[path]}
    assert again == {result}
    times = {"seconds": 0}
    assert json.loads(result.read_text()) | times == record | times
