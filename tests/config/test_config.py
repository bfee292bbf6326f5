"""Schemas, the door `typed`, reading a saved config as data, and every file of ``conf/``."""

import ast
import inspect
import math
import os
import time
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from fcsweep.composition.loader import conf_dir
from fcsweep.config import (
    GROUPS,
    Cifar10Config,
    DigitsConfig,
    FullyConnectedConfig,
    ImagesConfig,
    MomentumConfig,
    RunConfig,
    SklearnConfig,
    SolverConfig,
    TableConfig,
    TorchConfig,
    TwoLayerConfig,
    data_sets,
    differences,
    flat,
    optimizers,
    read,
    schemas,
    sizes,
    typed,
)
from fcsweep.config.allowed import (
    ColumnName,
    ColumnNames,
    Counts,
    Device,
    FilePath,
    ImportPath,
    Keywords,
    Measured,
    Numbers,
    Range,
    Rows,
    Several,
    Sizes,
    Words,
)
from fcsweep.config.check import LINEAR
from fcsweep.config.fields import MISSING as REQUIRED
from fcsweep.messages.errors import ConfigError
from fcsweep.objectives import OBJECTIVES

SCHEMAS = list(dict.fromkeys(s for options in GROUPS.values() for s in options.values()))
SPECS = {
    f"{schema.__name__}.{spec.name}": spec
    for schema in [*SCHEMAS, RunConfig]
    for spec in fields(schema)
    if spec.metadata
}


def saved(**changes: Any) -> dict[str, Any]:
    """The default config as a mapping, with some dotted keys (``__`` for the dot) changed."""
    config = asdict(RunConfig())
    for key, value in changes.items():
        *groups, name = key.split("__")
        section = config[groups[0]] if groups else config
        section[name] = value
    return config


# --- The schemas ----------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_default_is_allowed(spec):
    default = spec.default_factory() if spec.default is MISSING else spec.default
    if default == REQUIRED:
        return
    optional = spec.metadata["optional"]
    assert default in spec.metadata["allowed"] or (default is None and optional)
    assert optional == ("None" in spec.type)


def test_every_key_says_what_it_is_for():
    text = "\n".join(map(inspect.getsource, (schemas, optimizers, data_sets)))
    classes = [n for n in ast.parse(text).body if isinstance(n, ast.ClassDef)]
    silent = [
        f"{cls.name}.{key.target.id}"
        for cls in classes
        for key, after in zip(cls.body, [*cls.body[1:], None], strict=True)
        if isinstance(key, ast.AnnAssign)
        and isinstance(key.target, ast.Name)
        and key.target.id not in {"name", *GROUPS}
        and not ast.unparse(key.annotation).startswith("ClassVar")
        and not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant))
    ]
    schemas_of_no_option = {"ImagesConfig", "RunConfig"}
    assert len(classes) == len(SCHEMAS) + len(schemas_of_no_option)
    assert silent == []


def test_what_may_differ_within_a_stack_is_marked():
    marked = {spec.name for spec in SPECS.values() if spec.metadata["per_trial"]}
    constants = {"momentum", "decay_rate", "epsilon", "beta1", "beta2", "weight_decay"}
    rates = {"weight_scale", "learning_rate", "reg", "dropout", "lr_decay", "seed"}
    rates |= {
        "input_dropout",
        "label_smoothing",
        "class_weights",
        "clip_norm",
        "schedule",
        "decay_every",
        "warmup",
        "patience",
    }
    assert marked == constants | rates | {"constants", "kwargs", "initialization"}


def test_the_course_has_these_defaults():
    config = RunConfig()
    assert config.model == TwoLayerConfig("two_layer", [100], 1e-3, 0.0, "softmax")
    assert FullyConnectedConfig().weight_scale == 1e-2
    assert MomentumConfig() == MomentumConfig("momentum", 1e-2, 0.9)
    assert (config.solver.batch_size, config.solver.num_train_samples) == (100, 1000)
    assert DigitsConfig.published == (1397, 200, 200)
    assert Cifar10Config.published == (40_000, 10_000, 10_000)


# --- What is allowed ------------------------------------------------------------------------------

ALLOWED = [
    (Range(0, open_low=True), [1e-300, 1, 2.5], [0, -1, math.nan, math.inf, "1", True, None]),
    (Range(0), [0, 0.0, 1e308], [-1e-300, -math.inf, 10**400, [1]]),
    (Range(0, 1, open_high=True), [0, 0.999], [1, 1.0, -0.1]),
    (Range(0, 1, open_low=True), [1e-9, 1], [0, 1.0000001]),
    (Range(1, whole=True), [1, 10**30], [0, 1.0, "1", True, 10**400]),
    (Range(0, 2**32, open_high=True, whole=True), [0, 2**32 - 1], [2**32, -1, 0.0]),
    (Words(("softmax", "svm")), ["svm"], ["SVM", "", None, 1]),
    (Sizes(), [[1], [3, 5]], [[], [0], [1.0], [True], 5, "5", None, (5,)]),
    (Sizes(single=True), [[7]], [[7, 7], []]),
    (
        Device(),
        ["auto", "cpu", "cuda", "cuda:0", "cuda:12"],
        ["gpu", "cuda:", "cuda:x", "cuda:01", 0, "CPU", "cpu ", "cuda:99999"],
    ),
    (FilePath(), ["/a b/c", "x"], ["", "  ", 5, None, "a\0b"]),
]


@pytest.mark.parametrize(("allowed", "good", "bad"), ALLOWED, ids=lambda value: str(value)[:30])
def test_what_is_allowed(allowed, good, bad):
    assert [value for value in good if value not in allowed] == []
    assert [value for value in bad if value in allowed] == []


# --- The door -------------------------------------------------------------------------------------


def test_typed_gives_back_what_was_saved():
    assert typed(saved()) == RunConfig()


def test_typed_leaves_its_argument_alone():
    data = saved(model__hidden_dims=[7])
    config = typed(data)
    assert isinstance(config.model, TwoLayerConfig)
    config.model.hidden_dims.append(8)
    assert data == saved(model__hidden_dims=[7])


def test_a_whole_number_becomes_a_float():
    rate = typed(saved(optimizer__learning_rate=1)).optimizer.learning_rate
    assert rate == 1.0
    assert isinstance(rate, float)


def test_a_path_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = {"name": "cifar10", "root": "my files/cifar"}
    config = typed(saved() | {"data": data})
    assert asdict(config)["data"]["root"] == str(tmp_path / "my files" / "cifar")


def test_a_key_that_is_not_there_has_its_default():
    short = {group: {"name": saved()[group]["name"]} for group in GROUPS}
    assert typed(short) == RunConfig()


def test_an_option_may_have_the_schema_of_another():
    data = saved() | {"model": {"name": "five_layer", "hidden_dims": [5, 4, 3, 2]}}
    assert typed(data).model == FullyConnectedConfig("five_layer", [5, 4, 3, 2])


def test_hydras_own_node_is_passed_over():
    cfg = OmegaConf.create(saved() | {"hydra": {"job": "${nothing}"}})
    assert typed(cfg) == RunConfig()


def test_interpolations_are_resolved():
    cfg = OmegaConf.create(saved(model__reg="${optimizer.learning_rate}"))
    assert typed(cfg).model.reg == 0.01


REFUSED = [
    (saved(extra=1), "unknown key extra (given 1); expected one of model, optimizer"),
    (
        saved(model__extra={"a": 2}),
        "unknown key model.extra.a (given 2); expected one of hidden_dims",
    ),
    (
        saved(optimizer__lr=0.1),
        "unknown key optimizer.lr (given 0.1); did you mean optimizer.learning_rate",
    ),
    (saved(model__num_epochs=3), "did you mean solver.num_epochs, a whole number >= 1?"),
    (
        saved(model__weigth_scale=1e-3),
        "unknown key model.weigth_scale (given 0.001); did you mean model.weight_scale, a number",
    ),
    (saved(optimizer__beta1=0.5), "for optimizer=sgd; it belongs to adam"),
    (saved(model=3), "model is 3; expected a mapping with a name, one of two_layer, three_layer"),
    (saved(model=None), "model is null; expected a mapping"),
    (saved(data__name="digit"), "data.name is 'digit'; expected one of digits, cifar10, synthetic"),
    (saved(data__name=["digits"]), "data.name is ['digits']; expected one of digits"),
    (saved(solver__num_epochs=None), "solver.num_epochs is null; expected a whole number >= 1"),
    (saved(target=0), "target is 0; expected a number in (0, 1] or null"),
    (saved(model__reg="0.1"), "model.reg is '0.1'; expected a number >= 0"),
    (saved(seed=True), "seed is true; expected a whole number in [0, 2**32)"),
    (saved(dtype="float64 "), "did you mean float64?"),
    (saved(objective="val_acc"), "r2; did you mean val_accuracy?"),
    (saved(device="gpu"), "device is 'gpu'; expected auto, cpu, cuda or cuda:N"),
    (saved(model__weight_scale=-1), "model.weight_scale is -1; expected a number > 0"),
    (saved(model__weight_scale=math.inf), "model.weight_scale is inf; expected a number > 0"),
    (saved(model__weight_scale=None), "model.weight_scale is null; expected a number > 0"),
    (saved(optimizer__learning_rate=True), "learning_rate is true; expected a number > 0"),
    (saved(optimizer={"name": "momentum", "momentum": 1}), "is 1; expected a number in [0, 1)"),
    (saved(model__label_smoothing=1), "is 1; expected a number in [0, 1)"),
    (saved(model__normalization="batchnorm"), "none, batch, layer; did you mean batch?"),
    (
        saved(model__normalization="batch", solver__batch_size=1),
        "solver.batch_size is 1; expected at least 2 with model.normalization=batch",
    ),
    (
        saved(model__label_smoothing=0.1, model__loss_function="svm"),
        "model.label_smoothing is 0.1; expected 0 with model.loss_function=svm",
    ),
    (
        saved(model__class_weights="balanced", model__loss_function="svm"),
        "model.class_weights is balanced; expected none with model.loss_function=svm",
    ),
    (
        saved(
            solver__first_layer="row_space",
            optimizer={"name": "adam"},
            data={"name": "synthetic", "num_train": 200},
        ),
        "first_layer is row_space; expected plain with optimizer=adam, as only the steps of sgd",
    ),
    (
        saved(
            solver__first_layer="row_space",
            data={"name": "synthetic", "num_train": 200},
            model={"name": "fully_connected", "input_dropout": 0.2},
        ),
        "first_layer is row_space; expected plain with model.input_dropout=0.2, as coordinates",
    ),
    (
        saved(solver__first_layer="row_space", data__num_train=100, solver__num_val_samples=34),
        "plain, as 100 training and 34 validation rows are not fewer than the 64 inputs of digits",
    ),
    (saved(data__val_fraction=0), "data.val_fraction is 0; expected a number in (0, 1) or null"),
    (
        saved(data__val_fraction=0.5, data__num_train=800),
        "data.num_train is 800; expected at most 799, the training rows of digits",
    ),
    (saved(solver__lr_decay=0), "solver.lr_decay is 0; expected a number in (0, 1]"),
    (saved(target=2), "target is 2; expected a number in (0, 1] or null"),
    (saved(solver__num_epochs=1.5), "solver.num_epochs is 1.5; expected a whole number >= 1"),
    (saved(solver__num_epochs=0), "solver.num_epochs is 0; expected a whole number >= 1"),
    (saved(model__hidden_dims=[5, 6]), "is [5, 6]; expected a list of one"),
    (saved(model={"name": "three_layer", "hidden_dims": []}), "is []; expected a list of whole"),
    (saved(model={"name": "three_layer", "hidden_dims": [50]}), "expected 2 sizes for three_layer"),
    (saved(solver__batch_size=1398), "expected at most 1397, the training rows of digits"),
    (saved(data__num_train=99), "solver.batch_size is 100; expected at most 99, the value of data"),
    (
        saved(data__components=65),
        "data.components is 65; expected at most 64, the pixels of an image",
    ),
    (saved(data__whiten=0.0), "data.whiten is 0.0; expected a number > 0 or null"),
    (saved(data__num_val=201), "data.num_val is 201; expected at most 200, the validation rows"),
    (saved(solver__num_train_samples=1398), "solver.num_train_samples is 1398; expected at most"),
    (saved(solver__num_val_samples=201), "solver.num_val_samples is 201; expected at most 200"),
    ({1: 2}, "unknown key 1 (given 2)"),
    (OmegaConf.create(saved(seed="${nothing}")), "seed has no value: Interpolation key 'nothing'"),
    (OmegaConf.create(saved(seed="???")), "seed is missing; expected a whole number in [0, 2**32)"),
]


@pytest.mark.parametrize(("data", "words"), REFUSED, ids=[words[:40] for _, words in REFUSED])
def test_what_typed_refuses(data, words):
    with pytest.raises(ConfigError) as error:
        typed(data)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_sampling_more_rows_than_are_in_use_is_no_mistake():
    """`data.num_train=50` alone must not ask for `solver.num_train_samples` as well."""
    config = typed(saved(data__num_train=50, solver__batch_size=25))
    assert config.solver.num_train_samples == 1000


# --- Round trips ----------------------------------------------------------------------------------


def values(allowed: Any) -> st.SearchStrategy[Any]:
    """Whatever a kind allows."""
    match allowed:
        case Range(whole=True):
            return st.integers(int(allowed.low), int(allowed.high or 10**12) - 1)
        case Range():
            return st.floats(
                allowed.low,
                allowed.high,
                exclude_min=allowed.open_low,
                exclude_max=allowed.open_high,
                allow_nan=False,
                allow_infinity=False,
            )
        case Words():
            return st.sampled_from(allowed.words)
        case Several():
            return st.lists(st.sampled_from(allowed.words), unique=True)
        case Sizes():
            return st.lists(st.integers(1, 10**6), min_size=1, max_size=1 if allowed.single else 5)
        case Device():
            return st.sampled_from(["auto", "cpu", "cuda", "cuda:3"])
        case ImportPath():
            return st.sampled_from(["rules:mine", "a.b_1.c:f"])
        case Numbers():
            finite = st.floats(allow_nan=False, allow_infinity=False)
            return st.dictionaries(st.sampled_from(["beta", "nu", "_x"]), finite)
        case Keywords():
            words = st.sampled_from(["deep", "0.1", "null"])
            word = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1, 1) | words
            return st.dictionaries(st.sampled_from(["width", "_x"]), word | st.lists(word))
        case ColumnName():
            return st.sampled_from(["label", "0", "size, in cm"])
        case ColumnNames():
            return st.lists(st.sampled_from(["label", "0", "size, in cm"]), max_size=2)
        case Counts():
            return st.fixed_dictionaries(
                {key: st.integers(1, 10**9) for key in (*Rows._fields, "inputs", "classes")}
            )
        case _:
            # What YAML cannot hold (lone surrogates, some control characters) no path holds either.
            text = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=20)
            return text.map(lambda name: f"/{name}")


def options(schema: Any, name: str) -> st.SearchStrategy[Any]:
    keys = {
        spec.name: values(spec.metadata["allowed"])
        | (st.none() if spec.metadata["optional"] else st.nothing())
        for spec in fields(schema)
        if spec.metadata
    }
    return st.builds(schema, name=st.just(name), **keys)


def fitting(config: RunConfig) -> RunConfig:
    """The config with its counts cut to what the data have, and the depth that its model is."""
    data = config.data
    if isinstance(data, TableConfig | SklearnConfig):
        shares = [share / 2 for share in (data.val_fraction, data.test_fraction)]
        data = replace(data, val_fraction=shares[0], test_fraction=shares[1])
        data = replace(data, fold=data.fold % (data.folds or 1))
    if isinstance(data, TableConfig) and data.folds:
        data = replace(data, split_column=None, val_path=None)
    if isinstance(data, TableConfig) and data.split_column:
        data = replace(data, val_path=None, test_path=None)
    measured = not isinstance(data, Measured) or data.sizes is not None
    rows = data.rows if measured else Rows(10**9, 10**9, 0)
    depth = {"three_layer": 2, "five_layer": 4}.get(config.model.name)
    model = replace(config.model)
    if depth is not None and not isinstance(model, TorchConfig):
        model.hidden_dims = model.hidden_dims[:1] * depth
    of_numbers = ("mse", "huber")
    task = "regression" if measured and data.classes <= 1 else "classification"
    if measured and (model.loss_function in of_numbers) != (task == "regression"):
        model.loss_function = "mse" if task == "regression" else "softmax"
    if model.loss_function != "softmax":
        model.label_smoothing, model.class_weights = 0.0, "none"
    objective = OBJECTIVES[config.objective]
    if (measured and objective.task not in (task, None)) or model.loss_function == "svm":
        objective = OBJECTIVES["val_loss"]
    target = abs(config.target or 0.0) or None
    target = target and min(target, 1.0)

    def cut(value: int | None, most: int) -> int | None:
        return None if value is None else 1 + value % most

    train = cut(data.num_train, rows.train)
    data = replace(data, num_train=train, num_val=cut(data.num_val, rows.val))
    if isinstance(data, ImagesConfig):
        data = replace(data, components=cut(data.components, data.pixels))
    solver = replace(
        config.solver,
        batch_size=1 + config.solver.batch_size % (train or rows.train),
        num_train_samples=cut(config.solver.num_train_samples, rows.train),
        num_val_samples=cut(config.solver.num_val_samples, rows.val),
    )
    if not isinstance(model, TorchConfig) and model.normalization == "batch":
        model.normalization = "layer" if solver.batch_size == 1 else "batch"
    known = {"objective": objective.name, "target": target}
    fitted = replace(config, model=model, data=data, solver=solver, **known)
    too_many = measured and sum(sizes.rows_in_use(fitted)) >= data.inputs
    own = isinstance(model, TorchConfig) or getattr(model, "input_dropout", 0)
    if own or too_many or not isinstance(config.optimizer, LINEAR):
        solver.first_layer = "plain"
    return fitted


CONFIGS = st.builds(
    RunConfig,
    **{
        group: st.one_of([options(schema, name) for name, schema in choices.items()])
        for group, choices in GROUPS.items()
    },
    **{
        spec.name: values(spec.metadata["allowed"])
        | (st.none() if spec.metadata["optional"] else st.nothing())
        for spec in fields(RunConfig)
        if spec.metadata
    },
).map(fitting)


@settings(deadline=None)  # a table is read at the first of a kind
@given(CONFIGS)
def test_a_config_survives_saving_and_reading(tmp_path_factory, config):
    path = tmp_path_factory.mktemp("saved") / "config.yaml"
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(asdict(config))), encoding="utf-8")
    assert typed(read(path)) == config
    assert typed(OmegaConf.load(path)) == config


# --- Reading as data ------------------------------------------------------------------------------

DAMAGED = {
    "missing": None,
    "empty": b"",
    "a list": b"- 1\n",
    "cut": b"model:\n  hidden_dims: [1, 2",
    "tab": b"model:\n\tname: x\n",
    "bytes": bytes(range(256)),
    "object": b"!!python/object/apply:os.system ['touch pwned']\n",
    "alias bomb": b"a: &a [x, x]\nb: &b [*a, *a]\n" + b"c: [*b, *b]\n",
    "brackets": b"[" * 900_000,
    "mappings": b"a: " + b"{b: " * 300_000,
    "large": b"# " + b"x" * 1_000_000,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_config_is_named(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)
    start = time.process_time()
    with pytest.raises(ConfigError) as error:
        read(path)
    assert time.process_time() - start < 5
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert not Path("pwned").exists()


def test_a_huge_value_is_shown_short():
    with pytest.raises(ConfigError) as error:
        typed(saved(model__reg=[[["x" * 1000] * 1000] * 1000]))
    assert len(str(error.value)) < 500


def test_flat_and_differences():
    old, new = RunConfig(), RunConfig(optimizer=MomentumConfig(learning_rate=0.5), seed=3)
    assert flat({"a": {"b": [1], "c": {}}, "d": 2}) == {"a.b": [1], "d": 2}
    assert differences(old, old) == []
    assert differences(old, new) == [
        "optimizer.name: recorded 'sgd', requested 'momentum'",
        "optimizer.learning_rate: recorded 0.01, requested 0.5",
        "seed: recorded 0, requested 3",
        "optimizer.momentum: recorded null, requested 0.9",
    ]


# --- The files of conf/ ---------------------------------------------------------------------------

FILES = sorted(
    path.relative_to(conf_dir()).with_suffix("").as_posix()
    for group in (*GROUPS, "experiment")
    for path in (conf_dir() / group).glob("*.yaml")
)


def composed(*overrides: str) -> dict[str, Any]:
    """The run config that Hydra composes, as plain data."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return OmegaConf.to_container(compose("config", list(overrides)))  # type: ignore[return-value]


NEEDED = {
    "optimizer/custom": ["optimizer.rule=rules:mine"],
    "data/custom": ["data.load=cells:load"],
    "data/table": ["data.path=cells.csv", "data.target=label"],
    "model/torch": ["model.build=nets:make"],
}
"""What some options do not go without."""


@pytest.mark.parametrize("file", FILES)
def test_every_file_composes_and_is_named_as_its_option(file):
    group, option = file.split("/")
    config = typed(composed(f"{group}={option}", *NEEDED.get(file, ())))
    assert group == "experiment" or getattr(config, group).name == option


@pytest.mark.parametrize("file", FILES)
def test_no_file_says_what_would_hold_without_it(file):
    """A value that changes nothing is a default said twice."""
    group, option = file.split("/")
    content = yaml.safe_load((conf_dir() / f"{file}.yaml").read_text())
    choices = content.pop("defaults", [])
    content.pop("hydra", None)
    if group == "experiment":
        groups = {k.removeprefix("override /"): v for d in choices for k, v in d.items()}
        overridden = {k: v for k, v in groups.items() if k in GROUPS}
        without = flat(composed(*(f"{key}={value}" for key, value in overridden.items())))
    else:
        (schema,) = [choice for choice in choices if choice != "_self_"]
        without = flat(composed(f"{group}={schema}")[group])
    said = flat(content)
    assert {key: value for key, value in said.items() if without[key] == value} == {}


def test_conf_instantiates_nothing():
    texts = {path: path.read_text() for path in conf_dir().rglob("*.yaml")}
    assert texts
    assert [path for path, text in texts.items() if "_target_" in text] == []


def test_every_option_has_a_file():
    expected = {f"{group}/{option}" for group, options in GROUPS.items() for option in options}
    assert expected == {file for file in FILES if not file.startswith("experiment/")}


def test_a_path_with_spaces(tmp_path):
    root = tmp_path / "a b" / "c"
    config = composed("data=cifar10", f"data.root={root}")
    assert config["data"]["root"] == str(root)
    assert os.fspath(typed(config).data.root) == str(root)  # type: ignore[union-attr]


def test_the_defaults_of_the_data_are_those_of_the_solver():
    """Every data set has enough rows for the default solver."""
    for name in GROUPS["data"]:
        typed(composed(f"data={name}", *NEEDED.get(f"data/{name}", ())))
    assert SolverConfig().batch_size <= DigitsConfig.published.train
