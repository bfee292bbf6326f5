"""All programs end alike: one line for an error, for a signal, for an output that nobody reads."""

import os
import subprocess
import sys

import pytest
from support import preloaded

from fcsweep.messages.errors import FolderError
from fcsweep.system.command import command

PROGRAMS = {
    "fcsweep": ["hydra.run.dir=x/y"],
    "fcsweep.rerun": ["x/y"],
    "fcsweep.evaluate": ["x/y"],
    "fcsweep.report": ["x/y"],
    "fcsweep.ensemble": ["x/y"],
    "fcsweep.predict": ["x/y", "x"],
    "fcsweep.export": ["x/y"],
    "fcsweep.find_lr": ["seed=x/y"],
    "fcsweep.grade": ["r", "--out", "x/y"],
}


def test_errors_of_the_user_are_one_line_and_faults_pass(capfd):
    with pytest.raises(SystemExit) as left, command():
        print("before")
        raise FolderError("r is in use")
    assert left.value.code == 1
    assert capfd.readouterr() == ("before\n", "error: r is in use\n")
    with pytest.raises(KeyError), command():
        raise KeyError
    with pytest.raises(SystemExit) as left, command(errors=(KeyError,)):
        raise KeyError("a")
    assert capfd.readouterr().err == "error: KeyError: 'a'\n"


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_tells_a_mistake_in_one_line(program, tmp_path):
    (tmp_path / "x").touch()
    run = [sys.executable, "-W", "error", "-m", program, *PROGRAMS[program]]
    done = preloaded.run(run, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "x/y" in done.stderr


STRUCK = """
import os, signal, sys
from {module} import main
import {where} as place
def strike(*_, **__):
    os.kill(os.getpid(), signal.{number})
    print("and on")
place.{name} = strike
sys.argv = ["program", "a b"]
main()
"""
PLACES = {
    "fcsweep.rerun": ("fcsweep.rerun.__main__", "fcsweep.rerun.__main__", "rerun"),
    "fcsweep.evaluate": ("fcsweep.evaluate", "fcsweep.evaluate", "jobs_of"),
    "fcsweep.report": ("fcsweep.report.__main__", "fcsweep.report.__main__", "write"),
}


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("program", PLACES)
@pytest.mark.parametrize(
    "number, code, word", [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")]
)
def test_a_signal_ends_each_program_with_the_command_that_runs_it_again(
    program, number, code, word
):
    module, where, name = PLACES[program]
    code_ = STRUCK.format(module=module, where=where, name=name, number=number)
    done = preloaded.run([sys.executable, "-c", code_], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == f"{word}; to run it again: python -m {program} 'a b'\n"


def test_an_evaluation_that_nobody_reads_is_one_line(tmp_path):
    code = "import sys, fcsweep.evaluate as it\nsys.argv = ['it', 'r']\n"
    code += "it.evaluate = lambda *_: dict(train=(1, 2))\nit.main()"
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write) as nobody:
        done = preloaded.run([sys.executable, "-c", code], stdout=nobody, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, b"standard output was closed\n")
