"""The library of large products follows from the processor's maker."""

import pytest
import torch

from fcsweep.kernels import processor


@pytest.fixture
def machine(monkeypatch):
    def of(vendor, mkl=True, one_dnn=True):
        monkeypatch.setattr(processor, "vendor", lambda: vendor)
        monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
        monkeypatch.setattr(processor, "_one_dnn_answers", lambda: one_dnn)
        return processor.library.__wrapped__()

    return of


def test_the_library_follows_from_the_maker(machine):
    assert machine("GenuineIntel") == "mkl"
    assert machine("GenuineIntel", mkl=False) == "onednn"
    assert machine("AuthenticAMD") == "onednn"
    assert machine("", mkl=False) == "onednn"  # ARM, where torch has oneDNN
    assert machine("", mkl=False, one_dnn=False) == "torch"


def test_this_processor_says_who_made_it():
    known = {"GenuineIntel", "AuthenticAMD"}
    if torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        assert processor.vendor() in known
    assert processor.library() in ("mkl", "onednn", "torch")
