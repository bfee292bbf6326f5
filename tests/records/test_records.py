"""The files of a run: whole at any moment, strict, and exact."""

import csv
import errno
import json
import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from fcsweep.records import writer
from fcsweep.records.formats import HistoryRow
from fcsweep.records.frames import load_losses
from fcsweep.records.ownership import hold
from fcsweep.records.reader import damaged_since, read_history
from fcsweep.records.seal import as_json
from fcsweep.records.writer import RunRecord
from fcsweep.system import atomic, rewrite
from fcsweep.system.atomic import RecordError


def row(epoch, val=0.5, train=0.6, loss=1.5):
    return HistoryRow(epoch, 3 * epoch, loss, train, val, 0.1)


def losses(*values):
    return np.array(values, dtype=np.float32)


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def test_all_files_are_there_before_the_first_step(tmp_path):
    RunRecord(tmp_path, "val_accuracy", 0.9).start()
    assert result_of(tmp_path)["status"] == "running"
    assert result_of(tmp_path)["target"] == 0.9
    assert (tmp_path / "history.csv").read_text() == (
        "epoch,step,loss,train_accuracy,val_accuracy,learning_rate,val_loss\n"
    )
    assert np.load(tmp_path / "losses.npy", allow_pickle=False).size == 0


def test_numbers_read_back_exactly(tmp_path):
    record = RunRecord(tmp_path, "val_accuracy", None)
    loss, accuracy = 0.1 + 0.2, 1 / 3
    record.add(row(1, val=accuracy, loss=loss), losses(0.1, 0.2, 0.3), 1.0, b"best")
    record.add(row(2, val=None, train=None), losses(0.4), 2.0)
    record.finish("completed")
    with open(tmp_path / "history.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert float(first["loss"]) == loss and float(first["val_accuracy"]) == accuracy
    assert second["val_accuracy"] == second["train_accuracy"] == ""
    saved = np.load(tmp_path / "losses.npy", allow_pickle=False)
    assert saved.dtype == np.float32
    assert np.array_equal(saved, losses(0.1, 0.2, 0.3, 0.4))


def test_the_result_follows_the_best_epoch(tmp_path):
    record = RunRecord(tmp_path, "train_accuracy", 0.7)
    record.add(row(1, val=0.9, train=0.6), losses(1), 1.0, b"one")
    assert not result_of(tmp_path)["target_reached"]
    record.add(row(2, val=0.4, train=0.8), losses(1), 2.0, b"two")
    record.add(row(3, val=0.4, train=0.5), losses(1), 3.5)
    result = result_of(tmp_path)
    assert (result["value"], result["best_epoch"], result["epochs"]) == (0.8, 2, 3)
    assert (result["best_val_accuracy"], result["best_train_accuracy"]) == (0.9, 0.8)
    assert result["target_reached"] and result["seconds"] == 3.5
    best = (tmp_path / "best.safetensors").read_bytes()
    assert best == b"two" and result["best_sha256"] == sha256(best).hexdigest()


def test_a_loss_that_is_not_finite_stays_out_of_json(tmp_path):
    record = RunRecord(tmp_path, "val_accuracy", None)
    record.add(row(1, val=None, train=None, loss=float("nan")), losses(np.inf, np.nan), 1.0)
    record.finish("diverged", "the loss is not finite at epoch 1, step 1")
    assert result_of(tmp_path)["value"] is None
    assert "nan" in (tmp_path / "history.csv").read_text()
    with pytest.raises(ValueError):
        writer.write_json(tmp_path / "other.json", {"value": float("nan")})


def test_a_run_that_starts_again_leaves_nothing_of_before(tmp_path):
    record = RunRecord(tmp_path, "val_accuracy", None)
    record.add(row(1), losses(1), 1.0, b"old")
    record.start()
    assert not (tmp_path / "best.safetensors").exists()
    assert result_of(tmp_path)["epochs"] == 0


@pytest.mark.parametrize("call", ["write_bytes", "replace"])
def test_a_write_that_fails_names_the_file_and_leaves_the_old_one(tmp_path, monkeypatch, call):
    path = tmp_path / "result.json"
    atomic.write_atomically(path, b"before")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, call, full)
    with pytest.raises(RecordError, match=r"result.json cannot be written: No space left"):
        atomic.write_atomically(path, b"after")
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_a_write_that_is_stopped_by_a_signal_leaves_nothing_half_written(tmp_path, monkeypatch):
    def stopped(*_):
        raise SystemExit(143)

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises(SystemExit):
        atomic.write_atomically(tmp_path / "result.json", b"after")
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_process_was_killed_is_running_no_more(tmp_path):
    RunRecord(tmp_path, "val_accuracy", None).start()
    with hold(tmp_path, "hydra.run.dir"):
        writer.end_lost(tmp_path)
        assert result_of(tmp_path)["status"] == "running"
    writer.end_lost(tmp_path)
    ended = result_of(tmp_path)
    assert (ended["status"], ended["reason"]) == ("interrupted", "its process was killed")


def test_a_run_that_was_killed_in_its_last_records_has_no_seal(tmp_path):
    record = RunRecord(tmp_path, "val_accuracy", None)
    record.start()
    record.provenance({"threads": 1})
    running = (tmp_path / "result.json").read_bytes()
    record.finish("completed")
    (tmp_path / "result.json").write_bytes(running)  # the one that is written last
    writer.end_lost(tmp_path)
    assert result_of(tmp_path)["status"] == "interrupted"
    assert json.loads((tmp_path / "provenance.json").read_text()) == {"threads": 1}


def test_a_record_goes_on_from_what_another_held(tmp_path):
    one = RunRecord(tmp_path, "val_accuracy", 0.9)
    one.add(row(1, val=0.4), losses(1, 2), 10.0, b"one")
    past = one.past()
    one.add(row(2, val=0.5), losses(3), 20.0, b"two")
    one.finish("interrupted", "SIGTERM")
    assert (past.result.epochs, past.result.status) == (1, "running")
    other = RunRecord(tmp_path, "val_accuracy", 0.9)
    other.restore(past, b"one")
    assert (tmp_path / "best.safetensors").read_bytes() == b"one"
    assert (result_of(tmp_path)["status"], result_of(tmp_path)["value"]) == ("running", 0.4)
    other.add(row(2, val=0.3), losses(4), 2.5)
    result = result_of(tmp_path)
    assert (result["epochs"], result["best_epoch"], result["seconds"]) == (2, 1, 12.5)
    assert np.load(tmp_path / "losses.npy").tolist() == [1, 2, 4]
    assert past.rows == [row(1, val=0.4)]


def test_the_last_record_takes_the_room_of_what_lies_beside_the_others(tmp_path, monkeypatch):
    record = RunRecord(tmp_path, "val_accuracy", None)
    record.start()
    record.add(row(1), losses(1.0), 0.1, b"best")
    (spare,) = tmp_path.glob(".result.json.*.tmp")
    rewrite = writer.rewrite_atomically

    def with_room_for_one(path, content, beside):
        if spare.exists():
            spare.unlink()  # as it does with what it could not write
            raise RecordError(f"{path} cannot be written: No space left on device")
        monkeypatch.setattr(writer, "rewrite_atomically", rewrite)
        rewrite(path, content, beside)

    monkeypatch.setattr(writer, "rewrite_atomically", with_room_for_one)
    record.finish("interrupted", "the disk is full")
    assert result_of(tmp_path)["reason"] == "the disk is full"
    assert not list(tmp_path.glob(".*.tmp"))


class Killed(BaseException):
    pass


def killed_at(place, monkeypatch):
    """The process is killed in or before its write number ``place``, after half of it."""
    count, write = [0], os.write

    def half(descriptor, content):
        count[0] += 1
        if count[0] == place:
            write(descriptor, content[: len(content) // 2])
        if count[0] >= place:
            raise Killed
        return write(descriptor, content)

    monkeypatch.setattr(rewrite.os, "write", half)
    monkeypatch.setattr(rewrite.os, "ftruncate", lambda *_: None)


@pytest.mark.parametrize("place", [1, 2, 3])
def test_what_a_killed_run_had_begun_to_add_does_not_count(place, tmp_path, monkeypatch):
    record = RunRecord(tmp_path, "val_accuracy", None)
    record.start()
    record.add(row(1), losses(1, 2, 3), 1.0)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_at(place, patch)
        record.add(row(2), losses(4, 5, 6), 2.0)
    assert result_of(tmp_path)["epochs"] == 1
    assert (tmp_path / "history.csv").read_text().count("2,6") == 1
    assert read_history(tmp_path / "history.csv") == [row(1), row(2)][:place]
    found = load_losses(tmp_path)["loss"].tolist()
    assert found == ([1, 2, 3] if place < 3 else [1, 2, 3, 4, 5, 6])
    assert np.load(tmp_path / "losses.npy").tolist() == found
    again = RunRecord(tmp_path, "val_accuracy", None)
    again.start()
    again.add(row(1), losses(7), 1.0)
    assert read_history(tmp_path / "history.csv") == [row(1)]
    assert np.load(tmp_path / "losses.npy").tolist() == [7]


def test_a_run_that_another_process_took_over_adds_nothing_to_its_files(tmp_path):
    one, other = (RunRecord(tmp_path, "val_accuracy", None) for _ in range(2))
    one.start()
    one.add(row(1, val=0.1), losses(1), 1.0)
    other.start()
    other.add(row(1, val=0.2), losses(2), 1.0)
    one.add(row(2, val=0.1), losses(1), 1.0)  # it has not heard of it
    other.add(row(2, val=0.2), losses(2), 2.0)
    other.finish("completed")
    assert read_history(tmp_path / "history.csv") == [row(1, val=0.2), row(2, val=0.2)]
    assert np.load(tmp_path / "losses.npy").tolist() == [2, 2]
    assert damaged_since(tmp_path) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_that_grew_are_the_bytes_that_numpy_saves(dtype, tmp_path):
    record = RunRecord(tmp_path, "val_accuracy", None)
    record.start()
    every = np.linspace(0, 1, 1_100).astype(dtype)
    for epoch, part in enumerate(np.array_split(every, 11), 1):
        record.add(row(epoch, val=0.5 if epoch % 2 else None), part, 1.0)
    record.finish("completed")
    np.save(tmp_path / "expected.npy", every)
    assert (tmp_path / "losses.npy").read_bytes() == (tmp_path / "expected.npy").read_bytes()


def test_json_of_plain_values_is_as_python_indents_it():
    for content in ({}, {"a": 1, "b": 'x\n,"é', "c": None, "d": 0.1}, {"a": True, "b": [1, {}]}):
        assert as_json(content) == (json.dumps(content, indent=2) + "\n").encode()
