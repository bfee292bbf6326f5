"""Configs as hydra-optuna-sweeper documents them, and Hydra's own suites, with our plugin."""

import subprocess
import sys

import optuna
import pytest
import yaml
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, LauncherTestSuite
from support.toy_app import make_app, run

SPHERE = """\
import hydra
from omegaconf import DictConfig

@hydra.main(version_base="1.3", config_path=".", config_name="config")
def sphere(cfg: DictConfig) -> float:
    x: float = cfg.x
    y: float = cfg.y
    return x**2 + y**2

if __name__ == "__main__":
    sphere()
"""

SPHERE_CONFIG = """\
defaults:
  - override hydra/sweeper: optuna
  - override hydra/sweeper/sampler: tpe

hydra:
  sweeper:
    sampler:
      seed: 123
    direction: minimize
    study_name: sphere
    storage: null
    n_trials: 6
    n_jobs: 1
    max_failure_rate: 0.0
    params:
      x: range(-5.5, 5.5, step=0.5)
      y: choice(-5 ,0 ,5)

x: 1
y: 1
z: 1
"""

WRITTEN_OUT = """\
defaults:
  - override hydra/sweeper: optuna
hydra:
  sweeper:
    _target_: hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper
    sampler:
      _target_: optuna.samplers.TPESampler
      seed: 123
      consider_prior: true
      prior_weight: 1.0
      n_startup_trials: 3
      n_ei_candidates: 24
      multivariate: false
      warn_independent_sampling: true
    direction: minimize
    storage: null
    study_name: null
    n_trials: 5
    n_jobs: 1
    max_failure_rate: 0.0
    custom_search_space: null
"""


def results(folder):
    return yaml.safe_load((folder / "optimization_results.yaml").read_text())


def test_the_sphere_example(tmp_path):
    app = make_app(tmp_path, SPHERE, SPHERE_CONFIG)
    said = run(app, "hydra.sweep.dir=s", "x=interval(-5.0,5.0)", "hydra.sweeper.n_trials=5")
    assert "study sphere: 5 trials" in said
    found = results(tmp_path / "s")
    assert list(found)[:3] == ["name", "best_params", "best_value"] and found["name"] == "optuna"
    assert set(found["best_params"]) == {"x", "y"}
    assert isinstance(found["best_params"]["x"], float) and found["best_params"]["y"] in (-5, 0, 5)
    assert found["best_value"] == sum(value**2 for value in found["best_params"].values())
    jobs = yaml.safe_load((tmp_path / "s" / "0" / ".hydra" / "overrides.yaml").read_text())
    assert [job.partition("=")[0] for job in jobs] == ["x", "y"] or len(jobs) == 2


@pytest.mark.slow
def test_a_deleted_key_and_a_grid(tmp_path):
    config = SPHERE_CONFIG.replace("sampler: tpe", "sampler: grid").replace(
        "trials: 6", "trials: 9"
    )
    config = config.replace("range(-5.5, 5.5, step=0.5)", "range(0, 2)")
    app = make_app(tmp_path, SPHERE, config.replace("      y:", "      z: choice(1, 2)\n      y:"))
    run(app, "~z", "hydra.sweep.dir=s")
    found = results(tmp_path / "s")
    assert found["trials"]["completed"] == 6 and found["best_params"] == {"x": 0, "y": 0}
    config = yaml.safe_load((tmp_path / "s" / "0" / ".hydra" / "config.yaml").read_text())
    assert config == {"x": 0, "y": -5}


@pytest.mark.slow
def test_a_config_that_is_written_out(tmp_path):
    app = make_app(tmp_path, SPHERE, WRITTEN_OUT + "x: 1\ny: 1\n")
    run(app, "x=choice(1,2)", "y=interval(0,1)", "hydra.sweep.dir=s")
    assert results(tmp_path / "s")["trials"]["completed"] == 5


@pytest.mark.slow
def test_several_objectives(tmp_path):
    app = """\
import hydra

@hydra.main(version_base="1.3", config_path=".", config_name="config")
def binh_and_korn(cfg):
    x, y = cfg.x, cfg.y
    v0 = 4 * x**2 + 4 * y**2
    v1 = (x - 5) ** 2 + (y - 5) ** 2
    return v0, v1

if __name__ == "__main__":
    binh_and_korn()
"""
    config = """\
defaults:
  - override hydra/sweeper: optuna
  - override hydra/sweeper/sampler: nsgaii
hydra:
  sweeper:
    sampler:
      seed: 123
    direction: [minimize, minimize]
    study_name: multi-objective
    storage: null
    n_trials: 6
    n_jobs: 1
    params:
      x: range(0, 5, step=0.5)
      y: range(0, 3, step=0.5)
x: 1
y: 1
"""
    run(make_app(tmp_path, app, config), "hydra.sweep.dir=s")
    found = results(tmp_path / "s")
    assert list(found)[:2] == ["name", "solutions"] and found["solutions"]
    for one in found["solutions"]:
        assert set(one) >= {"params", "values"} and len(one["values"]) == 2


@pytest.mark.slow
def test_a_custom_search_space(tmp_path):
    app = """\
import hydra
from omegaconf import DictConfig
from optuna.trial import Trial

@hydra.main(version_base="1.3", config_path=".", config_name="config")
def multi_dimensional_sphere(cfg: DictConfig) -> float:
    w, x, y, z = cfg.w, cfg.x, cfg.y, cfg.z
    return w**2 + x**2 + y**2 + z**2

def configure(cfg: DictConfig, trial: Trial) -> None:
    x_value = trial.params["x"]
    trial.suggest_float("z", x_value - cfg.max_z_difference_from_x,
                        x_value + cfg.max_z_difference_from_x)
    trial.suggest_float("+w", 0.0, 1.0)

if __name__ == "__main__":
    multi_dimensional_sphere()
"""
    config = """\
defaults:
  - override hydra/sweeper: optuna
hydra:
  sweeper:
    sampler:
      seed: 123
    direction: minimize
    study_name: custom-search-space
    storage: null
    n_trials: 4
    n_jobs: 1
    max_failure_rate: 0.0
    params:
      x: range(-5.5, 5.5, step=0.5)
      y: choice(-5, 0, 5)
    custom_search_space: app.configure
x: 1
y: 1
z: 100
max_z_difference_from_x: 0.5
"""
    app = make_app(tmp_path, app, config)
    run(app, "hydra.sweep.dir=s", "max_z_difference_from_x=0.25", PYTHONPATH=str(tmp_path))
    found = results(tmp_path / "s")["best_params"]
    assert set(found) == {"x", "y", "z", "+w"} and abs(found["z"] - found["x"]) <= 0.25


@pytest.mark.slow
def test_a_database_and_the_older_space(tmp_path):
    config = (
        SPHERE_CONFIG.partition("    params:")[0].replace("    storage: null\n", "")
        + """\
    search_space:
      x: {type: float, low: -5.5, high: 5.5, step: 0.5}
      y: {type: categorical, choices: [-5, 0, 5]}
x: 1
y: 1
z: 1
"""
    )
    app = make_app(tmp_path, SPHERE, config)
    url = f"hydra.sweeper.storage=sqlite:///{tmp_path}/example.db"
    run(app, "hydra.sweep.dir=s", url)
    study = optuna.load_study(study_name="sphere", storage=f"sqlite:///{tmp_path}/example.db")
    assert len(study.trials) == 6 and not (tmp_path / "s" / "study.journal").exists()
    assert "6 finished, 0 interrupted, 2 to go" in run(
        app, "hydra.sweep.dir=s", url, "hydra.sweeper.n_trials=8"
    )
    assert "belongs to" in run(app, "hydra.sweep.dir=t", url, code=1)


def test_hydra_optuna_sweeper_beside_us_is_said_in_one_line(tmp_path):
    package = tmp_path / "theirs" / "hydra_plugins" / "hydra_optuna_sweeper"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    app = make_app(tmp_path, "import hydra\nhydra.main(version_base='1.3')(lambda cfg: 0)()\n")
    said = run(app, "hydra.sweep.dir=s", PYTHONPATH=str(tmp_path / "theirs"))
    lines = [line for line in said.splitlines() if "pip uninstall hydra-optuna-sweeper" in line]
    assert len(lines) == 1 and "is installed beside fcsweep" in lines[0]


def test_a_program_of_hydra_loads_nothing_heavy_by_our_plugin():
    code = (
        "import sys; from hydra.core.plugins import Plugins; Plugins.instance();"
        "print(*[one for one in ('optuna', 'torch', 'pandas', 'numpy') if one in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "" and done.stderr == ""


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the suites name no version_base
@pytest.mark.parametrize(("launcher_name", "overrides"), [("basic", [])])
@pytest.mark.usefixtures("no_version_base")
class TestLauncher(LauncherTestSuite):
    pass


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("launcher_name", "overrides"), [("basic", ["hydra.sweeper.max_batch_size=2"])]
)
@pytest.mark.usefixtures("no_version_base")
class TestBatches(BatchedSweeperTestSuite):
    pass


# --- Other processes, and passwords ---------------------------------------------------------------

PRUNED = [
    "hydra/sweeper/pruner=median",
    "hydra.sweeper.pruner.n_startup_trials=2",
    "hydra.sweeper.sampler.seed=0",
    "hydra.sweep.dir=s",
]


@pytest.mark.slow
def test_jobs_in_other_processes_are_pruned(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="needs hydra-joblib-launcher")
    app = make_app(tmp_path)
    arguments = [*PRUNED, "hydra.sweeper.n_trials=12", "hydra.sweeper.n_jobs=4"]
    run(app, *arguments, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    found = results(tmp_path / "s")
    assert found["trials"]["pruned"] >= 1 and found["trials"]["failed"] == 0
    assert sum(found["trials"].values()) == 12


PASSWORD = """\
import sys
import hydra
from fcsweep.search import pruning, should_prune, sweep
from fcsweep.search.study import storage
from optuna.storages import RDBStorage

def local(url, folder, *_):
    assert url == "postgresql://me:s3cret@db.example/all?password=s3cret", url
    return RDBStorage(f"sqlite:///{folder.parent}/local.db")

sweep.storage_of = storage.storage_of = local

@hydra.main(version_base="1.3", config_path=".", config_name="config")
def task(cfg):
    assert "s3cret" not in str(hydra.core.hydra_config.HydraConfig.get())
    return cfg.x**2 + should_prune(cfg.x, 0)

task()
"""


@pytest.mark.slow
def test_a_password_reaches_no_file_and_no_line(tmp_path):
    app = make_app(tmp_path, PASSWORD)
    url = "hydra.sweeper.storage='postgresql://me:s3cret@db.example/all?password=s3cret'"
    said = run(app, "hydra.sweep.dir=s", url, "hydra.sweeper.n_trials=2")
    files = [path for path in (tmp_path / "s").rglob("*") if path.is_file()]
    assert len(files) >= 8 and "all 2 trials done" in said
    for path in [*files, tmp_path / "local.db"]:
        assert b"s3cret" not in path.read_bytes(), path
    assert "s3cret" not in said
    assert "***" in (tmp_path / "s" / "multirun.yaml").read_text()


@pytest.mark.slow
def test_a_password_is_not_in_the_error_either(tmp_path):
    app = make_app(tmp_path)
    url = "hydra.sweeper.storage='postgresql://me:s3cret@127.0.0.1:9/all'"
    said = run(app, "hydra.sweep.dir=s", "hydra.sweeper.patience=0", url, code=1)
    assert "hydra.sweeper.storage" in said and "s3cret" not in said and "Traceback" not in said
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files and not any(b"s3cret" in path.read_bytes() for path in files)
