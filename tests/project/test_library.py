"""Used as a library, in a notebook or another program, fcsweep leaves the process as it was."""

import subprocess
import sys
from typing import Any

import pytest
import torch

from fcsweep.run import stack

SNAPSHOT = """
import ctypes, gc, os, signal, sys
from pathlib import Path
import torch

called, dll = [], ctypes.CDLL

class Watched(dll):
    def __getattr__(self, name):
        called.append(name)
        return super().__getattr__(name)

ctypes.CDLL = Watched

def snapshot():
    return {
        "frozen": gc.get_freeze_count(),
        "collects": gc.isenabled(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "fill": torch.utils.deterministic.fill_uninitialized_memory,
        "precision": torch.get_float32_matmul_precision(),
        "random": (torch.get_rng_state().tolist(), torch.initial_seed()),
        "signals": {one: signal.getsignal(one) for one in signal.valid_signals()},
        "environ": dict(os.environ),
        "folder": os.getcwd(),
        "hook": sys.excepthook,
    }
"""
TRAINS = (
    SNAPSHOT
    + """
class Handler:
    def __call__(self, number, frame): pass
signal.signal(signal.SIGTERM, Handler())
torch.set_num_threads(1)
before = snapshot()

import fcsweep
from fcsweep.config import DigitsConfig, RunConfig, SolverConfig
from fcsweep.nets import TwoLayerNet
from fcsweep.run import run_many
from fcsweep.solver import Solver

X, y = torch.ones(8, 4), torch.arange(8) % 2
data = {"X_train": X, "y_train": y, "X_val": X, "y_val": y}
net = TwoLayerNet(4, 3, 2, seed=0)
Solver(net, data, num_epochs=1, batch_size=4, seed=0, verbose=False).train()

config = RunConfig(device="cpu", solver=SolverConfig(num_epochs=1))
within = []
folders = [Path("a"), Path("b")]
for folder in folders:
    folder.mkdir()
def on_epoch(reports):
    within.append(signal.getsignal(signal.SIGTERM))
    return ()
results = run_many([config, config], folders, on_epoch)
print([result.status for result in results], not isinstance(within[0], Handler))
after = snapshot()
print({name: (before[name], after[name]) for name in before if before[name] != after[name]})
print("mallopt" in called)
"""
)


def said(code, folder):
    run = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_library_leaves_the_process_as_it_was(tmp_path):
    trained, changed, mallopt = said(TRAINS, tmp_path)
    assert trained == "['completed', 'completed'] True"
    assert (changed, mallopt) == ("{}", "False")


@pytest.mark.slow
def test_the_program_does_change_its_process(tmp_path):
    """Which shows that the comparison would find it."""
    code = (
        SNAPSHOT
        + """
sys.argv = ["fcsweep", "solver.num_epochs=1", "hydra.run.dir=r"]
before = snapshot()
from fcsweep.cli.main import main
main()
print(snapshot()["frozen"] > before["frozen"], "mallopt" in called)
"""
    )
    assert said(code, tmp_path)[-1] == "True True"


@pytest.mark.parametrize("given", [None, ":16:8"])
def test_on_a_gpu_the_settings_of_torch_come_back(given, monkeypatch):
    """The settings are those of the process, and need no GPU."""
    settings: Any = torch.utils.deterministic
    monkeypatch.delenv(stack.CUBLAS_WORKSPACE, raising=False)
    if given is not None:
        monkeypatch.setenv(stack.CUBLAS_WORKSPACE, given)

    def now():
        workspace = stack.os.environ.get(stack.CUBLAS_WORKSPACE)
        enabled = torch.are_deterministic_algorithms_enabled()
        return enabled, settings.fill_uninitialized_memory, workspace

    before = now()
    with pytest.raises(KeyError), stack.deterministic(torch.device("cuda")):
        assert now() == (True, False, given or ":4096:8")
        raise KeyError
    assert now() == before == (False, True, given)
