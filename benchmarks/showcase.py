"""Run an experiment's search and its ensemble, and keep what they found.

    python benchmarks/showcase.py table_demo
    python benchmarks/showcase.py best_two_layer data.root=CIFAR10_FOLDER

``--sweep FOLDER`` keeps the folder of the sweep, and goes on with one that was stopped.

``results/showcase.json`` gets the scores and the seconds of the processor (user and system), and
``results/showcase/NAME`` the record: the table of all runs, and the best run without its
parameters, which ``python -m fcsweep.rerun`` repeats.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from results_file import RESULTS, machine, save

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "analysis"))

# pyright: reportMissingImports=false
from make_sample import pack_run  # noqa: E402

from fcsweep.analysis.findings import best  # noqa: E402
from fcsweep.analysis.repeats import points  # noqa: E402
from fcsweep.evaluate import evaluate  # noqa: E402
from fcsweep.records import load_runs  # noqa: E402

KEPT = RESULTS / "showcase"


def searched(sweep: Path, words: list[str]) -> dict[str, Any]:
    """The scores and seconds of a search that ends with its ensemble."""
    words = [*words, f"hydra.sweep.dir={sweep.name}", "hydra.launcher.ensemble=true"]
    subprocess.run([sys.executable, "-m", "fcsweep", "-m", *words], cwd=sweep.parent, check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    point: Any = best(points(load_runs(sweep)))
    assert point is not None, "no trial has a value"
    runs = [sweep / number for number in point["runs"].split(", ")]
    together = json.loads((sweep / "ensemble.json").read_text())
    return {
        "value": round(point["value"], 5),
        "value_std": round(point["value_std"], 5),
        "best_run": Path(point["best_run"]).name,
        "accuracies_of_repeats": accuracies(runs),
        "ensemble": {"members": len(together["members"]), **together["scores"]},
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
    }


def accuracies(runs: list[Path]) -> dict[str, dict[str, float]]:
    """Mean and sample standard deviation over the repeats of a point, of each split."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for split, (right, rows) in (evaluate(run) or {}).items():
            found.setdefault(split, []).append(right / rows)
    return {
        split: {"mean": round(statistics.mean(each), 4), "std": round(statistics.stdev(each), 4)}
        for split, each in found.items()
    }


def keep(sweep: Path, number: str, place: Path) -> None:
    """The table of the runs, and the record of one, as ``fcsweep.rerun`` reads it."""
    shutil.rmtree(place, ignore_errors=True)
    pack_run(sweep / number, place / number, longest=1_000_000)
    shutil.copyfile(sweep / "trials.csv", place / "trials.csv")


def main() -> None:
    """Search, evaluate, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", help="such as table_demo")
    parser.add_argument("words", nargs="*", help="of the search, such as data.root=FOLDER")
    parser.add_argument("--sweep", type=Path, help="its folder, to be kept")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sweep = (given.sweep or Path(folder) / given.experiment).absolute()
        found = searched(sweep, [f"experiment={given.experiment}", *given.words])
        keep(sweep, found["best_run"], KEPT / given.experiment)
    print(json.dumps(found, indent=2))
    save("showcase", {given.experiment: {**machine(), **found}})


if __name__ == "__main__":
    main()
