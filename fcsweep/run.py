"""A run: from a config to trained parameters and records. One path trains one trial or a stack."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors.torch import save

from fcsweep import data
from fcsweep.checkpoint import Checkpoints, find, go_on, groups, made_with
from fcsweep.config import ConfigError, RunConfig, TwoLayerConfig
from fcsweep.nets import FullyConnectedNet, TwoLayerNet
from fcsweep.optim import RULES
from fcsweep.provenance import provenance
from fcsweep.records import HistoryRow, Result, RunRecord
from fcsweep.solver import Epoch, Solver

log = logging.getLogger(__name__)

RULE_OF = {"sgd": "sgd", "momentum": "sgd_momentum", "rmsprop": "rmsprop", "adam": "adam"}
"""Which update rule an option of ``optimizer`` is."""


@dataclass(frozen=True)
class Report:
    """What ``on_epoch`` is told of a trial after an epoch."""

    trial: int
    """Its position in ``configs``."""
    row: HistoryRow
    result: Result
    """So far."""


OnEpoch = Callable[[Sequence[Report]], Collection[int]]
"""Told of all trials that are still training, at once; returns the positions of those to prune."""


def run(config: RunConfig, folder: Path, on_epoch: OnEpoch | None = None) -> Result:
    """Train one trial in its folder: ``run_many([config], [folder])[0]``."""
    return run_many([config], [folder], on_epoch)[0]


def run_many(
    configs: Sequence[RunConfig], folders: Sequence[Path], on_epoch: OnEpoch | None = None
) -> list[Result]:
    """Train trials of one shape as one stack, each with its records in its own folder.

    Args:
        configs: equal but for what a schema marks as per trial.
        folders: one for each; they exist.
        on_epoch: called after every epoch.

    Returns:
        How each trial ended: ``completed``, ``pruned`` or ``diverged``.

    Raises:
        KeyboardInterrupt, SystemExit: after SIGINT, or SIGTERM and SIGHUP; the records say
            ``interrupted``.
        Exception: whatever went wrong; the records say ``failed``, the log has the traceback.
    """
    records = [
        RunRecord(folder, config.objective, config.target)
        for config, folder in zip(configs, folders, strict=True)
    ]
    train(configs, records, on_epoch or _prune_none)
    return [record.result for record in records]


def train(configs: Sequence[RunConfig], records: Sequence[RunRecord], on_epoch: OnEpoch) -> None:
    """As `run_many`, into records that are there already."""
    with _ending_in(records):
        device, dataset, facts = _made_ready(configs, records)
        seconds = configs[0].solver.checkpoint_seconds
        decisive = {
            record.folder: made_with(config, each)
            for config, record, each in zip(configs, records, facts, strict=True)
        }
        found = [[] if seconds is None else find(*each) for each in decisive.items()]
        for trials, checkpoints in groups(found):
            own, theirs = [configs[t] for t in trials], [records[t] for t in trials]
            threads = checkpoints[0].threads if checkpoints else torch.get_num_threads()
            with _threads(threads):
                _say_where_from(own, theirs, device, dataset.fingerprint)
                solver = _solver(own, dataset, device)
                if checkpoints:
                    go_on(checkpoints, solver, theirs)
                with _stopped_by_signals(solver):
                    _train(solver, records, trials, on_epoch, Checkpoints(seconds, decisive))


def _train(
    solver: Solver,
    records: Sequence[RunRecord],
    trials: Sequence[int],
    on_epoch: OnEpoch,
    checkpoints: Checkpoints,
) -> None:
    """Let the solver train; record every epoch, and let go who has diverged or is pruned."""
    training = list(trials)
    start = time.perf_counter()
    for epoch in solver.epochs():
        rows = [_row(epoch, place) for place in range(len(training))]
        for place, (trial, row) in enumerate(zip(training, rows, strict=True)):
            losses, best = epoch.losses[:, place].numpy(), _best(solver, place)
            records[trial].add(row, losses, time.perf_counter() - start, best)
            log.info(row.line(solver.num_epochs))
        diverged = dict(zip(training, epoch.diverged_at, strict=True))
        pruned = on_epoch(
            [Report(t, row, records[t].result) for t, row in zip(training, rows, strict=True)]
        )
        staying: list[int] = []
        for place, trial in enumerate(training):
            if diverged[trial] is not None:
                where = f"epoch {epoch.number}, step {diverged[trial]}"
                result = records[trial].finish("diverged", f"the loss is not finite at {where}")
                log.warning("diverged: %s", result.reason)
            elif trial in pruned:
                records[trial].finish("pruned", f"pruned after epoch {epoch.number}")
            else:
                staying.append(place)
        if not staying:
            return
        if len(staying) < len(training):
            solver.keep(staying)
            training = [training[place] for place in staying]
        checkpoints.after(solver, [records[trial] for trial in training])
    if solver.epoch < solver.num_epochs:
        checkpoints.write()
        return
    for trial in training:
        records[trial].finish("completed")


def _made_ready(
    configs: Sequence[RunConfig], records: Sequence[RunRecord]
) -> tuple[torch.device, data.Dataset, list[dict[str, Any]]]:
    """The device and the data that trials share, and where the numbers of each come from."""
    device = device_of(configs[0].device)
    _deterministic(device)
    _say_where_from(configs, records, device, None)
    dataset = data_of(configs[0])
    return device, dataset, _facts(configs, device, dataset.fingerprint)


def _solver(configs: Sequence[RunConfig], dataset: data.Dataset, device: torch.device) -> Solver:
    """Net and rule of a stack."""
    first = configs[0]
    net = net_of(configs, dataset, device)
    rule = RULES[RULE_OF[first.optimizer.name]]
    solver = first.solver
    return Solver(
        net,
        dataset,
        update_rule=rule,
        optim_config={name: _constant(configs, "optimizer", name) for name in rule.constants},
        lr_decay=_constant(configs, "solver", "lr_decay"),
        num_epochs=solver.num_epochs,
        batch_size=solver.batch_size,
        num_train_samples=solver.num_train_samples,
        num_val_samples=solver.num_val_samples,
        eval_every=solver.eval_every,
        seed=[config.seed for config in configs],
        verbose=False,
        objective=first.objective,
    )


def _say_where_from(
    configs: Sequence[RunConfig],
    records: Sequence[RunRecord],
    device: torch.device,
    fingerprint: str | None,
) -> None:
    for record, facts in zip(records, _facts(configs, device, fingerprint), strict=True):
        record.provenance(facts)


def _facts(
    configs: Sequence[RunConfig], device: torch.device, fingerprint: str | None
) -> list[dict[str, Any]]:
    """Where the numbers of each trial of a stack come from."""
    stack = len(configs)
    return [provenance(c, device, fingerprint, place, stack) for place, c in enumerate(configs)]


def data_of(config: RunConfig) -> data.Dataset:
    """The data that a config names."""
    chosen = {f.name: getattr(config.data, f.name) for f in fields(config.data)}
    return data.load(**chosen, dtype=getattr(torch, config.dtype))


def net_of(
    configs: Sequence[RunConfig], dataset: data.Dataset, device: torch.device
) -> FullyConnectedNet:
    """A stack with a trial for each config, with its initial weights."""
    model = configs[0].model
    shared: dict[str, Any] = {
        "input_dim": dataset.X_train.shape[1],
        "num_classes": dataset.num_classes,
        "weight_scale": _constant(configs, "model", "weight_scale"),
        "reg": _constant(configs, "model", "reg"),
        "loss_function": model.loss_function,
        "seed": [config.seed for config in configs],
        "dtype": dataset.X_train.dtype,
        "device": device,
    }
    if isinstance(model, TwoLayerConfig):
        return TwoLayerNet(hidden_dim=model.hidden_dims[0], **shared)
    dropout = _constant(configs, "model", "dropout")
    return FullyConnectedNet(model.hidden_dims, dropout=dropout, **shared)


def _constant(configs: Sequence[RunConfig], group: str, key: str) -> torch.Tensor:
    """A key of each trial, ``(k,)`` float64."""
    values = [getattr(getattr(config, group), key) for config in configs]
    return torch.tensor(values, dtype=torch.float64)


def device_of(name: str) -> torch.device:
    """The device that a config names; ``auto`` is a GPU where there is one.

    Raises:
        ConfigError: torch finds no such GPU here.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    device = torch.device(("cuda" if count else "cpu") if name == "auto" else name)
    if device.type != "cuda":
        return device
    if count == 0:
        raise ConfigError(
            f"device is {name!r}, but torch {torch.__version__} finds no GPU here; "
            "expected cpu, or auto for a GPU only where there is one"
        )
    if (device.index or 0) >= count:
        names = ", ".join(f"cuda:{number}" for number in range(count))
        raise ConfigError(f"device is {name!r}; expected one of {names}, cpu, auto")
    return device


def _deterministic(device: torch.device) -> None:
    """On a GPU, let every operation be a deterministic one; on a CPU they are for given threads."""
    torch.set_num_threads(torch.get_num_threads())  # if nobody sets it, MKL may choose by itself
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before CUDA starts
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """While the block runs, torch has this many threads: those of the run that goes on."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _row(epoch: Epoch, place: int) -> HistoryRow:
    """An epoch of one trial; what has diverged has no accuracy."""
    train = val = None
    if epoch.val_accuracy is not None and epoch.diverged_at[place] is None:
        train, val = epoch.train_accuracy[place], epoch.val_accuracy[place]
    return HistoryRow(
        epoch=epoch.number,
        step=epoch.step,
        loss=epoch.loss[place],
        train_accuracy=train,
        val_accuracy=val,
        learning_rate=epoch.learning_rate[place],
    )


def _best(solver: Solver, place: int) -> bytes | None:
    """The parameters of a trial as a safetensors file, if the last epoch is its best."""
    if solver.best_epoch[place] != solver.epoch:
        return None
    params = solver.best_params
    return save({name: p[place].cpu().contiguous() for name, p in params.items()})


def _prune_none(reports: Sequence[Report]) -> Collection[int]:
    return ()


@contextmanager
def _ending_in(records: Sequence[RunRecord]) -> Iterator[None]:
    """However training ends, every record says so."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stop:
        _finish_running(records, "interrupted", _one_line(stop))
        raise
    except Exception as error:
        log.exception("the run failed")
        _finish_running(records, "failed", _one_line(error))
        raise


def _finish_running(records: Sequence[RunRecord], status: str, reason: str) -> None:
    for record in records:
        if record.result.status == "running":
            record.finish(status, reason)


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


@contextmanager
def _stopped_by_signals(solver: Solver) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP end training after the step in progress; a second one at once.

    The handler only asks: an exception raised by a handler can be lost. Outside the main thread
    signals are not ours to handle.
    """
    received: list[int] = []
    before: dict[signal.Signals, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        before.clear()

    def ask(number: int, frame: FrameType | None) -> None:
        received.append(number)
        solver.stop()
        restore()

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is None or signal.getsignal(number) is signal.SIG_IGN:
            continue  # not on this system, or ignored as nohup asks
        try:
            before[number] = signal.signal(number, ask)
        except ValueError:  # not the main thread
            break
    try:
        yield
    finally:
        restore()
    if received and solver.epoch < solver.num_epochs:
        name = signal.Signals(received[0]).name
        if received[0] == signal.SIGINT:
            raise KeyboardInterrupt(name)
        raise SystemExit(128 + received[0])
