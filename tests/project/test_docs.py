"""README and the pages of docs/: their examples run, their tables are complete."""

import re
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from support import preloaded

from fcsweep.config.schemas import GROUPS, known_keys
from fcsweep.search.settings import PRUNERS, SAMPLERS, OptunaSweeperConf

ROOT = Path(__file__).parents[2]


def example(page, word, folder, *arguments, head=""):
    """What the Python example of a page that holds a word prints."""
    examples = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    (code,) = [example for example in examples if word in example]
    (folder / "app.py").write_text(head + code)
    command = [sys.executable, "-W", "error", "app.py", *arguments]
    done = preloaded.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("page", ["README.md", "docs/library.md"])
def test_the_library_examples_train(tmp_path, page):
    said = example(page, "Solver(", tmp_path, head="import torch; torch.manual_seed(0)\n")
    last = [re.findall(r"\[[^]]*\]|\S+", line)[-1] for line in said]  # a list for a stack
    accuracies = [max(map(float, re.findall(r"[\d.]+", text))) for text in last]
    assert len(accuracies) == 10 and 0.8 < max(accuracies) <= 1


def test_the_library_example_leaves_records(tmp_path):
    said = example("docs/library.md", "run_many(", tmp_path)
    assert len(said) == 2 and all(re.fullmatch(r"completed 0\.\d+", line) for line in said)
    assert len([*tmp_path.glob("outputs/*/result.json")]) == 2


@pytest.mark.slow
def test_the_library_example_runs_a_grid_and_a_search(tmp_path):
    said = "\n".join(example("docs/library.md", "fcsweep.sweep(", tmp_path))
    assert "[50, 50]" in said or "[100, 100]" in said
    assert re.search(r"0 +sgd +0\.\d+ +my_grid/0\n1 +momentum +0\.\d+ +my_grid/1$", said)
    assert len([*tmp_path.glob("*/*/result.json")]) == 1 + 2 + 4


@pytest.mark.slow
def test_the_app_of_the_search_page_searches_and_prunes(tmp_path):
    words = ["-m", "hydra/sweeper=optuna", "hydra/sweeper/pruner=median", "+x=interval(-3,3)"]
    seed = "hydra.sweeper.sampler.seed=0"
    said = example("docs/search.md", "should_prune", tmp_path, *words, seed)
    ended = re.search(r"20 trials(?: done)?: (\d+) completed, (\d+) pruned", "\n".join(said))
    assert ended and int(ended[1]) >= 5 and int(ended[2]) >= 1
    assert "best: trial" in said[-1]


@pytest.mark.slow
def test_the_stackable_app_of_the_search_page_trains_in_two_stacks(tmp_path):
    words = ["-m", "hydra/launcher=stacked", "+hidden=8,16", "+p=0.0,0.2", "+lr=0.01,0.1"]
    said = "\n".join(example("docs/search.md", "fcsweep.stackable", tmp_path, *words))
    assert "Launching 8 jobs" in said and "one job after another" not in said
    assert len([*tmp_path.glob("multirun/*/*/*/.hydra/config.yaml")]) == 8


def test_the_app_with_the_display_has_a_table(tmp_path):
    words = ["-m", "+x=0,1,2", "hydra.sweep.dir=s"]
    said = example("docs/search.md", "@fcsweep.app(direction", tmp_path, *words)
    assert said[-2:] == ["best: s/1 (0), x 1", "report: s/report.html"]


@pytest.mark.slow
def test_the_tables_of_the_guide(tmp_path):
    sweep = [sys.executable, "-m", "fcsweep", "-m", "optimizer=sgd,adam", "solver.num_epochs=2"]
    overfit = [*sweep[:4], "objective=train_accuracy", "data.num_train=20"]
    overfit += ["solver.batch_size=10", "seed=7,8"]
    for command in (sweep, overfit):  # the second has the higher values, of 20 images
        preloaded.run(command, cwd=tmp_path, capture_output=True, check=True)
    said = "\n".join(example("docs/guide.md", "load_history", tmp_path))
    assert "optimizer.name" in said and said.count("adam") == 1 and said.count("completed") == 2
    assert re.search(r"epoch +val_accuracy\n0 +1 +0\.\d+\n1 +2 +0\.\d+", said)


def test_the_guide_names_every_group_option_and_key():
    page = (ROOT / "docs/guide.md").read_text()
    options = [f"`{option}`" for group in GROUPS if group != "solver" for option in GROUPS[group]]
    keys = [f"`{key}`" for key in known_keys() if key not in GROUPS and not key.endswith(".name")]
    assert not [name for name in [*options, *keys] if name not in page]


def test_the_search_page_names_every_key_sampler_and_pruner():
    page = (ROOT / "docs/search.md").read_text()
    keys = {spec.name for spec in fields(OptunaSweeperConf) if not spec.name.startswith("_")}
    older = {"defaults", "sampler", "pruner", "search_space", "experiment_sequence"}
    names = [*(keys - older), *SAMPLERS, *PRUNERS]
    assert not [name for name in names if not re.search(rf"^\| (.*, )?`{name}`", page, re.M)]


def test_the_pages_name_only_files_that_are_there():
    places = r"(?:analysis|benchmarks|conf|docs|fcsweep|tests)/[\w/.-]+\.\w+"
    for page in (ROOT / "docs").glob("*.md"):
        named = re.findall(rf"`({places})`", page.read_text())
        assert not [path for path in named if not (ROOT / path).exists()], page


def test_the_readme_names_the_python_that_the_package_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    least = project["requires-python"].removeprefix(">=")
    assert f"fcsweep needs Python {least} or newer, and Linux." in (ROOT / "README.md").read_text()
