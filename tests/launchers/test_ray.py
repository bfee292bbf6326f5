"""Workers that are tasks of a real Ray: the records of one worker, whatever becomes of them."""

import json
import signal
import time

import pytest
from support.many_workers import (
    BRIEF,
    GRID,
    LONG,
    SEARCH,
    at_work,
    left,
    nothing_left,
    said_by,
    start,
    undisturbed,
    workers_at_work,
)
from support.ray_cluster import cluster, raylet_of

pytestmark = pytest.mark.slow

SHORT, EIGHT = [*SEARCH, *BRIEF], [*GRID, *BRIEF[1:]]


@pytest.fixture(scope="module")
def ray():
    with cluster() as started:
        yield started


@pytest.fixture
def words(ray):
    address = f"hydra.launcher.address={ray.address}"
    return ["hydra/launcher=ray", "hydra.launcher.workers=2", "hydra.launcher.num_gpus=1", address]


@pytest.fixture(autouse=True)
def ended_with_the_test(tmp_path):
    with nothing_left(tmp_path):
        yield


def environments(folder):
    """Those of the workers that are there."""
    found = [process.environ() for process in workers_at_work(folder)]
    return [one for one in found if "RAY_RAYLET_PID" in one]


def wait_until(holds, process):
    until = time.monotonic() + 200
    while not holds():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.1)


def test_a_grid_is_worked_on_by_tasks_of_ray(words, tmp_path):
    process = start(tmp_path / "many", [*EIGHT, *words])
    wait_until(lambda: len(environments(tmp_path)) == 2, process)
    found = environments(tmp_path)
    code, out, error = said_by(process)
    assert (code, error) == (0, "")
    assert out.startswith("2 workers, 1 CPU and 1 GPU each, on a cluster of Ray\n")
    assert out.count("report: ") == 1 and not at_work(tmp_path)
    assert [one["OMP_NUM_THREADS"] for one in found] == ["1", "1"]
    devices = {(one["RAY_RAYLET_PID"], one["CUDA_VISIBLE_DEVICES"]) for one in found}
    assert len(devices) == 2
    assert left(tmp_path / "many" / "out") == undisturbed(tmp_path / "alone", EIGHT)


def test_ctrl_c_cancels_all_tasks_of_ray(words, tmp_path):
    process = start(tmp_path, [*LONG, *words])
    wait_until(lambda: len(list(tmp_path.glob("out/*/result.json"))) == 2, process)
    process.send_signal(signal.SIGINT)
    code, _, error = said_by(process)
    assert code == 130 and error.count("\n") == 1, error
    assert "hydra.launcher.workers=2" in error and not at_work(tmp_path)
    results = [json.loads(path.read_text()) for path in tmp_path.glob("out/*/result.json")]
    assert [one["status"] for one in results] == ["interrupted", "interrupted"]


def test_workers_of_a_node_that_dies_start_again_on_another(ray, words, tmp_path):
    lasting = [*SHORT, "solver.num_epochs=240"]  # it is still searched when they are back
    process = start(tmp_path / "many", [*lasting, *words])
    runs = tmp_path / "many" / "out"
    wait_until(lambda: len(list(runs.glob("*/result.json"))) > 2, process)
    lost = int(environments(tmp_path)[0]["RAY_RAYLET_PID"])
    (node,) = [one for one in ray.worker_nodes if raylet_of(one) == lost]
    ray.remove_node(node, allow_graceful=False)
    others = [str(raylet_of(one)) for one in ray.worker_nodes]

    def restarted():
        return [one["RAY_RAYLET_PID"] for one in environments(tmp_path)] == others * 2

    wait_until(restarted, process)
    code, out, error = said_by(process)
    assert (code, error) == (0, "") and "all 16 trials done" in out
    assert left(runs) == undisturbed(tmp_path / "alone", lasting)
