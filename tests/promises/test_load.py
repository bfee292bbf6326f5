"""A search of a thousand trials costs as much per trial at its end as at its beginning."""

import json
import os
import re
import subprocess
import sys

import psutil
import pytest
from support import preloaded
from support.toy_app import study_of

TRIALS, AT_ONCE = 1000, 20


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_trials_grow_neither_memory_nor_time(tmp_path):
    words = ["-m", "hydra/sweeper=optuna", f"hydra.sweeper.n_trials={TRIALS}", "data=synthetic"]
    words += [
        f"hydra.sweeper.n_jobs={AT_ONCE}",
        "data.num_train=20",
        "data.num_val=10",
        "solver.batch_size=20",
    ]
    words += ["solver.num_epochs=1", "model.hidden_dims=[2]", "model.weight_scale=interval(0.1,1)"]
    words += ["hydra.sweeper.sampler.seed=0", "hydra.sweep.dir=s"]
    command = [sys.executable, "-m", "fcsweep", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with preloaded.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        program = psutil.Process(process.pid)
        memory, seconds, ended = {}, {}, set[int]()
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.match(r"trial (\d+): completed", line):
                number = int(found[1])
                ended.add(number)
                if number % AT_ONCE == AT_ONCE - 1:
                    # of CPU: a busy machine does not fail a test
                    seconds[number] = sum(program.cpu_times()[:2])
                    memory[number] = program.memory_info().rss / 1e6
    assert process.returncode == 0
    assert len(ended) == len(study_of(tmp_path / "s").trials) == TRIALS
    grown = memory[TRIALS - 1] - memory[99]
    batches = [seconds[n] - seconds[n - AT_ONCE] for n in range(2 * AT_ONCE - 1, TRIALS, AT_ONCE)]
    first, last = (sorted(part)[len(part) // 2] for part in (batches[:10], batches[-10:]))
    print(json.dumps({"MB": grown, "first": first / AT_ONCE, "last": last / AT_ONCE}))
    assert grown < 50
    assert last < 2 * first
