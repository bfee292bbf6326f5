"""What is searched: overrides as distributions, values as overrides, known-good points."""

import itertools
import math
from collections.abc import Sequence

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution as Choice
from optuna.distributions import FloatDistribution as Floats
from optuna.distributions import IntDistribution as Ints

from fcsweep.messages.errors import ConfigError
from fcsweep.search.overrides import as_override, describe
from fcsweep.search.space import Space, older_space, space_of

DISTRIBUTIONS = {
    # choices
    "k=choice(1,2)": Choice([1, 2]),
    "k=1,2": Choice([1, 2]),
    "k=choice(1)": Choice([1]),
    "k=choice(2,1,2)": Choice([2, 1]),
    "k=a,b": Choice(["a", "b"]),
    "k=choice('1',1)": Choice(["1", 1]),
    "k='a,b','c d'": Choice(["a,b", "c d"]),
    'k="it\'s",null,true,1.5': Choice(["it's", None, True, 1.5]),
    "k='null',null": Choice(["null", None]),
    "k=choice([1,2],[3],[])": Choice(["[1,2]", "[3]", "[]"]),
    "k=choice({a:1},{a:2})": Choice(["{a:1}", "{a:2}"]),
    "k=choice('ä','日本')": Choice(["ä", "日本"]),
    "k=tag(log,choice(1,2))": Choice([1, 2]),
    # ranges: the stop is excluded, as in Hydra's grammar
    "k=range(3)": Ints(0, 2),
    "k=range(1,3)": Ints(1, 2),
    "k=range(1,10,2)": Ints(1, 9, step=2),
    "k=range(1,9,2)": Ints(1, 7, step=2),
    "k=range(10,1,-2)": Ints(2, 10, step=2),
    "k=range(-3,0)": Ints(-3, -1),
    "k=range(0,1,0.25)": Floats(0.0, 0.75, step=0.25),
    "k=range(1,0,-0.25)": Floats(0.25, 1.0, step=0.25),
    "k=range(0.5,2.5)": Floats(0.5, 1.5, step=1.0),
    "k=float(range(1,3))": Floats(1.0, 2.0, step=1.0),
    # intervals
    "k=interval(0,1)": Floats(0.0, 1.0),
    "k=interval(-1.5,2)": Floats(-1.5, 2.0),
    "k=interval(1e-4,1e-1)": Floats(1e-4, 1e-1),
    "k=int(interval(1,8))": Ints(1, 8),
    "k=int(interval(1.0,8.0))": Ints(1, 8),
    "k=interval(1,1)": Floats(1.0, 1.0),
    "k=tag(log,interval(1e-4,1))": Floats(1e-4, 1.0, log=True),
    "k=tag(log,int(interval(1,100)))": Ints(1, 100, log=True),
    "k=int(tag(log,interval(1,100)))": Ints(1, 100, log=True),
    "k=tag(note,interval(0,1))": Floats(0.0, 1.0),
    # a shuffled list has no order that a resumed study would keep
    "k=shuffle(range(1,4))": Choice([1, 2, 3]),
    "k=shuffle(3,1,2)": Choice([3, 1, 2]),
    "k=sort(choice(3,1,2))": Choice([1, 2, 3]),
}


@pytest.mark.parametrize("override", DISTRIBUTIONS)
def test_an_override_is_a_distribution(override):
    space = space_of(None, [override])
    found = space.distributions["k"]
    assert found == DISTRIBUTIONS[override]
    if isinstance(found, Choice):  # 1 == True == 1.0
        expected = DISTRIBUTIONS[override].choices
        assert [type(one) for one in found.choices] == [type(one) for one in expected]
    assert not space.fixed
    (key, _, text) = override.partition("=")
    assert space_of({key: text}, []).distributions == space.distributions


@pytest.mark.parametrize("given", ["k=1", "k=[1,2]", "k={a:1}", "k='a,b'", "k=null", "k=", "k=a b"])
def test_a_lone_value_is_fixed(given):
    space = space_of(None, [given])
    assert not space.distributions and list(space.fixed.values()) == [given]
    assert space.overrides({}) == [given]


@pytest.mark.parametrize("key", ["+k", "++k", "a.b.c", "group", "group@pkg", "+group@a.b"])
def test_a_key_is_written_back_as_it_was_given(key):
    space = space_of(None, [f"{key}=1,2", "other=3"])
    assert space.overrides({key: 2}) == [f"{key}=2", "other=3"]


@pytest.mark.parametrize(
    ("params", "arguments", "searched", "fixed"),
    [
        ({"k": "interval(0,1)"}, ["k=0.5"], [], ["k=0.5"]),
        ({"k": 0.5}, ["k=interval(0,1)"], ["k"], []),
        ({"k": "interval(0,1)"}, ["~k"], [], ["~k"]),
        ({"k": "1,2"}, ["+k=3"], [], ["+k=3"]),
        ({"+k": "1,2"}, ["k=3,4"], ["k"], []),
        ({"k": "1,2"}, ["++k=3,4"], ["++k"], []),
        ({}, ["k=1,2", "k=3"], [], ["k=3"]),
        ({}, ["k=3", "k=1,2"], ["k"], []),
        ({"k": 1, "j": 2}, ["j=3"], [], ["k=1", "j=3"]),
        ({"k": None, "j": True}, [], [], ["k=null", "j=true"]),
        ({"k": [1, 2], "j": "{a:[null]}"}, [], [], ["k=[1,2]", "j={a:[null]}"]),
        (OmegaConf.create({"k": ["a b", 1.5]}), [], [], ["k=[a\\ b,1.5]"]),
    ],
)
def test_the_last_one_of_a_key_counts(params, arguments, searched, fixed):
    space = space_of(params, arguments)
    assert list(space.distributions) == searched
    assert list(space.fixed.values()) == fixed


class Options:
    """The options of a group, as Hydra's loader knows them."""

    def get_group_options(self, group, results_filter=None, config_name=None, overrides=None):
        return ["adam", "momentum", "sgd"] if group == "optimizer" else []


@pytest.mark.parametrize(
    ("override", "options"),
    [
        ("optimizer=glob(*)", ["adam", "momentum", "sgd"]),
        ("optimizer=glob(*m*)", ["adam", "momentum"]),
        ("optimizer=glob([s*,a*])", ["adam", "sgd"]),
        ("optimizer=glob(*,exclude=sgd)", ["adam", "momentum"]),
    ],
)
def test_glob_is_the_options_of_a_group(override, options):
    key, _, text = override.partition("=")
    for space in (space_of(None, [override], Options()), space_of({key: text}, [], Options())):
        assert space.distributions == {"optimizer": Choice(options)}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("k=tag(log,interval(0,1))", "tag(log,interval(0,1)) cannot be searched"),
        ("k=tag(log,interval(-1,1))", "cannot be searched"),
        ("k=interval(1,0)", "k=interval(1,0) cannot be searched"),
        ("k=range(3,1)", "the range is empty"),
        ("k=range(0,1,-0.5)", "the range is empty"),
        ("k=glob(x*)", "nothing to choose from"),
        ("k=choice(1,true)", "1 and true"),
        ("k=choice(1.0,1)", "1.0 and 1"),
        ("k=choice(nan,1)", "nan"),
        ("k=interval(0,inf)", "cannot be searched"),
        ("k=interval(nan,1)", "cannot be searched"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_line(override, words):
    with pytest.raises(ConfigError) as error:
        space_of(None, [override], Options())
    assert words in str(error.value) and override in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["choice(1", "interval(0)", "choice()", "a=b,c="])
def test_params_that_cannot_be_read_are_refused_in_one_line(text):
    with pytest.raises(ConfigError, match=r"^hydra\.sweeper\.params cannot be read: .*") as error:
        space_of({"k": text}, [])
    assert "\n" not in str(error.value) and "https" not in str(error.value)


@pytest.mark.parametrize(
    ("spec", "distribution"),
    [
        ({"type": "float", "low": -5.5, "high": 5.5}, Floats(-5.5, 5.5)),
        ({"type": "float", "low": 0, "high": 1}, Floats(0.0, 1.0)),
        ({"type": "float", "low": 1e-5, "high": 1.0, "log": True}, Floats(1e-5, 1.0, log=True)),
        ({"type": "float", "low": -5.5, "high": 5.5, "step": 0.5}, Floats(-5.5, 5.5, step=0.5)),
        ({"type": "float", "low": 0, "high": 4, "step": 2}, Floats(0.0, 4.0, step=2.0)),
        ({"type": "float", "low": 0.0, "high": 0.3, "step": 0.1}, Floats(0.0, 0.3, step=0.1)),
        ({"type": "int", "low": 4, "high": 16}, Ints(4, 16)),
        ({"type": "int", "low": 4, "high": 16, "step": 4}, Ints(4, 16, step=4)),
        ({"type": "int", "low": 4, "high": 15, "step": 4}, Ints(4, 12, step=4)),
        ({"type": "int", "low": 1, "high": 16, "log": True}, Ints(1, 16, log=True)),
        ({"type": "categorical", "choices": ["a,b", 1, None]}, Choice(["a,b", 1, None])),
    ],
)
def test_the_older_form_of_a_space(spec, distribution):
    found = space_of(older_space({"k": spec}), []).distributions["k"]
    assert type(found) is type(distribution)
    if isinstance(found, Floats) and found.step is not None:
        assert found.high == pytest.approx(distribution.high)
        assert (found.low, found.step) == (distribution.low, distribution.step)
    else:
        assert found == distribution


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "float", "low": 0},
        {"type": "discrete", "low": 0, "high": 1},
        {"low": 0, "high": 1},
        {"type": "categorical"},
        {"type": "categorical", "choices": []},
        "interval(0,1)",
    ],
)
def test_a_wrong_older_form_is_refused(spec):
    with pytest.raises(ConfigError, match=r"hydra\.sweeper\.search_space\.k is .*; expected type"):
        older_space({"k": spec})


# --- A value arrives as it was chosen -------------------------------------------------------------

TEXTS = st.one_of(
    st.text(),
    st.text(alphabet="a1.,:'\"\\ =~$[]{}()@#!%^&*+-_/|<>?\t", max_size=8),
    st.sampled_from(
        ["", " ", "1", "-1", "1e3", "1.0", "null", "NULL", "none", "true", "False", "nan", "inf"]
    ),
    st.sampled_from(["choice(1,2)", "a,b", "range(3)", "~k", "k=v", "[1]", "{a: 1}", "?", "\\'"]),
).filter(lambda text: "${" not in text and text != "???")  # OmegaConf's own
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.floats(1e-300, 1e-3), TEXTS
)


COMPOSING = settings(  # a config takes 50 ms: to shrink one takes minutes
    deadline=None, max_examples=15, derandomize=True, phases=(Phase.explicit, Phase.generate)
)


@pytest.fixture(scope="module", autouse=True)
def composer(tmp_path_factory):
    """Composes configs of twelve keys."""
    folder = tmp_path_factory.mktemp("conf")
    keys = "\n".join(f"v{n}: null" for n in range(12))
    (folder / "config.yaml").write_text(keys)
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(folder)):
        yield


def choices(distribution: BaseDistribution) -> Sequence[object]:
    assert isinstance(distribution, Choice)
    return distribution.choices


def assert_same(found, value):
    assert type(found) is type(value)
    assert found == value or (found != found and value != value)


@pytest.mark.slow
@COMPOSING
@given(st.lists(VALUES, min_size=1, max_size=12))
def test_a_value_that_is_written_arrives_as_itself(values):
    config = compose("config", [f"v{n}={as_override(value)}" for n, value in enumerate(values)])
    for n, value in enumerate(values):
        assert_same(config[f"v{n}"], value)


CHOICES = VALUES.filter(lambda value: value == value)


@pytest.mark.slow
@COMPOSING
@given(st.lists(st.tuples(CHOICES, CHOICES).filter(lambda p: p[0] != p[1]), max_size=12))
def test_a_choice_arrives_as_it_was_given(pairs):
    lines = [f"v{n}={as_override(a)},{as_override(b)}" for n, (a, b) in enumerate(pairs)]
    space = space_of(None, lines)
    for place in (0, 1):
        config = compose(
            "config",
            space.overrides({k: choices(one)[place] for k, one in space.distributions.items()}),
        )
        for n, pair in enumerate(pairs):
            assert_same(config[f"v{n}"], pair[place])


@pytest.mark.parametrize(
    "literal", ["[1,2]", "[]", "['a,b',c]", "{a:1,b:[2]}", "[[1],[2,3]]", "[true,null,1.5,'1']"]
)
def test_a_list_or_a_mapping_can_be_chosen(literal):
    space = space_of(None, [f"v0={literal},{literal[0]}{literal[-1]},'{literal[0]}x'"])
    first = choices(space.distributions["v0"])[0]
    expected = OverridesParser.create().parse_override(f"v0={literal}").value()
    assert compose("config", space.overrides({"v0": first})).v0 == expected
    text = choices(space.distributions["v0"])[-1]
    assert compose("config", space.overrides({"v0": text})).v0 == f"{literal[0]}x"


def test_a_text_that_looks_like_a_list_stays_one():
    space = space_of(None, ["v0='[1,2]','[3]'"])
    assert compose("config", space.overrides({"v0": "[1,2]"})).v0 == "[1,2]"


# --- Grids, corners, known-good points ------------------------------------------------------------


def test_a_grid_is_every_combination_in_order():
    space = space_of(None, ["a=x,y", "b=range(1,6,2)", "c=range(0,0.3,0.1)", "d=7"])
    a, b = ["x", "y"], [1, 3, 5]
    c = [0.0, 0.1, 0.2]
    grid = space.grid()
    assert [(p["a"], p["b"], pytest.approx(p["c"])) for p in grid] == [
        (x, y, pytest.approx(z)) for x, y, z in itertools.product(a, b, c)
    ]
    assert all(list(point) == ["a", "b", "c"] for point in grid)


@pytest.mark.parametrize("override", ["k=interval(0,1)", "k=tag(log,int(interval(1,8)))"])
def test_a_grid_of_an_interval_is_refused(override):
    with pytest.raises(ConfigError, match=r"k is continuous \(.*\), but the grid sampler needs"):
        space_of(None, ["a=1,2", override]).grid()


def test_corners_hold_every_bound_and_every_choice():
    space = space_of(None, ["a=x,y,z", "b=interval(0,1)", "c=range(5)"])
    corners = space.corners()
    assert {p["a"] for p in corners} == {"x", "y", "z"}
    assert {p["b"] for p in corners} == {0.0, 1.0} and {p["c"] for p in corners} == {0, 4}
    assert Space({}, {}).corners() == [{}]


SPACE = [
    "rate=tag(log,interval(1e-3,1))",
    "width=range(10,50,10)",
    "rule=sgd,adam",
    "dims=[10],[10,20]",
    "name='1',x",
    "share=range(0,1,0.25)",
]


@pytest.mark.parametrize(
    ("key", "given", "expected"),
    [
        ("rate", 0.1, 0.1),
        ("rate", 1, 1.0),
        ("width", 20, 20),
        ("width", 20.0, 20),
        ("rule", "adam", "adam"),
        ("dims", [10, 20], "[10,20]"),
        ("dims", "[10]", "[10]"),
        ("name", "1", "1"),
        ("share", 0.75, 0.75),
        ("share", 0, 0.0),
    ],
)
def test_a_known_good_point_is_taken_in_the_type_of_its_parameter(key, given, expected):
    (point,) = space_of(None, SPACE).check([{key: given}])
    assert_same(point[key], expected)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([{"rate": 2.0}], "hydra.sweeper.enqueue[0]: rate is 2.0; expected 0.001 to 1.0, log"),
        ([{"rate": "0.1"}], "rate is '0.1'"),
        ([{"rate": True}], "rate is true"),
        ([{"rate": math.nan}], "rate is nan"),
        ([{"rate": None}], "rate is null"),
        ([{"rate": 0.1}, {"width": 15}], "enqueue[1]: width is 15; expected 10 to 40, step 10"),
        ([{"width": 20.5}], "width is 20.5"),
        ([{"width": 50}], "width is 50"),
        ([{"rule": "sdg"}], "rule is 'sdg'; expected one of sgd, adam"),
        ([{"name": 1}], "name is 1; expected one of '1', x"),
        ([{"dims": [10, 30]}], "dims is [10, 30]; expected one of [10], [10,20]"),
        ([{"share": 0.3}], "share is 0.3"),
        ([{"rats": 0.1}], "rats, which is not searched; expected rate, width"),
        ([{"rats": 0.1}], "did you mean rate?"),
        ([3], "hydra.sweeper.enqueue[0] is 3; expected a mapping"),
        ("rate", "hydra.sweeper.enqueue is 'rate'; expected a list"),
        ({"rate": 0.1}, "expected a list"),
    ],
)
def test_a_wrong_known_good_point_is_refused(points, words):
    with pytest.raises(ConfigError) as error:
        space_of(None, SPACE).check(points)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_no_known_good_points():
    assert space_of(None, SPACE).check(None) == [] == space_of(None, SPACE).check([])


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("k=interval(0,1)", "0.0 to 1.0"),
        ("k=range(3)", "0 to 2"),
        ("k=range(0,10,5)", "0 to 5, step 5"),
        ("k=tag(log,int(interval(1,8)))", "1 to 8, log"),
        ("k=a,'b c','1'", "one of a, b c, '1'"),
    ],
)
def test_a_distribution_in_words(override, text):
    assert describe(space_of(None, [override]).distributions["k"]) == text


def test_a_key_that_custom_code_searches_may_not_be_fixed_too():
    with pytest.raises(ConfigError, match="k is searched and has a fixed value"):
        space_of(None, ["k=1"]).overrides({"k": 2})
