"""A cell on a node, without a cluster: what it gives back, and what it leaves behind."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import small_params, write_params

from a3c_bench.config import load_config
from a3c_bench.errors import BadInputError
from a3c_bench.sweep import node
from a3c_bench.sweep.cells import main_cells
from a3c_bench.sweep.run import Tasks

SHORT = {"workers": 1, "nstep": {"total_steps": 400}, "evaluate": {"episodes": 2}, "algorithms": ["nstep"]}


@pytest.fixture
def tasks(workspace, monkeypatch):
    monkeypatch.setenv("A3C_BENCH_TRACKING", "off")
    write_params(workspace, small_params(**SHORT))
    return Tasks(load_config())


def left_behind():
    return list(Path(tempfile.gettempdir()).glob(f"{node.PREFIX}*"))


@pytest.mark.slow
def test_a_cell_gives_its_files_and_leaves_nothing_behind(tasks, monkeypatch):
    # As Ray sets it to the cores of a task.
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    (cell,) = main_cells()
    task, before = tasks(cell), left_behind()
    outcome = node.run(task)
    assert outcome.kind == "made" and outcome.cpu and set(outcome.files) == set(map(str, cell.files))
    assert node.run(task).files == outcome.files
    assert left_behind() == before


@pytest.mark.parametrize(
    ("command", "kind", "why"),
    [
        (("cell", "9"), "failed", "cell: 9 is not allowed"),
        (("cell", "0", "--suite"), "failed", "suite/params.yaml"),
    ],
)
def test_a_cell_that_fails_says_why(tasks, command, kind, why):
    outcome = node.run(replace(tasks(main_cells()[0]), command=command))
    assert outcome.kind == kind and why in outcome.why and outcome.cpu and "a3c-bench:" not in outcome.why


def test_a_cell_whose_command_is_killed_is_lost(tasks, monkeypatch):
    task = tasks(main_cells()[0])
    monkeypatch.setattr(node, "ending_with_us", lambda _: ["sh", "-c", "kill -9 $$"])
    assert node.run(task).kind == "lost"


def test_a_node_that_is_not_the_same_does_nothing(tasks):
    task = tasks(main_cells()[0])
    outcome = node.run(replace(task, identity={**task.identity, "Python": "3.0"}))
    assert outcome.kind == "refused" and "in place of 3.0" in outcome.why


def test_what_a_killed_node_left_behind_goes_and_what_is_in_use_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"{node.PREFIX}old").mkdir()
    (tmp_path / f"{node.PREFIX}old" / node.LOCK).touch()
    with node._own_folder() as used, node._own_folder() as other:
        assert set(left_behind()) == {used, other}
    assert not left_behind()


def test_params_that_change_meanwhile_are_noticed(tasks, workspace):
    tasks.require_unchanged()
    write_params(workspace, small_params(**SHORT, seeds=[7]))
    with pytest.raises(BadInputError, match="the params or the code changed while the sweep ran"):
        tasks.require_unchanged()
