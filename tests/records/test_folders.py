"""Which folder a run or a sweep may use."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from support import preloaded

from fcsweep.config import RunConfig
from fcsweep.messages.errors import FolderError
from fcsweep.records.ownership import check_run, check_sweep, hold, make
from fcsweep.records.reader import look

CONFIG, OTHER = RunConfig(), RunConfig(seed=1)


def leave(folder: Path, config: RunConfig = CONFIG, **result: Any) -> Path:
    """What a run leaves in its folder."""
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save(OmegaConf.create(asdict(config)), folder / ".hydra" / "config.yaml")
    if result:
        (folder / "result.json").write_text(json.dumps(result))
    return folder


@pytest.mark.parametrize("status", ["completed", "pruned", "diverged"])
def test_a_finished_run_is_done(status, tmp_path):
    assert check_run(leave(tmp_path / "run", status=status), CONFIG)


@pytest.mark.parametrize("status", ["running", "interrupted", "failed"])
def test_an_unfinished_run_may_go_on(status, tmp_path):
    assert not check_run(leave(tmp_path / "run", status=status), CONFIG)


def test_a_new_and_an_empty_folder_may_be_used(tmp_path):
    assert not check_run(tmp_path / "new", CONFIG)
    assert not check_run(tmp_path, CONFIG)
    assert check_sweep(tmp_path / "new", [CONFIG]) == []
    assert check_sweep(tmp_path, None) == []


def test_a_run_that_was_killed_while_its_config_was_written_may_start_again(tmp_path):
    (leave(tmp_path / "run") / ".hydra" / "config.yaml").write_text("")
    assert not check_run(tmp_path / "run", CONFIG)


def test_a_run_that_was_killed_before_its_config_was_written_may_start_again(tmp_path):
    (tmp_path / "fcsweep.log").touch()
    assert not check_run(tmp_path, CONFIG)


def spoil(folder: Path, file: str, content: str) -> Path:
    (folder / file).write_text(content)
    return folder


REFUSED = {
    "a file": (lambda at: spoil(at, "run", ""), "is a file"),
    "below a file": (lambda at: spoil(at, "run", "") / "run" / "x", "is a file, or lies in one"),
    "something else": (lambda at: spoil(at, "notes.txt", "mine"), "something that is not a run"),
    "another config": (
        lambda at: leave(at / "run", OTHER, status="completed"),
        "a different config (seed: recorded 1, requested 0)",
    ),
    "many changes": (
        lambda at: leave(at / "run", RunConfig(seed=1, device="cpu", dtype="float64", target=0.5)),
        "requested 'float32' and 1 more)",
    ),
    "another program": (
        lambda at: spoil(leave(at / "run"), ".hydra/config.yaml", "lr: 3"),
        "not a run of this program (unknown key lr (given 3)",
    ),
    "a damaged config": (
        lambda at: spoil(leave(at / "run", status="completed"), ".hydra/config.yaml", "["),
        "a damaged run (",
    ),
    "a damaged result": (
        lambda at: spoil(leave(at / "run"), "result.json", '{"status": "compl'),
        "result.json cannot be read",
    ),
}


@pytest.mark.parametrize(("prepare", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(prepare, words, tmp_path):
    folder = prepare(tmp_path)
    if folder == tmp_path and (tmp_path / "run").is_file():
        folder = tmp_path / "run"
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FolderError) as error:
        check_run(folder, CONFIG)
    assert words in str(error.value)
    assert str(error.value).startswith(f"hydra.run.dir: {folder} ")
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


RESULTS = {
    "cut": '{"status": "comp',
    "no status": "{}",
    "a status of nobody": '{"status": "ok"}',
    "a list": "[]",
    "NaN": '{"status": "completed", "value": NaN}',
    "NaN elsewhere": '{"status": "completed", "epochs": NaN}',
    "inf": '{"status": "completed", "value": 1e999}',
    "text": '{"status": "completed", "value": "0.9"}',
    "brackets": "[" * 100_000,
    "large": '{"status": "completed", "reason": "' + "x" * 1_000_000 + '"}',
    "bytes": "\x00",
    "empty": "",
}


@pytest.mark.parametrize("text", RESULTS.values(), ids=RESULTS)
def test_a_damaged_result_is_named_and_never_believed(text, tmp_path):
    found = look(spoil(leave(tmp_path / "run"), "result.json", text))
    assert found.result is None
    assert not found.finished
    assert found.damage is not None
    assert found.damage.startswith(f"{tmp_path / 'run' / 'result.json'} cannot be read: ")


def test_a_sweep_leaves_out_what_is_finished(tmp_path):
    leave(tmp_path / "0", CONFIG, status="completed")
    leave(tmp_path / "2", CONFIG, status="running")
    (tmp_path / "multirun.yaml").write_text("")
    assert check_sweep(tmp_path, [CONFIG, OTHER, CONFIG, OTHER]) == [0]


def test_a_sweep_refuses_the_folder_of_another(tmp_path):
    leave(tmp_path / "s" / "1", OTHER, status="completed")
    with pytest.raises(FolderError, match="s/1 contains a run with a different config .*1, req"):
        check_sweep(tmp_path / "s", [CONFIG, CONFIG])
    with pytest.raises(FolderError, match="s holds run 1, but this sweep has 1, from 0"):
        check_sweep(tmp_path / "s", [CONFIG])
    leave(tmp_path / "run", CONFIG, status="completed")
    with pytest.raises(FolderError, match=r"holds something that is not a sweep \(\.hydra\)"):
        check_sweep(tmp_path / "run", [CONFIG])
    with pytest.raises(FolderError, match="not a sweep"):
        check_sweep(tmp_path / "run", None)


def test_a_folder_is_made_once(tmp_path):
    assert make(tmp_path / "a" / "b", "hydra.run.dir")
    assert not make(tmp_path / "a" / "b", "hydra.run.dir")
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match=r"file/x cannot be made \(Not a directory\)"):
        make(tmp_path / "file" / "x", "hydra.run.dir")


def test_a_folder_in_use_is_refused_until_its_process_ends(tmp_path):
    code = "import sys; from pathlib import Path; from fcsweep.records.ownership import hold\n"
    code += "with hold(Path(sys.argv[1]), 'hydra.run.dir'): print('in', flush=True); input()"
    command = [sys.executable, "-c", code, str(tmp_path)]
    with preloaded.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        with (
            pytest.raises(FolderError, match=rf"is in use by process {other.pid} \("),
            hold(tmp_path, "hydra.run.dir"),
        ):
            pass
        other.kill()
        other.wait()
    with hold(tmp_path, "hydra.run.dir"):
        assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_was_writing_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    (tmp_path / ".hydra").mkdir()
    with preloaded.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        there = tmp_path / f".report.html.{other.pid}.tmp"
        gone = tmp_path / ".trials.csv.4194305.tmp"  # larger than any number of a process
        ours = tmp_path / ".hydra" / f".config.yaml.{os.getpid()}.tmp"
        before = tmp_path / f".before.{other.pid}.tmp"  # its number was another process's then
        for path in (there, gone, ours, before):
            path.touch()
        os.utime(before, (0, 0))
        with hold(tmp_path, "hydra.run.dir"):
            assert [path.name for path in tmp_path.rglob("*.tmp")] == [there.name]
        other.kill()
        other.wait()
    with hold(tmp_path, "hydra.run.dir"):
        assert list(tmp_path.rglob("*.tmp")) == []
