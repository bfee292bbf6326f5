"""The notebooks in ``analysis/``, and one of them run from scratch."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

ANALYSIS = Path(__file__).parents[2] / "analysis"
NOTEBOOKS = sorted(ANALYSIS.glob("*.ipynb"))


def executed(path, tmp_path):
    """The notebook after running all of it, in a folder where only the sample is beside it."""
    folder = tmp_path / "analysis"
    shutil.copytree(ANALYSIS / "sample", folder / "sample")
    shutil.copytree(ANALYSIS.parent / "benchmarks" / "results", tmp_path / "benchmarks" / "results")
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.get("outputs", []).clear()
    nbformat.write(notebook, folder / path.name)
    execute = [sys.executable, "-c", "from nbclient.cli import main; main()", "--timeout=100"]
    command = [*execute, "--inplace", path.name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return nbformat.read(folder / path.name, as_version=4)
