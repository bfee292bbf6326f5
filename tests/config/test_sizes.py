"""What a config says of its run's size is what the run has."""

from dataclasses import asdict, fields

import pytest
import torch

from fcsweep import data
from fcsweep.accuracy import EVALUATION_ROWS
from fcsweep.config import (
    GROUPS,
    AdamConfig,
    Cifar10Config,
    DigitsConfig,
    FullyConnectedConfig,
    RunConfig,
    SklearnConfig,
    SolverConfig,
    TwoLayerConfig,
    flat,
    known_keys,
    sizes,
    typed,
)
from fcsweep.config.allowed import Measured
from fcsweep.data.choice import data_of, held_out_of, measured
from fcsweep.data.images.cifar10 import ROW
from fcsweep.data.images.mnist import SIDE
from fcsweep.nets import FullyConnectedNet
from fcsweep.optim import RULES
from fcsweep.run import run
from fcsweep.run.build import NO_CONSTANT, net_of, solver_of

FACTS = {"rule", "state_tensors", "rows", "inputs", "classes"}


OWN_RULES = {name: one for name, one in GROUPS["optimizer"].items() if name != "custom"}


@pytest.mark.parametrize("schema", OWN_RULES.values(), ids=OWN_RULES)
def test_an_optimizer_is_its_rule(schema):
    rule = RULES[schema.rule]
    assert schema.state_tensors == len(rule.state)
    constants = {spec.name: spec.default for spec in fields(schema) if spec.name not in NO_CONSTANT}
    assert constants == rule.constants


def test_every_rule_can_be_chosen():
    assert sorted(schema.rule for schema in OWN_RULES.values()) == sorted(RULES)


FILES = {name for name, one in data.SETS.items() if one.find}
TABLES = {name for name, schema in GROUPS["data"].items() if issubclass(schema, Measured)}


@pytest.mark.parametrize("name", sorted(GROUPS["data"].keys() - FILES - TABLES))
def test_a_data_set_is_as_its_schema_says(name):
    schema, loaded = GROUPS["data"][name], data.load(name)
    X_test, y_test = data.load_test(name)
    assert schema.published == (len(loaded.y_train), len(loaded.y_val), len(y_test))
    assert loaded.X_train.shape[1] == X_test.shape[1] == schema().inputs
    assert loaded.num_classes == schema.classes
    labels = torch.cat([loaded.y_train, loaded.y_val, y_test]).unique()
    assert labels.tolist() == list(range(schema.classes))


@pytest.mark.parametrize("name", sorted(GROUPS["data"].keys() - FILES - TABLES))
@pytest.mark.parametrize("share", [1e-6, 0.02, 0.5, 1 - 1e-6])
def test_a_share_of_the_training_images_validates(name, share):
    schema = GROUPS["data"][name](val_fraction=share)
    rows, both = schema.rows, sum(schema.published[:2])
    loaded = data_of(RunConfig(data=schema))
    assert rows == (len(loaded.y_train), len(loaded.y_val), schema.published.test)
    assert rows.train + rows.val == both and min(rows) >= 1
    assert abs(rows.val - share * both) <= 1


def test_few_training_rows_do_not_forbid_the_default_samples():
    data = DigitsConfig(val_fraction=0.5)
    assert typed(asdict(RunConfig(data=data))).data == data


def test_the_split_of_the_courses():
    assert Cifar10Config().rows == Cifar10Config(val_fraction=0.2).rows == (40_000, 10_000, 10_000)
    assert Cifar10Config(val_fraction=0.02).rows == (49_000, 1_000, 10_000)  # CS231n


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_set_with_files_is_as_its_schema_says(name):
    schema, published = GROUPS["data"][name], data.SETS[name]
    inputs = ROW if name == "cifar10" else SIDE**2
    assert schema.published == published.sizes
    assert (schema().inputs, schema.classes) == (inputs, published.classes)


def test_every_data_set_can_be_chosen():
    assert GROUPS["data"].keys() - TABLES == data.SETS.keys()


@pytest.mark.parametrize("name", sorted(TABLES - {"table", "custom"}))
def test_a_table_is_measured(name):
    asked = RunConfig(data=SklearnConfig(name=name), solver=SolverConfig(batch_size=50))
    if name == "diabetes":
        asked.model.loss_function, asked.objective = "mse", "rmse"
    config = measured(asked)
    loaded, (_, y_test) = data_of(config), held_out_of(config)
    assert config.data.rows == (len(loaded.y_train), len(loaded.y_val), len(y_test))
    assert (config.data.inputs, config.data.classes) == (
        loaded.X_train.shape[1],
        loaded.num_classes,
    )
    assert measured(config) is config


def test_a_fact_about_an_option_is_no_key_of_a_config():
    keys = {*known_keys(), *flat(asdict(RunConfig()))} - {"optimizer.rule"}  # of custom
    assert not {key.rpartition(".")[2] for key in keys} & FACTS


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "model",
    [
        TwoLayerConfig(),
        TwoLayerConfig(normalization="layer"),
        FullyConnectedConfig(hidden_dims=[30, 20, 7]),
        FullyConnectedConfig(hidden_dims=[30, 20, 7], normalization="batch"),
    ],
    ids=["two", "two, layer", "more", "more, batch"],
)
def test_a_net_has_the_parameters_that_are_counted(model, dtype):
    config = RunConfig(model=model, dtype=dtype)
    net = net_of([config], data_of(config), torch.device("cpu"))
    assert sizes.parameters(config) == sum(p.numel() for p in net.params.values())
    assert {p.element_size() for p in net.params.values()} == {sizes.itemsize(config)}
    assert isinstance(net, FullyConnectedNet)
    assert sizes.units(config) == list(net.params.dims)
    wide = sum(b.shape[-1] for _, b in net.params.layers)
    assert sizes.activations(config, 5) == 5 * wide


@pytest.mark.parametrize("val", [{"num_val": 25}, {"num_val_samples": 25}], ids=str)
def test_the_numbers_that_an_update_changes_are_counted(val):
    data = DigitsConfig(num_train=20, num_val=val.get("num_val"))
    solver = SolverConfig(batch_size=20, num_val_samples=val.get("num_val_samples"))
    config = RunConfig(data=data, solver=solver)
    for config.solver.first_layer in ("plain", "row_space"):
        solver = solver_of([config], data_of(config), torch.device("cpu"))
        assert sizes.rows_in_use(config) == (20, 25)
        assert sizes.trained(config) == sum(p.numel() for p in solver.model.params.values())
        assert sizes.parameters(config) == sum((i + 1) * o for i, o in ((64, 100), (100, 10)))


@pytest.mark.parametrize("num_train", [None, 90])
def test_a_run_has_the_steps_that_are_counted(tmp_path, num_train):
    config = RunConfig(
        optimizer=AdamConfig(),
        data=DigitsConfig(num_train=num_train),
        solver=SolverConfig(num_epochs=2, batch_size=40),
    )
    run(config, tmp_path)
    last = (tmp_path / "history.csv").read_text().splitlines()[-1]
    assert int(last.split(",")[1]) == sizes.steps(config, 2)
    assert sizes.steps(config, 4) == 2 * sizes.steps(config, 2)


def test_rows_are_scored_in_parts_of_the_counted_size():
    assert sizes.EVALUATION_ROWS == EVALUATION_ROWS
