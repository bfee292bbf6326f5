"""Composing once is composing: the same config as Hydra's own, as object and as text."""

from pathlib import Path
from typing import Any

import pytest
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf, open_dict

from fcsweep.cli.app import App
from fcsweep.composition.loader import conf_dir
from fcsweep.config import typed
from fcsweep.launchers.job import Bookkeeping
from fcsweep.messages.errors import ConfigError


@pytest.fixture
def sweep(tmp_path, monkeypatch, hydra_restore_singletons) -> Any:
    """Our loader, and the config of a sweep with an override of Hydra's own."""
    monkeypatch.chdir(tmp_path)
    GlobalHydra.instance().clear()
    version.setbase("1.3")
    app = App.create_main_hydra2("fcsweep", create_config_search_path(str(conf_dir())))
    master = app.compose_config("config", ["hydra.sweep.dir=s"], RunMode.MULTIRUN)
    assert master.hydra.run.dir  # the stamp, which all jobs share
    return app.config_loader, master


POSITIVE = st.floats(1e-8, 1e8) | st.integers(1, 100) | st.sampled_from(["1e-3", "5E2"])
CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["two_layer", "three_layer", "five_layer"]),
        "optimizer": st.sampled_from(["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"]),
        "data": st.sampled_from(["digits", "synthetic", "cifar10"]),
        "experiment": st.sampled_from(["cifar10"]),
    },
)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "model.weight_scale": POSITIVE,
        "model.reg": POSITIVE | st.just(0),
        "model.loss_function": st.sampled_from(["softmax", "svm", "'svm'"]),
        "model.activation": st.sampled_from(["relu", "tanh"]),
        "optimizer.learning_rate": POSITIVE,
        "optimizer.clip_norm": POSITIVE | st.just("null"),
        "solver.schedule": st.sampled_from(["step", "cosine"]),
        "data.num_train": st.integers(300, 1000) | st.just("null"),
        "solver.lr_decay": st.sampled_from([1, 0.5, "1.0"]),
        "seed": st.integers(0, 2**32 - 1),
        "dtype": st.sampled_from(["float32", '"float64"']),
        "target": st.sampled_from(["null", 1, 0.5]),
        "device": st.just("cpu"),
        # What only Hydra can compose, now and then.
        "+hydra.job.env_set.A": st.just("1"),
        "++model.reg": st.just(3),
        "solver.num_epochs": st.integers(1, 9) | st.just("${solver.batch_size}"),
    },
)


@st.composite
def overrides(draw):
    chosen = {**draw(CHOICES), **draw(VALUES)}
    lines = [f"{key}={value}" for key, value in chosen.items()]
    if "data=cifar10" in lines and draw(st.booleans()):
        lines.append("data.root=here/and there")
    if draw(st.booleans()) and "model=two_layer" in lines:
        lines.append("model.hidden_dims=[30]")
    return draw(st.permutations(lines))


def outcome(compose) -> Any:
    try:
        return compose()
    except ConfigError as error:
        return str(error)


def rendered(cfg, number, folder):
    """The files of a job, from its composed config."""
    with open_dict(cfg):
        cfg.hydra.job.id = cfg.hydra.job.num = number
    context: Any = None
    task = lambda cfg: None  # noqa: E731
    return Bookkeeping(context, task, number, folder, [], lambda: cfg, None).rendered()


few = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@pytest.mark.slow
def test_a_job_is_composed_as_by_hydra(sweep):
    loader, master = sweep
    short = saved = 0

    @few
    @given(overrides())
    def body(lines):
        nonlocal short, saved
        ours = outcome(lambda: loader.load_sweep_config(master, lines))
        theirs = outcome(lambda: ConfigLoaderImpl.load_sweep_config(loader, master, lines))
        checked = outcome(lambda: loader.check_job(master, lines))
        assert type(ours) is type(theirs)
        if isinstance(theirs, str):
            assert ours == checked == theirs
            return
        assert ours == theirs
        assert OmegaConf.to_yaml(ours) == OmegaConf.to_yaml(theirs)
        assert list(ours.hydra.overrides.task) == list(theirs.hydra.overrides.task)
        assert checked == typed(theirs)
        for flag in (OmegaConf.is_struct, OmegaConf.is_readonly):
            assert flag(ours) == flag(theirs)
            assert flag(ours.model) == flag(theirs.model)
            assert flag(ours.hydra) == flag(theirs.hydra)
        short += loader._composed.job(master, lines) is not None
        files = loader.job_files(master, lines, 12, Path("s/12"))
        saved += files is not None
        assert files in (None, rendered(theirs, 12, Path("s/12")))

    body()
    assert short and saved


@pytest.mark.parametrize(
    ("lines", "known"),
    [
        ([], True),
        (["optimizer=adam", "seed=3", "optimizer.learning_rate=1e-3", "dtype='float64'"], True),
        (["model=five_layer", "model.hidden_dims=[1,2,3,4]", "target=null", "seed=12345"], True),
        (["optimizer=custom", "optimizer.rule=a:b", "optimizer.constants={beta:0.5}"], False),
        (["data=cifar10", "data.root=/a/b"], True),
        (["data=cifar10", "data.root='/ä'"], False),
        (["data=cifar10", f"data.root='/{'long ' * 30}'"], False),
        (["+hydra.job.env_set.A=1"], False),
    ],
)
def test_the_files_of_a_job_are_those_of_hydra(sweep, lines, known):
    loader, master = sweep
    files = loader.job_files(master, lines, 12, Path("s/12"))
    assert (files is not None) == known
    composed = ConfigLoaderImpl.load_sweep_config(loader, master, lines)
    assert files in (None, rendered(composed, 12, Path("s/12")))


@pytest.mark.parametrize(
    "line",
    [
        "+model.reg=1",
        "++model.reg=1",
        "~model.reg",
        "hydra.job.id=3",
        "seed=${solver.num_epochs}",
        "model.name=five_layer",
        "model={reg:1}",
        "model=[two_layer]",
        "model@x=two_layer",
        "nothing=1",
        "model.nothing=1",
        "model.hidden_dims.0=3",
        "optimizer=nothing",
        "seed=???",
    ],
)
def test_what_only_hydra_can_compose_is_left_to_it(sweep, line):
    loader, master = sweep
    assert loader._composed.job(master, ["seed=1", line]) is None
    assert loader._composed.checked(master, ["seed=1", line]) is None


def test_a_value_that_depends_on_another_is_left_to_hydra(sweep, tmp_path):
    """Here from a user's own folder: setting the one must change the other."""
    (tmp_path / "own" / "solver").mkdir(parents=True)
    text = "defaults: [default_schema, _self_]\nnum_epochs: ${seed}\n"
    (tmp_path / "own" / "solver" / "tied.yaml").write_text(text)
    path = create_config_search_path(str(conf_dir()))
    path.prepend("command-line", str(tmp_path / "own"), SearchPathQuery(provider="schema"))
    GlobalHydra.instance().clear()
    app: Any = App.create_main_hydra2("fcsweep", path)
    master = app.compose_config("config", [], RunMode.MULTIRUN)
    lines = ["solver=tied", "seed=7"]
    assert app.config_loader._composed.job(master, lines) is None
    assert app.config_loader.load_sweep_config(master, lines).solver.num_epochs == 7
    assert app.config_loader.check_job(master, lines).solver.num_epochs == 7


def test_jobs_do_not_share_what_they_hold(sweep):
    loader, master = sweep
    one, other = (loader.load_sweep_config(master, ["model=two_layer"]) for _ in range(2))
    one.model.hidden_dims.append(7)
    one.hydra.job.num = 3
    assert list(other.model.hidden_dims) == [100]
    assert OmegaConf.is_missing(other.hydra.job, "num")
    assert list(loader.load_sweep_config(master, ["model=two_layer"]).model.hidden_dims) == [100]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["data.num_train=20", "solver.batch_size=10"],
        ["data=diabetes", "model.loss_function=mse", "objective=rmse", "solver.batch_size=50"],
    ],
)
def test_the_files_are_read_once(sweep, monkeypatch, words):
    loader, master = sweep
    composed = []
    real = ConfigLoaderImpl.load_configuration

    def counting(self, *arguments):
        composed.append(arguments)
        return real(self, *arguments)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counting)
    for rule in ("sgd", "adam"):
        for seed in range(5):
            lines = [f"optimizer={rule}", f"seed={seed}", *words]
            loader.check_job(master, lines)
            loader.load_sweep_config(master, lines)
    assert len(composed) == 2
