"""The errors that a user can mend are one family, which every program tells in one line."""

import pickle

import pytest

from fcsweep.cli.summary import Failure
from fcsweep.launchers.numbered import ProcessLost
from fcsweep.launchers.protocols import TrialError
from fcsweep.messages import errors
from fcsweep.messages.errors import ConfigError, UserError
from fcsweep.messages.wording import one_line
from fcsweep.search.outcomes import SweepFailed

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]


def test_the_kinds_are_those_that_callers_catch():
    names = {kind.__name__ for kind in KINDS}
    assert {"ConfigError", "DataError", "FolderError", "RecordError", "StudyError"} <= names
    assert issubclass(ConfigError, ValueError)


@pytest.mark.parametrize("kind", [*KINDS, Failure, ProcessLost, SweepFailed, TrialError])
def test_each_is_one_line_without_secrets_also_from_another_process(kind):
    error = kind("model.x is\n  postgres://me:s3cret@host/db;\x1b[2J expected 1")
    assert isinstance(error, UserError)
    assert str(error) == r"model.x is postgres://me:***@host/db;\x1b[2J expected 1"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), one_line(again)) == (kind, str(error))
