"""What a sweep found."""

import math

import pytest
from support.written_sweeps import SEARCHED, config_of, write_run, write_search, write_sweep

from fcsweep.analysis import findings
from fcsweep.analysis.findings import Axis
from fcsweep.analysis.variation import explained
from fcsweep.messages.errors import ConfigError
from fcsweep.records.frames import load_runs


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    return write_search(tmp_path_factory.mktemp("found") / "search", 24)


def test_a_search_names_its_axes_and_their_scale(search):
    runs = load_runs(search)
    weight_scale, learning_rate = (Axis(key, "log") for key in SEARCHED)
    assert findings.axes(search, runs) == [weight_scale, learning_rate]
    assert (
        weight_scale.name == "weight_scale" and Axis("optimizer.name", "choice").name == "optimizer"
    )


def test_of_several_parameters_the_plane_has_the_two_that_matter_most(search, monkeypatch):
    runs, scale, rate = load_runs(search), *(Axis(key, "log") for key in SEARCHED)
    noise = Axis("seed.of.noise", "linear")
    runs[noise.key] = [n % 3 for n in range(len(runs))]
    assert findings.plane(runs, [scale]) == [scale]
    assert findings.plane(runs[:5], [rate, noise, scale]) == [rate, noise]  # too few to rank
    parts = {scale.key: 0.5, rate.key: 0.4, noise.key: 0.1}
    monkeypatch.setattr(findings, "importance", lambda runs, axes: parts)
    assert findings.plane(runs, [noise, scale, rate]) == [scale, rate]
    with pytest.raises(ConfigError, match="differ in no parameter but the seed"):
        findings.plane(runs, [Axis("seed", "linear")])


@pytest.mark.parametrize(
    "text, values, kind",
    [
        ("tag(log,interval(1e-4,1))", (1e-3, 2e-3), "log"),
        ("tag(log, int(interval(1,8)))", (1, 2), "log"),
        ("interval(0.001,1)", (1e-3, 0.9), "linear"),
        ("0.01,0.03,0.1", (0.01, 0.03, 0.1), "log"),
        ("0.5,0.9,0.99", (0.5, 0.9, 0.99), "linear"),
        ("range(1,6)", (1.0, 2.0, 3.0, 4.0, 5.0), "linear"),
        ("0.001,0.1", (1e-3, 0.1), "linear"),
        ("-1,1000", (-1.0, 1000.0), "linear"),
    ],
)
def test_the_scale_of_an_axis(tmp_path, text, values, kind):
    sweep = write_sweep(tmp_path / "sweep", {}, (f"optimizer.learning_rate={text}",))
    for number, value in enumerate(values):
        write_run(sweep / str(number), config_of(0.1, value), (0.5,))
    assert findings.axes(sweep, load_runs(sweep)) == [Axis("optimizer.learning_rate", kind)]


def test_a_group_is_an_axis_and_what_its_options_bring_is_not(tmp_path):
    sweep = write_sweep(tmp_path / "sweep", {"optimizer": "sgd,adam"}, ("seed=0,1",))
    for number, name in enumerate(("sgd", "adam", "sgd", "adam")):
        optimizer = {"name": name, "learning_rate": 0.1 if name == "sgd" else 0.001}
        config = config_of(0.1, 0.1) | {"optimizer": optimizer, "seed": number // 2}
        write_run(sweep / str(number), config, (0.5,))
    runs = load_runs(sweep)
    searched = findings.axes(sweep, runs)
    assert searched == [Axis("optimizer.name", "choice"), Axis("seed", "linear")]
    folders = [str(sweep / str(number)) for number in range(4)]
    assert findings.groups(runs, searched) == {"sgd": folders[::2], "adam": folders[1::2]}


@pytest.mark.parametrize(
    "damage", [None, "hydra: 3", "hydra: {sweeper: [], overrides: 1}", "[", ""]
)
def test_without_a_word_of_the_sweep_all_that_differs_is_searched(tmp_path, damage):
    sweep = write_sweep(tmp_path / "sweep", {})
    if damage is not None:
        (sweep / "multirun.yaml").write_text(damage)
    for number, value in enumerate((0.1, 0.2)):
        write_run(sweep / str(number), config_of(value, 0.1), (0.5,))
    assert findings.axes(sweep, load_runs(sweep)) == [Axis("model.weight_scale", "linear")]


def test_how_each_run_ended(search):
    verdicts = findings.verdicts(load_runs(search)).tolist()[:6]
    assert verdicts == [
        "reaches the target",
        "learns",
        "learns nothing",
        "diverges",
        "learns nothing",
        "has no value",
    ]


def test_the_best_is_the_first_of_equals(search, tmp_path):
    assert findings.best(load_runs(search))["number"] == 0
    write_run(tmp_path / "0", config_of(1, 1), (), "failed")
    assert findings.best(load_runs(tmp_path)) is None


def test_many_runs_are_told_apart_by_their_numbers(search):
    runs = load_runs(search)
    groups = findings.groups(runs, findings.axes(search, runs))
    assert list(groups) == ["trial 0", "trial 6", "trial 12", "trial 18", "trial 1"]


def test_the_parameter_that_decides_is_the_important_one(tmp_path):
    sweep = write_sweep(tmp_path / "sweep", SEARCHED)
    for number in range(20):
        config = config_of(10 ** (-number / 5), 10 ** (-(number * 7 % 20) / 5))
        write_run(sweep / str(number), config, (0.05 * number,))
    runs = load_runs(sweep)
    parts = findings.importance(runs, findings.axes(sweep, runs))
    assert list(parts) == list(SEARCHED) and parts["model.weight_scale"] > 0.7
    assert parts["optimizer.learning_rate"] < 0.2 and max(parts.values()) <= 1
    assert findings.importance(runs.to_dict("records"), findings.axes(sweep, runs)) == parts
    few = runs.head(findings.LEAST_FOR_IMPORTANCE - 1)
    assert findings.importance(few, findings.axes(sweep, runs)) == {}


@pytest.mark.parametrize(
    "outcomes, values, choice, part",
    [
        ([1, 2, 3, 4, 5, 6], [1, 1, 1, 2, 2, 2], False, 1 - (4 / 4) / (17.5 / 5)),
        ([1, 1, 5, 5], ["a", "a", "b", "b"], True, 1.0),
        ([1, 2, 1, 2], ["a", "a", "b", "b"], True, 0.0),
        ([1, 1, 1, 1], [1, 2, 3, 4], False, None),
        ([1, 2, 3, 4], ["a"] * 4, True, None),
        (range(40), range(40), False, 1 - (8 * 10 / 32) / (5330 / 39)),
    ],
)
def test_how_much_a_parameter_explains(outcomes, values, choice, part):
    found = explained(outcomes, values, choice)
    assert found == (part if part is None else pytest.approx(part))


def test_how_sure_a_validation_accuracy_is():
    run = {"objective": "val_accuracy", "value": 0.9, "data.name": "digits"}
    assert findings.standard_error(run) == pytest.approx((0.9 * 0.1 / 200) ** 0.5)
    assert findings.standard_error(run | {"solver.num_val_samples": 50}) == pytest.approx(
        (0.9 * 0.1 / 50) ** 0.5
    )
    larger = run | {"data.val_fraction": 0.5}
    assert findings.standard_error(larger) == pytest.approx((0.9 * 0.1 / 798) ** 0.5)
    assert findings.standard_error(run | {"data.val_fraction": math.nan}) == pytest.approx(
        (0.9 * 0.1 / 200) ** 0.5
    )
    assert findings.standard_error(run | {"objective": "train_accuracy"}) is None
