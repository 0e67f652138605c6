"""What `make chaos` found, as the report shows it."""

import pytest
from conftest import small_config

from a3c_bench.evidence.chaos.bad_inputs import BadInput, counts
from a3c_bench.evidence.chaos.table import COLUMNS
from a3c_bench.report import supplements
from a3c_bench.results.about import about_bytes
from a3c_bench.results.files import BAD_INPUTS, BAD_INPUTS_ABOUT, FAULTS, FAULTS_ABOUT, csv_bytes, write_all

NOTHING = [None] * (len(COLUMNS) - 7)
ROWS = [
    ["CartPole-v1", "nstep", "a kind", 3, 10, "yes", "yes", *NOTHING],
    ["Acrobot-v1", "nstep", "a kind", 4, 10, "yes", "no", *NOTHING],
    ["Acrobot-v1", "episodic", "another", 5, 10, "no", "no", *NOTHING],
]
INPUTS = [BadInput(kind, "a name", ["check"], b"") for kind in ("one kind", "one kind", "other")]


@pytest.fixture
def measured(workspace):
    config = small_config()
    about = about_bytes(config.env, config.params(), "1234567")
    write_all(
        {
            FAULTS: csv_bytes(COLUMNS, ROWS),
            BAD_INPUTS: counts(INPUTS, ["", "2 lines", ""]),
            FAULTS_ABOUT: about,
            BAD_INPUTS_ABOUT: about,
        }
    )
    return config


def test_faults_are_counted_by_kind_over_all_environments(measured):
    found = supplements.read(measured)
    shown = found["faults"][["fault", "tried", "survived", "same"]].to_numpy().tolist()
    assert shown == [["a kind", 2, 2, 1], ["another", 1, 0, 0]]
    assert found["fault_environments"] == ["CartPole-v1", "Acrobot-v1"]


def test_bad_inputs_are_shown_with_what_they_were_tried_on(measured):
    found = supplements.read(measured)
    assert found["bad_inputs"].to_numpy().tolist() == [["one kind", 2, 1], ["other", 1, 1]]
    assert found["abouts"]["bad_inputs"]["commit"] == "1234567"


def test_nothing_of_it_is_shown_where_it_was_not_measured(measured):
    found = supplements.read(small_config(env="Acrobot-v1"))
    assert found["faults"].empty and found["bad_inputs"].empty and found["fault_environments"] == []
