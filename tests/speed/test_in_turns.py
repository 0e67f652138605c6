"""Two trainings in turns."""

import numpy as np
import pytest
from conftest import small_config

from a3c_bench.reproducibility import price


def test_the_ratio_of_rates_measured_in_turns():
    rates = np.array([[90.0, 100.0], [180.0, 200.0], [45.0, 50.0]])
    row = price.compare(rates)
    assert row["ratio"] == pytest.approx(0.9)
    assert row["ratio_low"] == pytest.approx(0.9)
    assert (row["ordered"], row["hogwild"]) == (105.0, pytest.approx(350 / 3))


@pytest.mark.parametrize("algorithm", ["nstep", "episodic"])
def test_trainings_run_in_turns_and_end_with_the_measurement(algorithm, monkeypatch):
    monkeypatch.setattr(price, "SLICE_SECONDS", 0.03)
    monkeypatch.setattr(price, "ROLLOUTS", 10_000)
    rates = price.in_turns(small_config(), algorithm, 2, 4)
    assert rates.shape == (4, 2)
    assert (rates > 0).all()
