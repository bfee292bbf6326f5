"""Many commands in one process of their own, for tables: what each said, and the CPU time it took.

A user's command starts a process; here the imports are paid for once. With ``quick`` nothing is
trained: a run leaves a record, and is counted.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace


@dataclass
class Command:
    """One command; the first word is fcsweep, rerun, evaluate or report."""

    words: Sequence[str]
    cwd: str


@dataclass
class Said:
    """How a command ended."""

    code: int | str | None
    out: str
    err: str
    seconds: float
    """CPU time: other processes do not count."""
    trained: int
    """Quick runs."""


def said(
    commands: Iterable[Command],
    quick: bool = True,
    env: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
) -> list[Said]:
    """Run the commands, one after the other; ``before`` are words before that of the program."""
    asked = json.dumps([asdict(one) for one in commands])
    done = subprocess.run(
        [*before, sys.executable, "-W", "error", __file__, "quick" if quick else "real"],
        input=asked.encode(),
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return [Said(**one) for one in json.loads(done.stdout)]


def contents(folder: Path) -> list[str]:
    """Everything in a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def _quickly(trained: list[Path]) -> None:
    from fcsweep.cli.task import Task

    def run(
        config: object, folder: Path, on_epoch: object = None, observers: object = ()
    ) -> SimpleNamespace:
        trained.append(folder)
        record = {"status": "completed", "value": 0.5, "seconds": 1.0, "objective": "val_accuracy"}
        (folder / "result.json").write_text(json.dumps(record))
        return SimpleNamespace(value=0.5)

    sys.modules["fcsweep.run"] = SimpleNamespace(run=run, device_of=print)
    sys.modules["fcsweep.terminal.run_view"] = SimpleNamespace(RunView=lambda title: None)
    delattr(Task, "train")


def _one(command: Command, trained: list[Path]) -> Said:
    program, *arguments = command.words
    os.chdir(command.cwd)
    module = {
        "fcsweep": "fcsweep.cli.main",
        "report": "fcsweep.report.__main__",
        "rerun": "fcsweep.rerun.__main__",
    }
    main = import_module(module.get(program, f"fcsweep.{program}")).main
    sys.argv = [program, *arguments]
    trained.clear()
    root, out, err = logging.getLogger(), io.StringIO(), io.StringIO()
    handlers, code, began = root.handlers[:], 0, _cpu()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as leave:
            code = leave.code
            if isinstance(code, str):
                print(code, file=sys.stderr)
                code = 1
        except BaseException as error:
            code = f"{type(error).__name__}: {error}"
    seconds = _cpu() - began
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    return Said(code, out.getvalue(), err.getvalue(), seconds, len(trained))


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _main() -> None:
    trained: list[Path] = []
    if sys.argv[1] == "quick":
        _quickly(trained)
    asked = json.loads(sys.stdin.buffer.read())
    ended = [asdict(_one(Command(**one), trained)) for one in asked]
    sys.stdout.buffer.write(json.dumps(ended).encode())


if __name__ == "__main__":
    _main()
