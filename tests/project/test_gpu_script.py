"""What is to run on a GPU runs, in small, where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_script_for_a_gpu_runs():
    told = subprocess.run(
        [ROOT / "benchmarks/gpu.sh", "--tiny"],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr + told.stdout
    assert "1 trials: " in told.stdout and "4 trials: " in told.stdout
