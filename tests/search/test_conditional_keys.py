"""Keys that only some options of a searched group have: searched, and fixed, where they apply."""

import optuna
import pytest
from hydra.errors import HydraException
from omegaconf import OmegaConf
from support.toy_app import sweep, told

from fcsweep.messages.errors import ConfigError
from fcsweep.search.settings import SAMPLERS
from fcsweep.search.space import Space, space_of
from fcsweep.search.study.batches import create, draw
from fcsweep.search.study.samplers import quiet, sampler_of

HAVE = {"rule.momentum": ("nesterov", "momentum"), "rule.epsilon": ("adam",), "net.p": ("deep",)}
"""The options that have a key."""


class Options:
    """Stands for the options of an app with the groups rule and net."""

    def chooses(self, line):
        return line.partition("=")[0] in ("rule", "net")

    def applying(self, lines):
        chosen = {line.partition("=")[2] for line in lines if self.chooses(line)}
        keys = {line: HAVE.get(line.partition("=")[0]) for line in lines}
        return [line for line, having in keys.items() if not having or chosen & set(having)]


def space(*lines: str) -> Space:
    return space_of(None, lines).by_options(Options())


RULES = "rule=sgd,momentum,adam"


def test_a_trial_has_the_keys_of_its_options():
    found = space("rule.momentum=0.5,0.9", RULES, "rule.epsilon=1e-7", "x=1,2", "y=3")
    assert found.conditional == {"rule.momentum", "rule.epsilon"}
    assert list(found.distributions) == ["rule", "x", "rule.momentum"]
    lines = {
        "sgd": ["rule=sgd", "x=1", "y=3"],
        "adam": ["rule=adam", "x=1", "rule.epsilon=1e-7", "y=3"],
        "momentum": ["rule=momentum", "x=1", "rule.momentum=0.5", "y=3"],
    }
    for rule, expected in lines.items():
        params = {"rule": rule, "x": 1}
        params |= {"rule.momentum": 0.5} if found.has("rule.momentum", params) else {}
        assert found.overrides(params) == expected


def test_a_grid_has_each_combination_once():
    found = space(RULES, "rule.momentum=0.5,0.9", "x=1,2").grid()
    assert len(found) == 8
    assert [one for one in found if one["x"] == 1] == [
        {"rule": "sgd", "x": 1},
        {"rule": "momentum", "x": 1, "rule.momentum": 0.5},
        {"rule": "momentum", "x": 1, "rule.momentum": 0.9},
        {"rule": "adam", "x": 1},
    ]


def test_what_is_checked_first_has_every_bound_with_an_option_that_has_it():
    found = space(RULES, "rule.momentum=interval(0.5,0.9)", "net=flat,deep", "net.p=1,2,3")
    corners = found.corners()
    assert {one["rule.momentum"] for one in corners if "rule.momentum" in one} == {0.5, 0.9}
    assert {one["net.p"] for one in corners if "net.p" in one} == {1, 2, 3}
    assert all(found.has(key, one) for one in corners for key in one)
    assert all(one["rule"] == "momentum" for one in corners if "rule.momentum" in one)


@pytest.mark.parametrize("lines", [[RULES, "rule.decay=1,2"], ["rule=sgd,adam", "x=1,2"]])
def test_where_all_options_have_the_keys_nothing_is_conditional(lines):
    assert space(*lines).conditional == frozenset()


def test_a_key_that_no_option_has_stays_to_be_refused():
    found = space("rule=sgd,adam", "rule.momentum=1,2", "rule.epsilon=3")
    assert found.conditional == {"rule.epsilon"}
    assert all("rule.momentum" in one for one in found.corners())


def test_a_known_good_point_may_not_have_what_its_option_lacks():
    found = space(RULES, "rule.momentum=interval(0,1)")
    good = {"rule": "momentum", "rule.momentum": 0.5}
    assert found.check([good, {"rule.momentum": 0.5}]) == [good, {"rule.momentum": 0.5}]
    with pytest.raises(ConfigError, match=r"enqueue\[0\] has rule.momentum, .* with rule=sgd"):
        found.check([{"rule": "sgd", "rule.momentum": 0.5}])


@pytest.mark.parametrize("name", ["tpe", "random", "gp", "qmc", "nsgaii"])
def test_a_trial_that_was_cut_off_while_it_was_asked_gets_the_same_values(name):
    found = space(
        RULES, "rule.momentum=interval(0.5,0.9)", "rule.epsilon=tag(log,interval(1e-9,1))"
    )
    studies = []
    for cut in (None, 7):
        study = optuna.create_study()
        with quiet():
            study.sampler = sampler_of(OmegaConf.create(SAMPLERS[name]))(3)
            for number in range(12):
                if number == cut:
                    study.ask().suggest_categorical("rule", ("sgd", "momentum", "adam"))
                    trial = draw(study, number, found, None)
                else:
                    trial = draw(study, create(study), found, None)
                study.tell(trial, len(trial.params["rule"]) + trial.params.get("rule.momentum", 0))
        studies.append([trial.params for trial in study.trials])
    assert studies[0] == studies[1]
    assert {tuple(one) for one in studies[0]} <= {
        ("rule",),
        ("rule", "rule.momentum"),
        ("rule", "rule.epsilon"),
    }


# --- In another app -------------------------------------------------------------------------------


@pytest.fixture
def app(tmp_path):
    """Options of two groups in a folder; the config of an app that has them, where they are."""
    options = {
        "rule/sgd": "rate: 0.1",
        "rule/momentum": "rate: 0.1\nmomentum: 0.9",
        "rule/nesterov": "rate: 0.1\nmomentum: 0.9",
        "task/blur": "# @package _global_\nblur: 1",
        "task/crop": "# @package _global_\ncrop: 1",
    }
    for name, text in options.items():
        path = tmp_path / "conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    config = {"defaults": [{"rule": "sgd"}, {"task": "blur"}, "_self_"], "x": 0.0}
    return config, f"hydra.searchpath=['{tmp_path}/conf']"


SEARCH = ["rule=sgd,momentum,nesterov", "rule.momentum=interval(0.5,0.9)"]
SEED = ["hydra.sweeper.sampler.seed=4", "hydra.sweeper.n_jobs=3"]


@pytest.mark.slow
def test_a_search_goes_on_with_the_same_trials(app, tmp_path):
    config, path = app
    seen = []

    def task(cfg):
        seen.append((cfg.rule.get("momentum"), cfg.blur))
        return 1 - cfg.rule.get("momentum", 0)

    arguments = [path, *SEED, *SEARCH]
    whole = sweep(tmp_path / "whole", task, config, *arguments, "hydra.sweeper.n_trials=6")
    drawn = [trial.params for trial in whole.trials]
    assert {len(one) for one in drawn} == {1, 2}
    assert seen == [(one.get("rule.momentum"), 1) for one in drawn]
    for n_trials in (3, 6):
        cut = sweep(
            tmp_path / "cut", task, config, *arguments, f"hydra.sweeper.n_trials={n_trials}"
        )
    assert told(cut) == told(whole)
    rows = (tmp_path / "whole" / "trials.csv").read_text().splitlines()
    assert rows[0] == "number,status,value,rule,rule.momentum,seconds,folder"
    assert [row.split(",")[4] for row in rows[1:]] == [
        str(one.get("rule.momentum", "")) for one in drawn
    ]


def test_a_key_that_no_option_has_is_refused(app, tmp_path):
    config, path = app
    with pytest.raises(HydraException, match=r"Could not override 'rule.epsilon'"):
        sweep(tmp_path / "s", lambda cfg: 1.0, config, path, *SEARCH, "rule.epsilon=1,2")
    assert not (tmp_path / "s").exists()


def test_an_option_that_sets_keys_elsewhere(app, tmp_path):
    config, path = app
    lines = ["task=blur,crop", "crop=1,2", "hydra/sweeper/sampler=grid"]
    study = sweep(tmp_path / "s", lambda cfg: 1.0, config, path, *lines)
    assert [trial.params for trial in study.trials] == [
        {"task": "blur"},
        {"task": "crop", "crop": 1},
        {"task": "crop", "crop": 2},
    ]


def test_a_fixed_value_of_a_searched_group_belongs_to_the_study(app, tmp_path):
    config, path = app
    arguments = [path, "rule=momentum,nesterov", "hydra.sweeper.n_trials=1"]
    sweep(tmp_path / "s", lambda cfg: cfg.rule.rate, config, *arguments, "rule.rate=0.5")
    with pytest.raises(HydraException, match=r"rule\.rate: '0\.5', now '0\.7'"):
        sweep(tmp_path / "s", lambda cfg: 1.0, config, *arguments, "rule.rate=0.7")
