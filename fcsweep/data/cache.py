"""The cache folder, and the copies of data sets in it for a fast second start.

A copy is one safetensors file with the integer pixels of one part of a data set, or with the
principal components of its training images, their sha256 and the state of their source. It is used
only while both match; otherwise it is made again. A copy that cannot be written is no error.
"""

import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Protocol, TypeVar

from torch import Tensor

from fcsweep.system.locks import NO_LOCK, lock, unlock

log = logging.getLogger(__name__)

FORMAT = "fcsweep copy 1"
MAKING = "making-"
LARGEST = 1_000_000_000
"""Maximum bytes of a copy; that of CIFAR-10 has 154 million."""


def cache_folder() -> Path:
    """What the environment variable FCSWEEP_CACHE names, else the system's usual cache folder."""
    named = os.environ.get("FCSWEEP_CACHE")
    if named:
        return Path(os.path.expanduser(named)).absolute()
    import pooch

    return Path(pooch.os_cache("fcsweep"))


@contextmanager
def staging(folder: Path, wait: bool) -> Iterator[Path | None]:
    """A temporary folder inside ``folder``, to write a file before an atomic `os.replace`.

    One process at a time holds it, and no process sees a partial file. The next process removes
    what a killed one left.

    Args:
        folder: The folder of the finished file; created if it is missing.
        wait: Whether to wait while another process holds it.

    Yields:
        The temporary folder, or None if another process holds it and ``wait`` is false.

    Raises:
        OSError: ``folder`` cannot be created or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    locked = lock(folder)
    if locked is None and wait:
        log.warning("waiting for another process that is at work in %s", folder)
        locked = lock(folder, wait=True)
    if locked is None:
        yield None
        return
    try:
        if locked != NO_LOCK:
            for left in folder.glob(f"{MAKING}*"):
                shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=MAKING, dir=folder) as fresh:
            yield Path(fresh)
    finally:
        unlock(locked)


def _may_be_a_copy(file: Path) -> bool:
    status = file.stat()
    return stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST


def state_of(files: Sequence[Path]) -> tuple[object, ...]:
    """Name, size and times of files; no tool can set the change time back, unlike the others."""
    stats = [(file.name, file.stat()) for file in files]
    return tuple((name, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in stats)


class Kept(Protocol):
    """What a copy can hold."""

    sha256: cached_property[str]
    """Of all its tensors, in hex."""

    def tensors(self) -> dict[str, Tensor]:
        """Its tensors by name, contiguous."""
        ...


T = TypeVar("T", bound=Kept)


class Copy:
    """The copy of images, or of what is made from them.

    Args:
        name: Name of its file, without the suffix.
        made_from: Identifies the state of the source; a copy of another state is not used.
    """

    def __init__(self, name: str, made_from: str) -> None:
        self.file = cache_folder() / "copies" / f"{name}.safetensors"
        self.made_from = made_from

    def is_there(self) -> bool:
        """Whether there is a copy of this source; only `read` checks its content."""
        from safetensors import SafetensorError, safe_open

        try:
            if not _may_be_a_copy(self.file):
                return False
            with safe_open(self.file, framework="pt") as file:
                return self._is_ours(file.metadata())
        except (OSError, ValueError, SafetensorError):
            return False

    def _is_ours(self, known: dict[str, str] | None) -> bool:
        found = known or {}
        return (found.get("format"), found.get("made_from")) == (FORMAT, self.made_from)

    def read(self, kind: Callable[[Mapping[str, Tensor]], T]) -> T | None:
        """What ``kind`` makes of the tensors, which are mapped from the file.

        None if there is no sound copy of this source. The log names a damaged copy.
        """
        from safetensors import SafetensorError, safe_open

        try:
            if not _may_be_a_copy(self.file):
                return None
            with safe_open(self.file, framework="pt") as file:
                known = file.metadata() or {}
                if not self._is_ours(known):
                    return None
                found = kind({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
            if found.sha256 == known.get("sha256"):
                return found
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.info("the cached copy %s cannot be read (%s)", self.file, error)
            return None
        except (SafetensorError, KeyError):
            pass
        log.warning("the cached copy %s is damaged: reading the data again", self.file)
        return None

    def write(self, kept: Kept) -> None:
        """Write a copy, if the cache folder is writable and no other process is writing one."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        known = {"format": FORMAT, "made_from": self.made_from, "sha256": kept.sha256}
        try:
            with staging(self.file.parent, wait=False) as fresh:
                if fresh is not None:
                    save_file(kept.tensors(), fresh / self.file.name, known)
                    os.replace(fresh / self.file.name, self.file)
        except (OSError, SafetensorError) as error:
            log.info("no copy of the data is kept in %s (%s)", self.file.parent, error)


def copy_of(name: str, test: bool, place: Path | None, state: tuple[object, ...]) -> Copy:
    """The copy of a part of a set, named after its place: a changed source replaces its old copy.

    Args:
        name: The set.
        test: Whether the part is that of the test images.
        place: Where its files are; None for the published ones.
        state: The state of its files, as of `state_of`.
    """
    where = "published" if place is None else sha256(os.fsencode(place)).hexdigest()[:16]
    return Copy(f"{name}-{'test' if test else 'train'}-{where}", made_from=repr(state))
