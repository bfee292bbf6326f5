"""A run: from a config to trained parameters and records. One path trains one trial or a stack."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from fcsweep import data
from fcsweep.config import RunConfig
from fcsweep.config.import_paths import import_paths
from fcsweep.data.choice import data_of, measured
from fcsweep.epoch import Epoch
from fcsweep.kernels.python_numbers import each
from fcsweep.kernels.threads import with_threads
from fcsweep.messages.wording import one_line
from fcsweep.records.events import Observer, OnEpoch, Report
from fcsweep.records.formats import HistoryRow, Result
from fcsweep.run.build import best_file, device_of, solver_of
from fcsweep.run.checkpoint import Checkpoint, Checkpoints, find, groups, made_with, resume
from fcsweep.run.provenance import provenance, this_worker
from fcsweep.run.trial import Trial, out_of_memory
from fcsweep.solver import Solver
from fcsweep.system.atomic import writing
from fcsweep.system.signals import end_if_asked, stopped_by_signals

log = logging.getLogger(__name__)

EVALUATED = ("train_accuracy", "val_accuracy", "val_loss", "train_value", "val_value")
"""What a row of the history has of an epoch that was evaluated."""
CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""Environment variable without which cuBLAS is not deterministic."""


def run(
    config: RunConfig,
    folder: Path,
    on_epoch: OnEpoch | None = None,
    observers: Sequence[Observer] = (),
) -> Result:
    """Train one trial in its folder: ``run_many([config], [folder])[0]``."""
    return run_many([config], [folder], on_epoch, observers)[0]


def run_many(
    configs: Sequence[RunConfig],
    folders: Sequence[Path],
    on_epoch: OnEpoch | None = None,
    observers: Sequence[Observer] = (),
    logs: Sequence[logging.Logger] | None = None,
) -> list[Result]:
    """Train trials of one shape as one stack, each with its records in its own folder.

    A trial that diverges, is pruned or fails leaves the stack; the others continue as if it had
    never been there. If the stack does not fit in memory, its halves train one after the other.

    The call leaves the process as it was, so a notebook may use it. Only while the stack trains,
    a signal in the main thread ends training after the step in progress, and torch is deterministic
    on a GPU. The latter needs CUBLAS_WORKSPACE_CONFIG=:4096:8 before cuBLAS starts: set it yourself
    if the notebook has used a GPU before.

    Args:
        configs: equal except for the keys that a schema marks as per trial.
        folders: one for each config; they exist.
        on_epoch: decides after every epoch which trials to prune. After an out-of-memory error it
            is called again for the epochs that are trained again.
        observers: called when training starts, after every epoch, and when it ends.
        logs: the logger of each trial; by default that of this module.

    Returns:
        How each trial ended: ``completed``, ``pruned``, ``diverged`` or, in a stack, ``failed``, or
        ``interrupted`` if its records cannot be written.

    Raises:
        KeyboardInterrupt, SystemExit: after SIGINT, or SIGTERM and SIGHUP; the records say
            ``interrupted``.
        Exception: the error of a single trial; in a stack, the result of the trial names it. In
            both cases the records say ``failed``, and the log has the traceback.
    """
    configs = [measured(config) for config in configs]
    each = zip(configs, folders, logs or [log] * len(configs), strict=True)
    trials = [Trial(place, *one) for place, one in enumerate(each)]
    with ExitStack() as stack:
        for observer in observers:
            stack.enter_context(observer)
            observer.started(configs, folders)
        train(trials, _tell_then_decide(observers, on_epoch))
        results = [trial.result for trial in trials]
        for observer in observers:
            observer.ended(results)
    return results


def train(trials: Sequence[Trial], on_epoch: OnEpoch) -> None:
    """As `run_many`, for `Trial` objects that the caller has made."""
    try:
        _train_what_fits(trials, on_epoch)
    except (KeyboardInterrupt, SystemExit) as stop:
        for trial in _running(trials):
            trial.end("interrupted", one_line(stop))
        raise
    except Exception as error:
        for trial in _running(trials):
            trial.fail(error)
    if len(trials) == 1 and trials[0].error is not None:
        raise trials[0].error


def _running(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.running]


def _train_what_fits(trials: Sequence[Trial], on_epoch: OnEpoch) -> None:
    """Train a stack; if it does not fit in memory, train its unfinished trials in two halves.

    Where the user's own code raises, which may be for one trial only, each is trained alone.
    """
    try:
        return _train(trials, on_epoch)
    except Exception as error:
        end_if_asked()  # what a signal raised may have become another error
        left = _running(trials)
        if not left or not (out_of_memory(error) or import_paths(left[0].config)):
            raise
        if len(left) == 1:
            return left[0].fail(error)
        size = -(-len(left) // 2) if out_of_memory(error) else 1
        what = f"{one_line(error)} in a stack of {len(left)} trials; training {size} at a time"
    # Out of the clause above, nothing holds the memory of the stack any more.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    log.warning(what)
    for start in range(0, len(left), size):
        _train_what_fits(left[start : start + size], on_epoch)


def _train(trials: Sequence[Trial], on_epoch: OnEpoch) -> None:
    """Train a stack with the settings of torch on which its bits depend."""
    for trial in trials:
        with trial.alone():
            trial.record.start()
    starting = _running(trials)
    if not starting:
        return
    device = device_of(starting[0].config.device)
    with deterministic(device), with_threads(torch.get_num_threads()):
        _train_on(device, starting, on_epoch)


def _train_on(device: torch.device, starting: Sequence[Trial], on_epoch: OnEpoch) -> None:
    """Train a stack; trials whose checkpoints share a moment resume together."""
    first = starting[0].config
    _add_provenance(starting, device, None)
    dataset = data_of(first)
    starting = _running(starting)
    found = [list[Checkpoint]() for _ in starting]
    if first.solver.checkpoint_seconds is not None:
        _add_provenance(starting, device, dataset)
        starting = _running(starting)
        found = [find(trial.record.folder, trial.config, trial.made_with) for trial in starting]
    for places, checkpoints in groups(found):
        together = [starting[place] for place in places]
        threads = checkpoints[0].threads if checkpoints else torch.get_num_threads()
        with with_threads(threads):
            _add_provenance(together, device, dataset)
            _train_together(together, dataset, device, checkpoints, on_epoch)


def _train_together(
    trials: Sequence[Trial],
    dataset: data.Dataset,
    device: torch.device,
    checkpoints: Sequence[Checkpoint],
    on_epoch: OnEpoch,
) -> None:
    """Train a stack from its first step, or from its checkpoints, to its end."""
    solver = solver_of([trial.config for trial in trials], dataset, device)
    if checkpoints:
        resume(checkpoints, solver, [trial.record for trial in trials])
    if dataset.preprocessing is not None:
        for trial in trials:
            with trial.alone():
                trial.record.preprocessing(dataset.preprocessing)
    decisive = {trial.record.folder: trial.made_with for trial in trials}
    keeper = Checkpoints(trials[0].config.solver.checkpoint_seconds, decisive)
    training, start = _drop_ended(trials, solver), time.perf_counter()
    with stopped_by_signals(solver.stop):
        for epoch in solver.epochs() if training else ():
            rows, best_epochs = _rows(epoch), each(solver.best_epoch)
            for place, (trial, row) in enumerate(zip(training, rows, strict=True)):
                with trial.alone():
                    better = best_epochs[place] == epoch.number
                    best = best_file(solver, place) if better else None
                    losses = epoch.losses[:, place].numpy()
                    trial.add(row, losses, time.perf_counter() - start, best)
            _report_and_prune(training, rows, epoch, on_epoch)
            training = _drop_ended(training, solver)
            if not training:
                return
            keeper.after(solver, [trial.record for trial in training])
        if solver.epoch < solver.num_epochs:
            keeper.write()
            return
        for trial in training:
            with trial.alone():
                trial.end("completed")


def _report_and_prune(
    training: Sequence[Trial], rows: Sequence[HistoryRow], epoch: Epoch, on_epoch: OnEpoch
) -> None:
    """Report the epoch to the hook; then end who diverged, is pruned or is out of patience."""
    places = [place for place, trial in enumerate(training) if trial.running]
    with writing("standard output"):  # its own files a hook names itself
        pruned = on_epoch([Report(training[p].place, rows[p], training[p].result) for p in places])
    for place in places:
        trial, step = training[place], each(epoch.diverged_at)[place]
        with trial.alone():
            if step is not None:
                where = f"epoch {epoch.number}, step {step}"
                trial.end("diverged", f"the loss is not finite at {where}")
            elif trial.place in pruned:
                trial.end("pruned", f"pruned after epoch {epoch.number}")
            elif each(epoch.stalled)[place]:
                trial.end("completed", _stalled(trial, epoch.number))


def _stalled(trial: Trial, epoch: int) -> str:
    objective, patience = trial.config.objective, trial.config.solver.patience
    return f"stopped after epoch {epoch}: no better {objective} in {patience} evaluations"


def _drop_ended(training: Sequence[Trial], solver: Solver) -> list[Trial]:
    """The trials that are still running; the solver drops the others."""
    staying = [place for place, trial in enumerate(training) if trial.running]
    if 0 < len(staying) < len(training):
        solver.keep(staying)
    return [training[place] for place in staying]


def _add_provenance(
    trials: Sequence[Trial], device: torch.device, dataset: data.Dataset | None
) -> None:
    worker = this_worker()
    for place, trial in enumerate(trials):
        with trial.alone():
            facts = provenance(trial.config, device, dataset, place, len(trials)) | worker
            trial.made_with = made_with(trial.config, facts)
            trial.record.provenance(facts)


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """On a GPU, allow deterministic operations only; on a CPU, a number of threads determines them.

    The block restores the settings at its end: the process may be a notebook's.
    """
    if device.type != "cuda":
        yield
        return
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    settings: Any = torch.utils.deterministic
    fill = settings.fill_uninitialized_memory
    workspace = os.environ.get(CUBLAS_WORKSPACE)
    os.environ.setdefault(CUBLAS_WORKSPACE, ":4096:8")  # read when cuBLAS starts
    torch.use_deterministic_algorithms(True)
    settings.fill_uninitialized_memory = False
    try:
        yield
    finally:
        settings.fill_uninitialized_memory = fill
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        if workspace is None:
            del os.environ[CUBLAS_WORKSPACE]


def _rows(epoch: Epoch) -> list[HistoryRow]:
    """The history row of each trial of a stack; one that diverged has nothing that is evaluated."""
    rows: list[HistoryRow] = []
    evaluated = {name: getattr(epoch, name) for name in EVALUATED}
    trials = zip(each(epoch.loss), each(epoch.learning_rate), each(epoch.diverged_at), strict=True)
    for place, (loss, learning_rate, diverged_at) in enumerate(trials):
        known: dict[str, Any] = {
            name: None if one is None or diverged_at is not None else each(one)[place]
            for name, one in evaluated.items()
        }
        known |= {"loss": loss, "learning_rate": learning_rate}
        rows.append(HistoryRow(epoch.number, epoch.step, **known))
    return rows


def _tell_then_decide(observers: Sequence[Observer], decide: OnEpoch | None) -> OnEpoch:
    """One hook that tells the observers, then decides."""

    def on_epoch(reports: Sequence[Report]) -> Collection[int]:
        for observer in observers:
            observer.epoch(reports)
        return decide(reports) if decide else ()

    return on_epoch
