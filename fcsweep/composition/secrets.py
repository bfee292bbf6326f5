"""Keep secrets out of saved configs: Hydra saves the whole config and its overrides for every job.

The password in the URL of a storage is masked, because no job reads it from there. Any other secret
is refused before a folder is made.
"""

from __future__ import annotations

import re
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf, open_dict

from fcsweep.config import flat
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.secrets import ASKED, mask, masked_in_place, masked_url

STORAGE = "hydra.sweeper.storage"
SECRET_URL = "FCSWEEP_STORAGE"  # noqa: S105  a name
"""Environment variable that hands a URL with a password on to jobs in other processes."""
INTERPOLATION = re.compile(r"\$\{[^{}]*\}")
TAKEN_LATER = (STORAGE, "hydra.job.env_set.", "hydra.launcher.")
"""Keys that are saved as they are written: with the question to the environment, not its answer."""


def hide_password(config: DictConfig) -> None:
    """Mask the password of ``hydra.sweeper.storage``; jobs of a sweep compose theirs from this."""
    given = OmegaConf.select(config, STORAGE, throw_on_resolution_failure=False)
    if OmegaConf.is_dict(given):
        _hide_in_mapping(config, given)
        return
    url = given
    if not isinstance(url, str) or masked_url(url) == url:
        return
    hydra, quoted = config.hydra, QuotedString(masked_url(url), Quote.single).with_quotes()
    with open_dict(config):
        hydra.sweeper.storage = masked_url(url)
        others = [mask(one) for one in overrides_of(config) if not _sets_storage(one)]
        hydra.overrides.hydra = [*others, f"{STORAGE}={quoted}"]


def _hide_in_mapping(config: DictConfig, storage: DictConfig) -> None:
    """The same for a URL in a mapping with a ``_target_``."""
    url = storage.get("url")
    if not isinstance(url, str) or masked_url(url) == url:
        return
    with open_dict(config):
        storage.url = masked_url(url)
        config.hydra.overrides.hydra = [mask(one) for one in overrides_of(config)]


def overrides_of(config: DictConfig) -> list[str]:
    """The overrides of Hydra's own keys, as they were written: not what they ask for."""
    lines: Any = OmegaConf.to_container(config.hydra.overrides, resolve=False)
    return lines["hydra"]


def refuse_secrets(config: DictConfig) -> None:
    """Refuse a config with a secret in it, but for the password of the storage.

    Raises:
        ConfigError: a key is named for a secret or asks the environment for one, or a URL has a
            password; the secret is not shown.
    """
    values: dict[str, Any] = flat(OmegaConf.to_container(config, resolve=False))  # type: ignore[arg-type]
    for part in ("task", "hydra"):
        lines = values.pop(f"hydra.overrides.{part}", None) or []
        values |= {line.partition("=")[0]: line for line in lines if not _sets_storage(line)}
    for key, value in values.items():
        if key == STORAGE:
            continue
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and _is_secret(key, text):
                raise ConfigError(
                    f"{key} holds a secret, which would be saved with every run; leave it in the "
                    "environment, which every job has too"
                )


def _is_secret(key: str, text: str) -> bool:
    if ASKED.search(text) and not key.startswith(TAKEN_LATER):
        return True
    line = f"{key}={INTERPOLATION.sub('', text)}"
    return masked_in_place(line) != line


def _sets_storage(override: str) -> bool:
    return re.match(rf"[+]*{re.escape(STORAGE)}=", override) is not None
