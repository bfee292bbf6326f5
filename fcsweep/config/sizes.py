"""How large a run is, from its config alone: without torch, without the data.

The memory of a stack and the size limits of checkpoints and records follow from these counts.
"""

from __future__ import annotations

from itertools import pairwise

from fcsweep.config.schemas import RunConfig, TorchConfig

EVALUATION_ROWS = 500
"""Rows scored at once (``fcsweep.accuracy.EVALUATION_ROWS``)."""


OWN_MODEL = 2**26
"""Most numbers that a model of one's own may keep."""


def units(config: RunConfig) -> list[int]:
    """Numbers of input, hidden and output units."""
    return [config.data.inputs, *config.model.hidden_dims, config.data.classes]


def parameters(config: RunConfig) -> int:
    """Numbers that a net keeps: weights, biases, and what normalizations add for a hidden unit."""
    each = {"none": 0, "layer": 2, "batch": 4}[config.model.normalization]
    normalized = each * sum(config.model.hidden_dims)
    return sum((i + 1) * o for i, o in pairwise(units(config))) + normalized


def most_parameters(config: RunConfig) -> int:
    """No fewer than the numbers that a net keeps: `parameters`, or a bound for one of one's own."""
    return OWN_MODEL if isinstance(config.model, TorchConfig) else parameters(config)


def rows_in_use(config: RunConfig) -> tuple[int, int]:
    """Training rows, and the validation rows that measure the accuracy."""
    data, samples = config.data, config.solver.num_val_samples
    val = data.num_val or data.rows.val
    return data.num_train or data.rows.train, val if samples is None else min(val, samples)


def trained(config: RunConfig) -> int:
    """Numbers that an update changes; fewer than ``parameters`` in a row space."""
    if config.solver.first_layer == "plain":
        return parameters(config)
    spared = config.data.inputs - rows_in_use(config)[0] - 1
    return parameters(config) - spared * config.model.hidden_dims[0]


def activations(config: RunConfig, rows: int) -> int:
    """Outputs of all layers for so many rows."""
    return rows * sum(units(config)[1:])


def steps(config: RunConfig, epochs: int) -> int:
    """Updates in so many epochs."""
    rows = config.data.num_train or config.data.rows.train
    return epochs * -(-rows // config.solver.batch_size)


def itemsize(config: RunConfig) -> int:
    """Bytes of a parameter, a gradient or an activation."""
    return 8 if config.dtype == "float64" else 4
