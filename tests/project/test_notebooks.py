"""The notebooks in ``analysis/``: run from scratch on the sample, and committed as they ran."""

import re

import nbformat
import pytest
from support.notebooks import ANALYSIS, NOTEBOOKS, executed
from support.written_sweeps import config_of, write_run, write_sweep

from fcsweep.records.frames import load_speeds

SAMPLES = sorted(path for path in (ANALYSIS / "sample").iterdir() if path.is_dir())


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def test_there_are_five():
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05"]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_scratch(path, tmp_path):
    kinds = {output.output_type for output in outputs(executed(path, tmp_path))}
    assert kinds and "error" not in kinds


def sweep_of(folder, *keys, seeds=1):
    """A sweep of three parameters or one, with repeats, judged by another objective."""
    write_sweep(folder, {key: "1,2,3,4" for key in keys})
    for number in range(4 * seeds):
        point = number // seeds
        config = config_of(0.1, 0.1) | {"seed": number % seeds}
        for key in keys:
            group, name = key.split(".")
            config[group] = {**config[group], name: 0.1 * (point + 1)}
        write_run(folder / str(number), config, (0.1 * number / seeds,), target=None)
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS[:3], ids=lambda path: path.stem)
def test_it_takes_any_sweep(path, tmp_path):
    three = ("model.reg", "model.weight_scale", "optimizer.learning_rate")
    many = sweep_of(tmp_path / "many", *three)
    single = sweep_of(tmp_path / "single", "model.reg", seeds=2)
    folders = {"FOLDER": many, "SWEEPS": {"many": many, "single": single}}
    folders |= {"SEARCH": single, "SEEDS": many}
    notebook = nbformat.read(path, as_version=4)
    code = next(cell for cell in notebook.cells if cell.cell_type == "code")
    code.source = "\n".join(f"{name} = {folder!r}" for name, folder in folders.items())
    own = tmp_path / path.name
    nbformat.write(notebook, own)
    assert "error" not in {one.output_type for one in outputs(executed(own, tmp_path / "there"))}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_committed_as_it_ran(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert "parameters" in code[0].metadata["tags"]
    assert not [output for output in outputs(notebook) if output.output_type == "error"]
    assert not [output for output in outputs(notebook) if output.get("name") == "stderr"]
    assert not re.search(r"/(tmp|home|root|work)/", path.read_text())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_picture_is_followed_by_words(path):
    cells = nbformat.read(path, as_version=4).cells
    for cell, after in zip(cells, [*cells[1:], None], strict=True):
        shown = [output.get("data", {}) for output in cell.get("outputs", [])]
        if any("image/png" in data for data in shown):
            assert after is not None
            words = after if after.cell_type == "markdown" else cells[cells.index(after) + 1]
            assert words.cell_type == "markdown" and words.source.rstrip().endswith(".")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_cells_are_short(path):
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert max(cell.source.count("\n") for cell in code) < 18


def test_the_sample_is_small_and_names_no_machine():
    files = [path for path in (ANALYSIS / "sample").rglob("*") if path.is_file()]
    assert len(SAMPLES) == 5 and sum(path.stat().st_size for path in files) < 600_000
    texts = [path.read_text() for path in files if path.suffix in (".yaml", ".json", ".csv")]
    assert texts and not [text for text in texts if re.search(r"/(tmp|home|root|work)/", text)]


def test_speeds_are_multiples_of_a_trial_alone(tmp_path):
    sizes = '{"a": {"1": 10.0, "4": 25.0}, "b": {"1": 2.0, "4": 1.0}}'
    for device in ("cpu", "cuda"):
        record = f'{{"device": "{device}", "sizes": {sizes}}}'
        (tmp_path / f"stack_size_{device}.json").write_text(record)
    speeds = load_speeds(tmp_path)
    assert speeds["times_alone"].tolist() == [1.0, 2.5, 1.0, 0.5] * 2
    assert speeds["device"].tolist() == ["cpu"] * 4 + ["cuda"] * 4
