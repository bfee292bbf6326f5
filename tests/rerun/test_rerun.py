"""``fcsweep.rerun`` from outside: what is repeated, what has changed, what is refused."""

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from support import preloaded
from support.short_runs import (
    assert_same_numbers,
    config_of,
    folders_in,
    prepared,
    reseal,
    result_of,
)

from fcsweep.messages.errors import FolderError
from fcsweep.rerun.__main__ import main
from fcsweep.rerun.repeat import rerun
from fcsweep.run import run, run_many

RECORDS = ("history.csv", "losses.npy", "result.json", "best.safetensors", "provenance.json")
CONFIG = ".hydra/config.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = prepared(tmp_path_factory.mktemp("finished") / "run", config_of())
    run(config_of(), folder)
    torch.set_num_threads(before)
    return folder


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    """A finished run that may be spoilt."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def said(monkeypatch, capfd):
    """Calls the command; returns its exit code, and what it printed to each stream."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["rerun", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        code = stop.value.code
        out, err = capfd.readouterr()
        return (1, out, f"{code}\n") if isinstance(code, str) else (code, out, err)

    return call


def replaced(folder, name, old, new):
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))


def appended(folder, name, text):
    (folder / name).write_text((folder / name).read_text() + text)


# --- The same -------------------------------------------------------------------------------------


def test_a_run_is_repeated(finished, said):
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    code, out, err = said(finished)
    same, longer = out.splitlines()
    assert (code, same, err) == (0, f"identical: {finished} (3 epochs)", "")
    assert longer == (
        f"to train it longer: python -m fcsweep --config-path {finished}/.hydra "
        f"--config-name config solver.num_epochs=6 hydra.run.dir={finished}_longer"
    )
    after = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    assert before == after


def test_a_run_that_was_recorded_without_a_validation_loss_is_repeated(copy, said):
    lines = (copy / "history.csv").read_text().splitlines()
    assert lines[0].endswith(",val_loss") and 0 < float(lines[1].rpartition(",")[2]) < 5
    kept = "".join(f"{line.rpartition(',')[0]}\n" for line in lines)
    (copy / "history.csv").write_text(kept)
    reseal(copy)
    assert said(copy)[1].startswith(f"identical: {copy} (3 epochs)\n")
    (copy / "history.csv").write_text(kept.replace(",0.1\n", ",0.2\n", 1))
    reseal(copy)
    code, out, _ = said(copy)
    assert code == 1 and "history.csv, epoch 1, learning_rate: recorded 0.2, now 0.1" in out


def test_members_of_a_stack_are_repeated_each_alone(tmp_path, said):
    rates = (0.1, 1e30, 0.2, 0.3)
    folders = [prepared(tmp_path / str(k), config_of(rate)) for k, rate in enumerate(rates)]
    prune = lambda reports: [r.trial for r in reports if r.trial == 2 and r.row.epoch == 2]  # noqa: E731
    run_many([config_of(rate) for rate in rates], folders, prune)
    assert [result_of(f)["status"] for f in folders] == [
        "completed",
        "diverged",
        "pruned",
        "completed",
    ]
    code, out, err = said(tmp_path, "--out", tmp_path / "again")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        *(f"identical: {tmp_path / str(k)} ({e} epochs)" for k, e in enumerate((3, 1, 2, 3))),
        "4 of 4 runs repeated bit for bit",
    ]
    for folder in folders:
        again = tmp_path / "again" / folder.name
        names = ["history.csv", "losses.npy", CONFIG]
        assert all((folder / n).read_bytes() == (again / n).read_bytes() for n in names)
        assert result_of(folder) | {"seconds": 0} == result_of(again) | {"seconds": 0}
    assert said(tmp_path / "again")[0] == 0  # what was kept is a sweep that can be repeated, too


def test_an_interrupted_and_a_failed_run_are_repeated_as_far_as_they_came(tmp_path, said):
    folders = [prepared(tmp_path / name, config_of()) for name in ("i", "f")]
    for folder, error in zip(folders, (KeyboardInterrupt, RuntimeError), strict=True):

        def ends(reports, error=error):
            if reports[0].row.epoch == 2:
                raise error("enough")
            return ()

        with pytest.raises(error):
            run(config_of(), folder, ends)
    assert [result_of(folder)["status"] for folder in folders] == ["interrupted", "failed"]
    assert said(*folders)[:2] == (
        0,
        f"identical: {folders[0]} (2 epochs)\nidentical: {folders[1]} (2 epochs)\n"
        "2 of 2 runs repeated bit for bit\n",
    )


def test_who_runs_out_of_patience_is_completed_and_repeated(tmp_path, said):
    configs = [config_of(0.3), config_of(0.3), config_of(0.1)]
    for config, patience in zip(configs, (1, None, 3), strict=True):
        config.solver.num_epochs, config.solver.patience = 12, patience
        config.solver.schedule = "cosine" if patience else "step"
    folders = [prepared(tmp_path / str(n), config) for n, config in enumerate(configs)]
    early, whole, other = run_many(configs, folders)
    assert [one.status for one in (early, whole, other)] == ["completed"] * 3
    assert early.best_epoch is not None and early.epochs == early.best_epoch + 1 < 12
    assert (whole.epochs, whole.reason) == (12, None)
    assert early.reason == (
        f"stopped after epoch {early.epochs}: no better val_accuracy in 1 evaluations"
    )
    (alone,) = folders_in(tmp_path, "alone")
    run(configs[0], alone)
    assert_same_numbers(alone, folders[0])
    assert rerun(folders)


def test_it_trains_with_the_recorded_threads(tmp_path, said):
    configs = [config_of(seed=seed) for seed in (0, 1)]
    folders = [prepared(tmp_path / "s" / str(k), config) for k, config in enumerate(configs)]
    for threads, config, folder in zip((2, 1), configs, folders, strict=True):
        torch.set_num_threads(threads)
        run(config, folder)
    assert said(tmp_path / "s", "--out", tmp_path / "again")[0] == 0
    facts = [json.loads((tmp_path / f"again/{k}/provenance.json").read_text()) for k in (0, 1)]
    assert [fact["threads"] for fact in facts] == [2, 1]


def test_the_new_run_is_kept_on_request(finished, tmp_path, said):
    out = tmp_path / "there" / "again"
    assert said(finished, "--out", out)[0] == 0
    assert_same_numbers(finished, out)
    assert said(finished, "--out", out) == (
        1,
        "",
        f"error: --out: {out} exists already; name a new or an empty folder\n",
    )
    (tmp_path / "empty").mkdir()
    assert said(finished, "--out", tmp_path / "empty")[0] == 0
    assert_same_numbers(finished, tmp_path / "empty")


# --- Changed --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*RECORDS, CONFIG])
@pytest.mark.parametrize("place", [4, 0.3, 0.6, 0.95, -2])
def test_a_changed_byte_is_found_and_named(copy, said, name, place):
    content = bytearray((copy / name).read_bytes())
    content[int(place * len(content)) if isinstance(place, float) else place] ^= 1
    (copy / name).write_bytes(content)
    code, out, err = said(copy)
    assert code == 1
    assert (out + err).count("\n") == 1
    assert name in out + err
    assert "identical" not in out


def first_loss(folder):
    return (folder / "history.csv").read_text().splitlines()[1].split(",")[2]


def with_other_losses(folder):
    losses = np.load(folder / "losses.npy")
    losses[20] = np.nextafter(losses[20], np.float32(9))
    np.save(folder / "losses.npy", losses)


CHANGES = {
    "a loss": (
        lambda d: replaced(d, "history.csv", first_loss(d), "2.5"),
        "history.csv, epoch 1, loss: recorded 2.5, now 2.",
    ),
    "an accuracy": (
        lambda d: replaced(d, "history.csv", "\n1,14,", "\n1,15,"),
        "history.csv, epoch 1, step: recorded 15, now 14",
    ),
    "a line more": (
        lambda d: appended(d, "history.csv", "4,56,1,1,1,1\n"),
        "history.csv, epoch 4: recorded a row, now no such row",
    ),
    "a cell more": (
        lambda d: replaced(d, "history.csv", "\n2,", ",\n2,"),
        "history.csv, epoch 1, one more column: recorded nothing, now nothing",
    ),
    "a line's end": (
        lambda d: replaced(d, "history.csv", "\n", "\r\n"),
        "history.csv, line 1, though the values are the same: recorded ",
    ),
    "the last bit of a step": (with_other_losses, "losses.npy, epoch 2, step 21, loss: recorded "),
    "a number": (
        lambda d: replaced(d, "result.json", '"best_epoch": 3', '"best_epoch": 2'),
        "result.json, best_epoch: recorded 2, now 3",
    ),
    "an integer as a float": (
        lambda d: replaced(d, "result.json", '"best_epoch": 3', '"best_epoch": 3.0'),
        "result.json, best_epoch: recorded 3.0, now 3",
    ),
    "a time": (
        lambda d: replaced(d, "result.json", '"seconds": ', '"seconds": 1'),
        "result.json, sha256 (its numbers are right): recorded ",
    ),
    "a status": (
        lambda d: replaced(d, "result.json", "completed", "pruned"),
        "result.json, sha256 (its numbers are right): recorded ",
    ),
    "a value without meaning": (
        lambda d: replaced(d, CONFIG, "checkpoint_seconds: null", "checkpoint_seconds: 9999"),
        f"{CONFIG}, sha256: recorded ",
    ),
    "no best parameters": (
        lambda d: (d / "best.safetensors").unlink(),
        "best.safetensors, sha256: recorded ",
    ),
}


@pytest.mark.parametrize(("change", "words"), CHANGES.values(), ids=CHANGES)
def test_the_first_difference(copy, said, change, words):
    change(copy)
    code, out, err = said(copy)
    assert (code, err, out.count("\n")) == (1, "", 1)
    assert out.startswith(f"different: {copy}: {words}")
    assert "changed after the run had ended" in out


def test_a_forger_who_gives_the_files_new_hashes_is_found_by_training(copy, said):
    replaced(copy, "history.csv", first_loss(copy), "2.5")
    reseal(copy)
    assert ", epoch 1, loss: recorded 2.5, now 2." in said(copy)[1]


CAUSES = {
    "torch": ({"versions": {"torch": "2.9.0"}}, "torch (2.9.0, now 2."),
    "another package": ({"versions": {"rich": "1"}}, "rich (1, now "),
    "data": ({"data_sha256": "ab" * 32}, "the data (abababababab, now "),
    "device": ({"cpu_capability": "NEON"}, "the instructions of the CPU (NEON, now "),
    "code": ({"code_sha256": None}, "the code of fcsweep (null, now "),
    "nothing": ({}, "none that the two provenance records show"),
    "the worker": ({"host": "b", "process": 1, "started": ""}, "none that the two provenance"),
}


@pytest.mark.parametrize(("facts", "words"), CAUSES.values(), ids=CAUSES)
def test_the_likely_cause(copy, said, facts, words):
    known = json.loads((copy / "provenance.json").read_text())
    facts = {k: known[k] | fact if isinstance(fact, dict) else fact for k, fact in facts.items()}
    with_other_losses(copy)
    reseal(copy, **facts)
    code, out, _ = said(copy)
    cause = out.partition("likely cause: ")[2]
    assert code == 1 and words in cause
    assert "; " not in cause  # only what differs


# --- On another processor -------------------------------------------------------------------------

OTHER = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "OMP_NUM_THREADS": "1"}
"""Environment in which torch computes as on an older processor."""
TRAIN = """
import sys
from pathlib import Path
from fcsweep.config import read, typed
from fcsweep.run import run
folder = Path(sys.argv[1])
run(typed(read(folder / ".hydra" / "config.yaml")), folder)
"""


@pytest.fixture(scope="module")
def elsewhere(finished, tmp_path_factory) -> Path:
    """The same run, trained as on an older processor."""
    folder = prepared(tmp_path_factory.mktemp("elsewhere") / "run", config_of())
    command = [sys.executable, "-c", TRAIN, str(folder)]
    subprocess.run(command, env=os.environ | OTHER, check=True, capture_output=True)
    return folder


@pytest.fixture
def moved(elsewhere, tmp_path) -> Path:
    return Path(shutil.copytree(elsewhere, tmp_path / "moved"))


@pytest.mark.slow
def test_on_another_processor_the_last_bits_may_differ(finished, moved, said):
    assert (finished / "losses.npy").read_bytes() != (moved / "losses.npy").read_bytes()
    code, out, err = said(moved)
    assert (code, err) == (1, "")  # 0 is for equal bits
    told = rf"same to 1e-6 on another processor: {moved} \(3 epochs\): largest difference "
    told += r"\d\.\de-\d\d in \S+; likely cause: the instructions of the CPU \(DEFAULT, now \w+\)"
    assert re.fullmatch(told, out.strip())


def test_the_same_last_bits_on_the_same_processor_are_a_difference(finished, moved, said):
    here = json.loads((finished / "provenance.json").read_text())
    reseal(moved, cpu_capability=here["cpu_capability"])
    assert said(moved)[1].startswith(f"different: {moved}: history.csv, epoch ")


BEYOND = {
    "a loss": lambda d: replaced(d, "history.csv", first_loss(d), str(float(first_loss(d)) + 1e-5)),
    "a step": lambda d: replaced(d, "history.csv", "\n1,14,", "\n1,15,"),
    "a row": lambda d: appended(d, "history.csv", "4,56,1,1,1,1\n"),
    "not finite": lambda d: replaced(d, "history.csv", first_loss(d), "inf"),
    "a word": lambda d: replaced(d, "history.csv", first_loss(d), "x"),
    "an epoch": lambda d: replaced(d, "result.json", '"best_epoch": 3', '"best_epoch": 2'),
    "the parameters": lambda d: other_parameters(d),
    "no parameters": lambda d: (d / "best.safetensors").write_bytes(b"none"),
}


def other_parameters(folder):
    params = load_file(folder / "best.safetensors")
    params["b3"][0] += 1e-4
    save_file(params, folder / "best.safetensors")


@pytest.mark.parametrize("change", BEYOND.values(), ids=BEYOND)
def test_more_than_the_last_bits_is_a_difference_on_any_processor(moved, said, change):
    change(moved)
    reseal(moved)
    code, out, _ = said(moved)
    assert code == 1 and out.startswith(f"different: {moved}: ")
    assert "the instructions of the CPU" in out


# --- Refused --------------------------------------------------------------------------------------


class Planted:
    def __reduce__(self):
        return Path.touch, (Path("executed"),)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


def linked(folder, name):
    outside = folder.parent / f"outside-{folder.name}"
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)


def grown(folder, name):
    os.truncate(folder / name, 10**12)


def result_with(folder, **numbers):
    (folder / "result.json").write_text(json.dumps(result_of(folder) | numbers))


def provenance_with(folder, **facts):
    known = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps(known | facts))


REFUSED = {
    "pickle as losses": (
        lambda d: (d / "losses.npy").write_bytes(pickle.dumps(Planted())),
        "losses.npy cannot be read: it is not an array of numbers",
    ),
    "pickle in losses": (
        lambda d: np.save(d / "losses.npy", np.array([Planted()], object), allow_pickle=True),
        "losses.npy cannot be read: it is not an array of numbers",
    ),
    "pickle as parameters": (
        lambda d: (d / "best.safetensors").write_bytes(pickle.dumps(Planted())),
        "best.safetensors, sha256: recorded ",
    ),
    "pickle as config": (
        lambda d: (d / CONFIG).write_bytes(pickle.dumps(Planted())),
        f"{CONFIG} cannot be read: ",
    ),
    "target": (
        lambda d: replaced(d, CONFIG, "model:", "model:\n  _target_: os.system"),
        f"{CONFIG}: unknown key model._target_ (given 'os.system')",
    ),
    "target on top": (
        lambda d: appended(d, CONFIG, "_target_: os.system\n"),
        "unknown key _target_",
    ),
    "tag": (
        lambda d: replaced(d, CONFIG, "seed: 0", "seed: !!python/object/apply:os.getpid []"),
        f"{CONFIG} cannot be read: ",
    ),
    "interpolation": (
        lambda d: replaced(d, CONFIG, "seed: 0", "seed: ${oc.env:HOME}"),
        "seed is '${oc.env:HOME}'; expected a whole number",
    ),
    "alias bomb": (lambda d: (d / CONFIG).write_text(BOMB), "uses a YAML alias"),
    "brackets": (lambda d: (d / CONFIG).write_text("[" * 5000), "deeper than 20 levels"),
    "JSON brackets": (
        lambda d: (d / "provenance.json").write_text("[" * 5000),
        "provenance.json cannot be read: ",
    ),
    "link to a file": (lambda d: linked(d, "history.csv"), "history.csv is a link"),
    "link to parameters": (lambda d: linked(d, "best.safetensors"), "best.safetensors is a link"),
    "link to a folder": (lambda d: linked(d, ".hydra"), ".hydra is a link"),
    "a folder": (
        lambda d: [(d / "losses.npy").unlink(), (d / "losses.npy").mkdir()],
        "losses.npy is not what a run leaves there",
    ),
    "a pipe": (
        lambda d: [(d / "history.csv").unlink(), os.mkfifo(d / "history.csv")],
        "history.csv is not what a run leaves there",
    ),
    **{
        f"large {name}": (lambda d, name=name: grown(d, name), f"{name} ")
        for name in (*RECORDS, CONFIG)
    },
    "no history": (lambda d: (d / "history.csv").unlink(), "holds no run: there is no "),
    "no config": (lambda d: (d / CONFIG).unlink(), "holds no run: there is no "),
    "nothing": (shutil.rmtree, "holds no run: there is no such folder"),
    "empty losses": (lambda d: (d / "losses.npy").write_bytes(b""), "losses.npy cannot be read: "),
    "a square of losses": (
        lambda d: np.save(d / "losses.npy", np.ones((2, 2))),
        "losses.npy cannot be read: it does not hold one number a step",
    ),
    "running": (lambda d: result_with(d, status="running"), "is running, or was killed"),
    "failed at once": (
        lambda d: result_with(d, status="failed", epochs=0, reason="no\nluck"),
        "has no finished epoch to compare (failed: no luck)",
    ),
    "too many epochs": (lambda d: result_with(d, epochs=10**9), "expected 1 to 3"),
    "epochs as text": (lambda d: result_with(d, epochs="3"), "result.json has epochs '3'"),
    "epochs as true": (lambda d: result_with(d, epochs=True), "result.json has epochs True"),
    "threads": (lambda d: provenance_with(d, threads=10**9), "provenance.json has threads 10000"),
    "device": (lambda d: provenance_with(d, device="x" * 999), "provenance.json has device 'xxx"),
    "never sealed": (
        lambda d: provenance_with(d, files=None),
        "provenance.json has no sha256 of the files that the run left",
    ),
}

IN_A_PROCESS = """
import sys, time
began = time.process_time()
sys.argv[0] = "rerun"
from fcsweep.rerun.__main__ import main
try:
    main()
except SystemExit as stop:
    code = stop.code
print(code, time.process_time() - began, "torch" in sys.modules)
"""


def test_what_is_refused_before_anything_is_done(finished, tmp_path):
    folders = {}
    for place, (name, (spoil, _)) in enumerate(REFUSED.items()):
        folders[name] = Path(shutil.copytree(finished, tmp_path / f"{place}-{name}"))
        spoil(folders[name])
    command = [sys.executable, "-W", "error", "-c", IN_A_PROCESS, *map(str, folders.values())]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    *out, last = done.stdout.splitlines()
    lines = {str(folder): [] for folder in folders.values()}
    for line in [*done.stderr.splitlines(), *out[:-1]]:
        lines[next(folder for folder in lines if f" {folder}" in line)].append(line)
    for name, (_, words) in REFUSED.items():
        (line,) = lines[str(folders[name])]
        assert words in line, name
        assert line.startswith(("error: ", "different: "))
    code, seconds, torch_is_imported = last.split()
    assert (code, torch_is_imported) == ("1", "False")
    assert float(seconds) < 2  # of CPU, for all of them together
    assert out[-1] == f"0 of {len(REFUSED)} runs repeated bit for bit"
    assert not (tmp_path / "executed").exists()


def test_a_link_in_a_sweep_is_refused(finished, tmp_path, said):
    shutil.copytree(finished, tmp_path / "s" / "0")
    (tmp_path / "s" / "1").symlink_to(finished)
    code, out, err = said(tmp_path / "s")
    assert code == 1 and "identical" in out.splitlines()[0]
    assert err == f"error: {tmp_path / 's' / '1'} is a link; name the folder that it leads to\n"
    assert out.endswith("1 of 2 runs repeated bit for bit\n")


@pytest.mark.slow
def test_the_end_of_a_rerun_that_nobody_reads_is_one_line(finished):
    read, write = os.pipe()
    os.close(read)
    command = sys.executable, "-m", "fcsweep.rerun", str(finished)
    with os.fdopen(write) as nobody:
        done = preloaded.run(command, stdout=nobody, stderr=subprocess.PIPE, timeout=120)
    assert (done.returncode, done.stderr) == (1, b"standard output was closed\n")


def test_what_cannot_be_trained_here_is_one_line(copy, said, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    replaced(copy, CONFIG, "device: auto", "device: cuda")
    provenance_with(copy, device="cuda")
    reseal(copy)
    code, out, err = said(copy)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {copy} cannot be repeated: device is 'cuda', but torch")
    assert err.count("\n") == 1


def test_from_python_an_error_is_raised(finished, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="exists already"):
        rerun([finished], tmp_path / "file")


# --- As commands ----------------------------------------------------------------------------------


def python(*words, cwd, **environment):
    command = [sys.executable, "-W", "error", "-m", *map(str, words)]
    options = {"capture_output": True, "text": True, "timeout": 300}
    variables = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    done = preloaded.run(command, cwd=cwd, env=variables, **options)
    assert done.stderr == ""
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
def test_the_two_ways_to_repeat_a_run(tmp_path):
    here, elsewhere = folders_in(tmp_path, "here", "elsewhere")
    python("fcsweep", "hydra.run.dir=r", "solver.num_epochs=2", "optimizer=adam", cwd=here)
    told = python("fcsweep.rerun", here / "r", cwd=elsewhere)
    assert told.splitlines()[0] == f"identical: {here / 'r'} (2 epochs)"
    assert list(elsewhere.iterdir()) == []
    words = "fcsweep", "--config-path", here / "r" / ".hydra", "--config-name", "config"
    python(*words, "hydra.run.dir=again", cwd=elsewhere)
    assert_same_numbers(here / "r", elsewhere / "again")
    saved = [folder / CONFIG for folder in (here / "r", elsewhere / "again")]
    assert saved[0].read_bytes() == saved[1].read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["fcsweep"],
        ["fcsweep", "-m", "optimizer=sgd,momentum"],
        ["fcsweep", "-m", "experiment=sgd_vs_momentum"],
        ["fcsweep", "-m", "experiment=overfit_three_layer"],
        ["fcsweep", "-m", "experiment=overfit_five_layer"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_shipped_experiments_are_repeated(tmp_path, words, threads):
    where = "hydra.sweep.dir=x" if "-m" in words else "hydra.run.dir=x"
    python(*words, where, cwd=tmp_path, OMP_NUM_THREADS=threads)
    assert "different" not in python("fcsweep.rerun", "x", cwd=tmp_path, OMP_NUM_THREADS="1")


@pytest.mark.slow
@pytest.mark.cifar10
@pytest.mark.skipif("FCSWEEP_CIFAR10" not in os.environ, reason="FCSWEEP_CIFAR10 is not set")
def test_the_preset_for_cifar10_is_repeated(tmp_path):
    root = f"data.root={os.environ['FCSWEEP_CIFAR10']}"
    words = "experiment=cifar10", root, "solver.num_epochs=2", "hydra.run.dir=x"
    python("fcsweep", *words, cwd=tmp_path)
    assert python("fcsweep.rerun", "x", cwd=tmp_path).startswith("identical: x")


@pytest.mark.slow
def test_a_run_that_was_killed_and_went_on_is_repeated(tmp_path):
    words = "fcsweep", "solver.num_epochs=400", "solver.checkpoint_seconds=0.05", "hydra.run.dir=x"
    command = [sys.executable, "-m", *words]
    variables = os.environ | {"OMP_NUM_THREADS": "1"}
    with preloaded.Popen(command, cwd=tmp_path, env=variables, stdout=subprocess.PIPE) as process:
        for _ in range(150):
            process.stdout.readline()
        process.kill()
    assert list((tmp_path / "x").glob("checkpoint-*"))
    assert "epoch   1/" not in python(*words, cwd=tmp_path)
    told = python("fcsweep.rerun", "x", cwd=tmp_path).splitlines()
    assert told[0] == "identical: x (400 epochs)"


@pytest.fixture(scope="module")
def long(tmp_path_factory) -> Path:
    """A run of a second or more."""
    config = config_of()
    config.solver.num_epochs = 200
    folder = prepared(tmp_path_factory.mktemp("long") / "run", config)
    run(config, folder)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_rerun_that_is_stopped_leaves_nothing(long, tmp_path, name, code):
    (scratch,) = folders_in(tmp_path, "scratch")
    command = [sys.executable, "-m", "fcsweep.rerun", str(long), "--out", str(tmp_path / "out")]
    environment = os.environ | {"TMPDIR": str(scratch), "OMP_NUM_THREADS": "1"}
    with preloaded.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while not list(scratch.rglob("best.safetensors")):
            time.sleep(0.01)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in err
    assert list(scratch.iterdir()) == [] and not (tmp_path / "out").exists()


def commands_of(page, section):
    text = (Path(__file__).parents[2] / "docs" / page).read_text()
    section = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [part.partition("\n```")[0] for part in section.split("```bash\n")[1:]]


@pytest.mark.slow
def test_the_commands_of_the_guide(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "search.md").read_text()
    search = text.partition("```bash\n")[2].partition("\n```")[0]
    (first, repeated, longer) = commands_of("guide.md", "Repeat and prove")
    (resumed,) = commands_of("guide.md", "Resume")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def run(block):
        command = ["bash", "-e", "-c", block]
        options = {"capture_output": True, "text": True, "cwd": tmp_path}
        variables = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=variables, **options, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    told = [run(block) for block in (first, repeated, resumed, search, longer)]
    same, command = told[0].splitlines()[-2:]
    assert same == "identical: outputs/first (20 epochs)"
    command = command.removeprefix("to train it longer: ")
    assert command.startswith('python -m fcsweep --config-path "$PWD"/outputs/first/.hydra ')
    run(command)
    assert len((tmp_path / "outputs/first_longer/history.csv").read_text().splitlines()) == 41
    (again,) = set((tmp_path / "outputs").glob("*/*/history.csv"))
    assert_same_numbers(tmp_path / "outputs" / "first", again.parent)
    assert told[2].splitlines()[-2] == "identical: outputs/long (500 epochs)"
    assert re.search(r"^best: multirun/my_search/\d+ ", told[3], re.MULTILINE)
    assert re.fullmatch(r"test +0\.\d+ .*", told[4].splitlines()[-1])
