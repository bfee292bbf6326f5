"""Images by their principal components: fewer inputs, trained in a fraction of the time.

The directions in which the training images vary most, as in "Data Preprocessing" of CS231n's notes
(Neural Networks, Part 2), without the whitening: a direction of little variance stays small.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import torch
from torch import Tensor

from fcsweep.data.cache import Copy
from fcsweep.data.images.image_set import Images
from fcsweep.kernels.threads import with_threads

log = logging.getLogger(__name__)

GREY = 128
"""Is taken from each pixel: the smaller the integers, the more products float32 adds exactly."""
EXACT = 2**24 // GREY**2
"""So many: float32 has all integers up to 2**24."""
BLOCK = 1024
"""Images that are projected at once: in products of one shape a row has the same bits."""


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """Of images of ``d`` pixels.

    Attributes:
        mean: ``(d,)`` float64, that of each pixel.
        directions: ``(d, d)`` float64, orthonormal columns by falling variance. The entry of each
            column that has the largest magnitude is positive.
    """

    mean: Tensor
    directions: Tensor

    @classmethod
    def of(cls, images: Images) -> PrincipalComponents:
        """Those of images, the same in any number of threads."""
        n, (sums, products) = len(images), _moments(images)
        covariance = (n * products - sums.outer(sums)) / n**2  # exact but for the division
        with with_threads(1):
            directions = torch.linalg.eigh(covariance).eigenvectors.flip(-1)
        rows = directions.abs().argmax(0, keepdim=True)
        return cls(sums / n + GREY, directions * directions.gather(0, rows).sign())

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> PrincipalComponents:
        """Those that `tensors` gave."""
        return cls(tensors["mean"], tensors["directions"])

    def tensors(self) -> dict[str, Tensor]:
        """What a copy in the cache folder holds."""
        return {"mean": self.mean, "directions": self.directions.contiguous()}

    @cached_property
    def sha256(self) -> str:
        """The sha256 of mean and directions, in hex."""
        digest = sha256(self.mean.numpy().data)
        digest.update(self.directions.contiguous().numpy().data)
        return digest.hexdigest()

    def project(self, images: Images, components: int, white: int) -> Tensor:
        """Centred pixels in units of ``white`` along the first directions, ``(n, components)``.

        Float64. A row has the same bits whatever rows follow it, and in any number of threads.
        """
        directions = self.directions[:, :components] / white
        found = torch.empty(len(images), components, dtype=torch.float64)
        block = torch.zeros(BLOCK, len(self.mean), dtype=torch.float64)
        with with_threads(1):
            for pixels, rows in zip(_parts(images, BLOCK), found.split(BLOCK), strict=True):
                torch.sub(pixels, self.mean, out=block[: len(rows)])
                rows.copy_((block @ directions)[: len(rows)])
        return found


def components_of(name: str, train: Images) -> PrincipalComponents:
    """The principal components of the training images of a set, from a copy if there is one."""
    copy = Copy(f"{name}-components", made_from=train.sha256)
    found = copy.read(PrincipalComponents.from_tensors)
    if found is None:
        log.info("finding the principal components of %s images", f"{len(train):,}")
        found = PrincipalComponents.of(train)
        copy.write(found)
    return found


def _moments(images: Images) -> tuple[Tensor, Tensor]:
    """Sums ``(d,)`` of the pixels less grey and of their products ``(d, d)``, float64 integers."""
    d = images.pixels.shape[1]
    sums, products = torch.zeros(d, dtype=torch.float64), torch.zeros(d, d, dtype=torch.float64)
    for pixels in _parts(images, EXACT):
        part = pixels.to(torch.float32).sub_(GREY)
        sums += part.sum(0)
        products += part.mT @ part
    return sums, products


def _parts(images: Images, rows: int) -> tuple[Tensor, ...]:
    return torch.from_numpy(images.pixels).split(rows)
