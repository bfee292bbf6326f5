"""Where the numbers come from: every field, no secret, and cheap enough for a thousand runs."""

import json
import os
import re
import socket
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from packaging.requirements import Requirement
from support.short_runs import config_of, config_with, folders_in, result_of

from fcsweep.records.seal import add_seal, as_json
from fcsweep.run import provenance as module
from fcsweep.run import run, run_many
from fcsweep.run.provenance import provenance

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
WORKER = ("host", "process", "started", "ended")


@pytest.fixture(autouse=True)
def fresh():
    module.this_process.cache_clear()
    yield
    module.this_process.cache_clear()


def facts_of(folder):
    return json.loads((folder / "provenance.json").read_text())


def test_every_field_is_documented_and_there(tmp_path):
    run(config_of(), tmp_path)
    text = (ROOT / "multirun" / "README.md").read_text()
    section = text.partition("### `provenance.json`")[2].partition("\n### ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    documented = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(documented) == sorted(facts_of(tmp_path))


def test_what_it_says():
    data = SimpleNamespace(fingerprint="ab", about={})
    facts = provenance(config_of(seed=3), CPU, data, 2, 5)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = {Requirement(need).name.lower() for need in project["dependencies"]}
    assert {name.lower() for name in facts["versions"]} == needs | {"fcsweep"}
    assert all(facts["versions"].values())
    assert facts["versions"]["torch"] == torch.__version__
    assert facts["cpu_name"] == facts["device_name"] and facts["cpu_capability"]
    assert facts["threads"] == torch.get_num_threads() == 1
    assert facts["determinism"]["float32_matmul_precision"] == "highest"
    assert (facts["seed"], facts["dtype"], facts["data_sha256"]) == (3, "float32", "ab")
    assert (facts["stack_place"], facts["stack_size"]) == (2, 5)
    assert len(facts["code_sha256"]) == 64


def test_which_worker_trained_a_stack_and_when(tmp_path):
    before = datetime.now(UTC)
    one, other = folders_in(tmp_path, "one", "other")
    run_many([config_of(seed=seed) for seed in (0, 1)], [one, other])
    facts, others = facts_of(one), facts_of(other)
    assert (facts["host"], facts["process"]) == (socket.gethostname(), os.getpid())
    assert [facts[key] for key in WORKER[:3]] == [others[key] for key in WORKER[:3]]
    started, ended = (datetime.fromisoformat(facts[key]) for key in WORKER[2:])
    assert before - timedelta(milliseconds=1) <= started <= ended <= datetime.now(UTC)
    assert (ended - started).total_seconds() >= result_of(one)["seconds"] - 0.001


def test_of_a_resumed_run_the_last_worker_counts(tmp_path, monkeypatch):
    def stop(reports):
        if reports[0].row.epoch == 3:
            raise KeyboardInterrupt
        return ()

    monkeypatch.setattr(module.socket, "gethostname", lambda: "first")
    with pytest.raises(KeyboardInterrupt):
        run(config_with(), tmp_path, stop)
    first = facts_of(tmp_path)
    monkeypatch.setattr(module.socket, "gethostname", lambda: "second")
    run(config_with(), tmp_path)
    second = facts_of(tmp_path)
    assert (first["host"], second["host"]) == ("first", "second")
    assert first["started"] <= first["ended"] <= second["started"] <= second["ended"]


@pytest.mark.parametrize(
    "argv, command",
    [
        (["fcsweep/__main__.py", "seed=1"], "python -m fcsweep seed=1"),
        (["fcsweep/rerun.py", "a b"], "python -m fcsweep.rerun 'a b'"),
        (["/usr/bin/fcsweep", "-m"], "fcsweep -m"),
        (["x.py", "u=postgresql://me:geheim@h/d"], "x.py u=postgresql://me:***@h/d"),
        (["x.py", "+api_key=geheim"], "x.py +api_key=***"),
    ],
)
def test_the_command_can_be_given_again_and_has_no_password(argv, command, monkeypatch):
    path = str(ROOT / argv[0]) if argv[0].startswith("fcsweep/") else argv[0]
    monkeypatch.setattr(sys, "argv", [path, *argv[1:]])
    monkeypatch.setenv("SECRET_TOKEN", "geheim")
    facts = provenance(config_of(), CPU, None, 0, 1)
    assert facts["command"] == command
    assert "geheim" not in json.dumps(facts)


def test_git_is_asked_once_a_process(tmp_path, monkeypatch):
    calls = []

    def counted(command, **options):
        calls.append(command)
        return subprocess.CompletedProcess(command, 0, b"", b"")

    monkeypatch.setattr(module.subprocess, "run", counted)
    for folder in folders_in(tmp_path, *"abcd"):
        run(config_of(), folder)
    assert 1 <= len(calls) <= 3


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A checkout of some code, all of it committed."""
    for name in ("fcsweep/run.py", "conf/config.yaml", "README.md", "tests/test_run.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x: 1\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(module, "CODE", tmp_path / "fcsweep")
    monkeypatch.setattr(module, "CHECKOUT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "changed, counts",
    [
        ([], False),
        (["my_search/0/result.json", "my_search/0/.hydra/config.yaml", "mine.py"], False),
        (["README.md", "tests/test_run.py"], False),
        (["fcsweep/report.html"], False),
        (["fcsweep/run.py"], True),
        (["fcsweep/own/rule.py"], True),
        (["conf/experiment/mine.yaml"], True),
        (["hydra_plugins/own.py"], True),
        (["pyproject.toml"], True),
    ],
)
def test_only_changed_code_is_uncommitted(checkout, changed, counts):
    for name in changed:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("x: 2\n")
    assert (module._uncommitted_sha256() is not None) == counts


def test_other_code_has_another_sha256(tmp_path, monkeypatch):
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.setattr(module, "CODE", tmp_path)
    hashes = []
    for change in (lambda: None, lambda: (tmp_path / "one.py").write_text("x = 2\n")):
        change()
        module.code_sha256.cache_clear()
        hashes.append(module.code_sha256())
    module.code_sha256.cache_clear()
    assert hashes[0] != hashes[1]


def test_the_end_seals_every_record_of_every_member_of_a_stack(tmp_path):
    folders = folders_in(tmp_path, *"abc")
    (folders[0] / ".hydra").mkdir()
    (folders[0] / ".hydra" / "config.yaml").write_text("seed: 0\n")
    seen = []

    def hook(reports):
        seen.extend("files" in facts_of(folder) for folder in folders)
        return ()

    run_many([config_of(rate) for rate in (0.1, 0.2, 0.3)], folders, hook)
    assert not any(seen)  # what may still change has no sha256 yet
    for place, folder in enumerate(folders):
        facts = facts_of(folder)
        assert (facts["stack_place"], facts["stack_size"]) == (place, 3)
        content = {name: folder / name for name in facts["files"]}
        assert facts["files"] == {
            name: module.sha256(path.read_bytes()).hexdigest() if path.exists() else None
            for name, path in content.items()
        }
        assert result_of(folder)["best_sha256"] == facts["files"]["best.safetensors"]
        said = facts.pop("sha256")
        assert as_json(add_seal(facts)) == (folder / "provenance.json").read_bytes()
        assert said in (folder / "provenance.json").read_text()


@pytest.mark.slow
def test_on_a_gpu_determinism_is_asked_for_before_cuda_starts():
    code = """
import os, torch
from fcsweep.run.stack import deterministic
from fcsweep.run.provenance import _determinism
with deterministic(torch.device("cuda")):
    assert not torch.cuda.is_initialized()
    print(_determinism())
"""
    words = [sys.executable, "-c", code]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "'deterministic_algorithms': True" in told
    assert "'cublas_workspace': ':4096:8'" in told


def test_initial_weights_do_not_depend_on_the_global_generator_or_the_stack():
    from fcsweep.nets import FullyConnectedNet

    torch.manual_seed(1)
    one = FullyConnectedNet([5], input_dim=4, seed=3)
    torch.manual_seed(2)
    stack = FullyConnectedNet([5], input_dim=4, seed=[7, 3], weight_scale=torch.tensor([1.0, 1e-2]))
    assert torch.equal(one.params["W1"], stack.params["W1"][1])
    assert not torch.equal(one.params["W1"], stack.params["W1"][0])


def test_a_source_tree_that_was_never_installed_has_a_version_of_torch(monkeypatch):
    def unknown(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "requires", unknown)
    assert module._versions()["torch"] == version("torch")
