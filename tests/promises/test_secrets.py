"""Secrets of the environment and of the command line: in no file, line, page or record."""

import logging
import os
import sys
from pathlib import Path

import pytest
from support.programs import Command, contents, said
from support.toy_app import sweep

from fcsweep import run
from fcsweep.config import RunConfig
from fcsweep.messages.errors import UserError
from fcsweep.messages.secrets import mask, masked_url, without_password
from fcsweep.messages.wording import render
from fcsweep.run import stack
from fcsweep.search.study.storage import storage_of

SECRET = "s3cret-Zq7"
ENVIRONMENT = {
    "FOO_TOKEN": SECRET,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "PGPASSWORD": SECRET,
    "DATABASE_URL": f"postgresql://me:{SECRET}@db.example/all",
}


def holding(folder: Path) -> list[str]:
    """The files below a folder that hold the secret, in any spelling of its bytes or in a name."""
    spellings = [SECRET.encode(), SECRET.encode("utf-16-le"), SECRET.encode().hex().encode()]
    return [
        name
        for name in contents(folder)
        if SECRET in name
        or ((folder / name).is_file() and any(s in (folder / name).read_bytes() for s in spellings))
    ]


# --- What is masked -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, expected",
    [
        ("storage=postgresql://me:s3cret@db/x", "storage=postgresql://me:***@db/x"),
        ("'postgresql://me:p/w:x@y@db/x?password=a,b'", "'postgresql://me:***@db/x?password=***'"),
        ("sqlite:///a.db?uri=true&key=abc&x=1", "sqlite:///a.db?uri=true&key=***&x=1"),
        ("+x.api_key='a b' seed=1", "+x.api_key='***' seed=1"),
        ("x:\n  apiKey: abc\n  y: 1", "x:\n  apiKey: ***\n  y: 1"),
        ('{"client_secret": "a\\"b", "x": 1}', '{"client_secret": "***", "x": 1}'),
        ("AWS_SECRET_ACCESS_KEY=abc seed=1", "AWS_SECRET_ACCESS_KEY=*** seed=1"),
        ("db_password_2=abc", "db_password_2=***"),
        ("password:\n  x: 1", "password:\n  x: 1"),
        (
            "optimizer=sgd model.reg=0.1 key=3 tokenizer=x",
            "optimizer=sgd model.reg=0.1 key=3 tokenizer=x",
        ),
    ],
)
def test_a_secret_is_known_by_its_place(text, expected):
    assert mask(text) == expected


def test_a_secret_of_the_environment_is_known_everywhere(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
        assert mask(f"cannot find /data/{SECRET}/x") == "cannot find /data/***/x"
        monkeypatch.delenv(name)
    monkeypatch.setenv("FOO_TOKEN", "12345")
    monkeypatch.setenv("TOKENS_PER_STEP", "learning_rate")
    assert mask("0.12345 learning_rate 12345") == "0.12345 learning_rate 12345"
    assert mask(f"in {os.getcwd()}") == f"in {os.getcwd()}"  # PWD is no password


def test_a_secret_of_the_command_line_is_known_everywhere(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["fcsweep", f"+x.api_key={SECRET}"])
    assert mask(f"given {SECRET!r}") == "given '***'"
    monkeypatch.setattr(sys, "argv", ["fcsweep", "-m", f"+x='https://me:{SECRET}@host'"])
    assert mask(SECRET) == "***"
    assert render("abc", "x.api_key") == "***"


ODD = ["plain", "p@ss", "p/w", "p:w", "a b", "it's", 'a"b', "p%40ss", "p%2Fw", "p#w?x=y&z", "ünï"]


@pytest.mark.parametrize("password", ODD)
def test_a_password_of_any_characters_is_in_no_error(password, tmp_path):
    url = f"postgresql://me:{password}@127.0.0.1:9/all"
    assert masked_url(url) == "postgresql://me:***@127.0.0.1:9/all"
    with pytest.raises(UserError) as error:  # no driver, or no answer
        storage_of(url, tmp_path)
    assert password not in str(error.value) and "hydra.sweeper.storage" in str(error.value)


def test_a_driver_may_name_the_password_as_it_is_meant():
    url = "postgresql://me:p%40ss@host/db"
    assert without_password("p@ss is wrong, in p%40ss", url) == "*** is wrong, in ***"
    assert without_password(f"cannot open {url}", url) == f"cannot open {masked_url(url)}"


# --- What is refused or masked before anything is made --------------------------------------------

URL = f"postgresql://me:{SECRET}@127.0.0.1:9/all"
REFUSED = {
    "unknown key": ["+x.api_key=" + SECRET],
    "unknown keys": ["+x={a:{api_key:" + SECRET + "}}"],
    "a list": ["+x.tokens=[" + SECRET + "]"],
    "for a job": ["+hydra.job.env_set.FOO=" + URL],
    "of a job": ["+hydra.job.env_set.MY_TOKEN=" + SECRET],
    "of each job": ["-m", "+hydra.job.env_set.MY_TOKEN=" + SECRET, "seed=1,2"],
    "for a launcher": ["-m", "+hydra.launcher.password=" + SECRET, "seed=1,2"],
    "a path": ["data=cifar10", f"data.root='https://host/?key={SECRET}'"],
    "asked for by a value": ["data=cifar10", "data.root=${oc.env:FOO_TOKEN}"],
    "asked for by a number": ["seed=${oc.env:FOO_TOKEN}"],
    "asked for by a folder": ["hydra.run.dir=runs/${oc.env:FOO_TOKEN}"],
    "asked for by jobs": ["-m", "data=cifar10", "data.root=${oc.env:FOO_TOKEN},b"],
    "cannot be read": [f"hydra.sweeper.storage=postgresql://me:{SECRET}(@h/db"],
    "several": ["-m", f"hydra.sweeper.storage={URL},b", "seed=1,2"],
    "for a grid": ["-m", f"+hydra.sweeper.storage={URL}", "seed=1,2"],
    "a mapping": ["-m", "hydra/sweeper=optuna", f"hydra.sweeper={{storage:'{URL}'}}", "seed=1,2"],
    "no such host": [
        *("-m", "hydra/sweeper=optuna", f"hydra.sweeper.storage={URL}", "seed=1,2"),
        "hydra.sweeper.patience=0",
    ],
    "no such driver": ["-m", "hydra/sweeper=optuna", f"hydra.sweeper.storage=o{URL}", "seed=1,2"],
    "a study": ["-m", "hydra/sweeper=optuna", f"hydra.sweeper.study_name={URL}", "seed=1,2"],
}


@pytest.mark.slow
@pytest.mark.parametrize("full", ["0", pytest.param("1", marks=pytest.mark.slow)])
def test_a_secret_that_would_be_saved_is_refused_and_not_shown(full, tmp_path):
    env = {**ENVIRONMENT, "HYDRA_FULL_ERROR": full}
    commands = [Command(["fcsweep", *words], str(tmp_path)) for words in REFUSED.values()]
    for name, one in zip(REFUSED, said(commands, env=env), strict=True):
        assert one.code == 1 and one.trained == 0, name
        assert SECRET not in one.out + one.err, name
        assert one.err.count("\n") == 1 or (full == "1" and one.err.startswith("Traceback")), name
    assert contents(tmp_path) == []


@pytest.mark.slow
def test_what_is_shown_has_no_secret(tmp_path):
    storage = ["hydra/sweeper=optuna", f"hydra.sweeper.storage={URL}"]
    words = [["--cfg", "all"], ["--cfg", "hydra"], ["--info", "all"], ["--help"], ["--hydra-help"]]
    words += [
        ["--cfg", "hydra", "--package", "hydra.sweeper.storage"],
        ["--cfg", "all", "--resolve"],
    ]
    commands = [Command(["fcsweep", *each, *storage], str(tmp_path)) for each in words]
    ended = said(commands, env=ENVIRONMENT)
    assert all(one.code == 0 and SECRET not in one.out + one.err for one in ended)
    assert sum("postgresql://me:***@127.0.0.1:9/all" in one.out for one in ended) >= 4
    assert contents(tmp_path) == []


# --- What is left by commands that run ------------------------------------------------------------


@pytest.mark.slow
def test_no_file_of_a_run_or_a_sweep_holds_a_secret(tmp_path):
    """With a database that takes a secret in its URL: SQLite passes over ``key``."""
    key = f"sqlite:///file:{tmp_path}/study.db?uri=true&key={SECRET}"
    search = ["-m", "hydra/sweeper=optuna", f"hydra.sweeper.storage='{key}'", "hydra.sweep.dir=s"]
    search += ["seed=range(0,9)", "hydra.sweeper.n_trials=2", "solver.num_epochs=1"]
    ran = ["hydra/sweeper=optuna", f"hydra.sweeper.storage={URL}", "hydra.run.dir=r"]
    commands = [
        ["fcsweep", *ran, "solver.num_epochs=1"],
        ["fcsweep", "data=cifar10", "data.root=nowhere", "hydra.run.dir=f"],  # it fails
        ["fcsweep", *search],
        ["fcsweep", *search, "hydra.sweeper.n_trials=3"],
        ["fcsweep", "-m", "seed=1,2", "solver.num_epochs=1", "hydra.sweep.dir=g"],
        *(["rerun", name] for name in "rsg"),
        ["evaluate", "r"],
        *(["report", name] for name in "rsgf"),
    ]
    ended = said(
        [Command(words, str(tmp_path)) for words in commands], quick=False, env=ENVIRONMENT
    )
    codes = [one.code for one in ended]
    assert codes == [0, 1, *[0] * 11], ended
    assert not any(SECRET in one.out + one.err for one in ended)
    assert {"s/multirun.yaml", "s/2/.hydra/hydra.yaml", "g/trials.csv", "study.db"} <= set(
        contents(tmp_path)
    )
    assert holding(tmp_path) == []
    assert "key=***" in (tmp_path / "s" / "multirun.yaml").read_text()
    assert "me:***@127" in (tmp_path / "r" / "provenance.json").read_text()


def test_a_crash_has_no_secret_in_its_log(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError(f"no answer from {URL} with {SECRET}")

    monkeypatch.setenv("FOO_TOKEN", SECRET)
    monkeypatch.setattr(stack, "data_of", broken)
    log = logging.Logger("crash")
    handler = logging.FileHandler(tmp_path / "fcsweep.log")
    log.addHandler(handler)
    run.run_many([RunConfig(), RunConfig(seed=1)], [tmp_path, tmp_path], logs=[log, log])
    handler.close()
    text = (tmp_path / "fcsweep.log").read_text()
    assert "Traceback" in text and "no answer from postgresql://me:***@127.0.0.1:9/all" in text
    assert "no answer" in (tmp_path / "result.json").read_text()
    assert holding(tmp_path) == []


def test_the_study_of_another_app_has_no_secret(tmp_path):
    """Hydra itself saves the config of that app: our journal and our table do not."""
    config = {"x": 0.0, "my": {"api_key": SECRET, "url": URL}}
    sweep(tmp_path / "s", lambda cfg: cfg.x, config, "x=range(0,9)", "hydra.sweeper.n_trials=1")
    assert {name.partition("/")[0] for name in holding(tmp_path / "s")} == {"0"}
    assert "api_key: ***" in (tmp_path / "s" / "multirun.yaml").read_text()
