"""The recipes of CONTRIBUTING, followed in a copy: they name every file that has to change.

The code is the code of the recipes; what they say in words to add to a table is added here.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import preloaded

ROOT = Path(__file__).parents[2]
OPTIM, NETS = "fcsweep/optim.py", "fcsweep/nets.py"
SCHEMAS, OPTIMIZERS = "fcsweep/config/schemas.py", "fcsweep/config/optimizers.py"
DATA_SETS, SETS = "fcsweep/config/data_sets.py", "fcsweep/data/images/loading.py"


class Copy:
    """A copy of the package in which a recipe is followed, file by file."""

    def __init__(self, folder: Path, recipe: str) -> None:
        self.folder, self.work = folder / "copy", folder / "work"
        self.work.mkdir()
        for name in ("fcsweep", "conf"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, self.folder / name, ignore=ignored)
        text = (ROOT / "CONTRIBUTING.md").read_text()
        (section,) = re.findall(rf"^### {recipe}\n(.*?)(?=^##)", text, re.DOTALL | re.MULTILINE)
        steps = r"^`([\w/.]+)`: .*?^```\w+\n(.*?)^```"
        self.code = dict(re.findall(steps, section, re.DOTALL | re.MULTILINE))

    def create(self, name: str) -> None:
        (self.folder / name).write_text(self.code[name])

    def insert(self, name: str, before: str, code: str | None = None, indent: str = "") -> None:
        """The code of the recipe, before the only place that starts like this."""
        lines = (self.code[name] if code is None else code).splitlines(keepends=True)
        added = "".join(indent + line if line.strip() else line for line in lines)
        self.replace(name, before, added + before)

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert text.count(old) == 1, f"{text.count(old)} times in {name}: {old}"
        (self.folder / name).write_text(text.replace(old, new))

    def changed(self) -> set[str]:
        """Files that the package does not have like this."""
        names = {
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        before = {name: ROOT / name for name in names}
        return {
            name
            for name, path in before.items()
            if not path.exists() or path.read_bytes() != (self.folder / name).read_bytes()
        }

    def python(self, *arguments: str | Path) -> str:
        command = [sys.executable, "-W", "error", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        run = subprocess.run if "pytest" in command else preloaded.run
        done = run(command, cwd=self.work, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sweep(self, folder: str, *words: str) -> list[dict[str, str]]:
        """The rows of ``trials.csv`` after a sweep of one epoch a trial."""
        command = ["-m", "fcsweep", "-m", "solver.num_epochs=1", f"hydra.sweep.dir={folder}"]
        self.python(*command, *words)
        with (self.work / folder / "trials.csv").open(newline="") as file:
            return [*csv.DictReader(file)]

    def stack_sizes(self, folder: str) -> list[int]:
        files = sorted((self.work / folder).glob("*/provenance.json"))
        return [json.loads(file.read_text())["stack_size"] for file in files]

    def losses(self, folder: str, number: int) -> bytes:
        return (self.work / folder / str(number) / "losses.npy").read_bytes()

    def holds(self, *tests: str) -> bool:
        """Whether tests of this package pass with the copy, and there is at least one."""
        options = ["-q", "-p", "no:cacheprovider", "--rootdir", self.work]
        return " passed" in self.python("-m", "pytest", *options, *tests)


@pytest.mark.slow
def test_a_new_update_rule(tmp_path):
    copy = Copy(tmp_path, "A new update rule")
    copy.insert(OPTIM, "RULES = {")
    copy.replace(OPTIM, "adam, adamw)", "adam, adamw, adagrad)")
    copy.insert(OPTIMIZERS, "@dataclass\nclass CustomConfig:")
    copy.replace(OPTIMIZERS, "    SgdConfig\n    | ", "    SgdConfig\n    | AdagradConfig\n    | ")
    copy.create("conf/optimizer/adagrad.yaml")
    assert copy.changed() == set(copy.code)

    rows = copy.sweep("grid", "optimizer=sgd,adagrad", "optimizer.learning_rate=0.1", "seed=0,1")
    ended = [(row["optimizer.name"], row["status"]) for row in rows]
    assert ended == [(name, "completed") for name in ("sgd", "sgd", "adagrad", "adagrad")]
    assert all(float(row["value"]) > 0.7 for row in rows[2:])
    assert copy.stack_sizes("grid") == [2, 2, 2, 2]
    copy.python("-m", "fcsweep.rerun", "grid/3")

    search = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=3"]
    points = "optimizer.learning_rate=tag(log,interval(1e-3,1))"
    rows = copy.sweep("search", "optimizer=adagrad", *search, points)
    assert [row["status"] for row in rows] == ["completed"] * 3
    assert copy.stack_sizes("search") == [3, 3, 3]

    assert copy.holds(f"{ROOT}/tests/config/test_sizes.py", "-k", "adagrad or every_rule")


@pytest.mark.slow
def test_a_new_part_of_the_net(tmp_path):
    copy = Copy(tmp_path, "A new part of the net")
    last = "l2_factor: float = 0.5,\n"
    copy.replace(NETS, last, f"{last}        bias: PerTrial = 0.0,\n")
    copy.replace(NETS, "names, weight_scale, seed)", "names, weight_scale, seed, bias)")
    end_of_init = "\n    @property\n    def params(self)"
    step = copy.code[NETS]
    copy.insert(NETS, end_of_init, step, indent=" " * 8)
    copy.insert(SCHEMAS, "    dropout: float = _key(", indent=" " * 4)
    preset = '        "fully_connected": FullyConnectedConfig,\n'
    copy.replace(SCHEMAS, preset, f'{preset}        "biased": FullyConnectedConfig,\n')
    copy.create("conf/model/biased.yaml")
    assert copy.changed() == set(copy.code)

    rows = copy.sweep("grid", "model=fully_connected,biased", "model.bias=0,0.1")
    assert [row["status"] for row in rows] == ["completed"] * 4
    assert copy.stack_sizes("grid") == [2, 2, 2, 2]
    unbiased, biased, *preset = (copy.losses("grid", number) for number in range(4))
    assert preset == [unbiased, biased] and unbiased != biased
    assert "bias: 0.1" in copy.python("-m", "fcsweep", "model=biased", "--cfg", "job")


@pytest.mark.slow
def test_a_new_data_set(tmp_path):
    copy = Copy(tmp_path, "A new data set")
    copy.create("fcsweep/data/images/bars.py")
    imported, table = copy.code[SETS].split("\n\n")
    copy.insert(SETS, "from fcsweep.data.images.cifar10 import", f"{imported}\n")
    (before,) = re.findall("^SETS = .*\n", (ROOT / SETS).read_text(), re.MULTILINE)
    copy.replace(SETS, before, table)
    copy.insert(DATA_SETS, "MeasuredConfig: TypeAlias")
    copy.replace(
        DATA_SETS,
        "Cifar10Config | SyntheticConfig |",
        "Cifar10Config | SyntheticConfig | BarsConfig |",
    )
    copy.create("conf/data/bars.yaml")
    assert copy.changed() == set(copy.code)

    rows = copy.sweep("grid", "data=digits,bars", "optimizer=adam", "seed=0,1")
    ended = [(row["data.name"], row["status"]) for row in rows]
    assert ended == [(name, "completed") for name in ("digits", "digits", "bars", "bars")]
    assert copy.stack_sizes("grid") == [2, 2, 2, 2]
    splits = copy.python("-m", "fcsweep.evaluate", "grid/3").splitlines()
    assert [re.findall(r"of ([\d,]+)\)", split) for split in splits] == [
        ["1,000"],
        ["200"],
        ["200"],
    ]

    assert copy.holds(f"{ROOT}/tests/config/test_sizes.py", "-k", "bars or every_data_set")
