"""Logging to MLflow in this process, in place of one beside a stage."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from a3c_bench.tracking.experiment import EXPERIMENT
from a3c_bench.tracking.mlflow_run import PIPELINE_TAG, MlflowRun
from a3c_bench.tracking.store import quiet, tracking_uri


class Direct:
    """Takes what a `Channel` takes, and does it at once; what MLflow raises is raised here."""

    def __init__(self) -> None:
        self._run = MlflowRun(lambda _: None)
        # No stage runs: what the machine does meanwhile is nobody's.
        self._run.stop_watching()

    def send(self, message: Mapping[str, Any]) -> None:
        """Do it."""
        getattr(self._run, message["job"])(**{key: value for key, value in message.items() if key != "job"})

    def offer(self, message: Mapping[str, Any]) -> bool:
        """Do it."""
        self.send(message)
        return True

    def copy(self, paths: Sequence[Path]) -> list[str]:
        """The paths themselves, as they are read at once."""
        return [str(path) for path in paths]

    def close(self) -> None:
        """Nothing is open."""

    def wait(self) -> None:
        """All is done."""


def logged_runs(pipeline: str) -> set[str]:
    """The names of the runs that came to their end below that of this pipeline; none where no stage of it has run."""
    quiet()
    import mlflow

    client = mlflow.MlflowClient(tracking_uri())
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return set()
    where = [experiment.experiment_id]
    parents = client.search_runs(where, f"tags.`{PIPELINE_TAG}` = '{pipeline}'", max_results=1)
    if not parents:
        return set()
    below = f"tags.`mlflow.parentRunId` = '{parents[0].info.run_id}' AND attributes.status = 'FINISHED'"
    return {str(run.info.run_name) for run in client.search_runs(where, below, max_results=10_000)}
