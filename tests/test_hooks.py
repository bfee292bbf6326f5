"""What looks on and may prune."""

from fcsweep.hooks import Report, all_of, pruned_by
from fcsweep.records import HistoryRow, Result


def report(trial, value, evaluated=True, epoch=3):
    accuracy = 0.1 if evaluated else None
    row = HistoryRow(epoch, 9, 1.0, accuracy, accuracy, 0.1)
    return Report(trial, row, Result("val_accuracy", value=value))


def test_job_numbers_become_positions_and_back():
    told = []

    def prune(values, step):
        told.append((dict(values), step))
        return {30, 10, 99}

    hook = pruned_by(prune, [10, 20, 30])
    assert sorted(hook([report(0, 0.5), report(1, 0.4), report(2, 0.3)])) == [0, 2]
    assert told == [({10: 0.5, 20: 0.4, 30: 0.3}, 3)]


def test_only_who_was_just_evaluated_is_asked_about():
    def prune(values, step):
        assert dict(values) == {20: 0.4}
        return values.keys()

    hook = pruned_by(prune, [10, 20])
    assert list(hook([report(0, None, evaluated=False), report(1, 0.4)])) == [1]


def test_nobody_is_asked_where_nothing_was_evaluated():
    def prune(values, step):
        raise AssertionError

    assert not pruned_by(prune, [10])([report(0, 0.5, evaluated=False)])
    assert not pruned_by(prune, [10])([])


def test_all_hooks_are_told_and_any_may_prune():
    told = []
    hook = all_of(lambda r: told.append(r) or (), lambda r: [1], lambda r: {2})
    assert set(hook([])) == {1, 2} and told == [[]]
