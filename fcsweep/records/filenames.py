"""The files of a run and of a sweep, and the statuses of a run."""

from __future__ import annotations

CONFIG = ".hydra/config.yaml"
HISTORY, LOSSES, RESULT = "history.csv", "losses.npy", "result.json"
PROVENANCE, BEST = "provenance.json", "best.safetensors"


STATUSES = ("running", "completed", "pruned", "diverged", "interrupted", "failed")
FINISHED = ("completed", "pruned", "diverged")
"""A run with one of these is not trained again."""

SWEEP_FILES = ("multirun.yaml", "study.journal", "study.journal.size")
"""Any says that a folder is a sweep's."""

SWEEP_ENDS = ("trials.csv", "optimization_results.yaml", "report.html")
"""What a sweep writes at its end, also one for whose first file the disk had no room."""

LOG = "fcsweep.log"
"""The first file of a run."""

CHECKPOINTS = ("checkpoint-0.safetensors", "checkpoint-1.safetensors")
"""Two generations, in the folder of a run while it trains; see `fcsweep.run.checkpoint`."""
