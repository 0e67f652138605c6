"""The table environment × condition, without the trainings."""

import csv
from types import SimpleNamespace
from typing import ClassVar

import pytest
from conftest import small_config

from a3c_bench.errors import TrainingError
from a3c_bench.evidence.reproducibility import environments
from a3c_bench.results.files import ENVIRONMENTS


class Stand:
    """In place of a `Launcher`: what each condition gives, by its name."""

    given: ClassVar[dict] = {}

    def __init__(self, folder, config):
        self.env = config.env

    def obstacle(self, condition):
        return "not here" if condition.system else None

    def executable(self, condition):
        return None

    def run(self, condition, trial):
        assert trial.params["env"] == self.env
        outcome = self.given.get((self.env, condition.name), "same")
        if outcome == "fails":
            raise TrainingError("it ended before there was a checkpoint")
        return SimpleNamespace(sha256=outcome)


@pytest.fixture
def prove(monkeypatch, workspace):
    monkeypatch.setattr(environments, "Launcher", Stand)

    def run(*names, **given):
        Stand.given = given.get("given", {})
        return environments.run(small_config(), names)

    return run


def rows():
    with ENVIRONMENTS.open(encoding="utf-8") as file:
        return {(row["environment"], row["condition"]): row for row in csv.DictReader(file)}


def test_equal_bits_are_a_yes_and_what_cannot_be_measured_is_left_open(prove):
    assert prove("Pendulum-v1")
    found = rows()
    assert found["Pendulum-v1", "5 workers"]["same"] == "yes"
    arm = found["Pendulum-v1", "ARM64 (Neoverse N1), emulated"]
    assert (arm["same"], arm["note"]) == ("", "not here")


def test_other_bits_are_a_no_and_said(prove, capsys):
    assert not prove("Pendulum-v1", given={("Pendulum-v1", "emulated CPU: Haswell"): "other"})
    assert rows()["Pendulum-v1", "emulated CPU: Haswell"]["same"] == "no"
    assert "NOT the same bits: Pendulum-v1, emulated CPU: Haswell" in capsys.readouterr().out


def test_a_training_that_cannot_be_killed_so_often_is_no_proof(prove):
    assert prove("Pendulum-v1", given={("Pendulum-v1", "killed 3 times"): "fails"})
    row = rows()["Pendulum-v1", "killed 3 times"]
    assert (row["same"], row["note"]) == ("", "it ended before there was a checkpoint")


def test_rows_of_other_environments_stay(prove):
    prove("Pendulum-v1", given={("Pendulum-v1", "2 workers"): "other"})
    prove("Acrobot-v1")
    assert rows()["Pendulum-v1", "2 workers"]["same"] == "no"
    assert rows()["Acrobot-v1", "2 workers"]["same"] == "yes"
