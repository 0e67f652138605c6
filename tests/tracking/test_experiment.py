"""What MLflow's page is told of the experiment: its kind, its description and its views."""

import json

import pytest
from conftest import small_config
from mlflow.exceptions import MlflowException

from a3c_bench.tracking.experiment import EXPERIMENT, NOTE, VIEW, describe
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


def test_what_another_host_writes_at_the_same_moment_is_no_error(client, experiment, monkeypatch):
    """As PostgreSQL answers: the second of two that add the same row is refused."""
    write = client.set_experiment_tag

    def too_late(*tag):
        write(*tag)
        raise MlflowException("duplicate key value")

    monkeypatch.setattr(client, "set_experiment_tag", too_late)
    describe(client, experiment, ALGORITHMS)
    assert set(states(client, experiment)) == {"Trainings by algorithm", "Pipelines", "Throughput"}

    def failing(*_):
        raise MlflowException("the disk is full")

    monkeypatch.setattr(client, "set_experiment_tag", failing)
    with pytest.raises(MlflowException, match="full"):
        describe(client, experiment, [*ALGORITHMS, "reinforce"])


def test_an_experiment_that_another_host_makes_at_the_same_moment_is_found(client, monkeypatch):
    make, found = client.create_experiment, []

    def too_late(*arguments, **options):
        found.append(make(*arguments, **options))
        raise MlflowException("it exists")

    monkeypatch.setattr(client, "create_experiment", too_late)
    assert find_or_create_experiment(client, "of two hosts") == found[0]

    def failing(*_, **__):
        raise MlflowException("the disk is full")

    monkeypatch.setattr(client, "create_experiment", failing)
    with pytest.raises(MlflowException, match="full"):
        find_or_create_experiment(client, "of none")
