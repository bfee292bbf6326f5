"""Trials of digits as one hand-fused torch program: no Hydra, no Optuna, no records.

    python benchmarks/competitors/fused.py TRIALS

A net of 64, 100 and 10 units for each trial, 20 epochs of SGD in minibatches of 100, the
accuracies after each epoch, the parameters of the best one. Learning rate and weight scale are
drawn at random.
"""

import sys

import torch

from fcsweep.data import load

trials, epochs, batch = int(sys.argv[1]), 20, 100
torch.manual_seed(0)
torch.set_num_threads(1)
torch.inference_mode().__enter__()
data = load("digits")
X, y = data.X_train, data.y_train
splits = (X[:1000], y[:1000]), (data.X_val, data.y_val)

rate = 10 ** (-3 * torch.rand(trials, 1, 1))
scale = 10 ** (-1 - 3 * torch.rand(trials, 1, 1))
W1, b1 = scale * torch.randn(trials, 64, 100), torch.zeros(trials, 1, 100)
W2, b2 = scale * torch.randn(trials, 100, 10), torch.zeros(trials, 1, 10)
params = [W1, b1, W2, b2]
best, best_params = torch.zeros(trials), [p.clone() for p in params]


def accuracy(X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The fraction of each trial that is classified correctly."""
    hidden = torch.baddbmm(b1, X.expand(trials, -1, -1), W1).relu_()
    return (torch.baddbmm(b2, hidden, W2).argmax(-1) == y).float().mean(-1)


for _ in range(epochs):
    for rows in torch.randperm(len(y)).split(batch):
        x = X[rows].expand(trials, -1, -1)
        hidden = torch.baddbmm(b1, x, W1).relu_()
        dscores = torch.baddbmm(b2, hidden, W2).softmax(-1)
        dscores.scatter_add_(
            -1, y[rows, None].expand(trials, -1, -1), -torch.ones(trials, len(rows), 1)
        ).div_(len(rows))
        dhidden = torch.bmm(dscores, W2.mT).mul_(hidden > 0)
        W2.addcmul_(torch.bmm(hidden.mT, dscores), rate, value=-1)
        b2.addcmul_(dscores.sum(1, keepdim=True), rate, value=-1)
        W1.addcmul_(torch.bmm(x.mT, dhidden), rate, value=-1)
        b1.addcmul_(dhidden.sum(1, keepdim=True), rate, value=-1)
    train, val = (accuracy(*split) for split in splits)
    better = val > best
    best = torch.where(better, val, best)
    for kept, p in zip(best_params, params, strict=True):
        torch.where(better[:, None, None], p, kept, out=kept)
print(f"best: trial {best.argmax()}, {best.max():.4f}, rate {rate[best.argmax()].item():.4g}")
