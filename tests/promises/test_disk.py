"""A disk that fills up at any write: one line, and with room the same command ends the same."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from support.full_disk import PROGRAMS, Event, imported, left_over, numbers_of, started, strike_at

from fcsweep.analysis.style import thinned
from fcsweep.records.reader import damaged_since, look
from fcsweep.system.atomic import RecordError, giving_way, write_atomically, writing

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks")

DISPENSABLE = ("checkpoint", "report.html", "fcsweep.log")
"""What a run needs not to come to its end; that it cannot be written is a warning."""


RECORDS = re.compile(r"/\.?(result|history|losses)\.")


class Whole:
    """A program that was not disturbed, and what it wrote when."""

    def __init__(self, name, folder):
        self.name, self.words = name, PROGRAMS[name]
        imported()
        folder.mkdir()
        said = started(self.words, folder, partial(strike_at, None, folder, folder / "log", None))
        assert said.code == 0, said
        self.numbers = numbers_of(folder / "s")
        lines = (folder / "log").read_text().splitlines()
        self.events = [Event(*json.loads(line)) for line in lines]
        self.first = {event.kind: event for event in reversed(self.events)}
        self.last = {event.kind: event for event in self.events}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """By name; each is run once."""
    known = {}

    def of(name):
        if name not in known:
            known[name] = Whole(name, tmp_path_factory.mktemp("whole") / "whole")
        return known[name]

    return of


def struck(whole, event, folder, limit):
    """A start on a disk that fills up at an event, and one with room again."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    log = folder.parent / "events"
    strike, page = partial(strike_at, event.number, folder, log, limit), "report" in event.path
    said = started(whole.words, folder, strike, page)
    assert_told(said, event, limit, folder)
    assert_whole(folder / "s")
    again = started(whole.words, folder, page=False)
    assert (again.code, again.err) == (0, ""), (event, said, again)
    assert numbers_of(folder / "s") == whole.numbers, event
    assert left_over(folder / "s") == [], event


def assert_told(said, event, limit, folder):
    """One line that names a path and the cause, and exit code 1; or a warning."""
    assert said.code in (0, 1), said
    lines = said.err.splitlines()
    assert "Traceback" not in said.err + said.out and "Logging error" not in said.err, said
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == said.code, said
    causes = [os.strerror(number) for number in (errno.ENOSPC, errno.EFBIG)]
    for line in lines:
        assert any(cause in line for cause in causes), (line, event)
        assert "s/" in line or f"{folder.name}/s" in line or " s cannot be " in line, (
            line,
            event,
        )
    others = [line for line in lines if not line.startswith("error: ")]
    assert all(any(name in line for name in DISPENSABLE) for line in others), said
    if said.code == 0 and limit is None and lines:
        assert any(name in event.path for name in DISPENSABLE), (event, said)


def assert_whole(sweep):
    """What lies there can be read, and what is finished is as its run left it."""
    for result in sweep.rglob("result.json"):
        assert look(result.parent).damage is None
        if look(result.parent).finished:
            assert damaged_since(result.parent) is None
    for table in sweep.glob("trials.csv"):
        assert table.read_text().endswith("\n")
    for journal in sweep.glob("study.journal"):
        for line in journal.read_bytes().splitlines():
            json.loads(line)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", pytest.param("stacked search", marks=pytest.mark.slow)])
def test_a_disk_that_fills_up(name, whole, tmp_path):
    events = [event for event in whole(name).last.values() if event.what == "open"]
    assert len(events) >= 6
    for count, event in enumerate(events):
        struck(whole(name), event, tmp_path / "struck", [None, 0, 300][count % 3])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", "grid", "stacked search"])
def test_a_disk_that_fills_up_at_any_file(name, whole, tmp_path):
    """As it is made, written or replaced, in turn; the records that grow have their own test."""
    kinds = whole(name).first
    files = {path: [kind for kind in kinds if kind[1] == path] for _, path in kinds}
    files = {path: kinds for path, kinds in files.items() if not RECORDS.search(path)}
    for count, file in enumerate(files.values()):
        kind = file[count % len(file)]
        event = (whole(name).first, whole(name).last)[count // 2 % 2][kind]
        struck(whole(name), event, tmp_path / "struck", [None, 0, 100][count % 3])
    written = {kind[1].rpartition("/")[2] for kind in kinds if kind[0] == "open"}
    for file in ["result.json", "best.safetensors", "config.yaml", "overrides.yaml", "hydra.yaml"]:
        assert f".{file}.#.tmp" in written
    assert "fcsweep.log" in written
    if name.endswith("search"):
        assert written >= {"study.journal", ".optimization_results.yaml.#.tmp", ".trials.csv.#.tmp"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", "grid", "stacked search"])
def test_a_disk_that_fills_up_at_any_record(name, whole, tmp_path):
    """On Linux the openings of the one spare file are the writes of what is replaced."""
    opened = [event for event in whole(name).events if event.what == "open"]
    events = [event for event in opened if RECORDS.search(event.path)]
    written = Counter(RECORDS.search(event.path)[1] for event in events)
    assert len(written) == 3 and min(written.values()) >= 2
    for count, event in enumerate(thinned(events, 24)):
        struck(whole(name), event, tmp_path / "struck", [None, 0, 100][count % 3])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stacked grid", "search"])
def test_a_small_disk(name, whole, tmp_path):
    (tmp_path / "disk").mkdir()
    if not mounts(tmp_path / "disk"):
        pytest.skip("no file system can be mounted here")
    size, page = 4 << 20, 4096
    frees = [page * pages for pages in (0, 1, 4, 6, 9, 14, 22)]
    script = [sys.executable, "-m", "support.full_disk", tmp_path / "disk"]
    command = ["unshare", "-rm", *script, str(size), name, *map(str, frees)]
    tests = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=tests, capture_output=True, text=True, timeout=280)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(frees), done.stderr
    for free, first, again, numbers, left in lines:
        code, _, err = first
        assert "Traceback" not in err and "Logging error" not in err, err
        assert (code, err.count("error: ")) in ((1, 1), (0, 0)), (free, first)
        assert "No space left on device" in err or code == 0, (free, first)
        assert again[0] == 0 and again[2] == "", (free, first, again)
        assert (numbers, left) == (whole(name).numbers, [])
    assert [code for _, (code, *_), *_ in lines].count(1) >= 4


def mounts(folder):
    """Whether this process may mount a disk of its own."""
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", folder]
    return shutil.which("unshare") and subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_standard_output_that_is_full(tmp_path):
    imported()
    words = PROGRAMS["run"]
    said = started(words, tmp_path, partial(os.dup2, os.open("/dev/full", os.O_WRONLY), 1))
    assert said.code == 1
    assert said.err.count("\n") == 1 and said.err.startswith("error: ")
    assert "standard output cannot be written: No space left on device" in said.err
    again = started(words, tmp_path)
    assert (again.code, again.err) == (0, "")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT])
def test_every_disk_that_takes_no_more_is_told_alike(number, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", full)
    words = f"cannot be written: {os.strerror(number)}"
    with pytest.raises(RecordError, match=f"a.txt {words}"):
        write_atomically(tmp_path / "a.txt", b"a")
    with pytest.raises(RecordError, match=f"^s {words}"):
        with writing("s"):
            full()
    with pytest.raises(RecordError, match=f"^s {words}"):
        with writing("s"):
            raise ValueError("Unable to configure handler") from OSError(
                number, os.strerror(number)
            )


def test_other_errors_stay_as_they_are():
    for error in (ConnectionResetError(errno.ECONNRESET, "reset"), ValueError("no such form")):
        with pytest.raises(type(error)):
            with writing("s"):
                raise error


def test_the_first_error_is_told():
    with pytest.raises(ArithmeticError):
        try:
            raise ArithmeticError
        finally:
            with giving_way():
                raise RecordError("full")
    with pytest.raises(RecordError):
        with giving_way():
            raise RecordError("full")
