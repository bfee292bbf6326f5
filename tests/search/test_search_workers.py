"""Several workers on one study: the same trials as one, whoever is faster or is killed."""

import os
import signal
import time
from contextlib import suppress

import pytest
from hydra.errors import CompactHydraException
from support.forked_workers import (
    CONFIG,
    COUNTS,
    SPACE,
    ended,
    known_of,
    pruner,
    task,
    work_on,
    worker,
)
from support.toy_app import killed_sweep, study_of, sweep

from fcsweep.messages.errors import FolderError, StudyError
from fcsweep.search.study.storage import read_study
from fcsweep.system.crew import ROLL


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(autouse=True)
def restored(hydra_restore_singletons):
    """Hydra as it was."""


def known(folder):
    return known_of(study_of(folder))


MEDIAN = pruner("median", n_startup_trials=3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "pruning"),
    [
        ("tpe", MEDIAN),
        slow("tpe", pruner("hyperband")),
        slow("tpe", pruner("successive_halving", min_resource="auto")),
        slow("nsgaii", pruner("successive_halving")),
        slow("nsgaiii", MEDIAN),
        slow("cmaes", MEDIAN),
        slow("gp", MEDIAN),
        slow("qmc", pruner("patient", patience=2)),
        slow("random", pruner("percentile", n_startup_trials=3)),
    ],
)
def test_one_and_three_workers_find_the_same_trials(sampler, pruning, tmp_path):
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    fields = {"nsga": ["hydra.sweeper.sampler.population_size=4"]}.get(sampler[:4], [])
    fields = ["hydra.sweeper.sampler.n_startup_trials=4"] if sampler in ("tpe", "gp") else fields
    words = [*pruning, f"hydra/sweeper/sampler={sampler}", *fields, "hydra.sweeper.ahead=3"]
    found = {}
    for workers in (1, 3):
        folder = tmp_path / str(workers) / "study"
        assert work_on(folder, workers, *words, sleep=0.01) == [0] * workers
        found[workers] = known(folder)
        starts = (folder / "starts").read_text().split()
        assert sorted(map(int, starts)) == list(range(13))  # each trained once
        assert not (folder / ROLL).exists()
    assert found[1] == found[3]
    assert len(found[1]) == 13
    states = {state for _, state, *_ in found[1]}
    assert states == {"COMPLETE", "PRUNED"} or sampler != "tpe" or pruning is not MEDIAN


@pytest.mark.slow
def test_of_eight_workers_each_trial_is_claimed_once_and_their_number_is_exact(tmp_path):
    codes = work_on(tmp_path, 8, "hydra.sweeper.n_trials=50", "hydra.sweeper.ahead=16")
    assert codes == [0] * 8
    assert [number for number, *_ in known(tmp_path)] == list(range(50))
    starts = map(int, (tmp_path / "starts").read_text().split())
    assert sorted(starts) == list(range(50))


AHEAD = [*MEDIAN, "hydra.sweeper.ahead=2", "hydra.sweeper.sampler.n_startup_trials=4"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert work_on(folder, 1, *AHEAD) == [0]
    return known(folder), (folder / "study.journal").read_bytes().count(b"\n")


@pytest.mark.slow
@pytest.mark.parametrize("part", [0.1, 0.4, *(slow(one / 20) for one in range(1, 20, 2))])
def test_a_killed_worker_s_batch_is_taken_over_and_nothing_is_lost_or_told_twice(
    part, whole, tmp_path
):
    """It kills itself after a line of the journal that it has written, while another works on."""
    expected, lines = whole
    words = [*SPACE, *COUNTS, *AHEAD]
    other = worker(tmp_path, *AHEAD, sleep=0.01)
    assert killed_sweep(tmp_path, int(part * lines / 2), task, CONFIG, *words)
    assert ended(other) == 0
    assert known(tmp_path) == expected
    assert not (tmp_path / ROLL).exists()


@pytest.mark.slow
def test_a_worker_that_is_stopped_and_goes_on_keeps_its_batch(whole, tmp_path):
    both = [worker(tmp_path, *AHEAD, sleep=0.02) for _ in range(2)]
    for child in both:
        time.sleep(0.3)
        os.kill(child, signal.SIGSTOP)
        time.sleep(0.5)
        os.kill(child, signal.SIGCONT)
    assert [ended(child) for child in both] == [0, 0]
    assert known(tmp_path) == whole[0]
    assert len((tmp_path / "starts").read_text().split()) == 13


@pytest.mark.slow
def test_two_workers_share_a_study_in_sqlite_with_folders_of_their_own(tmp_path):
    words = [f"hydra.sweeper.storage=sqlite:///{tmp_path}/shared.db", "hydra.sweeper.n_trials=6"]
    words += ["hydra.sweeper.study_name=shared", "hydra.sweeper.n_jobs=1"]
    folders = ["hydra.sweep.subdir=w0_${hydra.job.num}", "hydra.sweep.subdir=w1_${hydra.job.num}"]
    both = [worker(tmp_path / "all", *words, folder, sleep=0.02) for folder in folders]
    assert [ended(child) for child in both] == [0, 0]
    made = sorted((tmp_path / "all").glob("w?_*"), key=lambda path: path.name[3:])
    assert [int(path.name[3:]) for path in made] == list(range(6))
    rows = (tmp_path / "all" / "trials.csv").read_text().splitlines()[1:]
    assert [row.partition(",")[0] for row in rows] == ["0", "1", "2", "3", "4", "5"]
    assert all(path.name in row for path, row in zip(made, rows, strict=True))


@pytest.mark.slow
def test_a_joiner_says_so_and_one_with_other_settings_is_refused_with_the_difference(
    tmp_path, capsys
):
    words = [*SPACE, *COUNTS, "hydra.sweeper.ahead=2"]
    folder = tmp_path / "study"
    first = worker(folder, words[-1], sleep=0.05)
    try:
        while read_study(folder) is None or not read_study(folder).trials:
            time.sleep(0.02)
        for word, told in {
            "hydra.sweeper.ahead=3": "ahead: 2, now 3",
            "hydra.sweeper.n_jobs=4": "n_jobs: 3, now 4",
            "hydra.sweeper.sampler.seed=2": "sampler.seed: 1, now 2",
            "x=interval(-1,2)": "x: ",
            "rule=b": "rule: ",
        }.items():
            with pytest.raises(CompactHydraException) as error:
                sweep(folder, task, CONFIG, *words, word)
            assert isinstance(error.value.__cause__, StudyError) and told in str(error.value)
        capsys.readouterr()
        sweep(folder, task, CONFIG, *words[:-1], "hydra.sweeper.n_trials=24")
        said = capsys.readouterr().out.splitlines()
        assert said[0].startswith("joining study study as worker 2 of 2: ")
        assert said[0].endswith(" of 24 trials done")
    finally:
        with suppress(ProcessLookupError):
            ended(first)
    assert [number for number, *_ in known(folder)] == list(range(24))


@pytest.mark.slow
def test_who_is_taken_for_dead_tells_nothing_more(tmp_path):
    """Here another removes its entry on the roll, as on a file system whose locks do not hold."""

    def struck_off(cfg):
        for path in (tmp_path / ROLL).iterdir():
            path.unlink()
        return 1.0

    with pytest.raises(CompactHydraException, match="taken this one for dead") as error:
        sweep(tmp_path, struck_off, CONFIG, *SPACE, *COUNTS)
    assert isinstance(error.value.__cause__, FolderError)
    assert {state for _, state, *_ in known(tmp_path)} == {"RUNNING"}
    assert not (tmp_path / "trials.csv").exists()
    before = known(tmp_path)
    assert work_on(tmp_path, 1) == [0]
    assert [one[2] for one in known(tmp_path)[: len(before)]] == [one[2] for one in before]
