"""Trials with the point of an earlier one: trained and counted, or their value is taken over."""

import csv

import pytest
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from support.toy_app import sweep, told

from fcsweep.search import should_prune

SPACE = ["x=1,2", "y=1,2,3", "hydra.sweeper.sampler.seed=2", "hydra.sweeper.n_jobs=4"]
REUSE = "hydra.sweeper.duplicates=reuse"
CONFIG = {"x": 0, "y": 0}


class Task:
    """Minimal at x = y = 1; keeps the jobs that ran, and stops before one of them."""

    def __init__(self, until=None, failing=()):
        self.ran, self.until, self.failing = [], until, failing

    def __call__(self, cfg):
        number = HydraConfig.get().job.num
        if len(self.ran) == self.until:
            raise KeyboardInterrupt
        self.ran.append(number)
        if number in self.failing:
            raise ArithmeticError("by chance")
        for step in range(3):
            if should_prune(cfg.x * cfg.y + 2 - step, step):
                break
        return float(cfg.x * cfg.y)


def points(study):
    return [tuple(sorted(trial.params.items())) for trial in study.trials]


@pytest.mark.slow
def test_they_are_trained_and_counted(tmp_path, capsys):
    task = Task()
    study = sweep(tmp_path, task, CONFIG, *SPACE, "hydra.sweeper.n_trials=8")
    assert len(task.ran) == 8
    count = 8 - len(set(points(study)))
    line = f"{count} of 8 trials have the point of an earlier one; {REUSE} takes its value\n"
    assert line in capsys.readouterr().out
    assert "reused" not in yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())


def test_without_any_nothing_is_said(tmp_path, capsys):
    sweep(tmp_path, Task(), CONFIG, "x=1,2", "hydra/sweeper/sampler=grid", REUSE)
    assert "point of an earlier one" not in capsys.readouterr().out


PRUNER = ["hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=2"]


@pytest.mark.slow
def test_their_value_is_taken_over_also_after_a_stop(tmp_path, capsys):
    arguments = [*SPACE, *PRUNER, REUSE, "hydra.sweeper.n_trials=12"]
    task = Task()
    whole = sweep(tmp_path / "whole", task, CONFIG, *arguments)
    said = capsys.readouterr().out
    trials = whole.trials
    reused = {one.number: one.user_attrs["reused"] for one in trials if "reused" in one.user_attrs}
    assert len(trials) == 12 and len(reused) >= 4
    assert sorted([*task.ran, *reused]) == list(range(12))
    for number, earlier in reused.items():
        assert earlier < number and earlier in task.ran
        assert trials[number].values == trials[earlier].values
        assert trials[number].params == trials[earlier].params
        assert f"trial {number}: reused" in said
    completed = [n for n in task.ran if trials[n].state.name == "COMPLETE"]
    assert len(completed) == len({points(whole)[n] for n in completed})
    assert len(completed) < len(task.ran)  # a point that was pruned is trained again
    assert " trials have the point of an earlier one\n" in said
    found = yaml.safe_load((tmp_path / "whole" / "optimization_results.yaml").read_text())
    assert found["reused"] == reused and found["best_trial"] not in reused
    rows = csv.DictReader((tmp_path / "whole" / "trials.csv").read_text().splitlines())
    folders = [str(tmp_path / "whole" / str(reused.get(n, n))) for n in range(12)]
    assert [row["folder"] for row in rows] == folders
    with pytest.raises(SystemExit, match="130"):
        sweep(tmp_path / "cut", Task(len(task.ran) - 2), CONFIG, *arguments)
    cut = sweep(tmp_path / "cut", Task(), CONFIG, *arguments)
    assert told(cut) == told(whole)
    assert {
        n: one.user_attrs["reused"] for n, one in enumerate(cut.trials) if n in reused
    } == reused


@pytest.mark.slow
def test_a_point_that_failed_is_trained_again(tmp_path):
    task = Task(failing=(0, 1))
    arguments = ["x=1", "y=1,2", "hydra.sweeper.n_trials=8", "hydra.sweeper.n_jobs=4", REUSE]
    study = sweep(tmp_path, task, CONFIG, *arguments, "hydra.sweeper.max_failure_rate=1")
    assert [trial.state.name for trial in study.trials[:2]] == ["FAIL", "FAIL"]
    assert all(one.user_attrs.get("reused") not in (0, 1) for one in study.trials)
    assert len([one for one in study.trials if one.values]) == 6
    assert len(task.ran) <= 4


@pytest.mark.slow
def test_custom_parameters_belong_to_the_point(tmp_path):
    task = Task()
    custom = f"hydra.sweeper.custom_search_space={__name__}.more"
    arguments = ["x=1,2", "hydra.sweeper.n_trials=8", custom, REUSE, "hydra.sweeper.sampler.seed=0"]
    study = sweep(tmp_path, task, CONFIG, *arguments)
    assert len(task.ran) == len(set(points(study))) > 2


def more(config, trial):
    trial.suggest_int("y", 1, 3)


def test_any_other_word_is_refused(tmp_path):
    words = "hydra.sweeper.duplicates is 'reused'; expected train or reuse; did you mean reuse?"
    with pytest.raises(CompactHydraException) as error:
        sweep(tmp_path / "s", Task(), CONFIG, *SPACE, "hydra.sweeper.duplicates=reused")
    assert str(error.value) == words and not (tmp_path / "s").exists()
