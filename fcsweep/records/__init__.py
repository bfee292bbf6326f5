"""What a run and a sweep leave on disk.

==================  ============================================================================
``filenames.py``    the files of a run and of a sweep, the statuses of a run, where runs lie
``formats.py``      a row an epoch, how a run ended
``events.py``       events of training, and who receives them
``writer.py``       `RunRecord`: the files of a run, up to date while it trains
``reader.py``       what a run has left, read as data; `read_run` for tables
``evidence.py``     a finished run, checked and bounded, to be repeated
``seal.py``         a sha256 of each file when a run ends
``ownership.py``    which folder may be used, and holding it
``sweep_table.py``  ``trials.csv``
``frames.py``       runs in pandas: `load_runs`, `load_history`
==================  ============================================================================

Importing this package imports neither torch nor pandas: `load_runs` and `load_history` come from
``frames.py`` when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fcsweep.records.frames import load_history as load_history
    from fcsweep.records.frames import load_runs as load_runs


def __getattr__(name: str) -> Any:
    if name not in ("load_runs", "load_history"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fcsweep.records import frames

    return getattr(frames, name)
