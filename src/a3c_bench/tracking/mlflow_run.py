"""One stage's run in MLflow. What a stage tells of becomes calls of `MlflowRun`, in the tracking process only."""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from a3c_bench.tracking.store import find_or_create_experiment, quiet, tracking_uri

EXPERIMENT = "a3c-bench"
PIPELINE_TAG = "a3c_bench.pipeline"
BATCH = 1000
SYSTEM_METRICS_SECONDS = 1.0
SERVING_LIBRARIES = ("gymnasium", "mlflow", "numpy", "pandas", "pydantic", "ruamel.yaml", "safetensors")

Metric = tuple[str, float, int]
Tell = Callable[[Sequence[Metric]], None]


class MlflowRun:
    """Every method is one job. `at`: when the stage said so, in milliseconds."""

    def __init__(self, tell: Tell) -> None:
        """`tell`: takes what is seen of the machine while the stage runs, to be logged as other metrics are."""
        self._tell = tell
        self._run = ""
        self._monitor: Any = None
        self._stage_runs = True

    def begin(self, at: int, name: str, tags: Mapping[str, str], pipeline: Mapping[str, Any]) -> None:
        """Make the run, below its pipeline's."""
        quiet()
        import mlflow

        self._mlflow = mlflow
        mlflow.set_tracking_uri(tracking_uri())
        self._client = mlflow.MlflowClient()
        self._experiment = find_or_create_experiment(self._client, EXPERIMENT)
        self._parent = self._find_or_create_parent(at, **pipeline)
        self._run = self._create_child(at, name, tags)
        self._monitor = _monitor(self._run, self._tell)
        if self._stage_runs:
            self._monitor.start()

    def _find_or_create_parent(
        self, at: int, key: str, name: str, tags: Mapping[str, str], params: Sequence[tuple[str, str]]
    ) -> str:
        found = self._client.search_runs([self._experiment], f"tags.`{PIPELINE_TAG}` = '{key}'", max_results=1)
        if found:
            return str(found[0].info.run_id)
        run = self._client.create_run(self._experiment, start_time=at, tags={PIPELINE_TAG: key, **tags}, run_name=name)
        parameters = [self._mlflow.entities.Param(key, value) for key, value in params]
        self._client.log_batch(run.info.run_id, params=parameters)
        self._client.set_terminated(run.info.run_id)
        return str(run.info.run_id)

    def _create_child(self, at: int, name: str, tags: Mapping[str, str]) -> str:
        tags = {**tags, "mlflow.parentRunId": self._parent}
        run = self._client.create_run(self._experiment, start_time=at, tags=tags, run_name=name)
        return str(run.info.run_id)

    def metrics(self, at: int, metrics: Sequence[Metric], run: str | None = None) -> None:
        """Log figures; of the stage's own run unless another is named."""
        for start in range(0, len(metrics), BATCH):
            batch = [
                self._mlflow.entities.Metric(name, value, at, step)
                for name, value, step in metrics[start : start + BATCH]
            ]
            self._client.log_batch(run or self._run, metrics=batch)

    def artifacts(self, at: int, paths: Sequence[str]) -> None:
        """Log files or whole folders."""
        for path in map(Path, paths):
            if path.is_dir():
                self._client.log_artifacts(self._run, str(path), path.name)
            else:
                self._client.log_artifact(self._run, str(path))

    def children(self, at: int, runs: Sequence[tuple[str, Mapping[str, str], Sequence[Metric]]]) -> None:
        """Log one run each, beside the stage's own."""
        for name, tags, metrics in runs:
            run = self._create_child(at, name, tags)
            self.metrics(at, metrics, run)
            self._client.set_terminated(run)

    def model(
        self,
        at: int,
        paths: Sequence[str],
        code: Sequence[str],
        section: Mapping[str, Any],
        environment: dict[str, Any],
        observations: int,
        columns: Mapping[str, str],
    ) -> None:
        """Log the model in a file of parameters, with the code that makes a policy of it.

        observations: numbers of one; columns: what the policy gives, by the types of the numbers.
        """
        import numpy as np
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, DataType, Schema, TensorSpec

        types = {"int64": DataType.long, "float32": DataType.float}
        signature = ModelSignature(
            inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, observations))]),
            outputs=Schema([ColSpec(types[kind], name) for name, kind in columns.items()]),
        )
        (path,) = paths
        with self._mlflow.start_run(run_id=self._run):
            self._mlflow.pyfunc.log_model(
                name="model",
                input_example=np.zeros((1, observations), np.float32),
                python_model=str(Path(__file__).with_name("served_policy.py")),
                artifacts={"model": path},
                model_config={"section": section, "environment": environment},
                code_paths=code,
                pip_requirements=[f"{name}=={version(name)}" for name in SERVING_LIBRARIES],
                signature=signature,
            )

    def end(self, at: int, status: str) -> None:
        """The stage ended so; nothing to do where its run was never made."""
        if self._run:
            self._client.set_terminated(self._run, status, end_time=at)

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
