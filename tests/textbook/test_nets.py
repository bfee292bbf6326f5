"""Nets: gradients against autograd and central differences, initial weights, save and load."""

from itertools import combinations

import pytest
import torch
from torch.nn import functional

from fcsweep.accuracy import evaluate_on
from fcsweep.gradcheck import compute_numeric_gradient, rel_error
from fcsweep.nets import FullyConnectedNet, TwoLayerNet

DOUBLE = torch.float64
SHAPE = (3, 2, 2)
INPUTS = 12


def batch(n=6, classes=4):
    source = torch.Generator().manual_seed(1)
    X = torch.randn(n, *SHAPE, generator=source, dtype=DOUBLE)
    return X, torch.arange(n) % classes


def net(hidden=(7, 5), classes=4, **options):
    made = FullyConnectedNet(
        hidden, INPUTS, classes, weight_scale=0.5, seed=3, dtype=DOUBLE, **options
    )
    source = torch.Generator().manual_seed(2)
    for name, p in made.params.items():
        if name.startswith("b"):  # a bias of 0 would put dead units on the kink
            made.params[name] = torch.randn(p.shape, generator=source, dtype=DOUBLE)
    return made


def two_layer(**options):
    return TwoLayerNet(INPUTS, 7, 4, weight_scale=0.5, dtype=DOUBLE, seed=3, **options)


ACTIVATIONS = {
    "relu": torch.relu,
    "leaky_relu": functional.leaky_relu,
    "tanh": torch.tanh,
    "gelu": functional.gelu,
}


NORMALIZATIONS = {
    "none": lambda x, params, layer: x,
    "batch": lambda x, params, layer: functional.batch_norm(
        x, None, None, params[f"gamma{layer}"], params[f"beta{layer}"], training=True
    ),
    "layer": lambda x, params, layer: functional.layer_norm(
        x, x.shape[1:], params[f"gamma{layer}"], params[f"beta{layer}"]
    ),
}


def reference(model, X, y, l2, loss_function="softmax"):
    """The loss by autograd's own operations."""
    params = {name: model.params[name].clone().requires_grad_() for name in model.params.shapes}
    hidden, layers = X.flatten(1), len(model.params.layers)
    for layer in range(1, layers + 1):
        hidden = hidden @ params[f"W{layer}"] + params[f"b{layer}"]
        if layer < layers:
            hidden = NORMALIZATIONS[model.normalization](hidden, params, layer)
            hidden = ACTIVATIONS[model.activation](hidden)
    loss = (
        functional.cross_entropy(hidden, y)
        if loss_function == "softmax"
        else functional.multi_margin_loss(hidden, y) * hidden.shape[1]
    )
    loss = loss + l2 * sum((p**2).sum() for name, p in params.items() if name.startswith("W"))
    grads = torch.autograd.grad(loss, list(params.values()))
    return loss, dict(zip(params, grads, strict=True))


def is_without_effect(name, model):
    """Whether a batch norm takes a bias out again."""
    hidden = [f"b{layer}" for layer in range(1, len(model.params.layers))]
    return model.normalization == "batch" and name in hidden


CASES = {
    "plain": (lambda: net(), 0.0, "softmax"),
    "five layers": (lambda: net((6, 5, 4, 3)), 0.0, "softmax"),
    "leaky_relu": (lambda: net(reg=0.3, activation="leaky_relu"), 0.15, "softmax"),
    "tanh": (lambda: net(reg=0.3, activation="tanh"), 0.15, "softmax"),
    "gelu": (lambda: net(reg=0.3, activation="gelu"), 0.15, "softmax"),
    "two_layer gelu": (lambda: two_layer(activation="gelu"), 0.0, "softmax"),
    "reg": (lambda: net(reg=0.3), 0.15, "softmax"),
    "svm": (lambda: net(reg=0.1, loss_function="svm"), 0.05, "svm"),
    "two_layer": (lambda: two_layer(reg=0.3), 0.3, "softmax"),
    "two_layer of CS231n": (lambda: two_layer(reg=0.3, l2_factor=0.5), 0.15, "softmax"),
    "l2_factor": (lambda: net(reg=0.3, l2_factor=2), 0.6, "softmax"),
    "l2_factor 0": (lambda: net(reg=0.3, l2_factor=0), 0.0, "softmax"),
    "batch": (lambda: net(reg=0.3, normalization="batch"), 0.15, "softmax"),
    "layer": (lambda: net(reg=0.3, normalization="layer"), 0.15, "softmax"),
    "batch, tanh": (lambda: net(normalization="batch", activation="tanh"), 0.0, "softmax"),
    "layer, gelu": (lambda: two_layer(normalization="layer", activation="gelu"), 0.0, "softmax"),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_agree_with_autograd(name):
    make, l2, loss_function = CASES[name]
    model, (X, y) = make(), batch()
    loss, grads = model.loss(X, y)
    expected, witness = reference(model, X, y, l2, loss_function)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-10, atol=0)
    assert grads.keys() == model.params.shapes.keys()
    for key, grad in grads.items():
        if is_without_effect(key, model):
            assert max(grad.abs().max(), witness[key].abs().max()) < 1e-14
            continue
        assert rel_error(grad, witness[key]) < 1e-8, key


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reg": 0.5},
        {"dropout": 0.4},
        {"loss_function": "svm"},
        {"label_smoothing": 0.3},
        {"class_weights": [0.5, 1, 2, 3], "label_smoothing": 0.3},
        {"activation": "leaky_relu"},
        {"activation": "tanh", "dropout": 0.4},
        {"activation": "gelu", "dropout": 0.4},
        {"input_dropout": 0.4},
        {"normalization": "batch", "dropout": 0.2, "reg": 0.1, "input_dropout": 0.3},
        {"normalization": "layer", "activation": "tanh", "dropout": 0.2},
    ],
)
def test_gradients_agree_with_central_differences(options):
    model, (X, y) = net(**options), batch()
    _, grads = model.loss(X, y)
    for name in grads.keys() - {one for one in grads if is_without_effect(one, model)}:
        numeric = compute_numeric_gradient(lambda _: model.loss(X, y)[0], model.params[name])
        assert rel_error(numeric, grads[name]) < 1e-6, name


def test_initial_weights():
    model = FullyConnectedNet([300, 200], 400, 10, weight_scale=0.02, seed=5)
    source = torch.Generator().manual_seed(5)
    expected = torch.randn(400, 300, generator=source) * 0.02
    torch.testing.assert_close(model.params["W1"], expected)
    for name, p in model.params.items():
        if name.startswith("W"):
            assert p.std().item() == pytest.approx(0.02, rel=0.05)
        else:
            assert not p.any()


def test_initializations():
    names = [None, "kaiming", "xavier"]
    stack = FullyConnectedNet(
        [300], 400, 10, weight_scale=0.5, initialization=names, seed=5, dtype=DOUBLE
    )
    plain = FullyConnectedNet([300], 400, 10, weight_scale=1.0, seed=5, dtype=DOUBLE).params
    for layer, i, o in (("W1", 400, 300), ("W2", 300, 10)):
        deviations = (0.5, (2 / i) ** 0.5, (2 / (i + o)) ** 0.5)
        for w, name, deviation in zip(stack.params[layer], names, deviations, strict=True):
            alone = FullyConnectedNet(
                [300], 400, 10, weight_scale=0.5, initialization=name, seed=5, dtype=DOUBLE
            )
            assert torch.equal(w, alone.params[layer])
            assert torch.equal(w, plain[layer] * deviation)


def test_without_a_seed_weights_come_from_torch():
    def drawn():
        return TwoLayerNet(5, 4, 3).params["W1"].clone()

    torch.manual_seed(7)
    first = drawn()
    assert not torch.equal(first, drawn())
    torch.manual_seed(7)
    assert torch.equal(first, drawn())


def test_initial_loss_is_that_of_guessing():
    X, y = torch.randn(50, 3072), torch.arange(50) % 10
    loss, _ = TwoLayerNet(seed=0).loss(X, y)
    assert loss.item() == pytest.approx(2.302585, abs=0.01)


def test_scores_are_those_of_test_mode():
    model, (X, _) = net(dropout=0.5), batch()
    plain = net()
    torch.testing.assert_close(model.loss(X), plain.loss(X))
    assert model.loss(X).shape == (6, 4)


def test_each_step_has_dropout_masks_of_its_own():
    model, (X, y) = net(dropout=0.5), batch()
    first, again = model.loss(X, y)[0], model.loss(X, y)[0]
    assert torch.equal(first, again)
    assert not torch.equal(first, model.loss(X, y, step=1)[0])


def test_a_stack_is_its_trials():
    options = {"weight_scale": [0.1, 0.2, 0.5], "reg": [0.0, 0.3, 0.1], "dropout": [0.0, 0.2, 0.5]}
    options["input_dropout"] = [0.3, 0.0, 0.6]
    seeds = [4, 5, 4]
    stack = FullyConnectedNet([7, 5], INPUTS, 4, seed=seeds, dtype=DOUBLE, **options)
    X, y = batch()
    loss, grads = stack.loss(X.unsqueeze(0), y)
    for k in range(3):
        own = {name: values[k] for name, values in options.items()}
        alone = FullyConnectedNet([7, 5], INPUTS, 4, seed=seeds[k], dtype=DOUBLE, **own)
        expected, expected_grads = alone.loss(X, y)
        torch.testing.assert_close(loss[k], expected)
        for name, grad in expected_grads.items():
            torch.testing.assert_close(grads[name][k], grad)


@torch.inference_mode()
def test_dropped_inputs_are_zero_and_the_others_larger():
    """In training alone; each trial and each step drops others, of any form of an example."""
    options = {"input_dropout": [0.25, 0.25, 0.0], "seed": [1, 2, 3], "dtype": DOUBLE}
    stack = FullyConnectedNet([7], 400, 4, **options)
    plain = FullyConnectedNet([7], 400, 4, **(options | {"input_dropout": 0.0}))
    X, y = torch.ones(1, 50, 400, dtype=DOUBLE), torch.arange(50) % 4
    assert torch.equal(stack.scores(X), plain.scores(X))
    inputs = [stack._dropped(X, step) for step in (0, 0, 1)]
    assert torch.equal(inputs[0], inputs[1])
    drawn = [*inputs[0][:2], *inputs[2][:2]]
    assert not any(torch.equal(one, other) for one, other in combinations(drawn, 2))
    for one in drawn:
        assert set(one.unique().tolist()) == {0, 1 / 0.75}
        assert abs(one.mean() - 1) < 0.02
    assert torch.equal(inputs[0][2], X[0])
    images = stack.loss(X.view(1, 50, 4, 10, 10), y)[0]
    assert torch.equal(images, stack.loss(X, y)[0])
    assert torch.equal(images[2], plain.loss(X, y)[0][2]) and (images != plain.loss(X, y)[0])[0]


def test_the_rest_of_a_stack_stays():
    stack = FullyConnectedNet(
        [7],
        INPUTS,
        4,
        weight_scale=[0.1, 0.2, 0.5],
        seed=[1, 2, 3],
        reg=0.1,
        input_dropout=[0.1, 0.2, 0.3],
    )
    X, y = batch()
    before = stack.loss(X.unsqueeze(0), y)[0]
    stack.keep([0, 2])
    assert torch.equal(stack.loss(X.unsqueeze(0), y)[0], before[[0, 2]])


def test_reg_and_dropout_may_be_set_later():
    """The courses' notebooks do so."""
    X, y = batch()
    later, given = net(), net(reg=0.3, dropout=0.4)
    later.reg, later.dropout = 0.3, 0.4
    for one, other in zip(later.loss(X, y)[1].values(), given.loss(X, y)[1].values(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(ValueError, match="expected a probability"):
        later.dropout = 1.5


def test_setting_a_parameter_copies_it():
    model = two_layer()
    given = torch.ones(INPUTS, 7, dtype=DOUBLE)
    model.params["W1"] = given
    assert torch.equal(model.params["W1"], given)
    given += 1
    assert model.params["W1"].max() == 1
    with pytest.raises(ValueError, match=r"W1 is \(2, 2\); expected \(12, 7\)"):
        model.params["W1"] = torch.ones(2, 2)
    with pytest.raises(KeyError, match="W3"):
        model.params["W3"] = given


def test_setting_all_parameters_copies_them():
    model, other = two_layer(), TwoLayerNet(INPUTS, 7, 4, seed=8, dtype=DOUBLE)
    held = model.params
    given = {name: p.numpy().copy() for name, p in other.params.items()}
    model.params = {name: torch.from_numpy(values) for name, values in given.items()}
    assert model.params is held
    for name, p in other.params.items():
        assert torch.equal(model.params[name], p)
        given[name] += 1
        assert torch.equal(model.params[name], p)
    with pytest.raises(ValueError, match=r"W1 is \(12, 9\); expected \(12, 7\)"):
        model.params = TwoLayerNet(INPUTS, 9, 4).params
    with pytest.raises(ValueError, match=r"parameters are \['W1'\]; expected \['W1', 'b1'"):
        model.params = {"W1": held["W1"]}


@pytest.mark.parametrize("trials", [None, [1, 2]])
def test_save_and_load(tmp_path, trials):
    model = FullyConnectedNet([7], INPUTS, 4, seed=trials or 1)
    model.save(tmp_path / "net.safetensors")
    other = FullyConnectedNet([7], INPUTS, 4, seed=trials and [8, 9])
    other.load(tmp_path / "net.safetensors")
    for name, p in model.params.items():
        assert torch.equal(p, other.params[name])


def test_load_refuses_another_shape(tmp_path):
    FullyConnectedNet([7], INPUTS, 4).save(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=r"W1 is \(12, 7\); expected \(12, 8\)"):
        FullyConnectedNet([8], INPUTS, 4).load(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="expected"):
        FullyConnectedNet([7, 7], INPUTS, 4).load(tmp_path / "net.safetensors")


def test_nothing_handed_in_is_changed():
    model, (X, y) = net(dropout=0.2, reg=0.1), batch()
    before = X.clone(), y.clone(), {name: p.clone() for name, p in model.params.items()}
    model.loss(X, y)
    assert torch.equal(X, before[0]) and torch.equal(y, before[1])
    assert all(torch.equal(p, before[2][name]) for name, p in model.params.items())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.bool])
def test_labels_of_any_integer_type(dtype):
    model, (X, y) = net(classes=2), batch(classes=2)
    assert torch.equal(model.loss(X, y.to(dtype))[0], model.loss(X, y)[0])


@pytest.mark.parametrize(
    "y, words",
    [
        (torch.full((6,), 0.5), "type torch.float32; expected one integer for each"),
        (torch.tensor([0, 1, 2, 3, 4, 0]), "y holds 4; expected classes from 0 to 3"),
        (torch.tensor([0, 1, 2, 3, -1, 0]), "y holds -1; expected classes from 0 to 3"),
        (torch.zeros(6, 1, dtype=torch.long), "use y.squeeze(-1)"),
        (torch.eye(6, 4), "use y.argmax(-1)"),
    ],
)
@pytest.mark.parametrize("trials", [(), (3,)], ids=str)
def test_labels_that_do_not_fit(y, words, trials):
    model, (X, _) = net(reg=[0.1] * 3 if trials else 0.1), batch()
    with pytest.raises(ValueError) as error:
        model.loss(X.unsqueeze(0) if trials else X, y)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"loss_function": "hinge"}, "expected one of ['softmax', 'svm', 'mse', 'huber']"),
        ({"activation": "elu"}, "expected one of ['relu', 'leaky_relu', 'tanh', 'gelu']"),
        ({"normalization": "group"}, "expected one of ['none', 'batch', 'layer']"),
        ({"initialization": "he"}, "expected one of ['kaiming', 'xavier'], or None for weight_sc"),
        ({"initialization": ["xavier"] * 2, "reg": [0.1] * 3}, "expected one number of trials"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0; expected a number in [0, 1)"),
        (
            {"label_smoothing": 0.1, "loss_function": "svm"},
            "label_smoothing is 0.1; expected 0, or softmax as the loss",
        ),
        (
            {"class_weights": [1, 2]},
            "class_weights is [1, 2]; expected a number >= 0 for each of 10",
        ),
        ({"class_weights": [-1] * 10}, "expected a number >= 0 for each of 10 classes"),
        (
            {"class_weights": [1] * 10, "loss_function": "svm"},
            "expected None, or softmax as the loss",
        ),
        ({"dropout": 1.0}, "expected a probability in [0, 1)"),
        ({"input_dropout": [0.5, -0.1]}, "input_dropout is [0.5, -0.1]; expected a prob"),
        ({"hidden_dims": []}, "expected hidden layers"),
        ({"l2_factor": -1}, "l2_factor is -1; expected a number >= 0"),
        ({"reg": [0.1, 0.2], "dropout": [0.1] * 3}, "expected one number of trials"),
    ],
)
def test_refuses(options, words):
    with pytest.raises(ValueError) as error:
        FullyConnectedNet(**{"hidden_dims": [3], **options})
    assert words in str(error.value)


def test_the_validation_loss_is_plain_cross_entropy():
    X, y = batch()
    plain = net()
    softened = net(class_weights=[0.5, 1, 2, 3], label_smoothing=0.3, reg=0.1)
    losses = [evaluate_on(X, y, model, with_loss=True).loss for model in (plain, softened)]
    assert torch.equal(*losses)
    torch.testing.assert_close(losses[0], functional.cross_entropy(plain.loss(X), y))
