"""Cells by number: what they are, what they leave behind, and how a cluster's array job names them."""

import hashlib
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT, WITHOUT_MLFLOW, environment, small_params, write_params
from ruamel.yaml import YAML

from a3c_bench.sweep.cells import Cell, main_cells

CLUSTER = ROOT / "examples" / "cluster"
SHORT = {"seeds": [4, 2], "nstep": {"total_steps": 2_000}, "episodic": {"episodes": 3}, "evaluate": {"episodes": 2}}
SUITE = {
    "environments": ["CartPole-v1", "MinAtar/Breakout-v1"],
    "algorithms": ["ppo"],
    "seeds": [0, 1],
    "workers": 1,
    "threads": 1,
    "evaluate": {"episodes": 2},
}


@pytest.fixture
def cells(workspace):
    """Four short cells, and four of a suite."""
    write_params(workspace, small_params(**SHORT))
    (workspace / "suite").mkdir()
    with (workspace / "suite" / "params.yaml").open("w") as file:
        YAML(typ="safe").dump(SUITE, file)
    return workspace


def outputs(pipeline, **item):
    """What the stages of a cell write, as the pipeline's file says."""
    stages = YAML(typ="safe").load(pipeline.read_text())["stages"]
    listed = [*stages["train"]["outs"], *stages["evaluate"]["outs"]]
    texts = [next(iter(out)) if isinstance(out, dict) else out for out in listed]
    return {re.sub(r"\$\{item\.(\w+)\}", lambda found: str(item[found[1]]), text) for text in texts}


def test_the_files_of_a_cell_are_what_its_stages_write():
    assert {str(path) for path in Cell(0, "nstep", 3).files} == outputs(ROOT / "dvc.yaml", algorithm="nstep", seed=3)
    of_suite = Cell(7, "ppo", 3, "MinAtar/Breakout-v1")
    expected = outputs(ROOT / "suite" / "dvc.yaml", algorithm="ppo", seed=3, environment="MinAtar/Breakout-v1")
    assert {str(path.relative_to("suite")) for path in of_suite.files} == expected


def test_stages_of_a_cell_are_those_of_dvc():
    locked = YAML(typ="safe").load((ROOT / "dvc.lock").read_text())["stages"]
    assert {stage for cell in main_cells_of_the_project() for stage in cell.stages} == {
        name for name in locked if name.partition("@")[0] in {"train", "evaluate"}
    }
    assert Cell(0, "ppo", 0, "MinAtar/Breakout-v1").stages[0] == "train@MinAtar/Breakout-v1-ppo-0"


def main_cells_of_the_project():
    from a3c_bench.config import load_config

    return main_cells(load_config(ROOT / "params.yaml"))


def test_cells_are_listed_by_number(cells, a3c_bench):
    assert a3c_bench("cells").stdout == "0 nstep 4\n1 nstep 2\n2 episodic 4\n3 episodic 2\n"
    assert a3c_bench("cells", "--suite").stdout.splitlines()[2:] == [
        "2 MinAtar/Breakout-v1 ppo 0",
        "3 MinAtar/Breakout-v1 ppo 1",
    ]


@pytest.mark.parametrize("number", ["4", "-1", "x", "1.0", ""])
def test_a_number_that_no_cell_has_is_named(cells, a3c_bench, number):
    result = a3c_bench("cell", "--", number)
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1, result.stderr
    assert "`a3c-bench cells` lists" in result.stderr or "--help" in result.stderr


def test_without_a_number_it_is_asked_for(cells, a3c_bench):
    result = a3c_bench("cell")
    assert result.returncode == 2 and "N" in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("part", ["2", "-0.1", "nan", "1e-1", "1.5", "x", ""])
def test_a_part_that_is_none_is_named(cells, a3c_bench, part):
    result = a3c_bench("sweep", f"--audit={part}")
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1, result.stderr
    assert "--audit" in result.stderr and "a number from 0 to 1" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--address", "local"], "--address: 'local' is not allowed: auto, or HOST:PORT"),
        (["--address", "ray://here:10001"], "auto, or HOST:PORT"),
        (["--envs", "CartPole-v1"], "--envs: only with --suite"),
    ],
)
def test_options_that_mean_nothing_are_named(cells, a3c_bench, arguments, said):
    result = a3c_bench("sweep", *arguments)
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1 and said in result.stderr, result.stderr


def test_an_audit_of_what_promises_no_bits_is_refused(cells, a3c_bench):
    write_params(cells, small_params(**SHORT, schedule="hogwild"))
    result = a3c_bench("sweep", "--audit", "0.1")
    assert result.returncode == 2 and "--audit: schedule hogwild promises no bits" in result.stderr, result.stderr


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_it_says_how_to_install_it(cells, a3c_bench):
    result = a3c_bench("sweep")
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1, result.stderr
    assert "requirements-sweep.lock" in result.stderr


def left(folder):
    """The hashes of the results in a folder."""
    found = [path for place in ("models", "reports") for path in (folder / place).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest() for path in found}


def test_a_cell_leaves_what_its_stages_leave(cells, a3c_bench):
    for stage in ("train", "evaluate"):
        result = a3c_bench(stage, "--algorithm", "nstep", "--seed", "2", **WITHOUT_MLFLOW)
        assert result.returncode == 0, result.stderr
    expected = left(cells)
    assert expected.keys() == {str(path) for path in Cell(1, "nstep", 2).files}
    for name in expected:
        (cells / name).unlink()
    assert a3c_bench("cell", "1", **WITHOUT_MLFLOW).returncode == 0
    assert left(cells) == expected


def batch(*arguments, **told):
    """The array job's file as Slurm starts it: in the folder that the job was sent from."""
    where = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": "src", **told}
    command = ["bash", CLUSTER / "cells.sbatch", *arguments]
    return subprocess.run(command, env=environment(**where), capture_output=True, text=True, check=False, timeout=120)


def test_an_array_job_trains_the_cell_that_slurm_names(cells):
    (cells / "src").symlink_to(ROOT / "src")
    result = batch(SLURM_ARRAY_TASK_ID="3")
    assert result.returncode == 0, result.stderr
    assert left(cells).keys() == {str(path) for path in Cell(3, "episodic", 2).files}
    assert not (cells / "mlflow.db").exists()
    result = batch(SLURM_ARRAY_TASK_ID="4")
    assert result.returncode == 2 and "cell: 4 is not allowed: there are 0 to 3" in result.stderr


def test_an_indexed_job_has_a_pod_for_every_cell(cells, a3c_bench):
    job = YAML(typ="safe").load((CLUSTER / "kubernetes-cells.yaml").read_text())
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed" and spec["completions"] == len(main_cells_of_the_project())
    assert "--array=0-9" in (CLUSTER / "cells.sbatch").read_text() and spec["completions"] == 10
    (container,) = spec["template"]["spec"]["containers"]
    told = {variable["name"]: variable["value"] for variable in container["env"]}
    # The image's entry makes a command of the arguments.
    result = a3c_bench(*container["args"], JOB_COMPLETION_INDEX="2", **told)
    assert result.returncode == 0, result.stderr
    assert left(cells).keys() == {str(path) for path in Cell(2, "episodic", 4).files}
