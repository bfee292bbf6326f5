import sys

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors are several times as fast in one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def our_option_of_the_sweeper():
    """Hydra's own fixture ends by reading all plugins again, as no program does."""
    if "fcsweep.loader" in sys.modules:
        sys.modules["fcsweep.loader"].take_our_option()
