"""Where the numbers of a run come from: versions, machine, code, data, command."""

from __future__ import annotations

import os
import platform
import re
import shlex
import socket
import subprocess
import sys
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import torch

from fcsweep.config import RunConfig
from fcsweep.config.import_paths import import_paths
from fcsweep.courses.imported import source_facts
from fcsweep.data.dataset import Dataset
from fcsweep.kernels.processor import library
from fcsweep.messages.secrets import mask
from fcsweep.records.formats import moment

CODE = Path(__file__).parents[1]
CHECKOUT = CODE.parent
_SOURCES = (CODE.name, "hydra_plugins", "conf", "pyproject.toml", "constraints.txt")
"""What decides the numbers of a run, in the checkout; not its results, nor documents and tests."""


def provenance(
    config: RunConfig, device: torch.device, data: Dataset | None, place: int, stack: int
) -> dict[str, Any]:
    """What ``provenance.json`` holds; nothing from the environment, and passwords masked.

    Args:
        config: of the run.
        device: that it trains on.
        data: that it trains on; None while they are not loaded.
        place: of the trial in its stack, from 0.
        stack: how many trials train together, itself included.
    """
    return {
        **this_process(),
        **_machine(device),
        "determinism": _determinism(),
        "threads": torch.get_num_threads(),
        "dtype": config.dtype,
        "seed": config.seed,
        "data_sha256": data and data.fingerprint,
        **(data.about if data else {}),
        **_own_code(config),
        "stack_size": stack,
        "stack_place": place,
    }


def this_worker() -> dict[str, Any]:
    """Which process trains what starts now, a whole stack: the first keys of `Training`."""
    return {"host": socket.gethostname(), "process": os.getpid(), "started": moment()}


def _own_code(config: RunConfig) -> dict[str, str | None]:
    """The file of each module that the config names by import path, and its sha256."""
    return {
        f"{key.replace('.', '_')}_{name}": fact
        for key, path in import_paths(config).items()
        for name, fact in source_facts(key, path).items()
    }


@lru_cache(maxsize=1)
def this_process() -> dict[str, Any]:
    """The facts that all runs of a process share."""
    return {
        "command": mask(shlex.join([*_program(), *sys.argv[1:]])),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": _versions(),
        "git_commit": git_commit(),
        "uncommitted_sha256": _uncommitted_sha256(),
        "code_sha256": code_sha256(),
    }


def _program() -> list[str]:
    """The command that started this process, as one that starts it again."""
    path = Path(sys.argv[0])
    if CODE not in path.parents:
        return [path.name]
    parts = [CODE.name, *path.relative_to(CODE).with_suffix("").parts]
    return ["python", "-m", ".".join(part for part in parts if part != "__main__")]


def _versions() -> dict[str, str | None]:
    """This package and everything that it directly depends on."""
    try:
        needs = [need for need in requires("fcsweep") or [] if "extra ==" not in need]
    except PackageNotFoundError:  # run from a source tree that was never installed
        needs = []
    names = ["fcsweep", "torch", *(re.split(r"[^\w.-]", need, maxsplit=1)[0] for need in needs)]
    return {name: _version(name) for name in names}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def git_commit() -> str | None:
    """The commit of this package's checkout; None if it is not one."""
    return _git("rev-parse", "HEAD").decode().strip() or None


def _uncommitted_sha256() -> str | None:
    """A sha256 of the uncommitted code; None if all code is committed."""
    changes = _git("diff", "HEAD", "--binary", "--", *_SOURCES)
    new = _git("ls-files", "--others", "--exclude-standard", "-z", "--", *_SOURCES)
    for name in new.split(b"\0"):
        file = CHECKOUT / os.fsdecode(name)
        if file.suffix in (".py", ".yaml", ".toml", ".txt") and file.is_file():
            changes += name + sha256(file.read_bytes()).digest()
    return sha256(changes).hexdigest() if changes else None


def _git(*arguments: str) -> bytes:
    """What git prints about the checkout; nothing where it is none."""
    if not (CHECKOUT / ".git").exists():
        return b""
    try:
        command = ["git", "-C", str(CHECKOUT), *arguments]
        done = subprocess.run(command, capture_output=True, check=True, timeout=10)  # noqa: S603
        return done.stdout
    except (OSError, subprocess.SubprocessError):
        return b""


@lru_cache(maxsize=1)
def code_sha256() -> str:
    """A sha256 of the source of this package, whether it is a checkout or installed."""
    names = sorted(path.relative_to(CODE).as_posix() for path in CODE.rglob("*.py"))
    each = [f"{name} {sha256((CODE / name).read_bytes()).hexdigest()}" for name in names]
    return sha256("\n".join(each).encode()).hexdigest()


@lru_cache
def _machine(device: torch.device) -> dict[str, Any]:
    """The hardware: the device that trains, the CPU, and their drivers."""
    gpu = device.type == "cuda"
    return {
        "device": str(device),
        "device_name": device_name(device),
        "cpu_name": _cpu_name(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "products": library(),
        "cuda": torch.version.cuda if gpu else None,
        "cudnn": torch.backends.cudnn.version() if gpu else None,
        "gpu_driver": _gpu_driver() if gpu else None,
    }


def _gpu_driver() -> str | None:
    """The version of the kernel's driver, such as ``570.86.15``."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        return None
    found = re.search(r"\b\d+\.\d+(\.\d+)?\b", text)
    return found and found[0]


def _determinism() -> dict[str, Any]:
    """The settings that decide whether the same operations give the same bits."""
    return {
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    }


def device_name(device: torch.device) -> str:
    """The manufacturer's name of the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_name()


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine())
