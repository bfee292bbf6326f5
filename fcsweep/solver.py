"""The Solver: trains a model (one trial or a stack) and yields after every epoch.

The caller's loop logs, prunes, saves and stops; there are no callbacks::

    solver = Solver(model, data, update_rule=sgd_momentum, optim_config={"learning_rate": 1e-2})
    for epoch in solver.epochs():
        print(epoch.number, epoch.loss, epoch.val_accuracy)

An epoch is one pass over the training data in a fresh order. No value is copied back from the
device before the epoch ends. After the ``Solver`` of CS231n and EECS 498/598.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fcsweep.accuracy import Best, count_correct, fixed_sample
from fcsweep.batches import Batches, TrainingData, split_on_device
from fcsweep.kernels.parameters import Parameters
from fcsweep.kernels.python_numbers import OneOrEach, each, numbers
from fcsweep.losses import check_labels
from fcsweep.nets import Model
from fcsweep.optim import Config, UpdateRule, per_trial, rule_of, sgd


@dataclass(frozen=True)
class Epoch:
    """The results of an epoch; numbers are floats for one trial, lists for a stack."""

    number: int
    """From 1."""
    step: int
    """Updates since the start of training."""
    losses: Tensor
    """``(steps, *t)`` on the CPU: the loss of each minibatch of this epoch, with the L2 term."""
    learning_rate: OneOrEach[float]
    """The rate used in this epoch."""
    train_accuracy: OneOrEach[float] | None
    """Fractions; None where not evaluated."""
    val_accuracy: OneOrEach[float] | None
    diverged_at: OneOrEach[int | None]
    """First step (from 1) whose loss is not finite, or the last step if only a score is not; None
    while all are finite."""

    @property
    def loss(self) -> OneOrEach[float]:
        """Mean over the steps of the epoch."""
        columns = self.losses.double().movedim(0, -1).contiguous()
        means = [column.numpy().mean() for column in columns.reshape(-1, columns.shape[-1])]
        return numbers(torch.tensor(means, dtype=torch.float64).reshape(columns.shape[:-1]))


class Solver:
    """Minibatch training with an update rule, keeping the parameters of the best epoch.

    Args:
        model: its ``params`` are updated in place.
        data: ``X_train (n, ...)``, ``y_train (n,)``, ``X_val``, ``y_val`` in a mapping or as
            attributes; copied to the device and the type of the parameters once. Labels are of
            any integer type, in [0, num_classes).
        update_rule: a rule of ``fcsweep.optim``, or its name; ``"momentum"``, as on the command
            line, is ``sgd_momentum``.
        optim_config: constants of the rule; each may have one value a trial.
        lr_decay: factor of the learning rate after each epoch, in (0, 1]; may be one a trial.
        num_epochs: passes over the training data.
        batch_size: examples of a minibatch; the last one of an epoch may be smaller.
        num_train_samples: how many training rows measure the training accuracy, the same random
            rows each time; None, or more than there are, takes all.
        num_val_samples: the same for validation.
        eval_every: epochs between evaluations; the Solver always evaluates the last epoch.
        seed: determines the batch order; one, or a sequence with one each trial. None draws a seed
            from torch's global generator.
        verbose: print losses and accuracies at the end of each epoch.
        print_every: steps between two printed losses.
        objective: ``"val_accuracy"`` or ``"train_accuracy"``: what makes an epoch the best.

    Attributes:
        loss_history: a loss for each step; train_acc_history, val_acc_history: an accuracy for each
        evaluated epoch; best_val_acc, best_train_acc: the highest so far (0.0 before the first);
        best_epoch: that of the highest objective, 0 before the first evaluation; best_params: the
        parameters of that epoch (until then the initial ones).

    Raises:
        ValueError: a value out of its range, or data that do not fit together.
        TypeError: an unknown keyword.
    """

    def __init__(
        self,
        model: Model,
        data: Mapping[str, Tensor] | TrainingData,
        *,
        update_rule: UpdateRule | str = sgd,
        optim_config: Mapping[str, Any] | None = None,
        lr_decay: float | Tensor = 1.0,
        num_epochs: int = 10,
        batch_size: int = 100,
        num_train_samples: int | None = 1000,
        num_val_samples: int | None = None,
        eval_every: int = 1,
        seed: int | Sequence[int] | None = None,
        verbose: bool = True,
        print_every: int = 10,
        objective: str = "val_accuracy",
    ) -> None:
        counts = {
            "num_epochs": num_epochs,
            "batch_size": batch_size,
            "eval_every": eval_every,
            "print_every": print_every,
        }
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f"{name} is {count}; expected at least 1")
        self.model, self.rule = model, rule_of(update_rule)
        self.num_epochs, self.batch_size, self.eval_every = num_epochs, batch_size, eval_every
        self.verbose, self.print_every = verbose, print_every
        self.seed = int(torch.randint(2**31, ())) if seed is None else seed

        X, y = split_on_device(data, "train", model.params)
        self._batches = Batches(X, y, batch_size, model.trials, self.seed)
        self._train_sample = fixed_sample(X, y, num_train_samples)
        self._val_sample = fixed_sample(
            *split_on_device(data, "val", model.params), num_val_samples
        )

        self._configure(optim_config or {}, lr_decay)
        self._gradient = model.params.empty_like()
        self._prepared: dict[torch.Size, Callable[[int], Tensor]] = {}
        self._best = Best(model.params, objective)
        self.epoch, self.step, self._stopped = 0, 0, False
        self.loss_history: list[OneOrEach[float]] = []
        self.train_acc_history: list[OneOrEach[float]] = []
        self.val_acc_history: list[OneOrEach[float]] = []

    def _configure(self, optim_config: Mapping[str, Any], lr_decay: float | Tensor) -> None:
        if unknown := set(optim_config) - set(self.rule.constants):
            known = sorted(self.rule.constants)
            raise ValueError(f"optim_config has {sorted(unknown)}; {self.rule.name} takes {known}")
        self._constants = {
            name: torch.as_tensor(value, dtype=torch.float64).cpu().clone()
            for name, value in {**self.rule.constants, **optim_config}.items()
        }
        self._lr_decay = torch.as_tensor(lr_decay, dtype=torch.float64).cpu()
        self._state: dict[str, Parameters] = {
            name: self.model.params.zeros_like() for name in self.rule.state
        }

    def __getstate__(self) -> dict[str, Any]:
        """For ``copy`` and ``pickle``: no prepared passes, which use this solver's memory."""
        return {**self.__dict__, "_prepared": {}}

    @property
    def best_params(self) -> Parameters:
        """Parameters of ``best_epoch``."""
        return self._best.params

    @property
    def best_epoch(self) -> OneOrEach[int]:
        """Epoch of the highest objective; 0 before the first evaluation."""
        return numbers(self._best.epoch)

    @property
    def best_val_acc(self) -> OneOrEach[float]:
        """Highest validation accuracy so far, a fraction."""
        return numbers(self._best.accuracies["val_accuracy"].clamp(min=0))

    @property
    def best_train_acc(self) -> OneOrEach[float]:
        """Highest training accuracy so far, a fraction."""
        return numbers(self._best.accuracies["train_accuracy"].clamp(min=0))

    def epochs(self) -> Iterator[Epoch]:
        """Train, and yield after every epoch; leave the loop to stop early.

        The iterator ends after ``num_epochs``, after ``stop()``, or when every trial has diverged.
        """
        while self.epoch < self.num_epochs:
            losses = self._train_one_epoch(self.epoch + 1)
            if losses is None:
                return
            self.epoch += 1
            epoch = self._finish(losses)
            self._constants["learning_rate"] = self._constants["learning_rate"] * self._lr_decay
            if self.verbose:
                self._print(epoch)
            yield epoch
            if _all_diverged(epoch.diverged_at):
                return

    def train(self, return_best_params: bool = True) -> None:
        """Train to the end; the model then has the best parameters, or the last ones if False."""
        for _ in self.epochs():
            pass
        if return_best_params:
            self.model.params.assign(self.best_params)

    def stop(self) -> None:
        """End ``epochs`` after the update in progress (safe in a signal handler or a thread).

        The unfinished epoch is not yielded.
        """
        self._stopped = True

    def keep(self, trials: list[int]) -> None:
        """Drop all other trials of a stack; positions count from 0. The rest do not change."""
        self.model.keep(trials)
        self._gradient = self.model.params.empty_like()
        self._prepared.clear()
        self._best.keep(trials)
        self._lr_decay = _select(self._lr_decay, trials)
        self._constants = {name: _select(value, trials) for name, value in self._constants.items()}
        self._state = {name: state.select(trials) for name, state in self._state.items()}
        if isinstance(self.seed, Sequence):
            self.seed = [self.seed[k] for k in trials]
            self._batches.reseed(self.seed)

    def state(self) -> dict[str, Tensor]:
        """A copy on the CPU of what training needs to resume after an epoch; trial axes first."""
        parts = self._parts().items()
        return {name: p.cpu().clone(memory_format=torch.contiguous_format) for name, p in parts}

    @torch.inference_mode()
    def restore(self, state: Mapping[str, Tensor], epoch: int, step: int) -> None:
        """Resume from the ``state`` that an equal solver had after ``epoch`` and ``step``."""
        for name, part in self._parts().items():
            part.copy_(state[name])
        self.epoch, self.step = epoch, step

    def _parts(self) -> dict[str, Tensor]:
        sets = {"params": self.model.params, "best": self._best.params, **self._state}
        named = {f"{of}.{name}": p for of, params in sets.items() for name, p in params.items()}
        rate = self._constants["learning_rate"]
        best = {**self._best.accuracies, "best_epoch": self._best.epoch}
        return {**named, **best, "learning_rate": rate}

    def check_accuracy(
        self, X: Tensor, y: Tensor, num_samples: int | None = None, batch_size: int = 100
    ) -> OneOrEach[float]:
        """Fraction of examples whose highest score is the label's.

        Args:
            X: ``(n, ...)``.
            y: ``(n,)``, of any integer type, in [0, num_classes).
            num_samples: how many fixed random rows of ``X``; None or too many takes all.
            batch_size: examples scored at once.

        Raises:
            ValueError: ``y`` is not an integer in [0, num_classes) for each example.
        """
        params = self.model.params
        check_labels(y, (len(X),), params.dims[-1])
        on_device = X.to(params.device, params.dtype), y.to(params.device)
        examples, labels = fixed_sample(*on_device, num_samples)
        correct, _ = count_correct(self.model, examples, labels, batch_size)
        return numbers(correct / len(labels))

    def _train_one_epoch(self, number: int) -> Tensor | None:
        """Losses ``(steps, *t)``, still on the device; None if `stop` ended the epoch."""
        losses, configs = list[Tensor](), self._configs()
        with torch.inference_mode():
            for x, y in self._batches.epoch(number):
                if self._stopped:
                    return None
                losses.append(self._update(x, y, configs))
            return torch.stack(losses)

    def _update(self, x: Tensor, y: Tensor, configs: list[Config]) -> Tensor:
        """One step on a minibatch; returns its loss ``(*t,)``, still on the device."""
        gradient = self._prepared.get(x.shape)
        if gradient is None:
            gradient = self._prepared[x.shape] = self.model.prepare(x, y, self._gradient)
        loss = gradient(self.step)
        blocks = self.model.params.blocks, self._gradient.blocks, configs
        for w, dw, config in zip(*blocks, strict=True):
            self.rule.step(w, dw, config)
        self.step += 1
        return loss

    def _configs(self) -> list[Config]:
        """The config of the rule for each block of the parameters."""
        return [
            {"t": self.step}
            | {name: per_trial(value, w) for name, value in self._constants.items()}
            | {name: state.blocks[place] for name, state in self._state.items()}
            for place, w in enumerate(self.model.params.blocks)
        ]

    def _finish(self, device_losses: Tensor) -> Epoch:
        losses = device_losses.cpu()
        self.loss_history += numbers(losses)
        bad = ~losses.isfinite()
        first_bad = torch.where(bad.any(0), bad.long().argmax(0) + self.step - len(losses) + 1, 0)
        train = val = None
        if self.epoch % self.eval_every == 0 or self.epoch == self.num_epochs:
            train, train_finite = self._accuracy(*self._train_sample)
            val, val_finite = self._accuracy(*self._val_sample)
            bad_scores = ~(train_finite & val_finite) & (first_bad == 0)
            first_bad = torch.where(bad_scores, self.step, first_bad)
            accuracies = {"train_accuracy": train, "val_accuracy": val}
            self._best.update(self.epoch, accuracies, first_bad == 0, self.model.params)
            self.train_acc_history.append(numbers(train))
            self.val_acc_history.append(numbers(val))
        return Epoch(
            number=self.epoch,
            step=self.step,
            losses=losses,
            learning_rate=numbers(self._constants["learning_rate"].expand(self.model.trials)),
            train_accuracy=None if train is None else numbers(train),
            val_accuracy=None if val is None else numbers(val),
            diverged_at=_none_for_zero(first_bad),
        )

    def _accuracy(self, X: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        correct, finite = count_correct(self.model, X, y)
        return correct / len(y), finite

    def _print(self, epoch: Epoch) -> None:
        total = self.num_epochs * len(self._batches)
        for step, loss in enumerate(numbers(epoch.losses), start=epoch.step - len(epoch.losses)):
            if step % self.print_every == 0:
                print(f"(Step {step + 1} / {total}) loss: {loss}")
        if epoch.val_accuracy is not None:
            print(
                f"(Epoch {epoch.number} / {self.num_epochs}) train acc: {epoch.train_accuracy}; "
                f"val acc: {epoch.val_accuracy}"
            )


def _select(value: Tensor, trials: list[int]) -> Tensor:
    """The values of some trials; a value that all trials share stays as it is."""
    return value[trials] if value.ndim else value


def _all_diverged(diverged_at: OneOrEach[int | None]) -> bool:
    return None not in each(diverged_at)


def _none_for_zero(steps: Tensor) -> OneOrEach[int | None]:
    flat = [step or None for step in each(numbers(steps))]
    return flat if steps.ndim else flat[0]
