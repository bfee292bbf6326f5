"""Which worker trained which runs, and when, and how much of its time it was idle."""

from datetime import timedelta

import pytest
from support.written_sweeps import NOON, config_of, trained_by, write_run, write_sweep

from fcsweep.analysis.workers import time_line
from fcsweep.records import load_runs


def run(host, process, start, end, **more):
    """A row of the table of runs."""
    facts = trained_by(host, process, start, end)
    told = {f"provenance.{key}": fact for key, fact in facts.items()}
    return {"status": "completed", "seconds": 99.0, **told, **more}


def stacks_of(worker):
    return [(stack.start, stack.end, [*stack.runs]) for stack in worker.stacks]


def test_runs_that_one_process_started_together_are_a_stack():
    line = time_line(
        [
            run("a", 7, 6, 9),  # resumed last
            run("b", 7, 2, 5),
            run("a", 7, 1, 4),
            run("a", 7, 1, 3),  # pruned before the others of its stack
            run("a", 8, 1, 4),
        ]
    )
    assert line is not None and line.since == NOON + timedelta(seconds=1)
    assert [(worker.host, worker.process) for worker in line.workers] == [
        ("a", 7),
        ("a", 8),
        ("b", 7),
    ]
    assert stacks_of(line.workers[0]) == [(0, 3, [2, 3]), (5, 8, [0])]
    assert stacks_of(line.workers[2]) == [(1, 4, [1])]


@pytest.mark.parametrize(
    ("times", "idle"),
    {
        "one stack": ([(0, 10)], 0),
        "a pause": ([(0, 4), (6, 10)], 0.2),
        "one after the other": ([(0, 4), (4, 10)], 0),
        "some within another": ([(0, 10), (2, 3), (4, 5)], 0),
        "two that overlap": ([(0, 4), (3, 5), (8, 10)], 0.3),
        "no time": ([(3, 3)], 0),
        "a clock that was set back": ([(0, 4), (5, 2)], 0.2),
    }.values(),
)
def test_idle_is_the_part_of_its_time_in_which_a_worker_trained_nothing(times, idle):
    line = time_line([run("a", 1, *time) for time in times])
    assert line is not None and line.workers[0].idle == pytest.approx(idle)


def test_a_run_that_has_not_ended_has_trained_until_it_was_last_heard_of():
    rows = [run("a", 1, 0, None, seconds=seconds) for seconds in (3.0, 99.0, None)]
    line = time_line(rows, NOON + timedelta(seconds=10))
    assert line is not None and stacks_of(line.workers[0]) == [(0, 10, [0, 1, 2])]
    alone = time_line(rows[:1], NOON + timedelta(seconds=10))
    assert alone is not None and alone.workers[0].end == 3


def test_records_that_tell_nothing_or_are_damaged_are_left_out(tmp_path):
    assert time_line([{"status": "completed"}, run("a", 1, 0, 1, status="damaged")]) is None
    sweep = write_sweep(tmp_path / "s", {})
    for number in range(3):
        worker = trained_by("a", 1 + number, number, 5) if number else None
        write_run(sweep / str(number), config_of(0.1, 0.1), (0.5,), worker=worker)
    line = time_line(load_runs(sweep))
    assert line is not None
    assert [(worker.process, stacks_of(worker)) for worker in line.workers] == [
        (2, [(0, 4, [1])]),
        (3, [(1, 4, [2])]),
    ]


@pytest.mark.parametrize(
    ("seconds", "unit"), [(30, "s"), (1000, "min"), (20_000, "h"), (1e6, "d"), (1e9, "d")]
)
def test_the_length_of_a_sweep_is_told_in_a_unit_in_which_it_can_be_read(seconds, unit):
    line = time_line([run("a", 1, 0, seconds)])
    assert line is not None and line.unit[1] == unit
