"""The wheel holds everything: built, installed in an empty folder, run from there."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    (built,) = target.glob("*.whl")
    return built


def test_conf_travels_inside_the_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for path in (ROOT / "conf").rglob("*.yaml"):
        assert f"fcsweep/conf/{path.relative_to(ROOT / 'conf').as_posix()}" in names
    assert not [name for name in names if name.startswith(("conf/", "tests/"))]
    assert "fcsweep/py.typed" in names
    plugins = {name.removeprefix("hydra_plugins/") for name in names if "hydra_plugins/" in name}
    alone = {"fcsweep.py", "hydra_optuna_sweeper.py"}  # an __init__.py would hide other plugins
    inner = {f"_hydra_optuna_sweeper/{name}.py" for name in ("_impl", "config", "optuna_sweeper")}
    assert plugins == alone | inner


@pytest.mark.slow
def test_a_sweep_runs_from_the_wheel_in_an_empty_folder(wheel, tmp_path):
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    options = {"cwd": empty, "env": environment, "capture_output": True, "text": True}
    for module in ("fcsweep", "hydra_plugins.fcsweep"):
        where = [sys.executable, "-c", f"import {module} as found; print(found.__file__)"]
        assert subprocess.run(where, check=True, **options).stdout.startswith(str(site))
    sweep = [sys.executable, "-W", "error", "-m", "fcsweep", "-m", "seed=0,1"]
    done = subprocess.run([*sweep, "solver.num_epochs=2"], check=True, **options)
    assert done.stdout.splitlines()[-2].startswith("best: multirun/")
    assert len([*empty.glob("multirun/*/report.html")]) == 1
    facts = [json.loads(file.read_text()) for file in empty.glob("multirun/*/*/provenance.json")]
    assert [one["stack_size"] for one in facts] == [2, 2]  # Hydra has found the plugin
