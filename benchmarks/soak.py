"""Workers on a study in PostgreSQL that are killed and stopped, while its server crashes.

Compares all that they leave with what one undisturbed worker leaves on a journal, byte for byte but
for times, and prints how much differs. Needs PostgreSQL (``apt-get install postgresql``) and
``fcsweep[postgres]``::

    python benchmarks/soak.py --repeats 3
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

# pyright: reportMissingImports=false
from support.disturbed import SEARCH as DISTURBED  # noqa: E402
from support.disturbed import differences, left  # noqa: E402
from support.postgres import Server, programs  # noqa: E402

SEARCH = [*DISTURBED, "hydra.sweeper.lease=10"]


def start(folder: Path, words: list[str], url: str = "") -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "fcsweep", "-m", *SEARCH, *words]
    command += ["hydra.sweeper.storage=${oc.env:FCSWEEP_DB}"] if url else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "FCSWEEP_DB": url}
    folder.mkdir(exist_ok=True)
    said = open(folder.parent / f"{folder.name}.log", "ab")
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)


def strike(worker: subprocess.Popen[bytes], chance: random.Random) -> str:
    kind = chance.choice(["KILL", "KILL", "TERM", "INT", "STOP"])
    worker.send_signal(getattr(signal, f"SIG{kind}"))
    if kind == "STOP":
        time.sleep(chance.uniform(1, 15))
        worker.send_signal(signal.SIGCONT)
    return kind


def disturbed(folder: Path, words: list[str], server: Server, given: argparse.Namespace) -> str:
    """Let workers be struck until all trials have ended; what happened."""
    chance, url = random.Random(given.seed), server.database()
    workers = [start(folder, words, url) for _ in range(given.workers)]
    events = ["kill"] * given.kills + ["crash"] * given.crashes
    chance.shuffle(events)
    happened: list[str] = []
    while events or any(one.poll() is None for one in workers):
        time.sleep(chance.uniform(1, 5))
        alive = [place for place, one in enumerate(workers) if one.poll() is None]
        if events and events.pop() == "crash":
            server.crash()
            time.sleep(chance.uniform(0, 8))
            server.start()
            happened.append("crash")
        elif alive and len(happened) < given.kills + given.crashes:
            happened.append(strike(workers[chance.choice(alive)], chance))
        for place, one in enumerate(workers):
            if one.poll() not in (None, 0):
                workers[place] = start(folder, words, url)
        if not events and all(one.poll() == 0 for one in workers):
            break
    return " ".join(happened)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in {"trials": 96, "workers": 3, "kills": 10, "crashes": 4}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    where, words = programs(), [f"hydra.sweeper.n_trials={given.trials}"]
    assert where is not None, "PostgreSQL is not installed"
    with tempfile.TemporaryDirectory() as name:
        assert start(Path(name) / "alone", words).wait() == 0
        expected = left(Path(name) / "alone" / "out")
        for repeat in range(given.repeats):
            with tempfile.TemporaryDirectory() as place:
                server, began = Server(where, Path(place)), time.monotonic()
                folder = Path(name) / f"many{repeat}"
                try:
                    happened = disturbed(folder, words, server, given)
                finally:
                    server.crash()
            wrong = differences(expected, left(folder / "out"))
            seconds = time.monotonic() - began
            print(f"seed {given.seed}: {seconds:.0f} s, {happened}")
            print(
                f"  {len(wrong)} of {len(expected)} records and rows differ {wrong[:5]}", flush=True
            )
            given.seed += 1


if __name__ == "__main__":
    main()
