"""The command line: mistakes, folders, sweeps, signals, help; most of it with a run that is quick.

What starts no run is called in this process, as a user's command in an empty folder. What depends
on a process of its own (signals, imports, the two ways to start) runs in one.
"""

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support import preloaded
from support.commands import Said, contents
from support.marks import one_quick

from fcsweep import __version__
from fcsweep.composition.loader import conf_dir
from fcsweep.config import read, typed
from fcsweep.data import DataError

# --- Mistakes -------------------------------------------------------------------------------------

WEIGHT_SCALE = "did you mean model.weight_scale, a number > 0?"

MISTAKES: dict[str, tuple[str, ...]] = {
    # arguments, parted by spaces: what the line says
    "model.weight_scal=1": ("unknown key model.weight_scal (given 1)", WEIGHT_SCALE),
    "+model.weight_scal=1": ("unknown key model.weight_scal (given 1)", WEIGHT_SCALE),
    "++model.weight_scal=1": ("unknown key model.weight_scal (given 1)", WEIGHT_SCALE),
    "mode.weight_scale=1": ("unknown key mode.weight_scale (given 1)", WEIGHT_SCALE),
    "weight_scale=1": ("unknown key weight_scale (given 1)", WEIGHT_SCALE),
    "optimiser=sgd": ("unknown key optimiser (given 'sgd')", "did you mean optimizer, one of sgd"),
    "solver.num_epoch=3": ("did you mean solver.num_epochs, a whole number >= 1?",),
    "optimizer.lr=1": ("unknown key optimizer.lr", "did you mean optimizer.learning_rate, a"),
    "solver.lr=1": ("did you mean optimizer.learning_rate, a number > 0?",),
    "batch=5": ("did you mean solver.batch_size",),
    "model.droput=0.5": ("did you mean model.dropout, which belongs to three_layer, five_layer",),
    "model.colour=red": ("expected one of hidden_dims, weight_scale, reg, loss_function",),
    "optimizer=momentum_sgd": ("did you mean momentum?",),
    "objective=test_accuracy": ("did you mean val_accuracy?",),
    "seed = 3": ("cannot read 'seed'; expected KEY=VALUE, without spaces around the =",),
    "optimizer.momentum=0.5": ("for optimizer=sgd; it belongs to momentum",),
    "model.dropout=0.5": ("for model=two_layer; it belongs to three_layer, five_layer",),
    "+new.key=1": ("unknown key new.key (given 1)", "expected one of model, optimizer, data"),
    "+model.reg=1": ("already at 'model.reg'", "'model.reg=1'"),
    "model={a:1}": ("unknown key model.a (given 1)",),
    "model/x=3": ("unknown key model/x (given 3)",),
    "model.hidden_dims.4=3": ("model.hidden_dims.4=3", "out of range"),
    "hydra.run.dri=x": ("unknown key hydra.run.dri (given 'x')", "did you mean hydra.run.dir?"),
    "optimizer=adamm": (
        "optimizer is 'adamm'",
        "one of adam, adamw, custom, momentum, nesterov, rmsprop",
        "mean adam?",
    ),
    "experiment=cifar": (
        "experiment is 'cifar'",
        "best_ensemble, best_plain, best_two_layer, cifar10, cifar10_plain, cifar10_two_layer,",
        "mean cifar10?",
    ),
    "data=emnist": ("data is 'emnist'; expected one of breast_cancer, cifar10, custom, diabetes,",),
    "model=3": ("model is 3; expected one of five_layer, fully_connected, three_layer, torch,",),
    "model=null": ("model is null; expected one of five_layer",),
    "optimizer=[sgd,adam]": ("to run each option: -m optimizer=sgd,adam",),
    "hydra/launcher=joblib": ("hydra/launcher is 'joblib'", "pip install 'fcsweep[parallel]'"),
    "model.weight_scale=abc": ("model.weight_scale is 'abc'; expected a number > 0",),
    "model.weight_scale='0.1'": ("model.weight_scale is '0.1'; expected a number > 0",),
    "model.weight_scale=nan": ("model.weight_scale is nan; expected a number > 0",),
    "model.weight_scale=1e400": ("model.weight_scale is inf; expected a number > 0",),
    "model.weight_scale=": ("model.weight_scale is ''; expected a number > 0",),
    "seed=-1": ("seed is -1; expected a whole number in [0, 2**32)",),
    "model.hidden_dims=50": ("model.hidden_dims is 50; expected a list of one", "mean [50]?"),
    "-m model.hidden_dims=50,60": ("hidden_dims=50,60 sweeps numbers", "hidden_dims=[50],[60]?"),
    "model.name=five_layer": ("would rename an option; choose one by model=...",),
    "optimizer.name=adam": ("would rename an option; choose one by optimizer=...",),
    "solver.batch_size=5000": ("is 5000; expected at most 1397, the training rows of digits",),
    "data.num_train=50": ("solver.batch_size is 100; expected at most 50, the value of data.num",),
    "data=cifar10 data.root=5": ("data.root is 5; expected a path", "or null"),
    "seed=${nothing}": ("seed has no value", "'nothing' not found"),
    "seed=???": ("seed is missing; expected a whole number",),
    "optimizer=sgd,momentum": ("holds several values; add -m to run each of them",),
    "model.hidden_dims=5,6": ("add -m", "or write model.hidden_dims=[...] for one list"),
    "model.reg=interval(0,1)": ("is a range to search; add -m and hydra/sweeper=optuna",),
    "-m model.reg=interval(0,1)": ("is a range to search; add hydra/sweeper=optuna",),
    "-m model.reg=tag(log,interval(1e-4,1))": ("is a range to search; add hydra/sweeper=optuna",),
    "experiment=sgd_vs_momentum": ("is a sweep over optimizer; add -m",),
    "-m seed=1,2,-3": ("seed is -3; expected a whole number",),
    "-m optimizer=sgd,adamm": ("optimizer is 'adamm'", "did you mean adam?"),
    "-m model.weight_scal=1,2": ("unknown key model.weight_scal (given 1)", WEIGHT_SCALE),
    "-m optimizer=momentum,sgd optimizer.epsilon=0.5,0.6": ("it belongs to rmsprop, adam, adamw",),
    "-m seed=1,2 optimizer.epsilon=1": ("for optimizer=sgd; it belongs to rmsprop, adam, adamw",),
    "-m optimizer=adam,rmsprop optimizer.epsilon=1 seeds=1": ("unknown key seeds (given 1)",),
    "hydra/run/dir=x": ("has slashes; a value is set with dots: hydra.run.dir=x",),
    "hydra/sweper=optuna": ("unknown group hydra/sweper", "did you mean hydra/sweeper?"),
    "hydra.job_logging=none": ("is chosen with slashes: hydra/job_logging=none",),
    "-m hydra.sweeper=optuna seed=1,2": ("an option is chosen with slashes: hydra/sweeper=optuna",),
    "-m hydra.launcher=joblib seed=1,2": ("is chosen with slashes: hydra/launcher=joblib",),
    "-m hydra/sweeper=optuna hydra.sweeper.sampler=tpe,random seed=1,2": (
        "an option is chosen with slashes: hydra/sweeper/sampler=tpe",
    ),
    "-m hydra/sweeper=optuna seed=1,2 hydra.sweeper.storage=sqlite:///no/x.db": (
        "hydra.sweeper.storage is sqlite:///no/x.db: there is no folder no; make it first",
    ),
    "-m hydra/sweeper=optuna seed=1,2 hydra.sweeper.storage=${oc.env:NO_DB}": (
        "hydra.sweeper.storage has no value: Environment variable 'NO_DB' not found",
    ),
    "-m seed=1,2 hydra.launcher.max_trials=${oc.env:NO_DB}": (
        "hydra.launcher.max_trials has no value: Environment variable 'NO_DB' not found",
    ),
    "-m hydra.sweeper.max_batch_size=0 seed=1,2": ("max_batch_size is 0; expected",),
    "-m seed=1,2 hydra.sweep.dir=a,b": ("hydra", "is not supported", "hydra.sweep.dir=a,b"),
    "~model": ("~model deletes a key; expected a value: model=...",),
    "~model.reg": ("~model.reg deletes a key; expected a value: model.reg=...",),
    "model.reg=[1": ("cannot read 'model.reg=[1'", "goes in quotes"),
    "model.reg": ("cannot read 'model.reg'; expected KEY=VALUE",),
    "=3": ("cannot read '=3'",),
    "--foo": ("unrecognized arguments: --foo",),
    "--mulitrun": ("unrecognized arguments: --mulitrun; did you mean --multirun?",),
    "--cfg": ("--cfg/-c: expected one argument; --help lists the flags",),
    "-m --cfg job seed=1,2": ("--cfg tells of one run: leave -m out, and give one value a key",),
    "--info -m": ("--multirun and --info do not go together; --info tells of one run",),
    "--run --cfg job": ("error: --run and --cfg do not go together\n",),
    "--config-name=foo": ("there is no config 'foo'",),
    "--config-dir=nowhere": ("nowhere' not found",),
    "--experimental-rerun x.pickle": ("use python -m fcsweep.rerun RUN_DIR",),
    "hydra.job.name=../../evil": ("hydra.job.name is '../../evil'; expected a name",),
    "hydra.output_subdir=null": ("hydra.output_subdir is null; expected .hydra",),
    "-m hydra.sweep.subdir=../x seed=1,2": ("hydra.sweep.subdir is '../x'; expected ${hydra.job",),
    "-m optimizer=glob(zz*)": ("optimizer=glob(zz*) matches nothing; expected at least one value",),
    "-m hydra/sweeper=optuna model.hidden_dims=50,100": ("hidden_dims=[50],[100]?",),
    "-m seed=glob(*)": ("seed=glob(*) matches nothing",),
    "-m seed=1,2 hydra.run.dir=x": ("hydra.run.dir=x has no effect here", "is hydra.sweep.dir"),
    "hydra.sweep.dir=x": ("hydra.sweep.dir=x has no effect here", "is hydra.run.dir"),
    "hydra.run.dir=${nothing}": ("hydra.run.dir has no value", "'nothing' not found"),
    "seed=${solver.num_epochs} solver.num_epochs=${seed}": ("Recursive interpolation detected",),
    "seed=010": ("seed is '010'; expected a whole number",),
    "seed=12:30": ("seed is '12:30'; expected a whole number",),
    "seed=no": ("seed is 'no'; expected a whole number",),
    "-m seed=1,2 hydra.sweeper.dir=x": ("mean hydra.sweep.dir?",),
    "-m seed=1,2 hydra.sweepdir=x": ("mean hydra.sweep.dir?",),
    "-m seed=1,2 hydra.dir=x": ("mean hydra.sweep.dir?",),
    "hydra.dir=x": ("mean hydra.run.dir?",),
    "-m hydra/sweeper=optuna seed=1,2 hydra.sweeper.trials=5": ("mean hydra.sweeper.n_trials?",),
    "-m hydra/sweeper=optuna seed=1,2 hydra.pruner=median": ("hydra/sweeper/pruner=median?",),
    "-m seed=1,2 sweep.dir=x": (
        "unknown key sweep.dir (given 'x'); did you mean hydra.sweep.dir?",
    ),
    "-m seed=1,2 n_trials=5": ("mean hydra.sweeper.n_trials?",),
    "-m hydra.sweeper.nothing=1,2": ("unknown key hydra.sweeper.nothing (given '1,2')",),
    "+hydra.job.env_set.A_TOKEN=x": ("hydra.job.env_set.A_TOKEN holds a secret",),
    "hydra.run.dir=file": ("hydra.run.dir: file is a file",),
    "hydra.run.dir=file/x": ("hydra.run.dir: file/x cannot be made (Not a directory)",),
    "-m model.reg=choice(null,1)": ("model.reg is null; expected a number >= 0",),
    "-m hydra/sweeper=optuna seed=1,2 hydra.sweeper.direction=minimize": (
        "hydra.sweeper.direction is minimize; expected maximize: val_accuracy is to be high",
    ),
    "-m hydra/sweeper=optuna seed=1,2 hydra.sweeper.direction=[maximize,minimize]": (
        "hydra.sweeper.direction is maximize, minimize; expected maximize",
    ),
    "-m experiment=overfit_three_layer hydra.sweeper.direction=minimize": (
        "expected maximize: train_accuracy is to be high",
    ),
    "-m hydra/sweeper=optuna seed=1,2 +hydra.sweeper.optuna_config.n_jobs=3": (
        "unknown key hydra.sweeper.optuna_config.n_jobs (given 3); it is hydra.sweeper.n_jobs now",
    ),
    "hydra.run.dir=.": ("hydra.run.dir: . holds something that is not a run",),
    "hydra.run.dir=/proc/x": ("hydra.run.dir: /proc/x cannot be made",),
    "-m seed=1,2 hydra.sweep.dir=file": ("hydra.sweep.dir: file is a file",),
    "-m seed=1,2 hydra.sweep.dir=.": ("hydra.sweep.dir: . holds something that is not a sweep",),
}


@pytest.mark.parametrize(("arguments", "words"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(arguments, words, fcsweep, trained, tmp_path):
    if "joblib" in arguments and find_spec("hydra_plugins.hydra_joblib_launcher"):
        pytest.skip("no mistake where the extra is installed")
    (tmp_path / "file").touch()
    said = fcsweep(*arguments.split())
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert said.err.startswith("error: ")
    assert [word for word in words if word.lower() not in said.err.lower()] == []
    assert said.out == ""
    assert contents(tmp_path) == ["file"]
    assert trained == []


@pytest.mark.parametrize("way", ["relative", "absolute", "swept"])
def test_an_option_cannot_lead_out_of_the_config_folder(way, fcsweep, trained, tmp_path):
    (tmp_path / "outside.yaml").write_text("name: sgd\nlearning_rate: 1\n")
    path = os.path.relpath(tmp_path / "outside", conf_dir() / "optimizer")
    path = str(tmp_path / "outside") if way == "absolute" else path
    said = fcsweep(*(["-m", f"optimizer=sgd,{path}"] if way == "swept" else [f"optimizer={path}"]))
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "expected the name of an option, not a path" in said.err
    assert (contents(tmp_path), trained) == (["outside.yaml"], [])


@pytest.mark.parametrize(
    ("device", "count", "words"),
    [
        ("cuda", 0, "device is 'cuda', but torch"),
        ("cuda:0", 0, "finds no GPU here; expected cpu, or auto"),
        ("cuda:2", 2, "device is 'cuda:2'; expected one of cuda:0, cuda:1, cpu, auto"),
        ("cpu,cuda", 0, "device is 'cuda', but torch"),
    ],
)
def test_a_gpu_that_is_not_there(device, count, words, fcsweep, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    said = fcsweep(*(["-m"] if "," in device else []), f"device={device}")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert words in said.err
    assert (contents(tmp_path), trained) == ([], [])


@pytest.mark.slow
def test_a_gpu_that_is_there(fcsweep, trained, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert fcsweep("-m", "device=cuda,cuda:1,cpu,auto", "hydra.sweep.dir=s").code == 0
    assert trained == ["0", "1", "2", "3"]


def test_the_full_error_on_request(fcsweep, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    said = fcsweep("model.weight_scal=1")
    first, *_, last = said.err.splitlines()
    assert (said.code, first) == (1, "Traceback (most recent call last):")
    assert last.startswith("fcsweep.messages.errors.ConfigError: unknown key model.weight_scal")


# --- One run --------------------------------------------------------------------------------------


def test_a_run_has_a_folder_of_its_own(fcsweep, trained, tmp_path):
    assert [fcsweep().code, fcsweep().code] == [0, 0]
    folders = list((tmp_path / "outputs").iterdir())
    assert len(folders) == 2
    assert sorted(trained) == sorted(folder.name for folder in folders)
    for folder in folders:
        assert time.strptime(folder.name[:-5], "%Y-%m-%d_%H-%M-%S")
        assert int(folder.name[-4:], 16) >= 0
        files = [".hydra", "fcsweep.log", "result.json"]
        assert sorted(path.name for path in folder.iterdir()) == files


def test_two_starts_with_one_stamp_have_two_folders(fcsweep, trained, tmp_path, monkeypatch):
    stamps = iter(["0a0a", "0a0a", "0b0b"])
    monkeypatch.setattr("fcsweep.composition.loader.secrets.token_hex", lambda _: next(stamps))
    monkeypatch.setattr(
        "fcsweep.composition.loader.datetime", SimpleNamespace(now=lambda: Frozen())
    )
    assert [fcsweep().code, fcsweep().code] == [0, 0]
    assert trained == ["then_0a0a", "then_0b0b"]


class Frozen:
    def __format__(self, _: str) -> str:
        return "then"


def test_the_saved_config_is_what_was_checked(fcsweep, trained, tmp_path):
    (tmp_path / "a b").mkdir()
    said = fcsweep(
        "data=cifar10",
        "data.root=a b",
        "model.reg=1",
        "seed=${solver.num_epochs}",
        "hydra.run.dir=r",
    )
    assert said == Said(0, "", "")
    config = read(tmp_path / "r" / ".hydra" / "config.yaml")
    assert config["data"]["root"] == str(tmp_path / "a b")
    assert (config["model"]["reg"], config["seed"]) == (1.0, 20)
    assert list(config)[:4] == ["model", "optimizer", "data", "solver"]
    assert typed(config).seed == 20


@pytest.mark.slow
def test_a_folder_with_a_finished_run(fcsweep, trained, tmp_path):
    assert fcsweep("hydra.run.dir=r", "seed=5").code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert fcsweep("hydra.run.dir=r", "seed=5") == Said(
        0, "r is done: completed, val_accuracy 0.0500\n", ""
    )
    said = fcsweep("hydra.run.dir=r", "seed=6")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        "error: hydra.run.dir: r contains a run with a different config "
        "(seed: recorded 5, requested 6); name a new or an empty folder\n"
    )
    assert trained == ["r"]
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.slow
def test_a_folder_with_an_unfinished_run_goes_on(fcsweep, trained, tmp_path):
    fcsweep("hydra.run.dir=r")
    (tmp_path / "r" / "result.json").write_text('{"status": "running"}')
    assert fcsweep("hydra.run.dir=r").code == 0
    assert trained == ["r", "r"]


def test_a_run_that_fails_is_one_line(fcsweep, trained):
    said = fcsweep("seed=13", "hydra.run.dir=r")
    assert said == Said(1, "", "error: the run failed: RuntimeError: unlucky (see r)\n")


# --- A sweep --------------------------------------------------------------------------------------


def test_a_grid_ends_with_a_table(fcsweep, trained, tmp_path):
    said = fcsweep("-m", "optimizer=sgd,momentum", "seed=7,9", "hydra.sweep.dir=s")
    assert (said.code, said.err) == (0, "")
    reached = "0.0800 ± 0.0141              2      completed  0.5    "
    mean = "(best of 2 seeds, mean 0.0800 ± 0.0141)"
    assert said.out.splitlines()[-5:] == [
        "optimizer  learning_rate  best val         best train  seeds  status     seconds  folder",
        f"sgd        0.5            {reached}  s/0, 1",
        f"momentum   0.1            {reached}  s/2, 3",
        f"best: s/1 {mean}, optimizer sgd, learning_rate 0.5; 1 other reaches it",
        "report: s/report.html",
    ]
    with open(tmp_path / "s" / "trials.csv", newline="") as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["7", "9", "7", "9"]
    assert trained == ["0", "1", "2", "3"]
    assert (tmp_path / "s" / "multirun.yaml").exists()


@pytest.mark.slow
def test_m_is_a_sweep_whatever_the_mode_in_a_config(fcsweep, trained, tmp_path):
    said = fcsweep("-m", "seed=1,2", "hydra.mode=RUN", "hydra.sweep.dir=s")
    assert (said.code, said.err) == (0, "")
    assert sorted(path.name for path in (tmp_path / "s").iterdir() if path.is_dir()) == ["0", "1"]


@pytest.mark.slow
def test_an_experiment_may_be_a_grid(fcsweep, trained, tmp_path):
    assert fcsweep("-m", "experiment=sgd_vs_momentum", "hydra.sweep.dir=s").code == 0
    configs = [typed(read(tmp_path / "s" / n / ".hydra" / "config.yaml")) for n in "01"]
    assert [config.optimizer.name for config in configs] == ["sgd", "momentum"]
    assert configs[0].optimizer.learning_rate == configs[1].optimizer.learning_rate
    assert configs[0].model == configs[1].model


@pytest.mark.parametrize("batch", ["null", "1"])
def test_a_failed_job_costs_only_itself(batch, fcsweep, trained):
    size = f"hydra.sweeper.max_batch_size={batch}"
    said = fcsweep("-m", "seed=1,13,2", "hydra.sweep.dir=s", size)
    assert said.code == 1
    assert said.err == "error: 1 of 3 jobs failed: s/1 (RuntimeError: unlucky)\n"
    assert trained == ["0", "1", "2"]
    assert "failed" in said.out
    assert "Traceback" not in said.out
    assert "best: s/2 (best of 2 of 3 seeds, mean 0.0150 ± 0.0071)\n" in said.out


@pytest.mark.slow
def test_jobs_that_failed_for_one_reason_are_named_together(fcsweep, trained):
    said = fcsweep("-m", "seed=13,2", "model.reg=0,1,2", "hydra.sweep.dir=s")
    why = "s/0, s/1, s/2 (RuntimeError: unlucky)"
    assert (said.code, said.err) == (1, f"error: 3 of 6 jobs failed: {why}\n")


# --- Data that are not there ----------------------------------------------------------------------

RATE = "optimizer.learning_rate=tag(log,interval(1e-3,1))"


def test_a_search_ends_with_the_words_and_counts_of_its_table(fcsweep, trained, tmp_path):
    search = ["-m", "hydra/sweeper=optuna", "hydra/sweeper/sampler=grid", "hydra.sweep.dir=s"]
    said = fcsweep(*search, "hydra.sweeper.n_trials=4", "seed=3,14", "model.reg=0,1")
    assert said.code == 0
    assert "all 4 trials done: 2 completed, 2 diverged\n1 more trial diverged as" in said.out
    assert "4 runs: 2 completed, 2 diverged." in (tmp_path / "s" / "report.html").read_text()
    with open(tmp_path / "s" / "trials.csv", newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)].count("diverged") == 2
    assert "  failed: 0\n" in (tmp_path / "s" / "optimization_results.yaml").read_text()


@pytest.fixture
def downloads(monkeypatch, tmp_path) -> list[str]:
    """The tries to download CIFAR-10; none succeeds, and the cache is empty."""
    tries: list[str] = []

    def fail(_: object) -> None:
        tries.append("archive")
        raise DataError("CIFAR-10 is not on this machine and could not be downloaded")

    monkeypatch.setenv("FCSWEEP_CACHE", str(tmp_path.with_name(f"{tmp_path.name}-cache")))
    monkeypatch.setattr("fcsweep.data.images.cifar10.downloaded", fail)
    return tries


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["data=digits,cifar10", "seed=1,2,3"], 1),
        (["experiment=val50"], 1),
        (["hydra/sweeper=optuna", "data=digits,cifar10", RATE], 1),
        (["data=cifar10", "data.root=nowhere,elsewhere"], 0),
        (["data=cifar10", "data.root=nowhere", "hydra/sweeper=optuna", RATE], 0),
    ],
)
@pytest.mark.parametrize("folder", one_quick(["s", None]))
def test_a_sweep_without_its_data_is_one_line(
    words, asked, folder, fcsweep, trained, downloads, tmp_path
):
    named = [] if folder is None else [f"hydra.sweep.dir={folder}"]
    said = fcsweep("-m", *words, *named)
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    if asked:
        assert said.err.endswith(
            "error: CIFAR-10 is not on this machine and could not be downloaded\n"
        )
    else:
        assert re.search(r"data.root=\S+(nowhere|elsewhere): there is no such file", said.err)
    assert downloads == ["archive"] * asked
    assert trained == []
    assert [one for one in contents(tmp_path) if one != "multirun"] == []


@pytest.mark.slow
def test_data_that_are_missing_stop_what_is_left_of_a_sweep_only(
    fcsweep, trained, downloads, tmp_path
):
    (tmp_path / "a").mkdir()
    grid = ["-m", "data=cifar10", f"data.root={tmp_path}/a", "hydra.sweep.dir=s"]
    search = [*grid[:-1], "hydra/sweeper=optuna", RATE, "hydra.sweep.dir=o"]
    with pytest.MonkeyPatch.context() as there:
        there.setattr(
            "fcsweep.data.images.cifar10.find", lambda root, part: SimpleNamespace(path=root)
        )
        assert fcsweep(*grid, "seed=0,1").code == 0
        assert fcsweep(*search, "hydra.sweeper.n_trials=2").code == 0
    before = contents(tmp_path)
    assert len(trained) == 4
    assert fcsweep(*grid, "seed=0,1").code == 0
    assert fcsweep(*search, "hydra.sweeper.n_trials=2").code == 0
    for more in ([*grid, "seed=0,1,2"], [*search, "hydra.sweeper.n_trials=4"]):
        said = fcsweep(*more)
        assert (said.code, said.err.count("\n")) == (1, 1)
        assert "a: holds no CIFAR-10" in said.err and "best:" not in said.out
    assert (len(trained), contents(tmp_path)) == (4, before)


def test_jobs_of_slurm_find_their_data_themselves(fcsweep, trained, downloads, monkeypatch):
    for module in ("app", "checks"):
        monkeypatch.setattr(f"fcsweep.cli.{module}.elsewhere", lambda cfg: True)
    assert fcsweep("-m", "data=cifar10", "seed=1,2", "hydra.sweep.dir=s").code == 0
    assert (trained, downloads) == (["0", "1"], [])


def test_a_job_that_fails_without_a_record_is_named_too(fcsweep, trained, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setitem(sys.modules, "fcsweep.run", SimpleNamespace(run=broken))
    said = fcsweep("-m", "seed=1", "hydra.sweep.dir=s")
    assert said.err == "error: 1 of 1 jobs failed: s/0 (MemoryError)\n"


@pytest.mark.slow
def test_a_grid_goes_on_where_it_stopped(fcsweep, trained, tmp_path):
    command = "-m", "seed=1,2,3,4,5", "hydra.sweep.dir=s"
    assert fcsweep(*command).code == 0
    (tmp_path / "s" / "1" / "result.json").unlink()
    (tmp_path / "s" / "3" / "result.json").write_text('{"status": "interrupted"}')
    before = (tmp_path / "s" / "2" / ".hydra" / "hydra.yaml").stat().st_mtime_ns
    said = fcsweep(*command)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("resuming s: 3 finished, 2 to go\n")
    assert trained == ["0", "1", "2", "3", "4", "1", "3"]
    assert (tmp_path / "s" / "2" / ".hydra" / "hydra.yaml").stat().st_mtime_ns == before
    assert fcsweep(*command).out.startswith("resuming s: 5 finished, 0 to go\n")
    assert len(trained) == 7


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ("1,3", "s/1 contains a run with a different config (seed: recorded 2, requested 3)"),
        ("1", "s holds run 1, but this sweep has 1, from 0"),
    ],
)
def test_another_grid_is_refused(seeds, words, fcsweep, trained, tmp_path):
    fcsweep("-m", "seed=1,2", "hydra.sweep.dir=s")
    before = contents(tmp_path)
    said = fcsweep("-m", f"seed={seeds}", "hydra.sweep.dir=s")
    assert (said.code, said.err.count("\n"), said.out) == (1, 1, "")
    assert words in said.err
    assert contents(tmp_path) == before
    assert trained == ["0", "1"]


@pytest.mark.slow
def test_overrides_may_stand_on_both_sides_of_a_flag(fcsweep, trained):
    assert fcsweep("seed=1,2", "-m", "hydra.sweep.dir=s", "model=three_layer").code == 0
    assert trained == ["0", "1"]


@pytest.mark.slow
def test_paths_of_all_kinds(fcsweep, trained, tmp_path):
    for name in ("with space", "ünï", "a=b", "x" * 200):
        assert fcsweep(f"hydra.run.dir='{name}'") == Said(0, "", "")
        assert (tmp_path / name / "result.json").exists()


# --- Help and completion --------------------------------------------------------------------------


def test_help(fcsweep, tmp_path):
    said = fcsweep("--help")
    assert (said.code, said.err) == (0, "")
    examples = re.findall(r"^  python -m fcsweep(?!\.).*$", said.out, re.M)
    assert len(examples) == 5
    assert not [line for line in said.out.splitlines() if len(line) > 80]
    for line in (
        "data: breast_cancer, cifar10, custom, diabetes, digits, fashion_mnist, iris,",
        "experiment: best_ensemble, best_plain, best_two_layer, cifar10, cifar10_plain,",
        "model: five_layer, fully_connected, three_layer, torch, two_layer",
        "optimizer: adam, adamw, custom, momentum, nesterov, rmsprop, sgd",
        "solver: default",
        "hydra/launcher: basic",
        "  optimizer.learning_rate (sgd 0.5, momentum 0.1, nesterov 0.1, rmsprop 0.01,",
    ):
        assert line in said.out
    assert "_schema" not in said.out
    assert "__main__" not in said.out
    assert contents(tmp_path) == []


def test_version(fcsweep):
    assert fcsweep("--version").out.startswith(f"fcsweep {__version__}, Hydra 1.3.")


@pytest.mark.parametrize(
    ("typing", "offered"),
    [
        (
            "optimizer=",
            "optimizer=adam optimizer=adamw optimizer=custom optimizer=momentum optimizer=nesterov "
            "optimizer=rmsprop optimizer=sgd",
        ),
        ("model.wei", "model.weight_scale="),
        ("-m experiment=s", "experiment=sgd_vs_momentum"),
        ("optimizer=momentum optimizer.mom", "optimizer.momentum="),
        ("-m optimizer=sgd,m", "optimizer=sgd,momentum"),
        ("-m optimizer=sgd,adam,r", "optimizer=sgd,adam,rmsprop"),
        ("-m hydra/sweeper/pruner=m", "hydra/sweeper/pruner=median"),
        ("device=", "device=auto device=cpu device=cuda"),
        ("objective=t", "objective=train_accuracy"),
        ("-m dtype=float32,", "dtype=float32,float64"),
        (
            "model.loss_function=",
            "model.loss_function=softmax model.loss_function=svm model.loss_function=mse "
            "model.loss_function=huber",
        ),
        ("--mul", "--multirun"),
        ("optimizer.", "optimizer.clip_norm= optimizer.learning_rate="),  # not its name
    ],
)
def test_completion(typing, offered, fcsweep, monkeypatch):
    monkeypatch.setenv("COMP_LINE", f"fcsweep {typing}")
    assert fcsweep("--shell-completion", "query=bash").out.split() == offered.split()


def test_a_config_can_be_shown(fcsweep, trained, tmp_path):
    said = fcsweep("--cfg", "job", "optimizer=adam")
    assert "beta1: 0.9" in said.out
    assert (contents(tmp_path), trained) == ([], [])


# --- In processes of their own --------------------------------------------------------------------

PROGRAM = [sys.executable, "-W", "error", "-m", "fcsweep"]
SCRIPT = [str(Path(sys.executable).with_name("fcsweep"))]

STAND_IN = """
import contextlib, os, signal, sys, time, types
from pathlib import Path

def run(config, folder, observers=()):
    result = Path(folder) / "result.json"
    with open("trained", "a") as file:
        file.write(Path(folder).name + "\\n")
    result.write_text('{"status": "running"}')
    if config.seed == 9 and not os.path.exists("struck"):
        Path("struck").touch()
        os.kill(os.getpid(), int(os.environ["STRIKE"]))
        time.sleep(5)
    result.write_text('{"status": "completed", "value": 0.5}')
    return types.SimpleNamespace(value=0.5)

sys.modules["fcsweep.run"] = types.SimpleNamespace(run=run)
sys.modules["fcsweep.terminal.run_view"] = types.SimpleNamespace(RunView=lambda title: None)
from fcsweep.cli.main import main
from fcsweep.cli.task import Task
del Task.train
main()
"""


def start(*command: str, cwd: Path, **environment: str) -> Said:
    run = preloaded.run if command[0] == sys.executable else subprocess.run
    done = run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=120
    )
    return Said(done.returncode, done.stdout, done.stderr)


def unread(*command: str, cwd: Path) -> Said:
    """With a standard output that nobody reads from the start."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write) as nobody:
        done = preloaded.run(
            command,
            cwd=cwd,
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
            stdout=nobody,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    return Said(done.returncode, "", done.stderr)


@pytest.mark.slow
def test_a_run_whose_output_nobody_reads_any_more_ends_with_that_reason(tmp_path):
    """As in `fcsweep | head -1`."""
    program = sys.executable, "-m", "fcsweep", "hydra.run.dir=run", "solver.num_epochs=10000"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with preloaded.Popen(program, cwd=tmp_path, text=True, **pipes) as run:
        run.stdout.readline()
        run.stdout.close()
        told = run.stderr.read()
    assert (run.returncode, told) == (1, "standard output was closed\n")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "interrupted"
    assert result["reason"] == "standard output was closed"


def test_a_sweep_whose_table_nobody_reads_says_so(tmp_path):
    """As in `fcsweep -m ... | true`: the table itself comes after the last trial."""
    program = sys.executable, "-W", "error", "-c", STAND_IN
    said = unread(*program, "-m", "seed=1,2", "hydra.sweep.dir=s", cwd=tmp_path)
    assert (said.code, said.err) == (1, "standard output was closed\n")
    for number in "01":
        result = json.loads((tmp_path / "s" / number / "result.json").read_text())
        assert result["status"] == "completed"
    assert (tmp_path / "s" / "trials.csv").read_text().count("\n") == 3
    assert (tmp_path / "s" / "report.html").is_file()


@pytest.mark.parametrize("flags", ["--help", "--version", "--cfg job"])
def test_what_nobody_reads_to_its_end_complains_of_nothing(flags, tmp_path):
    said = unread(sys.executable, "-m", "fcsweep", *flags.split(), cwd=tmp_path)
    assert (said.code, said.err) == (1, "")


@pytest.mark.parametrize(
    ("number", "code", "word"),
    one_quick(
        [
            (signal.SIGINT, 130, "interrupted"),
            (signal.SIGTERM, 143, "terminated"),
            (signal.SIGHUP, 129, "hung up"),
            (signal.SIGKILL, -9, None),
        ]
    ),
)
def test_a_sweep_that_is_stopped_goes_on(number, code, word, tmp_path):
    program = sys.executable, "-W", "error", "-c", STAND_IN
    arguments = "-m", "seed=8,9,10", "hydra.sweep.dir=a sweep"
    said = start(*program, *arguments, cwd=tmp_path, STRIKE=str(int(number)))
    assert said.code == code
    assert "Traceback" not in said.err
    if word is not None:
        again = "python -m fcsweep -m seed=8,9,10 'hydra.sweep.dir='\"'\"'a sweep'\"'\"''"
        assert said.err == f"{word}; to go on: {again}\n"
        assert (tmp_path / "a sweep" / "trials.csv").read_text().count("\n") == 3
    said = start(*program, *arguments, cwd=tmp_path, STRIKE="0")
    assert (said.code, said.err) == (0, "")
    assert "1 finished, 2 to go" in said.out
    assert (tmp_path / "trained").read_text().split() == ["0", "1", "1", "2"]


def test_a_stopped_run_says_how_to_go_on(tmp_path):
    program = sys.executable, "-W", "error", "-c", STAND_IN
    said = start(*program, "seed=9", "hydra.run.dir=r", cwd=tmp_path, STRIKE="15")
    assert said.code == 143
    assert said.err == "terminated; to run it again: python -m fcsweep seed=9 hydra.run.dir=r\n"
    keeps = "solver.checkpoint_seconds=60"
    (tmp_path / "struck").unlink()
    said = start(*program, "seed=9", keeps, "hydra.run.dir=s", cwd=tmp_path, STRIKE="15")
    assert said.err == f"terminated; to go on: python -m fcsweep seed=9 {keeps} hydra.run.dir=s\n"


@pytest.mark.slow
def test_what_is_finished_keeps_no_checkpoint(fcsweep, trained, tmp_path):
    one, sweep = ["hydra.run.dir=r"], ["-m", "seed=1,2", "hydra.sweep.dir=s"]
    for words in (one, sweep):
        assert fcsweep(*words).code == 0
    for folder in ("r", "s/0", "s/1"):  # killed after its result was written
        (tmp_path / folder / "checkpoint-0.safetensors").touch()
    for words in (one, sweep):
        assert fcsweep(*words).code == 0
    assert len(trained) == 3
    assert not list(tmp_path.rglob("checkpoint-*"))


@pytest.mark.slow
def test_a_signal_that_becomes_another_error_stops_the_run_all_the_same(tmp_path):
    """As it does while torch is being imported."""
    begin, _, end = STAND_IN.partition("def run")
    run = """def run(config, folder, observers=()):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        sum(range(10**6))
    except BaseException:
        raise KeyError

"""
    code = begin + run + end[end.index("sys.modules[") :]
    for arguments in (["hydra.run.dir=x"], ["-m", "seed=1,2", "hydra.sweep.dir=y"]):
        said = start(sys.executable, "-c", code, *arguments, cwd=tmp_path)
        assert said.code == 143
        assert said.err.startswith("terminated; to ") and ": python -m fcsweep " in said.err
        assert said.err.count("\n") == 1
    assert not (tmp_path / "y" / "1").exists()


def test_the_command_to_go_on_has_no_password(tmp_path):
    program = sys.executable, "-W", "error", "-c", STAND_IN
    secret = "hydra.sweeper.storage=postgresql://me:geheim@host/db"
    said = start(
        *program,
        "seed=9",
        "hydra/sweeper=optuna",
        secret,
        "hydra.run.dir=r",
        cwd=tmp_path,
        STRIKE="15",
    )
    assert said.code == 143
    assert "geheim" not in said.err
    assert "postgresql://me:***@host/db" in said.err


def on_a_terminal(*command: str, cwd: Path) -> str:
    """What a command shows on a terminal, where nobody turns the pages of a pager."""
    ours, theirs = pty.openpty()
    ends = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with subprocess.Popen(command, cwd=cwd, **ends, env={**os.environ, "PAGER": "cat"}):
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # at the end of what a terminal shows
            while part := os.read(ours, 1 << 16):
                shown += part
    os.close(ours)
    return shown.decode()


@pytest.mark.slow
@pytest.mark.parametrize(
    "way",
    [pytest.param(PROGRAM, id="module"), pytest.param(SCRIPT, id="script", marks=pytest.mark.slow)],
)
def test_on_a_terminal_it_says_at_once_that_it_starts(way, tmp_path):
    begin = "starting ...\r"
    shown = on_a_terminal(*way, "solver.num_epochs=1", "hydra.run.dir=r", cwd=tmp_path)
    assert shown.startswith(f"{begin}two_layer (100), sgd")
    refused = on_a_terminal(*way, "-m", "optimizer=sgd,adamm", cwd=tmp_path)
    assert refused.startswith(f"{begin}error: optimizer is 'adamm'")
    for flags in (["--help"], ["--version"], ["--cfg", "job"], ["-sc", "query=bash"]):
        assert "starting" not in on_a_terminal(*way, *flags, cwd=tmp_path)


def test_it_says_so_before_the_slow_imports():
    code = "import sys; from fcsweep.__main__ import main\n"
    code += "class Terminal:\n    isatty = lambda self: True\n    flush = lambda self: None\n"
    code += "    def write(self, text):\n        sys.stderr.write(repr(text))\n"
    code += "        sys.stderr.write(repr('hydra' in sys.modules))\n        sys.exit()\n"
    code += "sys.stdout = Terminal(); main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "'starting ...'False"


def test_a_verbose_sweep_shows_no_font_that_was_tried(tmp_path):
    words = ["-m", "seed=0,1", "solver.num_epochs=1", "hydra.sweep.dir=s", "hydra.verbose=true"]
    said = start(*PROGRAM, *words, cwd=tmp_path)
    assert said.code == 0 and "report: s/report.html" in said.out
    assert "findfont" not in said.out + said.err


@pytest.mark.slow
def test_a_search_that_ran_out_of_time_says_how_to_go_on(tmp_path):
    words = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.timeout=0.01", "solver.num_epochs=1"]
    words += [RATE, "hydra.sweeper.sampler.seed=0", "hydra.sweep.dir=s"]
    said = start(*PROGRAM, *words, cwd=tmp_path)
    assert (said.code, said.err) == (0, "")
    why, again = said.out.splitlines()[9:11]
    assert why == "stopped: reached hydra.sweeper.timeout (0.01 s); 8 of 20 trials: 8 completed"
    assert again == "to go on: the same command with hydra.sweep.dir=s"
    assert said.out.splitlines()[1].startswith("trial 0: completed 0.0")
    others = ["hydra/sweeper/pruner=median", "hydra.sweeper.n_jobs=3"]
    refused = start(*PROGRAM, *words, *others, cwd=tmp_path)
    assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1)
    assert "pruner: 'NopPruner', now 'MedianPruner'; n_jobs: 8, now 3" in refused.err
    more = ["hydra.sweeper.n_trials=8", "hydra.sweeper.timeout=9"]
    done = start(*PROGRAM, *words, *more, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert "\nall 8 trials done: 8 completed\n" in done.out


@pytest.mark.slow
def test_both_ways_to_start_say_the_same(tmp_path):
    module, script = (start(*way, "--help", cwd=tmp_path) for way in (PROGRAM, SCRIPT))
    assert module == script
    assert module.code == 0
    wrong = [start(*way, "optimizer=adamm", cwd=tmp_path) for way in (PROGRAM, SCRIPT)]
    assert wrong[0] == wrong[1]
    assert (wrong[0].code, wrong[0].err.count("\n")) == (1, 1)


def test_the_stack_trace_is_there_for_who_wants_it(tmp_path):
    said = start(*PROGRAM, "model.reg=-1", cwd=tmp_path, HYDRA_FULL_ERROR="1")
    assert said.code == 1
    assert "Traceback" in said.err
    assert "model.reg is -1" in said.err


@pytest.mark.slow
def test_help_imports_nothing_heavy(tmp_path):
    heavy = "torch numpy pandas optuna rich sklearn matplotlib".split()
    code = "import sys; from fcsweep.cli.main import main\ntry: main()\nexcept SystemExit: pass\n"
    code += f"print([name for name in {heavy} if name in sys.modules])"
    program = [sys.executable, "-c", code, "--help"]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_mistake_is_told_within_three_seconds(tmp_path):
    began = sum(os.times()[2:4])  # CPU time of the processes that were started
    grid = ["-m", "seed=1,2,3", "model.reg=0,-1"]
    assert subprocess.run([*PROGRAM, *grid], cwd=tmp_path, capture_output=True).returncode == 1
    assert sum(os.times()[2:4]) - began < 3


def test_the_readmes_grid_for_real(tmp_path):
    said = start(*PROGRAM, "-m", "optimizer=sgd,momentum", "solver.num_epochs=2", cwd=tmp_path)
    assert (said.code, said.err) == (0, "")
    assert said.out.count("epoch 2/2") == 2
    best, page = said.out.splitlines()[-2:]
    assert best.startswith("best: multirun/") and page.startswith("report: multirun/")
    (sweep,) = (tmp_path / "multirun").iterdir()
    for number in "01":
        record = json.loads((sweep / number / "result.json").read_text())
        assert (record["status"], record["epochs"]) == ("completed", 2)
    assert [row.name for row in tmp_path.iterdir()] == ["multirun"]
