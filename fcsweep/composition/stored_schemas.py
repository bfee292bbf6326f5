"""The schemas of `fcsweep.config` in Hydra's ConfigStore."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from fcsweep.config import GROUPS, RunConfig


def register() -> None:
    """Store the schemas as ``GROUP/OPTION_schema`` and ``run_schema``.

    They go in as plain mappings, not as structured configs: OmegaConf would turn the text "0.1"
    into a number before `fcsweep.config.typed` sees it, and one mistake would have
    two messages.
    """
    store = ConfigStore.instance()
    alone = {key: value for key, value in asdict(RunConfig()).items() if key not in GROUPS}
    store.store(name="run_schema", node=alone, provider="fcsweep")
    for group, options in GROUPS.items():
        for schema in set(options.values()):
            node = {key: _open(value) for key, value in asdict(schema()).items()}
            store.store(group=group, name=f"{node['name']}_schema", node=node, provider="fcsweep")


def _open(value: Any) -> Any:
    """A mapping to which an override may add without a ``+``; other values as they are."""
    return OmegaConf.create(value, flags={"struct": False}) if isinstance(value, dict) else value
