"""A prepared pass computes what the layers do one after another, each time it is called."""

import pytest
import torch

from fcsweep.kernels.forward_backward import Pass
from fcsweep.kernels.parameters import Parameters
from fcsweep.layers import HIDDEN, Linear, Linear_ReLU
from fcsweep.losses import softmax, softmax_loss, svm, svm_loss
from fcsweep.nets import FullyConnectedNet, TwoLayerNet

LOSSES = {"softmax": (softmax, softmax_loss), "svm": (svm, svm_loss)}
SHAPES = {"lone": (1, 1), "shared": (3, 1), "own batches": (3, 3)}
SIZES = pytest.mark.parametrize(
    "dims, n", [((12, 7, 5, 4), 6), ((64, 100, 10), 25), ((5, 3, 3), 1)], ids=str
)


def normal(*shape, seed):
    source = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=source)


def layer_by_layer(params, x, y, loss_function, hidden=Linear_ReLU):
    *hidden_layers, last = params.layers
    caches = []
    for w, b in hidden_layers:
        x, cache = hidden.forward(x, w, b)
        caches.append(cache)
    scores, cache = Linear.forward(x, *last)
    loss, dscores = loss_function(scores, y)
    dx, *grads = Linear.backward(dscores, cache)
    for cache in reversed(caches):
        dx, dw, db = hidden.backward(dx, cache)
        grads = [dw, db, *grads]
    return loss, grads


@SIZES
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_pass_reads_what_the_tensors_hold_when_it_is_called(dims, n, loss, shape, hidden):
    arithmetic, loss_function = LOSSES[loss]
    trials, batches = SHAPES[shape]
    params, grads = (Parameters((trials,), dims, torch.float32, torch.device("cpu")) for _ in "ab")
    x, y = torch.zeros(batches, n, dims[0]), torch.zeros(batches, n, dtype=torch.long)
    there_and_back = Pass(params, x, y, arithmetic, grads, hidden)
    for step in range(3):
        for place, p in enumerate(params.values()):
            p.copy_(normal(*p.shape, seed=10 * step + place))
        x.copy_(normal(*x.shape, seed=10 * step + 9))
        y.copy_(torch.arange(y.numel()).view_as(y).add(step) % dims[-1])
        expected, expected_grads = layer_by_layer(params, x, y, loss_function, HIDDEN[hidden])
        assert torch.equal(there_and_back(), expected)
        for grad, witness in zip(grads.values(), expected_grads, strict=True):
            assert torch.equal(grad, witness)


NETS = {
    "lone": {"hidden_dims": [7, 5]},
    "lone, L2, dropout": {"hidden_dims": [7, 5], "reg": 0.1, "dropout": 0.3},
    "lone, inputs dropped": {"hidden_dims": [7, 5], "input_dropout": 0.3},
    "inputs dropped": {"hidden_dims": [33, 20], "input_dropout": [0.5, 0.0, 0.2], "reg": 0.1},
    "all dropped": {
        "hidden_dims": [33, 20],
        "input_dropout": 0.2,
        "dropout": [0.1, 0.5],
        "activation": "gelu",
        "normalization": "batch",
        "seed": [1, 2],
    },
    "all dropped without a seed": {
        "hidden_dims": [7],
        "seed": None,
        "dropout": 0.4,
        "input_dropout": [0.4, 0.1],
    },
    "svm": {"hidden_dims": [100], "loss_function": "svm", "reg": 0.1},
    "stack": {"hidden_dims": [100, 30], "weight_scale": [0.1, 0.2, 0.3]},
    "stack, L2, dropout": {
        "hidden_dims": [33, 20, 10],
        "reg": [0.0, 0.1, 0.5],
        "dropout": [0.5, 0.0, 0.2],
    },
    "stack of seeds": {"hidden_dims": [7], "seed": [1, 2, 1], "dropout": 0.4},
    "without a seed": {"hidden_dims": [7, 5], "seed": None, "dropout": 0.4},
    **{
        f"{name}{', dropout' * bool(p)}": {
            "hidden_dims": [33, 20, 7],
            "activation": name,
            "dropout": p,
            "reg": [0.0, 0.1, 0.5],
        }
        for name in ("leaky_relu", "tanh", "gelu")
        for p in (0.0, [0.5, 0.0, 0.2])
    },
    "smoothed": {"hidden_dims": [33, 20], "label_smoothing": [0.0, 0.1, 0.5]},
    "weighted": {
        "hidden_dims": [33, 20],
        "class_weights": [[1, 1, 1, 1], [0.25, 1, 2, 3.5]],
        "seed": [1, 2],
    },
    "weighted, smoothed": {
        "hidden_dims": [33, 20],
        "class_weights": [[1, 1, 1, 1], [0.5, 1, 2, 3], [1, 1, 1, 1]],
        "label_smoothing": [0.1, 0.2, 0.0],
    },
    "lone weighted": {"hidden_dims": [7], "class_weights": [0.5, 1, 2, 3], "reg": 0.1},
    "lone smoothed": {"hidden_dims": [7], "label_smoothing": 0.3, "reg": 0.1},
    "lone tanh": {"hidden_dims": [7, 5], "activation": "tanh", "dropout": 0.3},
    "lone gelu": {"hidden_dims": [7, 5], "activation": "gelu"},
    **{
        f"{norm}, {name}": {
            "hidden_dims": [33, 20, 7],
            "normalization": norm,
            "activation": name,
            "dropout": [0.5, 0.0, 0.2],
            "reg": [0.0, 0.1, 0.5],
        }
        for norm in ("batch", "layer")
        for name in ("relu", "gelu")
    },
    "lone batch": {"hidden_dims": [7, 5], "normalization": "batch"},
    "lone layer": {"hidden_dims": [7, 5], "normalization": "layer", "activation": "tanh"},
    "large products": {"hidden_dims": [100], "input_dim": 1100, "reg": [0.1, 0.2]},
}
NET = pytest.mark.parametrize("options", NETS.values(), ids=NETS)


@NET
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("n", [40, 3, 1])
def test_a_net_prepares_the_loss_that_it_computes_layer_by_layer(options, dtype, n):
    given = {"input_dim": 12, "num_classes": 4, "weight_scale": 0.2, "seed": 5, "dtype": dtype}
    net = FullyConnectedNet(**(given | options))
    for place, p in enumerate(net.params.values()):
        p.add_(normal(*p.shape, seed=place).to(dtype) * 0.1)
    inputs = net.params["W1"].shape[-2]
    for shape in [(1,), net.trials] if net.trials else [()]:
        X = torch.zeros(*shape, n, inputs, dtype=dtype)
        y, grads = torch.zeros(*X.shape[:-1], dtype=torch.long), net.params.learnt_like()
        prepared = net.prepare(X, y, grads)
        for step in (0, 3):
            X.copy_(normal(*X.shape, seed=step))
            y.copy_(torch.arange(y.numel()).view_as(y).add(step) % 4)
            torch.manual_seed(step)
            before = net.params.clone()
            loss = prepared(step)
            after = net.params.clone()
            net.params.assign(before)
            torch.manual_seed(step)
            expected, expected_grads = net.loss(X, y, step)
            assert torch.equal(loss, expected)
            assert all(torch.equal(p, after[name]) for name, p in net.params.items())
            assert expected_grads.keys() == grads.keys()
            for name, grad in grads.items():
                assert torch.equal(grad, expected_grads[name]), name


def test_a_pass_does_not_change_what_it_reads():
    net = FullyConnectedNet([7, 5], 12, 4, seed=[1, 2], reg=0.1, dropout=0.2)
    x, y = normal(1, 6, 12, seed=0), torch.arange(6) % 4
    before = x.clone(), y.clone(), net.params.clone()
    net.prepare(x, y, net.params.zeros_like())(0)
    assert torch.equal(x, before[0]) and torch.equal(y, before[1])
    assert all(torch.equal(p, before[2][name]) for name, p in net.params.items())


@pytest.mark.parametrize(
    "y, words",
    [
        (torch.zeros(4, dtype=torch.int32), "type torch.int32"),
        (torch.zeros(3, dtype=torch.long), "expected one integer for each of the 4 examples"),
    ],
)
def test_labels_that_could_not_be_read_in_place(y, words):
    net = TwoLayerNet(5, 3, 2)
    with pytest.raises(ValueError, match=words):
        net.prepare(normal(4, 5, seed=0), y, net.params.empty_like())
