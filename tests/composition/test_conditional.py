"""Conditional keys: which overrides apply to a job, in this program and in another app."""

from typing import Any

import pytest
from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from fcsweep.cli.app import App
from fcsweep.composition.conditional import applying
from fcsweep.composition.loader import conf_dir
from fcsweep.config import FullyConnectedConfig, TableConfig, TorchConfig, conditional_keys
from fcsweep.config.schemas import names


def test_the_keys_that_only_some_options_have():
    shared = {"data.num_train", "data.num_val"}
    of_tables = {f"data.{key}" for key in names(TableConfig) if key != "name"} - shared
    own, ours = set(names(TorchConfig)), set(names(FullyConnectedConfig))
    of_models = {f"model.{key}" for key in own ^ ours}
    assert conditional_keys() - of_tables - of_models == {
        "data.components",
        "data.kwargs",
        "data.load",
        "data.root",
        "data.whiten",
        "optimizer.beta1",
        "optimizer.beta2",
        "optimizer.constants",
        "optimizer.decay_rate",
        "optimizer.epsilon",
        "optimizer.momentum",
        "optimizer.rule",
        "optimizer.weight_decay",
    }
    assert of_tables | of_models < conditional_keys()


@pytest.fixture
def sweep(hydra_restore_singletons) -> Any:
    """Makes a loader and the config of a sweep, of this program's or of an app with a store."""

    def made(kind: Any = App, path: str | None = str(conf_dir()), name: str = "config") -> Any:
        GlobalHydra.instance().clear()
        version.setbase("1.3")
        app = kind.create_main_hydra2("app", create_config_search_path(path))
        return app.config_loader, app.compose_config(name, [], RunMode.MULTIRUN)

    return made


MOMENTUM = "optimizer=momentum optimizer.momentum=0.5"

GRIDS = {
    # what it shows: the jobs, what applies to them
    "jobs that become equal are one": (
        ["optimizer=sgd optimizer.momentum=0.5", "optimizer=sgd optimizer.momentum=0.9", MOMENTUM],
        ["optimizer=sgd", MOMENTUM],
    ),
    "a key that applies nowhere stays": (
        ["optimizer=sgd optimizer.epsilon=1", "optimizer=momentum optimizer.epsilon=1"],
        ["optimizer=sgd optimizer.epsilon=1", "optimizer=momentum optimizer.epsilon=1"],
    ),
    "what was asked for twice": (["seed=1", "seed=1"], ["seed=1", "seed=1"]),
    "a key that is added by force": (
        ["+optimizer.momentum=0.5 optimizer=sgd", "optimizer=momentum"],
        ["+optimizer.momentum=0.5 optimizer=sgd", "optimizer=momentum"],
    ),
    "the default option of a group": (
        ["model.dropout=0.5 experiment=cifar10", "model.dropout=0.5 model=five_layer"],
        ["experiment=cifar10", "model.dropout=0.5 model=five_layer"],
    ),
    "an option that is not there": (
        ["optimizer=sgdd optimizer.momentum=0.5", MOMENTUM],
        ["optimizer=sgdd optimizer.momentum=0.5", MOMENTUM],
    ),
}


@pytest.mark.slow
def test_a_job_has_what_applies_to_it(sweep):
    loader, master = sweep()
    found = {
        what: [" ".join(one) for one in applying(loader, master, [job.split() for job in jobs])]
        for what, (jobs, _) in GRIDS.items()
    }
    assert found == {what: expected for what, (_, expected) in GRIDS.items()}


def test_in_another_app_too(sweep):
    """Nested keys, a group in a package, a key that a run may not set there."""
    store = ConfigStore.instance()
    store.store(group="net", name="cnn", node={"conv": {"kernel": 3}, "width": 8})
    store.store(group="net", name="mlp", node={"width": 8})
    store.store(name="other", node={"defaults": ["_self_", {"net@body": "mlp"}], "rate": 0.1})
    loader, master = sweep(Hydra, None, "other")
    jobs = [
        ["net@body=mlp", "body.conv.kernel=5", "body.width=3", "rate=1"],
        ["net@body=cnn", "body.conv.kernel=5", "body.width=3", "rate=1"],
        ["body.conv.kernel=7", "rate=1"],
    ]
    assert applying(loader, master, jobs) == [
        ["net@body=mlp", "body.width=3", "rate=1"],
        jobs[1],
        ["rate=1"],
    ]
