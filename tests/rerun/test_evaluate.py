"""``fcsweep.evaluate``: right figures from the best parameters, and one line for what is wrong."""

import contextlib
import sys

import pytest
import torch
import yaml
from safetensors.torch import load_file
from support import preloaded
from support.short_runs import config_of, prepared, result_of
from torch.nn import functional

from fcsweep import data
from fcsweep.evaluate import evaluate, main
from fcsweep.run import run


@pytest.fixture
def run_dir(tmp_path):
    folder = tmp_path / "a run"
    (folder / ".hydra").mkdir(parents=True)
    config = config_of()
    saved = {
        "model": vars(config.model),
        "optimizer": vars(config.optimizer),
        "data": vars(config.data),
        "solver": vars(config.solver),
        "seed": config.seed,
    }
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(saved))
    run(config, folder)
    return folder


def test_figures_are_those_of_the_best_parameters(run_dir):
    splits = evaluate(run_dir)
    correct, rows = splits["validation"]
    assert rows == 200 and correct / rows == result_of(run_dir)["best_val_accuracy"]
    params = load_file(run_dir / "best.safetensors")
    X, y = data.load_test("digits")
    hidden = X
    for layer in (1, 2, 3):
        hidden = hidden @ params[f"W{layer}"] + params[f"b{layer}"]
        hidden = hidden.relu() if layer < 3 else hidden
    assert splits["test"] == ((hidden.argmax(1) == y).sum().item(), 200)
    assert splits["train"][1] == 1397


def test_a_normalized_net_is_evaluated_by_its_running_averages(tmp_path):
    config = config_of(normalization="batch")
    run(config, prepared(tmp_path / "run", config))
    splits, params = evaluate(tmp_path / "run"), load_file(tmp_path / "run" / "best.safetensors")
    assert splits["validation"][0] / 200 == result_of(tmp_path / "run")["best_val_accuracy"]
    hidden, y = data.load_test("digits")
    for layer in (1, 2, 3):
        hidden = hidden @ params[f"W{layer}"] + params[f"b{layer}"]
        if layer < 3:
            names = "running_mean", "running_var", "gamma", "beta"
            hidden = functional.batch_norm(hidden, *(params[f"{name}{layer}"] for name in names))
            hidden = hidden.relu()
    assert splits["test"] == ((hidden.argmax(1) == y).sum().item(), 200)


def test_as_a_command(run_dir):
    command = [sys.executable, "-W", "error", "-m", "fcsweep.evaluate", str(run_dir)]
    done = preloaded.run(command, capture_output=True, text=True, check=True)
    train, validation, test = done.stdout.splitlines()
    correct, rows = evaluate(run_dir)["test"]
    assert test == f"test        {correct / rows:.4f}  ({correct} of 200)"
    assert done.stderr == ""


def damaged(run_dir):
    file = run_dir / "best.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def of_another_shape(run_dir):
    file = run_dir / ".hydra" / "config.yaml"
    file.write_text(file.read_text().replace("- 20", "- 21"))
    (run_dir / "provenance.json").unlink()  # whose seal would tell


def of_another_seed(run_dir):
    file = run_dir / ".hydra" / "config.yaml"
    file.write_text(file.read_text().replace("seed: 0", "seed: 1"))


@pytest.mark.parametrize(
    "spoil, words",
    [
        (damaged, "is damaged: its sha256 is not the recorded one"),
        (of_another_seed, "config.yaml changed since it ended"),
        (of_another_shape, "does not fit the config: W1 is (1, 64, 20); expected (1, 64, 21)"),
        (lambda d: (d / "best.safetensors").unlink(), "cannot be read: No such file"),
        (lambda d: (d / "result.json").unlink(), "it has no result.json"),
        (lambda d: (d / "result.json").write_text("{"), "result.json cannot be read"),
        (lambda d: (d / ".hydra" / "config.yaml").unlink(), "holds no run: there is no"),
        (lambda d: (d / ".hydra" / "config.yaml").write_text("seed: {}"), "model"),
    ],
)
def test_what_is_wrong_is_one_line(run_dir, capsys, monkeypatch, spoil, words):
    spoil(run_dir)
    monkeypatch.setattr(sys, "argv", ["evaluate", str(run_dir)])
    with pytest.raises(SystemExit) as stop:
        main()
    error = capsys.readouterr().err
    assert stop.value.code == 1
    assert words in error and error.startswith("error: ") and error.count("\n") == 1


@pytest.fixture
def sweep(tmp_path, run_dir):
    """Three runs of different quality; the names of their folders are those of jobs."""
    folder = tmp_path / "a sweep"
    for number, rate in enumerate((1e-4, 0.1, 0.03)):
        config = config_of(rate)
        saved = yaml.safe_load((run_dir / ".hydra" / "config.yaml").read_text())
        saved["optimizer"]["learning_rate"] = rate
        saved["objective"] = "val_accuracy"
        (folder / str(number) / ".hydra").mkdir(parents=True)
        (folder / str(number) / ".hydra" / "config.yaml").write_text(yaml.safe_dump(saved))
        run(config, folder / str(number))
    return folder


def said_of(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["evaluate", str(folder)])
    with contextlib.suppress(SystemExit):
        main()
    return capsys.readouterr()


def test_of_a_sweep_the_best_run_is_evaluated(sweep, capsys, monkeypatch):
    values = [result_of(sweep / str(number))["value"] for number in range(3)]
    first, second = sorted(range(3), key=lambda number: -values[number])[:2]
    assert len(set(values)) == 3
    out, err = said_of(sweep, capsys, monkeypatch)
    told, *splits = out.splitlines()
    assert told == f"best: {sweep}/{first} (val_accuracy {values[first]:.4f})"
    correct, rows = evaluate(sweep / str(first))["test"]
    assert splits[2] == f"test        {correct / rows:.4f}  ({correct} of {rows})"
    file = sweep / str(first) / "history.csv"
    file.write_text(file.read_text() + " ")  # it counts no more
    assert said_of(sweep, capsys, monkeypatch).out.startswith(f"best: {sweep}/{second} ")
    (sweep / str(second) / "best.safetensors").unlink()
    assert f"best: {sweep}/{second}" not in said_of(sweep, capsys, monkeypatch).out


def test_a_sweep_without_a_best_run_is_one_line(sweep, capsys, monkeypatch):
    for number in range(3):
        (sweep / str(number) / "best.safetensors").unlink()
    out, err = said_of(sweep, capsys, monkeypatch)
    said = f"error: {sweep} holds no run that has ended with a value and a best.safetensors\n"
    assert (out, err) == ("", said)


def test_a_sweep_of_several_objectives_has_no_best_run(sweep, capsys, monkeypatch):
    saved = sweep / "1" / ".hydra" / "config.yaml"
    saved.write_text(saved.read_text().replace("val_accuracy", "train_accuracy"))
    (sweep / "1" / "provenance.json").unlink()  # whose seal would tell
    out, err = said_of(sweep, capsys, monkeypatch)
    assert out == "" and "holds runs judged by train_accuracy and val_accuracy" in err


def test_without_a_gpu_cuda_is_one_line(run_dir, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["evaluate", str(run_dir), "--device", "cuda"])
    with pytest.raises(SystemExit):
        main()
    assert "finds no GPU here" in capsys.readouterr().err
