"""Integer pixels with their labels: every data set before its conversion to floating point."""

import hashlib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Images:
    """``n`` images of ``d`` pixels.

    Attributes:
        pixels: ``(n, d)`` uint8, one flattened image per row, one colour plane after the other.
        labels: ``(n,)`` uint8, the class of each image.
    """

    pixels: np.ndarray
    labels: np.ndarray

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "Images":
        """Those that `tensors` gave."""
        return cls(tensors["pixels"].numpy(), tensors["labels"].numpy())

    def tensors(self) -> dict[str, Tensor]:
        """What a copy in the cache folder holds."""
        return {"pixels": torch.from_numpy(self.pixels), "labels": torch.from_numpy(self.labels)}

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, n: int) -> "Images":
        """The first ``n`` images, as a view."""
        return self if n == len(self) else Images(self.pixels[:n], self.labels[:n])

    def last(self, n: int) -> "Images":
        """The last ``n`` images, as a view."""
        return self if n == len(self) else Images(self.pixels[-n:], self.labels[-n:])

    def split(self, sizes: tuple[int, int, int]) -> "tuple[Images, Images, Images]":
        """The images cut, in their order, into training, validation and test images, as views."""
        train, val, test = sizes
        middle, end = train + val, train + val + test
        return (
            Images(self.pixels[:train], self.labels[:train]),
            Images(self.pixels[train:middle], self.labels[train:middle]),
            Images(self.pixels[middle:end], self.labels[middle:end]),
        )

    def plane_sums(self, planes: int) -> np.ndarray:
        """The sum of all pixels of each colour plane, ``(planes,)`` int64 and therefore exact."""
        by_plane = self.pixels.reshape(len(self), planes, -1)
        return by_plane.sum(axis=(0, 2), dtype=np.int64)

    @cached_property
    def sha256(self) -> str:
        """The sha256 of shape, labels and pixels, in hex."""
        digest = hashlib.sha256(f"{self.pixels.shape}".encode())
        digest.update(self.labels.tobytes())
        digest.update(np.ascontiguousarray(self.pixels).reshape(-1).data)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A data set as a value: the format of its images, and how to read them.

    Attributes:
        name: As in ``data=NAME``.
        sizes: How many images train, validate and test.
        planes: Colour planes of an image.
        white: The greatest value of a pixel.
        classes: How many there are.
        read: All images: those that train, those that validate, those that test. In a set with
            files it takes what ``find`` returned, and the images are those of that part.
        find: For a set with files: takes a ``data.root`` and whether the test images are wanted,
            otherwise those that train and validate; returns where they are and in what state,
            hashable, without reading one. None for a set without files.
        require: For a set with files: takes what ``find`` returned; downloads what `read` would,
            or raises a `DataError`. None for a set without files.
    """

    name: str
    sizes: tuple[int, int, int]
    planes: int
    white: int
    classes: int
    read: Callable[..., Images]
    find: Callable[[str | Path | None, bool], Hashable] | None = None
    require: Callable[..., None] | None = None
