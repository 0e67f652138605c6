"""MLflow as a view of the files: no result needs it, and when it fails the run goes on.

One thread of the stage's own process talks to MLflow, so that its slow start runs beside the work.
"""

import json
import os
import queue
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from a3c_bench.algorithms.base import Settings
from a3c_bench.algorithms.registry import source_of
from a3c_bench.config import Config
from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.errors import say
from a3c_bench.machine import cpu_model
from a3c_bench.params import flatten
from a3c_bench.repository import git_commit, repository_root

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    from a3c_bench.training.pool import Outcome

EXPERIMENT = "a3c-bench"
PIPELINE_TAG = "a3c_bench.pipeline"
PATIENCE_SECONDS = 60.0
LAST_WORD_SECONDS = 0.5
"""How long a stage that failed waits for MLflow."""
LEAST_PRIORITY = 19
CURVE_POINTS = 200
BATCH = 1000
SYSTEM_METRICS_SECONDS = 1.0
SERVING_LIBRARIES = ("gymnasium", "mlflow", "numpy", "pandas", "pydantic", "ruamel.yaml", "safetensors")

Value = int | float | bool | None


def tracking_uri() -> str:
    """Where runs are stored: `MLFLOW_TRACKING_URI`, or SQLite at the repository's root.

    DVC runs queued experiments in a temporary folder and names the repository itself in `DVC_ROOT`.
    """
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{repository_root() / 'mlflow.db'}"


class Tracker:
    """The MLflow run of one stage: a child of the pipeline's run."""

    def __init__(self, stage: str, config: Config, algorithm: str | None = None, seed: int | None = None) -> None:
        self._config = config
        self._name = " ".join(
            [stage, *([algorithm] if algorithm else []), *([f"seed {seed}"] if seed is not None else [])]
        )
        self._tags = {"stage": stage, "machine": cpu_model(), **_tags(config)}
        if algorithm is not None:
            self._tags |= {"algorithm": algorithm, "seed": str(seed)}
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._failed = False
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)

    def __enter__(self) -> "Tracker":
        self._jobs.put(self._start)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._jobs.put(lambda: self._finish("FAILED" if kind else "FINISHED"))
        self._jobs.put(None)
        patience = LAST_WORD_SECONDS if kind else PATIENCE_SECONDS
        self._thread.join(patience)
        if self._thread.is_alive() and not kind:
            self._give_up(f"no answer within {patience:.0f} s")

    def metrics(self, prefix: str, metrics: Mapping[str, Value], step: int = 0) -> None:
        """Log figures, as `prefix/name`; those that have no value are left out."""
        values = {f"{prefix}/{name}": float(value) for name, value in metrics.items() if value is not None}
        self._jobs.put(lambda: self._log_batches([_metric(name, value, step) for name, value in values.items()]))

    def artifacts(self, paths: Sequence[Path]) -> None:
        """Log files or whole folders."""
        self._jobs.put(lambda: self._log_artifacts(paths))

    def children(self, points: Mapping[str, Mapping[str, Value]], tags: Mapping[str, Mapping[str, str]]) -> None:
        """Log one run per point below the pipeline's run: its figures, and its tags."""
        self._jobs.put(lambda: self._log_children(points, tags))

    def training(
        self,
        outcome: "Outcome",
        metrics: Mapping[str, Value],
        files: Sequence[Path],
        model: Path,
        settings: Settings,
        environment: EnvironmentInfo,
    ) -> None:
        """Log a training run: curves over env steps, the figures, the speed, the files and the model."""
        self.metrics("train", metrics, outcome.env_steps)
        speed = {"env_steps_per_second": outcome.env_steps_per_second, "seconds": outcome.seconds}
        self.metrics("speed", speed, outcome.env_steps)
        self._jobs.put(lambda: self._log_batches(curves(outcome)))
        self.artifacts(files)
        self._jobs.put(lambda: self._log_model(model, settings, environment))

    # What follows runs in the tracking thread.

    def _work(self) -> None:
        # On Linux every thread has its own: MLflow's slow start takes what the workers leave over.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LEAST_PRIORITY)
        while (job := self._jobs.get()) is not None:
            if self._failed:
                continue
            try:
                job()
            except Exception as error:
                self._give_up(" ".join(f"{type(error).__name__}: {error}".split())[:300])

    def _give_up(self, reason: str) -> None:
        if not self._failed:
            self._failed = True
            say(f"MLflow is left out of this stage ({reason}); the files are complete")

    def _start(self) -> None:
        quiet()
        import mlflow
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self._mlflow = mlflow
        mlflow.set_tracking_uri(tracking_uri())
        self._client = mlflow.MlflowClient()
        self._experiment = find_or_create_experiment(self._client, EXPERIMENT)
        self._parent = self._find_or_create_parent()
        self._run = self._create_child(self._name, self._tags)
        # Private names of `mlflow.start_run(log_system_metrics=True)`, which would bind the run to this thread only.
        self._monitor = SystemMetricsMonitor(self._run, sampling_interval=SYSTEM_METRICS_SECONDS)
        self._monitor.start()

    def _find_or_create_parent(self) -> str:
        key = pipeline_key(self._config)
        found = self._client.search_runs([self._experiment], f"tags.`{PIPELINE_TAG}` = '{key}'", max_results=1)
        if found:
            return str(found[0].info.run_id)
        tags = {PIPELINE_TAG: key, "stage": "pipeline", "machine": cpu_model(), **_tags(self._config)}
        name = os.environ.get("DVC_EXP_NAME") or f"pipeline {git_commit()[:7]} {key[:6]}"
        run = self._client.create_run(self._experiment, tags=tags, run_name=name)
        parameters = [self._mlflow.entities.Param(key, str(value)) for key, value in flatten(self._config.params())]
        self._client.log_batch(run.info.run_id, params=parameters)
        self._client.set_terminated(run.info.run_id)
        return str(run.info.run_id)

    def _create_child(self, name: str, tags: Mapping[str, str]) -> str:
        tags = {**tags, "mlflow.parentRunId": self._parent}
        return str(self._client.create_run(self._experiment, tags=tags, run_name=name).info.run_id)

    def _finish(self, status: str) -> None:
        self._monitor.finish()
        self._client.set_terminated(self._run, status)

    def _log_batches(self, metrics: Sequence["Metric"]) -> None:
        for start in range(0, len(metrics), BATCH):
            self._client.log_batch(self._run, metrics=metrics[start : start + BATCH])

    def _log_artifacts(self, paths: Sequence[Path]) -> None:
        for path in paths:
            if path.is_dir():
                self._client.log_artifacts(self._run, str(path), path.name)
            else:
                self._client.log_artifact(self._run, str(path))

    def _log_children(self, points: Mapping[str, Mapping[str, Value]], tags: Mapping[str, Mapping[str, str]]) -> None:
        for name, figures in points.items():
            run = self._create_child(name, {**self._tags, **tags[name]})
            metrics = [
                _metric(f"profile/{key}", float(value), 0) for key, value in figures.items() if value is not None
            ]
            self._client.log_batch(run, metrics=metrics)
            self._client.set_terminated(run)

    def _log_model(self, path: Path, settings: Settings, environment: EnvironmentInfo) -> None:
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, DataType, Schema, TensorSpec

        probabilities = [ColSpec(DataType.float, f"probability_{action}") for action in range(environment.action.count)]
        signature = ModelSignature(
            inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, environment.observation.size))]),
            outputs=Schema([ColSpec(DataType.long, "action"), *probabilities]),
        )
        package = Path(__file__).resolve().parents[1]
        with self._mlflow.start_run(run_id=self._run):
            self._mlflow.pyfunc.log_model(
                name="model",
                input_example=np.zeros((1, environment.observation.size), np.float32),
                python_model=str(package / "tracking" / "served_policy.py"),
                artifacts={"model": str(path)},
                model_config={"section": settings.model_dump(mode="json"), "environment": asdict(environment)},
                code_paths=sorted({str(package), str(source_of(settings))}),
                pip_requirements=[f"{name}=={version(name)}" for name in SERVING_LIBRARIES],
                signature=signature,
            )


def find_or_create_experiment(client: "MlflowClient", name: str) -> str:
    """The id of the experiment of this name."""
    found = client.get_experiment_by_name(name)
    if found:
        return str(found.experiment_id)
    # A server stores artifacts itself; SQLite's would land in the current folder, which may be a temporary one.
    local = tracking_uri().startswith("sqlite:")
    return str(client.create_experiment(name, str(repository_root() / "mlruns") if local else None))


def curves(outcome: "Outcome") -> list["Metric"]:
    """Training returns and update statistics over env steps, thinned to means over equal parts."""
    returns, at = outcome.episodes["return"], outcome.episode_env_steps
    parts = np.array_split(np.arange(len(returns)), max(1, min(CURVE_POINTS, len(returns))))
    metrics = [
        _metric("return/training", float(np.mean(returns[part])), int(at[part[-1]])) for part in parts if len(part)
    ]
    env_steps = np.cumsum(outcome.turns["env_steps"])
    names = {"policy_loss": "loss/policy", "value_error": "loss/value_error", "entropy": "policy/entropy"}
    names["gradient_norm"] = "gradient/norm"
    for part in np.array_split(np.arange(len(env_steps)), min(CURVE_POINTS, len(env_steps))):
        metrics += [
            _metric(name, float(np.mean(outcome.turns[column][part])), int(env_steps[part[-1]]))
            for column, name in names.items()
        ]
    return metrics


def pipeline_key(config: Config) -> str:
    """What makes stages belong to one execution: the DVC experiment or the commit, and the params."""
    execution = os.environ.get("DVC_EXP_NAME") or git_commit()
    return sha256(f"{execution}\n{json.dumps(config.params())}".encode()).hexdigest()


def _tags(config: Config) -> dict[str, str]:
    return {
        "commit": git_commit(),
        "dvc_experiment": os.environ.get("DVC_EXP_NAME", ""),
        "env": config.env,
        "schedule": config.schedule,
        "workers": str(config.workers),
        "threads": str(config.threads),
    }


def _metric(name: str, value: float, step: int) -> "Metric":
    from mlflow.entities import Metric

    return Metric(name, value, int(time.time() * 1000), step)


def quiet() -> None:
    """Keep MLflow's own chatter (migrations, hints) off the stage's output, and its patience within ours."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    warnings.filterwarnings("ignore", module=r"mlflow(\..*)?")
