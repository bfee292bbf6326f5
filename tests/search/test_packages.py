"""A config group in two packages: each override is one of its own, and arrives."""

import pytest
from support.toy_app import sweep

from fcsweep.messages.errors import ConfigError
from fcsweep.search.overrides import place
from fcsweep.search.progress import point
from fcsweep.search.space import space_of


@pytest.mark.parametrize(
    ("params", "arguments", "searched", "overrides"),
    [
        ({}, ["net@a=x", "net@b=x"], {}, ["net@a=x", "net@b=x"]),
        ({"net@a": "x", "net@b": "y"}, [], {}, ["net@a=x", "net@b=y"]),
        ({"net@a": "x", "net@b": "y"}, ["net@b=z"], {}, ["net@a=x", "net@b=z"]),
        ({"net@a": "x,y"}, ["net@b=x,y"], {"net@a": "x", "net@b": "y"}, ["net@a=x", "net@b=y"]),
        ({"net": "x,y"}, ["net@b=z"], {"net": "x"}, ["net=x", "net@b=z"]),
        ({}, ["~net@a", "+net@b=x"], {}, ["~net@a", "+net@b=x"]),
        ({}, ["~net@a=x", "+net@b=x,y"], {"+net@b": "x"}, ["~net@a=x", "+net@b=x"]),
        ({}, ["~k", "+k=1,2"], {"+k": 2}, ["~k", "+k=2"]),
        ({}, ["+k=1", "~k"], {}, ["~k"]),
        ({}, ["~k", "k=1"], {}, ["k=1"]),
    ],
)
def test_each_package_has_an_override_of_its_own(params, arguments, searched, overrides):
    space = space_of(params, arguments)
    assert list(space.distributions) == list(searched)
    assert space.overrides(searched) == overrides


@pytest.mark.parametrize(
    ("key", "where"),
    [
        ("net", "net"),
        ("net/act", "net.act"),
        ("+net@a.b", "a.b"),
        ("net/act@a", "a"),
        ("k.j", "k.j"),
    ],
)
def test_a_group_lies_in_its_package(key, where):
    assert place(key) == where


def test_custom_code_may_search_the_other_package():
    space = space_of(None, ["net@a=x"])
    assert space.overrides({"net@b": "y"}) == ["net@b=y", "net@a=x"]
    with pytest.raises(ConfigError, match="net@a is searched and has a fixed value"):
        space.overrides({"net@a": "y"})


def test_a_line_names_the_package():
    assert point({"+net@a": "x", "net@b.c": "y", "a.b": 1}) == "net@a x, net@b.c y, b 1"


@pytest.mark.slow
def test_a_group_is_searched_in_two_packages(tmp_path):
    seen = []

    def task(cfg):
        seen.append((cfg.first.kind, cfg.second.kind))
        return 1.0 + (cfg.first.kind == cfg.second.kind)

    for name in ("sgd", "adam"):
        (tmp_path / "rule").mkdir(exist_ok=True)
        (tmp_path / "rule" / f"{name}.yaml").write_text(f"kind: {name}\n")
    config = {"defaults": [{"rule@first": "adam"}, {"rule@second": "adam"}, "_self_"]}
    folder, options = tmp_path / "sweep", ["hydra/sweeper/sampler=grid"]
    found = f"hydra.searchpath=['{tmp_path}']"
    study = sweep(folder, task, config, *options, found, "rule@first=sgd,adam", "rule@second=sgd")
    assert seen == [("sgd", "sgd"), ("adam", "sgd")]
    assert [trial.params for trial in study.trials] == [
        {"rule@first": "sgd"},
        {"rule@first": "adam"},
    ]
    both = ["rule@first=sgd,adam", "rule@second=sgd,adam", "hydra.sweeper.n_trials=4"]
    study = sweep(tmp_path / "two", task, config, *options, found, *both)
    assert len(set(seen[2:])) == 4
    assert set(study.trials[0].params) == {"rule@first", "rule@second"}
