"""The trackers themselves, in their modes without a network: what was told can be read back."""

import json
import math
import struct
import sys

import pytest

import fcsweep
from fcsweep.export_to import export, main
from fcsweep.records import load_history

pytestmark = pytest.mark.filterwarnings("default")  # of packages that are not ours
WORDS = ["optimizer=sgd", "optimizer.learning_rate=0.5,1e30", "solver.num_epochs=2"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fcsweep.trackers.observer._FAILED", set())
    return tmp_path / "s"


def sweep(name, folder):
    """Two runs, one of which diverges, told live."""
    fcsweep.sweep([*WORDS, f"tracker=[{name}]"], folder=folder)
    history = load_history(folder)
    return history[history["number"] == 0]["val_accuracy"].tolist()


def exported(name, folder, monkeypatch, capfd):
    """The same again, as a command."""
    capfd.readouterr()
    monkeypatch.setattr(sys, "argv", ["export_to", name, str(folder)])
    main()
    out, err = capfd.readouterr()
    assert out.startswith("2 runs: ") and "Traceback" not in err


def test_tensorboard(folder, monkeypatch, capfd):
    pytest.importorskip("tensorboard")
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accuracies = sweep("tensorboard", folder)
    for again in (False, True):
        if again:
            exported("tensorboard", folder, monkeypatch, capfd)
        read = accumulators.EventAccumulator(str(folder / "0" / "tensorboard")).Reload()
        told = [(one.step, one.value) for one in read.Scalars("val_accuracy")]
        assert told == [(n, pytest.approx(one)) for n, one in enumerate(accuracies, 1)]
        assert read.Scalars("end/value")[0].value == pytest.approx(max(accuracies))
        about = read.summary_metadata["_hparams_/session_start_info"].plugin_data
        assert about.plugin_name == "hparams" and b"optimizer.learning_rate" in about.content
        assert "_hparams_/session_end_info" in read.summary_metadata


def test_mlflow(folder, monkeypatch, capfd):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder.parent}/mlflow.db")
    accuracies = sweep("mlflow", folder)
    assert "warning" not in capfd.readouterr().err
    client = mlflow.MlflowClient(f"sqlite:///{folder.parent}/mlflow.db")
    for again in (False, True):
        if again:
            exported("mlflow", folder, monkeypatch, capfd)
        experiment = client.get_experiment_by_name("s").experiment_id
        runs = {run.info.run_name: run for run in client.search_runs([experiment])}
        assert sorted(runs) == ["0", "1"]
        run = runs["0"]
        told = client.get_metric_history(run.info.run_id, "val_accuracy")
        assert [(one.step, one.value) for one in told] == [*enumerate(accuracies, 1)]
        assert run.data.params["optimizer.learning_rate"] == "0.5"
        assert (run.info.status, run.data.tags["status"]) == ("FINISHED", "completed")
        assert run.data.metrics["end/value"] == max(accuracies)
        assert [one.path for one in client.list_artifacts(run.info.run_id)] == ["config.yaml"]
        diverged = runs["1"].data
        assert diverged.tags["status"] == "diverged" and "not finite" in diverged.tags["reason"]
        assert not math.isfinite(diverged.metrics["loss"])


def test_wandb(folder, monkeypatch, capfd):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr(sys, "argv", ["app", "storage=postgresql://me:hunter22@host"])
    accuracies = sweep("wandb", folder)
    assert "warning" not in capfd.readouterr().err.lower()
    before = set()
    for again in (False, True):
        if again:
            exported("wandb", folder, monkeypatch, capfd)
        found = set((folder.parent / "wandb").glob("offline-run-*/run-*.wandb"))
        files, before = sorted(found - before), found  # their folders name seconds only
        assert len(files) == 2
        assert len({file.name for file in found}) == 2  # the same runs to W&B
        records = [record for file in files for record in records_in(file)]
        runs = {one.run.run_id: one.run for one in records if one.HasField("run")}
        assert {(run.display_name, run.run_group) for run in runs.values()} == {
            ("0", "s"),
            ("1", "s"),
        }
        rows = [row_of(one.history) for one in records if one.HasField("history")]
        told = [(row["_step"], row["val_accuracy"]) for row in rows if "val_accuracy" in row]
        assert {*enumerate(accuracies, 1)} <= set(told)
        saved = [*files[-1].parent.glob("files/fcsweep.yaml")]
        assert "learning_rate" in saved[0].read_text()
    for path in (folder.parent / "wandb").rglob("*"):
        assert not path.is_file() or b"hunter22" not in path.read_bytes(), path


def records_in(file, block=1 << 15):
    """The records of a file of W&B: LevelDB's log format, its blocks after a header of 7 bytes."""
    from wandb.proto import wandb_internal_pb2 as proto

    content, place, data = file.read_bytes(), 7, b""
    while place + 7 <= len(content):
        _, size, kind = struct.unpack_from("<IHB", content, place)
        data += content[place + 7 : place + 7 + size]
        place += 7 + size
        if block - place % block < 7:
            place += block - place % block
        if kind in (1, 4):  # whole, or its last part
            yield vars(proto)["Record"].FromString(data)
            data = b""


def row_of(history):
    items = {item.key or ".".join(item.nested_key): item.value_json for item in history.item}
    return {key: json.loads(value) for key, value in items.items()}


def test_wandb_without_a_key_asks_nothing(folder, monkeypatch, capfd):
    pytest.importorskip("wandb")
    monkeypatch.setenv("HOME", str(folder.parent))
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    fcsweep.train(["solver.num_epochs=1", "tracker=[wandb]"], folder=folder)
    err = capfd.readouterr().err
    assert "warning: wandb is disabled for this sweep: W&B has no key: wandb login, or" in err


def test_a_server_that_is_not_there_holds_nothing_up(folder, monkeypatch, capfd):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    run = fcsweep.train(["solver.num_epochs=1", "tracker=[mlflow]"], folder=folder)
    assert run["status"].tolist() == ["completed"]
    err = capfd.readouterr().err
    assert err.count("warning: mlflow is disabled for this sweep: ") == 1
    with pytest.raises(Exception, match="mlflow, after 0 runs: "):
        export("mlflow", folder)
