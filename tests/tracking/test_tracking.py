"""MLflow is a view: complete when it works, left out with one line when it does not."""

import sqlite3
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from conftest import small_params, write_params

from a3c_bench.tracking.logged_model import model_name

MLFLOW_WARNINGS = pytest.mark.filterwarnings("ignore")  # MLflow's own, and those of what it imports


@pytest.mark.slow
@MLFLOW_WARNINGS
def test_a_training_run_is_shown_in_full(a3c_bench, workspace, client, runs):
    for command in (["train"], ["evaluate"], ["train", "--algorithm", "episodic"]):
        result = a3c_bench(*command)
        assert result.returncode == 0, result.stderr
        assert result.stderr == ""
    found = dict(runs())
    (parent,) = [run for name, run in found.items() if name.startswith("pipeline")]
    assert parent.data.params["nstep.total_steps"] == "12800"
    assert set(found) - {parent.info.run_name} == {
        "train nstep seed 0",
        "evaluate nstep seed 0",
        "train episodic seed 0",
    }
    for run in found.values():
        assert run.info.status == "FINISHED"
        assert run is parent or run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert {"commit", "stage", "machine", "environment", "schedule", "workers"} <= run.data.tags.keys()
        assert [given.dataset.name for given in run.inputs.dataset_inputs] == ["CartPole-v1"]

    trained = found["train nstep seed 0"]
    assert trained.data.metrics["train/turns"] == 640
    curve = client.get_metric_history(trained.info.run_id, "return/training")
    assert len(curve) > 50
    assert {point.step % 64 for point in curve} == {0}
    assert [point.step for point in curve] == sorted(point.step for point in curve)
    assert "evaluate/greedy_mean" in found["evaluate nstep seed 0"].data.metrics
    params = {"algorithm": "nstep", "seed": "0", "env": "CartPole-v1", "workers": "2", "total_steps": "12800"}
    for name in ("train nstep seed 0", "evaluate nstep seed 0"):
        assert params.items() <= found[name].data.params.items()
    assert found["train episodic seed 0"].data.params["episodes"] == "80"

    artifacts = {artifact.path for artifact in client.list_artifacts(trained.info.run_id)}
    assert {"curve.csv", "updates.csv", "metrics.json", "seed-0.safetensors"} <= artifacts


@pytest.fixture
def store(workspace):
    mlflow.set_tracking_uri(f"sqlite:///{workspace / 'mlflow.db'}")


@pytest.mark.slow
@MLFLOW_WARNINGS
def test_a_model_is_registered_under_its_name_with_its_returns(a3c_bench, store, client, runs):
    for command in (["train"], ["evaluate"], ["train", "--fresh"]):
        result = a3c_bench(*command)
        assert result.returncode == 0, result.stderr
    versions = client.search_model_versions("name = 'CartPole-v1-nstep-seed-0'")
    assert sorted(version.version for version in versions) == [1, 2]
    models = client.search_logged_models([runs()[0][1].info.experiment_id])
    assert {model.name for model in models} == {"CartPole-v1-nstep-seed-0"}
    # The second training made the same bits: what was found of the first model holds.
    assert len({model.tags["model_sha256"] for model in models}) == 1
    (evaluated,) = [run for name, run in runs() if name.startswith("evaluate")]
    for model in models:
        figures = {metric.key: metric.value for metric in model.metrics}
        assert figures["evaluate/greedy_mean"] == evaluated.data.metrics["evaluate/greedy_mean"]
        assert figures["train/turns"] == 640
        assert not [name for name in figures if name.startswith("system/")]
        trained = client.get_run(model.source_run_id)
        assert trained.data.metrics["evaluate/greedy_mean"] == figures["evaluate/greedy_mean"]
        assert model.params["total_steps"] == "12800"


@pytest.mark.slow
@MLFLOW_WARNINGS
def test_a_served_policy_takes_observations_of_any_float(a3c_bench, store):
    assert a3c_bench("train").returncode == 0
    served = mlflow.pyfunc.load_model("models:/CartPole-v1-nstep-seed-0/1")
    assert served.metadata.signature is not None
    assert served.input_example.shape == (1, 4)
    observations = np.array([[0.1, 0.2, 0.3, 0.4], [0.0, -0.1, 0.0, 0.1]])
    answer = served.predict(observations)
    assert answer["action"].isin([0, 1]).all()
    assert np.allclose(answer[["probability_0", "probability_1"]].sum(axis=1), 1)
    for same in (observations.astype(np.float32), pd.DataFrame(observations), observations.tolist()):
        assert np.array_equal(served.predict(same), served.predict(observations.astype(np.float32)))
    assert served.predict(np.zeros((1, 4), np.int32)).equals(served.predict(np.zeros((1, 4))))


@pytest.mark.parametrize(
    ("environment", "name"),
    [("CartPole-v1", "CartPole-v1-nstep-seed-7"), ("ALE/Breakout-v5", "ALE-Breakout-v5-nstep-seed-7")],
)
def test_a_model_has_a_name_that_mlflow_allows(environment, name):
    assert model_name(environment, "nstep", 7) == name


def assert_left_out_once(result):
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stderr.splitlines() if "MLflow is left out" in line]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert Path("models/nstep/seed-0.safetensors").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "uri",
    ["http://127.0.0.1:9", "sqlite:////proc/no/such/folder/mlflow.db", "nonsense://x"],
    ids=["away", "path", "uri"],
)
def test_a_store_that_cannot_be_had_is_left_out(a3c_bench, uri):
    assert_left_out_once(a3c_bench("train", MLFLOW_TRACKING_URI=uri))


@pytest.mark.slow
def test_a_locked_database_is_left_out(a3c_bench, workspace):
    write_params(workspace, small_params(nstep={"total_steps": 800}))
    assert a3c_bench("train").returncode == 0
    database = sqlite3.connect(workspace / "mlflow.db")
    database.execute("BEGIN EXCLUSIVE")
    try:
        assert_left_out_once(a3c_bench("train"))
    finally:
        database.rollback()
        database.close()


@pytest.mark.slow
@MLFLOW_WARNINGS
def test_a_policy_over_numbers_is_served(a3c_bench, workspace, client, runs):
    write_params(workspace, small_params(env="Pendulum-v1", algorithms=["nstep"], nstep={"total_steps": 1_600}))
    result = a3c_bench("train", A3C_BENCH_TRACKING="wait")
    assert (result.returncode, result.stderr) == (0, "")
    trained = dict(runs())["train nstep seed 0"]
    mlflow.set_tracking_uri(f"sqlite:///{workspace / 'mlflow.db'}")
    (model,) = client.search_logged_models([trained.info.experiment_id], f"source_run_id = '{trained.info.run_id}'")
    served = mlflow.pyfunc.load_model(model.model_uri)
    assert [column.name for column in served.metadata.signature.outputs] == ["action_0", "deviation_0"]
    answer = served.predict(np.zeros((2, 3), np.float32))
    assert list(answer) == ["action_0", "deviation_0"] and (answer["deviation_0"] > 0).all()
