"""What jobs with ``@fcsweep.stackable`` train: a stack of modules, by the Solver."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from fcsweep.accuracy import objective_of
from fcsweep.batches import part_of
from fcsweep.epoch import Epoch
from fcsweep.kernels.python_numbers import each
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import join
from fcsweep.modules import ModuleNet, form
from fcsweep.objectives import OBJECTIVES
from fcsweep.search.pruning import prune
from fcsweep.search.study.trial import job_number, opened
from fcsweep.solver import Solver
from fcsweep.system.signals import end_if_asked

if TYPE_CHECKING:
    from fcsweep.cli.foreign.stackable import Stackable

PARTS = ("X_train", "y_train", "X_val", "y_val")
OF_NET = {"reg": 0.0, "label_smoothing": 0.0, "class_weights": None}
"""Keywords of `ModuleNet`, and what they are by default."""
PER_TRIAL = ("lr_decay", "schedule", "decay_every", "warmup", "patience", "clip_norm")
"""Keywords of `Solver` that each job has of its own; so has it the constants of the rule."""
OF_ALL = (
    "update_rule",
    "num_epochs",
    "batch_size",
    "num_train_samples",
    "num_val_samples",
    "eval_every",
    "objective",
    "target_scale",
)
KNOWN = (*OF_NET, *PER_TRIAL, *OF_ALL, "optim_config", "seed", "device")


@dataclass(frozen=True)
class Trained:
    """What was trained for a job."""

    module: nn.Module
    """With the parameters of the best epoch, in ``eval()``."""
    value: float
    """The best value of the objective; nan if there was none before the loss was not finite."""
    objective: str
    """Its name, such as ``val_accuracy``."""
    best_epoch: int
    """From 1; 0 if there is no value."""
    epochs: int
    """That it was trained."""
    status: str
    """``completed``, ``pruned`` or ``diverged``."""


@dataclass
class HandedOver:
    """What a job hands over, and how far it is trained."""

    module: nn.Module
    data: Any
    keywords: Mapping[str, Any]
    loss: str | Callable[[Tensor, Tensor], Tensor]
    value: float = math.nan
    best_epoch: int = 0
    shared: dict[str, Any] = field(init=False)
    """The keywords that are those of the whole stack."""

    def __post_init__(self) -> None:
        constants = sorted(self.keywords.get("optim_config") or {})
        own = {*PER_TRIAL, *OF_NET, "seed", "optim_config"}
        self.shared = {key: self.keywords[key] for key in sorted({*self.keywords} - own)}
        self.shared["constants"] = constants

    @classmethod
    def of(cls, task: Stackable, cfg: DictConfig, like: HandedOver | None) -> HandedOver:
        """What the task says of a job; the data of one that is like it, if there is one.

        Raises:
            ConfigError: keywords that are not known.
        """
        keywords = dict(task.solver(cfg))
        if unknown := keywords.keys() - {*KNOWN}:
            what = f"the solver of fcsweep.stackable has {join(unknown)}"
            raise ConfigError(f"{what}; expected some of {join(KNOWN)}")
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(keywords.setdefault("seed", 0))
            module = form.check(task.build(cfg), "what build returns")
        return cls(module, task.data(cfg) if like is None else like.data, keywords, task.loss)

    def is_like(self, other: HandedOver) -> bool:
        """Whether the two can share a stack."""
        return (
            form.same(self.shared, other.shared)
            and form.difference(self.module, other.module) is None
            and _equal(self.data, other.data)
        )

    def trained(self, solver: Solver, place: int, objective: str, status: str) -> Trained:
        """What has become of it, at its place in the stack."""
        best = {name: p[place].clone() for name, p in solver.best_params.items()}
        module = deepcopy(self.module).to(next(iter(best.values())).device)
        module.load_state_dict(best, strict=False)  # the rest is the same in all of a stack
        return Trained(module.eval(), self.value, objective, self.best_epoch, solver.epoch, status)


def fit(handed: Mapping[int, HandedOver]) -> dict[int, Trained | Exception]:
    """Train jobs that are alike as one stack; where that fails, as two, and so on.

    Args:
        handed: what each hands over, by its number in the sweep.

    Returns:
        What was trained, or why there is none.
    """
    try:
        return _fit(handed)
    except Exception as error:
        end_if_asked()  # what a signal raised may have become another error
        if len(handed) <= 1:
            return dict.fromkeys(handed, error)
    jobs, half = [*handed.items()], len(handed) // 2
    return fit(dict(jobs[:half])) | fit(dict(jobs[half:]))


def _fit(handed: Mapping[int, HandedOver]) -> dict[int, Trained | Exception]:
    jobs, ended = [*handed.items()], dict[int, Trained | Exception]()
    if not jobs:
        return ended
    for _, job in jobs:
        job.value, job.best_epoch = math.nan, 0
    solver, objective = _solver_of([job for _, job in jobs])
    for epoch in solver.epochs():
        _add(epoch, [job for _, job in jobs], solver, objective)
        statuses = _statuses(epoch, jobs, objective)
        for place, (number, job) in enumerate(jobs):
            if statuses[place] is not None:
                ended[number] = job.trained(solver, place, objective, str(statuses[place]))
        staying = [place for place, status in enumerate(statuses) if status is None]
        if not staying:
            return ended
        if len(staying) < len(jobs):
            solver.keep(staying)
            jobs = [jobs[place] for place in staying]
    for place, (number, job) in enumerate(jobs):
        ended[number] = job.trained(solver, place, objective, "completed")
    return ended


def _add(epoch: Epoch, jobs: Sequence[HandedOver], solver: Solver, objective: str) -> None:
    """Note the value of each job whose best epoch this is."""
    values: Any = getattr(epoch, objective if OBJECTIVES[objective].recorded else "val_value")
    for place, job in enumerate(jobs):
        if each(solver.best_epoch)[place] == epoch.number:
            job.value, job.best_epoch = each(values)[place], epoch.number


def _statuses(
    epoch: Epoch, jobs: Sequence[tuple[int, HandedOver]], objective: str
) -> list[str | None]:
    """How each job has ended with this epoch; None of one that goes on."""
    diverged, stalled = each(epoch.diverged_at), each(epoch.stalled)
    well = [one for place, one in enumerate(jobs) if diverged[place] is None]
    pruned = _pruned(epoch, dict(well), objective) if epoch.evaluated else set[int]()
    found: list[str | None] = []
    for place, (number, _) in enumerate(jobs):
        ends = {
            "diverged": diverged[place] is not None,
            "pruned": number in pruned,
            "completed": stalled[place],
        }
        found.append(next((status for status, so in ends.items() if so), None))
    return found


def _pruned(epoch: Epoch, jobs: Mapping[int, HandedOver], objective: str) -> set[int]:
    """The numbers of the jobs that the search, if there is one, wants to end now."""
    session = opened() if job_number() is not None else None
    if session is None:
        return set()
    theirs = session.study.direction.name.lower() if len(session.study.directions) == 1 else None
    sign = 1 if theirs == OBJECTIVES[objective].direction else -1  # its best end is the study's
    return prune({number: sign * job.value for number, job in jobs.items()}, epoch.number)


def _solver_of(jobs: Sequence[HandedOver]) -> tuple[Solver, str]:
    """The Solver of a stack, and the objective."""
    first, seeds = jobs[0], [job.keywords["seed"] for job in jobs]
    X = part_of(first.data, "X_train")
    if X.ndim != 2:
        reshape = "expected (n, d); let the module reshape them, as by nn.Unflatten"
        raise ConfigError(f"X_train has shape {tuple(X.shape)}; {reshape}")
    net = ModuleNet(
        [job.module for job in jobs],
        input_dim=X.shape[1],
        num_classes=_outputs(first.module, X),
        loss_function=first.loss,
        seed=seeds,
        device=first.keywords.get("device") or "cpu",
        **_of_net(jobs),
    )
    given = {key: first.keywords[key] for key in OF_ALL if key in first.keywords}
    own = {key: _each(jobs, key) for key in PER_TRIAL if any(key in job.keywords for job in jobs)}
    constants = {
        name: [job.keywords["optim_config"][name] for job in jobs]
        for name in first.shared["constants"]
    }
    solver = Solver(
        net, first.data, optim_config=constants, seed=seeds, verbose=False, **given, **own
    )
    return solver, objective_of(net, given.get("objective"))


def _outputs(module: nn.Module, X: Tensor) -> int:
    """Scores of an example."""
    like = next(module.parameters())
    with torch.no_grad():
        scores = deepcopy(module).eval()(X[:2].to(like.device, like.dtype))
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        raise ConfigError(f"what build returns makes {scores!r:.60}; expected scores (n, c)")
    return scores.shape[1]


def _of_net(jobs: Sequence[HandedOver]) -> dict[str, Any]:
    """The keywords of the net, each of all jobs."""
    found: dict[str, Any] = {}
    for key, default in OF_NET.items():
        values = [job.keywords.get(key, default) for job in jobs]
        if any(value is not None for value in values):
            found[key] = _tensor(values)
    return found


def _each(jobs: Sequence[HandedOver], key: str) -> Any:
    """A keyword of the Solver, of each job."""
    default = signature(Solver).parameters[key].default
    values = [job.keywords.get(key, default) for job in jobs]
    if key in ("schedule", "decay_every", "warmup"):
        return values
    return _tensor([math.inf if value is None else value for value in values])


def _tensor(values: Sequence[Any]) -> Tensor:
    """A number, or a row of them, of each job."""
    each = [torch.as_tensor(value, dtype=torch.float64) for value in values if value is not None]
    ones = torch.ones_like(each[0])
    rows = iter(each)
    return torch.stack([ones if value is None else next(rows) for value in values])


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    pairs = [(part_of(one, part), part_of(other, part)) for part in PARTS]
    return all(a.dtype == b.dtype and form.same(a, b) for a, b in pairs)
