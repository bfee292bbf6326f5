"""``report.html``: what it says, that it fetches nothing, and that it never costs a sweep."""

import base64
import hashlib
import json
import math
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import preloaded
from support.report_pages import HOSTILE, Page, page_of
from support.written_sweeps import SEARCHED, config_of, write_run, write_search, write_sweep

from fcsweep import report
from fcsweep.messages.errors import FolderError
from fcsweep.records import load_history, load_runs, sweep_table
from fcsweep.report import embedded, words
from fcsweep.report.page import SCRIPTS
from fcsweep.system.atomic import RecordError

UPLOT = {
    "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    return write_search(tmp_path_factory.mktemp("reported") / "search", 30)


def test_a_search_is_answered(search):
    page = page_of(search)
    said = page.text()
    assert "Which weight_scale and learning_rate reach train accuracy 1 with three_layer" in said
    assert "Trial 0 reaches train accuracy 1.0000 with weight_scale 0.0001" in said
    assert f"python -m fcsweep.rerun {search}/0" in said
    assert "30 runs: 15 completed, 5 diverged, 5 pruned, 5 failed" in said
    assert page.figures() == ["learning_curves", "landscape", "history", "importance"]
    assert f"python -m fcsweep.evaluate {search}/0" in said
    assert "loss is inf at epoch 2, step 4" in said
    assert "c0ffee" in said and "2.13.0" in said


def test_the_table_has_a_row_a_trial_the_best_first(search):
    page = page_of(search)
    rows = [of for tag, of in page.tags if tag == "tr"]
    assert len(rows) == 1 + 30 + 1 + 2  # with the heads, and the failures: two kinds
    assert page.rows("best") == [{"data-place": "0", "class": "best"}] == [rows[1]]
    order = [int(of["data-place"]) for of in rows if "data-place" in of]
    values = page.data["runs"]["columns"][0]["values"]
    there = [values[place] for place in order if values[place] is not None]
    assert there == sorted(there, reverse=True) and len(there) == 25
    assert sorted(order) == list(range(30))


def test_a_single_run(tmp_path):
    folder = write_run(tmp_path / "run", config_of(0.1, 0.1), (0.5, 0.9), target=0.8)
    page = page_of(folder)
    assert "Does three_layer on 50 images of digits reach train accuracy 0.8?" in page.text()
    assert "Yes: 0.9000 after epoch 2 of 2" in page.text()
    assert page.figures() == ["loss", "accuracy"]
    assert page.data["single"]
    assert page.data["curves"] == [[None, [2.3, 1.15], [5000, 9000], [2500, 4500], [4.6, 2.3]]]
    assert page.data["steps"] == [[1, 2, 3, 4], [2.3, 2.3, 1.15, 1.15]]


def test_both_rules_are_in_one_picture(tmp_path):
    sweep = write_sweep(tmp_path / "sweep", {"optimizer": "sgd,momentum"})
    for number, name in enumerate(("sgd", "momentum")):
        config = config_of(0.1, 0.1) | {"optimizer": {"name": name, "learning_rate": 0.1}}
        write_run(sweep / str(number), config, (0.5, 0.6 + number / 10), target=None)
    page = page_of(sweep)
    assert page.figures() == ["learning_curves"]
    assert {"sgd", "momentum"} <= set(page.text().split())
    assert "Which optimizer gives the highest train accuracy" in page.text()
    assert "Trial 1 reaches train accuracy 0.7000 with optimizer momentum." in page.text()


def test_html_in_a_config_is_shown_as_text(tmp_path):
    sweep = write_sweep(tmp_path / "sweep", {})
    for number, name in enumerate((HOSTILE, "b")):
        config = config_of(0.1, 0.1, device=name) | {"data": {"name": name}}
        write_run(sweep / str(number), config, (0.5,), "failed", reason=HOSTILE)
    page = page_of(sweep)
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert page.scripts() == ["data", None]
    assert page.text().count(HOSTILE) >= 3
    columns = {one["key"]: one["values"] for one in page.data["runs"]["columns"]}
    assert columns["device"] == columns["data.name"] == [HOSTILE, "b"]


def test_nothing_is_fetched_and_only_our_script_and_style_may_run(search):
    text = report.write(search).read_text()
    page = Page(text)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", text.replace("fcsweep.rerun /", ""))
    links = [of.get(key) for _, of in page.tags for key in ("src", "href") if of.get(key)]
    assert set(links) == {"data:,"}
    assert not [of for _, of in page.tags if "style" in of or {*of} & {"onclick", "onload"}]
    (policy,) = (of["content"] for _, of in page.tags if "http-equiv" in of)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    for name in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(page.unseen[name].encode()).digest()).decode()
        assert rules[f"{name}-src"] == f"'sha256-{digest}'"
    assert rules["default-src"] == rules["base-uri"] == "'none'" and "unsafe" not in policy


def test_what_marks_the_place_of_the_pointer_is_not_printed():
    """Chromium prints a canvas that nothing was drawn on as white, here over the figure."""
    style = (Path(report.__file__).parent / "page.css").read_text()
    rules = style.partition("@media print")[2].split("}")
    assert any(".plot .marked" in rule and "display: none" in rule for rule in rules)


def test_uplot_is_as_it_was_published():
    """What ``npm pack uplot@1.6.32`` brings; its license is in every page."""
    folder = Path(report.__file__).parent / "uplot"
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
    }
    assert digests == UPLOT


def test_the_scripts_are_one_program_in_short_files():
    files = [*(Path(report.__file__).parent / "scripts").iterdir()]
    assert sorted(path.stem for path in files) == sorted(SCRIPTS)
    assert max(path.read_text().count("\n") for path in files) <= 350


@pytest.mark.slow
def test_many_trials_are_quick_and_small(tmp_path):
    sweep = write_search(tmp_path / "sweep", 250)
    readings = [row.found for row in sweep_table.load(sweep)]
    start = time.process_time()
    path = report.write(sweep, readings=readings)
    assert time.process_time() - start < 1  # 0.1 alone; benchmarks/bench_page.py measures 1,000
    assert path.stat().st_size < 250_000
    assert path.read_text().count("<tr") > 250


def test_what_is_embedded_is_what_the_records_hold(search):
    data, runs = page_of(search).data, load_runs(search)
    columns = {one["key"]: one for one in data["runs"]["columns"]}
    for key in (*SEARCHED, "best_train_accuracy", "best_val_accuracy", "epochs", "seconds"):
        recorded = [None if math.isnan(one) else one for one in runs[key].astype(float)]
        assert columns[key]["values"] == recorded, key
    assert [columns[key]["kind"] for key in SEARCHED] == ["log", "log"]
    assert data["runs"]["status"] == list(runs["status"])
    assert data["objectives"][0]["key"] == "best_train_accuracy" and data["target"] == 1
    history = load_history(search)
    for place, folder in enumerate(runs["folder"]):
        rows = history.loc[history["folder"] == folder]
        _, losses, *accuracies, val_losses = data["curves"][place] or [None, [], [], [], []]
        recorded = [None if math.isinf(one) else one for one in rows["loss"]]
        assert losses == [one and pytest.approx(one, rel=1e-2) for one in recorded]
        for name, curve in zip(("train_accuracy", "val_accuracy"), accuracies, strict=True):
            assert curve == [round(one / data["unit_of_accuracies"]) for one in rows[name]]
        recorded = [None if math.isnan(one) else one for one in rows["val_loss"]]
        assert val_losses == [one and pytest.approx(one, rel=1e-2) for one in recorded]


def test_a_long_curve_is_thinned_and_keeps_its_ends_and_its_best(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "MOST_EPOCHS", 40)
    sweep = write_sweep(tmp_path / "sweep", SEARCHED)
    accuracies = (*(n / 100 for n in range(45)), 0.9, *(0.5,) * 54)
    for number in range(2):
        write_run(sweep / str(number), config_of(0.1, 10.0**-number), accuracies)
    epochs, _, train, *_ = page_of(sweep).data["curves"][0]
    assert len(epochs) <= 21 and epochs[0] == 1 and epochs[-1] == 100
    assert train[epochs.index(46)] == 9000


def test_damage_is_named_on_the_page(search, tmp_path):
    sweep = write_search(tmp_path / "sweep", 6)
    (sweep / "1" / "result.json").write_text("{")
    (sweep / "2" / "history.csv").write_text("nonsense")
    (sweep / "9").mkdir()
    said = page_of(sweep).text()
    assert "2 damaged" in said and "result.json cannot be read" in said
    assert "it has left no record" in said


def forge(run, value=0.999):
    """Edit the record of a run as somebody does who wants a better one."""
    file = run / "result.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps(record | {"value": value, "best_train_accuracy": value}))


def test_a_forged_record_is_named_and_never_the_best(tmp_path):
    sweep = write_sweep(tmp_path / "sweep", SEARCHED)
    for number, accuracy in enumerate((0.5, 0.6, 0.4)):
        write_run(sweep / str(number), config_of(0.1, 10.0**-number), (0.3, accuracy), target=None)
    forge(sweep / "2")
    page = page_of(sweep)
    said = page.text()
    assert "Trial 1 reaches train accuracy 0.6000" in said and "0.999" not in said
    (warning,) = (of for tag, of in page.tags if of.get("class") == "warning")
    assert warning["role"] == "alert"
    assert f"1 record is damaged, and left out of the answer and the pictures: {sweep}/2" in said
    assert "2/result.json changed since it ended." in said
    assert "3 runs: 2 completed, 1 damaged." in said
    assert len(page.rows("damaged")) == 1
    assert [curve is not None for curve in page.data["curves"]] == [True, True, False]


def test_a_forged_run_alone(tmp_path):
    folder = write_run(tmp_path / "run", config_of(0.1, 0.1), (0.5, 0.9), target=None)
    forge(folder)
    page = page_of(folder)
    assert "run/result.json changed since it ended" in page.text()
    assert "No run has a value." in page.text() and "0.999" not in page.text()
    assert page.figures() == []


def test_equal_failures_are_one_line(tmp_path):
    sweep = write_sweep(tmp_path / "sweep", {})
    for number in range(14):
        reason = "no CIFAR-10 here" if number else "another"
        write_run(sweep / str(number), config_of(0.1, number + 1), (), "failed", reason=reason)
    said = page_of(sweep).text()
    assert "No run has a value." in said
    assert said.count("no CIFAR-10 here") == 1 and said.count("another") == 1
    assert "13 runs: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 3 more failed no CIFAR-10 here" in said


def test_a_folder_of_several_sweeps_is_one_line(tmp_path):
    for name in "abcd":
        write_run(tmp_path / name / "0", config_of(0.1, 0.1), (0.5,))
    alone = write_run(tmp_path / "run", config_of(0.1, 0.1), (0.5,))
    names = ", ".join(str(tmp_path / name) for name in "abc")
    with pytest.raises(FolderError) as refused:
        report.write(tmp_path)
    expected = f"{tmp_path} holds 5 sweeps or single runs; name one of them: {names} and 2 more"
    assert str(refused.value) == expected
    assert not (tmp_path / "report.html").exists()
    assert report.write(tmp_path / "a") and report.write(alone)


def test_a_sweep_that_has_not_begun(tmp_path):
    sweep = write_sweep(tmp_path / "sweep", SEARCHED)
    write_run(sweep / "0", config_of(0.1, 0.1), (), "running")
    said = page_of(sweep).text()
    assert "No run has a value yet." in said
    assert "it had not ended when this was written" in said


@pytest.mark.slow
def test_pictures_beside_the_page_on_request(search):
    command = [sys.executable, "-m", "fcsweep.report", str(search), "--png", "--svg"]
    done = preloaded.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{search}/report.html\n"
    names = {path.name for path in (search / "figures").iterdir()}
    assert {"landscape.png", "landscape.svg", "learning_curves.png"} <= names


@pytest.mark.parametrize("folder, said", [("nowhere", "is not a folder"), ("", "holds no run")])
def test_a_folder_without_runs_is_one_line(tmp_path, folder, said):
    command = [sys.executable, "-m", "fcsweep.report", str(tmp_path / folder)]
    done = preloaded.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1
    with pytest.raises(FolderError, match=said):
        report.write(tmp_path / folder)


def test_a_page_that_cannot_be_written_leaves_the_old_one(search, monkeypatch):
    old = report.write(search).read_text()

    def full(path, content):
        raise RecordError("no space left")

    monkeypatch.setattr("fcsweep.report.page.write_atomically", full)
    with pytest.raises(RecordError):
        report.write(search)
    assert (search / "report.html").read_text() == old


@pytest.mark.parametrize(
    "run, said",
    [
        ({"target": 0.5, "value": 0.4}, "No: 0.4000 after epoch 2 of 3, in 60.0 s."),
        ({"target": None, "value": 0.4}, "To 0.4000 after epoch 2 of 3, in 60.0 s."),
    ],
)
def test_the_answer_of_a_run(run, said):
    rest = {"objective": "val_accuracy", "best_epoch": 2, "epochs": 3, "seconds": 60.0}
    assert words.answer([run | rest], run | rest, []) == said


UNNEEDED = {"pandas", "matplotlib", "sklearn", "PIL"}


@pytest.mark.slow
def test_the_end_of_a_grid_names_the_page_and_imports_no_pandas(tmp_path):
    code = "import sys; from fcsweep.__main__ import main\ntry:\n    main()\n"
    code += f"finally:\n    print({UNNEEDED} & {{*sys.modules}}, file=sys.stderr)"
    command = [sys.executable, "-c", code, "-m", "optimizer=sgd,momentum"]
    words_ = ["solver.num_epochs=1", "hydra.sweep.dir=s"]
    done = subprocess.run([*command, *words_], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "set()\n")
    assert done.stdout.endswith("report: s/report.html\n")
    assert "momentum" in (tmp_path / "s" / "report.html").read_text()


def test_a_report_that_fails_costs_a_line_not_the_sweep(tmp_path):
    (tmp_path / "s" / "report.html").mkdir(parents=True)
    (tmp_path / "s" / "multirun.yaml").write_text("{}\n")
    command = [sys.executable, "-m", "fcsweep", "-m", "seed=0,1"]
    words_ = ["solver.num_epochs=1", "hydra.sweep.dir=s"]
    done = preloaded.run([*command, *words_], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr.startswith("report.html was not written: s/report.html")
    assert done.stderr.count("\n") == 1 and "best: s/" in done.stdout


def test_an_interrupted_sweep_has_its_page(tmp_path):
    words_ = ["seed=0,1", "solver.num_epochs=100000", "hydra.sweep.dir=s", "hydra/launcher=basic"]
    command = [sys.executable, "-m", "fcsweep", "-m", *words_]
    with preloaded.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        while not (tmp_path / "s" / "0" / "result.json").exists():
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
    said = Page((tmp_path / "s" / "report.html").read_text()).text()
    assert "1 interrupted" in said and "not finished: this is how it stood" in said
