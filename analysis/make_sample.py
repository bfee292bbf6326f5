"""Make ``analysis/sample``, on which the notebooks run in the tests: sweeps of this program.

``python analysis/make_sample.py CIFAR10_FOLDER`` takes some minutes. Of each run it keeps the
config, the result, the history and the provenance, and the losses where they are short; of a sweep
what it was asked. Folders and the name of this machine are left out of them; what that changes is
sealed again.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from omegaconf import OmegaConf

from fcsweep.config import read
from fcsweep.records.filenames import CONFIG, PROVENANCE
from fcsweep.records.seal import add_seal, as_json

SAMPLE = Path(__file__).parent / "sample"
KEPT = ("result.json", "history.csv", "provenance.json", ".hydra/config.yaml")
LONGEST = 2_000  # bytes of losses.npy

OVERFIT = (
    "hydra/sweeper/sampler=qmc hydra/sweeper/pruner=none hydra.sweeper.n_trials=48 "
    "hydra.sweeper.stop_at_target=false model.weight_scale=tag(log,interval(1e-3,10)) "
    "optimizer.learning_rate=tag(log,interval(1e-4,10))"
)
CIFAR10 = "data=cifar10 optimizer=momentum solver.num_epochs=10 solver.batch_size=200"
SWEEPS = {
    "sgd_vs_momentum": "experiment=sgd_vs_momentum",
    "overfit_three_layer": f"experiment=overfit_three_layer {OVERFIT}",
    "overfit_five_layer": f"experiment=overfit_five_layer {OVERFIT}",
    "val50": "experiment=val50 hydra.sweeper.n_trials=20 hydra.sweeper.stop_at_target=false",
    "val50_seeds": f"{CIFAR10} solver.lr_decay=0.9 model.weight_scale=3e-4 target=0.5 "
    "optimizer.learning_rate=0.02,0.04 seed=0,1,2",
}


def main() -> None:
    """Run every sweep in a folder of its own, and pack it."""
    root = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory() as folder:
        for name, words in SWEEPS.items():
            more = [f"hydra.sweep.dir={name}"]
            more += [f"data.root={root}"] if "val50" in name else []
            command = [sys.executable, "-m", "fcsweep", "-m", *words.split(), *more]
            subprocess.run(command, cwd=folder, check=True)
        for name in SWEEPS:  # not before: provenance tells of changed files
            pack(Path(folder) / name, SAMPLE / name)


def pack(sweep: Path, target: Path) -> None:
    """Copy what the notebooks read of a sweep."""
    shutil.rmtree(target, ignore_errors=True)
    for run in sorted(path for path in sweep.iterdir() if path.name.isdecimal()):
        pack_run(run, target / run.name)
    hydra = read(sweep / "multirun.yaml")["hydra"]
    task = [word for word in hydra["overrides"]["task"] if not word.startswith("data.root=")]
    asked = {"sweeper": hydra["sweeper"], "overrides": {"task": task}}
    OmegaConf.save(OmegaConf.create({"hydra": asked}), target / "multirun.yaml")


def pack_run(run: Path, target: Path, longest: int = LONGEST) -> None:
    """Copy the record of a run, without its parameters, and seal what is changed."""
    losses = run / "losses.npy"
    short = [losses.name] if losses.stat().st_size <= longest else []
    for name in (*KEPT, *short):
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run / name, place)
    config = target / CONFIG
    config.write_text(re.sub(r"root: /.*", "root: null", config.read_text()))
    seal(target)


def seal(run: Path) -> None:
    """Seal the changed config, and the facts without this machine's name and folders."""
    facts = json.loads((run / PROVENANCE).read_text())
    command = re.sub(r" data\.root=[^ ]*", "", facts["command"])
    facts["command"] = re.sub(r"=/[^ ]*/", "=", command)  # of a sweep's folder its name is left
    facts["files"] = {name: sha for name, sha in facts["files"].items() if (run / name).exists()}
    facts["files"][CONFIG] = sha256((run / CONFIG).read_bytes()).hexdigest()
    for name in ("host", "process", "sha256"):
        facts.pop(name, None)
    (run / PROVENANCE).write_bytes(as_json(add_seal(facts)))


if __name__ == "__main__":
    main()
