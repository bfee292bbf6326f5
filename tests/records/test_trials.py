"""The table of a sweep."""

import csv
import io
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from support.bare_sweeps import MOMENTUM, SGD, leave

from fcsweep.config import (
    AdamConfig,
    RunConfig,
    SgdConfig,
    SyntheticConfig,
    TwoLayerConfig,
    flat,
)
from fcsweep.records import sweep_table
from fcsweep.records.formats import HistoryRow
from fcsweep.records.writer import RunRecord
from fcsweep.report import contents
from fcsweep.system.atomic import RecordError
from fcsweep.terminal import sweep_view


@pytest.fixture
def two_rules(tmp_path) -> Path:
    value = {"value": 0.1 + 0.2, "best_val_accuracy": 0.1 + 0.2}
    return leave(tmp_path / "sweep", (SGD, value), (MOMENTUM, {}))


def test_the_file_of_a_sweep(two_rules):
    rows = sweep_table.write(two_rules)
    assert [row.number for row in rows] == [0, 1]
    assert (two_rules / "trials.csv").read_text() == (
        "number,status,value,optimizer.name,optimizer.learning_rate,seconds,folder,"
        "host,process,started,ended\n"
        f"0,completed,0.30000000000000004,sgd,0.01,1.25,{two_rules}/0,,,,\n"
        f"1,completed,0.95,momentum,0.1,1.25,{two_rules}/1,,,,\n"
    )


STARTED = "2026-03-01T23:59:59.500+00:00"
WORKER = {"host": "node1", "process": 4711, "started": STARTED, "ended": STARTED}


WORKERS = {
    "a worker": (WORKER, f",node1,4711,{STARTED},{STARTED}"),
    "killed": (WORKER | {"ended": None}, f",node1,4711,{STARTED},"),
    "an older record": ({"threads": 1}, ",,,,"),
    "a name that is none": (WORKER | {"host": ["node1"]}, ",,,,"),
    "a name that is too long": (WORKER | {"host": "x" * 256}, ",,,,"),
    "a number that is none": (WORKER | {"process": "4711"}, ",,,,"),
    "a time that is none": (WORKER | {"started": "yesterday"}, ",,,,"),
    "a time of no zone": (WORKER | {"started": STARTED[:-6]}, ",,,,"),
}


@pytest.mark.parametrize(("facts", "told"), WORKERS.values(), ids=WORKERS)
def test_which_worker_trained_a_run_as_far_as_its_record_tells(facts, told, two_rules):
    (two_rules / "0" / "provenance.json").write_text(json.dumps(facts | {"files": {}}))
    (two_rules / "1" / "provenance.json").write_text("{")
    (two_rules / "0" / "result.json").write_text('{"status": "running"}')  # which has no seal yet
    sweep_table.write(two_rules)
    _, one, damaged = (two_rules / "trials.csv").read_text().splitlines()
    assert one == f"0,running,,sgd,0.01,,{two_rules}/0{told}"
    assert damaged.endswith("/1,,,,")


def test_the_file_may_be_written_again(two_rules):
    first = sweep_table.write(two_rules)
    assert sweep_table.write(two_rules) == first
    assert sorted(path.name for path in two_rules.iterdir()) == ["0", "1", "trials.csv"]


def test_a_write_that_fails_leaves_what_was_there(two_rules, monkeypatch):
    sweep_table.write(two_rules)
    before = (two_rules / "trials.csv").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RecordError, match=r"trials\.csv cannot be written: No space left"):
        sweep_table.write(two_rules)
    assert (two_rules / "trials.csv").read_bytes() == before


def test_what_differs():
    def keys(*configs: RunConfig) -> list[str]:
        rows = [row(number, config) for number, config in enumerate(configs)]
        return sweep_table.differing(rows)

    assert keys(SGD, SGD) == []
    assert keys(SGD, replace(SGD, seed=1)) == ["seed"]
    assert keys(SGD, replace(SGD, optimizer=SgdConfig(learning_rate=1))) == [
        "optimizer.learning_rate"
    ]
    wide = replace(SGD, model=TwoLayerConfig(hidden_dims=[7]))
    assert keys(SGD, wide) == ["model.hidden_dims"]
    # beta1 exists for one of them only: its name says so already.
    both = keys(SGD, RunConfig(optimizer=AdamConfig(learning_rate=0.01)))
    assert both == ["optimizer.name"]
    # 1 and 1.0 are the same number, 1 and "1" or true are not.
    assert keys_of({"a": 1}, {"a": 1.0}) == []
    assert keys_of({"a": 1}, {"a": True}) == ["a"]
    assert keys_of({"a": 1}, {"a": "1"}) == ["a"]


def row(number: int, config: RunConfig, **changes: Any) -> sweep_table.Row:
    values: dict[str, Any] = {
        "number": number,
        "status": "completed",
        "value": 0.5,
        "reached": {"best val": 0.5, "best train": 0.75},
        "seconds": 1.0,
        "folder": Path("multirun") / str(number),
        "config": flat(asdict(config)),
        "reason": "",
    }
    return sweep_table.Row(**(values | changes))


def keys_of(*configs: dict[str, Any]) -> list[str]:
    return sweep_table.differing([replace(row(0, SGD), config=config) for config in configs])


def test_the_best_is_the_largest_and_the_first_of_equals():
    rows = [row(0, SGD, value=None), row(1, SGD), row(2, SGD, value=0.7), row(3, SGD, value=0.7)]
    assert sweep_table.best(rows) is rows[2]
    assert sweep_table.best(rows[:1]) is None
    assert sweep_table.best([]) is None


DAMAGE = {
    "no record": ((SGD, None), "missing", False),
    "no config": ((None, {}), "completed", True),
    "half a record": ((SGD, '{"status": "completed", "val'), "damaged", False),
    "NaN": ((SGD, '{"status": "completed", "value": NaN}'), "damaged", False),
    "failed": ((SGD, {"status": "failed", "value": None, "reason": "a\nb"}), "failed", False),
    "failed with a value": ((SGD, {"status": "failed", "value": 0.9}), "failed", False),
    "diverged": ((SGD, {"status": "diverged", "value": 0.4}), "diverged", True),
}


@pytest.mark.parametrize(("run", "status", "counts"), DAMAGE.values(), ids=DAMAGE)
def test_what_a_run_left_is_a_row_whatever_it_is(run, status, counts, tmp_path):
    (left,) = sweep_table.write(leave(tmp_path, run))
    assert left.status == status
    assert (left.value is not None) == counts
    assert left.failed == (not counts)
    assert "\n" not in left.reason
    assert Console(file=io.StringIO()).print(sweep_view.table([left], 80)) is None
    with open(tmp_path / "trials.csv", newline="") as file:
        (read,) = csv.DictReader(file)
    assert read["status"] == status


def test_a_damaged_config_costs_only_its_columns(tmp_path):
    leave(tmp_path, (SGD, {}), (replace(SGD, seed=1), {}), (replace(SGD, seed=2), {}))
    (tmp_path / "1" / ".hydra" / "config.yaml").write_text("[")
    rows = sweep_table.write(tmp_path)
    assert [row.status for row in rows] == ["completed", "damaged", "completed"]
    assert sweep_table.differing(rows) == ["seed"]


def test_a_record_that_was_changed_after_the_end_is_never_the_best(tmp_path):
    for number, value in enumerate((0.5, 0.4)):
        (tmp_path / str(number)).mkdir()
        record = RunRecord(tmp_path / str(number), "val_accuracy", target=None)
        record.add(HistoryRow(1, 2, 0.1, value, value, 0.1), np.zeros(2, np.float32), 0.5, b"")
        record.finish("completed")
    file = tmp_path / "1" / "result.json"
    file.write_text(file.read_text().replace("0.4", "0.999"))
    rows = sweep_table.write(tmp_path)
    assert sweep_table.best(rows) == rows[0]
    assert (rows[1].status, rows[1].value, rows[1].reached["best val"]) == ("damaged", None, None)
    assert rows[1].reason == f"{file} changed since it ended"
    assert "0.999" not in "".join([*sweep_view.lines(rows), (tmp_path / "trials.csv").read_text()])


def test_a_run_that_failed_is_never_the_best(tmp_path):
    high = {"value": 0.9, "best_val_accuracy": 0.9}
    leave(tmp_path, (SGD, {"status": "failed", **high, "reason": "no space"}), (MOMENTUM, {}))
    rows = sweep_table.write(tmp_path)
    assert sweep_table.best_point(sweep_table.points(rows)).first == rows[1]
    page = contents.read(tmp_path)
    assert [run["number"] for run in page.tops] == [1]
    assert (rows[0].reached["best val"], page.runs[0]["best_val_accuracy"]) == (0.9, 0.9)


def test_other_things_in_the_folder_are_no_runs(tmp_path):
    leave(tmp_path, (SGD, {}))
    (tmp_path / "12").touch()
    (tmp_path / "notes").mkdir()
    assert [row.number for row in sweep_table.write(tmp_path)] == [0]


def test_runs_come_by_number_not_by_name(tmp_path):
    leave(tmp_path, *[(replace(SGD, seed=seed), {}) for seed in range(11)])
    assert [row.number for row in sweep_table.load(tmp_path)] == list(range(11))


def test_plain_lines_are_never_cut(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "20")
    far = Path("/" + "deep/" * 40)
    sweep_view.show([row(0, SGD, folder=far / "0"), row(1, MOMENTUM, value=0.9, folder=far / "1")])
    out = capsys.readouterr().out
    assert out.splitlines()[:2] == [
        f"optimizer  learning_rate  best val  best train  status     seconds  {'folder'}",
        f"sgd        0.01           0.5000    0.7500      completed  1.0      {far / '0'}",
    ]
    assert out.endswith(f"best: {far / '1'} (0.9000), optimizer momentum, learning_rate 0.1\n")
    assert "\x1b" not in out
    assert not set("│━┃") & set(out)


def test_a_terminal_gets_colours_and_loses_nothing():
    file, sweep = io.StringIO(), Path("/a-long-name/of-a-sweep/[in]/brackets")
    failed = row(2, SGD, status="failed", value=None, folder=sweep / "2")
    rows = [row(0, SGD, folder=sweep / "0"), row(1, MOMENTUM, folder=sweep / "1"), failed]
    Console(file=file, force_terminal=True, width=100).print(sweep_view.table(rows, 100))
    green, red = "\x1b[1;32m", "\x1b[31m"
    assert green in file.getvalue()
    assert red in file.getvalue()
    plain = re.sub(r"\x1b\[[\d;]*m", "", file.getvalue())
    assert str(sweep) in plain
    cells = [line.replace("│", " ").split() for line in plain.splitlines() if "│" in line]
    values = ["0.5000", "0.7500"]
    assert cells == [
        ["sgd", "0.01", *values, "completed", "1.0", "0"],
        ["momentum", "0.1", *values, "completed", "1.0", "1"],
        ["sgd", "0.01", *values, "failed", "1.0", "2"],
    ]


def test_made_up_data_stay_visible():
    synthetic = replace(SGD, data=SyntheticConfig())
    assert "synthetic" in sweep_view.lines([row(0, synthetic), row(1, synthetic)])[-1]
    assert "synthetic" in str(sweep_view.table([row(0, synthetic)], 80).caption)
    mixed = sweep_view.lines([row(0, SGD), row(1, synthetic)])
    assert mixed[0].split()[0] == "data"
    assert "synthetic" in mixed[2]
    assert sweep_view.table([row(0, SGD)], 80).caption is None


def test_headings_are_short_where_they_stay_apart():
    rows = [
        replace(row(n, SGD), config=dict.fromkeys(["a.x", "b.x", "b.y", "b.name"], n))
        for n in (0, 1)
    ]
    assert sweep_view.lines(rows)[0].split()[:4] == ["a.x", "b.x", "y", "b"]


# --- Many rows, and a narrow terminal -------------------------------------------------------------


def searched(count: int, **changes: Any) -> list[sweep_table.Row]:
    """The rows of a search; the later the better, but for the first three, which are the best."""
    configs = [
        replace(
            SGD,
            model=TwoLayerConfig(weight_scale=0.03648898430787486 / (n + 1)),
            optimizer=SgdConfig(learning_rate=0.0123456789 * (n + 1)),
        )
        for n in range(count)
    ]
    values = [0.995 if n < 3 else n / 1000 for n in range(count)]
    each = enumerate(zip(configs, values, strict=True))
    return [row(n, config, value=value, **changes) for n, (config, value) in each]


def on_a_terminal(rows: list[sweep_table.Row], width: int, monkeypatch, capsys) -> list[str]:
    """The lines that a sweep ends with, without their colours."""
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": str(width), "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    sweep_view.show(rows)
    out = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert all(len(line.rstrip()) <= width for line in out.splitlines())
    return [line.rstrip() for line in out.splitlines()]


def test_of_many_rows_the_ten_best_are_shown(monkeypatch, capsys):
    rows = searched(200)
    sweep_view.show(rows)
    plain = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in plain[1:-2]] == [
        f"multirun/{n}" for n in (0, 1, 2, *range(199, 192, -1))
    ]
    assert plain[1].split()[:3] == ["0.03649", "0.01235", "0.5000"]
    assert plain[-2:] == [
        "10 best of 200, best first; 190 more in multirun/trials.csv",
        "best: multirun/0 (0.9950), weight_scale 0.03649, learning_rate 0.01235; 2 others reach it",
    ]
    for width in (80, 120):
        shown = on_a_terminal(rows, width, monkeypatch, capsys)
        assert len(shown) <= 18
        assert "10 best of 200, best first; 190 more in multirun/trials.csv" in shown
        assert not re.search(r"\d\.\d{8}", "\n".join(shown))
        assert " ".join(shown[-2:]).endswith(plain[-1])


def test_ten_rows_are_all_shown_by_number(monkeypatch, capsys):
    for width in (80, 120):
        shown = on_a_terminal(searched(10), width, monkeypatch, capsys)
        cells = [line.replace("│", " ").split() for line in shown]
        numbers = [one[-1] for one in cells if "completed" in one]
        assert numbers == [str(n) for n in range(10)]
        assert not [line for line in shown if "more in" in line]
        assert any("┃" in line for line in shown) == (width == 120)


def test_a_narrow_terminal_leaves_out_what_is_needed_least(monkeypatch, capsys):
    rows = searched(12, status="pruned")
    heads = {
        width: re.split(r"\s\s+", on_a_terminal(rows, width, monkeypatch, capsys)[0])
        for width in (80, 70, 60, 50)
    }
    params, always = ["weight_scale", "learning_rate"], ["best val"]
    assert heads == {
        80: [*params, *always, "best train", "status", "seconds", "folder"],
        70: [*params, *always, "best train", "status", "folder"],
        60: [*params, *always, "status", "folder"],
        50: [*params, *always, "folder"],
    }
    by_train = [
        replace(one, config=dict(one.config) | {"objective": "train_accuracy"}) for one in rows
    ]
    assert "best train" in on_a_terminal(by_train, 60, monkeypatch, capsys)[0]
    assert "best val" not in on_a_terminal(by_train, 60, monkeypatch, capsys)[0]
    rows[0] = replace(rows[0], status="completed")
    assert "status" in on_a_terminal(rows, 60, monkeypatch, capsys)[0]
    assert "status" in on_a_terminal(rows, 50, monkeypatch, capsys)[0]


def test_a_key_that_the_best_run_does_not_have_is_not_named():
    rows = [replace(row(n, SGD), config=one) for n, one in enumerate([{"a.x": 1}, {"a.y": 2}])]
    rows += [replace(rows[0], config={"a.x": 2, "a.y": 3}, value=0.1)]
    assert sweep_view.below(rows) == ["best: multirun/0 (0.5000), x 1; 1 other reaches it"]


def test_no_rows_no_table(capsys, tmp_path):
    sweep_view.show(sweep_table.write(tmp_path))
    assert capsys.readouterr().out == ""
    assert (tmp_path / "trials.csv").read_text() == "number,status,value,seconds,folder\n"
