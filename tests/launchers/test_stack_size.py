"""How many trials of a grid train together: what their stacks take decides."""

import pytest

from fcsweep.config import AdamConfig, MomentumConfig, RunConfig
from fcsweep.launchers import stack_size
from fcsweep.launchers.stack_size import Learning, Plan, StackSizes


@pytest.fixture
def rule(monkeypatch):
    """What the rule about caches says: a guess, and the most."""

    def says(guess, most=64):
        monkeypatch.setattr(stack_size, "limits", lambda config: (guess, most))
        monkeypatch.setattr(stack_size, "largest", lambda config: guess)

    return says


def formed(jobs, cost, sizes=None, workers=1):
    """The sizes of the stacks of a grid, with the CPU seconds of a trial and epoch by size."""
    configs = dict(enumerate(jobs))
    plan = Plan(configs, sizes := sizes or StackSizes(None), workers)
    free, found = list(configs), []
    while part := plan(free):
        found.append(len(part))
        sizes.add(configs[part[0]], len(part), cost(len(part)))
        free = [job for job in free if job not in part]
    assert plan([]) == []
    return found


def alike(count, **keys):
    return [RunConfig(seed=seed, **keys) for seed in range(count)]


FASTEST = {
    "the guess": ({4: 1, 8: 1, 16: 1}, 4),
    "twice": ({4: 1, 8: 0.8, 16: 0.79}, 8),
    "four times": ({4: 1, 8: 0.95, 16: 0.8}, 16),
    "no gain of a tenth": ({4: 1, 8: 0.91, 16: 0.92}, 4),
    "a tenth over twice": ({4: 1, 8: 0.85, 16: 0.75}, 16),
}


@pytest.mark.parametrize(("cost", "best"), FASTEST.values(), ids=FASTEST)
def test_a_grid_keeps_the_size_that_takes_least(cost, best, rule):
    rule(4)
    assert formed(alike(64), lambda size: cost.get(size, 9)) == [4, 4, 8, 16] + [best] * (
        32 // best
    )


def test_the_first_stack_does_not_count(rule):
    """It loads torch's kernels and the data."""
    rule(4)
    times = iter([9.0, 1.0, 1.0, 1.0])
    assert formed(alike(48), lambda size: next(times, 1.0)) == [4, 4, 8, 16, 4, 4, 4, 4]


def test_too_few_trials_are_only_cut(rule):
    rule(4)
    assert formed(alike(7), lambda size: 1) == [7 // 2, 7 - 7 // 2]
    assert formed(alike(14), lambda size: 1) == [4, 4, 3, 3]
    rule(64)
    assert formed(alike(65), lambda size: 1) == [32, 33]


def test_it_begins_with_four_where_they_fit(rule):
    rule(1)
    assert formed(alike(64), lambda size: 1 / size) == [4, 4, 8, 16, 16, 16]
    rule(1, most=2)
    assert formed(alike(5), lambda size: 1) == [1, 2, 2]


def test_no_stack_is_larger_than_may_be(rule):
    rule(20, most=40)
    assert formed(alike(200), lambda size: 1 / size) == [20, 20, 40, 40, 40, 40]


def test_what_is_given_is_kept(rule):
    rule(4)
    assert formed(alike(64), lambda size: 1 / size, StackSizes(16)) == [16] * 4


def test_each_kind_of_trial_has_a_size_of_its_own(rule):
    rule(4)
    rules = MomentumConfig(), AdamConfig()
    jobs = [RunConfig(seed=n, optimizer=rules[n % 2]) for n in range(128)]
    sizes = StackSizes(None)
    plan, free, found = Plan(dict(enumerate(jobs)), sizes, 1), list(range(128)), ([], [])
    while part := plan(free):
        kind = part[0] % 2
        assert {job % 2 for job in part} == {kind}
        found[kind].append(len(part))
        sizes.add(jobs[part[0]], len(part), (1.0, 1 / len(part))[kind])
        free = [job for job in free if job not in part]
    assert found == ([4, 4, 8, 16] + [4] * 8, [4, 4, 8, 16, 16, 16])


def test_what_is_learnt_serves_the_next_batch_of_a_grid(rule):
    rule(4)
    sizes = StackSizes(None)
    formed(alike(64), lambda size: 1 / size, sizes)
    assert formed(alike(64), lambda size: 1 / size, sizes) == [16] * 4


def test_workers_share(rule):
    rule(64)
    assert formed(alike(10), lambda size: 1, workers=2) == [5, 5]
    assert formed(alike(2), lambda size: 1, workers=4) == [1, 1]


def test_a_size_that_has_never_ended_is_not_preferred(rule):
    learning = Learning([4, 8, 16])
    for _ in range(3):
        assert learning.next(100) == 4
    learning.add(3, 0.1)  # one of four had no folder
    assert (learning.next(100), learning.best) == (4, 4)


def test_a_launch_leaves_whole_what_was_planned(rule):
    rule(4)
    sizes = StackSizes(None)
    Plan(dict(enumerate(alike(64))), sizes, 1)
    assert sizes.most(RunConfig()) == 16


def test_a_search_does_not_learn(rule):
    """Which trials a pruner has heard of would depend on what else the machine does."""
    rule(4)
    sizes = StackSizes(None)
    for _ in range(9):
        assert sizes.most(RunConfig()) == 4
        sizes.add(RunConfig(), 4, 1.0)
