import os

import pytest
import torch
from hydra.version import _UNSPECIFIED_, VersionBase


def pytest_xdist_auto_num_workers(config):
    """Several processes for `pytest` alone, also with `-m slow`; one for named files."""
    everything = config.args_source is config.ArgsSource.TESTPATHS
    return min(os.cpu_count() or 1, 4) if everything else 0


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors are several times as fast in one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def no_version_base():
    """As at the start of a program: Hydra keeps what another test has asked for."""
    base = VersionBase.instance()
    before, base.version_base = base.version_base, _UNSPECIFIED_
    yield
    VersionBase.instance().version_base = before
