"""`fcsweep.compose`, `train` and `sweep`: the program from Python."""

import gc
import logging
import os
import signal
import threading
import time

import hydra.core.utils
import pytest
import torch
from hydra import compose, initialize_config_dir, initialize_config_module
from hydra.core.singleton import Singleton
from hydra.utils import instantiate
from omegaconf.basecontainer import BaseContainer

import fcsweep
import fcsweep.notebook  # at import schemas and the name of a new folder are registered
from fcsweep import config
from fcsweep.cli import task
from fcsweep.composition.loader import conf_dir
from fcsweep.messages.errors import ConfigError, FolderError, UserError
from fcsweep.rerun.repeat import rerun

SHORT = ["solver.num_epochs=1", "data.num_train=200", "solver.num_train_samples=100"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("keep_freed", "keep_loaded"):
        monkeypatch.setattr(task, name, lambda: pytest.fail("that is for the program"))
    return tmp_path


def process():
    there = [Singleton._instances.get(kind) for kind in fcsweep.notebook.OF_THE_CALL]
    return {
        "hydra": [(one, one and dict(vars(one))) for one in there],
        "saving": hydra.core.utils._save_config,
        "resolvers": dict(BaseContainer._resolvers),
        "signals": {one: signal.getsignal(one) for one in signal.valid_signals()},
        "logging": (logging.getLogger().level, logging.getLogger().handlers[:]),
        "handlers": [reference() for reference in vars(logging)["_handlerList"]],
        "collects": gc.isenabled(),
        "environ": dict(os.environ),
        "folder": os.getcwd(),
        "threads": torch.get_num_threads(),
        "random": torch.get_rng_state().tolist(),
    }


@pytest.fixture(autouse=True)
def freezes_nothing(monkeypatch):
    """Garbage collection is the notebook's own; other tests have frozen objects before."""
    monkeypatch.setattr(gc, "freeze", lambda: pytest.fail("gc.freeze was called"))


def test_a_config_is_composed_and_checked():
    composed = fcsweep.compose(["model=three_layer", "optimizer=adam", "seed=3"])
    assert isinstance(composed, config.RunConfig)
    assert composed.optimizer == config.AdamConfig() and composed.seed == 3
    assert fcsweep.compose() == fcsweep.compose([])
    assert os.listdir() == []


@pytest.mark.slow
def test_a_run_and_a_grid_leave_records_and_the_process_as_it_was(here, capsys):
    before = process()
    run = fcsweep.train(["optimizer=momentum", *SHORT], here / "one, run")
    grid = fcsweep.sweep(["optimizer=sgd,momentum", *SHORT], "grid")
    assert process() == before

    assert [*run["status"]] == ["completed"] and [*run["folder"]] == [str(here / "one, run")]
    assert [*grid["optimizer.name"]] == ["sgd", "momentum"]
    assert [*grid["folder"]] == ["grid/0", "grid/1"]
    assert grid["best_sha256"][1] == run["best_sha256"][0]
    assert {"report.html", "trials.csv", "multirun.yaml"} <= {*os.listdir("grid")}
    said = capsys.readouterr().out
    assert "epoch 1/1" in said and "best: grid/" in said and "\x1b" not in said

    assert rerun([here / "one, run"])
    again = fcsweep.sweep(["optimizer=sgd,momentum", *SHORT], "grid")
    assert again.equals(grid)
    assert "resuming grid: 2 finished, 0 to go" in capsys.readouterr().out
    assert fcsweep.train(["optimizer=momentum", *SHORT], here / "one, run").equals(run)


def test_a_search_goes_on_in_its_folder():
    words = ["hydra/sweeper=optuna", "model.reg=interval(0,1)", "hydra.sweeper.n_trials=%d", *SHORT]
    first = fcsweep.sweep([word.replace("%d", "2") for word in words], "search")
    before = process()
    more = fcsweep.sweep([word.replace("%d", "3") for word in words], "search")
    assert process() == before
    assert len(first) == 2 and len(more) == 3
    assert [*more["model.reg"][:2]] == [*first["model.reg"]]


def test_without_a_folder_each_call_makes_a_new_one():
    folders = {str(fcsweep.train(SHORT)["folder"].item()) for _ in range(2)}
    assert len(folders) == 2 and all(folder.startswith("outputs/") for folder in folders)


def test_a_folder_of_experiments_of_ones_own(here):
    (here / "mine" / "experiment").mkdir(parents=True)
    (here / "mine/experiment/deep.yaml").write_text(
        "# @package _global_\nmodel:\n  reg: 0.5\n", encoding="utf-8"
    )
    assert fcsweep.compose(["experiment=deep"], config_dir="mine").model.reg == 0.5
    with pytest.raises(ConfigError, match="config_dir is nothing; expected a folder"):
        fcsweep.compose(config_dir="nothing")


@pytest.mark.parametrize(
    "call, words, error, told",
    [
        ("compose", ["optimizer.learning_rate=-1"], ConfigError, "learning_rate is -1; expected"),
        ("train", ["optimizer=sgdd"], ConfigError, "optimizer is 'sgdd'; expected one of"),
        ("sweep", ["model.reg=0,-1"], ConfigError, "model.reg is -1; expected"),
        ("sweep", ["model.reg=interval(0,1)"], ConfigError, "add hydra/sweeper=optuna"),
        ("sweep", ["hydra/sweeper=optuna"], ConfigError, "has nothing to search"),
        ("train", "seed=1", TypeError, "overrides is 'seed=1'; expected a list of texts"),
        ("train", [{"seed": 1}], TypeError, "expected a list of texts"),
    ],
)
def test_a_mistake_is_one_line_and_makes_nothing(call, words, error, told):
    before = process()
    with pytest.raises(error, match=told) as refused:
        getattr(fcsweep, call)(words)
    assert "\n" not in str(refused.value) and os.listdir() == []
    assert process() == before


def test_several_values_for_one_run_point_to_sweep():
    with pytest.raises(ConfigError, match="several values") as refused:
        fcsweep.train(["optimizer=sgd,adam"])
    assert refused.value.__notes__ == ["from Python, -m is fcsweep.sweep"]


def test_a_folder_that_holds_something_else_is_refused(here):
    (here / "notes").mkdir()
    (here / "notes/mine.txt").write_text("mine")
    with pytest.raises(FolderError, match="hydra.sweep.dir: notes holds something that is not"):
        fcsweep.sweep(["seed=0,1"], "notes")
    with pytest.raises(ConfigError, match="folder is a, and hydra.run.dir=b names another"):
        fcsweep.train(["hydra.run.dir=b"], "a")


def test_a_run_that_fails_raises(monkeypatch):
    def fails(*args, **kwargs):
        raise OSError("no more room")

    monkeypatch.setattr("fcsweep.run.run", fails, raising=False)
    with pytest.raises(UserError, match="the run failed: OSError: no more room"):
        fcsweep.train(SHORT, "r")


SEARCH = "hydra/sweeper=optuna hydra.sweeper.n_trials=2 optimizer.learning_rate=interval(0.1,0.5)"


# A signal between `open` and its `with` leaves the file to the garbage collector, which closes it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("what", ["seed=0,1", SEARCH], ids=["grid", "search"])
def test_a_stopped_sweep_raises(what, here):
    def stop():
        while not (here / "g/0/provenance.json").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    words = [*what.split(), *SHORT, "solver.num_epochs=%d", "solver.checkpoint_seconds=1e-9"]
    long = [word.replace("%d", "3000") for word in words]
    before = process()
    stopping = threading.Thread(target=stop)
    stopping.start()
    with pytest.raises(KeyboardInterrupt):
        fcsweep.sweep(long, "g")
    stopping.join()
    assert process() == before


def test_within_a_hydra_of_ones_own(here):
    (here / "conf").mkdir()
    (here / "conf/config.yaml").write_text("a: 1\n", encoding="utf-8")
    with initialize_config_dir(str(here / "conf"), version_base="1.2"):
        assert fcsweep.compose(["seed=5"]).seed == 5
        assert compose("config", overrides=["a=2"]) == {"a": 2}


def test_hydras_own_compose_beside_the_plugins(here, monkeypatch):
    (here / "app").mkdir()
    (here / "app/__init__.py").touch()
    defaults = "defaults: [_self_, {override hydra/sweeper: optuna}]\n"
    (here / "app/config.yaml").write_text(f"{defaults}a: 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(here)
    words = ["a=2", "hydra/sweeper/sampler=random", "hydra/launcher=stacked"]
    with initialize_config_module("app", version_base="1.3"):
        assert compose("config", words) == {"a": 2}
        composed = compose("config", words, return_hydra_config=True)
        sweeper = instantiate(composed.hydra.sweeper)
        assert type(sweeper).__name__ == "OptunaSweeper"
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        by_hydra = config.typed(compose("config", ["optimizer=adam", "seed=3"]))
    assert by_hydra == fcsweep.compose(["optimizer=adam", "seed=3"])
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        found = compose("config", ["experiment=overfit_three_layer"], return_hydra_config=True)
    assert "model.weight_scale" in found.hydra.sweeper.params
