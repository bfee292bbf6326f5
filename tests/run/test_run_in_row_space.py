"""Runs with ``solver.first_layer=row_space``: the same records as any, within roundings."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file
from support.short_runs import (
    assert_same_numbers,
    config_with,
    folders_in,
    prepared,
    result_of,
)

from fcsweep.config import DigitsConfig
from fcsweep.evaluate import evaluate
from fcsweep.rerun.repeat import rerun
from fcsweep.run import run, run_many

STACK = [(0.05, 0, 0.0), (0.2, 1, 0.1), (1e30, 2, 0.0), (0.1, 0, 0.2)]
"""Learning rate, seed and reg; the third diverges."""


def configs_in(first_layer):
    made = [
        config_with(learning_rate=lr, seed=seed, reg=reg, dropout=0.1) for lr, seed, reg in STACK
    ]
    for config in made:
        config.data = DigitsConfig(num_train=20)
        config.solver = replace(
            config.solver, first_layer=first_layer, batch_size=8, num_val_samples=40
        )
    return made


class Killed(BaseException):
    pass


def killed_after(epoch):
    def hook(reports):
        if reports[0].row.epoch == epoch:
            raise Killed
        return ()

    return hook


@pytest.fixture
def alone(tmp_path):
    folders = folders_in(tmp_path, *(f"alone{k}" for k in range(4)))
    for config, folder in zip(configs_in("row_space"), folders, strict=True):
        run(config, folder)
    return folders


def test_a_stack_is_its_trials_also_after_a_kill(tmp_path, alone):
    configs, stacked = configs_in("row_space"), folders_in(tmp_path, *"abcd")
    with pytest.raises(Killed):
        run_many(configs, stacked, killed_after(3))
    assert result_of(stacked[2])["status"] == "diverged"
    (stacked[0] / "best.safetensors").write_bytes(b"torn")  # the checkpoint brings it back
    run_many([configs[3], configs[0]], [stacked[3], stacked[0]])
    run(configs[1], stacked[1])
    for one, other in zip(alone, stacked, strict=True):
        if result_of(one)["status"] == "completed":
            assert_same_numbers(one, other)
    assert result_of(alone[2])["reason"] == result_of(stacked[2])["reason"]


def history(folder):
    rows = [*csv.DictReader((folder / "history.csv").read_text().splitlines())]
    names = ("train_accuracy", "val_accuracy", "loss", "val_loss")
    return [np.array([float(row[name] or "nan") for row in rows]) for name in names]


def test_its_records_are_those_of_a_plain_run(tmp_path, alone):
    plain = folders_in(tmp_path, *"abcd")
    run_many(configs_in("plain"), plain)
    for one, other in zip(alone, plain, strict=True):
        if result_of(one)["status"] == "diverged":
            continue
        train, val, *losses = zip(history(one), history(other), strict=True)
        assert np.array_equal(*train) and np.array_equal(*val)
        assert all(np.allclose(*pair, rtol=2e-6, atol=0) for pair in losses)
        here, there = (load_file(folder / "best.safetensors") for folder in (one, other))
        assert here.keys() == there.keys()
        for name, p in there.items():
            assert here[name].shape == p.shape
            assert np.linalg.norm(here[name] - p) <= 1e-5 * np.linalg.norm(p)


def test_a_run_is_repeated_and_evaluated(tmp_path):
    config = configs_in("row_space")[1]
    folder = prepared(tmp_path / "run", config)
    run(config, folder)
    assert rerun([folder])
    correct, rows = evaluate(folder)["train"]
    train, *_ = history(folder)
    assert rows == 20 and correct / rows == train[result_of(folder)["best_epoch"] - 1]
