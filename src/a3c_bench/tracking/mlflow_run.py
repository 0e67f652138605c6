"""One stage's run in MLflow. What a stage tells of becomes calls of `MlflowRun`, in the tracking process only."""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from a3c_bench.tracking.curves import Metric
from a3c_bench.tracking.experiment import EXPERIMENT, describe
from a3c_bench.tracking.logged_model import CONTENT_TAG, link_returns, log_model
from a3c_bench.tracking.store import find_or_create_experiment, quiet, retried, tracking_uri

PIPELINE_TAG = "a3c_bench.pipeline"
BATCH, PARAM_BATCH = 1000, 100
SYSTEM_METRICS_SECONDS = 1.0

Params = Mapping[str, str]
Tags = Mapping[str, str]
Tell = Callable[[Sequence[Metric]], None]


class MlflowRun:
    """Every method is one job. `at`: when the stage said so, in milliseconds."""

    def __init__(self, tell: Tell) -> None:
        """`tell`: takes what is seen of the machine while the stage runs, to be logged as other metrics are."""
        self._tell = tell
        self._parent = self._run = ""
        self._monitor: Any = None
        self._stage_runs = True

    def begin(self, at: int, name: str, tags: Tags, params: Params, pipeline: Mapping[str, Any]) -> None:
        """Make the run, below its pipeline's."""
        quiet()
        import mlflow

        self._mlflow = mlflow
        mlflow.set_tracking_uri(tracking_uri())
        self._client = mlflow.MlflowClient()
        self._experiment = find_or_create_experiment(self._client, EXPERIMENT)
        describe(self._client, self._experiment, pipeline["sections"])
        self._parent = self._find_or_create_parent(at, pipeline)
        self._run = self._create_child(at, name, tags, params)
        self._monitor = _monitor(self._run, self._tell)
        if self._stage_runs:
            self._monitor.start()

    def _find_or_create_parent(self, at: int, pipeline: Mapping[str, Any]) -> str:
        """Its run lasts from the start of its first stage to the end of its last one."""
        key = pipeline["key"]
        found = self._client.search_runs([self._experiment], f"tags.`{PIPELINE_TAG}` = '{key}'", max_results=1)
        if found:
            run = str(found[0].info.run_id)
            self._client.update_run(run, "RUNNING")
            return run
        return self._create(at, pipeline["name"], {PIPELINE_TAG: key, **pipeline["tags"]}, pipeline["params"])

    def _create_child(self, at: int, name: str, tags: Tags, params: Params) -> str:
        return self._create(at, name, {**tags, "mlflow.parentRunId": self._parent}, params)

    def _create(self, at: int, name: str, tags: Tags, params: Params) -> str:
        entities = self._mlflow.entities
        created = self._client.create_run(self._experiment, start_time=at, tags=dict(tags), run_name=name)
        run = str(created.info.run_id)
        given = [entities.Param(key, value) for key, value in params.items()]
        for start in range(0, len(given), PARAM_BATCH):
            self._client.log_batch(run, params=given[start : start + PARAM_BATCH])
        # What a run learns from or plays is, for MLflow, its data set.
        digest = f"gymnasium {version('gymnasium')}"
        environment = entities.Dataset(tags["environment"], digest, "gymnasium", tags["environment"])
        retried(lambda: self._client.log_inputs(run, datasets=[entities.DatasetInput(environment)]))
        return run

    def metrics(self, at: int, metrics: Sequence[Metric], of_pipeline: bool = False) -> None:
        """Log figures, of the stage's own run or the pipeline's."""
        self._log_metrics(self._parent if of_pipeline else self._run, at, metrics)

    def _log_metrics(self, run: str, at: int, metrics: Sequence[Metric]) -> None:
        for start in range(0, len(metrics), BATCH):
            batch = [
                self._mlflow.entities.Metric(name, value, at, step)
                for name, value, step in metrics[start : start + BATCH]
            ]
            self._client.log_batch(run, metrics=batch)

    def artifacts(self, at: int, paths: Sequence[str], of_pipeline: bool = False) -> None:
        """Log files or whole folders, to the stage's own run or the pipeline's."""
        run = self._parent if of_pipeline else self._run
        for path in map(Path, paths):
            if path.is_dir():
                self._client.log_artifacts(run, str(path), path.name)
            else:
                self._client.log_artifact(run, str(path))

    def children(self, at: int, start: int, runs: Sequence[tuple[str, Tags, Params, Sequence[Metric], float]]) -> None:
        """Log one run each, beside the stage's own, from `start` on for so many seconds."""
        for name, tags, params, metrics, seconds in runs:
            run = self._create_child(start, name, tags, params)
            self._log_metrics(run, at, metrics)
            self._client.set_terminated(run, end_time=start + round(1000 * seconds))

    def model(self, at: int, paths: Sequence[str], content: str, **described: Any) -> None:
        """Log the model in a file of parameters."""
        (path,) = paths
        with self._mlflow.start_run(run_id=self._run):
            log_model(path=path, content=content, **described)
        link_returns(self._client, at, self._experiment, content)

    def evaluated(self, at: int, content: str) -> None:
        """The stage's figures are those of the model whose file has this SHA-256."""
        self._client.set_tag(self._run, CONTENT_TAG, content)
        link_returns(self._client, at, self._experiment, content)

    def end(self, at: int, status: str) -> None:
        """The stage ended so, and the pipeline with its last stage; nothing to do where their runs were never made."""
        if self._run:
            self._client.set_terminated(self._run, status, end_time=at)
        if self._parent:
            before = self._client.get_run(self._parent).info.end_time or 0
            self._client.set_terminated(self._parent, status, end_time=max(at, before))

    def stop_watching(self) -> None:
        """The stage has ended: what the machine does now is not its doing."""
        self._stage_runs = False
        if self._monitor is not None:
            self._monitor.stop()


def _monitor(run: str, tell: Tell) -> Any:
    """Watches the machine."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    class Monitor(SystemMetricsMonitor):
        # Private names of `mlflow.start_run(log_system_metrics=True)`, which would bind the run to one thread.

        def publish_metrics(self, metrics: dict[str, float]) -> None:
            """In the monitor's own thread."""
            tell([(f"system/{name}", value, self._logging_step) for name, value in metrics.items()])
            self._logging_step += 1
            for monitor in self.monitors:
                monitor.clear_metrics()

        def stop(self) -> None:
            """Not to be waited for."""
            self._shutdown_event.set()

    return Monitor(run, sampling_interval=SYSTEM_METRICS_SECONDS)
