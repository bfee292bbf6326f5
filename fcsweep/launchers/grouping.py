"""Which trials may share a stack, and how many: from the schemas, and from memory and cache.

Trials may share one if they differ in nothing but what a schema marks as per trial. How many is a
matter of speed alone: on a CPU a trial gets the same bits in any stack.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import cast

from fcsweep.config import RunConfig, sizes
from fcsweep.config.allowed import Keywords, Numbers
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import render
from fcsweep.system.signals import held_back

MOST = 64
"""Most trials of a stack on a CPU by `auto`: a larger stack is no faster."""

CACHE, LARGEST_CACHE = 16 << 20, 32 << 20
"""Bytes of a last-level cache: assumed if the size is unknown, and the most that count."""


def max_trials(given: object) -> int | None:
    """``hydra.launcher.max_trials`` as a number; None for ``auto``.

    Raises:
        ConfigError: It is neither ``auto`` nor a whole number >= 1.
    """
    if given == "auto":
        return None
    if isinstance(given, int) and not isinstance(given, bool) and given >= 1:
        return given
    expected = "auto or a whole number >= 1"
    raise ConfigError(f"hydra.launcher.max_trials is {render(given)}; expected {expected}")


def stacks(configs: Sequence[RunConfig], most: Callable[[RunConfig], int]) -> list[list[int]]:
    """The positions of the configs that train together, stack by stack, by first position.

    Args:
        configs: in order.
        most: trials like a given one in a stack. A stack that would be larger is cut into parts of
            nearly equal size.
    """
    alike: dict[Hashable, list[int]] = {}
    for position, config in enumerate(configs):
        alike.setdefault(common_values(config), []).append(position)
    parts = [cut(found, most(configs[found[0]])) for found in alike.values()]
    return sorted(list(stack) for each in parts for stack in each)


def common_values(config: RunConfig) -> Hashable:
    """What all trials of a stack have in common, in a form that can be compared."""
    return repr(_common(config))


def largest(config: RunConfig) -> int:
    """How many trials like this one train fastest as one stack on this machine, by a simple rule.

    On a CPU what an update touches should fit in half of the last-level cache (``limits``;
    ``benchmarks/notes.md`` has the measurements).
    """
    return limits(config)[0]


def limits(config: RunConfig) -> tuple[int, int]:
    """How many trials are the `largest` stack, and how many may be one at all; both >= 1.

    Everything must fit in half of the memory that is free; on a CPU there are at most `MOST`.
    """
    free, cache = _free_memory(config.device)
    fits = max(1, free // 2 // bytes_held(config))
    if cache is None:
        return fits, fits
    most = min(fits, MOST)
    return max(1, min(most, cache // 2 // bytes_touched(config))), most


def bytes_touched(config: RunConfig) -> int:
    """Bytes of a trial that an update reads or writes: parameters, gradient, state, activations."""
    numbers = (2 + config.optimizer.state_tensors) * sizes.trained(config)
    return sizes.itemsize(config) * (numbers + _outputs(config, config.solver.batch_size))


def bytes_held(config: RunConfig) -> int:
    """Bytes of a trial in memory at most: also the best parameters, an evaluation, own batches."""
    rows = max(sizes.EVALUATION_ROWS, config.solver.batch_size)
    numbers = 2 * sizes.parameters(config) + _outputs(config, rows)
    batch = config.solver.batch_size * config.data.inputs
    batch *= 2 if getattr(config.model, "input_dropout", 0) else 1
    return bytes_touched(config) + sizes.itemsize(config) * (numbers + batch)


def _common(part: object) -> object:
    """The values of a config that are not per trial; a mapping's decimal numbers are."""
    if isinstance(part, dict):
        items = sorted(cast("dict[str, object]", part).items())
        return [(name, None if isinstance(value, float) else value) for name, value in items]
    if not is_dataclass(part):
        return part
    return type(part).__name__, [
        (spec.name, _common(getattr(part, spec.name)))
        for spec in fields(part)
        if not spec.metadata.get("per_trial")
        or isinstance(spec.metadata["allowed"], Numbers | Keywords)
    ]


def cut(positions: Sequence[int], most: int) -> list[Sequence[int]]:
    """Parts of nearly equal size, none larger than ``most``."""
    parts = -(-len(positions) // most)
    ends = [len(positions) * part // parts for part in range(parts + 1)]
    return [positions[start:end] for start, end in zip(ends, ends[1:], strict=False)]


def _outputs(config: RunConfig, rows: int) -> int:
    """Numbers in activations, their gradients and intermediate results."""
    each = 3 if config.model.normalization == "none" else 5
    return each * sizes.activations(config, rows)


def _free_memory(device: str) -> tuple[int, int | None]:
    """Bytes of memory at hand; and on a CPU of its last-level cache."""
    with held_back():
        import psutil
        import torch

    if device != "cpu" and torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info(None if device in ("auto", "cuda") else device)
        return free, None
    return psutil.virtual_memory().available, _last_level_cache()


def _last_level_cache(caches: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> int:
    """As Linux tells, at most `LARGEST_CACHE`: a virtual machine reports that of its whole host."""
    sizes = [
        int(text.removesuffix("K")) << 10
        for path in caches.glob("index*/size")
        if (text := path.read_text().strip()).endswith("K")
    ]
    return min(max(sizes, default=CACHE), LARGEST_CACHE)
