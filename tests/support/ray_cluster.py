"""A Ray of the tests' own: a head and two nodes on this machine; it ends with them."""

import os
import warnings
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

NOTICING = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
"""A dead node is noticed within two seconds, not within fifteen."""


@contextmanager
def cluster():
    """A Ray with two nodes of two CPUs and two GPUs each while the block runs.

    The test is skipped where Ray is not installed.
    """
    if find_spec("ray") is None:
        why = "needs Ray (pip install 'fcsweep[ray]')"
        if os.environ.get("FCSWEEP_RAY"):
            pytest.fail(why)
        pytest.skip(why)
    with pytest.MonkeyPatch.context() as own, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Ray's own
        own.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        started = Cluster()
        try:
            memory = {"object_store_memory": 80_000_000}
            head = {"include_dashboard": False, "_system_config": NOTICING}
            started.add_node(num_cpus=0, **head, **memory)
            for _ in range(2):
                started.add_node(num_cpus=2, num_gpus=2, **memory)
            yield started
        finally:
            started.shutdown()


def raylet_of(node):
    """The process id of what makes a node one of the cluster."""
    return node.all_processes["raylet"][0].process.pid
