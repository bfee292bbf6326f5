"""The courses' own recipes on CIFAR-10, at their own figures; minutes, so slow."""

import json
import os
import subprocess
import sys

import pytest

from fcsweep.config import (
    Cifar10Config,
    FullyConnectedConfig,
    RunConfig,
    SgdConfig,
    SolverConfig,
)
from fcsweep.run import run

FOLDER = os.environ.get("FCSWEEP_CIFAR10")
pytestmark = [
    pytest.mark.cifar10,
    pytest.mark.skipif(not FOLDER, reason="FCSWEEP_CIFAR10 names no folder"),
]


@pytest.mark.parametrize("layers, rate", [(2, 0.1), (4, 0.101)])
def test_fifty_images_are_fitted_within_twenty_epochs(tmp_path, layers, rate):
    config = RunConfig(
        model=FullyConnectedConfig(hidden_dims=[100] * layers, weight_scale=0.1),
        optimizer=SgdConfig(learning_rate=rate),
        data=Cifar10Config(root=FOLDER, num_train=50, num_val=100),
        solver=SolverConfig(num_epochs=20, batch_size=25),
        objective="train_accuracy",
        target=1.0,
    )
    assert run(config, tmp_path).target_reached


def test_the_preset_passes_half(tmp_path):
    program = [sys.executable, "-W", "error", "-m"]
    command = ["fcsweep", "experiment=cifar10", f"data.root={FOLDER}", "hydra.run.dir=run"]
    subprocess.run([*program, *command], cwd=tmp_path, check=True)
    assert json.loads((tmp_path / "run" / "result.json").read_text())["value"] >= 0.5
    command = [*program, "fcsweep.evaluate", "run"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    train, validation, test = (float(line.split()[1]) for line in done.stdout.splitlines())
    assert train > validation >= 0.5 and test > 0.48
