"""Pictures: what stands on them, by reading the figures."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.written_sweeps import config_of, write_run, write_search, write_sweep

from fcsweep import analysis
from fcsweep.analysis import findings
from fcsweep.analysis.findings import Axis
from fcsweep.records.frames import load_history, load_losses, load_runs


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    folder = write_search(tmp_path_factory.mktemp("drawn") / "search", 30)
    runs = load_runs(folder)
    return folder, runs, findings.axes(folder, runs), findings.verdicts(runs)


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda part: hasattr(part, "get_text"))]


def test_the_landscape_has_the_scales_of_the_search_and_every_ending(search):
    _, runs, (x, y), verdicts = search
    figure = analysis.landscape(runs, verdicts, x, y)
    panel = figure.axes[0]
    assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")
    assert panel.get_xlabel() == "weight_scale (standard deviation)"
    assert {"reaches the target", "learns", "learns nothing", "diverges"} <= set(texts(figure))
    assert sum(len(dots.get_offsets()) for dots in panel.collections) == len(runs)


def test_a_single_parameter_has_the_value_beside_it(search):
    _, runs, (x, _), verdicts = search
    panel = analysis.landscape(runs, verdicts, x).axes[0]
    assert panel.get_ylabel() == "best train accuracy" and panel.get_yscale() == "linear"
    heights = [dots.get_offsets()[:, 1] for dots in panel.collections]
    at_the_bottom = runs["value"].fillna(runs["value"].min())
    assert sorted(np.concatenate(heights)) == sorted(at_the_bottom)


def test_importance_of_nothing_says_why():
    assert any("too few runs" in text for text in texts(analysis.importance({})))


def test_a_choice_is_an_axis_with_its_names(tmp_path):
    sweep = write_sweep(tmp_path / "sweep", {})
    for number, name in enumerate(("sgd", "adam", "sgd", "adam")):
        config = config_of(0.1, number + 1) | {"optimizer": {"name": name, "learning_rate": number}}
        write_run(sweep / str(number), config, (0.5,))
    runs = load_runs(sweep)
    x, y = Axis("optimizer.name", "choice"), Axis("optimizer.learning_rate", "linear")
    panel = analysis.landscape(runs, findings.verdicts(runs), x, y).axes[0]
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["adam", "sgd"]


def test_a_diverging_run_leaves_room_for_the_others(tmp_path):
    sweep = write_sweep(tmp_path / "sweep", {})
    for number in range(2):
        write_run(sweep / str(number), config_of(0.1, number + 1), (0.1, 0.2, 0.3))
    history = load_history(sweep)
    history.loc[history["number"] == 1, "loss"] = [1e30, 1e35, np.inf]
    figure = analysis.learning_curves(history, {"the first": [str(sweep / "0")]})
    low, high = figure.axes[0].get_ylim()
    assert 0 < low < 2.3 / 3 and 2.3 < high < 10
    assert [panel.get_ylabel() for panel in figure.axes] == [
        "loss (nats)",
        "validation loss (nats)",
        "train accuracy\n(fraction)",
        "validation accuracy\n(fraction)",
    ]


def test_a_fitted_net_is_drawn_to_its_last_epoch(tmp_path):
    write_run(tmp_path / "0", config_of(0.1, 1), (0.5, 0.9, 1.0, 1.0))
    history = load_history(tmp_path)
    history["loss"] = [10.0, 0.1, 0.0, 0.0]
    panel = analysis.learning_curves(history, {"": [str(tmp_path / "0")]}).axes[0]
    assert panel.get_yscale() == "log" and panel.get_ylim()[0] > 0
    assert len(panel.lines[0].get_xdata()) == 4


def test_the_loss_of_a_long_run_keeps_its_mean():
    steps = np.arange(1, 100_001)
    losses = pd.DataFrame({"folder": "0", "step": steps, "loss": 1 + steps % 2})
    (line,) = analysis.loss_per_step(losses).axes[0].lines
    assert len(line.get_xdata()) == 500
    assert np.allclose(line.get_ydata(), 1.5)


def test_the_loss_has_the_unit_of_its_function():
    for name, unit in (("softmax", "nats"), ("svm", "margin units")):
        assert findings.loss_unit(pd.DataFrame({"model.loss_function": [name] * 2})) == unit


def test_the_best_so_far_never_falls(search):
    _, runs, _, verdicts = search
    figure = analysis.progress(runs, verdicts)
    best = next(one for one in figure.axes[0].lines if one.get_label() == "best so far")
    heights = np.asarray(best.get_ydata(), float)
    assert (np.diff(heights) >= 0).all() and heights[-1] == 1.0
    assert "target 1" in texts(figure)


def svg_of(figure, folder):
    analysis.save(figure, folder / "figure.svg")
    return (folder / "figure.svg").read_text()


@pytest.mark.parametrize("status", ["running", "failed"])
def test_runs_without_a_value_break_no_picture(tmp_path, status):
    sweep = write_sweep(tmp_path / "sweep", {})
    for number in range(5):
        write_run(sweep / str(number), config_of(number + 1, 0.1 * number + 1), (), status)
    runs = load_runs(sweep)
    searched, verdicts = findings.axes(sweep, runs), findings.verdicts(runs)
    for figure in (
        analysis.landscape(runs, verdicts, *searched),
        analysis.progress(runs, verdicts),
        analysis.parallel(runs, searched),
        analysis.learning_curves(load_history(sweep), {"all": list(runs["folder"])}),
        analysis.loss_per_step(load_losses(sweep)),
    ):
        assert "<svg" in svg_of(figure, tmp_path)


def test_a_config_value_is_neither_a_formula_nor_markup(search, tmp_path):
    history = load_history(search[0])
    name = "$x_1$ <script> \u6570"
    figure = analysis.learning_curves(history, {name: [str(search[0] / "0")]})
    text = svg_of(figure, tmp_path)
    assert "$x_1$ &lt;script&gt; \u6570" in text and "<script" not in text


def test_files_beside_the_page(search, tmp_path):
    figure = analysis.importance({"model.weight_scale": 0.75, "seed": 0.25})
    analysis.save(figure, tmp_path / "one.svg")
    analysis.save(figure, tmp_path / "one.png")
    assert (tmp_path / "one.svg").read_text().startswith("<?xml")
    with Image.open(tmp_path / "one.png") as image:
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255) and image.width > 600


def test_no_global_state_of_pyplot():
    code = "import sys, fcsweep.report; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
