"""The page of a sweep with repeats: the seed is no parameter, but the measure of chance."""

import pytest
from omegaconf import OmegaConf
from support.report_pages import page_of
from support.written_sweeps import config_of, write_repeats, write_run, write_sweep

from fcsweep.records import sweep_table
from fcsweep.terminal import sweep_view


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return write_repeats(tmp_path_factory.mktemp("repeats") / "sweep")


def test_a_seed_is_a_repeat_and_no_parameter(sweep):
    page = page_of(sweep)
    said = page.text()
    measure = "mean train accuracy over 3 seeds"
    assert f"Which learning_rate gives the highest {measure} with three_layer" in said
    answer = "Trials 0, 1 and 2 reach mean train accuracy 0.7500 ± 0.0500 over 3 seeds with"
    assert f"{answer} learning_rate 0.1." in said
    assert f"python -m fcsweep.rerun {sweep}/1" in said
    assert "9 runs: 8 completed, 1 failed. ± is the standard deviation over the seeds." in said
    assert "Of 3 points 1 has a seed without a value, left out of the mean; it comes after" in said
    lead = "Its lead over the second (learning_rate 0.2: 0.6000 ± 0.2646) is 0.1500, not larger"
    assert f"{lead} than the greater of their standard deviations, 0.2646: with other" in said
    assert page.figures() == ["learning_curves", "repeats"]


def test_a_table_of_points_and_one_of_runs(sweep):
    page = page_of(sweep)
    tables = [of["id"] for tag, of in page.tags if tag == "table" and "id" in of]
    assert tables == ["points", "trials"]
    assert [of.get("class") for tag, of in page.tags if tag == "tr"].count("best") == 2
    assert "2 of 3" in page.said and "6, 7, 8" in page.said
    assert "0.3000 ± 0.1323" in page.said


def repeated(folder, reached, target=None):
    """A sweep of learning rates by what each seed of them has reached."""
    sweep = write_sweep(folder, {"optimizer.learning_rate": "0.1,0.2"}, ("seed=0,1",))
    runs = [(rate, seed, one) for rate, all_ in reached.items() for seed, one in enumerate(all_)]
    for number, (rate, seed, value) in enumerate(runs):
        config = config_of(0.1, rate, seed=seed, target=target)
        write_run(sweep / str(number), config, (value,), target=target)
    return sweep


REACH = "reach mean train accuracy"


@pytest.mark.parametrize(
    "reached, target, words",
    [
        (
            {0.1: (0.5, 0.7)},
            None,
            (
                "How high does the mean train accuracy of three_layer",
                "get over 2 seeds?",
                f"Trials 0 and 1 {REACH} 0.6000 ± 0.1414 over 2 seeds.",
            ),
        ),
        (
            {0.1: (0.5, 0.7)},
            0.9,
            (f"{REACH} 0.9 over 2 seeds?", "Trials 0 and 1 reach only mean train accuracy 0.6000"),
        ),
        (
            {0.1: (0.5, 0.7), 0.2: (0.59,)},
            None,
            (
                "over 1 to 2 seeds",
                "is 0.0100, not larger than the greater of their standard deviations, 0.1414",
                "with other seeds another point may be the best.",
            ),
        ),
        (
            {0.1: (0.5, 0.6), 0.2: (0.8, 0.82)},
            None,
            ("is 0.2600, larger than the greater of their standard deviations, 0.0707.",),
        ),
        (
            {0.1: (0.5, 0.7), 0.2: (0.9,)},
            None,
            ("Trial 2 reaches mean train accuracy 0.9000 over 1 seed with learning_rate 0.2.",),
        ),
        (
            {0.1: (0.9, 0.9), 0.2: (0.8, 1.0)},
            0.85,
            (
                f"Trials 0 and 1 {REACH} 0.9000 ± 0.0000 over 2 seeds",
                "with learning_rate 0.1; 1 more reach the target.",
            ),
        ),
    ],
    ids=[
        "seeds alone",
        "below the target",
        "a lead by chance",
        "a large lead",
        "unequal numbers",
        "a tie",
    ],
)
def test_what_is_said(tmp_path, reached, target, words):
    said = page_of(repeated(tmp_path / "sweep", reached, target)).text()
    assert not [one for one in words if one not in said], said[:900]


def test_what_a_search_judges_by_is_what_is_compared(tmp_path, capsys):
    """The study, the table and the page have one best point."""
    sweep = repeated(tmp_path / "sweep", {0.1: (0.5, 0.9), 0.2: (0.6, 0.62)})
    asked = {"hydra": {"sweeper": {"repeats": 2, "repeats_as": "worst"}}}
    OmegaConf.save(OmegaConf.create(asked), sweep / "multirun.yaml")
    sweep_view.show(sweep_table.load(sweep))
    told = "best of 2 seeds, worst 0.6000, mean 0.6100 ± 0.0141"
    assert capsys.readouterr().out.endswith(f"best: {sweep}/3 ({told}), learning_rate 0.2\n")
    said = page_of(sweep).text()
    assert "Which learning_rate gives the highest worst train accuracy over 2 seeds" in said
    answer = "Trials 2 and 3 reach worst train accuracy 0.6000 over 2 seeds with learning_rate 0.2."
    assert answer in said and f"fcsweep.rerun {sweep}/3" in said
    assert "(learning_rate 0.1: 0.5000) is 0.1000, not larger than" in said
