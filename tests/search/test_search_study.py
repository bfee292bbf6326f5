"""A study and its end: killed anywhere it goes on as if it had not been; others are refused."""

import json
import os
import shutil
import signal
from collections import Counter
from functools import partial
from types import SimpleNamespace

import optuna
import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf
from optuna.pruners import NopPruner
from support.kill_points import killed_at_every_place
from support.toy_app import study_of, told

from fcsweep.messages.errors import ConfigError, FolderError, StudyError, UserError
from fcsweep.records.ownership import hold
from fcsweep.search import pruning
from fcsweep.search.loop import Search
from fcsweep.search.outcomes import SweepFailed
from fcsweep.search.plan import Plan
from fcsweep.search.progress import Progress
from fcsweep.search.pruning import should_prune
from fcsweep.search.settings import PRUNERS, SAMPLERS
from fcsweep.search.space import space_of
from fcsweep.search.study import storage
from fcsweep.search.study.batches import next_batch
from fcsweep.search.study.samplers import pruner_of, quiet, sampler_of
from fcsweep.search.study.storage import reports_together, storage_of
from fcsweep.search.study.study import Start, check_data, open_study, started_with
from fcsweep.search.study.trial import Kept, Session
from fcsweep.search.study.window import Batches
from fcsweep.system.crew import Crew

SPACE = space_of(None, ["x=interval(-1,1)", "y=tag(log,interval(1e-3,1))", "z=a,b,c"])
N_TRIALS, N_JOBS = 24, 4
SEARCHED = {"sampler": "TPESampler", "sampler.n_startup_trials": 5, "n_jobs": N_JOBS}
STARTS = "starts.txt"
HYDRA = OmegaConf.create({"hydra_logging": {"version": 1, "root": None}, "verbose": False})
"""Hydra's part of the config, as far as a search needs it."""


def task(params):
    """Reports three times; better where x is near 0.3 and y is small."""
    value = (params["x"] - 0.3) ** 2 + params["y"] + "abc".index(params["z"])
    for step in range(3):
        if should_prune(value + 1 / (step + 1), step):
            break
    return value


class Here:
    """Launches jobs one after the other without composing them."""

    def __init__(self, folder, monkeypatch, failing=()):
        self.folder, self.failing, self.number = folder, failing, None
        monkeypatch.setattr(pruning, "job_number", lambda: self.number)
        monkeypatch.setattr("fcsweep.search.study.trial.job_number", lambda: self.number)

    def launch(self, overrides, first):
        return [self._one(number, one) for number, one in enumerate(overrides, first)]

    def _one(self, number, overrides):
        self.number = number
        with open(self.folder / STARTS, "a") as starts:
            starts.write(f"{number}\n")
        job = JobReturn(status=JobStatus.COMPLETED)
        try:
            if number in self.failing:
                raise ArithmeticError("by chance")
            job.return_value = Kept(task)(OmegaConf.to_container(OmegaConf.from_dotlist(overrides)))
        except ArithmeticError as error:
            job.status, job.return_value = JobStatus.FAILED, error
        return job


def plan(**changes):
    start = Start(["minimize"], SPACE.as_json(), {"target": 0.0}, [], 11, SEARCHED)
    settings = {
        "task": OmegaConf.create({}),
        "space": SPACE,
        "sampler": sampler_of(OmegaConf.create({**SAMPLERS["tpe"], "n_startup_trials": 5})),
        "pruner": pruner_of(OmegaConf.create({**PRUNERS["median"], "n_startup_trials": 3})),
        "start": start,
        "n_trials": N_TRIALS,
        "n_jobs": N_JOBS,
        "max_failure_rate": 1.0,
        "target": None,
        "timeout": None,
        "extend": None,
    }
    return Plan(**{**settings, **changes})


def search(folder, monkeypatch, failing=(5, 12), **changes):
    """What a sweep does between its checks and its files."""
    folder.mkdir(exist_ok=True)
    planned = plan(**changes)
    study, seed = open_study(storage_of(None, folder), "toy", folder, planned.start)
    study.sampler, study.pruner = planned.sampler(seed), planned.pruner
    progress = Progress(study, planned.n_trials)
    launcher = Here(folder, monkeypatch, failing)
    with Crew(folder) as crew:
        Search(planned, folder, study, launcher, None, progress, HYDRA, crew).run()
    return told(study_of(folder))


def killed(folder, monkeypatch, lines, torn=False, **changes):
    """The same in a process that kills itself when it has appended to its journal ``lines`` times.

    Where ``torn``, in the middle of the next line. Returns whether it was killed.
    """
    child = os.fork()
    if child == 0:
        try:
            count = 0
            append = storage.Journal.append_logs

            def dying(self, logs):
                nonlocal count
                if count == lines:
                    if torn:
                        with open(self._file_path, "ab") as file:
                            text = "\n".join(map(json.dumps, logs)).encode()
                            file.write(text[: len(text) // 2])
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1
                append(self, logs)

            storage.Journal.append_logs = dying
            search(folder, monkeypatch, **changes)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted study, and how many lines its journal has."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("whole")
        trials = search(folder, patch)
    return SimpleNamespace(
        folder=folder,
        trials=trials,
        lines=(folder / "study.journal").read_bytes().count(b"\n"),
        appended=_appended(folder),
    )


def _appended(folder):
    """What each line of the journal is."""
    lines = (folder / "study.journal").read_text().splitlines()
    return [json.loads(line)["op_code"] for line in lines]


def starts(folder):
    return Counter(map(int, (folder / STARTS).read_text().split()))


def test_the_study_that_the_others_are_compared_with_holds_every_kind_of_end(whole):
    states = Counter(state for _, state, _, _ in whole.trials)
    assert states["FAIL"] == 2 and states["PRUNED"] >= 2 and states["COMPLETE"] >= 10
    assert [number for number, *_ in whole.trials] == list(range(N_TRIALS))
    assert set(starts(whole.folder).values()) == {1}


NINE = [3, 8, 21, 55, 90, 130, 171, 190, 210]


@pytest.mark.parametrize("torn", [False, True], ids=["between lines", "in a line"])
@pytest.mark.parametrize("lines", NINE)
def test_a_study_that_is_killed_goes_on_as_if_it_were_not(
    lines, torn, whole, tmp_path, monkeypatch
):
    assert killed(tmp_path, monkeypatch, lines, torn)
    _goes_on(whole, tmp_path, monkeypatch)


@pytest.mark.slow
def test_a_study_may_be_killed_at_any_place(whole, tmp_path, monkeypatch):
    first = partial(search, tmp_path / "s", monkeypatch)
    count = 0
    for folder in killed_at_every_place(tmp_path / "s", first, torn=True):
        _goes_on(whole, folder, monkeypatch)
        count += 1
    assert count >= 50


def _goes_on(whole, folder, monkeypatch):
    before = starts(folder) if (folder / STARTS).exists() else Counter()
    assert search(folder, monkeypatch) == whole.trials
    again = {number for number, count in starts(folder).items() if count > 1}
    # One may have been in the middle; a failure is not kept before its batch is told.
    assert len(again - {5, 12}) <= 1 and max(again, default=0) <= max(before, default=0)
    assert again - {5, 12} <= {max(before, default=0)}


def test_a_study_may_be_killed_many_times(whole, tmp_path, monkeypatch):
    count = 0
    while killed(tmp_path, monkeypatch, 30):
        count += 1
    assert count >= 5
    assert told(study_of(tmp_path)) == whole.trials


QUICK = ("hyperband",)
KINDS = [
    *(("sampler", name) for name in SAMPLERS if name not in ("tpe", "grid", "cmaes")),
    *(("pruner", name) for name in PRUNERS if name != "median"),
]


@pytest.mark.parametrize(
    ("group", "name"),
    [pytest.param(*kind, marks=[] if kind[1] in QUICK else pytest.mark.slow) for kind in KINDS],
)
def test_every_sampler_and_pruner_goes_on(group, name, tmp_path, monkeypatch):
    fields = {"gp": {"n_startup_trials": 4}, "threshold": {"upper": 2.5}}.get(name, {})
    fields |= {"population_size": 4} if name.startswith("nsga") else {}
    node = OmegaConf.create({**(SAMPLERS | PRUNERS)[name], **fields})

    def changes():  # a pruner learns; a process has its own
        return {group: sampler_of(node) if group == "sampler" else pruner_of(node), "n_trials": 12}

    with quiet():
        whole = search(tmp_path / "whole", monkeypatch, **changes())
        total = len(_appended(tmp_path / "whole"))
        for part in (0.4, 0.55, 0.7, 0.9):
            folder = tmp_path / str(part)
            assert killed(folder, monkeypatch, int(part * total), **changes())
            assert search(folder, monkeypatch, **changes()) == whole
    assert len(whole) == 12


@pytest.mark.slow
@pytest.mark.parametrize("name", ["successive_halving", "hyperband", "patient"])
def test_a_pruner_that_keeps_notes_of_its_own_goes_on_at_any_place(name, tmp_path, monkeypatch):
    changes = {"n_trials": 12, "start": Start(**{**vars(plan().start), "seed": 4})}
    node = OmegaConf.create(PRUNERS[name])

    def searched(folder):
        return search(folder, monkeypatch, pruner=pruner_of(node), **changes)

    with quiet():
        whole = searched(tmp_path / "whole")
        for folder in killed_at_every_place(tmp_path / "s", partial(searched, tmp_path / "s")):
            assert searched(folder) == whole


def test_a_finished_study_is_left_as_it_is(whole, tmp_path, monkeypatch):
    shutil.copytree(whole.folder, tmp_path / "copy")
    before = (whole.folder / "study.journal").read_bytes()
    assert search(tmp_path / "copy", monkeypatch) == whole.trials
    assert (tmp_path / "copy" / "study.journal").read_bytes() == before
    assert starts(tmp_path / "copy") == starts(whole.folder)


def test_more_trials_go_on_to_exactly_that_number(whole, tmp_path, monkeypatch):
    first = search(tmp_path, monkeypatch, n_trials=12)
    assert first == whole.trials[:12]
    assert search(tmp_path, monkeypatch, n_trials=24) == whole.trials
    assert search(tmp_path, monkeypatch, n_trials=25)[:24] == whole.trials
    assert len(search(tmp_path, monkeypatch, n_trials=3)) == 25
    assert set(starts(tmp_path).values()) == {1}


def test_a_number_that_ends_within_a_batch_is_met_too(tmp_path, monkeypatch):
    assert len(search(tmp_path, monkeypatch, n_trials=10)) == 10
    assert len(search(tmp_path, monkeypatch, n_trials=11)) == 11


def test_a_copied_or_moved_folder_goes_on(whole, tmp_path, monkeypatch):
    assert killed(tmp_path / "a", monkeypatch, 100)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a").rename(tmp_path / "c")
    assert search(tmp_path / "b", monkeypatch) == whole.trials
    assert search(tmp_path / "c", monkeypatch) == whole.trials


@pytest.mark.parametrize(
    ("states", "size", "n_trials", "expected"),
    [
        ("", 4, 24, ([], 4)),
        ("", 4, 3, ([], 3)),
        ("R", 4, 24, ([0], 3)),
        ("RRRR", 4, 24, ([0, 1, 2, 3], 0)),
        ("CRRR", 4, 24, ([1, 2, 3], 0)),
        ("CCCC", 4, 24, ([], 4)),
        ("CFPCR", 4, 24, ([4], 3)),
        ("CFPCRR", 4, 6, ([4, 5], 0)),
        ("CFPCRR", 4, 7, ([4, 5], 1)),
        ("CCC", 4, 24, ([], 1)),  # of a smaller number before
        ("CCCC", 4, 4, ([], 0)),
        ("CCCCC", 4, 3, ([], 0)),
        ("RR", 4, 1, ([0, 1], 0)),
    ],
)
def test_the_next_batch(states, size, n_trials, expected):
    study = optuna.create_study()
    kinds = {"C": "COMPLETE", "F": "FAIL", "P": "PRUNED"}
    for state in states:
        trial = study.ask()
        if state != "R":
            kind = optuna.trial.TrialState[kinds[state]]
            study.tell(trial, 0.0 if state == "C" else None, state=kind)
    batch = next_batch(study.get_trials(), Batches(size), n_trials)
    assert (([], 0) if batch is None else (batch.running, batch.to_ask)) == expected


# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"directions": ["maximize"]}, ["direction: ['minimize'], now ['maximize']"]),
        (
            {"space": {**SPACE.as_json(), "z": SPACE.as_json()["y"]}},
            ["z: one of a, b, c, now 0.001 to 1.0, log"],
        ),
        (
            {"space": {"x": SPACE.as_json()["x"]}},
            ["y: 0.001 to 1.0, log, now not searched; z: one of a, b, c, now not searched"],
        ),
        ({"config": {"target": 0.5}}, ["target: 0.0, now 0.5"]),
        ({"config": {"target": 0.0, "new": "a"}}, ["new: null, now 'a'"]),
        ({"config": {}}, ["target: 0.0, now null"]),
        ({"seed": 12}, ["sampler.seed: 11, now 12"]),
        ({"seed": None}, ["sampler.seed: 11, now null"]),
        ({"enqueue": [{"x": 0.5}]}, ["enqueue: [], now [{'x': 0.5}]"]),
        ({"seed": 1, "config": {"target": 1}}, ["sampler.seed: 11, now 1; target: 0.0, now 1"]),
        ({"config": {str(n): n for n in range(9)}}, ["and 5 more"]),
        (
            {"search": {"sampler": "RandomSampler", "n_jobs": 4}},
            ["sampler: 'TPESampler', now 'RandomSampler'; sampler.n_startup_trials: 5, now null"],
        ),
        ({"search": {**SEARCHED, "n_jobs": 8}}, ["(n_jobs: 4, now 8)"]),
    ],
)
def test_other_settings_are_refused_with_the_list_of_differences(
    change, words, whole, tmp_path, monkeypatch
):
    folder = tmp_path / "copy"
    shutil.copytree(whole.folder, folder)
    before = (folder / "study.journal").read_bytes()
    start = Start(**{**vars(plan().start), **change})
    with pytest.raises(StudyError) as error:
        search(folder, monkeypatch, start=start, n_trials=30)
    text = str(error.value)
    assert "\n" not in text and all(word in text for word in words), text
    assert "other settings" in text and text.endswith("start anew in another hydra.sweep.dir")
    assert (folder / "study.journal").read_bytes() == before


@pytest.mark.parametrize(
    "line", [b"garbage\n", b"[1, 2]\n", b"\x00\xff\n", b"{}\n", b"[" * 9999 + b"\n"]
)
def test_a_damaged_line_in_the_middle_is_named(line, whole, tmp_path, monkeypatch):
    lines = (whole.folder / "study.journal").read_bytes().splitlines(keepends=True)
    (tmp_path / "study.journal").write_bytes(b"".join([*lines[:20], line, *lines[20:]]))
    with pytest.raises(StudyError, match=r"study\.journal is damaged in line 21: .*copy") as error:
        search(tmp_path, monkeypatch)
    assert len(str(error.value)) < 600 and "\n" not in str(error.value)


def test_a_journal_whose_first_line_is_missing_is_refused(whole, tmp_path, monkeypatch):
    lines = (whole.folder / "study.journal").read_bytes().splitlines(keepends=True)
    (tmp_path / "study.journal").write_bytes(b"".join(lines[1:]))
    (tmp_path / "0").mkdir()
    with pytest.raises(StudyError, match=r"study.journal holds no study of them"):
        search(tmp_path, monkeypatch)


@pytest.mark.parametrize("left", ["nothing", "an empty file", "a torn first line"])
def test_runs_without_their_study_are_not_overwritten(left, tmp_path, monkeypatch):
    (tmp_path / "0").mkdir()
    content = {"an empty file": b"", "a torn first line": b'{"op_code": 0, "wor'}.get(left)
    if content is not None:
        (tmp_path / "study.journal").write_bytes(content)
    with pytest.raises(StudyError, match=r"holds 1 runs, but .* holds no study .*; restore"):
        search(tmp_path, monkeypatch)
    assert list((tmp_path / "0").iterdir()) == []


def test_an_empty_journal_without_runs_is_a_new_study(whole, tmp_path, monkeypatch):
    (tmp_path / "study.journal").touch()
    assert search(tmp_path, monkeypatch) == whole.trials


def test_a_study_of_somebody_else_is_refused(tmp_path, monkeypatch):
    theirs = optuna.create_study(study_name="toy", storage=storage_of(None, tmp_path))
    theirs.tell(theirs.ask(), 1.0)
    with pytest.raises(StudyError, match="toy was not made by this sweeper; name another"):
        search(tmp_path, monkeypatch)


@pytest.mark.slow
def test_a_database_is_for_one_folder(tmp_path):
    url = f"sqlite:///{tmp_path}/all.db"
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    _, seed = open_study(storage_of(url, folders[0]), "toy", folders[0], plan().start)
    assert seed == 11
    open_study(storage_of(url, folders[0]), "toy", folders[0], plan().start)
    with pytest.raises(StudyError, match=f"study toy belongs to {folders[0]}; go on there by"):
        open_study(storage_of(url, folders[1]), "toy", folders[1], plan().start)
    open_study(storage_of(url, folders[1]), "another", folders[1], plan().start)


def test_a_study_from_before_these_settings_were_kept_goes_on(tmp_path, monkeypatch):
    planned = plan()
    study, _ = open_study(storage_of(None, tmp_path), "toy", tmp_path, planned.start)
    saved = started_with(study)
    study._storage.set_study_system_attr(study._study_id, "fcsweep", None)
    study.set_user_attr("fcsweep", {k: v for k, v in saved.items() if k != "search"})
    others = Start(**{**vars(planned.start), "search": {"n_jobs": 1}})
    assert len(search(tmp_path, monkeypatch, start=others, n_jobs=1, n_trials=2)) == 2


def test_a_seed_that_is_left_open_is_drawn_once(tmp_path):
    start = Start(**{**vars(plan().start), "seed": None})
    _, first = open_study(storage_of(None, tmp_path), "toy", tmp_path, start)
    _, again = open_study(storage_of(None, tmp_path), "toy", tmp_path, start)
    for name in ("study.journal", "study.journal.size"):
        (tmp_path / name).unlink()
    _, other = open_study(storage_of(None, tmp_path), "toy", tmp_path, start)
    assert first == again != other


def test_a_second_process_in_the_folder_is_refused(tmp_path):
    with hold(tmp_path, "hydra.sweep.dir"):
        with pytest.raises(FolderError, match=rf"is in use by process {os.getpid()} \("):
            with hold(tmp_path, "hydra.sweep.dir"):
                pass


def test_a_lock_that_a_killed_process_held_is_free(tmp_path, monkeypatch):
    (tmp_path / "study.journal").touch()
    ready, say = os.pipe()
    child = os.fork()
    if child == 0:
        storage._FileLock(tmp_path / "study.journal").acquire()
        os.write(say, b"1")
        signal.pause()
    assert os.read(ready, 1) == b"1"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(search(tmp_path, monkeypatch, n_trials=4)) == 4


def test_other_data_are_refused():
    study = optuna.create_study()
    for fingerprint in (None, "a" * 64, "a" * 64, None):
        check_data(study, fingerprint)
    with pytest.raises(StudyError, match=r"the data have changed .* a{12}, now b{12}\); put the"):
        check_data(study, "b" * 64)


# --- Databases, and passwords in their URLs -------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "hydra.sweeper.storage nonsense cannot be used"),
        ("sqlite:////no/such/folder/a.db", "unable to open"),
        ("oracle17://u:s3cret@h/db", "oracle17://u:***@h/db"),
        ("postgresql+psycopg://u:s3cret@127.0.0.1:9/db", "hydra.sweeper.storage"),
        ("postgresql://u:p%40s3cret@127.0.0.1:9/db?password=s3cret", "hydra.sweeper.storage"),
    ],
)
def test_a_storage_that_cannot_be_used_is_one_line_without_its_password(url, words, tmp_path):
    with pytest.raises(UserError) as error:
        storage_of(url, tmp_path)
    assert words in str(error.value) and "\n" not in str(error.value)
    assert "s3cret" not in str(error.value)
    assert error.value.__cause__ is None and error.value.__suppress_context__


@pytest.mark.parametrize("content", [b"not a database", b"SQLite format 3\0" + b"x" * 4000])
def test_a_damaged_database_is_one_line(content, tmp_path):
    (tmp_path / "a.db").write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be used: .*(not a database|malformed)"):
        storage_of(f"sqlite:///{tmp_path}/a.db", tmp_path)


def test_all_trials_failed(tmp_path, monkeypatch):
    everyone = range(N_TRIALS)
    with pytest.raises(SweepFailed, match="^all 3 trials failed; the first: ArithmeticError: by"):
        search(tmp_path, monkeypatch, failing=everyone, n_trials=3)


def test_the_reports_of_a_stack_are_one_write(tmp_path):
    journal = tmp_path / "study.journal"
    study = optuna.create_study(study_name="s", storage=storage_of(None, tmp_path))
    trials = [study.ask(), study.ask()]
    before = journal.read_bytes()
    with reports_together(study._storage):
        for trial in trials:
            trial.report(trial.number + 0.5, 1)
        assert journal.read_bytes() == before
    read = optuna.load_study(study_name="s", storage=storage_of(None, tmp_path))
    assert [one.intermediate_values for one in read.trials] == [{1: 0.5}, {1: 1.5}]
    assert [one.intermediate_values for one in study.trials] == [{1: 0.5}, {1: 1.5}]


def test_a_journal_is_opened_again_only_when_it_has_grown(tmp_path, monkeypatch):
    study = optuna.create_study(study_name="s", storage=storage_of(None, tmp_path))
    another = optuna.load_study(study_name="s", storage=storage_of(None, tmp_path))
    assert study.trials == []
    another.ask()
    assert len(study.trials) == 1
    monkeypatch.setattr("builtins.open", None)
    assert len(study.trials) == 1
    monkeypatch.undo()
    another.ask()
    assert len(study.trials) == 2


def test_without_a_pruner_reports_are_kept_and_nothing_is_decided(tmp_path, monkeypatch):
    study = optuna.create_study(storage=storage_of(None, tmp_path), pruner=NopPruner())
    study.ask()
    monkeypatch.setattr("fcsweep.search.study.trial._session", Session(study))
    monkeypatch.setattr(pruning, "_decide", None)
    assert pruning.prune({0: 1.5}, 1) == set()
    assert study.trials[0].intermediate_values == {1: 1.5}
