"""The files under ``results/``: where something was measured, and what."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path

import torch

from fcsweep.run.provenance import device_name, git_commit

RESULTS = Path(__file__).parent / "results"


def machine(device: str | torch.device = "cpu") -> dict[str, object]:
    """What a figure depends on beside the code; the load is that of the last minute."""
    return {
        "device": device_name(torch.device(device)),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
        "commit": git_commit(),
    }


def save(name: str, result: Mapping[str, object]) -> None:
    """Write ``results/NAME.json``; parts of the old file that are not in the new one stay."""
    path = RESULTS / f"{name}.json"
    old = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(old | dict(result), indent=2) + "\n")
    print(f"wrote {path.name}")
