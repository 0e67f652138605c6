"""What other targets measured is shown in a report on the same environment and params, and named otherwise."""

import shutil

import pytest
from conftest import ROOT, small_config

from a3c_bench.report import supplements
from a3c_bench.results.about import about_bytes
from a3c_bench.results.files import BAD_INPUTS_ABOUT, FAULTS_ABOUT, PEERS_ABOUT, PROOF_ABOUT, SPEED_ABOUT, json_bytes

PER_ALGORITHM = ("proof", "price", "schedules", "schedule_curves", "faults", "speed")


@pytest.fixture
def measured(workspace):
    """The committed tables, as if measured with these params."""
    for name in ("reproducibility", "peers", "speed"):
        shutil.copytree(ROOT / "reports" / name, workspace / "reports" / name)

    def write(**changes):
        config = small_config(**changes)
        for about in (PROOF_ABOUT, FAULTS_ABOUT, BAD_INPUTS_ABOUT, PEERS_ABOUT, SPEED_ABOUT):
            about.write_bytes(about_bytes(config.env, config.params(), "1234567"))

    return write


def test_what_was_measured_with_the_reports_params_is_shown(measured):
    measured(workers=7, seeds=[8])
    found = supplements.read(small_config())
    assert not any(found["left_out"].values())
    assert not any(found[name].empty for name in (*PER_ALGORITHM, "peers"))
    assert found["peers_picture"]


def test_what_was_measured_on_another_environment_is_named_and_not_shown(measured):
    measured()
    found = supplements.read(small_config(env="Acrobot-v1"))
    assert set(found["left_out"].values()) == {"measured on CartPole-v1, and so not shown on Acrobot-v1"}
    assert all(found[name].empty for name in (*PER_ALGORITHM, "peers"))
    assert found["peers_picture"] is None and found["proof_summary"] == []


def test_an_algorithm_with_other_params_is_left_out(measured):
    measured(nstep={"gamma": 0.5})
    found = supplements.read(small_config())
    for name in PER_ALGORITHM:
        assert found["left_out"][name] == "not measured with these params of nstep"
    assert set(found["proof"]["algorithm"]) == set(found["price"]["algorithm"]) == {"episodic"}
    assert not found["peers"].empty, "its systems have params of their own"
    assert supplements.read(small_config(algorithms=["nstep"]))["speed"].empty


def test_a_table_whose_environment_nothing_names_is_not_shown(measured):
    measured()
    SPEED_ABOUT.unlink()
    PROOF_ABOUT.write_bytes(json_bytes({"commit": "1234567", "cores": 2, "cpu": "a CPU"}))
    found = supplements.read(small_config())
    for name in ("proof", "price", "speed"):
        assert found["left_out"][name] == "not shown, as no file beside it names its environment"
        assert found[name].empty
    assert not found["faults"].empty


def test_the_committed_tables_tell_their_environment():
    for path in (PROOF_ABOUT, FAULTS_ABOUT, BAD_INPUTS_ABOUT, PEERS_ABOUT, SPEED_ABOUT):
        about = supplements.read_about(ROOT / path)
        assert about["env"] == about["params"]["env"] == "CartPole-v1", path
        assert about["commit"]
