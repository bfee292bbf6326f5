"""A Slurm of the tests' own: a controller and one node on this machine; it ends with them."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
CONFIG = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def call(*words):
    """What a program of Slurm's prints."""
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def jobs(*options):
    """The states of all jobs, by name: ``12_1``."""
    words = ("squeue", "--noheader", "--array", "--states=all", "--format=%i %T", *options)
    return dict(line.split() for line in call(*words).splitlines())


@contextmanager
def cluster():
    """A Slurm with two CPUs while the block runs; the test is skipped where there is none."""
    if missing := [name for name in PROGRAMS if not shutil.which(name)]:
        why = f"needs Slurm and munge (apt-get install slurm-wlm munge): no {missing[0]}"
        if os.environ.get("FCSWEEP_SLURM"):
            pytest.fail(why)
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="slurm-") as name, pytest.MonkeyPatch.context() as own:
        folder, begun = Path(name), []
        folder.chmod(0o755)
        for part in ("munge", "state", "spool"):
            (folder / part).mkdir(mode=0o755)
        key = folder / "munge" / "key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        config = folder / "slurm.conf"
        user, ports = pwd.getpwuid(os.getuid()).pw_name, (free_port(), free_port())
        host = socket.gethostname().partition(".")[0]
        config.write_text(CONFIG.format(folder=folder, user=user, ports=ports, host=host))
        own.setenv("SLURM_CONF", str(config))
        own.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
        files["log-file"] = "log"
        munge = [f"--{option}={folder}/munge/{file}" for option, file in files.items()]
        try:
            for words in (
                ["munged", "--foreground", "--force", *munge],
                ["slurmctld", "-D", "-c"],
                ["slurmd", "-D", "-N", host],
            ):
                begun.append(
                    subprocess.Popen(
                        words,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                    )
                )
                wait_until((folder / "munge" / "socket").exists)
            wait_until(lambda: "idle" in call("sinfo", "--noheader", "--format=%T"))
            yield
        finally:
            with suppress(subprocess.SubprocessError, OSError):
                call("scancel", "--signal=KILL", "--full", "--user", user)
            for daemon in reversed(begun):
                daemon.send_signal(signal.SIGTERM)
            for daemon in begun:
                with suppress(subprocess.TimeoutExpired):
                    daemon.wait(10)
                daemon.kill()
                daemon.wait()


def wait_until(holds, seconds=200):
    until = time.monotonic() + seconds
    while True:
        with suppress(subprocess.CalledProcessError):
            if holds():
                return
        assert time.monotonic() < until, "it does not come true"
        time.sleep(0.1)
