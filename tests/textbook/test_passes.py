"""A prepared pass computes what the layers do one after another, each time it is called."""

import pytest
import torch

from fcsweep.kernels.parameters import Parameters
from fcsweep.layers import Linear, Linear_ReLU
from fcsweep.losses import SoftmaxLoss, SvmLoss, softmax_loss, svm_loss
from fcsweep.nets import FullyConnectedNet
from fcsweep.passes import Pass

LOSSES = {"softmax": (SoftmaxLoss, softmax_loss), "svm": (SvmLoss, svm_loss)}
SHAPES = {"lone": (1, 1), "shared": (3, 1), "own batches": (3, 3)}
SIZES = pytest.mark.parametrize(
    "dims, n", [((12, 7, 5, 4), 6), ((64, 100, 10), 25), ((5, 3, 3), 1)], ids=str
)


def normal(*shape, seed):
    source = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=source)


def layer_by_layer(params, x, y, loss_function):
    *hidden_layers, last = params.layers
    caches = []
    for w, b in hidden_layers:
        x, cache = Linear_ReLU.forward(x, w, b)
        caches.append(cache)
    scores, cache = Linear.forward(x, *last)
    loss, dscores = loss_function(scores, y)
    dx, *grads = Linear.backward(dscores, cache)
    for cache in reversed(caches):
        dx, dw, db = Linear_ReLU.backward(dx, cache)
        grads = [dw, db, *grads]
    return loss, grads


@SIZES
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_pass_reads_what_the_tensors_hold_when_it_is_called(dims, n, loss, shape):
    prepared_loss, loss_function = LOSSES[loss]
    trials, batches = SHAPES[shape]
    params, grads = (Parameters((trials,), dims, torch.float32, torch.device("cpu")) for _ in "ab")
    x, y = torch.zeros(batches, n, dims[0]), torch.zeros(batches, n, dtype=torch.long)
    there_and_back = Pass(params, x, y, prepared_loss, grads)
    for step in range(3):
        for place, p in enumerate(params.values()):
            p.copy_(normal(*p.shape, seed=10 * step + place))
        x.copy_(normal(*x.shape, seed=10 * step + 9))
        y.copy_(torch.arange(y.numel()).view_as(y).add(step) % dims[-1])
        expected, expected_grads = layer_by_layer(params, x, y, loss_function)
        assert torch.equal(there_and_back(), expected)
        for grad, witness in zip(grads.values(), expected_grads, strict=True):
            assert torch.equal(grad, witness)


def test_a_pass_does_not_change_what_it_reads():
    net = FullyConnectedNet([7, 5], 12, 4, seed=[1, 2], reg=0.1, dropout=0.2)
    x, y = normal(1, 6, 12, seed=0), torch.arange(6) % 4
    before = x.clone(), y.clone(), net.params.clone()
    net.prepare(x, y, net.params.zeros_like())()
    assert torch.equal(x, before[0]) and torch.equal(y, before[1])
    assert all(torch.equal(p, before[2][name]) for name, p in net.params.items())


def test_labels_of_another_type_could_not_be_read_in_place():
    with pytest.raises(ValueError, match="type torch.int32"):
        SoftmaxLoss(normal(4, 5, seed=0), torch.zeros(4, dtype=torch.int32))
