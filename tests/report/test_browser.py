"""The page as a reader sees it: in headless Chromium, on a desk and in a hand, light and dark."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.written_sweeps import SEARCHED, config_of, trained_by, write_run, write_sweep

import fcsweep
from fcsweep import report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None and "FCSWEEP_CHROMIUM" not in os.environ, reason="needs chromium"
    ),
]

READER = Path(__file__).with_name("reader.html")
"""Shows the page at a width, does what a reader does, and writes what it sees as JSON."""
ENDS: list[tuple[tuple[float, ...], str, str | None]] = [
    ((0.3, 0.7, 0.95), "completed", None),
    ((0.3, 0.5, 0.6), "completed", None),
    ((0.1, 0.12), "diverged", "loss is inf at epoch 2, step 4"),
    ((0.2,), "pruned", "fell behind at epoch 1"),
    ((), "failed", "RuntimeError: <b>not bold</b>"),
]
PICTURES = ("png", "svg")
FIGURES = ["learning_curves", "landscape", "history", "importance", "parallel"]
OF_A_SWEEP = [*FIGURES, "time_line"]
TEXTS = {
    "completed": lambda row: row["status"] == "completed",
    "learning_rate >= 0.1 and status = completed": lambda row: (
        row["rate"] >= 0.1 and row["status"] == "completed"
    ),
    "not (pruned or failed) weight_scale < 0.001": lambda row: (
        row["status"] not in ("pruned", "failed") and row["scale"] < 0.001
    ),
}
WRONG = {
    "learning_rate >": "learning_rate > needs a value",
    "colour = red": "there is no column colour",
    "(completed": "a bracket is not closed",
}


def rows_of(count: int) -> list[dict[str, Any]]:
    """What is searched in each trial, and how it ends."""
    return [
        {
            "status": ENDS[number % len(ENDS)][1],
            "scale": 10 ** (-4 + 5 * number / count),
            "rate": 10 ** (-3 + 3 * (number * 7 % count) / count),
        }
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    space = SEARCHED | {"model.reg": "choice(0,0.1)"}
    folder = write_sweep(tmp_path_factory.mktemp("read") / "search", space)
    for number, row in enumerate(rows_of(60)):
        config = config_of(row["scale"], row["rate"])
        config["model"]["reg"] = 0.1 * (number % 2)
        accuracies, status, reason = ENDS[number % len(ENDS)]
        some = tuple(one - number / 1000 for one in accuracies)
        start = 10 * (number // 4)
        worker = trained_by("node1", 1 + number // 4 % 2, start, start + 8 + number % 4)
        write_run(
            folder / str(number), config, some, status, reason=reason, target=None, worker=worker
        )
    report.write(folder)
    return folder


def read(page: Path, steps: str, profile, width=1280, dark=False) -> tuple[dict[str, Any], str]:
    """What a reader sees of a page who does these steps, and what its console said."""
    reader = page.with_name(f"reader_{width}.html")
    texts = json.dumps([*TEXTS, *WRONG])
    filled = {"WIDTH": str(width), "PAGE": page.name, "[STEPS]": f"[{steps}]", "TEXTS": texts}
    text = READER.read_text()
    for name, value in filled.items():
        text = text.replace(name, value)
    reader.write_text(text)
    flags = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--hide-scrollbars",
        "--allow-file-access-from-files",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=60000",
        "--window-size=1400,1000",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
    ]
    command = [str(CHROMIUM), *flags, "--dump-dom", reader.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found and found[1], done.stderr[-2000:]
    seen = json.loads(html.unescape(found[1]))
    assert "error" not in seen, seen["error"]
    return seen, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def brightness(colour: str) -> float:
    """Of a computed style such as ``rgb(13, 17, 23)``."""
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3 / 255


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_what_a_page_looks_like(sweep, tmp_path, width, dark):
    seen, console = read(sweep / "report.html", "look, print", tmp_path, width, dark)
    assert console == ""
    assert seen["width"] == width and seen["wide"] <= 0 and seen["outside"] == 0
    assert list(seen["painted"]) == OF_A_SWEEP and len(seen["painted"]["learning_curves"]) == 4
    assert all(count > 1000 for counts in seen["painted"].values() for count in counts)
    assert all(label and len(label) > 20 for label in seen["labels"])
    paper, ink = brightness(seen["paper"]), brightness(seen["ink"])
    assert (paper < 0.2 and ink > 0.8) if dark else (ink < 0.2 and paper > 0.9)
    assert brightness(seen["printed"][0]) > 0.9 and seen["printed"][1] == dark


def test_a_reader_selects_sorts_filters_and_zooms(sweep, tmp_path):
    steps = "sort, filter, select, zoom, choose, keys, workers, save, again"
    seen, console = read(sweep / "report.html", steps, tmp_path)
    assert console == ""
    there = [[float(cell) for cell in seen[way] if cell] for way in ("up", "down")]
    assert there[0] == sorted(there[0]) and there[1] == there[0][::-1] and len(there[0]) == 48
    assert seen["up"][-12:] == seen["down"][-12:] == [""] * 12
    assert seen["sort"] == ["descending", "#sort=-best+train"]
    check_filters(seen)
    check_selection(seen)
    check_views(seen)
    check_files(seen)
    keys = seen["keys"]
    assert keys["said"].startswith("trial 1 (completed)") and keys["chosen"] == [1]
    assert keys["focused"] and keys["zoomed"] and len(keys["row"]) == 1
    assert seen["numbers"] == 1 + 48
    check_workers(seen["workers"])
    again = seen["again"]
    assert again["chosen"] == [0, 7] and again["beside"] == 3 and again["sort"] == "seconds"
    assert again["x"] == "best_val_accuracy" and again["filter"] == "weight_scale > 0.001"
    assert again["rows"] == sum(row["scale"] > 0.001 for row in rows_of(60))


def check_filters(seen):
    for text, keeps in TEXTS.items():
        expected = {place for place, row in enumerate(rows_of(60)) if keeps(row)}
        assert set(seen["filters"][text]["rows"]) == expected, text
        assert f"{len(expected)} of 60 trials shown" == seen["filters"][text]["said"]
        assert "filter=" in seen["filters"][text]["address"]
    for text, said in WRONG.items():
        assert (seen["filters"][text]["said"], seen["filters"][text]["invalid"]) == (said, "true")
    assert seen["hidden"][0] == 48 and "hide=diverged" in seen["hidden"][1]


def check_workers(seen):
    assert seen["told"].splitlines() == [
        "worker 1: process 1 on node1",
        "0 to 11 s",
        "trials 0, 1, 2, 3",
    ]
    assert seen["chosen"] == [0, 1, 2, 3] and seen["marked"]
    assert len(seen["rows"]) == 15  # stacks
    assert seen["rows"][1] == ["1", "node1", "1", "20", "31", "8 9 10 11"]
    assert seen["filtered"] == [["1", "node1", "1", "0", "11", "0"]]


def check_selection(seen):
    for figure, pressed in seen["press"].items():
        (number,) = pressed["chosen"]
        assert pressed["told"].startswith(f"trial {number}"), figure
        assert "learning_rate" in pressed["told"]
        assert f"trial={number}" in pressed["address"]
    assert "trial=" in seen["row"]
    heads, *rows = seen["beside"]
    assert len(heads) == 3 and heads[0] == "what differs"
    assert {"weight_scale", "learning_rate"} <= {row[0] for row in rows}
    assert all(row[1] != row[2] for row in rows if row[0] != "status")
    assert all(re.fullmatch(r"\d+/", link) for link in seen["links"])
    assert seen["cleared"] == [False, True]


def check_views(seen):
    for figure, (unmoved, back, chosen) in seen["zoom"].items():
        assert (unmoved, back, chosen) == (False, True, 0), figure
    assert 0 < seen["brush"][0] < 48 and "brush=" in seen["brush"][1]
    for name, (changed, address) in seen["changes"].items():
        assert changed, name
        assert f"{name}=" in address or f"log={name}" in address or f",{name}" in address, name


def check_files(seen):
    names = [name.removeprefix("search-") for name, _ in seen["files"]]
    curves = ("loss", "validation_loss", "train_accuracy", "validation_accuracy")
    panels = [f"learning_curves-{one}" for one in curves]
    whole = {f"{one}.csv" for one in ("learning_curves", "landscape", "parallel", "trials")}
    pictures = [f"{one}.{end}" for one in (*panels, "landscape", "parallel") for end in PICTURES]
    assert {*names} == {*whole, *pictures} and len(names) == 4 + 12
    drawn = [text for text in seen["texts"] if text.startswith("<svg")]
    assert len(drawn) == 6 and all("</svg>" in one and "<text" in one for one in drawn)
    (trials,) = [text for text in seen["texts"] if text.startswith("trial,status,best_train")]
    assert trials.count("\n") == 1 + 60


def test_the_ticks_of_an_axis_are_told_apart(tmp_path):
    folder = write_sweep(tmp_path / "search", SEARCHED | {"model.reg": "choice(0,0.1)"})
    for number, row in enumerate(rows_of(13)):
        config, accuracies = config_of(row["scale"], row["rate"]), (0.1, 0.3, 0.566 + number / 500)
        config["model"]["reg"] = 0.1 * (number % 2)
        write_run(folder / str(number), config, accuracies, target=None)
    seen, _ = read(report.write(folder), "save", tmp_path / "profile")
    (parallel,) = [one for one in seen["texts"] if one.startswith("<svg") and ">0.578<" in one]
    assert all(f">{text}<" in parallel for text in ("0.566", "0.572", "0.584", "0.59"))


def test_a_page_of_a_running_sweep_loads_itself_again(sweep, tmp_path):
    running = Path(shutil.copytree(sweep, tmp_path / "s"))
    (running / "60" / ".hydra").mkdir(parents=True)
    report.write(running)
    seen, _ = read(running / "report.html", "live", tmp_path / "profile")
    assert not seen["live"][0] and "It has not ended" in seen["live"][1]
    assert seen["after"] == "#live=1" and seen["loaded"]


def test_a_page_that_compares_and_one_of_a_single_run(sweep, tmp_path):
    alone = report.write(sweep / "0")
    seen, console = read(alone, "look", tmp_path / "a")
    assert console == "" and list(seen["painted"]) == ["loss", "accuracy"]
    other = Path(shutil.copytree(sweep, sweep.parent / "other"))
    page = report.compare([sweep, other], sweep.parent / "both.html")
    seen, console = read(page, "look, zoom", tmp_path / "b")
    assert console == "" and seen["wide"] <= 0
    assert [one for one in FIGURES if one != "importance"] == list(seen["painted"])
    assert all(not unmoved for unmoved, *_ in seen["zoom"].values())


def test_a_sweep_of_a_quantity_has_the_curve_of_its_objective(tmp_path):
    keys = ["data=diabetes", "model.loss_function=mse", "objective=rmse", "solver.num_epochs=3"]
    fcsweep.sweep([*keys, "seed=0,1"], tmp_path / "sweep")
    seen, console = read(report.write(tmp_path / "sweep"), "look", tmp_path / "profile")
    assert console == "" and len(seen["painted"]["learning_curves"]) == 3


def test_records_without_a_validation_loss_have_the_other_curves(sweep, tmp_path):
    older = Path(shutil.copytree(sweep / "0", tmp_path / "0"))
    lines = (older / "history.csv").read_text().splitlines()
    (older / "history.csv").write_text("".join(f"{one.rpartition(',')[0]}\n" for one in lines))
    (older / "provenance.json").unlink()  # its seal
    shutil.copytree(older, tmp_path / "1")
    for folder, count in ((older, 1), (tmp_path, 3)):
        seen, console = read(report.write(folder), "look", tmp_path / f"profile{count}")
        assert console == "" and len(next(iter(seen["painted"].values()))) == count
