"""Finds and reads MNIST and Fashion-MNIST: 70,000 grey images of 28 x 28 pixels each.

Sources: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998; Xiao, Rasul,
Vollgraf, "Fashion-MNIST", 2017. Both are four files of the same names in the format IDX: two zero
bytes, 8 for unsigned bytes, the number of axes, the length of each axis as a big-endian integer of
4 bytes, then the values (http://yann.lecun.com/exdb/mnist).

Files that the user names are read in place, packed or not. The published ones are downloaded only
if the user names no place and the cache has no copy.
"""

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fcsweep.data.cache import Copy, copy_of, state_of
from fcsweep.data.download import Published, downloaded
from fcsweep.data.images.image_set import Images, ImageSet
from fcsweep.messages.errors import DataError

SIDE = 28
CLASSES = 10
ROWS = {"train": 60_000, "t10k": 10_000}
"""Images in the files of each part."""

_PACKED = b"\x1f\x8b"
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)


@dataclass(frozen=True)
class Source:
    """The files of a part, and their state when they were found.

    Attributes:
        part: ``train`` or ``t10k``, with which their names begin.
        files: Images and labels; None for the published files.
        state: Name, size and times of each file: while they are the same, so are the images.
    """

    part: str
    files: tuple[Path, Path] | None
    state: tuple[object, ...]


@dataclass(frozen=True)
class Idx:
    """A set of four files.

    Attributes:
        name: As in ``data=NAME``.
        title: Its name in messages.
        below: The folder in which torchvision keeps the files, below the root that it is given.
        published: The packed files of each part, images and labels.
    """

    name: str
    title: str
    below: str
    published: dict[str, tuple[Published, Published]]

    def find(self, root: str | Path | None, test: bool) -> Source:
        """Where the files of a part are. Reads no images, and never downloads.

        Args:
            root: A folder that holds them, or that torchvision was given as its root; None for the
                published files.
            test: Whether the part is that of the test images.

        Raises:
            DataError: They are not there, or one is too large.
            OSError, RuntimeError, ValueError: ``root`` cannot be read.
        """
        part = "t10k" if test else "train"
        if root is None:
            return Source(part, None, tuple(file.sha256 for file in self.published[part]))
        files = self._locate(Path(root).expanduser().resolve(), part)
        for file, axes in zip(files, _axes(part), strict=True):
            # What cannot be packed grows by less than a hundredth.
            size, most = file.stat().st_size, math.prod(axes) * 101 // 100 + 100
            if size > most:
                raise DataError(f"{file.name} has {size} bytes, expected at most {most}")
        return Source(part, files, state_of(files))

    def read(self, source: Source) -> Images:
        """The images of a part, in the order of its files.

        They come from a sound cached copy if there is one. Otherwise the files are read (the
        published ones are downloaded first if they are missing) and a copy is cached.

        Raises:
            DataError: A file is damaged or cannot be read, or a download failed.
        """
        copy = self._copy(source)
        images = copy.read(Images.from_tensors)
        if images is not None:
            return images
        files = source.files or self._downloaded(source.part)
        images = _images(files, source.part)
        if source.files is None or state_of(files) == source.state:
            copy.write(images)
        return images

    def require(self, source: Source) -> None:
        """Make sure that the files of a part are on this machine, without reading an image of them.

        The published ones are downloaded if neither they nor a copy of what they hold are there.

        Raises:
            DataError: A download failed.
        """
        if source.files is None and not self._copy(source).is_there():
            self._downloaded(source.part)

    def _downloaded(self, part: str) -> tuple[Path, Path]:
        images, labels = self.published[part]
        return downloaded(images), downloaded(labels)

    def _copy(self, source: Source) -> Copy:
        place = source.files[0].parent if source.files else None
        return copy_of(self.name, source.part == "t10k", place, source.state)

    def _locate(self, path: Path, part: str) -> tuple[Path, Path]:
        if not path.exists():
            raise DataError("there is no such file or folder")
        names = _names(part)
        for folder in (path, path / self.below):
            images, labels = (_file(folder, name) for name in names)
            if images is not None and labels is not None:
                return images, labels
        raise DataError(
            f"holds no {self.title}, expected {names[0]}.gz and {names[1]}.gz, packed or not, "
            f"or the folder {self.below} with them"
        )


def _names(part: str) -> tuple[str, str]:
    return f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"


def _file(folder: Path, name: str) -> Path | None:
    files = (folder / f"{name}.gz", folder / name)
    return next((file for file in files if file.is_file()), None)


def _axes(part: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Lengths of the axes of the images and of the labels of a part."""
    return (ROWS[part], SIDE, SIDE), (ROWS[part],)


def _images(files: tuple[Path, Path], part: str) -> Images:
    pixels, labels = (_values(*one) for one in zip(files, _axes(part), strict=True))
    if labels.max() >= CLASSES:
        row = int(np.argmax(labels >= CLASSES))
        raise DataError(
            f"{files[1]}: has label {labels[row]} in row {row}, expected 0 to {CLASSES - 1}; "
            "get the published files again"
        )
    return Images(pixels.reshape(len(labels), -1), labels)


def _values(file: Path, axes: tuple[int, ...]) -> np.ndarray:
    """The values of an IDX file of unsigned bytes with these axes, and no others."""
    try:
        content = _content(file, 4 + 4 * len(axes) + math.prod(axes))
        return _checked(content, axes)
    except _DAMAGED as error:
        raise DataError(f"{file}: is damaged or truncated ({error}); get it again") from error
    except DataError as error:
        raise DataError(f"{file}: {error}; get the published files again") from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error})") from error


def _content(file: Path, size: int) -> bytes:
    """At most one byte more than ``size``, so that a larger file is noticed; unpacked."""
    with file.open("rb") as raw:
        packed = raw.peek(2)[:2] == _PACKED
        with gzip.GzipFile(fileobj=raw) if packed else raw as stream:
            return stream.read(size + 1)


def _checked(content: bytes, axes: tuple[int, ...]) -> np.ndarray:
    head = bytes([0, 0, 8, len(axes)])
    first = len(head) + 4 * len(axes)
    if content[:4] != head:
        raise DataError(f"starts with {content[:4]!r}, expected {head!r} of an IDX file")
    claimed = tuple(np.frombuffer(content[4:first].ljust(first - 4, b"\0"), ">u4").tolist())
    if claimed != axes:
        raise DataError(f"says that its shape is {claimed}, expected {axes}")
    held = len(content) - first
    if held != math.prod(axes):
        count = f"more than {held - 1}" if held > math.prod(axes) else f"{held}"
        raise DataError(f"holds {count} values, expected {math.prod(axes)}")
    return np.frombuffer(content, np.uint8, offset=first).reshape(axes).copy()


_FILES = tuple(name for part in ROWS for name in _names(part))


def _published(
    name: str, title: str, mirrors: tuple[str, ...], known: tuple[tuple[int, str], ...]
) -> dict[str, tuple[Published, Published]]:
    """The packed files, from size and sha256 of each in the order of `_FILES`."""
    train_images, train_labels, test_images, test_labels = (
        Published(
            f"{name}/{file}.gz",
            size,
            sha256,
            tuple(f"{mirror}/{file}.gz" for mirror in mirrors),
            title,
            root=f"{_FILES[0]}.gz and the others",
        )
        for file, (size, sha256) in zip(_FILES, known, strict=True)
    )
    return {"train": (train_images, train_labels), "t10k": (test_images, test_labels)}


# Sizes and sha256 are those of TensorFlow Datasets (url_checksums/mnist.txt, fashion_mnist.txt).
_MNIST = Idx(
    "mnist",
    "MNIST",
    "MNIST/raw",
    _published(
        "mnist",
        "MNIST",
        # PyTorch's copy and that of the Common Visual Data Foundation.
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist",
        ),
        (
            (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
    ),
)
_FASHION_MNIST = Idx(
    "fashion_mnist",
    "Fashion-MNIST",
    "FashionMNIST/raw",
    _published(
        "fashion_mnist",
        "Fashion-MNIST",
        # Zalando's repository, the copy of Keras, and Zalando's server, which has no certificate.
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        ),
        (
            (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
    ),
)


def _image_set(files: Idx) -> ImageSet:
    return ImageSet(
        files.name,
        sizes=(50_000, 10_000, 10_000),
        planes=1,
        white=255,
        classes=CLASSES,
        read=files.read,
        find=files.find,
        require=files.require,
    )


MNIST, FASHION_MNIST = _image_set(_MNIST), _image_set(_FASHION_MNIST)
