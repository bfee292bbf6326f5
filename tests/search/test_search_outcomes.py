"""How trials end: values, failures, pruning, targets and limits, in sweeps of a toy app."""

import csv
import json
import math
import re
import time
from collections import Counter
from types import SimpleNamespace

import optuna
import pytest
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from optuna.trial import TrialState
from support.marks import one_quick
from support.toy_app import multirun, sweep, told

from fcsweep.messages.errors import FolderError
from fcsweep.search import prune, should_prune
from fcsweep.search.outcomes import outcome_of, read_outcome
from fcsweep.search.study.study import COUNTS, REASON, best_of, reaching

X = ["x=interval(-1,1)", "hydra.sweeper.sampler.seed=1"]
FREE = "hydra.sweeper.max_failure_rate=1.0"


@pytest.fixture(autouse=True)
def restored(hydra_restore_singletons):
    """Hydra as it was."""


def number():
    return HydraConfig.get().job.num


def trials(count, jobs=4):
    return [f"hydra.sweeper.n_trials={count}", f"hydra.sweeper.n_jobs={jobs}"]


# --- What a task returns --------------------------------------------------------------------------

ENDS = [
    (0.5, "COMPLETE", None),
    (3, "COMPLETE", None),
    (True, "COMPLETE", None),
    ((0.25,), "COMPLETE", None),
    (math.nan, "FAIL", "the task returned nan, which is not finite"),
    (math.inf, "COMPLETE", None),  # the worst there is
    (-math.inf, "FAIL", "the task returned -inf, which is not finite"),
    (None, "FAIL", "the task returned null; expected a number"),
    ("0.3", "FAIL", "the task returned '0.3'; expected a number"),
    ((0.1, 0.2), "FAIL", "the task returned [0.1, 0.2]; expected a number"),
    ([], "FAIL", "the task returned []; expected a number"),
    ({"loss": 1}, "FAIL", "the task returned {'loss': 1}; expected a number"),
    (ValueError("too\nbad"), "FAIL", "ValueError: too bad"),
    (KeyError("k"), "FAIL", "KeyError: 'k'"),
    (optuna.TrialPruned("enough"), "PRUNED", None),
    (-7.5, "COMPLETE", None),
]


@pytest.mark.slow
def test_every_end_of_a_task(tmp_path, capsys):
    def task(cfg):
        end = ENDS[number()][0]
        if isinstance(end, BaseException):
            raise end
        return end

    study = sweep(tmp_path, task, {"x": 0.0}, *X, FREE, *trials(len(ENDS)))
    for trial, (_, state, reason) in zip(study.trials, ENDS, strict=True):
        assert (trial.state.name, trial.user_attrs.get(REASON)) == (state, reason)
        assert state == "COMPLETE" or trial.values is None
    assert [trial.values for trial in study.trials[:4]] == [[0.5], [3.0], [1.0], [0.25]]
    results = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert (results["best_trial"], results["best_value"]) == (15, -7.5)  # not -inf
    assert results["trials"] == {"completed": 6, "pruned": 1, "failed": 9, "running": 0}
    rows = list(csv.DictReader((tmp_path / "trials.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == [
        {"COMPLETE": "completed", "FAIL": "failed", "PRUNED": "pruned"}[state]
        for _, state, _ in ENDS
    ]
    said = capsys.readouterr().out
    assert "trial 12: failed (x " in said and "): ValueError: too bad" in said
    assert "all 16 trials done: 6 completed, 1 pruned, 9 failed" in said


@pytest.mark.parametrize(
    ("direction", "best"), [("maximize", 1), ("minimize", 2)], ids=["maximize", "minimize"]
)
def test_a_failed_trial_is_never_the_best(direction, best, tmp_path):
    values = [math.inf, 3.0, -2.0, -math.inf, math.nan]
    study = sweep(
        tmp_path,
        lambda cfg: values[number()],
        {"x": 0.0},
        *X,
        FREE,
        *trials(5),
        f"hydra.sweeper.direction={direction}",
    )
    assert best_of(study).number == best
    results = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert results["best_trial"] == best
    assert results["best_dir"] == str(tmp_path / str(best))


@pytest.mark.slow
def test_several_objectives(tmp_path):
    ends = [(1.0, 2.0), (2.0, 1.0), 3.0, (3.0, 3.0, 3.0), (0.0, math.nan), (3.0, 3.0)]
    study = sweep(
        tmp_path,
        lambda cfg: ends[number()],
        {"x": 0.0},
        *X,
        FREE,
        *trials(6),
        "hydra.sweeper.direction=[minimize,maximize]",
        "hydra/sweeper/sampler=nsgaii",
    )
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2 + ["FAIL"] * 3 + [
        "COMPLETE"
    ]
    assert study.trials[2].user_attrs[REASON] == "the task returned 3.0; expected 2 numbers"
    results = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert [one["trial"] for one in results["solutions"]] == [0, 5]
    assert results["solutions"][0]["values"] == [1.0, 2.0]


# --- Too many failures ----------------------------------------------------------------------------


def failing(*numbers):
    def task(cfg):
        if number() in numbers:
            raise RuntimeError(f"of {number()}")
        return cfg.x

    return task


@pytest.mark.parametrize(
    ("rate", "numbers", "ended"),
    one_quick(
        [
            ("0", [1], 2),
            ("0", [3], 4),
            ("0.5", [0, 3], 4),
            ("0.5", [0, 1], 2),
            ("1.0", [0, 1, 2], 4),
        ]
    ),
)
def test_a_batch_with_too_many_failures_ends_the_sweep(rate, numbers, ended, tmp_path):
    arguments = [*X, *trials(4, 2), f"hydra.sweeper.max_failure_rate={rate}"]
    batch = [n for n in numbers if n < ended and n >= ended - 2]
    if len(batch) > float(rate) * 2:
        words = rf"{len(batch)} of 2 trials failed, more than hydra\.sweeper\.max_failure_rate="
        with pytest.raises(CompactHydraException, match=f"^{words}.*: RuntimeError: of"):
            sweep(tmp_path, failing(*numbers), {"x": 0.0}, *arguments)
    else:
        sweep(tmp_path, failing(*numbers), {"x": 0.0}, *arguments)
    results = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert sum(results["trials"].values()) == ended  # each told, also of the last batch
    assert results["trials"]["failed"] == len([n for n in numbers if n < ended])


@pytest.mark.slow
def test_five_failures_for_one_reason_at_the_start_end_the_sweep(tmp_path):
    def task(cfg):
        raise RuntimeError("no data")

    words = "^the first 5 trials failed for one reason: RuntimeError: no data$"
    with pytest.raises(CompactHydraException, match=words):
        sweep(tmp_path, task, {"x": 0.0}, *X, FREE, *trials(20, 3))
    results = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert results["trials"]["failed"] == 6 and results["best_trial"] is None


def test_all_failed_for_reasons_of_their_own(tmp_path):
    with pytest.raises(CompactHydraException, match="^all 6 trials failed; the first: Runtime"):
        sweep(tmp_path, failing(*range(6)), {"x": 0.0}, *X, FREE, *trials(6, 3))


@pytest.mark.slow
def test_failures_that_are_alike_are_told_once_and_counted(tmp_path, capsys):
    def task(cfg):
        if number() == 5:
            raise ValueError("another")
        return failing(1, 2, 3, 6)(cfg)

    sweep(tmp_path, task, {"x": 0.0}, *X, FREE, *trials(8, 8))
    said = capsys.readouterr().out
    assert said.count("RuntimeError: of 1") == said.count("RuntimeError") == 1
    assert said.count("ValueError: another") == 1
    for alike in (2, 3, 6):
        assert re.search(rf"trial {alike}: failed \(x [-.\d]+\): as trial 1\n", said)
    assert "\n3 more trials failed as trial 1\n" in said


def test_the_best_that_others_reach_says_so(tmp_path, capsys):
    sweep(tmp_path, lambda cfg: float(number() > 1), {"x": 0.0}, *X, *trials(4))
    best = capsys.readouterr().out.splitlines()[-1]
    assert best.startswith("best: trial 0, 0 (x ") and best.endswith("); 1 other reaches it")


def test_one_good_trial_is_enough(tmp_path):
    study = sweep(tmp_path, failing(*range(1, 7)), {"x": 0.0}, *X, FREE, *trials(7, 7))
    assert Counter(trial.state.name for trial in study.trials) == {"COMPLETE": 1, "FAIL": 6}


# --- When a search stops --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "target", "ended"),
    [("maximize", 2.0, 4), ("maximize", 3.0, 4), ("minimize", -1.0, 2)],
)
def test_no_trial_is_asked_after_the_target(direction, target, ended, tmp_path, capsys):
    sign = 1 if direction == "maximize" else -1
    arguments = [*X, *trials(20, 2), "hydra.sweeper.stop_at_target=true"]
    arguments += [f"hydra.sweeper.direction={direction}"]

    def task(cfg):
        return float(sign * number())

    study = sweep(tmp_path, task, {"x": 0.0, "target": target}, *arguments)
    said = capsys.readouterr().out
    stopped = f"stopped: target {target} reached at trial {abs(target):.0f}; {ended} of 20 trials: "
    assert stopped in said and "to go on" not in said
    assert len(study.trials) == ended and all(t.state.is_finished() for t in study.trials)
    again = sweep(tmp_path, task, {"x": 0.0, "target": target}, *arguments)
    assert told(again) == told(study)


@pytest.mark.parametrize("target", [{}, {"target": None}, {"target": "a"}, {"target": True}])
def test_a_target_has_to_be_there(target, tmp_path):
    with pytest.raises(CompactHydraException, match="stop_at_target is true, but target is"):
        sweep(
            tmp_path / "s",
            lambda cfg: 0.0,
            {"x": 0.0, **target},
            *X,
            "hydra.sweeper.stop_at_target=true",
        )
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_run_that_diverged_after_reaching_the_target_counts(direction):
    study = optuna.create_study(direction=direction)
    study.tell(study.ask(), 0.5)
    trial = study.ask()
    trial.report(0.9 if direction == "maximize" else 0.1, 0)
    assert not reaching(study, 0.9 if direction == "maximize" else 0.1)
    trial.set_user_attr(COUNTS, True)
    study.tell(trial, state=TrialState.PRUNED)
    assert reaching(study, 0.9 if direction == "maximize" else 0.1)
    assert best_of(study).number == 1


@pytest.mark.slow
def test_after_the_time_is_over_no_trial_is_asked(tmp_path, capsys):
    def task(cfg):
        time.sleep(0.15)
        return cfg.x

    study = sweep(tmp_path, task, {"x": 0.0}, *X, *trials(50, 2), "hydra.sweeper.timeout=0.3")
    ended = len(study.trials)
    assert 2 <= ended < 10 and ended % 2 == 0
    said = capsys.readouterr().out
    assert f"stopped: reached hydra.sweeper.timeout (0.3 s); {ended} of 50 trials: " in said
    assert f"to go on: the same command with hydra.sweep.dir={tmp_path}\n" in said
    more = sweep(tmp_path, task, {"x": 0.0}, *X, *trials(ended + 1, 2))
    assert len(more.trials) == ended + 1


@pytest.mark.slow
def test_known_good_points_come_first(tmp_path):
    study = sweep(
        tmp_path,
        lambda cfg: cfg.x,
        {"x": 0.0, "y": 0},
        *X,
        "y=1,2,3",
        *trials(4),
        "hydra.sweeper.enqueue=[{x:0.5,y:3},{y:1}]",
    )
    assert study.trials[0].params == {"x": 0.5, "y": 3}
    assert study.trials[1].params["y"] == 1
    assert len(study.trials) == 4 and len({trial.params["x"] for trial in study.trials}) == 4


MISTAKES = [
    ("hydra.sweeper.n_trials=0", "hydra.sweeper.n_trials is 0; expected a whole number >= 1"),
    ("hydra.sweeper.n_jobs=0", "hydra.sweeper.n_jobs is 0"),
    ("hydra.sweeper.max_failure_rate=1.5", "hydra.sweeper.max_failure_rate is 1.5; expected a"),
    ("hydra.sweeper.timeout=-1", "hydra.sweeper.timeout is -1"),
    ("hydra.sweeper.timeout=nan", "hydra.sweeper.timeout is nan"),
    ("hydra.sweeper.direction=maximise", "did you mean maximize?"),
    ("hydra.sweeper.direction=[]", "hydra.sweeper.direction is an empty list"),
    ("hydra.sweeper.enqueue=[{x:3}]", "hydra.sweeper.enqueue[0]: x is 3; expected -1.0 to 1.0"),
    ("hydra.sweeper.custom_search_space=no.such", "hydra.sweeper.custom_search_space is no.such"),
    ("hydra.sweeper.sampler.seed=-1", "hydra.sweeper.sampler.seed is -1"),
    ("nokey=1,2", "nokey"),
]


@pytest.mark.parametrize(("override", "words"), MISTAKES)
def test_a_mistake_is_found_before_anything_is_made(override, words, tmp_path):
    folder = tmp_path / "s"
    with pytest.raises(Exception) as error:
        sweep(folder, lambda cfg: 0.0, {"x": 0.0}, *X, override)
    assert words in str(error.value)
    assert not folder.exists()


# --- Pruning --------------------------------------------------------------------------------------

MEDIAN = [
    "hydra/sweeper/pruner=median",
    "hydra.sweeper.pruner.n_startup_trials=2",
    "hydra.sweeper.sampler.seed=3",
]


def steps(log, until=None):
    """A task that reports five times and keeps what it was told."""

    def task(cfg):
        for step in range(5):
            if until is not None and (number(), step) == until:
                raise KeyboardInterrupt
            log.append((number(), step))
            if should_prune(abs(cfg.x) + step, step):
                break
        return abs(cfg.x) + 4

    return task


def test_the_median_pruner_stops_jobs(tmp_path):
    log = []
    study = sweep(tmp_path, steps(log), {"x": 0.0}, "x=interval(-1,1)", *MEDIAN, *trials(10, 2))
    pruned = [trial for trial in study.trials if trial.state is TrialState.PRUNED]
    assert 2 <= len(pruned) <= 8
    for trial in study.trials:
        known = len([step for n, step in log if n == trial.number])
        assert known == len(trial.intermediate_values)
        assert (known == 5) or trial in pruned
    for (
        trial
    ) in pruned:  # independently: worse than the median of those that ended in batches before
        step = trial.last_step
        before = [
            other.intermediate_values[step]
            for other in study.trials[: trial.number - trial.number % 2]
            if step in other.intermediate_values and other.state is TrialState.COMPLETE
        ]
        assert trial.intermediate_values[step] > sorted(before)[len(before) // 2 - 1]
        assert trial.user_attrs["pruned_at"] == step
        assert trial.values == [trial.intermediate_values[step]]


PRUNING = [{"x": 0.0}, "x=interval(-1,1)", *MEDIAN, *trials(8, 2)]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return sweep(tmp_path_factory.mktemp("whole"), steps([]), *PRUNING)


@pytest.mark.slow
@pytest.mark.parametrize(
    "until", [(3, 2), (6, 3), *(pytest.param((n, 1), marks=pytest.mark.slow) for n in (2, 4, 5, 7))]
)
def test_a_job_that_was_interrupted_takes_the_same_decisions_again(until, uninterrupted, tmp_path):
    arguments, whole = PRUNING, uninterrupted
    last = len(whole.trials[until[0]].intermediate_values) - 1
    until = (until[0], min(until[1], last))
    with pytest.raises(SystemExit, match="130"):
        sweep(tmp_path / "cut", steps([], until), *arguments)
    assert (tmp_path / "cut" / "optimization_results.yaml").exists()
    log = []
    again = sweep(tmp_path / "cut", steps(log), *arguments)
    assert told(again) == told(whole)
    assert min(log) == (until[0], 0)  # those before it are not trained again
    for one, another in zip(whole.trials, again.trials, strict=True):
        assert one.intermediate_values == another.intermediate_values


def test_no_decision_outside_a_search(tmp_path):
    assert should_prune(1e9, 0) is False and prune({0: 1e9}, 0) == set()
    decisions = []

    def task(cfg):
        decisions.append(should_prune(1e9, 0))

    multirun(tmp_path, task, {"x": 0.0}, "x=1,2")
    assert decisions == [False, False]
    assert not (tmp_path / "study.journal").exists()


def test_a_report_that_is_not_finite_or_comes_twice_is_let_pass(tmp_path):
    def task(cfg):
        assert not should_prune(math.nan, 0) and not should_prune(math.inf, 1)
        assert not should_prune(0.5, 2) and not should_prune(0.7, 2)
        return 1.0

    study = sweep(tmp_path, task, {"x": 0.0}, *X, *MEDIAN[:2], *trials(2))
    assert [trial.intermediate_values for trial in study.trials] == [{2: 0.5}] * 2


def test_several_objectives_are_not_pruned(tmp_path):
    def task(cfg):
        assert not should_prune(1.0, 0)
        return 1.0, 2.0

    arguments = [*X, "hydra.sweeper.direction=[minimize,minimize]", *trials(2), *MEDIAN[:1]]
    assert len(sweep(tmp_path, task, {"x": 0.0}, *arguments).trials) == 2


def test_jobs_of_one_epoch_report_before_any_is_decided_on():
    from fcsweep.search.study.trial import Session, searching

    pruner = optuna.pruners.PercentilePruner(50.0, n_startup_trials=0)
    study = optuna.create_study(pruner=pruner)
    for value in (1.0, 2.0, 3.0):
        done = study.ask()
        done.report(value, 0)
        study.tell(done, value)
    for _ in range(3):
        study.ask()
    heard = []
    listener = SimpleNamespace(reported=lambda *report: heard.append(report))
    with searching(Session(study, listener)):
        assert prune({3: 0.5, 4: 9.0, 5: 2.5}, 0) == {4, 5}
    assert heard == [(3, 0, 0.5), (4, 0, 9.0), (5, 0, 2.5)]
    assert "pruned_at" not in study.trials[3].user_attrs


# --- What records prove ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"status": "completed", "value": 0.5}, ("COMPLETE", (0.5,), False)),
        ({"status": "completed", "value": None}, ("FAIL", (), False)),
        ({"status": "pruned", "value": 0.25, "reason": "at epoch 3"}, ("PRUNED", (0.25,), True)),
        ({"status": "diverged", "value": 0.75, "reason": "nan"}, ("PRUNED", (0.75,), True)),
        ({"status": "diverged", "value": None, "reason": "nan"}, ("FAIL", (), False)),
        ({"status": "running", "value": 0.5}, None),
        ({"status": "interrupted", "value": 0.5}, None),
        ({"status": "failed", "value": None}, None),
        (None, None),
    ],
)
def test_the_record_of_a_run_tells_how_it_ended(result, expected, tmp_path):
    if result is not None:
        (tmp_path / "result.json").write_text(json.dumps(result))
    outcome = read_outcome(tmp_path)
    found = None if outcome is None else (outcome.state.name, outcome.values, outcome.counts)
    assert found == expected
    if outcome is not None and outcome.state is TrialState.FAIL:
        assert outcome.reason == ((result or {}).get("reason") or "it has no value")
    if outcome is not None:
        job = JobReturn(status=JobStatus.FAILED)
        assert outcome_of(job, 1, None, outcome) is outcome


@pytest.mark.parametrize(
    "text", ['{"status": "comp', '{"status": "completed", "value": "0.5"}', ""]
)
def test_a_damaged_record_is_named(text, tmp_path):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(FolderError, match=r"holds a damaged run \(.*result\.json .*remove it to"):
        read_outcome(tmp_path)


def test_a_job_without_a_status_has_not_ended():
    outcome = outcome_of(JobReturn(), 1, None, None)
    assert (outcome.state.name, outcome.reason) == ("FAIL", "its job has not ended")
