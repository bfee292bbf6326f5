"""Checkpoints: who was killed goes on to the same bits, whatever was being done at that moment."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from support import preloaded
from support.short_runs import assert_same_numbers, config_with, folders_in, result_of

from fcsweep.config import GROUPS
from fcsweep.records.filenames import CHECKPOINTS
from fcsweep.records.formats import HistoryRow, Result
from fcsweep.records.writer import Past
from fcsweep.run import provenance, run, run_many
from fcsweep.run.checkpoint import Checkpoint, find, groups, pack, unpack

OPTIMIZERS = [
    rule(name, learning_rate=3e-2) for name, rule in GROUPS["optimizer"].items() if name != "custom"
]


class Killed(BaseException):
    """Ends a run as SIGKILL does: nothing is written on the way out."""


def killed_after(epoch, pruned=()):
    def hook(reports):
        if reports[0].row.epoch == epoch:
            raise Killed
        return pruned

    return hook


def counting(epochs):
    def hook(reports):
        epochs.append(tuple((report.trial, report.row.epoch) for report in reports))
        return ()

    return hook


def checkpoints_in(folder):
    return sorted(path.name for path in folder.iterdir() if "checkpoint" in path.name)


# --- The file -------------------------------------------------------------------------------------

MADE_WITH = {"torch": "2", "config": {"seed": 0}}


def a_checkpoint(epoch=2, threads=1):
    rows = [HistoryRow(e, 3 * e, 0.1 + 0.2, None, 1 / 3, 0.1) for e in range(1, epoch + 1)]
    tensors = {"params.W1": torch.randn(3, 2), "best.W1": torch.randn(3, 2)}
    losses = [np.array([1, np.nan, 3], np.float32), np.array([0.5], np.float32)]
    past = Past(rows, losses, Result("val_accuracy", value=1 / 3, best_epoch=1))
    return Checkpoint(tensors, past, threads, MADE_WITH)


def test_a_checkpoint_reads_back_exactly():
    written = a_checkpoint()
    back = unpack(pack(written), MADE_WITH)
    assert back.past.rows == written.past.rows and back.past.result == written.past.result
    assert np.array_equal(*(np.concatenate(c.past.losses) for c in (back, written)), equal_nan=True)
    assert back.tensors.keys() == written.tensors.keys()
    assert all(torch.equal(back.tensors[name], p) for name, p in written.tensors.items())
    assert back.at == (2, 6, 1)


def test_every_flipped_byte_is_found():
    content = pack(a_checkpoint())
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1
        with pytest.raises(ValueError, match="truncated|sha256"):
            unpack(bytes(damaged), MADE_WITH)


@pytest.mark.parametrize("size", [0, 7, 8, 100, -1])
def test_what_is_cut_short_is_found(size):
    with pytest.raises(ValueError, match="truncated|sha256"):
        unpack(pack(a_checkpoint())[:size], MADE_WITH)


def test_what_was_made_with_something_else_is_refused():
    with pytest.raises(ValueError, match="made with another torch and another config"):
        unpack(pack(a_checkpoint()), {"torch": "3", "config": {"seed": 1}})


def test_who_goes_on_together():
    one, two, other = a_checkpoint(1), a_checkpoint(2), a_checkpoint(2, threads=2)
    assert groups([[], []]) == [([0, 1], [])]
    assert groups([[two, one], [two]]) == [([0, 1], [two, two])]
    assert groups([[two, one], [one]]) == [([0, 1], [one, one])]
    assert groups([[two, one], []]) == [([0], [two]), ([1], [])]
    assert groups([[two], [one], [two]]) == [([0, 2], [two, two]), ([1], [one])]
    assert groups([[two], [other]]) == [([0], [two]), ([1], [other])]


# --- A run ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.name)
@pytest.mark.parametrize("epoch", [1, 2, 5, 6])
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, optimizer, epoch):
    normalization = "batch" if epoch == 2 else "none"
    config = config_with(dropout=0.2, reg=0.01, normalization=normalization)
    config.optimizer, config.solver.eval_every = replace(optimizer, clip_norm=0.5), 2
    config.solver.schedule, config.solver.warmup, config.solver.patience = "cosine", 1, 3
    whole, killed = folders_in(tmp_path, "whole", "killed")
    run(config, whole)
    with pytest.raises(Killed):
        run(config, killed, killed_after(epoch))
    trained = []
    run(config, killed, counting(trained))
    # The last finished epoch was not saved yet when its hook raised.
    assert [e for ((_, e),) in trained] == list(range(epoch, 7))
    assert_same_numbers(whole, killed)
    assert checkpoints_in(killed) == checkpoints_in(whole) == []


def test_a_run_may_be_killed_again_and_again(tmp_path):
    whole, killed = folders_in(tmp_path, "whole", "killed")
    run(config_with(), whole)
    for epoch in (2, 3, 3, 5):
        with pytest.raises(Killed):
            run(config_with(), killed, killed_after(epoch))
    run(config_with(), killed)
    assert_same_numbers(whole, killed)
    assert result_of(killed)["seconds"] > 0


def test_a_best_epoch_from_before_stays_the_best(tmp_path):
    whole, killed = folders_in(tmp_path, "whole", "killed")
    config = config_with(learning_rate=2.0)  # gets worse and worse
    assert run(config, whole).best_epoch == 1
    with pytest.raises(Killed):
        run(config, killed, killed_after(4))
    run(config, killed)
    assert_same_numbers(whole, killed)


def test_none_is_written_before_its_time_nor_without_being_asked_for(tmp_path):
    seen = []

    def hook(reports):
        seen.extend(checkpoints_in(tmp_path))
        return ()

    run(config_with(seconds=1000), tmp_path, hook)
    run(config_with(seconds=None), tmp_path, hook)
    assert seen == []
    run(config_with(), tmp_path, hook)
    assert set(seen) == set(CHECKPOINTS)


@pytest.mark.parametrize("rate, status", [(1e30, "diverged"), (0.1, "pruned")])
def test_who_ends_early_leaves_no_checkpoint(tmp_path, rate, status):
    result = run(config_with(learning_rate=rate), tmp_path, lambda rs: [0] * (rs[0].row.epoch == 3))
    assert (result.status, checkpoints_in(tmp_path)) == (status, [])


def spoil(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def newest(folder):
    return max((folder / name for name in CHECKPOINTS), key=lambda path: path.stat().st_mtime_ns)


@pytest.mark.parametrize("how", [spoil, lambda path: path.write_bytes(b""), Path.unlink])
def test_of_a_damaged_generation_the_older_one_is_used(tmp_path, how, capfd, caplog):
    whole, killed = folders_in(tmp_path, "whole", "killed")
    run(config_with(), whole)
    with pytest.raises(Killed):
        run(config_with(), killed, killed_after(5))
    path = newest(killed)
    how(path)
    trained = []
    run(config_with(), killed, counting(trained))
    assert trained[0] == ((0, 4),)
    assert_same_numbers(whole, killed)
    if how is not Path.unlink:
        said = capfd.readouterr().err
        assert said.startswith(f"warning: ignoring checkpoint {path}: ") and said.count("\n") == 1
        assert "ignoring checkpoint" in caplog.text


def test_with_both_damaged_the_run_starts_anew(tmp_path, capfd):
    whole, killed = folders_in(tmp_path, "whole", "killed")
    run(config_with(), whole)
    with pytest.raises(Killed):
        run(config_with(), killed, killed_after(5))
    for name in CHECKPOINTS:
        spoil(killed / name)
    trained = []
    run(config_with(), killed, counting(trained))
    assert trained[0] == ((0, 1),)
    assert capfd.readouterr().err.splitlines()[-1] == (
        f"warning: no usable checkpoint in {killed}; starting from the first epoch"
    )
    assert_same_numbers(whole, killed)


def test_with_other_code_the_run_starts_anew(tmp_path, capfd, monkeypatch):
    with pytest.raises(Killed):
        run(config_with(), tmp_path, killed_after(3))
    provenance.this_process.cache_clear()
    monkeypatch.setattr(provenance, "code_sha256", lambda: "other")
    trained = []
    run(config_with(), tmp_path, counting(trained))
    provenance.this_process.cache_clear()
    assert trained[0] == ((0, 1),)
    assert "it was made with another code_sha256\n" in capfd.readouterr().err


def test_a_run_goes_on_with_the_threads_it_had(tmp_path):
    torch.set_num_threads(2)
    with pytest.raises(Killed):
        run(config_with(), tmp_path, killed_after(3))
    torch.set_num_threads(1)
    threads = []
    run(config_with(), tmp_path, lambda _: threads.append(torch.get_num_threads()) or ())
    assert set(threads) == {2} and torch.get_num_threads() == 1
    assert '"threads": 2,' in (tmp_path / "provenance.json").read_text()


# --- A stack --------------------------------------------------------------------------------------

STACK = [(0.1, 0), (0.2, 1), (0.3, 0), (1e30, 2)]


@pytest.fixture
def stack(tmp_path):
    """Configs, folders of each alone and undisturbed, and folders of a stack that was killed."""
    options = {"dropout": 0.1, "normalization": "batch"}
    configs = [config_with(learning_rate=rate, seed=seed, **options) for rate, seed in STACK]
    alone = folders_in(tmp_path, *(f"alone{k}" for k in range(4)))
    for config, folder in zip(configs, alone, strict=True):
        run(config, folder)
    killed = folders_in(tmp_path, *(f"killed{k}" for k in range(4)))
    with pytest.raises(Killed):
        run_many(configs, killed, killed_after(5))
    assert [len(checkpoints_in(folder)) for folder in killed] == [2, 2, 2, 0]
    assert result_of(killed[3])["status"] == "diverged"
    return configs[:3], alone[:3], killed[:3]


def assert_all_the_same(alone, others):
    for one, other in zip(alone, others, strict=True):
        assert_same_numbers(one, other)
        assert checkpoints_in(other) == []


@pytest.mark.parametrize("regrouped", [[[0, 1, 2]], [[2, 0], [1]], [[0], [1], [2]]], ids=str)
def test_a_killed_stack_goes_on_in_any_other(stack, regrouped):
    configs, alone, killed = stack
    for members in regrouped:
        trained = []
        group = [configs[k] for k in members], [killed[k] for k in members]
        run_many(*group, counting(trained))
        assert [len(epoch) for epoch in trained] == [len(members)] * 2
    assert_all_the_same(alone, killed)


def test_a_stack_goes_on_from_the_newest_epoch_that_its_members_share(stack):
    configs, alone, killed = stack
    newest(killed[1]).unlink()
    trained = []
    run_many(configs, killed, counting(trained))
    assert trained[0] == ((0, 4), (1, 4), (2, 4))
    assert_all_the_same(alone, killed)


def test_a_member_without_checkpoints_starts_anew_and_the_others_go_on(stack):
    configs, alone, killed = stack
    for name in CHECKPOINTS:
        (killed[1] / name).unlink()
    trained = []
    run_many(configs, killed, counting(trained))
    assert trained[:2] == [((0, 5), (2, 5)), ((0, 6), (2, 6))]
    assert trained[2:] == [((1, epoch),) for epoch in range(1, 7)]
    assert_all_the_same(alone, killed)


# --- Signals --------------------------------------------------------------------------------------

PROCESS = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from fcsweep import records
from fcsweep.run import run_many
from support.short_runs import config_with

folders = [Path(name) for name in sys.argv[4:]]
strike = iter(range(int(sys.argv[3]), -1, -1))
theirs = Path.write_bytes, Path.replace

def at_a_write(call, path, *given):
    if "checkpoint" in path.name and next(strike, None) == 0:
        if call == 0:
            theirs[0](path, given[0][: len(given[0]) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return theirs[call](path, *given)

Path.write_bytes = lambda path, content: at_a_write(0, path, content)
Path.replace = lambda path, target: at_a_write(1, path, target)
rates = [(0.1, 0.2, 0.3)[int(folder.name[-1])] for folder in folders]
configs = [config_with(learning_rate=r, epochs=int(sys.argv[2]), dropout=0.1) for r in rates]
def hook(reports):
    print(reports[0].row.epoch, flush=True)
    return ()
run_many(configs, folders, hook)
"""


def command(epochs, strike, folders):
    tests = str(Path(__file__).parents[1])
    return [sys.executable, "-c", PROCESS, tests, str(epochs), str(strike), *map(str, folders)]


def finish(epochs, folders):
    preloaded.run(command(epochs, -1, folders), check=True, capture_output=True)


# With three trials six writes and renames save an epoch.
@pytest.mark.parametrize(
    "strike",
    [
        pytest.param(0, marks=pytest.mark.slow),
        pytest.param(1, marks=pytest.mark.slow),
        pytest.param(9, id="in the middle of a stack's second"),
    ],
)
def test_a_process_that_is_killed_while_it_writes_a_checkpoint(tmp_path, strike):
    whole, killed = (folders_in(tmp_path, *(f"{name}{k}" for k in range(3))) for name in "wk")
    done = preloaded.run(command(6, strike, killed), capture_output=True)
    assert done.returncode == -signal.SIGKILL
    finish(6, killed)
    run_many([config_with(None, learning_rate=r, dropout=0.1) for r in (0.1, 0.2, 0.3)], whole)
    assert_all_the_same(whole, killed)
    assert not [path for folder in killed for path in folder.glob(".*")]


@pytest.mark.slow
@pytest.mark.parametrize("trials", [1, 3])
@pytest.mark.parametrize("seed", range(2))
def test_a_process_that_is_killed_at_any_moment(tmp_path, trials, seed):
    whole, killed = (folders_in(tmp_path, *(f"{name}{k}" for k in range(trials))) for name in "wk")
    epochs, random = 80, np.random.default_rng(seed)
    finish(epochs, whole)
    left, kills = killed, 0
    while left:
        with preloaded.Popen(command(epochs, -1, left), stdout=subprocess.PIPE) as process:
            for _ in range(random.integers(5, 40)):
                process.stdout.readline()
            time.sleep(random.uniform(0, 0.01))
            process.kill()
        kills += 1
        left = [folder for folder in left if result_of(folder)["status"] == "running"]
    assert kills >= 3
    assert_all_the_same(whole, killed)


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_who_is_stopped_politely_loses_no_epoch(tmp_path):
    whole, stopped = folders_in(tmp_path, "whole0", "stopped0")
    code = PROCESS.replace("config_with(", "config_with(1000, ").replace(
        "(reports):", "(reports):\n    time.sleep(0.05)"
    )
    words = [sys.executable, "-c", f"import time\n{code}", *command(40, -1, [stopped])[3:]]
    with preloaded.Popen(words, stdout=subprocess.PIPE) as process:
        while process.stdout.readline() != b"3\n":
            pass
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read().split()
    assert process.returncode == 143
    result = result_of(stopped)
    assert result["status"] == "interrupted" and len(checkpoints_in(stopped)) == 1
    assert result["epochs"] == 3 + len(rest)
    trained = []
    config = config_with(1000, 40, dropout=0.1)
    run(config, stopped, counting(trained))
    assert trained[0] == ((0, result["epochs"] + 1),)
    run(config, whole)
    assert_same_numbers(whole, stopped)


def test_the_best_parameters_are_those_of_the_checkpoint(tmp_path):
    config = config_with()
    with pytest.raises(Killed):
        run(config, tmp_path, killed_after(4))
    for found in find(tmp_path, config, unpacked_made_with(tmp_path)):
        best = {name[5:]: p for name, p in found.tensors.items() if name.startswith("best.")}
        assert sha256(save(best)).hexdigest() == found.past.result.best_sha256


def unpacked_made_with(folder):
    content = newest(folder).read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return json.loads(header["__metadata__"]["about"])["made_with"]
