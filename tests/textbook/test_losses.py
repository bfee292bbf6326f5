"""The losses and their gradients, against autograd and against torch.nn.functional."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from fcsweep.gradcheck import compute_numeric_gradient, rel_error
from fcsweep.labels import balanced_weights
from fcsweep.losses import huber_loss, mse_loss, softmax_loss, svm_loss

WEIGHTS = torch.tensor([0.3, 1.0, 2.5, 0.1, 4.0], dtype=torch.float64)

LOSSES = {
    "softmax": (softmax_loss, functional.cross_entropy),
    "smoothed": (
        partial(softmax_loss, label_smoothing=0.3),
        partial(functional.cross_entropy, label_smoothing=0.3),
    ),
    "weighted": (
        partial(softmax_loss, class_weights=WEIGHTS),
        partial(functional.cross_entropy, weight=WEIGHTS),
    ),
    "weighted and smoothed": (
        partial(softmax_loss, class_weights=WEIGHTS, label_smoothing=0.3),
        partial(functional.cross_entropy, weight=WEIGHTS, label_smoothing=0.3),
    ),
    "svm": (svm_loss, lambda s, y: functional.multi_margin_loss(s, y) * s.shape[1]),
}


def scores_of(*shape):
    source = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=source, dtype=torch.float64)


@pytest.fixture(params=LOSSES)
def losses(request):
    return LOSSES[request.param]


def test_loss_and_gradient_agree_with_autograd(losses):
    ours, witness = losses
    scores, y = scores_of(7, 5).requires_grad_(), torch.tensor([0, 1, 2, 3, 4, 0, 4])
    with torch.no_grad():
        loss, dscores = ours(scores, y)
    expected = witness(scores, y)
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=0)
    (gradient,) = torch.autograd.grad(expected, scores)
    torch.testing.assert_close(dscores, gradient, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("shared", [False, True])
def test_each_trial_has_its_own_mean(losses, shared):
    ours, _ = losses
    scores, y = scores_of(3, 7, 5), torch.arange(21).reshape(3, 7) % 5
    y = y[:1] if shared else y
    loss, dscores = ours(scores, y)
    for k in range(3):
        alone, gradient = ours(scores[k], y[0 if shared else k])
        torch.testing.assert_close(loss[k], alone)
        torch.testing.assert_close(dscores[k], gradient)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_labels_of_any_integer_type(losses, dtype):
    ours, _ = losses
    scores, y = scores_of(4, 5), torch.tensor([0, 4, 2, 1])
    assert torch.equal(ours(scores, y.to(dtype))[0], ours(scores, y)[0])


def test_smoothing_of_each_trial():
    scores, y = scores_of(3, 7, 5), torch.arange(7) % 5
    smoothing = torch.tensor([0.0, 0.1, 0.9], dtype=torch.float64)
    loss, dscores = softmax_loss(scores, y, smoothing)
    for k, one in enumerate(smoothing.tolist()):
        alone, gradient = softmax_loss(scores[k], y, one)
        assert torch.equal(loss[k], alone) and torch.equal(dscores[k], gradient)
    with pytest.raises(ValueError, match=r"label_smoothing is 1; expected a number in \[0, 1\)"):
        softmax_loss(scores, y, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("smoothing", [0.0, torch.tensor([0.0, 0.1, 0.9])])
def test_weights_of_each_trial(smoothing, dtype):
    """Weights of 1 change no bit: a trial without any may share a stack with one that has some."""
    scores, y = scores_of(3, 7, 5).to(dtype), torch.arange(7) % 5
    ones = torch.ones(5, dtype=dtype)
    weights = torch.stack([ones, WEIGHTS.to(dtype), ones])
    loss, dscores = softmax_loss(scores, y, smoothing, weights)
    for k, weight in enumerate((None, weights[1], None)):
        own = smoothing if isinstance(smoothing, float) else smoothing[k].item()
        alone, gradient = softmax_loss(scores[k], y, own, weight)
        assert torch.equal(loss[k], alone) and torch.equal(dscores[k], gradient)


@pytest.mark.parametrize("y", [[0, 1, 1, 4, 4, 4, 2, 3], [0, 0, 0, 3]])
def test_balanced_weights_are_those_of_scikit_learn(y):
    there = np.unique(y)
    expected = compute_class_weight("balanced", classes=there, y=y)
    weights = balanced_weights(torch.tensor(y), 5)
    np.testing.assert_allclose(weights[there], expected, rtol=1e-15)
    assert weights.sum().item() == pytest.approx(expected.sum())


OF_NUMBERS = {
    "mse": (mse_loss, functional.mse_loss),
    "huber": (huber_loss, functional.huber_loss),
    "huber of 0.3": (
        partial(huber_loss, delta=0.3),
        partial(functional.huber_loss, delta=0.3),
    ),
}


@pytest.mark.parametrize("name", OF_NUMBERS)
@pytest.mark.parametrize("outputs", [1, 4])
def test_losses_of_numbers(name, outputs):
    ours, witness = OF_NUMBERS[name]
    scores, y = scores_of(3, 7, outputs) * 2, scores_of(7, outputs + 1)[:, :outputs]
    loss, dscores = ours(scores, y)
    for k in range(3):
        own = scores[k].clone().requires_grad_()
        expected = witness(own, y)
        torch.testing.assert_close(loss[k], expected.detach(), rtol=1e-12, atol=0)
        (gradient,) = torch.autograd.grad(expected, own)
        torch.testing.assert_close(dscores[k], gradient, rtol=1e-10, atol=1e-14)
        numeric = compute_numeric_gradient(lambda s: ours(s, y)[0], scores[k].clone())
        assert rel_error(numeric, dscores[k]) < 1e-6
    if outputs == 1:
        flat, _ = ours(scores, y.squeeze(-1))
        assert torch.equal(flat, loss)
        assert torch.equal(ours(scores[0], y.squeeze(-1))[0], loss[0])
    with pytest.raises(ValueError, match=r"y has shape \(6, 4\).*expected a number for each"):
        ours(scores, torch.zeros(6, 4))


def test_one_example(losses):
    ours, witness = losses
    scores, y = scores_of(1, 5), torch.tensor([3])
    torch.testing.assert_close(ours(scores, y)[0], witness(scores, y))


def test_softmax_of_huge_scores():
    scores = torch.tensor([[1e5, -1e5, 0.0], [1e5, 1e5, 1e5]])
    loss, dscores = softmax_loss(scores, torch.tensor([1, 0]))
    assert loss.item() == pytest.approx((2e5 + 1.0986123) / 2)
    expected = torch.tensor([[0.5, -0.5, 0], [-1 / 3, 1 / 6, 1 / 6]])
    torch.testing.assert_close(dscores, expected)


def test_svm_has_derivative_0_at_a_tie():
    scores = torch.tensor([[2.0, 1.0, 1.5]])  # margins -1 + 1 = 0 and 0.5
    loss, dscores = svm_loss(scores, torch.tensor([0]))
    assert loss.item() == 0.5
    assert dscores.tolist() == [[-1, 0, 1]]


def test_nothing_handed_in_is_changed(losses):
    ours, _ = losses
    scores, y = scores_of(4, 5).mT.contiguous().mT, torch.tensor([0, 4, 2, 1])
    before = scores.clone()
    ours(scores, y)
    assert torch.equal(scores, before)


WRONG_LABELS = [
    (torch.tensor([0.0, 1.0, 2.0, 0.5]), "has shape (4,) and type torch.float32", "use y.long()"),
    (torch.tensor([0, 4, 5, 9]), "y holds 9;", "expected classes from 0 to 4"),
    (torch.tensor([0, 4, -1, 2], dtype=torch.int8), "y holds -1;", "number the classes from 0"),
    (torch.tensor([[0], [4], [2], [1]]), "has shape (4, 1)", "shape (4,): use y.squeeze(-1)"),
    (torch.eye(5)[:4], "has shape (4, 5)", "if it is one-hot, use y.argmax(-1)"),
    (torch.zeros(3, dtype=torch.long), "has shape (3,)", "one integer for each of the 4 examples"),
    (torch.tensor(0), "has shape ()", "one integer for each of the 4 examples"),
    (torch.zeros(2, 4, dtype=torch.long), "has shape (2, 4)", "shape (4,)"),
]


@pytest.mark.parametrize("y, given, expected", WRONG_LABELS)
def test_labels_that_do_not_fit(losses, y, given, expected):
    with pytest.raises(ValueError) as error:
        losses[0](scores_of(4, 5), y)
    said = str(error.value)
    assert given in said and expected in said and "\n" not in said


def test_labels_of_a_stack_that_do_not_fit(losses):
    with pytest.raises(ValueError, match=r"shape \(2, 4\)"):
        losses[0](scores_of(3, 4, 5), torch.zeros(2, 4, dtype=torch.long))
    with pytest.raises(ValueError, match="y holds 5"):
        losses[0](scores_of(3, 4, 5), torch.tensor([[0, 1, 2, 5]]))
