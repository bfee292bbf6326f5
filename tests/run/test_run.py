"""A run from outside: files read back, the same numbers twice, alone and in a stack, by signal."""

import json
import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support import preloaded
from support.short_runs import assert_same_numbers, config_of, folders_in, result_of

from fcsweep.config import SyntheticConfig
from fcsweep.data.choice import data_of
from fcsweep.nets import FullyConnectedNet
from fcsweep.records.writer import RunRecord
from fcsweep.run import run, run_many
from fcsweep.run.build import net_of
from fcsweep.run.provenance import mask
from fcsweep.system.atomic import RecordError

TESTS = Path(__file__).parents[1]


def test_a_run_leaves_all_its_records(tmp_path):
    result = run(config_of(), tmp_path)
    assert result.status == "completed" and result.epochs == 3
    assert result_of(tmp_path)["value"] == result.value == result.best_val_accuracy
    params = load_file(tmp_path / "best.safetensors")
    assert params["W1"].shape == (64, 20) and params["b3"].shape == (10,)
    provenance = json.loads((tmp_path / "provenance.json").read_text())
    assert provenance["threads"] == torch.get_num_threads()
    assert provenance["versions"]["torch"] == torch.__version__
    assert (provenance["stack_size"], provenance["stack_place"]) == (1, 0)
    assert len(np.load(tmp_path / "losses.npy", allow_pickle=False)) == 3 * 14
    assert not [p for p in tmp_path.iterdir() if p.suffix == ".tmp"]


def test_a_run_is_the_same_again_and_in_another_process(tmp_path):
    one, two, three = folders_in(tmp_path, "1", "2", "3")
    run(config_of(), one)
    run(config_of(), two)
    assert_same_numbers(one, two)
    code = f"""
import sys, torch
torch.set_num_threads(1)
sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
from fcsweep.run import run
from support.short_runs import config_of
run(config_of(), Path({str(three)!r}))
"""
    preloaded.run([sys.executable, "-c", code], check=True)
    assert_same_numbers(one, three)


def test_the_weights_of_classes_are_those_of_the_rows_in_use_and_of_a_trial(tmp_path):
    configs = [
        config_of(class_weights=words, label_smoothing=0.1, seed=seed)
        for words, seed in (("none", 0), ("balanced", 0), ("none", 1))
    ]
    for config in configs:
        config.data.num_train, config.solver.num_train_samples = 150, 100
    alone, stacked = (folders_in(tmp_path, *(f"{of}{k}" for k in range(3))) for of in "as")
    for config, folder in zip(configs, alone, strict=True):
        run(config, folder)
    run_many(configs, stacked)
    for one, other in zip(alone, stacked, strict=True):
        assert_same_numbers(one, other)
    dataset = data_of(configs[0])
    net = net_of(configs, dataset, torch.device("cpu"))
    count = torch.bincount(dataset.y_train)
    weights = net.softmax_options["class_weights"]
    torch.testing.assert_close(weights[1] * count, torch.full((10,), 15.0))
    assert (weights[[0, 2]] == 1).all()
    assert "class_weights" not in net_of(configs[:1], dataset, net.params.device).softmax_options


@pytest.mark.parametrize("threads", [1, 2])
def test_a_stack_is_its_trials(tmp_path, threads):
    torch.set_num_threads(threads)
    configs = [
        config_of(0.1, seed=0),
        config_of(0.3, seed=1, reg=0.1),
        config_of(0.2, seed=0, dropout=0.3),
    ]
    stacked = folders_in(tmp_path, "a", "b", "c")
    run_many(configs, stacked)
    for config, folder in zip(configs, stacked, strict=True):
        (alone,) = folders_in(tmp_path, f"{folder.name}-alone")
        run(config, alone)
        assert_same_numbers(folder, alone)


def test_who_diverges_or_is_pruned_leaves_and_the_others_do_not_notice(tmp_path):
    rates = (0.1, 1e30, 0.2, 0.3)
    stacked = folders_in(tmp_path, *"abcd")
    told = []

    def prune_the_third(reports):
        told.append([report.trial for report in reports])
        return [report.trial for report in reports if report.trial == 2 and report.row.epoch == 2]

    results = run_many([config_of(rate) for rate in rates], stacked, prune_the_third)
    assert [r.status for r in results] == ["completed", "diverged", "pruned", "completed"]
    assert told == [[0, 1, 2, 3], [0, 2, 3], [0, 3]]
    assert results[1].reason.startswith("the loss is not finite at epoch 1, step ")
    assert results[2].epochs == 2 and results[2].value is not None
    assert not (stacked[1] / "best.safetensors").exists()
    assert result_of(stacked[1])["best_val_accuracy"] is None
    assert (stacked[1] / "history.csv").read_text().splitlines()[1].count(",,") == 1
    (alone,) = folders_in(tmp_path, "alone")
    run(config_of(rates[3]), alone)
    assert_same_numbers(stacked[3], alone)


def test_a_run_that_fails_says_so_in_its_record(tmp_path):
    def fails(reports):
        raise RuntimeError("out of\nluck")

    with pytest.raises(RuntimeError):
        run(config_of(), tmp_path, fails)
    result = result_of(tmp_path)
    assert (result["status"], result["reason"]) == ("failed", "RuntimeError: out of luck")
    assert result["epochs"] == 1  # what was finished is kept


def test_synthetic_data_and_double_precision(tmp_path):
    config = config_of()
    config.data, config.dtype = SyntheticConfig(num_train=200, num_val=50), "float64"
    assert run(config, tmp_path).status == "completed"
    assert np.load(tmp_path / "losses.npy").dtype == np.float64
    assert load_file(tmp_path / "best.safetensors")["W1"].dtype == torch.float64


SLOW_RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from fcsweep.run import run
from support.short_runs import config_of
config = config_of()
config.solver.num_epochs = 1_000_000
def tell(reports):
    print("epoch", flush=True)
    return ()
run(config, Path(sys.argv[2]), tell)
"""


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("name, code", [("SIGINT", -2), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_in_the_record(tmp_path, name, code):
    command = [sys.executable, "-c", SLOW_RUN, str(TESTS), str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with preloaded.Popen(command, **pipes) as process:
        assert process.stdout.readline() == b"epoch\n"
        process.send_signal(getattr(signal, name))
        process.communicate(timeout=20)
    assert process.returncode == code
    result = result_of(tmp_path)
    assert result["status"] == "interrupted" and result["epochs"] >= 1
    assert (tmp_path / "best.safetensors").exists()


@pytest.mark.parametrize(
    "text, expected",
    [
        ("storage=postgresql://me:s3cret@db/x", "storage=postgresql://me:***@db/x"),
        ("my.api_key=abc seed=1", "my.api_key=*** seed=1"),
        ("optimizer=sgd model.reg=0.1", "optimizer=sgd model.reg=0.1"),
    ],
)
def test_secrets_are_masked(text, expected):
    assert mask(text) == expected


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu_the_same_stack_gives_the_same_bits(tmp_path):
    results = []
    for name in ("1", "2"):
        configs = [config_of(rate) for rate in (0.1, 0.3)]
        for config in configs:
            config.device = "cuda"
        stacked = folders_in(tmp_path, f"{name}a", f"{name}b")
        run_many(configs, stacked)
        results.append(stacked)
    for one, two in zip(*results, strict=True):
        assert_same_numbers(one, two)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_agrees_with_the_cpu(tmp_path):
    on_cpu, on_gpu = folders_in(tmp_path, "cpu", "gpu")
    run(config_of(), on_cpu)
    config = config_of()
    config.device = "cuda"
    run(config, on_gpu)
    losses = [np.load(folder / "losses.npy") for folder in (on_cpu, on_gpu)]
    np.testing.assert_allclose(*losses, rtol=1e-3, atol=1e-4)


def test_a_trial_that_fails_leaves_its_stack(tmp_path, monkeypatch):
    rates = (0.1, 0.2, 0.3)
    stacked = folders_in(tmp_path, *"abc")
    real = RunRecord.add

    def add(self, row, *others):
        if self.folder.name == "b" and row.epoch == 2:
            raise RecordError("history.csv cannot be written")
        real(self, row, *others)

    monkeypatch.setattr(RunRecord, "add", add)
    told = []
    results = run_many(
        [config_of(rate) for rate in rates], stacked, lambda r: told.append([x.trial for x in r])
        or ()
    )  # fmt: skip
    assert [r.status for r in results] == ["completed", "interrupted", "completed"]
    assert told == [[0, 1, 2], [0, 2], [0, 2]]
    assert results[1].reason == result_of(stacked[1])["reason"] == "history.csv cannot be written"
    (alone,) = folders_in(tmp_path, "alone")
    run(config_of(rates[2]), alone)
    assert_same_numbers(stacked[2], alone)


def test_a_stack_without_memory_is_trained_in_halves(tmp_path, monkeypatch):
    """And a trial that does not fit alone fails alone, without holding what it had."""
    sizes, alive = [], []
    real = FullyConnectedNet._add_l2

    def add_l2(self, *arguments):  # in the middle of a step
        if self not in [reference() for reference in nets]:
            sizes.append(self.trials[0])
            alive.append(sum(reference() is not None for reference in nets))
            nets.append(weakref.ref(self))
        if self.trials[0] > 2 or 0 in self.seed:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")
        return real(self, *arguments)

    nets: list[weakref.ref] = []
    monkeypatch.setattr(FullyConnectedNet, "_add_l2", add_l2)
    stacked = folders_in(tmp_path, *"abcde")
    results = run_many([config_of(seed=seed) for seed in range(5)], stacked)
    assert sizes == [5, 3, 2, 1, 1, 1, 2]
    assert alive == [0] * len(sizes)
    assert [r.status for r in results] == ["failed"] + ["completed"] * 4
    assert "can't allocate memory" in str(results[0].reason)


def test_any_other_error_of_a_stack_is_in_every_result(tmp_path):
    def fails(reports):
        raise RuntimeError("unlucky")

    results = run_many([config_of(), config_of(0.2)], folders_in(tmp_path, *"ab"), fails)
    assert [(r.status, r.reason) for r in results] == [("failed", "RuntimeError: unlucky")] * 2
    assert result_of(tmp_path / "a")["status"] == "failed"


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_a_signal_in_the_last_moment_is_not_lost(tmp_path):
    """All epochs are trained by then: the run counts, but a sweep must not go on."""

    def strike(reports):
        if reports[0].row.epoch == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return ()

    with pytest.raises(SystemExit) as stop:
        run(config_of(), tmp_path, strike)
    assert stop.value.code == 143
    assert result_of(tmp_path)["status"] == "completed"
