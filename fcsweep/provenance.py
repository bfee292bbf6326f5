"""Where the numbers of a run come from: versions, machine, code, data, command."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import torch

from fcsweep.config import RunConfig
from fcsweep.masking import masked

CHECKOUT = Path(__file__).parents[1]


def provenance(
    config: RunConfig, device: torch.device, fingerprint: str | None, place: int, stack: int
) -> dict[str, Any]:
    """What ``provenance.json`` holds; nothing from the environment, and passwords masked.

    Args:
        config: of the run.
        device: that it trains on.
        fingerprint: of its data; None while they are not loaded.
        place: of the trial in its stack, from 0.
        stack: how many trials train together, itself included.
    """
    return {
        **_this_process(),
        "device": str(device),
        "device_name": device_name(device),
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "threads": torch.get_num_threads(),
        "dtype": config.dtype,
        "seed": config.seed,
        "data_sha256": fingerprint,
        "stack_size": stack,
        "stack_place": place,
    }


@lru_cache(maxsize=1)
def _this_process() -> dict[str, Any]:
    """What is the same for all runs of a process."""
    return {
        "command": masked(shlex.join([*_program(), *sys.argv[1:]])),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": _versions(),
        "git_commit": git_commit(),
        "uncommitted_sha256": _uncommitted(),
    }


def _program() -> list[str]:
    """How this process was started, in words that start it again."""
    path = Path(sys.argv[0])
    return ["python", "-m", path.parent.name] if path.name == "__main__.py" else [path.name]


def _versions() -> dict[str, str | None]:
    """This package and everything that it directly depends on."""
    try:
        needs = [need for need in requires("fcsweep") or [] if "extra ==" not in need]
    except PackageNotFoundError:  # run from a source tree that was never installed
        needs = []
    names = ["fcsweep", *(re.split(r"[^\w.-]", need, maxsplit=1)[0] for need in needs)]
    return {name: _version(name) for name in names}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def git_commit() -> str | None:
    """The commit of this package's checkout; None if it is not one."""
    return _git("rev-parse", "HEAD").decode().strip() or None


def _uncommitted() -> str | None:
    """A sha256 of what is not committed; None if nothing is."""
    changes = _git("diff", "HEAD", "--binary")
    for name in _git("ls-files", "--others", "--exclude-standard", "-z").split(b"\0"):
        file = CHECKOUT / os.fsdecode(name)
        if name and file.is_file():
            changes += name + sha256(file.read_bytes()).digest()
    return sha256(changes).hexdigest() if changes else None


def _git(*arguments: str) -> bytes:
    """What git prints about the checkout; nothing where it is none."""
    if not (CHECKOUT / ".git").exists():
        return b""
    try:
        command = ["git", "-C", str(CHECKOUT), *arguments]
        return subprocess.run(command, capture_output=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return b""


def device_name(device: torch.device) -> str:
    """The name that its maker gave it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_name() or platform.processor() or platform.machine()


@lru_cache(maxsize=1)
def _cpu_name() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else None
