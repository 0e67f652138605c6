"""`make bench` on the main branch: its figures go to MLflow, one run per commit, so that the UI draws their history."""

import json
import subprocess
from pathlib import Path
from typing import Any

from a3c_bench.errors import BadInputError
from a3c_bench.gate.checkouts import MAIN_BRANCHES
from a3c_bench.gate.show import label
from a3c_bench.machine import cpu_model
from a3c_bench.params import read_plain
from a3c_bench.repository import git
from a3c_bench.tracking import store

EXPERIMENT = "benchmarks"
COMMIT_TAG = "commit"


def run(results: Path) -> None:
    """Log what pytest-benchmark wrote to `results`, if it timed a commit of the main branch as it is."""
    try:
        content = json.loads(read_plain(results))
        commit, dirty = content["commit_info"]["id"], content["commit_info"]["dirty"]
        figures = {label(benchmark["fullname"]): benchmark["stats"]["median"] for benchmark in content["benchmarks"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(
            f"{results}: is not what pytest-benchmark writes ({error}); `make bench` writes it"
        ) from None
    if dirty or not on_main(commit):
        why = "files are not committed" if dirty else f"{commit[:7]} is not on the main branch"
        print(f"bench: the figures are in {results}; not in MLflow's history: {why}")
        return
    log(commit, figures, results)
    print(f"bench: {commit[:7]} is in MLflow's experiment `{EXPERIMENT}`")


def on_main(commit: str) -> bool:
    """Whether the main branch has this commit."""
    command = ["git", "merge-base", "--is-ancestor", commit]
    return any(
        subprocess.run([*command, branch], capture_output=True, check=False).returncode == 0 for branch in MAIN_BRANCHES
    )


def log(commit: str, figures: dict[str, float], results: Path) -> None:
    """One run for this commit, in place of an older one; its steps are the commit's place in the history."""
    store.quiet()
    import mlflow
    from mlflow.entities import Metric

    mlflow.set_tracking_uri(store.tracking_uri())
    client = mlflow.MlflowClient()
    experiment = store.find_or_create_experiment(client, EXPERIMENT)
    for old in client.search_runs([experiment], f"tags.{COMMIT_TAG} = '{commit}' and tags.machine = '{cpu_model()}'"):
        client.delete_run(old.info.run_id)
    place, made = git("rev-list", "--count", commit), int(git("log", "-1", "--format=%ct", commit)) * 1000
    subject = git("log", "-1", "--format=%s", commit)
    tags: dict[str, Any] = {COMMIT_TAG: commit, "machine": cpu_model(), "subject": subject}
    run = client.create_run(experiment, tags=tags, run_name=f"{commit[:7]} {subject}"[:60])
    metrics = [Metric(f"seconds/{name}", seconds, made, int(place)) for name, seconds in figures.items()]
    client.log_batch(run.info.run_id, metrics=metrics)
    client.log_artifact(run.info.run_id, str(results))
    client.set_terminated(run.info.run_id)
