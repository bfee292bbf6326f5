"""Python programs in processes of their own whose libraries are imported already.

A program spends seconds on importing torch, Hydra, Optuna and pandas. Here one process imports
them, once, and a fork of it becomes the program, which imports only fcsweep itself. A program whose
imports or whose end of the interpreter are tested is started by `subprocess`.
"""

from __future__ import annotations

import atexit
import functools
import gc
import inspect
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

LIBRARIES = """
torch numpy safetensors.torch hydra.main hydra._internal.hydra hydra._internal.utils omegaconf
optuna.storages.journal optuna.samplers optuna.pruners pandas matplotlib.figure
matplotlib.backends.backend_agg rich.live rich.table rich.progress
"""


ORIGINAL: Any = subprocess.Popen


class Popen(ORIGINAL):
    """As `subprocess.Popen`, of a command that is ``sys.executable``, ``-W error`` or not, and
    ``-m MODULE``, ``-c CODE`` or a file, with arguments.
    """

    def _execute_child(self, *values: Any) -> None:
        names = list(inspect.signature(ORIGINAL._execute_child).parameters)[1:]
        asked = dict(zip(names, values, strict=True))
        python, *words = map(str, asked["args"])
        assert python == sys.executable
        program = {
            "words": words,
            "cwd": str(asked["cwd"] or Path.cwd()),
            "env": dict(asked["env"] or os.environ),
        }
        ours = {"p2cread": 0, "c2pwrite": 1, "errwrite": 2}
        theirs = [own if asked[name] == -1 else asked[name] for name, own in ours.items()]
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(_server())
        socket.send_fds(self._line, [b"."], theirs)
        self._line.sendall(json.dumps(program).encode())
        self._line.shutdown(socket.SHUT_WR)
        self._told = self._line.makefile()
        self.pid = int(self._told.readline())
        self._child_created = True
        pipes = "p2cread p2cwrite c2pread c2pwrite errread errwrite"
        self._close_pipe_fds(*(asked[name] for name in pipes.split()))

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self.returncode is None:
            pid, status = self._try_wait(os.WNOHANG)
            if pid:
                self._handle_exitstatus(status)
        return self.returncode

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if wait_flags & os.WNOHANG and not select.select([self._line], [], [], 0)[0]:
            return 0, 0
        status = int(self._told.readline())
        self._told.close()
        self._line.close()
        return self.pid, status


def run(
    command: Any, *, capture_output: bool = False, check: bool = False, **options: Any
) -> subprocess.CompletedProcess[Any]:
    """As `subprocess.run`."""
    timeout = options.pop("timeout", 120)
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(command, **options) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


@functools.cache
def _server() -> str:
    """The address of the process that forks; it ends with this one."""
    folder = tempfile.TemporaryDirectory(prefix="preloaded-")
    address = f"{folder.name}/socket"
    server = subprocess.Popen(
        [sys.executable, __file__, address],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,  # closed by the end of this process, however it comes
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"

    def end() -> None:
        server.kill()
        server.communicate()
        folder.cleanup()

    atexit.register(end)
    return address


def _become_program(address: str) -> list[str]:
    """Serve; in the process of a program, return its words."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen()
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for who tells how one ended
        while True:
            if sys.stdin in select.select([door, sys.stdin], [], [])[0]:
                os._exit(0)
            line, _ = door.accept()
            if not os.fork():
                break
            line.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with line:
        _, theirs, _, _ = socket.recv_fds(line, 1, 3)
        asked = json.loads(line.makefile().read())
        if program := os.fork():
            for file in theirs:
                os.close(file)
            line.sendall(f"{program}\n".encode())
            _, status = os.waitpid(program, 0)
            line.sendall(f"{status}\n".encode())
            os._exit(0)
    os.setsid()
    for number, file in enumerate(theirs):
        os.dup2(file, number)
        os.close(file)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    return asked["words"]


def _execute(words: list[str]) -> None:
    """As the interpreter does by its command line."""
    if words[:2] == ["-W", "error"]:
        warnings.simplefilter("error")
        sys.warnoptions.append("error")
        del words[:2]
    tempfile.tempdir = None
    at_once = "PYTHONUNBUFFERED" in os.environ
    out: Any = sys.stdout
    out.reconfigure(line_buffering=at_once or os.isatty(1), write_through=at_once)
    sys.path[1:1] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    kind, *arguments = words
    if kind == "-m":
        sys.argv, sys.path[0] = arguments, os.getcwd()
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        code, sys.argv, sys.path[0] = arguments[0], ["-c", *arguments[1:]], ""
        exec(compile(code, "<string>", "exec"), vars(sys.modules["__main__"]))
    else:
        sys.argv, sys.path[0] = words, str(Path(kind).resolve().parent)
        runpy.run_path(kind, run_name="__main__")


def _exit_code(words: list[str]) -> int:
    """Of a program that was run to its end; negative for the signal that it would die of."""
    try:
        _execute(words)
    except SystemExit as leave:
        if leave.code is None or isinstance(leave.code, int):
            return leave.code or 0
        print(leave.code, file=sys.stderr)
        return 1
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _leave(code: int) -> NoReturn:
    """As the interpreter, but without freeing the libraries, which takes longer than most tests."""
    threads: Any = threading
    threads._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    for name in LIBRARIES.split():
        import_module(name)
    gc.freeze()
    _leave(_exit_code(_become_program(sys.argv[1])))
