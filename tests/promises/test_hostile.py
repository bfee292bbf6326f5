"""What nobody should give to a program, given to every command: it works, or ends in one line.

Nothing is trained then, no folder is left behind, and nothing that lies in a folder is executed.
"""

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import pytest
from support.programs import Command, contents, said
from support.report_pages import page_of
from support.written_sweeps import SEARCHED, config_of, write_run, write_search, write_sweep

from fcsweep import report
from fcsweep.analysis import findings
from fcsweep.config import RunConfig
from fcsweep.data.cache import Copy
from fcsweep.data.images.image_set import Images
from fcsweep.messages.errors import FolderError, StudyError, UserError
from fcsweep.messages.wording import printable
from fcsweep.records import sweep_table
from fcsweep.records.frames import DamageWarning, load_history, load_losses, load_runs
from fcsweep.records.ownership import check_run, check_sweep
from fcsweep.records.reader import losses_of
from fcsweep.rerun.repeat import rerun
from fcsweep.run.checkpoint import find
from fcsweep.search.outcomes import read_outcome
from fcsweep.search.study.storage import storage_of
from fcsweep.terminal import sweep_view

SECONDS = 5
"""CPU time after which a mistake must be told."""

# --- Names of places ------------------------------------------------------------------------------

NAMES = {
    "spaces": " a  b ",
    "quotes": 'it\'s "so"',
    "grammar": "a=b,[c]{d}(e)~#*?",
    "formats": "%(x)s%s[/red][bold]",
    "backslash": "a\\b",
    "Unicode": "\u05d0\u202e\U0001f469\u200d\U0001f4bbe\u0301\u0327",
    "200 characters": "x" * 200,
    "controls": "a\nb\tc\x1b[31ma\x07",
    "a dash": "-m",
    "dots": "a/../b",
}
EVERYTHING = ' it\'s="so",[/red]~#\\*%s\u05d0\u202e\U0001f469\u200d\U0001f4bbe\u0301\n\x1b[31m '
SLOW = pytest.mark.slow


def quoted(name: str) -> str:
    return "'" + name.replace("'", "\\'") + "'"


@pytest.mark.slow
@pytest.mark.parametrize("names", [[EVERYTHING], pytest.param(list(NAMES.values()), marks=SLOW)])
def test_a_place_may_have_any_name(names, tmp_path):
    """The folder of a run, of a sweep, of the config files, and the one that a command runs in."""
    commands = []
    for number, name in enumerate(names):
        cwd = tmp_path / str(number) / name.replace("/", "-")
        (cwd / "a").mkdir(parents=True)  # for the dots
        experiment = cwd / name / "experiment" / "x.yaml"
        experiment.parent.mkdir(parents=True)
        experiment.write_text("# @package _global_\nseed: 3\n")
        run, sweep = (quoted(f"{name}/{kind}") for kind in ("run", "sweep"))
        words = ["fcsweep", f"--config-dir={name}", "experiment=x", f"hydra.run.dir={run}"]
        commands.append(Command(words, str(cwd)))
        commands.append(Command(words, str(cwd)))  # again: it is done
        sweep = ["fcsweep", "-m", "model.reg=0,1", f"hydra.sweep.dir={sweep}"]
        commands.append(Command(sweep, str(cwd)))
    ended = said(commands)
    for number, name in enumerate(names):
        first, again, sweep = ended[3 * number : 3 * number + 3]
        cwd = tmp_path / str(number) / name.replace("/", "-")
        assert (first.code, first.trained, first.err) == (0, 1, ""), name
        assert (again.code, again.trained, again.err) == (0, 0, ""), name
        assert again.out == f"{printable(name)}/run is done: completed, val_accuracy 0.5000\n"
        assert (sweep.code, sweep.trained, sweep.err) == (0, 2, ""), name
        assert f"report: {printable(name)}/sweep/report.html\n" in sweep.out
        assert all(line.isprintable() for line in sweep.out.splitlines())
        assert (cwd / name / "run" / "result.json").is_file()
        assert (cwd / name / "sweep" / "1" / "result.json").is_file()


@SLOW
def test_a_run_may_be_read_in_a_folder_of_any_name(tmp_path):
    made = Command(["fcsweep", "solver.num_epochs=1", "hydra.run.dir=run"], str(tmp_path))
    readers, folders = ("rerun", "evaluate", "report"), []
    assert said([made], quick=False)[0].code == 0
    for name in NAMES.values():
        folders.append(tmp_path / "named" / name)
        (tmp_path / "named" / "a").mkdir(parents=True, exist_ok=True)
        shutil.copytree(tmp_path / "run", folders[-1])
    relative = [os.path.relpath(folder, tmp_path) for folder in folders]
    commands = [[reader, name] for name in relative for reader in readers]
    ended = said([Command(words, str(tmp_path)) for words in commands], quick=False)
    for (reader, name), one in zip(commands, ended, strict=True):
        assert (one.code, one.err) == (0, ""), (reader, name)
        assert all(line.isprintable() for line in one.out.splitlines())
    assert all((folder / "report.html").is_file() for folder in folders)


def spoiled(at: Path, spoil: Callable[[Path], object]) -> str:
    at.mkdir()
    spoil(at)
    return str(at)


PLACES: dict[str, Callable[[Path], object]] = {
    "a dangling link": lambda at: (at / "x").symlink_to("nowhere"),
    "a link in a circle": lambda at: (at / "x").symlink_to(at / "x"),
    "a pipe": lambda at: os.mkfifo(at / "x"),
    "a file": lambda at: (at / "x").touch(),
    "a device": lambda at: (at / "x").symlink_to("/dev/zero"),
    "a loop of folders": lambda at: [(at / "x").mkdir(), (at / "x" / "y").symlink_to(at / "x")],
}
SEARCH = ["-m", "hydra/sweeper=optuna", "seed=range(0,9)", "hydra.sweeper.n_trials=1"]


@pytest.mark.slow
@pytest.mark.parametrize("many", [False, pytest.param(True, marks=SLOW)])
def test_what_is_in_the_way_is_one_line(many, tmp_path):
    commands, names = [], []
    for number, (name, spoil) in enumerate(PLACES.items()):
        cwd = spoiled(tmp_path / str(number), spoil)
        each = [["fcsweep", "hydra.run.dir=x"]]
        others = [["fcsweep", *SEARCH, "hydra.sweep.dir=x"], ["report", "x"], ["rerun", "x"]]
        others.append(["fcsweep", "-m", "seed=1,2", "hydra.sweep.dir=x"])
        for words in [*each, *(others if many else [])]:
            commands.append(Command(words, cwd))
            names.append((name, words[-1]))
    words = {"long": "x" * 300, "no UTF-8": "a\udcffb", "nothing": "${nothing}", "a null": "a\0b"}
    for name, place in words.items():
        for key in [["hydra.run.dir"], ["-m", "seed=1,2", "hydra.sweep.dir"]][: 1 + many]:
            *before, last = key
            commands.append(Command(["fcsweep", *before, f"{last}={quoted(place)}"], str(tmp_path)))
            names.append((name, last))
    (tmp_path / "no UTF-8: \udcff").mkdir()
    commands.append(Command(["fcsweep", "-m", "seed=1,2"], str(tmp_path / "no UTF-8: \udcff")))
    names.append("a folder that is not UTF-8")
    before = contents(tmp_path)
    for name, one in zip(names, said(commands), strict=True):
        assert (one.code, one.trained, one.out) == (1, 0, ""), name
        assert one.err.startswith("error: ") and one.err.count("\n") == 1, name
        assert one.err.rstrip("\n").isprintable() and one.seconds < SECONDS, name
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", [EVERYTHING, "../cache", *PLACES])
def test_a_cache_folder_may_be_anything(name, tmp_path, monkeypatch):
    """A copy is kept there, or not; data that are at hand are read all the same."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    if name in PLACES:
        PLACES[name](tmp_path / "here")
    monkeypatch.setenv("FCSWEEP_CACHE", "x" if name in PLACES else name)
    images = Images(np.zeros((2, 3), np.uint8), np.zeros(2, np.uint8))
    copy = Copy("few", made_from="these")
    assert copy.read(Images.from_tensors) is None
    copy.write(images)
    kept = copy.read(Images.from_tensors)
    assert (kept is not None) == (name not in PLACES or name == "a loop of folders")
    assert kept is None or kept.sha256 == images.sha256


@pytest.mark.parametrize("inside", [".hydra/config.yaml", ".hydra/hydra.yaml", "fcsweep.log"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_nothing_is_written_through_a_link_or_a_pipe(inside, kind, tmp_path):
    run = tmp_path / "s" / "0"
    (run / ".hydra").mkdir(parents=True)
    (tmp_path / "outside").write_text("mine")
    if kind == "link":
        (run / inside).symlink_to(tmp_path / "outside")
    else:
        os.mkfifo(run / inside)
    for check in (
        lambda: check_run(run, RunConfig()),
        lambda: check_sweep(run.parent, [RunConfig()]),
    ):
        with pytest.raises(FolderError, match=f"holds {Path(inside).name}, a link or no file"):
            check()
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "multirun.yaml").touch()
    (tmp_path / "t" / "0").symlink_to(run)
    with pytest.raises(FolderError, match="holds 0, a link or no file"):
        check_sweep(tmp_path / "t", None)


# --- YAML files of a user -------------------------------------------------------------------------

HEAD = "# @package _global_\n"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefg", "bcdefgh", strict=True)
)
CIFAR10 = "defaults:\n  - override /data: cifar10\n"
FILES: dict[str, tuple[str | bytes, str]] = {
    # what is in the file: what is said, nothing if it works
    "fine": (HEAD + "seed: 3\n", ""),
    "a byte-order mark": ("\ufeff" + HEAD + "seed: 3\n", ""),
    "1e-3": (HEAD + "optimizer:\n  learning_rate: 1e-3\n", ""),
    "a tab": (HEAD + "optimizer:\n\tlearning_rate: 1\n", "cannot start any token"),
    "a duplicate key": (HEAD + "seed: 3\nseed: 4\n", "found duplicate key seed"),
    "12:30": (HEAD + "seed: 12:30\n", "12:30 in line 2 would be 750 in YAML"),
    "010": (HEAD + "model:\n  hidden_dims: [010]\n", "010 in line 3 would be 8 in YAML"),
    "no": (HEAD + "seed: no\n", "seed is false; expected a whole number"),
    "no root": (HEAD + CIFAR10 + "data:\n  root: no\n", "data.root is false; expected a path"),
    "a date": (HEAD + "seed: 2020-01-01\n", "seed is '2020-01-01'; expected a whole number"),
    "a text": (HEAD + "optimizer:\n  learning_rate: '0.1'\n", "is '0.1'; expected a number > 0"),
    "a number as key": (HEAD + "1: 2\n", "unknown key 1 (given 2)"),
    "null as key": (HEAD + "~: 2\n", "Incompatible key type"),
    "binary": (HEAD + "seed: !!binary aGVsbG8=\n", "seed is b'hello'"),
    "itself": (HEAD + "model: &a\n  reg: *a\n", "uses a YAML alias"),
    "a bomb of aliases": (HEAD + BOMB, "uses a YAML alias"),
    "a merge": (HEAD + "a: &a {seed: 1}\n<<: *a\n", "uses a YAML alias"),
    "brackets": (HEAD + "a: " + "[" * 3000, "deeper than 20 levels"),
    "mappings": (HEAD + "a: " + "{b: " * 3000, "deeper than 20 levels"),
    "a circle": (
        HEAD + "seed: ${solver.num_epochs}\nsolver:\n  num_epochs: ${seed}\n",
        "Recursive interpolation detected",
    ),
    "a circle of files": (HEAD + "defaults:\n  - x\n", "lead in a circle"),
    "a file elsewhere": (HEAD + "defaults:\n  - ../../../../etc/passwd\n", "there is no config"),
    "no such file": (HEAD + "defaults:\n  - /optimizer: sg\n", "did you mean sgd?"),
    "no list of files": (HEAD + "defaults: sgd\n", "defaults must be a list (got str)"),
    "10 MB of comment": (HEAD + "# " + "x" * 10_000_000, "larger than 100000 bytes"),
    "10 MB of numbers": (HEAD + "a: [" + "1," * 5_000_000 + "1]", "larger than 100000 bytes"),
    "an object": (
        HEAD + "seed: !!python/object/apply:os.system ['touch pwned']\n",
        "python/object",
    ),
    "a target": (HEAD + "model:\n  _target_: os.system\n", "unknown key model._target_"),
    "a secret": (HEAD + CIFAR10 + "data:\n  root: ${oc.env:A_TOKEN}\n", "data.root holds a secret"),
    "nothing": ("", "unknown key experiment"),
    "a list": ("- 1\n- 2\n", "unknown key experiment (given [1, 2])"),
    "two documents": (HEAD + "seed: 1\n---\nseed: 2\n", "expected a single document"),
    "bytes": (bytes(range(256)), "cannot be read: "),
    "Latin-1": ((HEAD + "seed: 3 # \xe9").encode("latin1"), "cannot be read: "),
    "UTF-16": ((HEAD + "seed: 3\n").encode("utf-16"), "cannot be read: "),
    "a null": (HEAD + "seed: 3\0", "control characters are not allowed"),
}


@pytest.mark.slow
def test_a_yaml_file_works_or_is_named_in_one_line(tmp_path):
    commands = []
    for number, (content, _) in enumerate(FILES.values()):
        file = tmp_path / str(number) / "experiment" / "x.yaml"
        file.parent.mkdir(parents=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        words = ["fcsweep", f"--config-dir={number}", "experiment=x", f"hydra.run.dir=run-{number}"]
        commands.append(Command(words, str(tmp_path)))
    ended = said(commands, env={"A_TOKEN": "geheim-17"})
    for (name, (_, words)), one in zip(FILES.items(), ended, strict=True):
        assert one.seconds < SECONDS, name
        if words:
            assert (one.code, one.trained, one.out) == (1, 0, ""), name
            assert words in one.err and one.err.count("\n") == 1, (name, one.err)
        else:
            assert (one.code, one.trained, one.err) == (0, 1, ""), name
    ran = [name for name in os.listdir(tmp_path) if name.startswith("run-")]
    assert sorted(ran) == ["run-0", "run-1", "run-2"]
    assert not list(tmp_path.rglob("pwned"))


# --- Hostile records ------------------------------------------------------------------------------


class Planted:
    def __reduce__(self):
        return Path.touch, (Path("executed"),)


def announcing(rows: int) -> bytes:
    """A ``.npy`` whose header announces more than is there."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows},), }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


def sparse(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.touch()
    os.truncate(path, 10**10)


def replaced(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def in_place(make: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda path: [path.unlink(missing_ok=True), make(path)]


HOSTILE: dict[str, Callable[[Path], object]] = {
    "10 GB of nothing": sparse,
    "a pickle": replaced(pickle.dumps(Planted())),
    "a pipe": in_place(os.mkfifo),
    "a folder": in_place(Path.mkdir),
    "an endless device": in_place(lambda path: path.symlink_to("/dev/zero")),
    "empty": replaced(b""),
    "bytes": replaced(bytes(range(256)) * 10),
    "rows that are not there": replaced(announcing(2**60)),
    "brackets": replaced(b"[" * 100_000),
    "an object": replaced(b"a: !!python/object/apply:os.system ['touch executed']\n"),
    "a bomb of aliases": replaced(BOMB.encode()),
}
RECORDS = ("result.json", "provenance.json", "history.csv", "losses.npy", ".hydra/config.yaml")


@pytest.mark.parametrize("record", [*RECORDS, "multirun.yaml", "best.safetensors"])
def test_a_hostile_record_costs_only_its_run(record, tmp_path, monkeypatch):
    """Every reader of a sweep: the table of its end, the frames, the page, the search."""
    monkeypatch.chdir(tmp_path)
    sweep = write_sweep(tmp_path / "s", SEARCHED)
    for number, (name, spoil) in enumerate(HOSTILE.items()):
        run = write_run(sweep / str(number), config_of(0.1, 0.1 + number), (0.5,))
        spoil((sweep if record == "multirun.yaml" else run) / record)
        if record == "multirun.yaml":
            assert len(findings.axes(sweep, load_runs(sweep))) == (number > 0)
            (sweep / record).rmdir() if name == "a folder" else (sweep / record).unlink()
    write_run(sweep / "99", config_of(0.1, 99.0), (0.9,))
    began = time.process_time()
    with nullcontext() if record == "multirun.yaml" else pytest.warns(DamageWarning):
        runs, history, losses = load_runs(sweep), load_history(sweep), load_losses(sweep)
    assert len(runs) == len(HOSTILE) + 1
    assert (len(history), len(losses)) >= (1, 2)
    best = sweep_table.best(sweep_table.write(sweep))
    assert best is not None and best.number == 99
    assert "0.9000" in report.write(sweep).read_text()
    for number in range(len(HOSTILE)):
        with suppress(UserError):  # which names it
            read_outcome(sweep / str(number))
    assert time.process_time() - began < 2 * SECONDS  # for all of them together
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_journal_checkpoint_or_copy_is_refused(name, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FCSWEEP_CACHE", str(tmp_path / "cache"))
    copy = Copy("x", made_from="y")
    copy.file.parent.mkdir(parents=True)
    config = RunConfig()
    made_with = {"config": json.loads(json.dumps(config, default=vars))}
    began = time.process_time()
    if name != "empty":  # a journal that was just begun
        HOSTILE[name](tmp_path / "study.journal")
        with pytest.raises(StudyError, match="study.journal"):
            storage_of(None, tmp_path)
    HOSTILE[name](tmp_path / "checkpoint-0.safetensors")
    assert find(tmp_path, config, made_with) == []
    assert f"ignoring checkpoint {tmp_path}/checkpoint-0.safetensors" in capfd.readouterr().err
    HOSTILE[name](copy.file)
    assert copy.read(Images.from_tensors) is None
    assert time.process_time() - began < SECONDS
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "content",
    [
        announcing(2**60),
        announcing(10**9) + b"x" * 100,
        announcing(3) + b"x" * 11,
        announcing(3).replace(b"<f4", b"|O8") + pickle.dumps(Planted()),
        announcing(3).replace(b"<f4", b"|V4") + b"x" * 12,
        announcing(3).replace(b"(3,)", b"-9  ") + b"x" * 12,
        announcing(3).replace(b"\x93NUMPY\x01", b"\x93NUMPY\x03") + b"x" * 12,
        b"",
    ],
)
def test_losses_are_never_more_than_is_there(content):
    with pytest.raises(ValueError, match="it (is not an array|does not hold)"):
        losses_of(content)


def test_losses_beyond_those_that_are_announced_are_being_added():
    assert losses_of(announcing(3) + b"x" * 16).shape == (3,)


# --- What a terminal would obey -------------------------------------------------------------------

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e[/red][link=file:///etc/passwd]x"


def test_nothing_in_a_record_moves_a_terminal(tmp_path, monkeypatch, capsys):
    for number in range(2):
        optimizer = {"name": f"{ESCAPES}{number}", "learning_rate": 0.1}
        config = config_of(0.1, 0.1, device=ESCAPES, data={"name": ESCAPES}, optimizer=optimizer)
        run = write_run(tmp_path / str(number), config, (0.5,), "failed", reason=ESCAPES)
        result = json.loads((run / "result.json").read_text()) | {"objective": ESCAPES}
        (run / "result.json").write_text(json.dumps(result))
    rerun([tmp_path])
    rows = sweep_table.load(tmp_path)
    sweep_view.show(rows)
    monkeypatch.setenv("FORCE_COLOR", "1")
    from rich.console import Console

    Console(width=200, force_terminal=True, color_system=None).print(sweep_view.table(rows, 200))
    for text in capsys.readouterr():
        lines = [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in text.splitlines()]
        assert lines and not [line for line in lines if not line.isprintable()]
    page = report.write(tmp_path).read_text()
    assert "\x1b" not in page and "\x9b" not in page and "\u202e" not in page


# --- What lies about ------------------------------------------------------------------------------

PLANTED = "open(__import__('os').environ['EXECUTED'], 'w').close()\n"
MODULES = ("torch", "fcsweep", "sitecustomize", "hydra", "numpy", "yaml", "conftest")


@SLOW
@pytest.mark.parametrize("inside", ["the run", "the current folder"])
def test_no_module_of_a_folder_is_imported(inside, tmp_path):
    """By the console script from anywhere; by python -m from anywhere but that folder."""
    script = Path(sys.executable).with_name("fcsweep")
    where = tmp_path / "here"
    where.mkdir()
    env = {**os.environ, "EXECUTED": str(tmp_path / "executed"), "OMP_NUM_THREADS": "1"}
    run = [str(script), "solver.num_epochs=1", "hydra.run.dir=r"]
    if inside == "the run":
        subprocess.run(run, cwd=where, env=env, check=True)
    folder = where / "r" if inside == "the run" else where
    for name in MODULES:
        (folder / f"{name}.py").write_text(PLANTED)
    (folder / "hydra_plugins").mkdir()
    (folder / "hydra_plugins" / "evil.py").write_text(PLANTED)
    (folder / "conf" / "optimizer").mkdir(parents=True)
    (folder / "conf" / "config.yaml").write_text("seed: 99\n")
    (folder / "conf" / "optimizer" / "sgd.yaml").write_text("name: adam\n")
    if inside == "the run":
        commands = [
            [sys.executable, "-m", f"fcsweep.{name}", "r"] for name in ("rerun", "evaluate")
        ]
        commands.append([sys.executable, "-m", "fcsweep.report", "r"])
    else:
        commands = [run, [sys.executable, "-P", "-m", "fcsweep.rerun", "r"]]
    for command in commands:
        done = subprocess.run(command, cwd=where, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "executed").exists()
    saved = (where / "r" / ".hydra" / "config.yaml").read_text()
    assert "seed: 0" in saved and "name: sgd" in saved


@SLOW
def test_the_name_of_a_study_is_no_path(tmp_path):
    name = "hydra.sweeper.study_name=../../x/y"
    (one,) = said([Command(["fcsweep", *SEARCH, name, "hydra.sweep.dir=s"], str(tmp_path))])
    assert one.code == 0 and os.listdir(tmp_path) == ["s"]
    assert (tmp_path / "s" / "study.journal").is_file()


# --- Divergence -----------------------------------------------------------------------------------


def strict(path: Path) -> object:
    def refuse(name: str):
        raise AssertionError(f"{path} holds {name}")

    return json.loads(path.read_text(), parse_constant=refuse)


@SLOW
def test_what_diverges_is_never_the_best_and_breaks_nothing(tmp_path):
    """Alone, in a stack, in a search; in the first step, in the first epoch, beside a good one."""
    small = ["solver.num_epochs=3", "data.num_train=200"]
    search = [
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=3",
        "hydra.sweeper.direction=maximize",
    ]
    rates = "optimizer.learning_rate"
    commands = [
        ["fcsweep", f"{rates}=1e30", "hydra.run.dir=r", *small],
        ["fcsweep", "-m", f"{rates}=1e30,1e200,0.5", "hydra.sweep.dir=g", *small],
        [
            "fcsweep",
            "-m",
            f"{rates}=1e30,1e35",
            "model.weight_scale=1e20",
            "hydra.sweep.dir=a",
            *small,
        ],
        ["fcsweep", "-m", *search, f"{rates}=choice(1e30,1e200)", "hydra.sweep.dir=s", *small],
        *(["report", name, "--png"] for name in "rgas"),
        *(["rerun", name] for name in "rgas"),
    ]
    ended = said([Command(words, str(tmp_path)) for words in commands], quick=False)
    assert not [one.err for one in ended if "Traceback" in one.err]
    assert [one.code for one in ended[4:8]] == [0] * 4
    assert "best: g/2" in ended[1].out
    assert "no run has a value" in ended[2].out
    for path in tmp_path.rglob("*.json"):
        strict(path)
    for sweep in "gas":
        rows = sweep_table.load(tmp_path / sweep)
        finite = [row.value for row in rows if row.value is not None]
        assert all(0 <= value <= 1 for value in finite)
        assert all(row.status == "diverged" for row in rows if (sweep, row.number) != ("g", 2))
        runs = load_runs(tmp_path / sweep)
        assert runs["value"].max() != float("inf") and len(load_history(tmp_path / sweep)) >= 1
        page = (tmp_path / sweep / "report.html").read_text()
        assert (
            ">nan<" not in page.lower()
            and 'data-v="nan"' not in page
            and 'data-v="inf"' not in page
        )
    results = (tmp_path / "s" / "optimization_results.yaml").read_text()
    assert ".nan" not in results and ".inf" not in results


@pytest.mark.parametrize("value", ["NaN", "-1e999"])
def test_a_record_with_nan_is_damaged_and_never_the_best(value, tmp_path):
    search = write_search(tmp_path / "s", 8)
    result = search / "3" / "result.json"
    for key in ("value", "best_val_accuracy", "seconds"):
        before = result.read_text()
        content = json.loads(before) | {key: "HERE"}
        result.write_text(json.dumps(content).replace('"HERE"', value))
        best = sweep_table.best(sweep_table.write(search))
        assert best is not None and best.number == 0
        with pytest.warns(DamageWarning):
            runs = load_runs(search)
        assert runs.loc[3, "status"] == "damaged" and np.isfinite(runs["value"].dropna()).all()
        with pytest.raises(FolderError, match="result.json cannot be read"):
            read_outcome(search / "3")
        if key == "value":
            assert "result.json cannot be read" in report.write(search).read_text()
        result.write_text(before)


def test_a_history_of_nan_and_inf_breaks_no_picture(tmp_path):
    sweep = write_sweep(tmp_path / "s", SEARCHED)
    rows = ["nan", "inf", "-inf", "1e308", "-1e308", "5e-324"]
    for number, loss in enumerate(rows):
        run = write_run(sweep / str(number), config_of(0.1, 1.0 + number), (0.1, 0.2))
        lines = (run / "history.csv").read_text().splitlines()
        changed = [
            ",".join([*line.split(",")[:2], loss, *line.split(",")[3:]]) for line in lines[1:]
        ]
        (run / "history.csv").write_text("\n".join([lines[0], *changed]) + "\n")
        np.save(run / "losses.npy", np.array([float(loss)] * 4))
        (run / "provenance.json").unlink()  # there is no seal to tell
    assert page_of(sweep).figures() == ["learning_curves", "history"]
    drawn = [curve[1] for curve in page_of(sweep).data["curves"]]
    assert drawn == [[None, None]] * 5 + [[5e-324, 5e-324]]
    for number in range(len(rows)):
        assert page_of(sweep / str(number)).data["steps"][0] == [1, 2, 3, 4]
    report.write(sweep, ("png",))
