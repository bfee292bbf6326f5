"""``--help`` and the tab key: made from the schemas, for every option and key."""

import io
import os
import re
import subprocess

import pytest

from fcsweep.cli import help
from fcsweep.config.meaning import Meaning, meanings
from fcsweep.config.schemas import GROUPS, RunConfig
from fcsweep.search.settings import PRUNERS, SAMPLERS, OptunaSweeperConf


def test_help_tells_every_key_with_its_meaning_range_and_default(fcsweep):
    text = " ".join(fcsweep("--help").out.split())
    told: list[tuple[str, Meaning]] = [("", one) for one in meanings(RunConfig)]
    told += [
        (f"{group}.", one)
        for group, options in GROUPS.items()
        for schema in options.values()
        for one in meanings(schema)
    ]
    told += [("hydra.sweeper.", one) for one in meanings(OptunaSweeperConf)]
    told = [(group, one) for group, one in told if one.name != "defaults"]
    assert len(told) > 60
    for group, one in told:
        key = rf" {re.escape(group)}{one.name}[= ]"
        assert re.search(key, text.replace("hydra/sweeper/", "hydra.sweeper.")), one.name
        if one.allowed is not None or one.name not in ("sampler", "pruner"):
            assert one.text and one.text in text, one.name
        if one.allowed is not None:
            bound = re.search(r"(>=?|in) .*", str(one.allowed))
            assert one.words or (bound.group() if bound else str(one.allowed)) in text, one.name
        for word in one.words:
            assert word in text
    for name in (*SAMPLERS, *PRUNERS):
        assert f"={name} optuna." in text
    assert "hydra.launcher.max_trials=auto" in text
    assert "-m hydra/sweeper=optuna hydra.sweeper.n_trials=30" in text
    assert "model.dropout=0 (three_layer, five_layer, fully_connected)" in text
    assert "hydra.sweeper.direction=null" in text  # as here, not as in other apps
    assert "three_layer [100,100]" in text


@pytest.mark.parametrize(
    ("asked", "first", "absent"),
    [
        ("optimizer", "== optimizer ==", "model."),
        ("optimizer=adam", "== optimizer ==", "model."),
        ("sweeper", "== hydra.sweeper, with", "optimizer."),
        ("hydra/sweeper", "== hydra.sweeper, with", "optimizer."),
        ("hydra.sweeper.n_jobs", "  hydra.sweeper.n_jobs=8", "n_trials"),
        ("reg", "  model.reg=0", "weight_scale"),
        ("sampler", "  hydra/sweeper/sampler=tpe", "pruner"),
        ("run", "== the run itself ==", "model."),
        ("experiment", "== experiment ==", "model."),
    ],
)
def test_help_of_one_group_or_key(asked, first, absent, fcsweep):
    said = fcsweep("--help", asked)
    assert said.out.startswith(first) and said.code == 0
    assert absent not in said.out.replace("hydra.sweeper.sampler.", "")


def test_help_of_what_is_not_there(fcsweep):
    said = fcsweep("--help", "optimizer.lr")
    assert said.code == 1 and said.out == ""
    assert said.err.startswith("error: no help on optimizer.lr; expected a key, or one of model, ")
    assert said.err.endswith("; did you mean optimizer.learning_rate?\n")


def test_a_long_help_is_paged_on_a_terminal(monkeypatch):
    paged: list[str] = []
    monkeypatch.setattr("pydoc.pager", paged.append)
    monkeypatch.setattr(help.sys, "stdout", written := io.StringIO())
    written.isatty = lambda: True
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((80, 24)))
    help.show("a line\n" * 23)
    help.show("a line\n" * 24)
    assert written.getvalue() == "a line\n" * 23 and paged == ["a line\n" * 24]


def test_flags_are_completed_but_those_that_are_refused(fcsweep, monkeypatch):
    monkeypatch.setenv("COMP_LINE", "fcsweep -")
    flags = fcsweep("-sc", "query=bash").out.split()
    assert {"-m", "--help", "--cfg", "--version"} <= set(flags)
    assert "--experimental-rerun" not in flags and len(set(flags)) == len(flags)


def test_bash_completes_both_ways_to_start(fcsweep, tmp_path):
    for name in ("fcsweep", "python"):  # in place of the program: it says how it was called
        (tmp_path / name).write_text('#!/bin/sh\necho "$0" "$@" "$COMP_LINE" >> asked\necho seed=1')
        (tmp_path / name).chmod(0o755)
    script = fcsweep("-sc", "install=bash").out + (
        "tab() { COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=($1); COMPREPLY=()\n"
        'fcsweep_bash_completion; echo "${COMPREPLY[*]}"; }\n'
        'tab "fcsweep se"; tab "python -m fcsweep se"; tab "python app.py se"; tab "fcsweep mo"'
    )
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True
    )
    assert done.stdout.decode().split("\n") == ["seed=1", "seed=1", "", "", ""] and not done.stderr
    asked = (tmp_path / "asked").read_text().replace(f"{tmp_path}/", "").splitlines()
    assert asked == [
        "fcsweep -sc query=bash fcsweep se",
        "python -m fcsweep -sc query=bash python -m fcsweep se",
        "fcsweep -sc query=bash fcsweep mo",
    ]
