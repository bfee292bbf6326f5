"""A search of nets and its ensemble on small tables, against scikit-learn.

    python benchmarks/bench_tables.py [--sets wine] [--contenders ours mlp] [--seeds 5] [--save]

Four tables that scikit-learn brings and two that are made here, of which the answer is known:
``rings`` (the class is how many of three concentric rings lie inside the point, in two of twelve
columns, with one row in twenty mislabelled; nothing can predict more than 96.7 % of them) and
``friedman`` (Friedman's function of five of ten columns, with noise of deviation 1: no RMSE is
below 1). Each seed is another split of the rows. All contenders get the same rows, scaled alike;
scikit-learn's get the validation rows as further training rows. Each search tries 200 settings of
the learning rate and the L2 term of the same net:

- ``ours``: ``python -m fcsweep -m ... hydra.launcher.ensemble=true``, a command;
- ``folds``: the same with ``data.folds=5`` and a fifth of the settings, as many nets;
- ``mlp``: ``HalvingRandomSearchCV`` of ``MLPClassifier`` or ``MLPRegressor``;
- ``boosting``: ``HistGradientBoosting``, with its defaults.

The score is of the test rows: accuracy, or R2. Seconds are those of the processor (user and
system), of whole commands or of ``fit``; one thread; contenders take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from results_file import machine, save
from scipy.stats import loguniform
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor

from fcsweep import compose
from fcsweep.data.choice import data_of, held_out_of

TRIALS, FOLDS, HIDDEN = 200, 5, (64, 64)
RATE, REG = (1e-4, 1e-1), (1e-6, 1e-1)
SPACE = ["optimizer.learning_rate", "model.reg"]
OURS = [
    "model=fully_connected",
    f"model.hidden_dims={list(HIDDEN)}",
    "model.initialization=kaiming",
]
OURS += ["optimizer=adam", "solver.num_epochs=30", "solver.batch_size=32", "hydra/sweeper=optuna"]
OURS += ["hydra/sweeper/pruner=successive_halving", "objective=val_loss"]
OURS += [
    f"{key}=tag(log,interval({low},{high}))"
    for key, (low, high) in zip(SPACE, [RATE, REG], strict=True)
]


def rings() -> pd.DataFrame:
    """1,000 rows."""
    chance = np.random.default_rng(0)
    X = chance.normal(size=(1000, 12))
    inside = np.searchsorted(np.sqrt([-2 * np.log(2 / 3), -2 * np.log(1 / 3)]), np.hypot(*X.T[:2]))
    wrong = chance.random(1000) < 0.05
    frame = pd.DataFrame(X, columns=[f"x{k}" for k in range(12)])
    return frame.assign(target=np.where(wrong, chance.integers(0, 3, 1000), inside))


def friedman() -> pd.DataFrame:
    """1,000 rows."""
    X, y = datasets.make_friedman1(1000, n_features=10, noise=1.0, random_state=0)
    return pd.DataFrame(X, columns=[f"x{k}" for k in range(10)]).assign(target=y)


def bundled(name: str) -> Callable[[], pd.DataFrame]:
    """A table of scikit-learn."""
    return lambda: getattr(datasets, f"load_{name}")(as_frame=True).frame


SETS: Mapping[str, Callable[[], pd.DataFrame]] = {
    **{name: bundled(name) for name in ("breast_cancer", "wine", "diabetes", "digits")},
    "rings": rings,
    "friedman": friedman,
}
QUANTITIES = ("diabetes", "friedman")


SEARCH = [f"hydra.sweeper.n_trials={TRIALS}", "hydra.sweeper.n_jobs=50"]
OF_FOLDS = [f"data.folds={FOLDS}", f"hydra.sweeper.n_trials={TRIALS // FOLDS}"]
OF_FOLDS += ["hydra.sweeper.n_jobs=20"]


@dataclass(frozen=True)
class Reached:
    """By a contender, on one split."""

    score: float
    seconds: float


@dataclass(frozen=True)
class Split:
    """The rows of a table that train, validate and test."""

    path: Path
    seed: int
    is_quantity: bool

    @property
    def words(self) -> list[str]:
        """Of the command line."""
        task = "regression" if self.is_quantity else "classification"
        words = ["data=table", f"data.path={self.path}", "data.target=target"]
        words += ["model.loss_function=mse"] if self.is_quantity else []
        return [*words, f"data.task={task}", f"data.split_seed={self.seed}"]

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Rows to fit and their targets, rows to test and theirs."""
        config = compose([*self.words, "objective=val_loss"])
        data, (X_test, y_test) = data_of(config), held_out_of(config)
        X, y = (
            np.concatenate([data.X_train, data.X_val]),
            np.concatenate([data.y_train, data.y_val]),
        )
        return (
            X.reshape(len(X), -1),
            y.ravel(),
            X_test.numpy().reshape(len(X_test), -1),
            y_test.numpy().ravel(),
        )


def ours(split: Split, folder: Path) -> Reached:
    """A search and its ensemble."""
    return _searched(split, folder / "ours", SEARCH)


def folds(split: Split, folder: Path) -> Reached:
    """A search whose trials are trained on every fold, and its ensemble."""
    return _searched(split, folder / "folds", OF_FOLDS)


def _searched(split: Split, out: Path, extent: list[str]) -> Reached:
    before = _children()
    words = [*OURS, *extent, *split.words, f"hydra.sweeper.sampler.seed={split.seed}"]
    words += [f"hydra.sweep.dir={out}", "hydra.launcher.ensemble=true"]
    command = [sys.executable, "-m", "fcsweep", "-m", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    record = json.loads((out / "ensemble.json").read_text())
    scores = record["further_scores"]["r2"] if split.is_quantity else record["scores"]
    return Reached(scores["test"]["ensemble"], _children() - before)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def mlp(split: Split, folder: Path) -> Reached:
    """Halving over random settings."""
    net: Any = MLPRegressor if split.is_quantity else MLPClassifier
    space = {"learning_rate_init": loguniform(*RATE), "alpha": loguniform(*REG)}
    halving: Any = HalvingRandomSearchCV
    search = halving(
        net(hidden_layer_sizes=HIDDEN, random_state=split.seed),
        space,
        n_candidates=TRIALS,
        random_state=split.seed,
    )
    return _fitted(search, split)


def boosting(split: Split, folder: Path) -> Reached:
    """Boosted trees."""
    kind = HistGradientBoostingRegressor if split.is_quantity else HistGradientBoostingClassifier
    return _fitted(kind(random_state=split.seed), split)


def _fitted(model: Any, split: Split) -> Reached:
    X, y, X_test, y_test = split.arrays()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an MLP of a halving search has not converged
        began = time.process_time()
        model.fit(X, y)
        return Reached(model.score(X_test, y_test), time.process_time() - began)


CONTENDERS = {"ours": ours, "folds": folds, "mlp": mlp, "boosting": boosting}


def measure(name: str, seeds: int, contenders: list[str]) -> dict[str, Any]:
    """The scores and seconds of contenders on a table."""
    reached: dict[str, list[Reached]] = {contender: [] for contender in contenders}
    for seed in range(seeds):
        for contender in contenders:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"{name}.csv"
                SETS[name]().to_csv(path, index=False)
                split = Split(path, seed, name in QUANTITIES)
                reached[contender].append(CONTENDERS[contender](split, Path(folder)))
    return {contender: _summary(each) for contender, each in reached.items()}


def _summary(reached: list[Reached]) -> dict[str, Any]:
    scores = [one.score for one in reached]
    return {
        "score": round(statistics.mean(scores), 4),
        "scores": [round(score, 4) for score in scores],
        "cpu_seconds": round(statistics.median(one.seconds for one in reached), 2),
    }


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS), choices=[*CONTENDERS])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--save", action="store_true")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in given.sets:
        found = measure(name, given.seeds, given.contenders)
        for contender, one in found.items():
            print(
                f"{name:14} {contender:9} {one['score']:.4f} {one['cpu_seconds']:8.2f} s",
                flush=True,
            )
        if given.save:
            save(
                "tables_cpu", {f"{name} {key}": {**machine(), **one} for key, one in found.items()}
            )


if __name__ == "__main__":
    main()
