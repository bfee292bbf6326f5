"""Models of one's own, by import path: trained, stacked, searched, resumed, repeated, refused."""

import json
import re
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support import preloaded
from support.short_runs import assert_same_numbers, reseal

import fcsweep
from fcsweep.courses import imported
from fcsweep.evaluate import evaluate
from fcsweep.export.writing import export
from fcsweep.messages.errors import ConfigError, FolderError
from fcsweep.predict import predict
from fcsweep.rerun.repeat import rerun
from fcsweep.trained.runs import read_trained

NETS = """
import pathlib

from torch import nn

pathlib.Path("imported").touch()


def make(input_dim, num_classes, width=16, p=0.0, slope=0.0):
    return nn.Sequential(
        nn.Linear(input_dim, width),
        nn.BatchNorm1d(width),
        nn.LeakyReLU(slope),
        nn.Dropout(p),
        nn.Linear(width, num_classes),
    )


class Small(nn.Linear):
    def __init__(self):
        super().__init__(64, 10)


def wrong(num_classes):
    return nn.Linear(3, num_classes)
"""
SHORT = ["solver.num_epochs=2", "data.num_train=200", "solver.num_train_samples=100", "seed=1"]
MODEL = ["model=torch", "model.build=my_nets:make", "optimizer.learning_rate=0.1"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_nets.py").write_text(NETS)
    yield tmp_path
    sys.modules.pop("my_nets", None)
    imported.forget()


def provenance(folder):
    return json.loads((folder / "provenance.json").read_text())


@pytest.mark.slow
def test_a_grid_shares_a_stack_and_repeats(here, capsys):
    fcsweep.sweep([*MODEL, *SHORT, "model.kwargs.p=0.1,0.5", "model.reg=0,0.1"], "grid")
    assert [provenance(here / f"grid/{n}")["stack_size"] for n in range(4)] == [4] * 4
    losses = {(here / f"grid/{n}/losses.npy").read_bytes() for n in range(4)}
    assert len(losses) == 4
    fcsweep.sweep([*MODEL, *SHORT, "model.kwargs.p=0.1,0.5", "model.reg=0,0.1"], "again")
    for n in range(4):
        assert_same_numbers(here / f"grid/{n}", here / f"again/{n}")
    facts = provenance(here / "grid/0")
    assert len(facts["model_build_sha256"]) == 64 and facts["model_build_file"] == "my_nets.py"


def test_the_best_parameters_are_a_state_dict_that_scores_as_recorded(here):
    fcsweep.train([*MODEL, *SHORT, "model.kwargs={width: 24, p: 0.2}"], "run")
    import my_nets  # pyright: ignore[reportMissingImports]

    module = my_nets.make(64, 10, width=24)
    module.load_state_dict(load_file(here / "run/best.safetensors"))
    data = fcsweep.data.load("digits")
    right = (module.eval()(data.X_val).argmax(1) == data.y_val).double().mean().item()
    assert right == json.loads((here / "run/result.json").read_text())["best_val_accuracy"]
    counted = evaluate(here / "run", trust=True)
    assert counted is not None and counted["validation"] == (round(right * 200), 200)


def test_the_initial_weights_are_those_of_the_seed(here):
    still = ["solver.num_epochs=1", "optimizer.learning_rate=1e-30"]
    fcsweep.train([*MODEL, *SHORT, *still], "run")
    import my_nets  # pyright: ignore[reportMissingImports]

    torch.manual_seed(1)
    assert torch.equal(
        my_nets.make(64, 10)[0].weight, load_file(here / "run/best.safetensors")["0.weight"]
    )


@pytest.mark.slow
def test_forms_that_differ_are_trained_in_stacks_of_their_own(here, caplog):
    fcsweep.sweep([*MODEL, *SHORT, "model.kwargs.width=8,16", "model.kwargs.p=0.1,0.2"], "grid")
    assert [provenance(here / f"grid/{n}")["stack_size"] for n in range(4)] == [2] * 4
    fcsweep.sweep([*MODEL, *SHORT, "model.kwargs.slope=0.1,0.2"], "slopes")
    assert [provenance(here / f"slopes/{n}")["stack_size"] for n in range(2)] == [1] * 2
    log = (here / "slopes/0/fcsweep.log").read_text()
    assert "2.negative_slope is 0.1 and 0.2" in log


@pytest.mark.slow
def test_a_search_prunes_and_draws_keywords(here):
    words = [*MODEL, *SHORT, "hydra/sweeper=optuna", "hydra.sweeper.n_trials=6"]
    words += ["hydra.sweeper.sampler.seed=0", "model.kwargs.p=interval(0.0,0.6)"]
    words += ["optimizer.learning_rate=interval(0.01,0.3)", "hydra/sweeper/pruner=median"]
    runs = fcsweep.sweep(words, "search")
    assert len(runs) == 6 and set(runs["status"]) <= {"completed", "pruned"}
    assert runs["model.kwargs.p"].between(0, 0.6).all() and runs["model.kwargs.p"].nunique() == 6


@pytest.mark.slow
def test_a_run_resumes_from_its_checkpoint_to_the_same_bits(here):
    words = [*MODEL, *SHORT, "model.kwargs.p=0.3", "solver.checkpoint_seconds=1e-9"]
    fcsweep.train([*words, "solver.num_epochs=6"], "whole")
    stop = "import fcsweep, fcsweep.run.checkpoint as c, os; after = c.Checkpoints.after\n"
    stop += "def die(self, solver, records):\n    after(self, solver, records)\n"
    stop += "    if solver.epoch == 3: os._exit(9)\n"
    stop += f"c.Checkpoints.after = die; fcsweep.train({[*words, 'solver.num_epochs=6']}, 'killed')"
    done = preloaded.run([sys.executable, "-c", stop], cwd=here, check=False)
    assert done.returncode == 9
    fcsweep.train([*words, "solver.num_epochs=6"], "killed")
    assert "resuming after epoch 3" in (here / "killed/fcsweep.log").read_text()
    assert_same_numbers(here / "whole", here / "killed")


@pytest.mark.slow
def test_an_ensemble_takes_members_with_models_of_ones_own(here):
    from fcsweep.ensemble.__main__ import ensemble

    runs = fcsweep.sweep([*MODEL, *SHORT, "model.kwargs.p=0.1,0.5"], "grid")
    with pytest.raises(FolderError, match=r"0 was trained with model.build=my_nets:make; this"):
        ensemble(here / "grid")
    made = ensemble(here / "grid", trust=True)
    score = made.scores["validation"]
    assert score.best == runs["best_val_accuracy"].max() <= score.ensemble


def test_nothing_uses_a_run_that_imports_code_without_trust(here):
    fcsweep.train([*MODEL, *SHORT], "run")
    (here / "imported").unlink()
    sys.modules.pop("my_nets")
    told = re.escape(
        "run was trained with model.build=my_nets:make; this command imports it "
        f"({here}/my_nets.py): if you trust that code, add --trust"
    )
    for use in (
        lambda: evaluate(here / "run"),
        lambda: read_trained(here / "run"),
        lambda: predict(here / "run", here / "table.csv"),
    ):
        with pytest.raises(FolderError, match=told):
            use()
    assert "my_nets" not in sys.modules and not (here / "imported").exists()
    with pytest.raises(FolderError, match="plain torch already: best.safetensors is its s"):
        export(read_trained(here / "run", trust=True), here / "out")
    assert "my_nets" not in sys.modules


@pytest.mark.parametrize(
    "stack, told",
    [
        (2, r"same to 1e-6 outside its stack: .*; likely cause: a model of one's own, in a stack "),
        (1, r"different: .*/run: losses.npy"),
    ],
)
def test_the_last_bits_may_differ_where_a_run_was_trained_in_a_stack(here, capsys, stack, told):
    fcsweep.train([*MODEL, *SHORT], "run")
    losses = np.load(here / "run/losses.npy")
    losses[2] = np.nextafter(losses[2], np.float32(9))
    np.save(here / "run/losses.npy", losses)
    reseal(here / "run", stack_size=stack)
    capsys.readouterr()
    assert not rerun([here / "run"], trust=True)
    assert re.match(told, capsys.readouterr().out)


def test_a_rerun_wants_trust_and_names_code_that_has_changed(here, capsys):
    fcsweep.train([*MODEL, *SHORT], "run")
    capsys.readouterr()
    assert not rerun([here / "run"])
    assert "was trained with model.build=my_nets:make; a rerun imports" in capsys.readouterr().err
    assert rerun([here / "run"], trust=True)
    (here / "my_nets.py").write_text(NETS.replace("nn.LeakyReLU(slope)", "nn.Tanh()"))
    del sys.modules["my_nets"]
    imported.forget()
    assert not rerun([here / "run"], trust=True)
    assert "likely cause: the code of model.build (" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, told",
    [
        ([], "model.build is missing; expected module:name, such as my_code:make"),
        (["model.build=nowhere:f"], "model.build is nowhere:f, ModuleNotFoundError"),
        (["model.build=my_nets:mak"], "my_nets has no mak; did you mean make?"),
        (["model.build=my_nets:wrong"], "Linear does not work in a stack, on examples (n, 64): "),
        (["model.build=my_nets:nn"], "model.build is my_nets:nn: TypeError"),
        (["model.build=my_nets:make", "model.kwargs.depth=3"], "unexpected keyword argument"),
        (["model.build=my_nets:make", "model.kwargs=3"], "model.kwargs is 3; expected keywords"),
        (
            ["model.build=my_nets:make", "solver.first_layer=row_space"],
            "expected plain with model=",
        ),
        (
            ["model.build=my_nets:make", "model.hidden_dims=[3]"],
            "model.hidden_dims (given [3]) for",
        ),
    ],
)
def test_what_is_no_model_is_refused_before_anything_is_made(here, words, told):
    with pytest.raises(ConfigError, match=re.escape(told)):
        fcsweep.train(["model=torch", *words, *SHORT], "never")
    assert not (here / "never").exists()


def test_a_class_can_be_named_too(here):
    run = fcsweep.train(["model=torch", "model.build=my_nets:Small", *SHORT], "run")
    assert run["value"].item() > 0.3
