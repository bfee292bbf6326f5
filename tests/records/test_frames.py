"""Runs as tables of pandas."""

import json
import math
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from support import preloaded
from support.bare_sweeps import MOMENTUM, RESULT, SGD, leave

from fcsweep.messages.errors import FolderError
from fcsweep.records import load_history, load_runs
from fcsweep.records.filenames import find_runs
from fcsweep.records.formats import HISTORY_COLUMNS, HistoryRow
from fcsweep.records.frames import DamageWarning, load_losses
from fcsweep.records.ownership import hold
from fcsweep.records.writer import RunRecord

ROWS = [HistoryRow(1, 2, 0.1 + 0.2, 0.5, 0.25, 0.1), HistoryRow(2, 4, 1e-7, None, None, 0.05)]


def write_run(folder: Path, status: str = "completed") -> Path:
    """A run of two epochs, by the program's own writer."""
    folder.mkdir(parents=True)
    record = RunRecord(folder, "val_accuracy", target=0.25)
    record.provenance({"threads": 2, "versions": {"torch": "2.13.0"}})
    record.add(ROWS[0], np.array([2.5, 1.5], np.float32), 0.5, b"parameters")
    record.add(ROWS[1], np.array([0.5, 0.25], np.float32), 1.0)
    record.finish(status)
    return folder


@pytest.fixture
def sweep(tmp_path) -> Path:
    folder = leave(tmp_path / "sweep", (SGD, {}), (MOMENTUM, {"status": "diverged", "value": None}))
    (folder / "multirun.yaml").write_text("hydra: {}\n")
    return folder


def test_a_row_a_run_with_its_config_and_result(sweep):
    runs = load_runs(sweep)
    assert list(runs["folder"]) == [f"{sweep}/0", f"{sweep}/1"]
    assert list(runs["sweep"]) == [str(sweep)] * 2
    assert list(runs["number"]) == [0, 1]
    assert list(runs["status"]) == ["completed", "diverged"]
    assert list(runs["optimizer.name"]) == ["sgd", "momentum"]
    assert list(runs["optimizer.learning_rate"]) == [0.01, 0.1]
    assert runs["optimizer.momentum"].isna().tolist() == [True, False]
    assert runs["value"].fillna(-1).tolist() == [0.95, -1]
    assert list(runs["model.hidden_dims"]) == ["[100]", "[100]"]


def test_the_types_of_the_columns(sweep):
    types = load_runs(sweep).dtypes.astype(str)
    expected = {
        "number": "Int64",
        "value": "float64",
        "epochs": "Int64",
        "target": "float64",
        "target_reached": "boolean",
        "status": "str",
        "model.weight_scale": "float64",
        "model.hidden_dims": "str",
        "solver.num_epochs": "Int64",
        "seed": "Int64",
    }
    assert {name: types[name] for name in expected} == expected
    assert dict(load_runs(sweep.parent / "sweep" / "0").dtypes.astype(str))["target"] == "float64"


def test_a_run_a_sweep_and_all_of_them(tmp_path, sweep):
    alone = write_run(tmp_path / "by" / "hand")
    assert [Path(folder) for folder in load_runs(alone)["folder"]] == [alone]
    assert load_runs(alone)["sweep"].isna().all()
    assert len(load_runs(sweep)) == 2
    everything = load_runs(tmp_path)
    assert list(everything["folder"]) == [str(alone), f"{sweep}/0", f"{sweep}/1"]
    assert everything["provenance.threads"][0] == 2
    assert everything["provenance.versions.torch"][0] == "2.13.0"


def test_jobs_are_sorted_by_number(tmp_path):
    for number in (10, 9, 100):
        write_run(tmp_path / str(number))
    assert list(load_runs(tmp_path)["number"]) == [9, 10, 100]


def test_the_history_and_the_losses_give_the_bits_back(tmp_path):
    folder = write_run(tmp_path / "7")
    history, losses = load_history(folder), load_losses(tmp_path)
    assert list(history.columns[3:]) == HISTORY_COLUMNS
    assert list(history["loss"]) == [0.1 + 0.2, 1e-7]
    assert list(history["epoch"]) == [1, 2] and list(history["step"]) == [2, 4]
    assert history["val_accuracy"].fillna(-1).tolist() == [0.25, -1]
    assert list(history["number"]) == [7, 7]
    assert list(losses["loss"]) == [2.5, 1.5, 0.5, 0.25] and list(losses["step"]) == [1, 2, 3, 4]


def test_a_history_that_diverged(tmp_path):
    folder = write_run(tmp_path / "0")
    with open(folder / "history.csv", "a") as file:
        file.write("3,6,inf,,,0.1,\n4,8,nan,,,0.1,\n")
    losses = load_history(folder)["loss"].tolist()
    assert losses[2] == math.inf and math.isnan(losses[3])


def test_a_history_that_was_recorded_without_a_validation_loss(tmp_path):
    file = write_run(tmp_path / "0") / "history.csv"
    kept = [line.rpartition(",")[0] for line in file.read_text().splitlines()]
    file.write_text("\n".join(kept) + "\n")
    history = load_history(tmp_path)
    assert list(history.columns[3:]) == HISTORY_COLUMNS
    assert history["learning_rate"].tolist() == [0.1, 0.05] and history["val_loss"].isna().all()


def test_a_folder_without_runs(tmp_path):
    runs, history = load_runs(tmp_path), load_history(tmp_path)
    assert len(runs) == len(history) == 0
    assert {"folder", "status", "value", "target_reached"} <= set(runs.columns)
    with pytest.raises(FolderError, match="nowhere is not a folder; expected that of a run"):
        load_runs(tmp_path / "nowhere")


def test_a_job_before_its_first_record_is_missing_not_damaged(sweep):
    (sweep / "0" / "result.json").unlink()
    (sweep / "0" / ".hydra" / "config.yaml").write_text("model: [")  # Hydra is writing it
    (sweep / "2").mkdir()
    assert list(load_runs(sweep)["status"]) == ["missing", "diverged", "missing"]


@pytest.mark.parametrize(
    "file, content, said",
    [
        ("result.json", "", "result.json cannot be read"),
        ("result.json", json.dumps(RESULT)[:50], "result.json cannot be read"),
        ("result.json", json.dumps(RESULT | {"epochs": "four"}), "result.json has epochs='four'"),
        ("result.json", json.dumps(RESULT | {"target": True}), "result.json has target=true"),
        ("result.json", json.dumps(RESULT | {"status": "great"}), "it has no status"),
        (".hydra/config.yaml", "a: &a [*a]", "config.yaml cannot be read"),
        ("provenance.json", "[" * 100_000, "provenance.json cannot be read"),
        ("provenance.json", "[]", "provenance.json cannot be read"),
    ],
)
def test_damage_is_counted_and_named(sweep, file, content, said):
    (sweep / "1" / file).write_text(content)
    with pytest.warns(DamageWarning, match="1 of 2 runs are damaged") as caught:
        runs = load_runs(sweep)
    assert list(runs["status"]) == ["completed", "damaged"]
    assert said in str(runs["damage"][1]) and said in str(caught[0].message)
    assert runs["damage"].isna().tolist() == [True, False]


@pytest.fixture
def ended(tmp_path) -> Path:
    """A run that has ended, with every file that is sealed."""
    folder = leave(tmp_path / "sweep", (SGD, None)) / "0"
    record = RunRecord(folder, "val_accuracy", target=0.25)
    record.start()
    record.provenance({"threads": 2})
    record.add(ROWS[0], np.array([2.5, 1.5], np.float32), 0.5, b"parameters")
    record.finish("completed")
    return folder


SEALED = (".hydra/config.yaml", "history.csv", "losses.npy", "result.json", "best.safetensors")


@pytest.mark.parametrize("file", [*SEALED, "provenance.json"])
def test_a_file_that_was_changed_after_the_end_is_named(ended, file):
    (run,) = load_runs(ended).to_dict("records")
    assert run["value"] == 0.25 and run["status"] == "completed"
    content = (ended / file).read_bytes()
    (ended / file).write_bytes(content + b"\n")
    with pytest.warns(DamageWarning, match=f"{file} changed since it ended"):
        (run,) = load_runs(ended).to_dict("records")
    assert run["damage"] == f"{ended / file} changed since it ended"
    assert run["status"] == "damaged" and math.isnan(run["value"])


def test_parameters_that_were_removed_are_no_damage(ended):
    (ended / "best.safetensors").unlink()
    (run,) = load_runs(ended).to_dict("records")
    assert (run["status"], run["value"]) == ("completed", 0.25)


def test_a_run_that_goes_on_is_not_taken_for_a_changed_one(tmp_path):
    folder = write_run(tmp_path / "0", "interrupted")
    (folder / "history.csv").write_text((folder / "history.csv").read_text()[:-1])
    with hold(folder, "hydra.run.dir"):
        assert list(load_runs(folder)["status"]) == ["interrupted"]
    with pytest.warns(DamageWarning, match=r"history\.csv changed since it ended"):
        assert list(load_runs(folder)["status"]) == ["damaged"]


@pytest.mark.parametrize(
    "file, load, content",
    [
        ("history.csv", load_history, b""),
        ("history.csv", load_history, b"epoch,step\n1,2\n"),
        ("history.csv", load_history, b"\xff\xfe"),
        ("losses.npy", load_losses, b""),
        ("losses.npy", load_losses, b"\x80\x04K\x01."),  # a pickle
    ],
)
def test_a_damaged_table_costs_only_its_run(tmp_path, file, load, content):
    for number in (0, 1):
        write_run(tmp_path / str(number))
    (tmp_path / "0" / file).write_bytes(content)
    with pytest.warns(DamageWarning, match=f"1 of 2 runs are damaged.*{file} cannot be read"):
        table = load(tmp_path)
    assert set(table["number"]) == {1}


def test_a_false_header_asks_for_no_memory(tmp_path):
    folder = write_run(tmp_path / "0")
    content = (folder / "losses.npy").read_bytes().replace(b"(4,), ", b"(4000000000000,), ")
    (folder / "losses.npy").write_bytes(content)
    with pytest.warns(DamageWarning, match=r"losses.npy cannot be read"):
        assert len(load_losses(folder)) == 0


def test_links_are_not_followed(tmp_path):
    write_run(tmp_path / "real" / "0")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert find_runs(tmp_path) == [tmp_path / "real" / "0"]


@pytest.mark.slow
def test_a_running_sweep_is_read_at_any_time(tmp_path):
    words = ["-m", "optimizer=sgd,momentum,adam", "solver.num_epochs=30", "hydra.sweep.dir=s"]
    command = [sys.executable, "-m", "fcsweep", *words]
    seen: set[str] = set()
    with preloaded.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                seen |= set(load_runs(tmp_path)["status"])
                load_history(tmp_path)
                load_losses(tmp_path)
            time.sleep(0.02)
    assert process.returncode == 0
    assert "running" in seen and seen <= {"missing", "running", "completed"}
    assert list(load_runs(tmp_path / "s")["status"]) == ["completed"] * 3


@pytest.mark.slow
def test_a_thousand_runs_take_under_three_seconds(tmp_path):
    configs = [(SGD, {"value": n / 1000}) for n in range(1000)]
    leave(tmp_path, *configs)
    start = time.process_time()
    runs = load_runs(tmp_path)
    assert time.process_time() - start < 3
    assert len(runs) == 1000 and runs["value"].max() == 0.999


def test_training_imports_no_pandas():
    code = "import sys, fcsweep.run; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_runs_of_another_app_are_refused(tmp_path):
    for number in range(2):
        (tmp_path / str(number) / ".hydra").mkdir(parents=True)
        (tmp_path / str(number) / ".hydra" / "config.yaml").write_text("x: 1\n")
    told = r"holds runs of another program, not of fcsweep; python -m fcsweep\.report draws"
    with pytest.raises(FolderError, match=told):
        load_runs(tmp_path)
