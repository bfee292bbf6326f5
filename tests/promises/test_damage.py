"""Damaged files: found and named, never taken as new, empty or right; a lost study is rebuilt."""

import contextlib
import random
import shutil
import warnings
from pathlib import Path

import pytest
from support.full_disk import imported, numbers_of, started
from support.toy_app import study_of

from fcsweep import evaluate
from fcsweep.messages.errors import StudyError, UserError
from fcsweep.records.frames import load_history, load_runs
from fcsweep.report.__main__ import main as report
from fcsweep.rerun import repeat
from fcsweep.search.study.storage import storage_of
from fcsweep.search.study.study import started_with

SMALL = ["-m", "data=synthetic", "data.num_train=40", "data.num_val=20", "solver.num_epochs=4"]
SMALL += ["solver.batch_size=20", "model.hidden_dims=[8]", "hydra.sweep.dir=s"]
SEARCH = [*SMALL, "hydra/sweeper=optuna", "hydra.sweeper.n_jobs=4"]
SEARCH += ["hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=3"]
SEARCH += [
    "optimizer.learning_rate=tag(log,interval(1e-3,1e30))",
    "model.loss_function=softmax,svm",
]
SEARCH += ["model.weight_scale=tag(log,interval(1e-3,1))"]
SEEDED = "hydra.sweeper.sampler.seed=2"

DAMAGES = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "garbage": lambda content: random.Random(0).randbytes(len(content)),
    "flipped": lambda content: _flipped(content, len(content) // 2),
    "flipped late": lambda content: _flipped(content, len(content) * 4 // 5),
}

pytestmark = pytest.mark.slow  # all start from searches that take as long as a test may


def _flipped(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def search(folder, n_trials, *words):
    return started([*SEARCH, f"hydra.sweeper.n_trials={n_trials}", *words], folder, page=False)


def known_of(sweep):
    """All that a study knows, but the times."""
    return [
        (t.number, t.state.name, t.params, t.values, t.intermediate_values, t.user_attrs)
        for t in study_of(sweep).get_trials(deepcopy=False)
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search of 24 trials; one of 14, and a grid of two."""
    imported()
    folder = tmp_path_factory.mktemp("whole")
    for name, trials in (("long", 24), ("short", 14)):
        (folder / name).mkdir()
        assert search(folder / name, trials, SEEDED).code == 0
    (folder / "grid").mkdir()
    assert started([*SMALL, "seed=0,1"], folder / "grid", page=False).code == 0
    states = {state for _, state, *_ in known_of(folder / "long" / "s")}
    assert states == {"COMPLETE", "PRUNED", "FAIL"}
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    def of(name):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        return shutil.copytree(whole / name, tmp_path / name)

    return of


def written(sweep):
    return {path: path.stat().st_mtime_ns for path in sweep.glob("*/result.json")}


# --- A study from the records of its runs ---------------------------------------------------------


def test_a_lost_study_is_rebuilt_and_goes_on_as_if_it_were_not(whole, copy):
    folder = copy("short")
    sweep, before = folder / "s", known_of(folder / "s")
    runs = written(sweep)
    (sweep / "study.journal").unlink()
    said = search(folder, 14, SEEDED)
    told = "study s: rebuilt from the records of 14 runs that study.journal does not hold"
    assert (said.code, said.err, said.out.splitlines()[0]) == (0, "", told)
    assert known_of(sweep) == before and written(sweep) == runs
    (sweep / "study.journal").rename(sweep / "damaged")
    assert search(folder, 24, SEEDED).code == 0
    assert known_of(sweep) == known_of(whole / "long" / "s")
    assert written(sweep).items() >= runs.items()


@pytest.mark.parametrize("part", [0.1, 0.7, 0.95])
def test_a_study_whose_journal_ends_too_early_learns_from_the_records(part, whole, copy):
    folder = copy("long")
    journal, runs = folder / "s" / "study.journal", written(folder / "s")
    journal.write_bytes(journal.read_bytes()[: int(part * journal.stat().st_size)])
    said = search(folder, 24, SEEDED)
    assert said.code == 0 and ("rebuilt" in said.out or "resuming" in said.out)
    assert known_of(folder / "s") == known_of(whole / "long" / "s")
    assert written(folder / "s") == runs


def test_what_was_not_finished_is_run_again_when_a_study_is_rebuilt(whole, copy):
    folder = copy("short")
    runs = written(folder / "s")
    (folder / "s" / "study.journal").unlink()
    result = folder / "s" / "13" / "result.json"
    result.write_text('{"status": "interrupted"}')
    shutil.rmtree(folder / "s" / "12")
    assert search(folder, 14, SEEDED).code == 0
    assert known_of(folder / "s") == known_of(whole / "short" / "s")
    again = {path for path, time in written(folder / "s").items() if runs[path] != time}
    assert {path.parent.name for path in again} == {"12", "13"}


def test_a_failed_run_is_told_as_it_failed(copy):
    folder = copy("short")
    (folder / "s" / "study.journal").unlink()
    result = folder / "s" / "5" / "result.json"
    result.write_text('{"status": "failed", "reason": "RuntimeError: by chance"}')
    runs = written(folder / "s")
    assert search(folder, 14, SEEDED).code == 0
    _, state, *_, attributes = known_of(folder / "s")[5]
    assert (state, attributes) == ("FAIL", {"reason": "RuntimeError: by chance"})
    assert written(folder / "s") == runs


@pytest.mark.parametrize("part", [0, 0.5])
def test_a_renamed_sweep_whose_journal_is_cut_has_one_study_with_the_seed_that_was_drawn(
    part, tmp_path
):
    # No seed is given: rates that mostly diverge could end the search for that, by chance.
    tame = "optimizer.learning_rate=tag(log,interval(1e-3,1))"
    assert search(tmp_path, 12, tame).code == 0
    before, seed = known_of(tmp_path / "s"), started_with(study_of(tmp_path / "s"))
    (tmp_path / "s").rename(tmp_path / "t")
    journal, runs = tmp_path / "t" / "study.journal", written(tmp_path / "t")
    journal.write_bytes(journal.read_bytes()[: int(part * journal.stat().st_size)])
    assert search(tmp_path, 16, tame, "hydra.sweep.dir=t").code == 0
    assert known_of(tmp_path / "t")[:12] == before and len(known_of(tmp_path / "t")) == 16
    assert started_with(study_of(tmp_path / "t"))["drawn_seed"] == seed["drawn_seed"]
    assert runs.items() <= written(tmp_path / "t").items()


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("model.weight_scale=interval(0.9,1)", "weight_scale is '0."),
        ("model.reg=0.5", "a different config (model.reg: recorded 0.0, requested 0.5)"),
        (
            "model.loss_function=svm",
            "a different config (model.loss_function: recorded 'softmax'",
        ),
        ("model.reg=interval(0,1)", "holds a run of another search (model.reg is not searched"),
    ],
)
def test_records_of_another_search_are_refused(word, expected, copy):
    folder = copy("short")
    (folder / "s" / "study.journal").unlink()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    said = search(folder, 14, SEEDED, word)
    assert said.code == 1 and expected in said.err and said.err.count("\n") == 1
    assert said.err.endswith("name a new or an empty folder\n")
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    after.pop(folder / "s" / "study.journal", None)
    assert after == before


# --- Every file, every damage, every command ------------------------------------------------------


@pytest.mark.parametrize("how", ["garbage", "flipped"])
def test_a_damaged_journal_is_named_with_what_to_do(how, copy):
    folder = copy("short")
    journal = folder / "s" / "study.journal"
    damaged = DAMAGES[how](journal.read_bytes())
    journal.write_bytes(damaged + b"\n" * (how == "garbage"))
    said = search(folder, 14, SEEDED)
    assert said.code == 1 and said.err.count("\n") == 1
    assert f"{journal} is damaged in line " in said.err
    assert "move it away: the records of the runs then stand in for it" in said.err
    journal.rename(folder / "s" / "study.damaged")
    assert search(folder, 14, SEEDED).code == 0


def test_a_flipped_byte_of_the_journal_is_found(copy):
    folder = copy("short")
    journal = folder / "s" / "study.journal"
    content = journal.read_bytes()
    for place in range(0, len(content), 97):
        journal.write_bytes(_flipped(content, place))
        with pytest.raises(StudyError, match=r"study.journal is damaged in line \d+: "):
            storage_of(None, folder / "s")
    journal.write_bytes(content)
    storage_of(None, folder / "s")


FILES = [
    ".hydra/config.yaml",
    "history.csv",
    "losses.npy",
    "result.json",
    "provenance.json",
    "best.safetensors",
]


def said_by(command, folder):
    """What a command says of the run ``s/1`` of a grid, as one text; "" if it finds no fault."""
    run = folder / "s" / "1"
    if command == "resume":
        said = started([*SMALL, "seed=0,1"], folder, page=False)
        assert said.code in (0, 1) and said.err.count("\n") == said.code, said
        return said.err
    if command == "load_runs":
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            rows, _ = load_runs(folder / "s"), load_history(folder / "s")
        assert len(rows) == 2
        return "; ".join(str(warning.message) for warning in caught)
    try:
        if command == "evaluate":
            evaluate.evaluate(run)
        elif command == "rerun":
            return "" if repeat.rerun([run]) else "different or refused, as printed"
        return ""
    except UserError as error:
        return str(error)


READ = {
    "resume": FILES,
    "rerun": FILES,
    "evaluate": [".hydra/config.yaml", "result.json", "best.safetensors"],
    "load_runs": [],  # what cannot be read is named; a byte that can be read is left to rerun
}
"""The files whose every damage a command must find."""


@pytest.mark.parametrize("command", READ)
@pytest.mark.parametrize("how", DAMAGES)
def test_damage_is_found_and_named(how, command, copy, capsys):
    for name in FILES:
        folder = copy("grid")
        path = folder / "s" / "1" / name
        path.write_bytes(DAMAGES[how](path.read_bytes()))
        before = path.read_bytes()
        said = said_by(command, folder)
        assert path.read_bytes() == before  # not even mended
        unreadable = how in ("garbage", "empty") and name not in ("losses.npy", "best.safetensors")
        if name in READ[command] or (command == "load_runs" and unreadable):
            assert said, (name, how)
            out = capsys.readouterr()
            assert Path(name).name in said + out.out + out.err, (name, how, said, out)
            assert "Traceback" not in said + out.out + out.err


@pytest.mark.parametrize("how", ["cut", "empty", "garbage"])
def test_a_page_is_made_whatever_is_damaged(how, copy, monkeypatch, capsys):
    folder = copy("grid")
    for name in FILES:
        path = folder / "s" / "1" / name
        path.write_bytes(DAMAGES[how](path.read_bytes()))
    monkeypatch.setattr("sys.argv", ["report", str(folder / "s")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(SystemExit):
            report()
    page = (folder / "s" / "report.html").read_text()
    assert "damaged" in page, capsys.readouterr()


def test_numbers_are_those_of_before(whole, copy):
    """That the copies are what the tests take them for."""
    assert numbers_of(copy("short") / "s") == numbers_of(whole / "short" / "s")
