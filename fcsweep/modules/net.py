"""A stack of modules of one's own, with the members that the Solver needs of a model.

The code of one module runs once on the tensors of all, by ``torch.func``: ``functional_call`` under
``vmap``. The loss is one of ``fcsweep.losses``, with the gradient by hand; from the scores down
torch derives it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.func import functional_call, vmap

from fcsweep.kernels.arrays import dtype_of, seeds, tensor
from fcsweep.kernels.parameters import NamedTensors, PerTrial
from fcsweep.labels import softmax_options
from fcsweep.losses import LOSSES, OF_NUMBERS
from fcsweep.messages.wording import one_line
from fcsweep.modules import form
from fcsweep.modules.dropout import Masks, with_masks
from fcsweep.modules.own_loss import OwnLoss, arithmetic_of


class ModuleNet:
    """A stack of modules that differ in nothing but their tensors and how much they drop out.

    ``params`` has the names of the modules' ``state_dict``, with a leading axis of ``k`` trials.
    Buffers that are floats, and parameters without ``requires_grad``, are kept beside the learnt
    ones: running statistics go on in training and are part of what is saved. A training step sets
    each module to ``train()``, scores are those of ``eval()``.

    A module's ``nn.Dropout`` draws from the stream of its trial's seed: the same masks alone and in
    a stack. Other bits may differ between stacks, by roundings; the same stack has the same bits.

    Args:
        modules: one for each trial, ``(n, input_dim)`` in and ``(n, num_classes)`` out, without
            control flow that depends on the data. They are copied.
        input_dim: numbers in an example.
        num_classes: how many classes, and scores of an example; 1 for regression.
        reg: strength of the L2 term, ``0.5 * reg * sum(w**2)`` over all parameters with two axes or
            more.
        loss_function: as of ``FullyConnectedNet``; or a function of torch, ``(scores (n, c), y
            (n,)) -> ()``, a mean over the examples: with one score each ``y`` are numbers.
        label_smoothing, class_weights: as of ``FullyConnectedNet``.
        seed: determines the dropout masks.
        dtype: of parameters and scores.
        device: where the parameters lie.

    ``reg``, ``label_smoothing``, ``class_weights`` and ``seed`` may each have one value a trial.

    Raises:
        TypeError: one is no ``nn.Module``.
        ValueError: a module that cannot be stacked, or two that differ, with what it is.
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        input_dim: int,
        num_classes: int,
        reg: PerTrial = 0.0,
        loss_function: str | OwnLoss = "softmax",
        label_smoothing: PerTrial = 0.0,
        class_weights: PerTrial | None = None,
        seed: int | Sequence[int] = 0,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        if isinstance(loss_function, str) and loss_function not in LOSSES:
            raise ValueError(f"loss_function is {loss_function!r}; expected one of {[*LOSSES]}")
        for module in modules:
            form.check(module)
        for module in modules[1:]:
            if differs := form.difference(modules[0], module):
                raise ValueError(f"{differs}; {form.MAY_DIFFER}")
        self.trials, self.num_classes = torch.Size([len(modules)]), num_classes
        if isinstance(loss_function, str):
            self.loss_function, self.arithmetic = LOSSES[loss_function]
            self.regresses = loss_function in OF_NUMBERS
        else:
            self.loss_function, self.arithmetic = loss_function, arithmetic_of(loss_function)
            self.regresses = num_classes == 1
        given = seeds(seed)
        self.seed = [given] * len(modules) if isinstance(given, int) else [*given]
        place = dtype_of(dtype), torch.device(device)
        self.reg = tensor(reg, "reg").to(place[1], place[0]).expand(self.trials)
        self._decays = bool(self.reg.any())
        shape = (*self.trials, num_classes)
        self.softmax_options = softmax_options(
            self.loss_function, shape, place, label_smoothing, class_weights
        )
        base, self._dropouts = with_masks(modules[0])
        self._base = _without_counts(base).to(place[1], place[0])
        self._p, self._known_masks = _each_p(modules), dict[torch.Size, list[list[torch.Size]]]()
        self._params = self._named(modules, place)
        self._check_call(input_dim)

    def _named(
        self, modules: Sequence[nn.Module], place: tuple[torch.dtype, torch.device]
    ) -> NamedTensors:
        """All tensors of the modules that a trial has of its own."""
        known = dict(self._base.named_parameters())
        running = {n: p for n, p in known.items() if not p.requires_grad}
        running |= {n: b for n, b in self._base.named_buffers() if b.is_floating_point()}
        learnt = {name: p.shape for name, p in known.items() if p.requires_grad}
        kept = {name: t.shape for name, t in running.items()}
        params = NamedTensors(self.trials, learnt, *place, running=kept)
        for trial, module in enumerate(modules):
            given = {**dict(module.named_parameters()), **dict(module.named_buffers())}
            for name in params:
                params[name][trial].copy_(given[name].detach())
        return params

    @property
    def params(self) -> NamedTensors:
        """All tensors by the names of the ``state_dict``, ``(k, ...)``."""
        return self._params

    def _check_call(self, input_dim: int) -> None:
        """Try two examples in training and in use; refuse what does not work in a stack.

        Raises:
            ValueError: with the reason.
        """
        kind, params = type(self._base).__name__, self._params.clone()
        x = next(iter(params.values())).new_zeros(len(self.seed), 2, input_dim)
        fixed = {n: b.clone() for n, b in self._base.named_buffers() if n not in params}
        try:
            masks = self._masks(x).draw(self.seed, 0, x)
            scores, _ = self._run(x, params, masks, shared=False)
        except Exception as error:
            what = f"{kind} does not work in a stack, on examples (n, {input_dim})"
            raise ValueError(f"{what}: {one_line(error)}") from error
        if scores.shape != (*self.trials, 2, self.num_classes):
            expected = f"expected scores (n, {self.num_classes})"
            raise ValueError(f"{kind} returns {tuple(scores.shape[1:])} for n = 2; {expected}")
        for name, before in fixed.items():
            if not torch.equal(before, self._base.get_buffer(name)):
                raise ValueError(
                    f"{name} of {kind} is of type {before.dtype} and changes in training; expected "
                    "a buffer of floats"
                )

    def _masks(self, x: Tensor) -> Masks:
        """Of a minibatch ``(s, n, ...)``; the module runs once to tell the shapes of its inputs."""
        shape = x.shape[1:]
        if shape not in self._known_masks:
            for dropout in self._dropouts:
                dropout.masks, dropout.shapes = None, []
            if self._dropouts:
                tensors = {name: p[0].clone() for name, p in self._params.items()}
                functional_call(self._base.train(), tensors, (torch.zeros_like(x[0]),))
            self._known_masks[shape] = [[*dropout.shapes] for dropout in self._dropouts]
        return Masks(self._p, self._known_masks[shape])

    def _run(
        self,
        x: Tensor,
        params: Mapping[str, Tensor],
        masks: Sequence[Sequence[Tensor]] = (),
        shared: bool | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Scores ``(k, n, num_classes)``, and what the tensors of the modules are afterwards."""

        def of_one(
            tensors: dict[str, Tensor], x: Tensor, masks: Sequence[Sequence[Tensor]]
        ) -> tuple[Tensor, dict[str, Tensor]]:
            for dropout, given in zip(self._dropouts, masks, strict=False):
                dropout.masks = iter(given)
            now = {**tensors}
            return functional_call(self._base, now, (x,)), now

        shared = len(x) == 1 if shared is None else shared
        every = vmap(of_one, in_dims=(0, None if shared else 0, 0), randomness="error")
        return every({**params}, x[0] if shared else x, [[*each] for each in masks])

    @torch.inference_mode()
    def scores(self, X: Tensor) -> Tensor:
        """Scores ``(k, n, num_classes)`` in test mode, of ``X (k, n, ...)`` or ``(1, n, ...)``."""
        self._base.eval()
        return self._run(X.to(self._params.dtype), self._params)[0]

    def prepare(self, X: Tensor, y: Tensor, out: NamedTensors) -> Callable[[int], Tensor]:
        """A function of the step for the loss ``(k,)`` of what ``X`` and ``y`` hold then.

        Args:
            X: ``(k, n, ...)`` in the modules' type, or ``(1, n, ...)`` if the stack shares it.
            y: ``(k, n)`` or ``(1, n)`` of type int64, or numbers in the modules' type.
            out: where each call writes the gradient.
        """
        return partial(self._forward_backward, X, y, out)

    def _forward_backward(self, X: Tensor, y: Tensor, out: NamedTensors, step: int) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            x = X.clone()  # autograd takes no tensor of inference mode
            masks = self._masks(x).draw(self.seed, step, x) if self._dropouts else ()
            learnt = {name: self._params[name].detach().requires_grad_() for name in out}
            kept = {name: p.clone() for name, p in self._params.items() if name not in learnt}
            self._base.train()
            scores, now = self._run(x, learnt | kept, masks)
            loss, dscores = self._loss(scores.detach(), y)
            # handed over as gradient of the scores, it would cost the import of sympy
            total = (scores * dscores).sum()
            gradients = torch.autograd.grad(total, [*learnt.values()], materialize_grads=True)
        for (name, g), gradient in zip(out.items(), gradients, strict=True):
            g.copy_(gradient)
            if self._decays and g.ndim > 2:
                w = self._params[name]
                loss = loss + 0.5 * self.reg * w.square().flatten(1).sum(1)
                g.add_(w * self.reg.reshape(-1, *[1] * (w.ndim - 1)))
        for name in kept:
            self._params[name] = now[name].detach()
        return loss

    def _loss(self, scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The loss ``(k,)`` and its gradient ``(k, n, num_classes)``."""
        label = y.expand(scores.shape[:-1]).unsqueeze(-2)
        dscores = torch.empty_like(scores.mT, memory_format=torch.contiguous_format)
        loss = self.arithmetic(scores.mT, label, dscores, **self.softmax_options)
        return loss, dscores.mT

    def keep(self, trials: list[int]) -> None:
        """Drop all other trials of the stack; positions count from 0."""
        self._params, self.trials = self._params.select(trials), torch.Size([len(trials)])
        self.reg, self.seed = self.reg[trials], [self.seed[k] for k in trials]
        self._p = [p[trials] for p in self._p]
        self.softmax_options = {name: o[trials] for name, o in self.softmax_options.items()}

    def save(self, path: str | Path) -> None:
        """Write the tensors of the whole stack to a safetensors file."""
        save_file({name: p.contiguous() for name, p in self._params.items()}, path)


def _each_p(modules: Sequence[nn.Module]) -> list[Tensor]:
    """Of each dropout the probability of each trial, ``(k,)``."""
    each = [[one.p for one in m.modules() if type(one) is nn.Dropout] for m in modules]
    return [torch.tensor(p, dtype=torch.float64) for p in zip(*each, strict=True)]


def _without_counts(module: nn.Module) -> nn.Module:
    """The module with normalizations that do not count batches: a momentum needs no count."""
    for part in module.modules():
        if "num_batches_tracked" in dict(part.named_buffers(recurse=False)):
            part.register_buffer("num_batches_tracked", None)
    return module
