"""``python -m fcsweep.export RUN``: write the best net of a run as plain torch.

RUN is the folder of a run, or of a sweep: of that its best run. Written are ``model.py``, an
``nn.Sequential`` that needs torch and safetensors alone, ``model.safetensors``, its state dict, and
``preprocessing.json``; with ``--onnx`` also ``model.onnx``. To tell a tracker of runs there is
``python -m fcsweep.export_to``.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from fcsweep.config.import_paths import TRUST
from fcsweep.messages.errors import ConfigError, FolderError
from fcsweep.messages.wording import printable
from fcsweep.records.filenames import jobs_of
from fcsweep.system.command import command, plain
from fcsweep.system.signals import held_back

PROGRAM = "python -m fcsweep.export"


def main() -> None:
    """Exit code 1 and one line for what cannot be exported."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=plain(__doc__))
    parser.add_argument(
        "run", type=Path, help="folder of a run, such as outputs/2026-..., or sweep"
    )
    parser.add_argument("--out", type=Path, help="a new or empty folder (default: RUN/export)")
    parser.add_argument("--onnx", action="store_true", help="also write model.onnx")
    parser.add_argument("--trust", action="store_true", help=TRUST)
    asked = parser.parse_args()
    with command(PROGRAM):
        _export(asked.run, asked.out, asked.onnx, asked.trust)


def _export(run: Path, out: Path | None, onnx: bool, trust: bool) -> None:
    if not run.is_dir():
        raise FolderError(f"{run} is no folder; expected that of a run or a sweep")
    if onnx and find_spec("onnx") is None:
        raise ConfigError("--onnx needs onnx: pip install 'fcsweep[onnx]'")
    with held_back():  # torch
        from fcsweep.evaluate import best_of
        from fcsweep.export.writing import export, is_free
        from fcsweep.kernels.threads import one_thread
        from fcsweep.trained.runs import read_trained
    one_thread()
    if jobs_of(run):
        run, told = best_of(run)
        print(printable(told))
    folder = run / "export" if out is None else out
    if not is_free(folder):
        raise FolderError(f"{folder} holds something else; name a new or an empty folder by --out")
    made = export(read_trained(run, trust), folder, onnx)
    print(made.compared)
    for file in made.files:
        print(printable(file))


if __name__ == "__main__":
    main()
