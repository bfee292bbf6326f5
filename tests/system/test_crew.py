"""Who works on a sweep: the roll, what is taken, and who is struck off."""

import json
import os
import signal
import sys
import time

import numpy as np
import pytest

from fcsweep.messages.errors import FolderError
from fcsweep.records.formats import HistoryRow
from fcsweep.records.writer import RunRecord
from fcsweep.system.crew import ROLL, Crew, LostClaim, fence


def member(folder, work, then, **about):
    """A forked process that takes work and does something then; its process id."""
    child = os.fork()
    if child:
        while not any(path.read_text().endswith(f"{work}}}") for path in folder.glob(f"{ROLL}/*")):
            time.sleep(0.01)
        return child
    with Crew(folder, **about) as crew:
        with crew.turn():
            crew.take(work)
        then()
    os._exit(0)


def works(folder):
    crew = Crew(folder)
    with crew.turn():
        return [other.work for other in crew.others()]


def test_what_a_process_has_taken_is_free_when_it_has_ended_however(tmp_path):
    for end in (signal.SIGKILL, signal.SIGTERM):
        child = member(tmp_path, [3, 4], signal.pause)
        assert works(tmp_path) == [[3, 4]]
        os.kill(child, end)
        until = time.monotonic() + 5
        while works(tmp_path) and time.monotonic() < until:  # it is a zombie, not waited for yet
            time.sleep(0.01)
        assert works(tmp_path) == [] and not (tmp_path / ROLL).exists()
        os.waitpid(child, 0)


def test_a_process_that_is_stopped_keeps_its_work(tmp_path):
    child = member(tmp_path, [1], signal.pause)
    os.kill(child, signal.SIGSTOP)
    os.waitpid(child, os.WUNTRACED)
    assert works(tmp_path) == [[1]]
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_members_that_come_and_go_at_once_leave_nothing(tmp_path):
    children = []
    for _ in range(8):
        if not (child := os.fork()):
            try:
                for _ in range(100):
                    with Crew(tmp_path) as crew, crew.turn():
                        crew.others()
            finally:  # this process is a copy of pytest
                os._exit(sys.exc_info()[0] is not None)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
    assert list(tmp_path.iterdir()) == []


def test_who_trains_other_jobs_is_refused(tmp_path):
    child = member(tmp_path, [1], signal.pause, jobs="these")
    with pytest.raises(FolderError, match=f"in use by process {child} on .*other jobs; name a new"):
        Crew(tmp_path, jobs="those").__enter__()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_who_was_struck_off_changes_no_file_of_a_run(tmp_path):
    """As another does that takes it for dead, where locks do not hold."""
    run = tmp_path / "0"
    run.mkdir()
    row = HistoryRow(1, 5, 0.5, 0.5, 0.5, 0.1)
    losses = np.zeros(5, np.float32)
    with pytest.raises(FolderError, match="taken this one for dead"), Crew(tmp_path):
        record = RunRecord(run, "val_accuracy", None)
        record.start()
        record.add(row, losses, 1.0, b"best")
        for path in (tmp_path / ROLL).iterdir():
            path.unlink()
        before = {path: path.read_bytes() for path in run.rglob("*")}
        for write in (
            record.start,
            lambda: record.restore(record.past(), b"other"),
            lambda: record.provenance({}),
            lambda: record.add(row, losses, 2.0, b"better"),
            lambda: record.finish("interrupted"),
        ):
            with pytest.raises(LostClaim):
                write()
        assert {path: path.read_bytes() for path in run.rglob("*")} == before
        assert json.loads((run / "result.json").read_text())["status"] == "running"
        fence()
    fence()  # nobody's
