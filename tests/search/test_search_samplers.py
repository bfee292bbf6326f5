"""Samplers and pruners: their fields, and trials that are the same whatever was drawn before."""

import inspect
import logging
import re
from typing import Any

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.distributions import distribution_to_json
from optuna.samplers import QMCSampler
from optuna.trial import TrialState

from fcsweep.messages.errors import ConfigError
from fcsweep.search.settings import PRUNERS, SAMPLERS
from fcsweep.search.space import space_of
from fcsweep.search.study import samplers, targets
from fcsweep.search.study.batches import create, draw
from fcsweep.search.study.samplers import is_grid, pruner_of, quiet, sampler_of, seed_of

INSTALLED = [
    name
    for name in SAMPLERS
    if name != "cmaes" or targets.find_spec("cmaes") is not None  # an extra of Optuna
]
KINDS = [(optuna.samplers, node) for node in SAMPLERS.values()]
KINDS += [(optuna.pruners, node) for node in PRUNERS.values()]
IDS = [*SAMPLERS, *PRUNERS]
HYDRAS = {"_target_", "_partial_"}


def node(options, name, **fields):
    return OmegaConf.create({**options[name], **fields})


# --- The groups -----------------------------------------------------------------------------------


def _class_of(module, fields):
    return getattr(module, fields["_target_"].rpartition(".")[2])


@pytest.mark.parametrize(("module", "fields"), KINDS, ids=IDS)
def test_the_installed_optuna_takes_every_field(module, fields):
    kind = _class_of(module, fields)
    accepted = inspect.signature(kind).parameters
    grids = {"seed"} if kind is optuna.samplers.GridSampler else set()  # its points are planned
    assert set(fields) - HYDRAS <= set(accepted) | grids


@pytest.mark.parametrize(("module", "fields"), KINDS, ids=IDS)
def test_no_field_of_optuna_is_missing(module, fields):
    assert set(inspect.signature(_class_of(module, fields)).parameters) - {"search_space"} <= set(
        fields
    )


@pytest.mark.parametrize(("module", "fields"), KINDS, ids=IDS)
def test_null_is_optunas_own_default_and_only_what_has_none_is_chosen(module, fields):
    accepted = inspect.signature(_class_of(module, fields)).parameters
    required = {
        name
        for name, one in accepted.items()
        if one.default is one.empty and name != "search_space"
    }
    chosen = {name for name, value in fields.items() if value is not None} - HYDRAS
    assert chosen == {name for name in required & set(fields) if name != "wrapped_pruner"}


@pytest.mark.parametrize("name", INSTALLED)
def test_every_sampler_builds_with_nulls_and_draws(name):
    space = space_of(None, ["x=range(1,4)", "y=a,b"])
    make = sampler_of(node(SAMPLERS, name), space.grid() if name == "grid" else [])
    with quiet():
        study = optuna.create_study(sampler=make(0))
        for _ in range(3):
            trial = draw(study, create(study), space, None)
            study.tell(trial, trial.number)
    assert all(set(trial.params) == {"x", "y"} for trial in study.trials)


@pytest.mark.parametrize("name", PRUNERS)
def test_every_pruner_builds_with_nulls(name):
    if name == "threshold":  # which has nothing to do without a bound
        with pytest.raises(ConfigError, match=r"hydra\.sweeper\.pruner: .*lower"):
            pruner_of(node(PRUNERS, name))
    fields = {"threshold": {"lower": 0.0}}.get(name, {})
    built = pruner_of(node(PRUNERS, name, **fields))
    assert type(built).__name__ == PRUNERS[name]["_target_"].rpartition(".")[2]


def test_no_pruner_is_no_pruning():
    assert isinstance(pruner_of(None), optuna.pruners.NopPruner)


def drawing(sampler) -> Any:
    """The sampler of Optuna that draws trial 0."""
    assert isinstance(sampler, samplers.PerTrial)
    return sampler._of(optuna.trial.create_trial(value=1.0))


def test_the_fields_that_are_set_reach_optuna():
    pruner = pruner_of(node(PRUNERS, "median", n_startup_trials=2, n_warmup_steps=7))
    assert isinstance(pruner, optuna.pruners.MedianPruner)
    assert (pruner._n_startup_trials, pruner._n_warmup_steps) == (2, 7)
    wrapped = {"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": 3}
    patient = pruner_of(node(PRUNERS, "patient", wrapped_pruner=wrapped, patience=1))
    assert isinstance(patient, optuna.pruners.PatientPruner)
    assert isinstance(patient._wrapped_pruner, optuna.pruners.MedianPruner)
    assert patient._wrapped_pruner._n_startup_trials == 3 and patient._patience == 1
    tpe = sampler_of(node(SAMPLERS, "tpe", n_startup_trials=4, multivariate=False))(0)
    made = drawing(tpe)
    assert made._n_startup_trials == 4 and made._multivariate is False
    nested = {"_target_": "optuna.samplers.TPESampler", "n_startup_trials": 1}
    with quiet():
        qmc = sampler_of(node(SAMPLERS, "qmc", independent_sampler=nested))(0)
        made = drawing(qmc)
    assert isinstance(made._independent_sampler, optuna.samplers.TPESampler)


# --- What is refused, and what is ignored ---------------------------------------------------------


def test_a_field_that_optuna_has_removed_is_ignored_with_one_line(caplog):
    with caplog.at_level(logging.WARNING):
        sampler_of(node(SAMPLERS, "tpe", also_gone=None, gone=3))(0)
    (line,) = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(
        r"hydra\.sweeper\.sampler\.gone is ignored: TPESampler of Optuna 5\S+ has no such field",
        line,
    )


@pytest.mark.parametrize(
    ("kind", "options", "name", "package"),
    [
        (sampler_of, SAMPLERS, "cmaes", "cmaes"),
        (sampler_of, SAMPLERS, "gp", "scipy torch"),
        (sampler_of, SAMPLERS, "qmc", "scipy"),
        (pruner_of, PRUNERS, "wilcoxon", "scipy"),
    ],
)
def test_a_missing_package_is_named(kind, options, name, package, monkeypatch):
    monkeypatch.setattr(targets, "find_spec", lambda wanted: None)
    with pytest.raises(ConfigError, match=f"; pip install {package}$"):
        kind(node(options, name))


@pytest.mark.parametrize(
    ("kind", "target", "words"),
    [
        (sampler_of, "os.system", "expected a sampler of Optuna"),
        (sampler_of, "optuna.samplers.TPESample", "did you mean optuna.samplers.TPESampler?"),
        (sampler_of, "optunas.samplers.TPESampler", "expected a sampler of Optuna"),
        (sampler_of, "optuna.samplers.BruteForce", "expected a sampler of Optuna"),
        (sampler_of, "optuna.pruners.MedianPruner", "expected a sampler of Optuna"),
        (sampler_of, "optuna.samplers.BaseSampler", "BaseSampler"),
        (sampler_of, "tests.NoSampler", "expected a sampler of Optuna"),
        (sampler_of, "optuna.samplers.MOTPESampler", "use hydra/sweeper/sampler=tpe"),
        (pruner_of, "subprocess.run", "expected a pruner of Optuna"),
        (pruner_of, "optuna.samplers.TPESampler", "expected a pruner of Optuna"),
        (pruner_of, "optuna.pruners.MedianPrune", "hydra/sweeper/pruner= one of none, median"),
        (pruner_of, None, "hydra.sweeper.pruner._target_ is 'None'"),
    ],
)
def test_only_classes_of_optuna_are_built(kind, target, words):
    with pytest.raises(ConfigError) as error:
        kind(OmegaConf.create({"_target_": target}))
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "options", "name", "fields"),
    [
        (sampler_of, SAMPLERS, "nsgaii", {"population_size": 1}),
        (sampler_of, SAMPLERS, "qmc", {"qmc_type": "lattice"}),
        (pruner_of, PRUNERS, "median", {"n_warmup_steps": -1}),
        (pruner_of, PRUNERS, "percentile", {"percentile": 200.0}),
        (pruner_of, PRUNERS, "hyperband", {"max_resource": "all"}),
        (pruner_of, PRUNERS, "hyperband", {"max_resource": 0}),
        (pruner_of, PRUNERS, "hyperband", {"reduction_factor": 1}),
        (pruner_of, PRUNERS, "hyperband", {"min_resource": "x"}),
        (pruner_of, PRUNERS, "patient", {"patience": -1}),
    ],
)
def test_what_optuna_refuses_is_one_line(kind, options, name, fields):
    with pytest.raises(ConfigError, match=r"^hydra\.sweeper\.(sampler|pruner): .+") as error:
        kind(node(options, name, **fields))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1"])
def test_a_wrong_seed_is_refused(seed):
    with pytest.raises(ConfigError, match=r"hydra\.sweeper\.sampler\.seed is .*; expected a"):
        seed_of(node(SAMPLERS, "tpe", seed=seed))


def test_a_seed_and_a_grid_are_known():
    assert seed_of(node(SAMPLERS, "tpe")) is None
    assert seed_of(node(SAMPLERS, "tpe", seed=0)) == 0
    assert [name for name in SAMPLERS if is_grid(node(SAMPLERS, name))] == ["grid"]


# --- A trial is a function of the seed, its number and what is known ------------------------------

SPACE = space_of(
    None,
    ["rate=tag(log,interval(1e-4,1))", "width=range(10,100,10)", "rule=a,b,c", "+w=interval(0,1)"],
)
REPEATABLE = [name for name in INSTALLED if name not in ("grid", "cmaes")]
GP_SLOW = [pytest.param(one, marks=[pytest.mark.slow] * (one == "gp")) for one in REPEATABLE]
"""Of Gaussian processes each draw takes a tenth of a second."""


def _value(trial):
    return (trial.params["rate"] - 0.1) ** 2 + trial.params["width"] / 1000


def _study(name, trials, seed=7, start=None):
    """A study that was asked and told in batches of three."""
    fields = {"n_startup_trials": 4} if name in ("tpe", "gp") else {}
    fields |= {"population_size": 4} if name.startswith("nsga") else {}
    study = optuna.create_study(sampler=sampler_of(node(SAMPLERS, name, **fields))(seed))
    while len(study.trials) < trials:
        batch = [
            draw(study, create(study), SPACE, None)
            for _ in range(min(3, trials - len(study.trials)))
        ]
        for trial in batch:
            study.tell(trial, _value(trial))
    return study


def _with_another_sampler(study, name, seed=7):
    """The same trials in a study whose sampler has drawn nothing yet."""
    fresh = _study(name, 0, seed)
    fresh.add_trials(study.trials)
    return fresh


@pytest.mark.parametrize("name", GP_SLOW)
def test_the_same_seed_and_history_give_the_same_point(name):
    with quiet():
        study = _study(name, 9)
        again = _with_another_sampler(study, name)
        other = _with_another_sampler(study, name, seed=8)
        expected = [draw(study, create(study), SPACE, None).params for _ in range(3)]
        assert [draw(again, create(again), SPACE, None).params for _ in range(3)] == expected
        others = [draw(other, create(other), SPACE, None).params for _ in range(3)]
        assert others != expected or name == "qmc"  # which has one sequence, unless scrambled
        assert len({str(params) for params in expected}) == 3


@pytest.mark.parametrize("known", [0, 3, 9])
@pytest.mark.parametrize("name", GP_SLOW)
def test_a_trial_whose_asking_was_cut_is_completed_to_the_same_point(name, known):
    with quiet():
        whole = _study(name, known)
        cut = _with_another_sampler(whole, name)
        expected = draw(whole, create(whole), SPACE, None)
        started = cut.ask()
        first, distribution = next(iter(SPACE.distributions.items()))
        started._suggest(first, distribution)
        assert cut.trials[known].params == {first: expected.params[first]}
        # Another process: nothing of the sampler is left.
        again = _study(name, 0)
        again.add_trials(cut.trials[:known])
        again._storage.create_new_trial(again._study_id, template_trial=cut.trials[known])
        assert again.trials[known].state is TrialState.RUNNING
        assert draw(again, known, SPACE, None).params == expected.params


@pytest.mark.parametrize("known", [2, 6])
def test_a_trial_that_was_made_and_not_drawn_is_completed_to_the_same_point(known):
    whole = _study("tpe", known)
    cut = _with_another_sampler(whole, "tpe")
    expected = draw(whole, create(whole), SPACE, None).params
    cut._storage.create_new_trial(cut._study_id)
    assert draw(cut, known, SPACE, None).params == expected


def test_planned_points_come_first_and_what_they_leave_open_is_drawn():
    planned = [{"rate": 0.5, "width": 20, "rule": "b", "+w": 0.25}, {"rule": "c"}]
    study = optuna.create_study(sampler=sampler_of(node(SAMPLERS, "tpe"), planned)(3))
    first, second, third = (draw(study, create(study), SPACE, None).params for _ in range(3))
    assert first == planned[0] and second["rule"] == "c"
    assert second["rate"] not in (first["rate"], third["rate"])


def test_the_private_hook_of_the_qmc_sampler_is_there_and_decides_the_point():
    expected = ["self", "study", "search_space"]
    assert list(inspect.signature(QMCSampler._find_sample_id).parameters) == expected
    with quiet():
        ours = _study("qmc", 8, seed=5)
        theirs = optuna.create_study(sampler=QMCSampler(seed=5, warn_independent_sampling=False))
        for _ in range(8):
            theirs.tell(draw(theirs, create(theirs), SPACE, None), 0.0)
    assert [one.params for one in ours.trials[1:]] == [one.params for one in theirs.trials[1:]]


@pytest.mark.parametrize("name", ["random", "qmc", "tpe", "gp"])
def test_parameters_that_are_drawn_by_themselves_are_not_alike(name):
    space = space_of(None, ["a=interval(0,1)", "b=interval(0,1)"])
    with quiet():
        study = optuna.create_study(sampler=sampler_of(node(SAMPLERS, name))(0))
        params = draw(study, create(study), space, None).params
    assert params["a"] != params["b"]


def test_a_sampler_within_another_is_seeded_for_each_trial_too():
    nested = {"_target_": "optuna.samplers.RandomSampler", "seed": None}
    make = sampler_of(node(SAMPLERS, "qmc", independent_sampler=nested))
    with quiet():
        first, again = (
            draw(study, create(study), SPACE, None).params
            for study in [optuna.create_study(sampler=make(0)) for _ in range(2)]
        )
    assert first == again


def test_distributions_are_compared_by_their_text():
    kinds = {key: distribution_to_json(one) for key, one in SPACE.distributions.items()}
    assert SPACE.as_json() == kinds


def test_quiet_gives_optunas_voice_back():
    before = optuna.logging.get_verbosity()
    with quiet():
        assert optuna.logging.get_verbosity() == optuna.logging.WARNING
    assert optuna.logging.get_verbosity() == before
