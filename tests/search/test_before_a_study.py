"""What is refused in any app before a study or a folder is made: groups and storages."""

import pytest
from hydra.errors import HydraException
from support.toy_app import multirun

from fcsweep.messages.errors import ConfigError
from fcsweep.search.study.storage import check_url


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("hydra.sweeper.sampler=tpe", "with slashes: hydra/sweeper/sampler=tpe"),
        ("hydra.sweeper.pruner=median", "with slashes: hydra/sweeper/pruner=median"),
        ("hydra.sweeper.storage=sqlite:///none/a.db", "there is no folder none; make it first"),
    ],
)
def test_a_search_of_another_app(override, words, tmp_path, hydra_restore_singletons):
    words_of_app = ["hydra/sweeper=optuna", "x=1,2", override]
    with pytest.raises(HydraException, match=words):
        multirun(tmp_path / "s", lambda cfg: cfg.x, {"x": 0}, *words_of_app)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_database(tmp_path):
    for url in (
        None,
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///here.db",
        f"sqlite:///{tmp_path}/a.db?timeout=3",
        f"sqlite+pysqlite:///{tmp_path}/a.db",
        "sqlite:///file:/nowhere/a.db?uri=true",
        "postgresql://me@host/nowhere/a",
        {"_target_": "optuna.storages.InMemoryStorage"},
    ):
        check_url(url)
    for url in (f"sqlite:///{tmp_path}/a/b.db", "sqlite+pysqlite:////nowhere/a.db?timeout=3"):
        with pytest.raises(ConfigError, match="there is no folder /.*; make it first"):
            check_url(url)
