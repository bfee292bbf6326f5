"""Samplers and pruners from config nodes, and the sampler that makes a study repeatable.

A sampler's random state is not in a study: one that is seeded once draws its points again after a
restart. So every trial has a fresh sampler here, seeded from the study's seed and the trial's
number, and a parameter that is drawn by itself has one seeded from its name too. A trial that was
killed while it was asked is then completed with the values that it would have had.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from typing import Any

import optuna
from hydra.errors import InstantiationException
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, SuccessiveHalvingPruner
from optuna.samplers import (
    BaseSampler,
    GridSampler,
    PartialFixedSampler,
    QMCSampler,
    RandomSampler,
)
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import one_line, render
from fcsweep.search.overrides import bare
from fcsweep.search.space import Space
from fcsweep.search.study.targets import (
    HYDRAS_OWN,
    OPTUNA,
    arguments_of,
    fields_of,
    foreign,
    make,
    own_class,
    with_objects,
)


class PerTrial(BaseSampler):
    """A fresh sampler for every trial; planned points come first.

    Args:
        make: a sampler from its seed and the number of its trial.
        seed: of the study.
        planned: values of trial 0, 1, ...; what a point leaves open is drawn.
    """

    def __init__(
        self,
        make: Callable[[int, int], BaseSampler],
        seed: int,
        planned: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._make, self._seed, self._planned = make, seed, planned

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that are drawn together; none where a point is planned."""
        if self._point(trial):
            return {}
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of parameters that are drawn together."""
        if not search_space:
            return {}
        # A trial that was killed while it was asked has left a note of the values it was to have;
        # by that GPSampler would count it among the running ones, from which it keeps away.
        for name in [name for name in trial.system_attrs if name.endswith(":relative_params:0")]:
            study._storage.set_trial_system_attr(trial._trial_id, name, "")
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The planned value of a parameter, or one drawn by itself."""
        point = self._point(trial)
        if param_name in point:
            return point[param_name]
        sampler = self._of(trial, param_name)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Passed on."""
        self._of(trial).before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Passed on."""
        self._of(trial).after_trial(study, trial, state, values)

    def _of(self, trial: FrozenTrial, name: str = "") -> BaseSampler:
        text = f"{self._seed} {trial.number} {name}".encode()
        seed = int.from_bytes(blake2b(text, digest_size=4).digest())
        return self._make(seed, trial.number)

    def _point(self, trial: FrozenTrial) -> Mapping[str, Any]:
        return self._planned[trial.number] if trial.number < len(self._planned) else {}


def sampler_of(
    node: Any, planned: Sequence[Mapping[str, Any]] = (), space: Space | None = None
) -> Callable[[int], BaseSampler]:
    """The sampler that a config node describes, from the study's seed.

    One of Optuna is fresh for every trial. One from elsewhere may have a state, so it is the same
    for all trials; after a restart it has another seed.

    Args:
        node: ``_target_`` and fields; null fields have Optuna's default.
        planned: the values of the first trials.
        space: that is searched, for the keys of ``fixed_params``.

    Raises:
        ConfigError: no sampler, a field that it refuses, a package that is missing.
    """
    fields = {key: value for key, value in fields_of("sampler", node).items() if key != "seed"}
    kind = own_class("sampler", fields)
    if kind is None:
        with quiet():
            foreign("sampler", fields, 0)
        return lambda seed: PerTrial(_first(partial(foreign, "sampler", fields)), seed, planned)
    if kind is GridSampler:  # all its points are planned
        if fields.get("search_space") is not None:
            raise ConfigError(
                "hydra.sweeper.sampler.search_space is given; the grid sampler takes the choices "
                "of hydra.sweeper.params, so leave it out"
            )
        return lambda seed: PerTrial(lambda own, _: RandomSampler(own), seed, planned)
    arguments = arguments_of("sampler", kind, fields)
    if kind is PartialFixedSampler and space is not None:
        arguments["fixed_params"] = _fixed_params(arguments.get("fixed_params"), space)
    with _message("sampler"):
        make(kind, arguments, 0)
    if kind is QMCSampler:
        # One sequence for the study: a trial has its place in it, so the seed stays the study's.
        def point(seed: int, own: int, number: int) -> BaseSampler:
            others = {"independent_sampler": RandomSampler(own), **with_objects(arguments, own)}
            return _NumberedQMC(number, seed=seed, **others)

        return lambda seed: PerTrial(partial(point, seed), seed, planned)
    return lambda seed: PerTrial(lambda own, _: make(kind, arguments, own), seed, planned)


def set_fields(group: str, node: Any) -> dict[str, Any]:
    """What a sampler's or pruner's node says, without the seed: its class, the fields that are set.

    Args:
        group: ``sampler`` or ``pruner``, before the names of the fields.
        node: as for `sampler_of` and `pruner_of`.
    """
    fields = fields_of(group, node)
    told = {f"{group}.{name}": value for name, value in fields.items() if value is not None}
    for name in (*HYDRAS_OWN, "seed"):
        told.pop(f"{group}.{name}", None)
    target = str(fields["_target_"])
    return {group: target.rpartition(".")[2] if target.startswith(OPTUNA) else target, **told}


def is_grid(node: Any) -> bool:
    """Whether a sampler's node asks for every combination of the values."""
    target = str(fields_of("sampler", node).get("_target_"))
    return target.startswith(OPTUNA) and target.endswith(".GridSampler")


def seed_of(node: Any) -> int | None:
    """The ``seed`` of a sampler's node."""
    seed = fields_of("sampler", node).get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise ConfigError(f"hydra.sweeper.sampler.seed is {render(seed)}; expected a number >= 0")
    return seed


def pruner_of(node: Any) -> BasePruner:
    """The pruner that a config node describes; None is none.

    Raises:
        ConfigError: as `sampler_of`.
    """
    fields = fields_of("pruner", node)
    kind = own_class("pruner", fields)
    if kind is None:
        return foreign("pruner", fields)
    arguments = arguments_of("pruner", kind, fields)
    with _message("pruner"):
        pruner = make(kind, arguments)
        if kind is HyperbandPruner:
            _check_hyperband(**arguments)
        return pruner


def _check_hyperband(
    min_resource: int = 1,
    max_resource: str | int = "auto",
    reduction_factor: int = 3,
    bootstrap_count: int = 0,
) -> None:
    """What Optuna would find when the first trial reports: Hyperband is made of these."""
    SuccessiveHalvingPruner(min_resource, reduction_factor, 0, bootstrap_count)
    if isinstance(max_resource, int) and max_resource < min_resource:
        raise ValueError(f"max_resource is {max_resource}, less than min_resource={min_resource}")


class _NumberedQMC(QMCSampler):
    """The point of a trial is the one of its number, whether others were drawn before or not."""

    def __init__(self, number: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._number = number

    def _find_sample_id(self, study: Study, search_space: dict[str, BaseDistribution]) -> int:
        return max(self._number - 1, 0)  # trial 0 is drawn at random: no space is known before it


def _first(make: Callable[[int], BaseSampler]) -> Callable[[int, int], BaseSampler]:
    """The first that is made, for every trial."""
    only: list[BaseSampler] = []

    def first(seed: int, number: int) -> BaseSampler:
        if not only:
            only.append(make(seed))
        return only[0]

    return first


def _fixed_params(given: Any, space: Space) -> dict[str, Any]:
    """``fixed_params`` by the keys of the space, which may begin with ``+``."""
    keys = {bare(key): key for key in space.distributions}
    named = {keys.get(str(key), str(key)): value for key, value in dict(given or {}).items()}
    return space.point("hydra.sweeper.sampler.fixed_params", named)


@contextmanager
def _message(group: str) -> Iterator[None]:
    """What Optuna refuses, in one line."""
    with quiet():
        try:
            yield
        except (ValueError, TypeError, InstantiationException) as error:
            raise ConfigError(f"hydra.sweeper.{group}: {one_line(error)}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without Optuna's notes on what it does, what is experimental and what will go."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", r"`\w+` has been deprecated in v", FutureWarning)
        warnings.filterwarnings("ignore", "Clip non-finite values", UserWarning)
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)
