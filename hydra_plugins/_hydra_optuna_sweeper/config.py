"""The dataclasses of hydra-optuna-sweeper, with the fields that ours know."""

# No `from __future__ import annotations`: Hydra reads the types of the dataclasses.
from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from enum import Enum
from typing import Any

from omegaconf import MISSING

from fcsweep.search import settings
from fcsweep.search.settings import SAMPLERS, UPSTREAM


class Direction(Enum):
    """Which end of the objective is best."""

    minimize = 1
    maximize = 2


@dataclass
class SamplerConfig:
    """A sampler: the class, with its fields beside it."""

    _target_: str = MISSING


def _config(name: str, node: Mapping[str, Any]) -> Any:
    fields = [(key, Any, field(default=value)) for key, value in node.items()]
    return make_dataclass(name, fields, bases=(SamplerConfig,), namespace={"__module__": __name__})


TPESamplerConfig = _config("TPESamplerConfig", SAMPLERS["tpe"])
RandomSamplerConfig = _config("RandomSamplerConfig", SAMPLERS["random"])
CmaEsSamplerConfig = _config("CmaEsSamplerConfig", SAMPLERS["cmaes"])
NSGAIISamplerConfig = _config("NSGAIISamplerConfig", SAMPLERS["nsgaii"])
GPSamplerConfig = _config("GPSamplerConfig", SAMPLERS["gp"])
QMCSamplerConfig = _config("QMCSamplerConfig", SAMPLERS["qmc"])
GridSamplerConfig = _config("GridSamplerConfig", SAMPLERS["grid"])
MOTPESamplerConfig = _config("MOTPESamplerConfig", {"_target_": "optuna.samplers.MOTPESampler"})


@dataclass
class OptunaSweeperConf(settings.OptunaSweeperConf):
    """``hydra.sweeper``; a sampler or pruner that is not given is ``tpe`` or none."""

    _target_: str = f"{UPSTREAM}.optuna_sweeper.OptunaSweeper"
    sampler: Any = None
    pruner: Any = None
    direction: Any = Direction.minimize
