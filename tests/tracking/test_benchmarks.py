import json
import subprocess

import mlflow
import pytest

from a3c_bench.errors import BadInputError
from a3c_bench.tracking import benchmarks as history

BENCHMARKS = [{"fullname": "tests/benchmarks/test_parts.py::test_rollout[nstep]", "stats": {"median": 0.25}}]


def git(*arguments):
    command = ["git", "-c", "user.name=nobody", "-c", "user.email=nobody@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def commit(workspace, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace / 'history.db'}")
    git("init", "--quiet", "--initial-branch=main")
    git("commit", "--quiet", "--allow-empty", "--message=faster rollouts")
    return git("rev-parse", "HEAD")


def results(workspace, commit, dirty=False):
    path = workspace / "benchmarks.json"
    path.write_text(json.dumps({"commit_info": {"id": commit, "dirty": dirty}, "benchmarks": BENCHMARKS}))
    return path


def test_a_commit_of_main_has_one_run(workspace, commit, capsys):
    for _ in range(2):
        history.run(results(workspace, commit))
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("benchmarks")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.metrics == {"seconds/rollout nstep": 0.25}
    assert run.data.tags["commit"] == commit
    assert run.info.run_name == f"{commit[:7]} faster rollouts"
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "seconds/rollout nstep")] == [1]
    assert "is in MLflow's experiment" in capsys.readouterr().out


def test_what_is_not_committed_on_main_stays_out(workspace, commit, capsys):
    history.run(results(workspace, commit, dirty=True))
    assert "not in MLflow's history: files are not committed" in capsys.readouterr().out
    git("checkout", "--quiet", "-b", "change")
    git("commit", "--quiet", "--allow-empty", "--message=a change")
    history.run(results(workspace, git("rev-parse", "HEAD")))
    assert "is not on the main branch" in capsys.readouterr().out
    assert not (workspace / "history.db").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"commit_info": {}}'])
def test_another_file_is_named_in_one_line(workspace, content):
    (workspace / "other.json").write_text(content)
    with pytest.raises(BadInputError, match=r"other\.json: is not what pytest-benchmark writes"):
        history.run(workspace / "other.json")
