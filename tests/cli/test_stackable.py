"""``@fcsweep.stackable``: jobs of another app train together, with the values they have alone."""

import logging
import math
import sys
from pathlib import Path

import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from support.toy_app import make_app, multirun, run, study_of, sweep, told
from torch import nn

import fcsweep
from fcsweep.messages.errors import ConfigError

CONFIG = {"hidden": 8, "p": 0.0, "lr": 0.1, "seed": 0, "rows": 60, "epochs": 3, "fail": ""}
STACKED = "hydra/launcher=stacked"
TOLERANCE = 1e-5


class Net(nn.Module):
    """Counts how often its code runs."""

    calls = 0

    def __init__(self, hidden, p):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, hidden), nn.Tanh(), nn.Dropout(p))
        self.head = nn.Linear(hidden, 3)

    def forward(self, x):
        Net.calls += 1
        return self.head(self.body(x))


def build(cfg):
    if cfg.fail == "build":
        raise RuntimeError("no such net")
    return Net(cfg.hidden, cfg.p)


def data(cfg):
    X = torch.randn(120, 4, generator=torch.Generator().manual_seed(1))
    y = X[:, :3].argmax(1)
    n = cfg.rows
    return {"X_train": X[:n], "y_train": y[:n], "X_val": X[80:], "y_val": y[80:]}


def solver(cfg):
    return {
        "update_rule": "adam",
        "optim_config": {"learning_rate": cfg.lr},
        "num_epochs": cfg.epochs,
        "batch_size": 20,
        "seed": cfg.seed,
        "objective": "val_loss",
        **({"depth": 3} if cfg.fail == "keyword" else {}),
    }


class Seen:
    """A task that keeps what it is called with."""

    __name__ = "seen"

    def __init__(self):
        self.jobs, self.folders, Net.calls = {}, {}, 0

    def __call__(self, cfg, trained):
        if cfg.fail == "task":
            sys.exit(3)
        number = HydraConfig.get().job.num
        logging.getLogger("mine").info("job %d", number)
        self.jobs[number], self.folders[number] = trained, HydraConfig.get().runtime.output_dir
        return trained.value

    def values(self):
        return [self.jobs[number].value for number in sorted(self.jobs)]


def task_of(seen, loss="softmax"):
    return fcsweep.stackable(build=build, data=data, solver=solver, loss=loss)(seen)


def trained(folder, *words):
    seen = Seen()
    multirun(folder, task_of(seen), CONFIG, *words)
    return seen, Net.calls


# --- Without Hydra --------------------------------------------------------------------------------


def config(**changed):
    return OmegaConf.create({**CONFIG, **changed})


def fitted(*configs, loss="softmax"):
    """What was trained for jobs in one stack."""
    task = task_of(Seen(), loss)
    done = task.fit({n: task.hand_over(cfg) for n, cfg in enumerate(configs)})
    return [done[n] for n in range(len(configs))]


def test_jobs_of_a_stack_have_the_values_of_each_alone():
    jobs = [config(lr=lr, p=p, seed=s) for lr, p, s in ((0.01, 0.0, 0), (0.1, 0.3, 1), (0.1, 0, 2))]
    alone = [fitted(job)[0].value for job in jobs]
    assert [one.value for one in fitted(*jobs)] == pytest.approx(alone, rel=TOLERANCE)
    assert len(set(alone)) == 3


@pytest.mark.parametrize("p, differ", [(0.0, False), (0.5, True)])
def test_each_job_drops_out_by_its_own_seed(p, differ):
    """All weights are the same, and so are all rows: nothing else depends on the seed."""

    def alike(cfg):
        net = Net(cfg.hidden, cfg.p)
        for w in net.parameters():
            nn.init.constant_(w, 0.1)
        return net

    def equal_rows(cfg):
        return {name: part[:1].expand_as(part) for name, part in data(cfg).items()}

    task = fcsweep.stackable(build=alike, data=equal_rows, solver=solver)(Seen())
    done = task.fit({seed: task.hand_over(config(p=p, seed=seed)) for seed in (0, 1)})
    assert (abs(done[0].value - done[1].value) > 1e-3) is differ


def test_the_module_that_is_handed_over_has_the_value():
    rows = data(config())
    for one in fitted(config(lr=0.01), config(lr=0.1)):
        assert not one.module.training and one.objective == "val_loss"
        assert (one.status, one.epochs) == ("completed", 3)
        loss = nn.functional.cross_entropy(one.module(rows["X_val"]), rows["y_val"])
        assert loss.item() == pytest.approx(one.value, rel=TOLERANCE)


def test_who_may_share_a_stack():
    task = task_of(Seen())
    one = task.hand_over(config())
    for changed in ({"lr": 0.5}, {"p": 0.5}, {"seed": 7}):
        assert task.alike(one, task.hand_over(config(**changed))), changed
    for changed in ({"rows": 40}, {"epochs": 4}, {"hidden": 9}):
        assert not task.alike(one, task.hand_over(config(**changed))), changed


def test_a_loss_of_ones_own_trains_as_the_one_it_is():
    jobs = [config(lr=0.01), config(lr=0.1)]
    own = fitted(*jobs, loss=nn.functional.cross_entropy)
    ours = [one.value for one in fitted(*jobs)]
    assert [one.value for one in own] == pytest.approx(ours, rel=TOLERANCE)


def test_a_job_that_diverges_leaves_the_stack_and_has_no_value():
    well, bad = fitted(config(), config(lr=1e38))
    assert (well.status, bad.status) == ("completed", "diverged")
    assert well.value == pytest.approx(fitted(config())[0].value, rel=TOLERANCE)
    assert math.isnan(bad.value) and bad.best_epoch == 0


def test_an_unknown_keyword_is_refused_by_name():
    with pytest.raises(ConfigError, match="the solver of fcsweep.stackable has depth; expected"):
        fitted(config(fail="keyword"))


def test_a_module_that_cannot_be_stacked_is_why_each_job_has_no_end():
    class Branches(Net):
        def forward(self, x):
            return super().forward(x) if x.sum() > 1e9 else super().forward(-x)

    task = fcsweep.stackable(build=lambda cfg: Branches(4, 0.0), data=data, solver=solver)(Seen())
    for one in task.fit({n: task.hand_over(config(seed=n)) for n in (3, 5)}).values():
        assert isinstance(one, ValueError) and "Branches does not work in a stack" in str(one)


# --- By Hydra -------------------------------------------------------------------------------------

GRID = ["hidden=8,16", "p=0.0,0.3", "lr=0.01,0.1"]


@pytest.mark.slow
def test_a_grid_has_the_values_of_its_jobs_alone_for_the_calls_of_its_shapes(tmp_path):
    alone, many = trained(tmp_path / "a", *GRID)
    stacked, few = trained(tmp_path / "s", *GRID, STACKED)
    assert len(set(alone.values())) == 8
    assert stacked.values() == pytest.approx(alone.values(), rel=TOLERANCE)
    assert few < many / 2
    assert stacked.folders == {n: str(tmp_path / "s" / str(n)) for n in range(8)}
    for number in range(8):
        kept = {f.name: f.read_text() for f in (tmp_path / "s" / f"{number}/.hydra").iterdir()}
        its = {f.name: f.read_text() for f in (tmp_path / "a" / f"{number}/.hydra").iterdir()}
        same = ["config.yaml", "overrides.yaml"]
        assert [kept[name] for name in same] == [its[name] for name in same]


@pytest.mark.slow
def test_a_stack_has_no_more_jobs_than_it_may(tmp_path):
    whole, calls = trained(tmp_path / "a", "seed=range(4)", STACKED)
    parts, more = trained(tmp_path / "b", "seed=range(4)", STACKED, "hydra.launcher.max_trials=2")
    assert parts.values() == pytest.approx(whole.values(), rel=TOLERANCE)
    assert more > 1.5 * calls


SEARCH = [
    "lr=tag(log,interval(1e-4,1.0))",
    "hydra.sweeper.n_trials=8",
    "hydra.sweeper.n_jobs=4",
    "hydra.sweeper.sampler.seed=1",
    "hydra.sweeper.max_failure_rate=1",
]


@pytest.mark.slow
def test_a_search_of_stacks_prunes_and_ends_as_one_of_single_jobs(tmp_path):
    pruning = ["hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=2"]
    for launcher in ("basic", "stacked"):
        words = [*SEARCH, *pruning, "epochs=5", f"hydra/launcher={launcher}"]
        seen = Seen()
        study = sweep(tmp_path / launcher, task_of(seen), CONFIG, *words)
        assert all(len(trial.intermediate_values) >= 1 for trial in study.trials)
        states = [trial.state.name for trial in study.trials]
        assert "PRUNED" in states and "COMPLETE" in states
        for trial in study.trials:
            assert (seen.jobs[trial.number].status == "pruned") == (trial.state.name == "PRUNED")
            assert len(trial.intermediate_values) == seen.jobs[trial.number].epochs


@pytest.mark.slow
def test_what_is_reported_has_the_end_of_the_study(tmp_path):
    words = [*SEARCH, "hydra.sweeper.direction=maximize", STACKED]
    study = sweep(tmp_path, task_of(Seen()), CONFIG, *words)
    assert all(v < 0 for t in study.trials for v in t.intermediate_values.values())


@pytest.mark.slow
@pytest.mark.parametrize("fail", ["build", "task"])
def test_what_goes_wrong_with_a_job_costs_only_that_job(fail, tmp_path):
    words = [*SEARCH[1:], f"fail=choice('',{fail})", "seed=choice(0,1,2,3)", STACKED]
    study = sweep(tmp_path, task_of(Seen()), CONFIG, *words)
    states = {(trial.params["fail"], trial.state.name) for trial in study.trials}
    assert states == {("", "COMPLETE"), (fail, "FAIL")}


APP = """\
import hydra
import torch
from torch import nn

import fcsweep


def build(cfg):
    return nn.Sequential(nn.Linear(2, cfg.hidden), nn.ReLU(), nn.Linear(cfg.hidden, 2))


def data(cfg):
    X = torch.randn(90, 2, generator=torch.Generator().manual_seed(0))
    y = (X[:, 0] * X[:, 1] > 0).long()
    return {"X_train": X[:60], "y_train": y[:60], "X_val": X[60:], "y_val": y[60:]}


def solver(cfg):
    return {"update_rule": "adam", "optim_config": {"learning_rate": cfg.lr}, "num_epochs": 2}


@fcsweep.app(direction="maximize")
@hydra.main(version_base="1.3", config_path=".", config_name="config")
@fcsweep.stackable(build=build, data=data, solver=lambda cfg: {**solver(cfg), "batch_size": 20})
def task(cfg, trained):
    return trained.value


task()
"""


@pytest.mark.slow
def test_an_app_with_both_decorators_has_stacks_a_table_and_a_page(tmp_path: Path):
    app = make_app(tmp_path, APP, "hidden: 4\nlr: 0.1\n")
    said = run(app, "lr=0.01,0.1", "hidden=4,8", STACKED, "hydra.sweep.dir=s")
    assert said.count("completed") >= 4 and said.splitlines()[-1] == "report: s/report.html"
    assert "trains one job after another" not in said
    again = run(
        app,
        "lr=interval(0.01,0.1)",
        "hydra/sweeper=optuna",
        STACKED,
        "hydra.sweep.dir=t",
        "hydra.sweeper.n_trials=3",
        "hydra.sweeper.n_jobs=3",
        "hydra.sweeper.direction=maximize",
    )
    assert len(told(study_of(tmp_path / "t"))) == 3, again
