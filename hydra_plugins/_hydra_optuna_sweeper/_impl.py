"""The functions of hydra-optuna-sweeper that read overrides, as our sweeper reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import Override
from optuna.distributions import BaseDistribution

from fcsweep.search.overrides import distribution_of, parse


def create_optuna_distribution_from_override(override: Override) -> Any:
    """What an override searches; of one that is fixed the text after the ``=``.

    Raises:
        ConfigError: it cannot be searched.
    """
    if not override.is_sweep_override():
        return override.get_value_element_as_str()
    return distribution_of(override)


def create_params_from_overrides(
    arguments: Sequence[str],
) -> tuple[dict[str, BaseDistribution], dict[str, Any], list[str]]:
    """Overrides as distributions by key, fixed values by key, and deletions as they stand.

    Raises:
        ConfigError: one that cannot be read or searched.
    """
    distributions: dict[str, BaseDistribution] = {}
    fixed: dict[str, Any] = {}
    deleted: list[str] = []
    for override in parse(arguments, None):
        if override.is_delete():
            deleted.append(override.input_line or "")
            continue
        told = create_optuna_distribution_from_override(override)
        into = distributions if isinstance(told, BaseDistribution) else fixed
        into[override.get_key_element()] = told
    return distributions, fixed, deleted


def __getattr__(name: str) -> Any:
    if name == "OptunaSweeperImpl":
        raise ImportError(
            "fcsweep has no OptunaSweeperImpl; subclass "
            "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper, or search more by "
            "hydra.sweeper.custom_search_space"
        )
    raise AttributeError(f"module {__name__} has no attribute {name}")
