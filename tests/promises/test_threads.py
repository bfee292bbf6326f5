"""A program computes in one thread; jobs in processes of their own share the cores."""

import json
import os
import subprocess
import sys

import pytest

GRID = [sys.executable, "-m", "fcsweep", "-m", "data=synthetic", "data.num_train=40"]
GRID += ["data.num_val=20", "solver.num_epochs=1", "solver.batch_size=20", "seed=0,1"]
GRID += ["model.hidden_dims=[4]", "hydra.sweep.dir=s"]


def threads(folder, *words, **environment):
    """What the records of both jobs say."""
    inherited = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    done = subprocess.run(
        [*GRID, *words], cwd=folder, env=inherited | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    facts = [folder / "s" / number / "provenance.json" for number in "01"]
    return [json.loads(path.read_text())["threads"] for path in facts]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "stacked"])
def test_a_program_computes_in_one_thread_unless_it_is_told(launcher, tmp_path):
    assert threads(tmp_path, f"hydra/launcher={launcher}") == [1, 1]
    (tmp_path / "s").rename(tmp_path / "first")
    assert threads(tmp_path, f"hydra/launcher={launcher}", OMP_NUM_THREADS="2") == [2, 2]


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [2, 16])
def test_joblib_shares_the_cores(jobs, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="no hydra-joblib-launcher")
    joblib = pytest.importorskip("joblib")
    cores = joblib.cpu_count()
    said = threads(tmp_path, "hydra/launcher=joblib", f"hydra.launcher.n_jobs={jobs}")
    assert said == [max(1, cores // jobs)] * 2


@pytest.mark.slow
def test_a_number_of_threads_that_is_asked_for_is_used(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="no hydra-joblib-launcher")
    words = "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"
    assert threads(tmp_path, *words, OMP_NUM_THREADS="2", MKL_NUM_THREADS="2") == [2, 2]


@pytest.mark.slow
def test_a_job_of_submitit_has_as_many_threads_as_cpus(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="no submitit")
    words = ["hydra/launcher=submitit_local"]
    assert threads(tmp_path, *words) == [1, 1]
