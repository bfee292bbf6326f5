"""Experiments as values of a sweep: what is a sweep of its own, or sets what a sweep has once."""

import re
from typing import Any

import pytest
from hydra import version
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from optuna.distributions import FloatDistribution, IntDistribution
from support.commands import contents

from fcsweep.cli.app import App
from fcsweep.cli.swept_settings import refuse_swept_settings
from fcsweep.composition.loader import conf_dir
from fcsweep.messages.errors import ConfigError
from fcsweep.search.space import space_of

OWN = {
    "plain": "model: {reg: 0.1}",
    "grid": "hydra: {sweeper: {params: {seed: '1,2'}}}",
    "batch": "hydra: {sweeper: {max_batch_size: 1}}",
    "folder": "hydra: {sweep: {dir: elsewhere}}",
    "most": "hydra: {launcher: {max_trials: 2}}",
    "basic": "defaults: [override /hydra/launcher: basic]",
    "environment": "hydra: {job: {env_set: {A: '1'}}}",
    "callback": "hydra: {callbacks: {mine: {_target_: mine.Callback}}}",
    "log": "hydra: {hydra_logging: {root: {level: ERROR}}}",
    "lone": "hydra: {run: {dir: elsewhere}, mode: MULTIRUN, verbose: mine, job: {name: mine}}",
    "search": "defaults: [override /hydra/sweeper: optuna]\nhydra: {sweeper: {n_trials: 3}}",
}


@pytest.fixture
def mine(tmp_path) -> str:
    """A folder of own experiments."""
    folder = tmp_path.with_name(f"{tmp_path.name}-mine") / "experiment"
    folder.mkdir(parents=True)
    for name, text in OWN.items():
        (folder / f"{name}.yaml").write_text(f"# @package _global_\n{text}\n")
    return f"--config-dir={folder.parent}"


REFUSED = {
    # arguments: what the line says
    "-m experiment=overfit_three_layer,overfit_five_layer": (
        "experiment=overfit_three_layer is a sweep of its own (hydra/sweeper=optuna); "
        "start it by itself: -m experiment=overfit_three_layer"
    ),
    "-m hydra/sweeper=optuna experiment=overfit_three_layer,overfit_five_layer": (
        "experiment=overfit_three_layer is a sweep of its own (hydra.sweeper.sampler"
    ),
    "-m experiment=plain,grid": (
        "experiment=grid is a sweep of its own (hydra.sweeper.params); start it by itself: "
        "-m experiment=grid"
    ),
    "-m experiment=choice(grid)": "experiment=grid is a sweep of its own (hydra.sweeper.params)",
    "-m experiment=plain,folder optimizer=sgd,adam": (
        "experiment=folder optimizer=sgd sets hydra.sweep.dir, which is the same for a whole sweep"
        "; start it by itself: -m experiment=folder optimizer=sgd"
    ),
    "-m experiment=overfit_three_layer hydra/sweeper=basic": (
        "experiment=overfit_three_layer is a search by hydra/sweeper=optuna; "
        "leave hydra/sweeper=basic out (for a grid: hydra/sweeper/sampler=grid, and values for"
    ),
    "experiment=search hydra/sweeper=basic": "experiment=search is a search by hydra/sweeper=opt",
    "experiment=grid": "hydra.sweeper.params is a sweep over seed; add -m",
}


@pytest.mark.slow
def test_what_a_sweep_has_once_cannot_be_one_of_its_values(mine, fcsweep, trained, tmp_path):
    for arguments, words in REFUSED.items():
        said = fcsweep(mine, *arguments.split())
        assert (said.code, said.err.count("\n"), said.out) == (1, 1, ""), arguments
        assert words in said.err
    assert (contents(tmp_path), trained) == ([], [])


SETTINGS = {
    "plain": None,
    "lone": None,
    "grid": "hydra.sweeper.params",
    "search": "hydra/sweeper=optuna",
    "batch": "hydra.sweeper.max_batch_size",
    "folder": "hydra.sweep.dir",
    "most": "hydra.launcher.max_trials",
    "basic": "hydra/launcher=basic",
    "environment": "hydra.job.env_set",
    "callback": "hydra.callbacks.mine",
    "log": "hydra.hydra_logging.root",
}


@pytest.mark.slow
def test_what_each_option_may_set(mine, hydra_restore_singletons):
    path = create_config_search_path(str(conf_dir()))
    path.prepend("command-line", mine.partition("=")[2], SearchPathQuery(provider="schema"))
    GlobalHydra.instance().clear()
    version.setbase("1.3")
    app: Any = App.create_main_hydra2("fcsweep", path)
    master = app.compose_config("config", [], RunMode.MULTIRUN)
    refused = dict.fromkeys(OWN)
    for name in OWN:
        try:
            refuse_swept_settings(app.config_loader, master, [[f"experiment={name}"], ["seed=1"]])
        except ConfigError as error:
            refused[name] = next(told for told in re.findall(r"hydra[./][\w./=]+", str(error)))
    assert refused == SETTINGS


def test_an_experiment_that_is_swept_sets_its_job(mine, fcsweep, trained, tmp_path):
    said = fcsweep(mine, "-m", "experiment=plain,lone", "hydra.sweep.dir=s")
    assert (said.code, said.err, trained) == (0, "", ["0", "1"])
    assert (tmp_path / "s/0/fcsweep.log").exists()
    assert (tmp_path / "s/1/mine.log").exists()


@pytest.mark.slow
def test_an_experiment_by_itself_sets_its_sweep(mine, fcsweep, trained, tmp_path):
    assert fcsweep(mine, "-m", "experiment=folder", "seed=1,2").code == 0
    assert "launcher: stacked\n" in (tmp_path / "elsewhere/1/.hydra/hydra.yaml").read_text()
    assert fcsweep(mine, "-m", "experiment=basic", "seed=1", "hydra.sweep.dir=s").code == 0
    assert "launcher: basic\n" in (tmp_path / "s/0/.hydra/hydra.yaml").read_text()


@pytest.mark.slow
def test_the_experiment_of_the_page_is_a_search(fcsweep, trained, tmp_path):
    page = (conf_dir().parent / "docs" / "coming-from.md").read_text()
    (text,) = re.findall(r"```yaml\n# my/experiment/rates.yaml\n(.*?)```", page, re.DOTALL)
    folder = tmp_path / "my" / "experiment"
    folder.mkdir(parents=True)
    (folder / "rates.yaml").write_text(text)
    few = ["hydra.sweeper.n_trials=2", "hydra.sweep.dir=s"]
    said = fcsweep(f"--config-dir={tmp_path}/my", "-m", "experiment=rates", *few)
    assert (said.code, said.err, len(trained)) == (0, "", 2)
    table = page.partition("### Parameters")[2].partition("### Left out")[0]
    written = re.findall(r"`((?:tag|range|interval|int)\(.*?\))`", table)
    found = [space_of({"key": text}, []).distributions["key"] for text in dict.fromkeys(written)]
    assert found == [
        FloatDistribution(0.0, 0.5),
        FloatDistribution(1e-4, 1.0, log=True),
        IntDistribution(1, 8),
        IntDistribution(1, 8),
        IntDistribution(1, 64, log=True),
        FloatDistribution(0.0, 1.0, step=0.25),
    ]
