"""Configs, code and objects that were written for hydra-optuna-sweeper."""

import json
import subprocess
import sys
from enum import Enum
from importlib import import_module
from pathlib import Path

import optuna
import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.errors import CompactHydraException
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from support.toy_app import multirun, study_of, sweep, told

from fcsweep.messages.errors import ConfigError
from fcsweep.search.study.samplers import PerTrial, quiet, sampler_of
from fcsweep.search.study.study import started_with

CLASS = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
X = ["x=interval(0,1)", "hydra.sweeper.n_jobs=1"]
HERE = __name__


@pytest.fixture(autouse=True)
def restored(hydra_restore_singletons):
    """Hydra as it was."""


def task(cfg):
    return cfg.x**2


def refusal(folder, *overrides, config=None):
    with pytest.raises(CompactHydraException) as error:
        sweep(folder, task, config or {"x": 0.0}, *X, *overrides)
    assert "\n" not in str(error.value)
    return str(error.value)


# --- What a config leaves out, and what Python code imports ---------------------------------------

TPE = {"_target_": "optuna.samplers.TPESampler", "seed": 1}
FILES = {
    "the keys that matter": {"sampler": TPE, "direction": "maximize"},
    "no sampler": {},
    "without _recursive_": {"sampler": TPE, "pruner": {"_target_": "optuna.pruners.NopPruner"}},
    "with its own groups": {"defaults": [{"sampler": "grid"}, {"pruner": "patient"}]},
    "_recursive_ is true": {"sampler": TPE, "_recursive_": True, "search_space": None},
    "null": {"sampler": None, "pruner": None, "params": None, "storage": None},
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("target", [CLASS, "hydra_plugins.fcsweep.OptunaSweeper"])
def test_what_a_sweepers_file_leaves_out_has_its_default(name, target, tmp_path):
    mine = {"_target_": target, "n_trials": 2, "n_jobs": 1, **FILES[name]}
    Plugins.instance()
    ConfigStore.instance().store(group="hydra/sweeper", name="mine", node=mine)
    multirun(tmp_path / "s", task, {"x": 0.0}, "hydra/sweeper=mine", "x=range(1,5)")
    study = study_of(tmp_path / "s")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
    assert study.direction.name == mine.get("direction", "minimize").upper()


IMPORTS = f"""
from hydra_plugins.hydra_optuna_sweeper.config import Direction, OptunaSweeperConf, TPESamplerConfig
from hydra_plugins.hydra_optuna_sweeper.optuna_sweeper import OptunaSweeper
import hydra_plugins.hydra_optuna_sweeper._impl as reader
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
assert OptunaSweeper in Plugins.instance().discover(Sweeper)
assert f"{{OptunaSweeper.__module__}}.{{OptunaSweeper.__name__}}" == "{CLASS}"
print(reader.create_params_from_overrides(["a=1,2"]))
"""


def test_code_may_import_the_package_before_hydra_looks_for_plugins():
    program = [sys.executable, "-W", "error", "-c", IMPORTS]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.stdout == "({'a': CategoricalDistribution(choices=(1, 2))}, {}, [])\n", done.stderr


def test_the_dataclasses_are_configs_of_a_search(tmp_path):
    config = import_module("hydra_plugins.hydra_optuna_sweeper.config")
    assert [one.name for one in config.Direction] == ["minimize", "maximize"]
    mine = config.OptunaSweeperConf(
        n_trials=2,
        sampler=config.TPESamplerConfig(seed=4),
        direction=[config.Direction.maximize],
        params={"x": "interval(0, 1)"},
    )
    assert mine._target_ == CLASS and isinstance(mine.sampler, config.SamplerConfig)
    node = dict(OmegaConf.structured(mine))
    del node["defaults"]
    ConfigStore.instance().store(group="hydra/sweeper", name="mine", node=node)
    multirun(tmp_path / "s", task, {"x": 0.0}, "hydra/sweeper=mine")
    study = study_of(tmp_path / "s")
    assert study.direction.name == "MAXIMIZE" and len(study.trials) == 2
    assert started_with(study)["drawn_seed"] == 4


def test_its_functions_read_overrides_as_the_sweeper_does():
    _impl = import_module("hydra_plugins.hydra_optuna_sweeper._impl")
    lines = ["a=interval(1,5)", "+b=int(interval(1,5))", "c=5", "d=a,b", "~e", "~f=1", "g=[1,2]"]
    found = {
        "a": FloatDistribution(1, 5),
        "+b": IntDistribution(1, 5),
        "d": CategoricalDistribution(["a", "b"]),
    }
    expected = (found, {"c": "5", "g": "[1,2]"}, ["~e", "~f=1"])
    assert _impl.create_params_from_overrides(lines) == expected
    with pytest.raises(ImportError, match="fcsweep has no OptunaSweeperImpl; subclass"):
        _ = _impl.OptunaSweeperImpl


def test_hydra_finds_the_class_by_its_name():
    module = import_module("hydra_plugins.hydra_optuna_sweeper.optuna_sweeper")
    names = [one.__name__ for one in Plugins.instance().discover(Sweeper)]
    assert names.count("OptunaSweeper") == 2
    given = module.OptunaSweeper(TPE, "maximize", None, "s", 7).settings
    assert (given["study_name"], given["n_trials"], given["n_jobs"]) == ("s", 7, 2)


# --- Values that JSON has no form for -------------------------------------------------------------


class Shade(Enum):
    DARK = 1
    LIGHT = 2


VALUES = {
    "shade": Shade.DARK,
    "several": [Shade.LIGHT, Path("a/b"), [b"\x00"]],
    "by_shade": {Shade.DARK: {"path": Path("/a")}},
    "raw": b"ab",
    "limit": float("nan"),
    "limits": [float("nan"), float("inf")],
}


@pytest.mark.slow
def test_a_search_goes_on_with_any_value_that_a_config_holds(tmp_path):
    trials = "hydra.sweeper.n_trials"
    sweep(tmp_path, task, {"x": 0.0, **VALUES}, *X, f"{trials}=1")
    study = sweep(tmp_path, task, {"x": 0.0, **VALUES}, *X, f"{trials}=2")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
    json.dumps(started_with(study), allow_nan=True)
    changes = {
        "shade": (Shade.LIGHT, "shade: 'Shade.DARK', now 'Shade.LIGHT'"),
        "several": ([Shade.LIGHT, Path("a/c"), [b"\x00"]], "several: "),
        "raw": (b"ac", "raw: "),
        "limit": (0.5, "limit: '.nan', now 0.5"),
        "limits": ([0.5, float("inf")], "limits: ['.nan', inf], now [0.5, inf]"),
    }
    for key, (value, words) in changes.items():
        said = refusal(tmp_path, f"{trials}=2", config={"x": 0.0, **VALUES, key: value})
        assert words in said and "other settings" in said


# --- Storages, samplers and pruners of one's own --------------------------------------------------


@pytest.mark.slow
def test_a_storage_as_an_object_is_used_as_a_url_is(tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    storage = f"{{_target_:optuna.storages.RDBStorage,url:'{url}',engine_kwargs:{{echo:false}}}}"
    overrides = [*X, f"hydra.sweeper.storage={storage}", "hydra.sweeper.study_name=all"]
    for n_trials in (1, 2):
        arguments = ["hydra/sweeper=optuna", *overrides, f"hydra.sweeper.n_trials={n_trials}"]
        multirun(tmp_path / "s", task, {"x": 0.0}, *arguments)
    study = optuna.load_study(study_name="all", storage=url)
    assert len(study.trials) == 2 and not (tmp_path / "s" / "study.journal").exists()
    said = refusal(tmp_path / "t", *overrides)
    assert f"the study all belongs to {tmp_path / 's'}" in said


@pytest.mark.parametrize(
    ("storage", "words"),
    [
        ("{_target_:optuna.storages.InMemoryStorage}", "InMemoryStorage, which keeps no study"),
        ("{_target_:builtins.dict}", "is dict, which keeps no study; expected the URL"),
        ("{_target_:optuna.storages.RDBStorage,url:'no:me@s3cretly'}", "cannot be used: "),
        ("{_target_:optuna.storages.RDBStorage,url:'none://me:s3cretly@h/d'}", "cannot be used: "),
    ],
)
def test_a_storage_that_is_none_is_refused(storage, words, tmp_path):
    said = refusal(tmp_path, f"hydra.sweeper.storage={storage}")
    assert said.startswith("hydra.sweeper.storage ") and words in said
    assert "me:s3cretly@" not in said


class Counting(RandomSampler):
    """One with a state: the values 0, 0.125, 0.25, ... of a parameter."""

    def __init__(self, step=0.125, seed=None):
        super().__init__(seed)
        self.step, self.count = step, 0

    def sample_independent(self, study, trial, param_name, param_distribution):
        self.count += 1
        return (self.count - 1) * self.step


def counting(step):
    return Counting(step)


class Impatient(optuna.pruners.BasePruner):
    def prune(self, study, trial):
        return trial.number > 0


def test_a_sampler_and_a_pruner_from_elsewhere_are_used(tmp_path):
    from fcsweep.search import should_prune

    def reporting(cfg):
        should_prune(cfg.x, 1)
        return cfg.x

    named = [
        f"hydra.sweeper.sampler._target_={HERE}.Counting",
        f"hydra.sweeper.pruner._target_={HERE}.Impatient",
        "hydra.sweeper.n_trials=3",
    ]
    study = sweep(tmp_path, reporting, {"x": 0.0}, *X, *named)
    ends = [(one.params["x"], one.state.name) for one in study.trials]
    assert ends == [(0.0, "COMPLETE"), (0.125, "PRUNED"), (0.25, "PRUNED")]
    assert started_with(study)["search"]["sampler"] == f"{HERE}.Counting"


@pytest.mark.parametrize(
    "given", [{"_target_": f"{HERE}.Counting"}, {"_target_": f"{HERE}.counting"}]
)
def test_a_class_or_a_function_makes_one_sampler_for_all_trials(given):
    make = sampler_of({**given, "step": 0.25, "_partial_": True})
    study = optuna.create_study(sampler=make(3))
    assert [study.ask().suggest_float("x", 0, 1) for _ in range(3)] == [0.0, 0.25, 0.5]


REFUSED = {
    "tpe": "expected a mapping with _target_; an option is chosen with slashes: hydra/sweeper/sa",
    "{_target_:os.system}": "os.system' (Target",
    f"{{_target_:{HERE}.best_tenth,count:10}}": ", which makes 1; expected a sampler of Optuna",
    f"{{_target_:{HERE}.Nobody}}": "expected a sampler of Optuna",
    f"{{_target_:{HERE}.Counting,stop:3}}": "unexpected keyword argument 'stop'",
    "{_target_:optuna.samplers.MOTPESampler}": "Optuna 4 has removed it",
    "{_target_:optuna.samplers.TPESampler,constraints_func:a.b}": "constraints_func is 'a.b'; expe",
    "{_target_:optuna.samplers.TPESampler,gamma:{_target_:no.such,_partial_:true}}": "no.such",
    "{_target_:optuna.samplers.PartialFixedSampler,fixed_params:{y:1},base_sampler:{_target_:"
    "optuna.samplers.RandomSampler}}": "fixed_params has y, which is not searched; expected x",
    "{_target_:optuna.samplers.PartialFixedSampler,fixed_params:{x:1}}": "base_sampler",
}


@pytest.mark.parametrize("given", REFUSED)
def test_what_is_no_sampler_is_refused_before_a_folder_is_made(given, tmp_path):
    said = refusal(tmp_path / "s", f"++hydra.sweeper.sampler={given}")
    assert said.startswith("hydra.sweeper.sampler") and REFUSED[given] in said
    assert not (tmp_path / "s").exists()


def test_the_choices_of_a_grid_stand_in_the_search_space_alone():
    node = {"_target_": "optuna.samplers.GridSampler", "search_space": {"x": [1]}}
    with pytest.raises(ConfigError, match="search_space is given; the grid sampler takes"):
        sampler_of(node)


def limits(trial):
    return (trial.params["x"] - 0.5,)


def best_tenth(count):
    return max(count // 10, 1)


@pytest.mark.slow
def test_functions_and_objects_are_fields_of_a_sampler(tmp_path):
    limit = f"hydra.sweeper.sampler.constraints_func={{_target_:{HERE}.limits,_partial_:true}}"
    genetic = "hydra.sweeper.sampler.crossover={_target_:optuna.samplers.nsgaii.SBXCrossover}"
    overrides = [*X, "hydra/sweeper/sampler=nsgaii", limit, genetic, "hydra.sweeper.n_trials=6"]
    seed = "hydra.sweeper.sampler.seed=1"
    study = sweep(tmp_path, lambda cfg: -cfg.x, {"x": 0.0}, *overrides, seed)
    for trial in study.trials:
        assert trial.constraints == {"0": trial.params["x"] - 0.5}
    gamma = {"_target_": f"{HERE}.best_tenth", "_partial_": True}
    with quiet():
        made = sampler_of({**TPE, "gamma": gamma})(0)
        assert isinstance(made, PerTrial) and vars(made._make(0, 0))["_gamma"](25) == 2


@pytest.mark.slow
def test_a_wrapper_fixes_a_parameter_whatever_sign_its_key_has(tmp_path):
    base = "{_target_:optuna.samplers.TPESampler,n_startup_trials:1}"
    fixed = "hydra.sweeper.sampler={_target_:optuna.samplers.PartialFixedSampler"
    wrapper = f"{fixed},fixed_params:{{w:0.5}},base_sampler:{base},seed:3}}"
    arguments = [*X, "+w=interval(0,1)", f"++{wrapper}", "hydra.sweeper.n_trials=4"]
    study = sweep(tmp_path / "a", task, {"x": 0.0}, *arguments)
    again = sweep(tmp_path / "b", task, {"x": 0.0}, *arguments)
    assert {trial.params["+w"] for trial in study.trials} == {0.5}
    assert told(study) == told(again) and len({one.params["x"] for one in study.trials}) == 4


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["none", "hyperband"])
def test_a_sampler_may_end_the_study_and_it_stays_ended(pruner, tmp_path, capsys):
    every = "hydra.sweeper.sampler={_target_:optuna.samplers.BruteForceSampler,seed:1}"
    arguments = ["x=1,2,3", f"++{every}", f"hydra/sweeper/pruner={pruner}"]
    for n_trials in (9, 10):
        trials = [f"hydra.sweeper.n_trials={n_trials}", "hydra.sweeper.n_jobs=1"]
        study = sweep(tmp_path, task, {"x": 0.0}, *arguments, *trials)
        said = capsys.readouterr().out
        assert f"stopped: the sampler has nothing more to try; 3 of {n_trials} trials" in said
        assert "to go on" not in said
    assert sorted(trial.params["x"] for trial in study.trials) == [1, 2, 3]


def test_every_sampler_of_ours_is_a_sampler():
    assert isinstance(sampler_of(None)(0), BaseSampler)
