"""Update rules of one's own, by import path: trained, stacked, searched, repeated, refused."""

import json
import re
import sys

import pytest
from support import preloaded
from support.short_runs import assert_same_numbers

import fcsweep
from fcsweep.courses import imported
from fcsweep.messages.errors import ConfigError, UserError
from fcsweep.rerun.repeat import rerun

RULES = """
import pathlib

import torch

from fcsweep.optim import UpdateRule

pathlib.Path("imported").touch()


def lion(w, dw, config):
    m = config.setdefault("m", torch.zeros_like(w))
    step = torch.sign(config["beta"] * m + (1 - config["beta"]) * dw)
    config["m"] = 0.99 * m + 0.01 * dw
    return w - config["learning_rate"] * step, config


def of_sgd(w, dw, c):
    w.addcmul_(dw, c["learning_rate"], value=-1)


as_sgd = UpdateRule("as_sgd", {"learning_rate": 0.1}, (), of_sgd)
number = 3
"""
SHORT = ["solver.num_epochs=2", "data.num_train=200", "solver.num_train_samples=100", "seed=1"]
LION = ["optimizer=custom", "optimizer.rule=my_rules:lion", "optimizer.learning_rate=1e-3"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_rules.py").write_text(RULES)
    yield tmp_path
    sys.modules.pop("my_rules", None)
    imported.forget()


@pytest.mark.slow
def test_a_function_is_trained_alone_and_in_a_stack_and_repeated(here, capsys):
    fcsweep.train([*LION, *SHORT, "optimizer.constants.beta=0.9"], "run")
    fcsweep.sweep([*LION, *SHORT, "optimizer.constants.beta=0.8,0.9"], "grid")
    stack_sizes = [json.loads((here / f"grid/{n}/provenance.json").read_text()) for n in (0, 1)]
    assert [one["stack_size"] for one in stack_sizes] == [2, 2]
    assert_same_numbers(here / "run", here / "grid/1")
    assert (here / "grid/0/losses.npy").read_bytes() != (here / "grid/1/losses.npy").read_bytes()

    capsys.readouterr()
    assert rerun([here / "run"], trust=True)
    changed = RULES.replace("0.99 * m", "0.98 * m")
    (here / "my_rules.py").write_text(changed)
    del sys.modules["my_rules"]
    imported.forget()
    assert not rerun([here / "run"], trust=True)
    assert "likely cause: the code of optimizer.rule (" in capsys.readouterr().out


@pytest.mark.slow
def test_a_rule_that_raises_for_one_trial_costs_only_that_one(here):
    text = RULES.replace(
        "    m = config.setdefault",
        "    assert config['beta'] < 0.85, 'beta'\n    m = config.setdefault",
    )
    (here / "my_rules.py").write_text(text)
    with pytest.raises(UserError, match=r"1 of 3 jobs failed: grid/1 \(AssertionError: beta"):
        fcsweep.sweep([*LION, *SHORT, "optimizer.constants.beta=0.7,0.9,0.8"], "grid")
    fcsweep.train([*LION, *SHORT, "optimizer.constants.beta=0.8"], "run")
    assert_same_numbers(here / "run", here / "grid/2")


def test_a_rerun_imports_nothing_without_trust(here):
    fcsweep.train([*LION, *SHORT, "optimizer.constants.beta=0.9"], "run")
    (here / "imported").unlink()
    program = [sys.executable, "-m", "fcsweep.rerun", "run"]
    done = preloaded.run(program, cwd=here, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: run was trained with optimizer.rule=my_rules:lion; a rerun imports it "
        f"({here}/my_rules.py): if you trust that code, add --trust\n"
    )
    assert not (here / "imported").exists()
    trusting = [*program[:-1], "--trust", "run"]
    done = preloaded.run(trusting, cwd=here, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("identical: run (2 epochs)\n"), done.stderr
    assert (here / "imported").exists()


def test_an_update_rule_resumes_and_equals_the_one_of_its_name(here):
    own = ["optimizer=custom", "optimizer.rule=my_rules:as_sgd", "optimizer.learning_rate=0.5"]
    fcsweep.train([*own, *SHORT, "solver.checkpoint_seconds=1e-9"], "own")
    fcsweep.train(["optimizer=sgd", *SHORT], "sgd")
    assert_same_numbers(here / "own", here / "sgd")


@pytest.mark.slow
def test_a_search_over_rules_and_their_constants(here):
    words = ["optimizer=sgd,custom", "optimizer.rule=my_rules:lion", *SHORT]
    words += ["optimizer.constants.beta=interval(0.5,0.99)", "hydra/sweeper=optuna"]
    words += ["hydra.sweeper.n_trials=4", "hydra.sweeper.sampler.seed=0"]
    runs = fcsweep.sweep(words, "search")
    custom = runs[runs["optimizer.name"] == "custom"]
    assert 0 < len(custom) < len(runs) and set(runs["status"]) == {"completed"}
    assert all(0.5 <= beta <= 0.99 for beta in custom["optimizer.constants.beta"])


@pytest.mark.parametrize(
    "words, told",
    [
        (
            ["optimizer.rule=nowhere:f"],
            "optimizer.rule is nowhere:f, ModuleNotFoundError: .*; st",
        ),
        (["optimizer.rule=my_rules:lyon"], "my_rules has no lyon; did you mean lion?"),
        (["optimizer.rule=my_rules:number"], r"my_rules:number, 3; expected a function \(w, dw,"),
        (["optimizer.rule=__main__:f"], "__main__:f; expected a module that a rerun can import"),
        (["optimizer.rule=my_rules.lion"], "my_rules.lion'; expected module:name"),
        ([], "optimizer.rule is missing; expected module:name"),
        (["optimizer.rule=my_rules:as_sgd", "optimizer.constants={a: 1}"], "has a; my_rules:as_s"),
        (["optimizer.rule=my_rules:lion", "solver.checkpoint_seconds=9"], "is a function, whose"),
        (["optimizer.rule=my_rules:lion", "optimizer.constants={a: x}"], "expected numbers by na"),
        (["optimizer.rule=broken:f"], "optimizer.rule is broken:f, ZeroDivisionError: division"),
    ],
)
def test_what_is_no_rule_is_refused_before_anything_is_made(here, words, told):
    (here / "broken.py").write_text("1 / 0\n")
    with pytest.raises(ConfigError, match=re.escape(told) if "?" in told else told):
        fcsweep.train(["optimizer=custom", *words, *SHORT], "never")
    assert not (here / "never").exists()


@pytest.mark.parametrize("sweeper", [[], ["hydra/sweeper=optuna"]])
def test_a_sweep_with_no_such_rule_is_refused_before_anything_is_made(here, sweeper):
    rates = "optimizer.learning_rate=0.1,0.2"
    with pytest.raises(ConfigError, match="optimizer.rule is nowhere:f, ModuleNotFoundError"):
        fcsweep.sweep(["optimizer=custom", "optimizer.rule=nowhere:f", rates, *sweeper], "never")
    assert not (here / "never").exists()
