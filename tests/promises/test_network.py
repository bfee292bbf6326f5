"""No command talks to anybody, but for a download that was asked for; none can be talked to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.notebooks import NOTEBOOKS, executed
from support.programs import Command, said

from fcsweep.data.images import cifar10
from fcsweep.data.images.cifar10_files import CLASSES, ROW, TEST, TRAINING
from fcsweep.data.images.image_set import Images

WATCH = """
import os, sys

WITH_A_SOCKET = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg")
BY_NAME = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")

def watch(event, given):
    if event in WITH_A_SOCKET + BY_NAME:
        address = given[event in WITH_A_SOCKET]
        host = address[0] if isinstance(address, tuple) else address
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{event} {host}\\n")

sys.addaudithook(watch)
"""
"""A ``sitecustomize.py``: each Python process tells of what it does with sockets."""


@pytest.fixture
def watched(tmp_path):
    """Variables of the environment under which a command is watched, and where that is told."""
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    told = tmp_path / "told"
    return {"PYTHONPATH": str(tmp_path / "watch"), "WATCHED": str(told)}, told


CONTRACT = [
    ["fcsweep", "solver.num_epochs=1", "hydra.run.dir=r"],
    ["fcsweep", "-m", "optimizer=sgd,momentum", "solver.num_epochs=1", "hydra.sweep.dir=g"],
    ["fcsweep", "-m", "experiment=overfit_three_layer", "hydra.sweeper.n_trials=2"]
    + ["solver.num_epochs=2", "hydra.sweep.dir=s"],
    *(["rerun", name] for name in "rs"),
    ["evaluate", "r"],
    *(["report", name] for name in "rg"),
    ["fcsweep", "--help"],
    ["fcsweep", "data=cifar10", "data.root=nowhere", "hydra.run.dir=f"],
]


@pytest.mark.slow
@pytest.mark.parametrize("many", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_no_command_uses_a_socket(many, tmp_path, watched):
    env, told = watched
    words = CONTRACT if many else [one for one in CONTRACT if one[-1] in ("hydra.run.dir=r", "r")]
    commands = [Command(one, str(tmp_path)) for one in words]
    codes = [one.code for one in said(commands, quick=False, env=env)]
    assert codes == ([*[0] * 9, 1] if many else [0] * 4)
    assert not told.exists(), told.read_text()


def test_what_uses_a_socket_is_told(tmp_path, watched):
    env, told = watched
    code = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
    code += "\nsocket.socket().bind(('127.0.0.1', 0))"
    code += "\nsocket.getaddrinfo('localhost', 80)"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **env}, check=True)
    assert told.read_text().splitlines() == [
        "socket.connect 127.0.0.1",
        "socket.bind 127.0.0.1",
        "socket.getaddrinfo localhost",
    ]


def without_network() -> list[str]:
    """Words before a command that has no network at all, not even loopback."""
    words = ["unshare", "--user", "--net", "--map-root-user"]
    if shutil.which("unshare") is None or subprocess.run([*words, "true"]).returncode != 0:
        pytest.skip("needs unshare, and leave to make a user namespace")
    return words


@pytest.mark.slow
def test_all_commands_work_without_a_network(tmp_path):
    commands = [Command(words, str(tmp_path)) for words in CONTRACT]
    codes = [one.code for one in said(commands, quick=False, before=without_network())]
    assert codes == [*[0] * 9, 1]


def write_cifar10(folder: Path) -> Path:
    """CIFAR-10 in its binary layout, of noise."""
    folder.mkdir()
    rows = np.random.default_rng(0).integers(0, 256, (10_000, 1 + ROW), np.uint8)
    rows[:, 0] %= CLASSES
    for name in TRAINING + TEST:
        rows.tofile(folder / f"{name}.bin")
    return folder


@pytest.mark.slow
def test_cifar10_that_is_there_needs_no_network(tmp_path, watched, monkeypatch):
    """From a folder, from the copy of it, and from the copy of a download."""
    env, told = watched
    monkeypatch.setenv("FCSWEEP_CACHE", str(tmp_path / "cache"))
    root = write_cifar10(tmp_path / "cifar-10-batches-bin")
    published = cifar10.Source(None, None, (cifar10.PUBLISHED.sha256,))
    for part in (TRAINING, TEST):
        images = cifar10.read(cifar10.find(root, part), part)
        cifar10._copy(published, part).write(Images(images.pixels, images.labels))
    small = ["data=cifar10", "data.num_train=200", "data.num_val=100", "solver.num_epochs=1"]
    commands = [
        ["fcsweep", *small, f"data.root={root}", "hydra.run.dir=r"],
        ["fcsweep", *small, "hydra.run.dir=c"],
        *(["rerun", name] for name in "rc"),
        *(["evaluate", name] for name in "rc"),
    ]
    ended = said([Command(words, str(tmp_path)) for words in commands], quick=False, env=env)
    assert [one.code for one in ended] == [0] * 6, ended
    assert not told.exists(), told.read_text()
    shutil.rmtree(tmp_path / "cache")
    asks = Command(["fcsweep", *small, "hydra.run.dir=d"], str(tmp_path))
    (one,) = said([asks], quick=False, env=env, before=without_network())
    assert one.code == 1 and "could not be downloaded" in one.err and one.err.count("\n") == 1
    assert "socket.getaddrinfo" in told.read_text()


@pytest.mark.slow
def test_a_notebook_talks_to_its_own_machine_only(tmp_path, watched, monkeypatch):
    env, told = watched
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    executed(NOTEBOOKS[0], tmp_path)
    hosts = {line.split(" ", 1)[1] for line in told.read_text().splitlines()}
    assert hosts and not [host for host in hosts if host != "127.0.0.1" and host[0] != "/"]
