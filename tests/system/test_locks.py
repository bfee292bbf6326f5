"""One kind of lock for folders, the cache and the journal; without locks everybody goes on."""

import errno
import os
import subprocess
import sys

import optuna
import pytest

from fcsweep.data.cache import staging
from fcsweep.records.ownership import hold
from fcsweep.search.study.storage import storage_of
from fcsweep.system import locks
from fcsweep.system.locks import NO_LOCK, is_held, lock, unlock

pytestmark = pytest.mark.skipif(locks.fcntl is None, reason="no flock")


@pytest.fixture(params=["a folder", "a file"])
def path(request, tmp_path):
    path = tmp_path / "it"
    path.mkdir() if request.param == "a folder" else path.touch()
    return path


def test_a_lock_is_for_one_and_leaves_nothing(path):
    first = lock(path)
    assert first not in (None, NO_LOCK) and lock(path) is None and is_held(path)
    unlock(first)
    assert not is_held(path)
    assert [one.name for one in path.parent.rglob("*")] == ["it"]


def test_who_waits_gets_it_when_the_other_ends(path):
    code = "import sys, time\nfrom pathlib import Path\nfrom fcsweep.system.locks import lock\n"
    code += "assert lock(Path(sys.argv[1])) not in (None, -1)\nprint(flush=True)\ntime.sleep(0.5)"
    run = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(run, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert lock(path) is None
        ours = lock(path, wait=True)
        assert ours not in (None, NO_LOCK)
        unlock(ours)
    assert other.returncode == 0


def test_what_is_not_there_is_not_made(tmp_path):
    assert lock(tmp_path / "it") == NO_LOCK and not list(tmp_path.iterdir())


def no_locks(*_):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


@pytest.mark.parametrize("system", ["Windows", "a file system without locks"])
def test_without_locks_everybody_goes_on(system, tmp_path, monkeypatch):
    if system == "Windows":
        monkeypatch.setattr(locks, "fcntl", None)
    else:
        monkeypatch.setattr(locks.fcntl, "flock", no_locks)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    with hold(tmp_path / "s", "key"), hold(tmp_path / "s", "key"):
        with staging(tmp_path, wait=True) as one, staging(tmp_path, wait=True) as other:
            assert None not in (one, other)
    optuna.create_study(study_name="toy", storage=storage_of(None, tmp_path))
    assert optuna.get_all_study_names(storage_of(None, tmp_path)) == ["toy"]
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == before
