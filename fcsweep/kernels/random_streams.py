"""Every stream of random numbers of a run, from its one seed.

A stream has a name made of its seed, words and numbers, such as ``(seed, "batches", epoch)``.
No generator carries over from one step to the next, so a run that resumes after an interruption,
or in another stack, needs no saved state.
"""

from __future__ import annotations

from hashlib import blake2b

import torch

Stream = tuple[int | str, ...]


def generator(*stream: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for one stream: equal draws for an equal name, unrelated ones for any other."""
    name = "/".join(map(str, stream))
    digest = blake2b(name.encode(), digest_size=4).digest()  # torch's CPU generator takes 32 bits
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "little"))
