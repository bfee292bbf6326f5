"""Freed memory is used again; where no garbage is sought."""

import gc
import os
import subprocess
import sys
import textwrap

import pytest

from fcsweep.system.memory import without_collection


@pytest.mark.slow
def test_freed_memory_is_used_again():
    """Counted in a process of its own: the option holds until its end."""
    program = textwrap.dedent("""
        import resource, sys
        import torch
        from fcsweep.system.memory import keep_freed

        def faults():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(20):
                x = torch.ones(5_000_000 // 4)
                del x
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

        if sys.argv[1] == "kept":
            keep_freed()
        faults()
        print(faults())
        """)
    fixed = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}  # as it is in a young process

    def counted(how):
        run = [sys.executable, "-c", program, how]
        done = subprocess.run(run, capture_output=True, text=True, check=True, env=fixed)
        return int(done.stdout)

    if counted("given back") < 10_000:
        pytest.skip("this system's C library keeps it by itself")
    assert counted("kept") < 2_000


def test_what_is_loaded_is_set_aside_once():
    program = textwrap.dedent("""
        import gc
        from fcsweep.system.memory import keep_loaded

        keep_loaded()
        aside, later = gc.get_freeze_count(), [[number] for number in range(1000)]
        keep_loaded()
        print(aside > 1000, gc.get_freeze_count() - aside < 100)
        """)
    run = [sys.executable, "-c", program]
    assert subprocess.run(run, capture_output=True, text=True).stdout == "True True\n"


@pytest.mark.parametrize("before", [True, False])
def test_garbage_is_sought_again_as_before_whatever_happens(before):
    found = gc.isenabled()
    (gc.enable if before else gc.disable)()
    try:
        with pytest.raises(KeyError), without_collection():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() is before
    finally:
        (gc.enable if found else gc.disable)()
