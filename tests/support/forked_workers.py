"""Workers on one study in forks of this process: a search that takes a second."""

import os
import random
import time
import traceback

from hydra.core.hydra_config import HydraConfig

from fcsweep.search import should_prune
from support.toy_app import multirun

CONFIG = {"x": 0.0, "y": 0.0, "rule": "a"}
SPACE = ["x=interval(-1,1)", "y=interval(-1,1)"]
COUNTS = ["hydra.sweeper.n_trials=13", "hydra.sweeper.n_jobs=3", "hydra.sweeper.sampler.seed=1"]


def task(cfg):
    """Reports four times, each time a little later than others do."""
    number = HydraConfig.get().job.num
    with open(f"{HydraConfig.get().sweep.dir}/starts", "a") as starts:
        starts.write(f"{number}\n")
    chance, value = random.Random(os.getpid() + number), 0.0
    for step in range(1, 5):
        value = (cfg.x - 0.3) ** 2 + cfg.y**2 + 1 / step
        time.sleep(float(os.environ.get("SLEEP", 0)) * chance.random())
        if should_prune(value, step):
            break
    return value


def known_of(study):
    """All that a study knows of its trials but for times."""
    return [
        (one.number, one.state.name, one.params, one.values, one.intermediate_values)
        for one in study.get_trials(deepcopy=False)
    ]


def worker(folder, *words, sleep=0.0):
    """Sweep in a fork of this process, with up to so many seconds a step; its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.environ["SLEEP"] = str(sleep)
        multirun(folder, task, CONFIG, "hydra/sweeper=optuna", *SPACE, *COUNTS, *words)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def work_on(folder, workers, *words, sleep=0.0):
    """Sweep by several processes; their exit codes."""
    folder.mkdir(parents=True, exist_ok=True)
    started = [worker(folder, *words, sleep=sleep) for _ in range(workers)]
    return [ended(child) for child in started]


def pruner(name, **fields):
    keys = [f"hydra.sweeper.pruner.{key}={value}" for key, value in fields.items()]
    return [f"hydra/sweeper/pruner={name}", *keys]
