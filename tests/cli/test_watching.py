"""A grid that workers train is shown by the command that started them."""

import json
import os

from support.bare_sweeps import MOMENTUM, RESULT, SGD, leave

from fcsweep.cli.watching import Jobs, watch


def write(folder, number, **result):
    (folder / str(number) / "result.json").write_text(json.dumps(RESULT | result))


def before(folder):
    """A grid of which a job has ended and one has failed, an hour ago."""
    failed = {"status": "failed", "value": None}
    leave(folder, (SGD, {}), (MOMENTUM, failed), (SGD, {"status": "running"}), (MOMENTUM, None))
    for path in folder.glob("*/result.json"):
        os.utime(path, (1e9, 1e9))
    return folder


def test_each_job_that_ends_is_a_line_whoever_trained_it(tmp_path, capsys):
    folder = before(tmp_path)
    news = iter(
        [
            lambda: write(folder, 3, status="diverged", value=None),
            lambda: write(folder, 1, status="failed", value=None),
            lambda: write(folder, 2, value=0.875),
        ]
    )
    steps = []

    def working():
        for step in news:
            steps.append(step())
            return True
        return False

    watch(working, folder, 4)
    said = capsys.readouterr().out.splitlines()
    assert said == ["job 3: diverged -", "job 1: failed -", "job 2: completed 0.8750"]


def test_what_ends_as_the_workers_do_is_told(tmp_path, capsys):
    folder = before(tmp_path)

    def working():
        write(folder, 2)
        return False

    watch(working, folder, 4)
    assert capsys.readouterr().out == "job 2: completed 0.9500\n"


def test_a_job_that_failed_before_runs_again(tmp_path):
    jobs = Jobs(before(tmp_path))
    assert [one.number for one in jobs.look()] == [0]
    assert jobs.statuses() == ["completed", "running"]
    write(tmp_path, 1, status="running")
    write(tmp_path, 2, status="pruned")
    assert [one.number for one in jobs.look()] == [2] and jobs.look() == []
    assert sorted(jobs.statuses()) == ["completed", "pruned", "running"]
