"""Short runs: three epochs of a small net on digits, and whether two left the same numbers."""

import json
from dataclasses import asdict
from hashlib import sha256

import yaml

from fcsweep.config import FullyConnectedConfig, MomentumConfig, RunConfig, SolverConfig
from fcsweep.records.seal import add_seal, as_json

NUMBERS = ("history.csv", "losses.npy", "best.safetensors")
ALWAYS = 1e-9
"""Seconds: a checkpoint after every epoch."""


def config_of(learning_rate=0.1, seed=0, **model):
    return RunConfig(
        model=FullyConnectedConfig(hidden_dims=[20, 10], weight_scale=0.1, **model),
        optimizer=MomentumConfig(learning_rate=learning_rate),
        solver=SolverConfig(num_epochs=3, lr_decay=0.9, num_train_samples=200),
        seed=seed,
    )


def config_with(seconds=ALWAYS, epochs=6, **options):
    config = config_of(**options)
    config.solver.checkpoint_seconds, config.solver.num_epochs = seconds, epochs
    return config


def folders_in(path, *names):
    made = [path / name for name in names]
    for folder in made:
        folder.mkdir()
    return made


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def assert_same_numbers(one, other):
    for name in NUMBERS:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    times = {"seconds": 0}
    assert result_of(one) | times == result_of(other) | times


def prepared(folder, config):
    """The folder of a run with its config, as Hydra leaves it."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/config.yaml").write_text(yaml.safe_dump(asdict(config), sort_keys=False))
    return folder


def reseal(folder, **facts):
    """Give the files of a run the sha256 that they have now, as a forger would."""
    path = folder / "provenance.json"
    known = json.loads(path.read_text()) | facts
    known.pop("sha256")
    for name in known["files"]:
        content = (folder / name).read_bytes()
        known["files"][name] = sha256(content).hexdigest()
    path.write_bytes(as_json(add_seal(known)))
