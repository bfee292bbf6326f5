"""The keys of ``hydra/sweeper=optuna`` and its groups ``sampler`` and ``pruner``.

The keys, meanings and defaults of hydra-optuna-sweeper, and ours. Every field of a sampler or a
pruner is null where Optuna's own default shall hold. Imported at the start of every Hydra program:
nothing heavy here.
"""

# No `from __future__ import annotations`: Hydra reads the types of the dataclass.
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from typing import Any

from hydra._internal.grammar.grammar_functions import choice
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

UPSTREAM = "hydra_plugins.hydra_optuna_sweeper"
"""Where hydra-optuna-sweeper lies if it is installed."""
STAND_IN = "hydra_optuna_sweeper.py"
"""What answers to that name if it is not: a module, where that one is a folder."""

CONFLICT = (
    "hydra-optuna-sweeper is installed beside fcsweep, and both are hydra/sweeper=optuna; "
    "pip uninstall hydra-optuna-sweeper (its configs work with fcsweep)"
)


def _node(target: str, fields: str = "", **chosen: Any) -> dict[str, Any]:
    # A partial: Hydra instantiates it for a sweeper without `_recursive_: false`, in vain.
    return {"_target_": target, "_partial_": True, **dict.fromkeys(fields.split()), **chosen}


_GENETIC = (
    "seed population_size mutation mutation_prob crossover crossover_prob swapping_prob "
    "constraints_func elite_population_selection_strategy child_generation_strategy "
    "after_trial_strategy"
)

SAMPLERS = {
    "tpe": _node(
        "optuna.samplers.TPESampler",
        "seed n_startup_trials n_ei_candidates multivariate group constant_liar consider_prior "
        "prior_weight consider_magic_clip consider_endpoints warn_independent_sampling gamma "
        "weights constraints_func",
    ),
    "random": _node("optuna.samplers.RandomSampler", "seed"),
    "cmaes": _node(
        "optuna.samplers.CmaEsSampler",
        "seed x0 sigma0 n_startup_trials independent_sampler warn_independent_sampling "
        "consider_pruned_trials restart_strategy popsize inc_popsize use_separable_cma "
        "with_margin lr_adapt source_trials",
    ),
    "gp": _node(
        "optuna.samplers.GPSampler",
        "seed independent_sampler n_startup_trials deterministic_objective "
        "warn_independent_sampling constraints_func",
    ),
    "qmc": _node(
        "optuna.samplers.QMCSampler",
        "seed qmc_type scramble independent_sampler warn_asynchronous_seeding "
        "warn_independent_sampling",
    ),
    "nsgaii": _node("optuna.samplers.NSGAIISampler", _GENETIC),
    "nsgaiii": _node(
        "optuna.samplers.NSGAIIISampler", f"{_GENETIC} reference_points dividing_parameter"
    ),
    "grid": _node("optuna.samplers.GridSampler", "seed"),
}
"""The group ``hydra/sweeper/sampler``."""

PRUNERS = {
    "none": _node("optuna.pruners.NopPruner"),
    "median": _node(
        "optuna.pruners.MedianPruner",
        "n_startup_trials n_warmup_steps interval_steps n_min_trials",
    ),
    "percentile": _node(
        "optuna.pruners.PercentilePruner",
        "n_startup_trials n_warmup_steps interval_steps n_min_trials",
        percentile=25.0,
    ),
    "successive_halving": _node(
        "optuna.pruners.SuccessiveHalvingPruner",
        "min_resource reduction_factor min_early_stopping_rate bootstrap_count",
    ),
    "hyperband": _node(
        "optuna.pruners.HyperbandPruner",
        "min_resource max_resource reduction_factor bootstrap_count",
    ),
    "patient": _node("optuna.pruners.PatientPruner", "wrapped_pruner min_delta", patience=3),
    "threshold": _node(
        "optuna.pruners.ThresholdPruner", "lower upper n_warmup_steps interval_steps"
    ),
    "wilcoxon": _node("optuna.pruners.WilcoxonPruner", "p_threshold n_startup_steps"),
}
"""The group ``hydra/sweeper/pruner``; chosen values are those without a default in Optuna."""

DEFAULTS = {"sampler": SAMPLERS["tpe"], "pruner": PRUNERS["none"]}
"""The nodes of a sweeper that names none."""


@dataclass
class OptunaSweeperConf:
    """``hydra.sweeper`` with ``hydra/sweeper=optuna``."""

    _target_: str = "hydra_plugins.fcsweep.OptunaSweeper"
    _recursive_: bool = False
    defaults: list[Any] = field(default_factory=lambda: [{"sampler": "tpe"}, {"pruner": "none"}])

    sampler: Any = MISSING
    """One of `SAMPLERS`; ``seed`` null is drawn once and kept in the study."""
    pruner: Any = MISSING
    """One of `PRUNERS`."""
    direction: Any = "minimize"
    """``minimize`` or ``maximize``; a list with one for each value that the task returns.

    null, for runs of fcsweep itself, is that of their ``objective``.
    """
    storage: Any = None
    """URL of a database, or a storage of Optuna; null is a journal in the sweep's folder."""
    study_name: str | None = None
    """Null is the name of the sweep's folder."""
    n_trials: int = 20
    """Trials in total, those before a restart and failed ones included; >= 1."""
    n_jobs: int = 2
    """Trials asked at once and handed to the launcher together; >= 1."""
    ahead: int | None = None
    """Such batches that may be under way at once, by several workers; >= 1. Null is as the study
    has it, of a new one twice ``hydra.launcher.workers``, and one for one worker."""
    lease: float = 60.0
    """Seconds of silence after which a worker of another machine counts as dead; > 0. Of a study in
    PostgreSQL."""
    patience: float = 600.0
    """Seconds for which a worker waits for a PostgreSQL that does not answer; >= 0."""
    max_failure_rate: float = 0.0
    """Fraction of the trials asked at once that may fail; in [0, 1]. More end the sweep."""
    params: dict[str, Any] | None = None
    """What to search, by key: ``choice``, ``range``, ``interval``, ``glob`` or a fixed value."""
    custom_search_space: str | None = None
    """Path of a function ``(cfg, trial)`` that asks the trial for more parameters."""
    search_space: dict[str, Any] | None = None
    """The older form of ``params``: a mapping with ``type``, ``low``, ``high`` ... for each key."""
    experiment_sequence: str | None = None
    """Taken and ignored, as configs of hydra-optuna-sweeper may hold it."""
    stop_at_target: bool = False
    """Whether to ask no trial after one has reached the ``target`` of the task's config."""
    repeats: int = 1
    """Jobs of each trial, with the ``seed`` of the config and those that follow it; >= 1."""
    repeats_as: str = "mean"
    """How their values become that of the trial: ``mean``, ``median`` or ``worst``."""
    timeout: float | None = None
    """Seconds after which no trial is asked; > 0, null = no limit."""
    enqueue: list[Any] | None = None
    """Known-good points, tried first: a list of mappings from key to value."""
    duplicates: str = "train"
    """A trial with the point of an earlier one: ``train`` it, or ``reuse`` the value."""


KEYS = frozenset(spec.name for spec in fields(OptunaSweeperConf)) - {"_target_", "_recursive_"}
"""What ``hydra.sweeper`` may hold, beside Hydra's own keys."""

MOVED = {
    "seed": "hydra.sweeper.sampler.seed",
    "sampler": "hydra/sweeper/sampler",
    "pruner": "hydra/sweeper/pruner",
    "max_batch_size": "hydra.sweeper.n_jobs",
    "num_workers": "hydra.sweeper.n_jobs",
    "max_trials": "hydra.sweeper.n_trials",
    "budget": "hydra.sweeper.n_trials",
    "parametrization": "hydra.sweeper.params",
}
"""Keys of older versions and of Hydra's other sweepers that have another place here."""


def register() -> None:
    """Tell Hydra of the schema and of the groups.

    ``hydra/sweeper=optuna`` itself is a file in ``conf/``, so that an app may have one of its own:
    of the same name here, Hydra would take this one for the schema of that, and refuse both.
    """
    store = ConfigStore.instance().store
    store(group="hydra/sweeper", name="optuna_schema", node=OptunaSweeperConf, provider="fcsweep")
    for group, options in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
        for name, node in options.items():
            store(group=f"hydra/sweeper/{group}", name=name, node=node, provider="fcsweep")


def accept_null_in_choices() -> None:
    """Let ``choice(null,1)`` be what ``null,1`` is: the types that Hydra names leave null out."""
    types = choice.__annotations__
    types["args"] = types["args"] | None


def upstream_installed() -> bool:
    """Whether hydra-optuna-sweeper is installed beside us, and found before what stands in."""
    spec = find_spec(UPSTREAM)
    return spec is not None and not str(spec.origin).endswith(STAND_IN)


def with_defaults(given: Mapping[str, Any], node: DictConfig) -> dict[str, Any]:
    """The settings of a sweeper, with the default of every key that its config leaves out.

    Args:
        given: to the sweeper by Hydra, which has instantiated whatever has a ``_target_`` unless
            ``_recursive_`` is false.
        node: the config of the sweeper; what has a ``_target_`` is taken as it stands there.
    """
    defaults: dict[str, Any] = {
        one.name: one.default for one in fields(OptunaSweeperConf) if one.name in KEYS
    }
    left_out = {key: value for key, value in DEFAULTS.items() if given.get(key) is None}
    described: dict[str, Any] = {
        key: OmegaConf.to_container(node[key], resolve=True)
        for key in ("sampler", "pruner", "storage")
        if _has_target(node.get(key))
    }
    return {**defaults, **given, **left_out, **described}


def _has_target(value: Any) -> bool:
    return isinstance(value, Mapping) and "_target_" in value
