"""Integer pixels with their labels: what every data set is before it becomes floating point."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Images:
    """``n`` images of ``d`` pixels.

    Attributes:
        pixels: ``(n, d)`` uint8, one flattened image per row, one colour plane after the other.
        labels: ``(n,)`` uint8, the class of each image.
    """

    pixels: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, n: int) -> "Images":
        """The first ``n`` images, as a view."""
        return self if n == len(self) else Images(self.pixels[:n], self.labels[:n])

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
