"""How a run's config is composed: Hydra's own loader followed by the checks of `fcsweep.config`.

Every config of a run, and of every job of a sweep, is checked where it is composed, so that a bad
value in the seventh job of a grid is found before the first is trained. What Hydra complains about
in several lines, with addresses, is said in one, with the nearest match.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fcsweep.composition.job_files import Texts
from fcsweep.composition.jobs import ComposedOnce, settle
from fcsweep.composition.overrides import (
    check_inside,
    check_mapping,
    is_conditional,
    needs_multirun,
    not_an_option,
    parse,
    parsed_line,
    refuse_bare_sizes,
    value_of,
)
from fcsweep.composition.secrets import refuse_secrets
from fcsweep.composition.stored_schemas import register
from fcsweep.composition.yaml_files import Repository
from fcsweep.config import GROUPS, RunConfig, flat, typed
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import hint, render
from fcsweep.system.signals import end_if_asked

STAMP = "fcsweep.stamp"
"""Resolver of the name of a new folder: date, time and four random hexadecimal digits."""

EXTRAS = {"joblib": "parallel", "submitit_local": "slurm", "submitit_slurm": "slurm"}
"""Launchers that come with an extra of this package."""


def stamp() -> str:
    """``2026-11-23_08-40-12_1a2b``; the digits tell two starts in one second apart."""
    return f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{secrets.token_hex(2)}"


# At import, because a parallel launcher's worker imports this module to unpickle the loader, and
# composes there. Cached: all jobs of a sweep have one stamp.
OmegaConf.register_new_resolver(STAMP, stamp, replace=True, use_cache=True)
register()


def conf_dir() -> Path:
    """The YAML groups: inside the package in a wheel, beside it in a checkout."""
    here = Path(__file__).parents[1]
    return next(path for path in (here / "conf", here.parent / "conf") if path.is_dir())


class CheckedLoader(ConfigLoaderImpl):
    """Hydra's loader; the config of a run that it returns has passed `typed`."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.repository = Repository(config_search_path)
        self._composed = ComposedOnce(self._choices_alone, parsed_line, self._is_group)

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Compose a config; in run mode its values are those of `typed`, which the run saves.

        Raises:
            ConfigError: For every mistake in the overrides and in the composed config.
        """
        compose = super().load_configuration
        if not validate_sweep_overrides:  # Hydra looks for hydra.mode and ignores mistakes
            return compose(config_name, overrides, run_mode, from_shell, False)
        parsed = parse(overrides)
        for override in parsed:
            self._check(override, run_mode)
        try:
            cfg = compose(config_name, overrides, run_mode, from_shell, True)
        except MissingConfigException as error:
            raise _missing_error(error) from error
        except HydraException as error:
            fixed = [one for one in parsed if is_conditional(one)]
            if run_mode is RunMode.RUN or not fixed:
                raise self._explain(error, config_name, parsed, run_mode) from error
            cfg = self._of_sweep(config_name, parsed, fixed)
        except RecursionError as error:
            raise ConfigError("the defaults lists of the config files lead in a circle") from error
        check_hydra(cfg)
        refuse_secrets(cfg)
        if run_mode is RunMode.RUN and config_name is not None:
            settle(cfg)
        return cfg

    def _of_sweep(
        self, config_name: str | None, parsed: Sequence[Override], fixed: Sequence[Override]
    ) -> DictConfig:
        """The config of a sweep whose options are not chosen yet: some may have the fixed keys."""
        others = [one for one in parsed if one not in fixed]
        lines = [str(one.input_line) for one in others]
        try:
            cfg = super().load_configuration(config_name, lines, RunMode.MULTIRUN)
        except HydraException as error:
            raise self._explain(error, config_name, others, RunMode.MULTIRUN) from error
        for one in fixed:
            if _has(cfg, one.key_or_group):
                OmegaConf.update(cfg, one.key_or_group, one.value())
        task = [str(one.input_line) for one in parsed if not one.is_hydra_override()]
        cfg.hydra.overrides.task = task
        return cfg

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> Any:
        """Compose a job of a sweep; what the jobs have in common is read from its files once."""
        end_if_asked()
        cfg = self._composed.job(master_config, sweep_overrides)
        if cfg is None:
            return super().load_sweep_config(master_config, sweep_overrides)
        check_hydra(cfg)
        return cfg

    def check_job(self, master_config: DictConfig, sweep_overrides: list[str]) -> RunConfig:
        """The checked values of a job of a sweep, before it is composed to be run."""
        end_if_asked()
        checked = self._composed.checked(master_config, sweep_overrides)
        return checked or typed(super().load_sweep_config(master_config, sweep_overrides))

    def job_files(
        self, master_config: DictConfig, sweep_overrides: list[str], number: int, folder: Path
    ) -> Texts | None:
        """The files that Hydra would save of a job, if they are known without composing it."""
        return self._composed.files(master_config, sweep_overrides, number, folder)

    def _choices_alone(self, config_name: str | None, overrides: list[str]) -> DictConfig:
        for override in parse(overrides):
            self._check(override, RunMode.RUN)
        return super().load_configuration(config_name, overrides, RunMode.RUN)

    def _is_group(self, key: str) -> bool:
        return bool(super().get_group_options(key, None))

    def get_group_options(
        self,
        group_name: str,
        results_filter: ObjectType | None = ObjectType.CONFIG,
        config_name: str | None = None,
        overrides: list[str] | None = None,
    ) -> list[str]:
        """The options of a group, for help, completion and errors; schemas are not options."""
        options = super().get_group_options(group_name, results_filter, config_name, overrides)
        return _without_schemas(options)

    def _check(self, override: Override, run_mode: RunMode) -> None:
        """Refuse what Hydra would accept, or would reject with an unhelpful message."""
        key, line = override.key_or_group, override.input_line
        if "." in key and self._is_group(group := key.replace(".", "/")):
            check_mapping(override, group)
        if override.is_sweep_override():
            if run_mode is RunMode.RUN:
                raise needs_multirun(override)
            refuse_bare_sizes(override)
            return
        group, _, last = key.rpartition(".")
        if group in GROUPS and last == "name":
            raise ConfigError(f"{line} would rename an option; choose one by {group}=...")
        value = override.value()
        if override.is_delete():
            if run_mode is RunMode.RUN and not override.is_hydra_override():
                raise ConfigError(f"{line} deletes a key; expected a value: {key}=...")
            return
        if "." not in key:  # a group, or a key that holds no path
            for choice in value if isinstance(value, list) else [value]:
                check_inside(key, choice)
            options = self.get_group_options(key)
            if options and not isinstance(value, str | dict):
                raise not_an_option(key, value, options)

    def _explain(
        self,
        error: HydraException,
        config_name: str | None,
        parsed: Sequence[Override],
        run_mode: RunMode,
    ) -> ConfigError:
        """Explain what Hydra rejected: most often a key that does not exist."""
        compose = super().load_configuration
        forced = [self._force(one) for one in parsed if not one.is_sweep_override()]
        try:
            # With the keys added by force, our own door finds the unknown one.
            typed(compose(config_name, forced, RunMode.RUN))
        except ConfigError as explained:
            return explained
        except (HydraException, ValueError):
            pass
        known = self._other_sweeper(config_name, parsed)
        known = known or self._unknown_hydra_key(config_name, parsed, run_mode)
        return known or ConfigError(_single_line(error))

    def _other_sweeper(
        self, config_name: str | None, parsed: Sequence[Override]
    ) -> ConfigError | None:
        """The error for search settings with another sweeper."""
        lines = [str(one.input_line) for one in parsed if self._is_group(one.key_or_group)]
        given = [line for line in lines if line.startswith("hydra/sweeper=")]
        others = [line for line in lines if line not in given]
        try:
            cfg = super().load_configuration(config_name, others, RunMode.MULTIRUN)
        except HydraException:
            return None
        own = f"hydra/sweeper={cfg.hydra.runtime.choices['hydra/sweeper']}"
        if not given or own in (given[-1], "hydra/sweeper=basic"):
            return None
        chosen = " ".join(line for line in others if not line.startswith("hydra/"))
        grid = "for a grid: hydra/sweeper/sampler=grid, and values for what it searches"
        text = f"{chosen or 'the config'} is a search by {own}; leave {given[-1]} out"
        return ConfigError(f"{text} ({grid})" if own.endswith("=optuna") else text)

    def _force(self, override: Override) -> str:
        """The override, setting its key whether that exists or not; choices of a group as given."""
        line, key = override.input_line or "", override.key_or_group
        a_choice = isinstance(override.value(), str) and self.get_group_options(key)
        if a_choice or override.is_delete() or override.is_hydra_override():
            return line
        return "++" + line.lstrip("+")

    def _unknown_hydra_key(
        self, config_name: str | None, parsed: Sequence[Override], run_mode: RunMode
    ) -> ConfigError | None:
        choices = [str(one.input_line) for one in parsed if self._is_group(one.key_or_group)]
        try:
            cfg = super().load_configuration(config_name, choices, RunMode.MULTIRUN)
        except HydraException:
            return None
        for override in parsed:
            key = override.key_or_group
            if key.startswith("hydra/") and not self._is_group(key):
                return _no_group(override, cfg)
            if key.startswith("hydra.") and override.package is None and not _has(cfg, key):
                near = _near_option(override, cfg) or hint(key, _keys_of(cfg, run_mode))
                return ConfigError(f"unknown key {key} (given {_given_text(override)}){near}")
        return None


def check_hydra(cfg: DictConfig) -> None:
    """Refuse settings of Hydra that would move records out of their folder, or omit them."""
    hydra = cfg.hydra
    name = OmegaConf.to_container(hydra.job, resolve=False)["name"]  # type: ignore[index]
    if not isinstance(name, str) or not name or "/" in name or "\\" in name or name[0] == ".":
        raise ConfigError(f"hydra.job.name is {render(name)}; expected a name, such as fcsweep")
    if hydra.output_subdir != ".hydra":
        given = render(hydra.output_subdir)
        raise ConfigError(f"hydra.output_subdir is {given}; expected .hydra, where records look")
    subdir = OmegaConf.to_container(hydra.sweep, resolve=False)["subdir"]  # type: ignore[index]
    if subdir != "${hydra.job.num}":
        given, number = render(subdir), "${hydra.job.num}"
        raise ConfigError(
            f"hydra.sweep.subdir is {given}; expected {number}: a job's folder is its number"
        )


def _keys_of(cfg: DictConfig, run_mode: RunMode) -> list[str]:
    """The keys that may be meant: of the folders only that of a run, or that of a sweep."""
    other = "hydra.sweep." if run_mode is RunMode.RUN else "hydra.run."
    keys = flat(OmegaConf.to_container(cfg, resolve=False))  # type: ignore[arg-type]
    return [one for one in keys if "._" not in one and not one.startswith(other)]


def _near_option(override: Override, cfg: DictConfig) -> str:
    """``; did you mean hydra/sweeper/pruner=median?`` for ``hydra.pruner=median``."""
    value, name = value_of(override), override.key_or_group.rpartition(".")[2]
    groups = [str(one) for one in cfg.hydra.runtime.choices if one.rpartition("/")[2] == name]
    return f"; did you mean {groups[0]}={value}?" if groups and isinstance(value, str) else ""


def _no_group(override: Override, cfg: DictConfig) -> ConfigError:
    """The error for a slash where a dot belongs, or for a misspelt group."""
    key, line = override.key_or_group, str(override.input_line)
    dotted = key.replace("/", ".")
    if _has(cfg, dotted):
        return ConfigError(
            f"{line} has slashes; a value is set with dots: {dotted}={value_of(override)}"
        )
    near = hint(key, map(str, cfg.hydra.runtime.choices))
    return ConfigError(f"unknown group {key} (given {_given_text(override)}){near}")


def _given_text(override: Override) -> str:
    return render(value_of(override), override.key_or_group)


def _missing_error(error: MissingConfigException) -> ConfigError:
    """A group option or a primary config that does not exist."""
    name = error.missing_cfg_file or ""
    group, _, option = name.rpartition("/")
    if not group or error.options is None:
        return ConfigError(f"there is no config {name!r} in {conf_dir()} or the --config-dir")
    options = _without_schemas(error.options)
    text = f"{group} is {option!r}; expected one of {', '.join(options)}{hint(option, options)}"
    if group == "hydra/launcher" and option in EXTRAS:
        text += f"; {option} comes with: pip install 'fcsweep[{EXTRAS[option]}]'"
    return ConfigError(text)


def _without_schemas(options: Sequence[str]) -> list[str]:
    return [option for option in options if not option.endswith("_schema")]


def _has(cfg: DictConfig, key: str) -> bool:
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(cfg, parent, throw_on_missing=False)
    return isinstance(node, DictConfig) and last in node


def _single_line(error: BaseException) -> str:
    """Hydra's message on one line, with OmegaConf's cause, without addresses."""
    lines = str(error).splitlines()
    if error.__cause__ is not None:
        lines += str(error.__cause__).splitlines()[:1]
    useful = [line.strip() for line in lines if "https://" not in line]
    return " ".join(line for line in useful if line)
