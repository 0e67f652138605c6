"""MLflow is a view: complete when it works, left out with one line when it does not."""

import sqlite3
from pathlib import Path

import mlflow
import numpy as np
import pytest
from conftest import small_params, write_params

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
        assert {"commit", "stage", "machine", "env", "schedule"} <= run.data.tags.keys()

    trained = found["train nstep seed 0"]
    assert trained.data.metrics["train/turns"] == 640
    curve = client.get_metric_history(trained.info.run_id, "return/training")
    assert len(curve) > 50
    assert [point.step for point in curve] == sorted(point.step for point in curve)
    assert "evaluate/greedy_mean" in found["evaluate nstep seed 0"].data.metrics

    artifacts = {artifact.path for artifact in client.list_artifacts(trained.info.run_id)}
    assert {"curve.csv", "updates.csv", "metrics.json", "seed-0.safetensors"} <= artifacts
    mlflow.set_tracking_uri(f"sqlite:///{workspace / 'mlflow.db'}")
    (model,) = client.search_logged_models([trained.info.experiment_id], f"source_run_id = '{trained.info.run_id}'")
    served = mlflow.pyfunc.load_model(model.model_uri)
    assert served.metadata.signature is not None
    answer = served.predict(np.zeros((2, 4), np.float32))
    assert answer["action"].isin([0, 1]).all()
    assert np.allclose(answer[["probability_0", "probability_1"]].sum(axis=1), 1)


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
