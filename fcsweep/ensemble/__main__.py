"""``python -m fcsweep.ensemble SWEEP``: select trials of a sweep that predict better together.

Greedy selection with replacement (Caruana et al., 2004) by the accuracy on the validation rows; of
a quantity by the RMSE, or by the MAE if that is the objective. The class probabilities of the
members, or their quantities, are averaged. Writes ``ensemble.json`` into the folder of the sweep,
for ``python -m fcsweep.evaluate`` and ``python -m fcsweep.predict``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fcsweep import report
from fcsweep.config.import_paths import TRUST
from fcsweep.ensemble.candidates import candidates_of
from fcsweep.ensemble.sweep import ROUNDS, ensemble_of
from fcsweep.messages.errors import ConfigError, FolderError
from fcsweep.messages.wording import printable
from fcsweep.records.filenames import jobs_of
from fcsweep.records.models.ensemble import Ensemble
from fcsweep.system.command import command, plain
from fcsweep.system.signals import held_back

PROGRAM = "python -m fcsweep.ensemble"
MOST_ROUNDS = 1_000


def main() -> None:
    """Exit code 1 and one line if there is nothing to select from."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=plain(__doc__))
    parser.add_argument("sweep", type=Path, help="folder of a sweep, such as multirun/2026-...")
    text = f"of the selection, which adds one trial each (default: {ROUNDS})"
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=text)
    parser.add_argument(
        "--device", help="cpu, cuda or cuda:N; as the runs were configured if absent"
    )
    parser.add_argument("--trust", action="store_true", help=TRUST)
    arguments = parser.parse_args()
    with command(PROGRAM):
        ensemble(arguments.sweep, arguments.rounds, arguments.device, arguments.trust)


def ensemble(
    sweep: Path, rounds: int = ROUNDS, device: str | None = None, trust: bool = False
) -> Ensemble:
    """Select, write ``ensemble.json``, print what it brings, and write the page again.

    Args:
        sweep: its folder.
        rounds: of the selection, from 1 to 1,000.
        device: instead of the configured one.
        trust: whether to import a model that a config names by import path.

    Raises:
        UserError: there is nothing to select from, or data or device are missing; one line.
    """
    if not 1 <= rounds <= MOST_ROUNDS:
        raise ConfigError(f"--rounds is {rounds}; expected 1 to {MOST_ROUNDS:,}")
    if not sweep.is_dir():
        raise FolderError(f"{sweep} is not a folder; expected that of a sweep")
    if not jobs_of(sweep):
        raise FolderError(f"{sweep} holds no trials; expected the folder of a sweep")
    candidates = candidates_of(sweep)
    with held_back():  # torch, not before everything is checked
        from fcsweep.kernels.threads import one_thread
    one_thread()
    made = ensemble_of(sweep, candidates, rounds, device, trust)
    if (sweep / report.FILE).is_file():
        print(printable(f"report: {report.write(sweep)}"))
    return made


if __name__ == "__main__":
    main()
