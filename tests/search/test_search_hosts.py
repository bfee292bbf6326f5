"""Two hosts work on one study in PostgreSQL, and the cable of one is cut."""

import os
import subprocess
import sys
import time

import pytest
from support.disturbed import SEARCH, differences, left
from support.hosts import BRIDGE, two_hosts
from support.postgres import server

pytestmark = pytest.mark.slow

LEASE = 4.0
SWEEP = [sys.executable, "-m", "fcsweep", "-m", *SEARCH, "hydra.sweeper.n_trials=16"]
SHARED = ["hydra.sweeper.storage=${oc.env:FCSWEEP_DB}", f"hydra.sweeper.lease={LEASE}"]


def start(folder, host, url):
    """A worker on a host; what it says is in a file of the folder."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "FCSWEEP_DB": url}
    with open(said_by(folder, host), "wb") as log:
        return host.start([*SWEEP, *SHARED], cwd=folder, env=environment, stdout=log, stderr=log)


def said_by(folder, host):
    return folder.parent / f"{host.name}.log"


def test_a_host_whose_cable_is_cut_for_three_leases_writes_nothing_false(tmp_path):
    (alone := tmp_path / "alone").mkdir()
    (shared := tmp_path / "shared").mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with two_hosts() as hosts, server(BRIDGE) as postgres:
        workers = [start(shared, host, postgres.url) for host in hosts]
        while len(list(shared.glob("out/*/result.json"))) < 3:
            time.sleep(0.1)
            assert all(one.poll() is None for one in workers)
        hosts[0].cut()
        time.sleep(3 * LEASE)
        hosts[0].mend()
        subprocess.run(SWEEP, cwd=alone, env=environment, check=True, stdout=subprocess.DEVNULL)
        ends = [one.wait(200) for one in workers]
    cut, whole = (said_by(shared, host).read_text() for host in hosts)
    assert ends[1] == 0, whole
    assert ends[0] == 0 or cut.endswith("run the same command to join again\n"), cut
    assert "Traceback" not in cut
    assert not differences(left(alone / "out"), left(shared / "out"))
