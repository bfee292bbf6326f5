"""Which trials share a stack, and how many."""

from dataclasses import fields, replace

import psutil
import pytest
import torch

from fcsweep.config import (
    GROUPS,
    AdamConfig,
    FullyConnectedConfig,
    MomentumConfig,
    RunConfig,
    SolverConfig,
    SyntheticConfig,
)
from fcsweep.launchers import grouping
from fcsweep.messages.errors import ConfigError

PER_TRIAL = {
    "weight_scale", "learning_rate", "momentum", "decay_rate", "beta1", "beta2", "epsilon",
    "weight_decay", "clip_norm", "schedule", "decay_every", "warmup", "patience",
    "initialization", "label_smoothing", "class_weights",
    "reg", "dropout", "input_dropout", "lr_decay", "seed",
}  # fmt: skip


def other(value):
    """A value that differs."""
    if isinstance(value, str):
        return f"{value}x"
    return [*value, 1] if isinstance(value, list) else (value or 0) + 1


def changed():
    """The default config, with each key of each option changed in turn."""
    for group, options in GROUPS.items():
        for option, schema in options.items():
            base = replace(RunConfig(), **{group: replace(schema(), name=option)})
            for spec in fields(schema):
                part = getattr(base, group)
                value = replace(part, **{spec.name: other(getattr(part, spec.name))})
                yield spec.name, base, replace(base, **{group: value})
    for name in ("seed", "device", "dtype", "objective", "target"):
        base = RunConfig()
        yield name, base, replace(base, **{name: other(getattr(base, name))})


@pytest.mark.parametrize(("key", "one", "two"), [*changed()])
def test_a_stack_differs_only_in_what_is_per_trial(key, one, two):
    expected = [[0, 1]] if key in PER_TRIAL else [[0], [1]]
    assert grouping.stacks([one, two], lambda _: 10) == expected


def test_stacks_are_cut_evenly_and_come_in_the_order_of_their_first():
    rules = [RunConfig(seed=n, optimizer=(MomentumConfig, AdamConfig)[n % 2]()) for n in range(10)]
    assert grouping.stacks(rules, lambda _: 4) == [[0, 2], [1, 3], [4, 6, 8], [5, 7, 9]]
    assert grouping.stacks(rules, lambda _: 1) == [[n] for n in range(10)]
    assert grouping.stacks([], lambda _: 4) == []
    assert [len(stack) for stack in grouping.stacks([RunConfig()] * 65, lambda _: 64)] == [32, 33]


@pytest.mark.parametrize("given", [0, -1, 1.5, True, None, "eight", "8", [8]])
def test_a_size_that_is_none(given):
    with pytest.raises(ConfigError, match=r"hydra.launcher.max_trials is .*expected auto or a w"):
        grouping.max_trials(given)


def test_sizes_that_are():
    assert grouping.max_trials("auto") is None
    assert grouping.max_trials(8) == 8


def shaped(hidden, inputs="synthetic", batch=100, rule=MomentumConfig):
    set_of = {"synthetic": SyntheticConfig()} if inputs == "synthetic" else {}
    return RunConfig(
        model=FullyConnectedConfig(hidden_dims=hidden),
        optimizer=rule(),
        solver=SolverConfig(batch_size=batch),
        **({"data": set_of["synthetic"]} if set_of else {}),
    )


@pytest.fixture
def machine(monkeypatch):
    """One with so much free memory and cache, and no GPU."""

    def of(free, cache):
        memory = psutil.virtual_memory()._replace(available=free)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
        monkeypatch.setattr(grouping, "_last_level_cache", lambda: cache)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    return of


def test_auto_is_what_was_fastest_where_it_was_measured(machine):
    """On a cache of 32 MiB; benchmarks/notes.md."""
    machine(20 << 30, 32 << 20)
    assert grouping.largest(shaped([100], "digits")) == 64
    assert 4 <= grouping.largest(shaped([100, 100], batch=25)) <= 6
    assert 4 <= grouping.largest(shaped([100], batch=200)) <= 6
    assert 4 <= grouping.largest(shaped([1000], "digits")) <= 12
    assert grouping.largest(shaped([500], batch=200)) == 1


def test_auto_fits_in_memory_whatever_the_cache(machine):
    config = shaped([100], "digits")
    machine(10 * grouping.bytes_held(config), 1 << 40)
    assert grouping.largest(config) == 5
    machine(0, 1 << 40)
    assert grouping.largest(config) == 1


def test_auto_on_a_gpu_asks_for_its_memory_alone(machine, monkeypatch):
    machine(0, 1)
    config = shaped([100], batch=200)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "mem_get_info", lambda _: (2000 * grouping.bytes_held(config), 0)
    )
    assert grouping.largest(config) == 1000
    assert grouping.largest(replace(config, device="cpu")) == 1


@pytest.mark.parametrize(
    ("told", "counted"),
    [(["48K", "2048K", "307200K"], 32 << 20), (["32K", "8192K"], 8 << 20), ([], 16 << 20)],
)
def test_a_virtual_machine_reports_the_cache_of_its_host(told, counted, tmp_path):
    for number, size in enumerate(told):
        (tmp_path / f"index{number}").mkdir()
        (tmp_path / f"index{number}" / "size").write_text(f"{size}\n")
    assert grouping._last_level_cache(tmp_path) == counted


def test_this_machines_own_cache_and_memory_can_be_read():
    assert grouping.largest(RunConfig()) >= 1
