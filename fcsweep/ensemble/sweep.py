"""The ensemble of a sweep: selected, written into its folder, and what is said of it."""

from __future__ import annotations

from pathlib import Path

from fcsweep.ensemble.candidates import Candidates
from fcsweep.messages.wording import join, printable
from fcsweep.objectives import digits_of
from fcsweep.records.models.ensemble import FILE, Ensemble, write
from fcsweep.system.signals import held_back

ROUNDS = 50
"""Of the selection, where nobody says how many."""
SHOWN = 10
"""Members that are named on standard output."""


def ensemble_of(
    sweep: Path,
    candidates: Candidates,
    rounds: int = ROUNDS,
    device: str | None = None,
    trust: bool = False,
) -> Ensemble:
    """Select, write ``ensemble.json``, and print what it brings.

    Arguments and errors are those of `fcsweep.ensemble.making.make`.
    """
    with held_back():  # torch, not for --help
        from fcsweep.ensemble.making import make
    made = make(sweep, candidates, rounds, device, trust)
    write(sweep / FILE, made)
    for line in _told(made, candidates.other_data):
        print(printable(line))
    print(printable(sweep / FILE))
    return made


def _told(made: Ensemble, other_data: str | None) -> list[str]:
    """What is said of an ensemble, a line each."""
    count = made.candidates + sum(made.left_out.values())
    why = join(f"{number} {word}" for word, number in made.left_out.items())
    trials = [f"{trial} ({weight:.2f})" for trial, weight in made.trials[:SHOWN]]
    more = [f"{len(made.trials) - SHOWN} more"] if len(made.trials) > SHOWN else []
    best = f"best trial ({made.best.trial})"
    unseen = "the test rows decided nothing"
    if "test" not in made.scores:
        unseen = "there are no test rows"
    return [
        f"{made.candidates} of {count} trials" + (f"; left out: {why}" if why else ""),
        *([other_data] if other_data else []),
        f"members{made.of_folds} (weights): {join([*trials, *more])}",
        *_table(made, best),
        f"the validation rows selected the members and flatter them; {unseen}",
    ]


def _table(made: Ensemble, best: str) -> list[str]:
    """What the ensemble and the best trial reach, a line for each score and split."""
    known = [
        (split if name == "accuracy" else f"{split} {name}", one, digits_of(name))
        for name, scores in made.all_scores.items()
        for split, one in scores.items()
    ]
    first, width = max(len(label) for label, *_ in known), len(best)
    lines = [f"{'':<{first}}  ensemble  {best}  rows"]
    for label, one, digits in known:
        together, alone = f"{one.ensemble:{digits}}", f"{one.best:{digits}}"
        lines.append(f"{label:<{first}}  {together:<8}  {alone:<{width}}  {one.rows:,}")
    return lines
