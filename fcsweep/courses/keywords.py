"""What to write in place of keywords that only the courses' nets and Solvers have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NET = {
    "use_batchnorm": 'give normalization="batch"',
    "dropout_keep_ratio": "dropout is the probability of dropping: give dropout=1 - the keep ratio",
    "hidden_dim": "give hidden_dims=[...], one number for each hidden layer",
    "hidden_size": "hidden_dim in TwoLayerNet, hidden_dims=[...] in FullyConnectedNet",
    "input_size": "it is called input_dim",
    "output_size": "it is called num_classes",
    "std": "it is called weight_scale",
    "dropout": "give FullyConnectedNet([hidden_dim], dropout=...)",
    "hidden_dims": "give hidden_dim, or take FullyConnectedNet",
}
"""Of the nets."""
NET_OFF: dict[str, Any] = {"use_batchnorm": False, "dropout_keep_ratio": 1}
"""Values with which the courses leave a part out."""
SOLVER = {
    "learning_rate": 'give optim_config={"learning_rate": ...}',
    "learning_rate_decay": "it is called lr_decay",
    "reg": "give it to the net",
    "num_iters": "give num_epochs: an epoch is one pass over the training data",
    "num_iterations": "give num_epochs: an epoch is one pass over the training data",
    "time_limit": "give it to train(time_limit=...)",
    "optimizer": "it is called update_rule",
}
"""Of the Solver."""


def refuse(
    others: Mapping[str, Any],
    of: type,
    instead: Mapping[str, str],
    off: Mapping[str, Any] = {},
) -> None:
    """Refuse keywords that a class does not have, unless their value disables a part.

    Raises:
        TypeError: with what to write instead, where that is known.
    """
    for name, value in others.items():
        if name in off and value == off[name]:
            continue
        remedy = f": {instead[name]}" if name in instead else ""
        raise TypeError(f"{of.__name__} has no argument {name}{remedy} (given {value!r})")
