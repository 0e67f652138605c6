"""What MLflow's page is told of the experiment: its kind, its description and its views."""

import json

import pytest
from conftest import small_config
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from a3c_bench.tracking import mlflow_run
from a3c_bench.tracking.experiment import EXPERIMENT, NOTE, VIEW, describe
from a3c_bench.tracking.mlflow_run import MlflowRun
from a3c_bench.tracking.store import find_or_create_experiment

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # MLflow's own warnings
ALGORITHMS = ["episodic", "nstep"]


@pytest.fixture
def experiment(workspace, client, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return find_or_create_experiment(client, EXPERIMENT)


def tags(client, experiment):
    return client.get_experiment(experiment).tags


def states(client, experiment):
    found = {key: json.loads(value) for key, value in tags(client, experiment).items() if key.startswith(VIEW)}
    assert all(isinstance(view["createdAt"], int) for view in found.values())
    return {view["name"]: json.loads(view["state"]) for view in found.values()}


def test_it_is_about_model_training_and_links_its_views(client, experiment):
    describe(client, experiment, ALGORITHMS)
    found = tags(client, experiment)
    assert found["mlflow.experimentKind"] == "custom_model_development"
    for key in [key.removeprefix(VIEW) for key in found if key.startswith(VIEW)]:
        assert f"#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={key}" in found[NOTE]
    assert set(states(client, experiment)) == {"Trainings by algorithm", "Pipelines", "Throughput"}


def test_the_columns_are_those_of_the_algorithms(client, experiment):
    describe(client, experiment, ALGORITHMS)
    assert "metrics.`nstep/greedy_iqm`" in states(client, experiment)["Pipelines"]["selectedColumns"]
    describe(client, experiment, [*ALGORITHMS, "reinforce"])
    assert "metrics.`reinforce/speedup`" in states(client, experiment)["Pipelines"]["selectedColumns"]


def test_what_somebody_wrote_stays(client, experiment):
    describe(client, experiment, ALGORITHMS)
    client.set_experiment_tag(experiment, NOTE, "mine")
    client.set_experiment_tag(experiment, f"{VIEW}own", "theirs")
    describe(client, experiment, ALGORITHMS)
    assert tags(client, experiment)[NOTE] == "mine"
    assert tags(client, experiment)[f"{VIEW}own"] == "theirs"


def test_an_experiment_of_before_is_described_too_and_nothing_is_written_twice(client, experiment, monkeypatch):
    client.delete_experiment_tag(experiment, "mlflow.experimentKind")
    describe(client, experiment, ALGORITHMS)
    assert tags(client, experiment)["mlflow.experimentKind"] == "custom_model_development"
    monkeypatch.setattr(client, "set_experiment_tag", None)
    describe(client, experiment, ALGORITHMS)


def test_every_section_of_the_params_has_columns():
    """Those of algorithms that this experiment leaves out too: the next one has them."""
    assert set(small_config(algorithms=["nstep"]).sections) == {"nstep", "episodic", "ppo"}


WRITES = ["create_experiment", "set_experiment_tag", "log_inputs"]


@pytest.mark.parametrize("write", WRITES)
def test_what_another_host_writes_at_the_same_moment_is_no_error(workspace, client, monkeypatch, write):
    """As PostgreSQL answers: the second of two that add the same row is refused, and finds it when it looks again."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    once, refused = getattr(MlflowClient, write), []

    def too_late(*arguments, **options):
        written = once(*arguments, **options)
        if not refused:
            refused.append(written)
            raise MlflowException("duplicate key value")
        return written

    monkeypatch.setattr(MlflowClient, write, too_late)
    run = MlflowRun(lambda _: None)
    run.stop_watching()
    run.begin(1, "train", {"environment": "CartPole-v1"}, {}, pipeline("one"))
    run.end(2, "FINISHED")
    assert len(refused) == 1
    (made,) = [experiment for experiment in client.search_experiments() if experiment.name == EXPERIMENT]
    assert len(states(client, made.experiment_id)) == 3
    for logged in client.search_runs([made.experiment_id]):
        assert [given.dataset.name for given in logged.inputs.dataset_inputs] == ["CartPole-v1"]

    def failing(*_, **__):
        raise MlflowException("the disk is full")

    monkeypatch.setattr(MlflowClient, write, failing)
    monkeypatch.setattr(mlflow_run, "EXPERIMENT", "another")
    with pytest.raises(MlflowException, match="full"):
        run.begin(3, "train", {"environment": "CartPole-v1"}, {}, pipeline("two"))


def pipeline(key):
    tags = {"environment": "CartPole-v1"}
    return {"key": key, "name": f"pipeline {key}", "tags": tags, "params": {}, "sections": ALGORITHMS}
