"""MLflow as its users see it: the server of a small pipeline's store, asked and looked at in a browser."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from conftest import ROOT, free_port
from test_pipeline import small_pipeline

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(900)]
CHROMIUM = shutil.which("chromium")
TRAINING = "workflowType=machine_learning"
"""Else MLflow's page is about language models."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return small_pipeline(tmp_path_factory.mktemp("repository"))


@contextmanager
def serving(repository, *command):
    """A server that runs meanwhile."""
    server = subprocess.Popen(
        command,
        cwd=repository.folder,
        env={**repository.variables, "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


@pytest.fixture(scope="module")
def server(repository):
    """The address of an MLflow server, started as `make mlflow` does."""
    port = free_port()
    assert "mlflow server --host 127.0.0.1 --port" in (ROOT / "Makefile").read_text()
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    with serving(repository, *command, "--backend-store-uri", "sqlite:///mlflow.db"):
        ask(f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search", {"max_results": 1})
        yield f"http://127.0.0.1:{port}"


def experiment_runs(server):
    """The id of the experiment, and its runs by name."""
    api = f"{server}/api/2.0/mlflow"
    experiments = ask(f"{api}/experiments/search", {"max_results": 10})["experiments"]
    (mine,) = [found["experiment_id"] for found in experiments if found["name"] == "a3c-bench"]
    runs = ask(f"{api}/runs/search", {"experiment_ids": [mine], "max_results": 1000})["runs"]
    return mine, {run["info"]["run_name"]: run for run in runs}


def test_the_mlflow_server_lists_the_runs(server):
    _, runs = experiment_runs(server)
    assert {"train nstep seed 0", "train episodic seed 0", "evaluate nstep seed 0", "profile", "report"} <= runs.keys()
    assert any(name.startswith("pipeline ") for name in runs)
    assert any(name.startswith("nstep ordered workers 1") for name in runs)


def values(run, kind):
    return {given["key"]: given["value"] for given in run["data"].get(kind, [])}


def test_a_pipeline_has_its_headline_its_curves_its_report_and_its_duration(repository, server):
    _, runs = experiment_runs(server)
    stages = [run for name, run in runs.items() if name.split()[0] in {"train", "evaluate", "film", "report"}]
    parent = values(runs["report"], "tags")["mlflow.parentRunId"]
    (pipeline,) = [run for run in runs.values() if run["info"]["run_id"] == parent]
    figures = values(pipeline, "metrics")
    for algorithm in ("nstep", "episodic"):
        assert figures[f"{algorithm}/greedy_iqm"] == repository.metrics("report")[algorithm]["greedy_iqm"]
        speed = repository.metrics("profile")[algorithm]
        assert {name: figures[f"{algorithm}/{name}"] for name in speed} == pytest.approx(speed)
    history = f"{server}/api/2.0/mlflow/metrics/get-history?run_id={parent}&metric_key=nstep/return_iqm"
    with urllib.request.urlopen(history) as answer:
        assert len(json.load(answer)["metrics"]) > 100
    with urllib.request.urlopen(f"{server}/api/2.0/mlflow/artifacts/list?run_id={parent}&path=figures") as answer:
        assert {"figures/learning.png", "figures/learning.svg"} <= {file["path"] for file in json.load(answer)["files"]}
    assert pipeline["info"]["status"] == "FINISHED"
    assert pipeline["info"]["start_time"] == min(run["info"]["start_time"] for run in stages)
    assert pipeline["info"]["end_time"] == max(run["info"]["end_time"] for run in stages)


def test_a_point_of_the_profile_lasts_as_long_as_it_was_timed(server):
    _, runs = experiment_runs(server)
    whole = runs["profile"]["info"]
    points = [run["info"] for run in runs.values() if "profile/speedup" in values(run, "metrics")]
    assert len(points) > 4
    for point in points:
        assert 0 < point["end_time"] - point["start_time"] < whole["end_time"] - whole["start_time"]


def chromium(address, folder, width, *action):
    """What Chromium says of a page after its scripts have run."""
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        f"--user-data-dir={folder}",
        f"--window-size={width},1000",
        "--virtual-time-budget=60000",
        *action,
        address,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def browse(address, folder, width, *awaited, seconds=120):
    """The page as text, loaded anew until it shows all that is awaited; if it never does, its picture is kept."""
    deadline = time.monotonic() + seconds
    while missing := [text for text in awaited if text not in (page := chromium(address, folder, width, "--dump-dom"))]:
        if time.monotonic() > deadline:
            picture = folder / "page.png"
            chromium(address, folder, width, f"--screenshot={picture}")
            pytest.fail(f"{address} does not show {missing}: {picture}")
    return page


@pytest.fixture(params=[1500, 1000], ids="{} px".format)
def look(request, server, tmp_path):
    """Opens a page of MLflow, in a wide and in a narrow window."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed; `make test-pipeline` does it on Debian")

    def look(path, *awaited):
        return browse(f"{server}/#/{path}", tmp_path, request.param, *awaited)

    return look


def test_the_page_of_runs_shows_pipelines_and_what_to_look_at(server, look):
    mine, runs = experiment_runs(server)
    listed = look(f"experiments/{mine}/runs?{TRAINING}", ">pipeline ", ">trainings by algorithm</a>", "CartPole-v1")
    # Each pipeline's runs are folded below it.
    assert {name for name in runs if name.startswith("pipeline ")} & set(re.findall(r">(pipeline [^<]*)<", listed))


def test_a_view_shows_the_curves_of_trainings_by_algorithm(server, look):
    mine, _ = experiment_runs(server)
    view = f"experiments/{mine}/runs?{TRAINING}&viewStateShareKey=trainings&compareRunsMode=CHART"
    look(view, "js-plotly-plot", ">return/training<", ">nstep<", ">episodic<")


def test_the_page_of_a_training_shows_its_curves(server, look):
    mine, runs = experiment_runs(server)
    training = runs["train nstep seed 0"]["info"]["run_id"]
    look(f"experiments/{mine}/runs/{training}/model-metrics?{TRAINING}", "js-plotly-plot", ">return<", ">loss<")


def test_two_trainings_are_compared_by_their_params(server, look):
    mine, runs = experiment_runs(server)
    pair = json.dumps([runs[f"train {name} seed 0"]["info"]["run_id"] for name in ("nstep", "episodic")])
    compared = look(f"compare-runs?runs={quote(pair)}&experiments={quote(json.dumps([mine]))}", "learning_rate")
    assert "No parameters to display" not in compared


def test_the_page_of_a_model_shows_its_returns(server, look):
    api = f"{server}/api/2.0/mlflow"
    mine, _ = experiment_runs(server)
    found = ask(f"{api}/logged-models/search", {"experiment_ids": [mine]})["models"]
    model = next(model["info"] for model in found if model["info"]["name"] == "CartPole-v1-nstep-seed-0")
    look(
        f"experiments/{mine}/models/{model['model_id']}?{TRAINING}", "CartPole-v1-nstep-seed-0", "evaluate/greedy_mean"
    )


def test_a_registered_model_is_served(repository, server):
    port = free_port()
    model = "models:/CartPole-v1-nstep-seed-0/1"
    command = ["mlflow", "models", "serve", "--model-uri", model, "--env-manager", "local"]
    with serving(repository, *command, "--host", "127.0.0.1", "--port", str(port)):
        (row,) = ask(f"http://127.0.0.1:{port}/invocations", {"inputs": [[0.0, 0.1, 0.0, -0.1]]})["predictions"]
    assert row["action"] in {0, 1}
    assert row["probability_0"] + row["probability_1"] == pytest.approx(1)


def ask(url, body, seconds=60):
    """POST `body`, trying until the server is up."""
    deadline = time.monotonic() + seconds
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
