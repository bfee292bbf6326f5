"""CPU time of a search's bookkeeping, against hydra-optuna-sweeper's way with SQLite.

    python benchmarks/bench_sweeper.py [--trials 200] [--rounds 3] [--save]

Two log intervals, TPE, the median pruner, batches of five, ten reports a trial unless it is pruned.
Ours is the search as a sweep runs it, with the journal, every file and line, but with a launcher
that composes no job: what is left is ask, report, tell and bookkeeping. Theirs asks and suggests as
hydra-optuna-sweeper does and, as it has no pruning, reports as any program with Optuna would. The
time is that of the process (user and system), not of the disk. Rounds are interleaved; the first
is discarded; medians.
"""

from __future__ import annotations

import argparse
import logging
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import hydra
import optuna
import sqlalchemy
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf
from optuna.trial import Trial, TrialState
from results_file import machine, save

from fcsweep.search.loop import Search
from fcsweep.search.plan import Plan
from fcsweep.search.progress import Progress
from fcsweep.search.pruning import prune
from fcsweep.search.settings import PRUNERS, SAMPLERS
from fcsweep.search.space import space_of
from fcsweep.search.study.samplers import pruner_of, sampler_of
from fcsweep.search.study.storage import storage_of
from fcsweep.search.study.study import Start, open_study
from fcsweep.system.crew import Crew

EPOCHS, BATCH = 10, 5
SPACE = space_of(
    None,
    [
        "model.weight_scale=tag(log,interval(1e-3,1))",
        "optimizer.learning_rate=tag(log,interval(1e-4,1))",
    ],
)


@dataclass
class Spent:
    """CPU seconds of one search."""

    trials: int
    total: float = 0.0
    reporting: float = 0.0
    reports: int = 0

    @property
    def of_a_trial(self) -> float:
        """Milliseconds of ask, tell and bookkeeping."""
        return 1e3 * (self.total - self.reporting) / self.trials

    @property
    def of_a_report(self) -> float:
        """Milliseconds of a report and the decision on it."""
        return 1e3 * self.reporting / self.reports


def accuracy(number: int, epoch: int) -> float:
    """A learning curve."""
    return (1 - 2.0**-epoch) * random.Random(number).random()


class Reporting(Launcher):
    """Runs nothing: reports the curves of a batch epoch by epoch, as a stack does."""

    def __init__(self, spent: Spent) -> None:
        self.spent = spent

    def setup(self, **given: object) -> None:
        """Nothing to do."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> list[JobReturn]:
        """Report until every job has ended or is told to stop."""
        numbers = range(initial_job_idx, initial_job_idx + len(job_overrides))
        running = set(numbers)
        began = time.process_time()
        for epoch in range(1, EPOCHS + 1):
            self.spent.reports += len(running)
            running -= prune({number: accuracy(number, epoch) for number in running}, epoch)
        self.spent.reporting += time.process_time() - began
        returned = []
        for number in numbers:
            job = JobReturn(overrides=[], cfg=DictConfig({}), status=JobStatus.COMPLETED)
            job.return_value = accuracy(number, EPOCHS)
            returned.append(job)
        return returned


def ours(folder: Path, trials: int) -> Spent:
    """A search as `fcsweep.search.sweep.sweep` does it, once its folder is made."""
    spent = Spent(trials)
    plan = Plan(
        task=OmegaConf.create({}),
        space=SPACE,
        sampler=sampler_of(OmegaConf.create(SAMPLERS["tpe"])),
        pruner=pruner_of(OmegaConf.create(PRUNERS["median"])),
        start=Start(["maximize"], SPACE.as_json(), {}, [], 0, {}),
        n_trials=trials,
        n_jobs=BATCH,
        max_failure_rate=1.0,
        target=None,
        timeout=None,
        extend=None,
    )
    began = time.process_time()
    study, seed = open_study(storage_of(None, folder), "bench", folder, plan.start)
    study.sampler, study.pruner = plan.sampler(seed), plan.pruner
    progress = Progress(study, trials)
    own = OmegaConf.create({"hydra_logging": {"version": 1, "root": None}, "verbose": False})
    with Crew(folder) as crew:
        search = Search(plan, folder, study, Reporting(spent), None, progress, own, crew)
        with search.results():
            search.run()
    spent.total = time.process_time() - began
    return spent


def theirs(folder: Path, trials: int) -> Spent:
    """Ask all of a batch, suggest, run, tell: the loop of hydra-optuna-sweeper."""
    spent = Spent(trials)
    began = time.process_time()
    study = optuna.create_study(
        storage=f"sqlite:///{folder}/study.db",
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.MedianPruner(),
        direction="maximize",
    )
    for _ in range(0, trials, BATCH):
        batch = [study.ask() for _ in range(BATCH)]
        for trial in batch:
            for name, distribution in SPACE.distributions.items():
                trial._suggest(name, distribution)
        pruned = _reported(batch, spent)
        for trial in batch:
            if trial.number in pruned:
                study.tell(trial, state=TrialState.PRUNED)
            else:
                study.tell(trial, accuracy(trial.number, EPOCHS), state=TrialState.COMPLETE)
    spent.total = time.process_time() - began
    return spent


def _reported(batch: Sequence[Trial], spent: Spent) -> set[int]:
    began, pruned = time.process_time(), set()
    for epoch in range(1, EPOCHS + 1):
        running = [trial for trial in batch if trial.number not in pruned]
        for trial in running:
            trial.report(accuracy(trial.number, epoch), epoch)
            spent.reports += 1
        pruned |= {trial.number for trial in running if trial.should_prune()}
    spent.reporting += time.process_time() - began
    return pruned


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3, help="after one that is discarded")
    parser.add_argument("--save", action="store_true", help="write results/sweeper_cpu.json")
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sides: dict[str, Callable[[Path, int], Spent]] = {"ours": ours, "sqlite": theirs}
    found: dict[str, list[Spent]] = {side: [] for side in sides}
    for number in range(arguments.rounds + 1):
        for side, search in sides.items():
            with tempfile.TemporaryDirectory() as folder:
                spent = search(Path(folder), arguments.trials if number else 2 * BATCH)
            if number:
                found[side].append(spent)
    record: dict[str, object] = {
        **machine(),
        "optuna": optuna.__version__,
        "sqlalchemy": sqlalchemy.__version__,
        "hydra": hydra.__version__,
        "trials": arguments.trials,
    }
    for side, rounds in found.items():
        trial = statistics.median(one.of_a_trial for one in rounds)
        report = statistics.median(one.of_a_report for one in rounds)
        print(f"{side:<7} {trial:6.2f} ms a trial, {report:6.2f} ms a report")
        record[side] = {"trial ms": round(trial, 2), "report ms": round(report, 2)}
    if arguments.save:
        save("sweeper_cpu", record)


if __name__ == "__main__":
    main()
