"""`a3c-bench log`: what it says, and what it does where there is nothing to log or nothing to log to.

What it logs of a pipeline: `tests/pipeline`.
"""

import json
import subprocess

import pytest
from conftest import WITHOUT_MLFLOW

LOCK = """\
stages:
  train@nstep-0: {outs: [{path: models/nstep/seed-0.safetensors, md5: a1}, {path: reports/train/nstep/seed-0, md5: b2}]}
"""


@pytest.fixture
def committed(workspace):
    """A repository whose lock file names two files of a training."""
    (workspace / "dvc.lock").write_text(LOCK)
    for arguments in (
        ("init", "--quiet"),
        ("add", "."),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "results"),
    ):
        subprocess.run(["git", *arguments], cwd=workspace, check=True)
    return workspace


def test_bits_are_compared_with_the_commits(a3c_bench, committed):
    same = "bits: 2 of 2 files of trainings and evaluations are the commit's\nthe report: reports/index.html\n"
    assert a3c_bench("log", **WITHOUT_MLFLOW).stdout == same
    (committed / "dvc.lock").write_text(LOCK.replace("b2", "c3"))
    said = a3c_bench("log", **WITHOUT_MLFLOW).stdout
    assert said.startswith("bits: 1 of 2 files of trainings and evaluations are the commit's; `git diff` shows ")
    (committed / "dvc.lock").write_text("")
    assert a3c_bench("log", **WITHOUT_MLFLOW).stdout.startswith("bits: 0 of 2 ")


def test_it_can_be_quiet_or_speak_to_programs(a3c_bench, committed):
    assert a3c_bench("log", **WITHOUT_MLFLOW, A3C_BENCH_QUIET="1").stdout == ""
    told = json.loads(a3c_bench("log", **WITHOUT_MLFLOW, A3C_BENCH_LOG="json").stdout)
    assert told == {"event": "done", "task": "log", "logged": 0, "same": 2, "compared": 2, "page": "reports/index.html"}


@pytest.mark.parametrize("path", [None, "/nowhere"])
def test_neither_a_repository_nor_git_is_needed(a3c_bench, workspace, path):
    result = a3c_bench("log", **WITHOUT_MLFLOW, **({"PATH": path} if path else {}))
    assert (result.returncode, result.stdout, result.stderr) == (0, "the report: reports/index.html\n", "")
    assert [one.name for one in workspace.iterdir()] == ["params.yaml"]


def test_a_store_that_does_not_answer_costs_the_runs_only(a3c_bench, committed):
    result = a3c_bench("log", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert result.returncode == 0
    assert result.stderr.startswith("a3c-bench: MLflow may not have all that was skipped (")
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout.startswith("bits: 2 of 2 files")
