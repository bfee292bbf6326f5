"""Settings of a search that would silently be another search: refused, or a warning."""

import pytest
from hydra.errors import CompactHydraException
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution
from support.toy_app import sweep

from fcsweep.messages.errors import ConfigError
from fcsweep.search.plan import plan_of
from fcsweep.search.settings import accept_null_in_choices, with_defaults
from fcsweep.search.space import space_of

GENERAL = "choice(8,16,32) or net: tag(log,interval(1e-4,1e-1))"


@pytest.mark.parametrize(
    ("value", "instead"),
    [
        # ranges as hydra.sweeper.search_space has them
        ({"type": "categorical", "choices": [8, 16]}, "net: choice(8,16)"),
        ({"type": "categorical", "choices": [None, "a"]}, "net: null,a"),
        ({"type": "int", "low": 1, "high": 8}, "net: int(interval(1,8))"),
        ({"type": "float", "low": 0.1, "high": 1, "log": True}, "net: tag(log,interval(0.1,1))"),
        # nested keys
        ({"width": "choice(8,16)", "depth": 3}, "net.width: choice(8,16)"),
        ({"width": {"type": "int", "low": 1, "high": 8}}, "net.width: int(interval(1,8))"),
        ({"a": {"b": {"c": [1, 2]}}}, "net.a.b.c: [1,2]"),
        # what other programs write, and what nobody can read
        ({"values": [8, 16]}, GENERAL),
        ({"min": 1, "max": 2}, GENERAL),
        ({"type": "int"}, GENERAL),
        ({}, "net: choice(8,16,32)"),
    ],
)
def test_a_mapping_under_params_is_refused_with_what_to_write(value, instead):
    with pytest.raises(ConfigError) as error:
        space_of({"net": value}, [])
    expected = "hydra.sweeper.params.net is a mapping; expected a text for each key, as "
    assert str(error.value).startswith(expected) and str(error.value).endswith(instead)


@pytest.mark.parametrize("key", ["params", "search_space"])
def test_params_that_are_no_mapping_are_refused(key):
    with pytest.raises(
        ConfigError, match=rf"^hydra\.sweeper\.{key} is \['x=1,2'\]; expected a map"
    ):
        plan_of(with_defaults({key: ["x=1,2"]}, OmegaConf.create()), *[None] * 3)


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("choice(null,[1])", (None, "[1]")),
        ("choice(1,NULL)", (1, None)),
        ("choice(null)", (None,)),
        ("tag(t,choice(null,a))", (None, "a")),
        ("null,2.5", (None, 2.5)),
    ],
)
def test_null_is_a_choice_like_others(text, choices):
    accept_null_in_choices()  # as at the start of every program
    assert space_of({"k": text}, []).distributions == {"k": CategoricalDistribution(choices)}


def test_a_search_draws_null_from_a_choice(tmp_path, capsys):
    words = ["y=choice(null,1)", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=2"]
    study = sweep(tmp_path, lambda cfg: cfg.y or 0, {"y": 2}, *words)
    assert {trial.params["y"]: trial.value for trial in study.trials} == {None: 0, 1: 1}
    assert "completed 0 (y null)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("choice('[12, 3]','[6]')", "[12, 3]"),
        ("a,'1e-3'", "1e-3"),
        ("'true',x", "true"),
        ('choice(x,"{a: 1}")', "{a: 1}"),
        ("'null',null", "null"),
        ("choice('a b','a,b','',x,[1],1)", None),
        ("[1],2,true,null", None),
    ],
)
def test_choices_in_quotes_that_would_be_no_texts_without(text, quoted):
    assert space_of({"k": text}, []).quoted == ({} if quoted is None else {"k": quoted})
    assert space_of({"k": text}, ["k=interval(0,1)"]).quoted == {}


@pytest.mark.slow
def test_a_sweep_says_once_that_quoted_choices_are_texts(tmp_path, capsys):
    config = {"x": 0, "y": 0, "z": "a"}
    lines = ["x='1','2'", "y=choice('[1]',[2])", "z=a,b", "hydra.sweeper.n_trials=4"]
    sweep(tmp_path / "s", lambda cfg: 1.0, config, *lines)
    said = "x, y: choices in quotes are texts; a list, a number or a truth value stands without"
    assert capsys.readouterr().out.count(f"{said} quotes: x=1\n") == 1


X = ["x=interval(0,1)", "hydra.sweeper.n_trials=1"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (
            "optuna_config.n_trials=2",
            "optuna_config.n_trials (given 2); it is hydra.sweeper.n_trials now",
        ),
        ("optuna_config={sampler:tpe,seed:1}", "(given 'tpe'); it is hydra/sweeper/sampler now"),
        ("seed=1", "hydra.sweeper.seed (given 1); it is hydra.sweeper.sampler.seed now"),
        ("max_batch_size=4", "(given 4); it is hydra.sweeper.n_jobs now"),
        ("ntrials=4", "hydra.sweeper.ntrials (given 4); did you mean hydra.sweeper.n_trials?"),
        ("quux={}", "hydra.sweeper.quux (given '{}'); expected one of ahead, "),
        ("optuna_config.storage='sqlite://me:hunter77@x'", "sqlite://me:***@x"),
    ],
)
def test_an_unknown_key_is_refused_with_its_place(setting, words, tmp_path):
    with pytest.raises(CompactHydraException) as error:
        sweep(tmp_path / "s", lambda cfg: 1.0, {"x": 0.0}, *X, f"+hydra.sweeper.{setting}")
    assert words in str(error.value) and "\n" not in str(error.value)
    assert str(error.value).startswith("unknown key hydra.sweeper.")
    assert not (tmp_path / "s").exists()
