"""Images by their principal components: fewer inputs, trained in a fraction of the time.

The directions in which the training images vary most, whitened or not, as in "Data Preprocessing"
of CS231n's notes (Neural Networks, Part 2).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import ClassVar

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
        variances: ``(d,)`` float64, of the pixels along each of them.
    """

    NAMES: ClassVar = ("mean", "directions", "variances")

    mean: Tensor
    directions: Tensor
    variances: Tensor

    @classmethod
    def of(cls, images: Images) -> PrincipalComponents:
        """Those of images, the same in any number of threads."""
        n, (sums, products) = len(images), _moments(images)
        covariance = (n * products - sums.outer(sums)) / n**2  # exact but for the division
        with with_threads(1):
            found = torch.linalg.eigh(covariance)
        directions, variances = found.eigenvectors.flip(-1), found.eigenvalues.flip(-1)
        rows = directions.abs().argmax(0, keepdim=True)
        directions *= directions.gather(0, rows).sign()
        return cls(sums / n + GREY, directions, variances.clamp(min=0))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> PrincipalComponents:
        """Those that `tensors` gave."""
        return cls(*(tensors[name] for name in cls.NAMES))

    def tensors(self) -> dict[str, Tensor]:
        """What a copy in the cache folder holds."""
        return {name: getattr(self, name).contiguous() for name in self.NAMES}

    @cached_property
    def sha256(self) -> str:
        """The sha256 of mean, directions and variances, in hex."""
        digest = sha256()
        for tensor in self.tensors().values():
            digest.update(tensor.numpy().data)
        return digest.hexdigest()

    def matrix(self, components: int | None, whiten: float | None, white: int) -> Tensor:
        """What makes inputs of centred pixels, ``(d, components)`` float64.

        Args:
            components: how many directions, the first; None: all.
            whiten: divides by ``sqrt(variance + whiten)``; None: by nothing.
            white: the unit of the pixels.
        """
        W = self.directions[:, :components] / white
        if whiten is not None:
            W /= (self.variances[:components] / white**2 + whiten).sqrt()
        return W

    def project(self, images: Images, W: Tensor) -> Tensor:
        """The centred pixels of images times a `matrix`, ``(n, components)`` float64.

        A row has the same bits whatever rows follow it, and in any number of threads.
        """
        found = torch.empty(len(images), W.shape[1], dtype=torch.float64)
        block = torch.zeros(BLOCK, len(self.mean), dtype=torch.float64)
        with with_threads(1):
            for pixels, rows in zip(_parts(images, BLOCK), found.split(BLOCK), strict=True):
                torch.sub(pixels, self.mean, out=block[: len(rows)])
                rows.copy_((block @ W)[: len(rows)])
        return found


def components_of(name: str, train: Images) -> PrincipalComponents:
    """The principal components of the training images of a set, from a copy if there is one."""
    copy = Copy(f"{name}-components-{len(train)}", made_from=train.sha256)
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
