"""The Solver: trains a model (one trial or a stack) and yields after every epoch.

The caller's loop logs, prunes, saves and stops; there are no callbacks::

    solver = Solver(model, data, update_rule=sgd_momentum, optim_config={"learning_rate": 1e-2})
    for epoch in solver.epochs():
        print(epoch.number, epoch.loss, epoch.val_accuracy)

An epoch is one pass over the training data in a fresh order. No value is copied back from the
device before the epoch ends. After the ``Solver`` of CS231n and EECS 498/598.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from fcsweep.accuracy import Best, classes_of, evaluate_on, fixed_sample, rows_at_once
from fcsweep.batches import Batches, TrainingData, check_device, has_arrays, part_of, to_device
from fcsweep.courses import keywords
from fcsweep.courses.own_model import OwnModel
from fcsweep.epoch import Epoch, none_for_zero, none_or_numbers
from fcsweep.kernels.arrays import seeds, takes_arrays, whole
from fcsweep.kernels.parameters import PerTrial
from fcsweep.kernels.python_numbers import OneOrEach, numbers
from fcsweep.losses import check_labels
from fcsweep.model import Model
from fcsweep.optim import Function, UpdateRule, sgd
from fcsweep.schedules import Schedules
from fcsweep.updates import Clipping, updates_of


class Solver:
    """Minibatch training with an update rule, keeping the parameters of the best epoch.

    Args:
        model: its ``params`` are updated in place. A net of ``fcsweep.nets``, or your own model
            with ``params``, a dict of tensors or NumPy arrays, and ``loss(X, y)``, which returns
            the loss and a dict of gradients, and scores without ``y``.
        data: ``X_train (n, ...)``, ``y_train (n,)``, ``X_val``, ``y_val`` in a mapping or as
            attributes; placed on the device and in the type of the parameters once. Labels are of
            any integer type, in [0, num_classes). NumPy arrays do.
        update_rule: a rule of ``fcsweep.optim``, or its name; ``"momentum"``, as on the command
            line, is ``sgd_momentum``. Also a function of yours, ``(w, dw, config) -> (next_w,
            config)``, called for each parameter of each trial with a config of its own.
        optim_config: constants of the rule; each may have one value a trial.
        lr_decay: factor of the learning rate after each epoch, in (0, 1], or after every
            ``decay_every``; this and those up to ``clip_norm`` may each have one value a trial.
        schedule, decay_every, warmup: of the learning rate, see ``fcsweep.schedules``.
        patience: evaluations without a better objective that end a trial's training; None: none
            do. A stack trains on until each has ended, but the best epochs stay.
        clip_norm: largest norm of the gradient of all parameters, with the L2 term; None: any.
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
        objective: what makes an epoch the best: a name of ``fcsweep.objectives``. None is
            ``val_accuracy``, or ``val_loss`` of a net that regresses.
        target_scale: the unit of ``y`` in which RMSE and MAE are told.
        device: of the parameters, as a check; None does not check.
        print_acc_every: epochs between two printed accuracies.
        checkpoint_name: save the model as ``{checkpoint_name}_epoch_{number}.pth`` after each
            evaluated epoch, with the histories; torch reads it with ``weights_only``.

    Attributes:
        X_train, y_train, X_val, y_val: the data as they are trained on.
        loss_history: a loss for each step; train_acc_history, val_acc_history: an accuracy for each
        evaluated epoch; best_val_acc, best_train_acc: the highest so far (0.0 before the first);
        best_epoch: that of the highest objective, 0 before the first evaluation; best_params: the
        parameters of that epoch (until then the initial ones).

    Raises:
        ValueError: a value out of its range, or data that do not fit together.
        TypeError: an unknown keyword, or something of another type.
    """

    def __init__(
        self,
        model: Any,
        data: Mapping[str, Any] | TrainingData,
        *,
        update_rule: UpdateRule | Function | str = sgd,
        optim_config: Mapping[str, Any] | None = None,
        lr_decay: PerTrial = 1.0,
        schedule: str | Sequence[str] = "step",
        decay_every: int | Sequence[int] = 1,
        warmup: int | Sequence[int] = 0,
        patience: PerTrial | None = None,
        clip_norm: PerTrial | None = None,
        num_epochs: int = 10,
        batch_size: int = 100,
        num_train_samples: int | None = 1000,
        num_val_samples: int | None = None,
        eval_every: int = 1,
        seed: int | Sequence[int] | None = None,
        verbose: bool = True,
        print_every: int = 10,
        objective: str | None = None,
        target_scale: float = 1.0,
        device: torch.device | str | None = None,
        print_acc_every: int = 1,
        checkpoint_name: str | None = None,
        **others: Any,
    ) -> None:
        keywords.refuse(others, type(self), keywords.SOLVER)
        self.num_epochs = whole(num_epochs, "num_epochs", least=1)
        self.batch_size = whole(batch_size, "batch_size", least=1)
        self.eval_every = whole(eval_every, "eval_every", least=1)
        self.print_every = whole(print_every, "print_every", least=1)
        self.print_acc_every = whole(print_acc_every, "print_acc_every", least=1)
        self.verbose, self.checkpoint_name = verbose, checkpoint_name
        drawn = int(torch.randint(2**31, ())) if seed is None else seeds(seed)
        self.seed: int | Sequence[int] = drawn
        self.model, self._model = model, self._trainable(model, data)
        params, classes = self._model.params, classes_of(self._model)
        check_device(device, params.device)
        if checkpoint_name is not None and params.trials:
            raise ValueError(f"checkpoint_name is {checkpoint_name!r}; a .pth holds no stack")
        self.X_train, self.y_train = to_device(data, "train", params, classes)
        self.X_val, self.y_val = to_device(data, "val", params, classes)
        rows = self.X_train, self.y_train
        self._batches = Batches(*rows, self.batch_size, params.trials, self.seed)
        self._train_sample = fixed_sample(*rows, num_train_samples)
        self._val_sample = fixed_sample(self.X_val, self.y_val, num_val_samples)
        arrays = self._model.arrays if isinstance(self._model, OwnModel) else has_arrays(data)
        self._updates = updates_of(update_rule, params, optim_config or {}, arrays)
        self._schedules = Schedules(schedule, lr_decay, decay_every, warmup, self.num_epochs)
        self._updates.scale(self._schedules.factor(1))
        self._clipping = Clipping(clip_norm, params)
        self._gradient = params.learnt_like()
        self._prepared: dict[torch.Size, Callable[[int], Tensor]] = {}
        self._best = Best(self._model, objective, patience, self.eval_every, target_scale)
        self.epoch, self.step, self._stopped, self._deadline = 0, 0, False, math.inf
        self.loss_history: list[OneOrEach[float]] = []
        self.train_acc_history: list[OneOrEach[float]] = []
        self.val_acc_history: list[OneOrEach[float]] = []

    @staticmethod
    def _trainable(model: Any, data: Mapping[str, Any] | TrainingData) -> Model | OwnModel:
        if hasattr(model, "prepare") and not isinstance(model, type):
            return model
        return OwnModel(model, part_of(data, "X_train")[:1])

    def __getstate__(self) -> dict[str, Any]:
        """For ``copy`` and ``pickle``: no prepared passes, which use this solver's memory."""
        return {**self.__dict__, "_prepared": {}}

    @property
    def best_params(self) -> Any:
        """Parameters of ``best_epoch``, by name."""
        own = self._model if isinstance(self._model, OwnModel) else None
        return own.own_form(self._best.params) if own else self._best.params

    @property
    def best_epoch(self) -> OneOrEach[int]:
        """Epoch of the highest objective; 0 before the first evaluation."""
        return numbers(self._best.epoch)

    @property
    def best_val_acc(self) -> OneOrEach[float]:
        """Highest validation accuracy so far, a fraction."""
        return numbers(self._best.values["val_accuracy"].clamp(min=0))

    @property
    def best_train_acc(self) -> OneOrEach[float]:
        """Highest training accuracy so far, a fraction."""
        return numbers(self._best.values["train_accuracy"].clamp(min=0))

    def epochs(self) -> Iterator[Epoch]:
        """Train, and yield after every epoch; leave the loop to stop early.

        Ends after ``num_epochs``, after ``stop()``, and when each trial has diverged or stalled.

        Raises:
            ValueError: the model has loaded parameters of other shapes, type or place.
        """
        params, made_for = self._model.params, self._gradient
        if (params.shapes, *params.place) != (made_for.shapes, *made_for.place):
            raise ValueError("the model has parameters of another form now; make it a new Solver")
        while self.epoch < self.num_epochs:
            losses = self._train_one_epoch(self.epoch + 1)
            if losses is None:
                return
            self.epoch += 1
            epoch = self._finish(losses)
            self._updates.scale(self._schedules.factor(self.epoch + 1))
            if self.checkpoint_name is not None and epoch.evaluated:
                self._save_checkpoint(f"{self.checkpoint_name}_epoch_{epoch.number}.pth")
            if self.verbose:
                self._print(epoch)
            yield epoch
            if epoch.all_ended or self._late:
                return

    def train(self, time_limit: float | None = None, return_best_params: bool = True) -> None:
        """Train to the end; leave the best parameters in the model, or the last ones if False.

        Args:
            time_limit: seconds after which training ends with the step in progress. The epoch that
                it cuts short is evaluated as the last one; there is at least one step.
            return_best_params: whether the model gets the best parameters.
        """
        if isinstance(time_limit, bool):
            raise TypeError(f"time_limit is {time_limit}; expected seconds or None")
        self._deadline = math.inf if time_limit is None else perf_counter() + time_limit
        try:
            for _ in self.epochs():
                pass
        finally:
            self._deadline = math.inf
        if return_best_params:
            self._model.params.assign(self._best.params)

    @property
    def _late(self) -> bool:
        return perf_counter() > self._deadline

    def stop(self) -> None:
        """End ``epochs`` after the update in progress; safe in a signal handler or a thread."""
        self._stopped = True

    def keep(self, trials: list[int]) -> None:
        """Let the other trials of a stack go; positions count from 0. The kept do not change."""
        self._model.keep(trials)
        self._gradient = self._model.params.learnt_like()
        self._prepared.clear()
        self._best.keep(trials)
        self._updates.keep(trials)
        self._schedules.keep(trials)
        self._clipping.keep(trials)
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
        sets = {"params": self._model.params, "best": self._best.params}
        named = {f"{of}.{name}": p for of, params in sets.items() for name, p in params.items()}
        best = {**self._best.values, "best_epoch": self._best.epoch}
        return {**named, **best, **self._updates.parts()}

    def _save_checkpoint(self, path: str) -> None:
        names = "loss_history", "train_acc_history", "val_acc_history", "epoch"
        self._model.save(path, **{name: getattr(self, name) for name in names})

    @takes_arrays
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
        params = self._model.params
        check_labels(y, (len(X),), self._model.num_classes)
        placed_x, placed_y = X.to(params.device, params.dtype), y.to(params.device)
        examples, labels = fixed_sample(placed_x, placed_y, num_samples)
        return none_or_numbers(evaluate_on(examples, labels, self._model, batch_size).accuracy)

    def _train_one_epoch(self, number: int) -> Tensor | None:
        """Losses ``(steps, *t)``, still on the device; None if stopped on the way."""
        losses = list[Tensor]()
        update = self._updates.prepare(self._model.params, self._gradient, self.step)
        update = self._clipping.before(update, self._gradient)
        with torch.inference_mode():
            for x, y in self._batches.epoch(number):
                if self._stopped:
                    return None
                if losses and self._late:
                    break
                losses.append(self._step(x, y, update))
            return torch.stack(losses)

    def _step(self, x: Tensor, y: Tensor, update: Callable[[], None]) -> Tensor:
        """One step on a minibatch; returns its loss ``(*t,)``, still on the device."""
        gradient = self._prepared.get(x.shape)
        if gradient is None:
            gradient = self._prepared[x.shape] = self._model.prepare(x, y, self._gradient)
        loss = gradient(self.step)
        update()
        self.step += 1
        return loss

    def _finish(self, device_losses: Tensor) -> Epoch:
        losses = device_losses.cpu()
        self.loss_history += numbers(losses)
        bad = ~losses.isfinite()
        first_bad = torch.where(bad.any(0), bad.long().argmax(0) + self.step - len(losses) + 1, 0)
        train = val = None
        last = self.epoch == self.num_epochs or self._late
        if self.epoch % self.eval_every == 0 or last:
            rows, metric = rows_at_once(self._model.params), self._best.metric
            train = evaluate_on(*self._train_sample, self._model, rows, metric=metric)
            val = evaluate_on(*self._val_sample, self._model, rows, with_loss=True, metric=metric)
            bad_scores = ~(train.finite & val.finite) & (first_bad == 0)
            first_bad = torch.where(bad_scores, self.step, first_bad)
            self._best.update(self.epoch, train, val, first_bad == 0, self._model.params)
            self.train_acc_history.append(none_or_numbers(train.accuracy))
            self.val_acc_history.append(none_or_numbers(val.accuracy))
        return Epoch(
            number=self.epoch,
            step=self.step,
            losses=losses,
            learning_rate=numbers(self._updates.learning_rate.expand(self._model.trials)),
            train_accuracy=none_or_numbers(train and train.accuracy),
            val_accuracy=none_or_numbers(val and val.accuracy),
            val_loss=none_or_numbers(val and val.loss),
            train_value=none_or_numbers(train and train.measured),
            val_value=none_or_numbers(val and val.measured),
            diverged_at=none_for_zero(first_bad),
            stalled=numbers(self._best.stalled(self.epoch)),
        )

    def _print(self, epoch: Epoch) -> None:
        of = self.num_epochs, self.num_epochs * len(self._batches)
        for line in epoch.lines(*of, self.print_every, self.print_acc_every):
            print(line)
