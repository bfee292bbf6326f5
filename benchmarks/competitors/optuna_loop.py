"""A search of digits trials as people write it: Optuna, torch.nn, autograd, one trial at a time.

python benchmarks/competitors/optuna_loop.py TRIALS none|median
"""

import sys

import optuna
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from fcsweep.data import load

torch.set_num_threads(1)
optuna.logging.set_verbosity(optuna.logging.WARNING)
data = load("digits")
X, y = data.X_train, data.y_train
splits = (X[:1000], y[:1000]), (data.X_val, data.y_val)


def objective(trial: optuna.Trial) -> float:
    """Train one net; its best validation accuracy."""
    rate = trial.suggest_float("learning_rate", 1e-3, 1, log=True)
    scale = trial.suggest_float("weight_scale", 1e-4, 0.1, log=True)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))
    for name, p in net.named_parameters():
        nn.init.zeros_(p) if "bias" in name else nn.init.normal_(p, std=scale)
    rule, best = torch.optim.SGD(net.parameters(), rate, momentum=0.9), 0.0
    for epoch in range(20):
        for rows in torch.randperm(len(y)).split(100):
            rule.zero_grad()
            cross_entropy(net(X[rows]), y[rows]).backward()
            rule.step()
        with torch.no_grad():
            _, val = [(net(X).argmax(1) == y).float().mean().item() for X, y in splits]
        best = max(best, val)
        trial.report(val, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return best


pruner = {"none": optuna.pruners.NopPruner(), "median": optuna.pruners.MedianPruner()}[sys.argv[2]]
study = optuna.create_study(
    direction="maximize", sampler=optuna.samplers.TPESampler(seed=0), pruner=pruner
)
study.optimize(objective, n_trials=int(sys.argv[1]))
print(f"best: trial {study.best_trial.number}, {study.best_value:.4f}, {study.best_params}")
