"""The gate's own figures, without the hours that they take."""

import ast

import pytest
from conftest import ROOT

from a3c_bench.errors import BadInputError
from a3c_bench.evidence import gate_proof as proof
from a3c_bench.evidence.gate_proof import Run
from a3c_bench.gate import duel


@pytest.fixture
def checkout(tmp_path):
    path = tmp_path / proof.SLOWED_FILE
    path.parent.mkdir(parents=True)
    path.write_text((ROOT / proof.SLOWED_FILE).read_text())
    return tmp_path


def test_the_patch_fits_the_source_and_slows_it_down(checkout):
    proof.plant(checkout, 0.2)
    source = (checkout / proof.SLOWED_FILE).read_text()
    names = {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
    assert "_apply" in names
    assert "1.2 * (perf_counter() - start)" in source


def test_a_patch_that_does_not_fit_is_told(checkout):
    path = checkout / proof.SLOWED_FILE
    path.write_text(path.read_text().replace("def apply", "def use"))
    with pytest.raises(BadInputError, match="the function to slow down is not there"):
        proof.plant(checkout, 0.2)


def test_the_benchmark_that_is_concerned_exists():
    assert any(name.endswith(f"::{proof.CONCERNED}") for name in duel.collect(ROOT, proof.own_settings()))


def test_runs_come_back_from_the_table_and_are_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = [
        Run("abc1234", 0.0, False, 0, "quiet", None, 3, 200.5),
        Run("abc1234", 0.0, False, 1, "alarm", None, 1, 220.0),
        *(
            Run("abc1234", 0.2, True, number, found, 1.2, 0, 60.0)
            for number, found in enumerate(["slower"] * 4 + ["ok"])
        ),
    ]
    proof.write(runs)
    assert proof.read() == runs
    quiet, busy = proof.figures(runs)
    assert (quiet.runs, quiet.slower, quiet.unstable, quiet.max_seconds) == (2, 1, 4, 220.0)
    # The exact interval of 4 in 5 (Clopper and Pearson, 1934).
    assert (busy.runs, busy.slower) == (5, 4)
    assert (busy.low, busy.high) == pytest.approx((0.2836, 0.9949), abs=1e-4)


def test_all_that_must_be_shown_is_repeated_often_enough():
    runs = {}
    for scenario in proof.SCENARIOS:
        runs[scenario.slowdown] = runs.get(scenario.slowdown, 0) + scenario.runs
    assert runs == {0.0: 40, 0.05: 10, 0.1: 10, 0.2: 10}
    assert sum(scenario.runs for scenario in proof.SCENARIOS if scenario.busy) == 35
