"""How many threads torch computes with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def with_threads(number: int) -> Iterator[None]:
    """While the block runs, torch has this many threads, also where MKL would choose by itself."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_thread() -> None:
    """Compute in one thread, unless the environment says in how many (``OMP_NUM_THREADS``).

    The threads of torch wait for each other after each operation. A small net gains little by a
    second one, and where other programs use the cores it takes many times as long. For a program,
    not for a library.
    """
    if not {"OMP_NUM_THREADS", "MKL_NUM_THREADS"} & os.environ.keys():
        torch.set_num_threads(1)
