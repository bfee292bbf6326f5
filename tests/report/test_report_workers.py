"""Which worker trained what, on the page."""

import pytest
from support.report_pages import HOSTILE, page_of
from support.written_sweeps import config_of, trained_by, write_run, write_sweep

from fcsweep import report
from fcsweep.report.page import compare


def written(folder, *workers):
    sweep = write_sweep(folder, {"optimizer.learning_rate": "0.1,0.2"})
    for number, worker in enumerate(workers):
        config = config_of(0.1, 0.1 + number)
        write_run(sweep / str(number), config, (0.5, 0.9), target=None, worker=worker)
    return sweep


@pytest.fixture
def of_two(tmp_path):
    times = [("node1", 1, 0, 60), ("node1", 1, 0, 45), ("node2", 7, 30, 600), ("node1", 1, 90, 120)]
    return written(tmp_path / "two", *(trained_by(*one) for one in times))


def test_a_sweep_of_several_workers_tells_what_each_trained_and_how_long_it_was_idle(of_two):
    page = page_of(of_two)
    said = page.text()
    assert "worker machine idle stacks trials from (min) to (min) process" in said
    assert "1 node1 25% 2 3 0.0 2.0 1 2 node2 0% 1 1 0.5 10.0 7" in said
    assert "from 2026-03-01 12:00:00 UTC, the first start" in said
    assert page.figures()[-1] == "time_line"
    assert page.data["time_line"] == {
        "unit": "min",
        "hosts": ["node1", "node2"],
        "processes": [1, 7],
        "stacks": [[0, 0, 1, [0, 1]], [0, 1.5, 2, [3]], [1, 0.5, 10, [2]]],
    }


def test_the_provenance_of_a_sweep_names_its_machines(of_two):
    said = page_of(of_two).text()
    assert "host node1 | node2" in said
    assert "started" not in said and "2026-03-01T" not in said


@pytest.mark.parametrize(
    "workers",
    [[None, None], [trained_by("a", 1, 0, 1), trained_by("a", 1, 2, 3)]],
    ids=["older records", "one worker"],
)
def test_a_sweep_of_one_worker_or_of_older_records_has_no_such_section(workers, tmp_path):
    page = page_of(written(tmp_path / "one", *workers))
    assert "time_line" not in page.figures() and page.data["time_line"] is None
    assert "idle" not in page.text()


def test_a_comparison_and_a_single_run_have_none(of_two, tmp_path):
    other = written(tmp_path / "other", None, trained_by("a", 1, 0, 1))
    assert "Time line" not in compare([of_two, other], tmp_path / "both.html").read_text()
    assert "Time line" not in report.write(of_two / "0").read_text()


def test_the_name_of_a_machine_is_a_text(tmp_path):
    workers = [trained_by(HOSTILE, 1, 0, 1), trained_by("b\x1b[31m", 1, 0, 1)]
    page = page_of(written(tmp_path / "hostile", *workers))
    assert not [tag for tag, _ in page.tags if tag == "img"] and page.scripts() == ["data", None]
    assert HOSTILE in page.text() and "\x1b" not in page.text()
