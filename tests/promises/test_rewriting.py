"""Files that are written again and again: whole for every reader, and nothing left beside them."""

import errno
import mmap
import os
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest

from fcsweep.system import rewrite
from fcsweep.system.atomic import RecordError, spare_of
from fcsweep.system.bounded import read_bounded
from fcsweep.system.rewrite import Growing, rewrite_atomically, settle

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can let files take turns")


@pytest.fixture(params=["exchanged", "replaced"])
def system(request, monkeypatch):
    """One that can let two files change names, and one that cannot."""
    if request.param == "replaced":
        monkeypatch.setattr(rewrite, "_renameat2", lambda: None)
    elif sys.platform != "linux":
        pytest.skip("only Linux can")
    return request.param


def test_the_content_is_the_last_one_whatever_its_size(system, tmp_path):
    path = tmp_path / "a file"
    for size in (10, 5_000, 3, 0, 100_000, 7):
        rewrite_atomically(path, b"x" * size)
        assert path.read_bytes() == b"x" * size
    settle(spare_of(path))
    assert os.listdir(tmp_path) == ["a file"]


@linux
def test_two_files_take_turns(tmp_path):
    path = tmp_path / "result.json"
    inodes = []
    for number in range(6):
        rewrite_atomically(path, b"%d" % number)
        inodes.append(path.stat().st_ino)
    assert inodes[::2] == [inodes[0]] * 3 and inodes[1::2] == [inodes[1]] * 3
    assert inodes[0] != inodes[1]


@linux
def test_several_files_share_a_spare(tmp_path):
    names = "history.csv", "losses.npy", "result.json"
    for number in range(3):
        for name in names:
            rewrite_atomically(tmp_path / name, b"%d" % number, tmp_path / ".spare.1.tmp")
    assert {name: (tmp_path / name).read_bytes() for name in names} == dict.fromkeys(names, b"2")
    assert sorted(os.listdir(tmp_path)) == [".spare.1.tmp", *names]


@linux
@pytest.mark.parametrize("how", ["open", "mapped"])
def test_what_somebody_still_reads_is_not_written_over(tmp_path, how):
    """Whoever it is: here somebody who knows nothing of this program."""
    path = tmp_path / "best.safetensors"
    rewrite_atomically(path, b"one")
    with path.open("rb") as file:
        if how == "mapped":
            reader = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            file.close()
        else:
            reader = file
        for number in range(5):
            rewrite_atomically(path, b"%d" % number)
        assert reader.read(10) == b"one"
        reader.close()
    assert path.read_bytes() == b"4"


@linux
def test_where_a_system_forgets_mapped_files_each_file_is_a_new_one(tmp_path, monkeypatch):
    path = tmp_path / "best.safetensors"
    monkeypatch.setattr(rewrite, "_has_lease", lambda file: True)  # whatever is mapped
    monkeypatch.setattr(rewrite, "_TELLS", {})
    rewrite_atomically(path, b"one")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as reader:
        for number in range(5):
            rewrite_atomically(path, b"%d" % number)
        assert reader.read(10) == b"one"
    assert path.read_bytes() == b"4"
    assert not list(tmp_path.glob(".probe*"))


def test_what_cannot_be_written_leaves_the_old_content_and_nothing_else(
    system, tmp_path, monkeypatch
):
    path = tmp_path / "history.csv"
    rewrite_atomically(path, b"one")
    rewrite_atomically(path, b"two")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(rewrite.os, "open", full)
        patch.setattr(Path, "open", full)
        with pytest.raises(RecordError, match=r"history.csv cannot be written: No space left"):
            rewrite_atomically(path, b"three")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["history.csv"]
    rewrite_atomically(path, b"four")
    assert path.read_bytes() == b"four"


@pytest.mark.parametrize("read", [lambda path: read_bounded(path, 2_000_000), Path.read_bytes])
def test_a_reader_never_finds_two_contents_in_one(tmp_path, read):
    path = tmp_path / "losses.npy"
    rewrite_atomically(path, b"a")
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent("""
            import sys, time
            from pathlib import Path
            from fcsweep.system.rewrite import rewrite_atomically
            path, end, number = Path(sys.argv[1]), time.monotonic() + 1.5, 0
            while time.monotonic() < end:
                number += 1
                letter = b"abcdefghijklmnopqrstuvwxyz"[number % 26 :][:1]
                rewrite_atomically(path, letter * (1_000_000 + number % 7 * 100_000))
            """), str(path)],
    )  # fmt: skip
    found = set()
    while writer.poll() is None:
        content = read(path)
        assert len(set(content)) == 1, "of several contents"
        found.add(content[:1])
    assert writer.returncode == 0 and len(found) > 3


def test_what_grows_is_appended_and_its_head_written_in_place(tmp_path):
    path, content = tmp_path / "losses.npy", b""
    file, inodes = Growing(path), set()
    for number in range(5):
        file.add(b"%d" % number * 1_000)
        content += b"%d" % number * 1_000
        head = b"of %d" % len(content)
        content = head + content[len(head) :]
        file.flush(partial(bytes, content), head)
        assert path.read_bytes() == content
        inodes.add(path.stat().st_ino)
    assert len(inodes) == 1
    assert os.listdir(tmp_path) == ["losses.npy"]


@pytest.mark.parametrize("how", ["gone", "another", "cut", "longer"])
def test_what_is_not_as_it_was_left_is_written_whole(how, tmp_path):
    path = tmp_path / "history.csv"
    file = Growing(path)
    file.add(b"one")
    file.flush(lambda: b"one")
    if how in ("gone", "another"):
        path.unlink()
    if how == "another":
        (tmp_path / "new").write_bytes(b"two")
        (tmp_path / "new").replace(path)
    elif how == "cut":
        path.write_bytes(b"o")
    elif how == "longer":
        path.write_bytes(b"one and")
    file.add(b", two")
    file.flush(lambda: b"one, two")
    assert path.read_bytes() == b"one, two"
    assert os.listdir(tmp_path) == ["history.csv"]


@pytest.mark.parametrize("room", [0, 4])
def test_a_full_disk_leaves_what_was_there_and_the_next_write_adds_all(room, tmp_path, monkeypatch):
    path = tmp_path / "history.csv"
    file = Growing(path)
    file.flush(lambda: b"one\n")
    with monkeypatch.context() as patch:
        left, write = [room], os.write

        def filling(descriptor, content):
            if not left[0]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            taken = write(descriptor, content[: left[0]])
            left[0] -= taken
            return taken

        patch.setattr(rewrite.os, "write", filling)
        file.add(b"two, two, two\n")
        with pytest.raises(RecordError, match=r"history.csv cannot be written: No space left"):
            file.flush(lambda: b"one\ntwo, two, two\n")
    assert path.read_bytes() == b"one\n"
    file.add(b"three\n")
    file.flush(lambda: b"wrong")
    assert path.read_bytes() == b"one\ntwo, two, two\nthree\n"


def test_what_a_signal_breaks_off_is_not_added_twice(tmp_path, monkeypatch):
    path, write = tmp_path / "history.csv", os.write
    file = Growing(path)
    file.flush(lambda: b"one\n")
    file.add(b"two\n")

    def interrupted(*given):
        write(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(rewrite.os, "write", interrupted)
        file.flush(lambda: b"one\ntwo\n")
    file.flush(lambda: b"one\ntwo\n")
    assert path.read_bytes() == b"one\ntwo\n"
