"""Hints: a misspelt word, and the names that papers, courses and other libraries use."""

import pytest

from fcsweep.config import GROUPS, known_keys
from fcsweep.config.schemas import DTYPE, INITIALIZATION, LOSS, NORMALIZATION, OBJECTIVE
from fcsweep.messages.usual_names import ours
from fcsweep.messages.wording import nearest
from fcsweep.search.settings import PRUNERS, SAMPLERS, OptunaSweeperConf

KEYS = list(known_keys())


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("lr", "optimizer.learning_rate"),
        ("solver.lr", "optimizer.learning_rate"),
        ("model.l2", "model.reg"),
        ("weight_decay", "model.reg"),
        ("n_epochs", "solver.num_epochs"),
        ("bs", "solver.batch_size"),
        ("model.hidden_sizes", "model.hidden_dims"),
        ("dropout-rate", "model.dropout"),
        ("validation_ratio", "data.val_fraction"),
        ("opt", "optimizer"),
        ("gpu", "device"),
        ("betas", "optimizer.beta1"),
        ("EPS", "optimizer.epsilon"),
        ("init_std", "model.weight_scale"),
        ("Seed", "seed"),
        ("batch_sizes", "solver.batch_size"),  # by its letters
        ("keep_prob", None),  # the opposite of dropout
        ("nonlinearity", "model.activation"),
        ("pooling", None),
    ],
)
def test_a_key(word, meant):
    assert nearest(word, KEYS) == meant


@pytest.mark.parametrize(
    ("word", "options", "meant"),
    [
        ("momentum_sgd", GROUPS["optimizer"], "momentum"),
        ("SGD", GROUPS["optimizer"], "sgd"),
        ("RMS_prop", GROUPS["optimizer"], "rmsprop"),
        ("mlp", GROUPS["model"], "fully_connected"),
        ("CIFAR-10", GROUPS["data"], "cifar10"),
        ("fashion", GROUPS["data"], "fashion_mnist"),
        ("asha", PRUNERS, "successive_halving"),
        ("bayes", SAMPLERS, "tpe"),
        ("test_accuracy", OBJECTIVE.words, "val_accuracy"),
        ("cross_entropy", LOSS.words, "softmax"),
        ("double", DTYPE.words, "float64"),
    ],
)
def test_an_option_or_a_value(word, options, meant):
    assert nearest(word, options) == meant


def test_of_two_keys_the_one_of_the_same_group():
    assert nearest("second.lr", ["first.learning_rate", "second.learning_rate"]) == (
        "second.learning_rate"
    )


def test_of_groups_without_the_key_the_one_that_is_alike():
    folders = ["hydra.run.dir", "hydra.sweep.dir"]
    assert nearest("hydra.sweeper.dir", folders) == nearest("hydra.swep.dir", folders) == folders[1]


def test_every_name_that_is_offered_is_there():
    from fcsweep.messages.usual_names import _USUAL

    here = {key.rpartition(".")[2] for key in KEYS} | {*PRUNERS, *SAMPLERS, "cuda"}
    here |= {option for options in GROUPS.values() for option in options}
    here |= {
        *OBJECTIVE.words,
        *LOSS.words,
        *DTYPE.words,
        *INITIALIZATION.words,
        *NORMALIZATION.words,
        *vars(OptunaSweeperConf),
    }
    assert set(_USUAL) <= here
    assert ours("GPU") == ["gpu", "device", "cuda"]
