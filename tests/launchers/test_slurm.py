"""Workers that are jobs of a real Slurm: the records of one worker, whatever becomes of them."""

import json
import re
import shlex
import signal

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
from support.slurm import call, cluster, jobs, wait_until

pytestmark = pytest.mark.slow

SHORT, EIGHT = [*SEARCH, *BRIEF], [*GRID, *BRIEF[1:]]

SLURM = ["hydra/launcher=slurm", "hydra.launcher.workers=2"]


@pytest.fixture(scope="module")
def slurm():
    with cluster():
        yield


@pytest.fixture(autouse=True)
def ended_with_the_test(slurm, tmp_path):
    with nothing_left(tmp_path):
        yield


def environments(folder):
    """Those of the workers that are there, by the name of their job."""
    found = [(process, process.environ()) for process in workers_at_work(folder)]
    return {
        f"{one['SLURM_ARRAY_JOB_ID']}_{one['SLURM_ARRAY_TASK_ID']}": (process, one)
        for process, one in found
        if "SLURM_ARRAY_TASK_ID" in one
    }


def test_a_grid_is_worked_on_by_jobs_of_slurm(tmp_path):
    code, out, error = said_by(start(tmp_path / "many", [*EIGHT, *SLURM, "hydra.launcher.cpus=1"]))
    assert (code, error) == (0, "")
    assert re.match(r"2 workers, 1 CPU each: job \d+ of Slurm\n", out)
    assert out.count("report: ") == 1 and "joining" not in out
    job = re.findall(r"job (\d+)", out)[0]
    assert {f"{job}_1", f"{job}_2"} <= set(jobs()) and not at_work(tmp_path)
    assert left(tmp_path / "many" / "out") == undisturbed(tmp_path / "alone", EIGHT)


def test_of_a_search_one_worker_is_killed_and_one_is_preempted(tmp_path):
    process = start(tmp_path / "many", [*SHORT, *SLURM])
    runs = tmp_path / "many" / "out"
    wait_until(lambda: len(list(runs.glob("*/result.json"))) > 2)
    first, second = sorted(there := environments(tmp_path))
    assert [one["OMP_NUM_THREADS"] for _, one in there.values()] == ["1", "1"]
    there[first][0].kill()
    call("scontrol", "requeue", second)  # as a preemption does
    wait_until(lambda: jobs()[second] == "PENDING")
    call("scontrol", "update", f"JobId={second}", "StartTime=now")
    code, out, error = said_by(process)
    assert (code, error) == (0, "")
    assert "1 of 2 workers were killed; the others have trained what was left" in out
    assert jobs()[first] == "FAILED" and jobs()[second] == "COMPLETED"
    assert left(runs) == undisturbed(tmp_path / "alone", SHORT)


def test_ctrl_c_cancels_all_jobs_of_slurm(tmp_path):
    process = start(tmp_path, [*LONG, *SLURM[:1], "hydra.launcher.workers=3"])
    wait_until(lambda: len(list(tmp_path.glob("out/*/result.json"))) == 2)
    process.send_signal(signal.SIGINT)
    code, _, error = said_by(process)
    assert code == 130 and error.count("\n") == 1 and not at_work(tmp_path)
    assert "hydra.launcher.workers=3" in shlex.split(error.rpartition("python -m fcsweep ")[2])
    ours = [name for name in jobs() if name.partition("_")[0] == max(map(_array, jobs()), key=int)]
    assert {jobs()[name] for name in ours} == {"CANCELLED"} and len(ours) == 3
    results = [json.loads(path.read_text()) for path in tmp_path.glob("out/*/result.json")]
    assert [one["status"] for one in results] == ["interrupted", "interrupted"]


def _array(name):
    return name.partition("_")[0]


def test_what_slurm_refuses_is_told_in_its_words(tmp_path):
    code, _, error = said_by(start(tmp_path, [*GRID, *SLURM, "hydra.launcher.partition=nope"]))
    why = "sbatch: Batch job submission failed: Invalid partition name specified"
    assert (code, error) == (1, f"error: hydra/launcher is slurm; {why}\n")
