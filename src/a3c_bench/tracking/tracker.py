"""MLflow as a view of the files: no result needs it, and when it fails the run goes on.

A stage only tells of its run: a process of its own (`process.py`) logs it, beside the stage and after its end.
"""

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from a3c_bench.algorithms.base import Settings
from a3c_bench.algorithms.registry import source_of
from a3c_bench.config import Config
from a3c_bench.distributions.base import as_columns
from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.machine import cpu_model
from a3c_bench.params import flatten
from a3c_bench.repository import git_commit
from a3c_bench.supervision import StoppedError
from a3c_bench.tracking.channel import Channel
from a3c_bench.tracking.live import CURVE_POINTS, Live
from a3c_bench.tracking.store import OFF, WAIT, how_to_track

if TYPE_CHECKING:
    from a3c_bench.training.pool import Outcome, Watcher

RETURNS = "return/training"

Value = int | float | bool | None
Metric = tuple[str, float, int]
"""Name, value and step."""


class Tracker:
    """The MLflow run of one stage: a child of the pipeline's run."""

    def __init__(self, stage: str, config: Config, algorithm: str | None = None, seed: int | None = None) -> None:
        self._how = how_to_track()
        self._config = config
        self._live = Live(config.algorithm(algorithm).turns if algorithm else 1)
        self._name = " ".join(
            [stage, *([algorithm] if algorithm else []), *([f"seed {seed}"] if seed is not None else [])]
        )
        self._tags = {"stage": stage, "machine": cpu_model(), **_tags(config)}
        if algorithm is not None:
            self._tags |= {"algorithm": algorithm, "seed": str(seed)}
        self._channel: Channel | None = None

    def __enter__(self) -> "Tracker":
        if self._how != OFF:
            self._channel = Channel()
            self._send("begin", name=self._name, tags=self._tags, pipeline=_pipeline(self._config))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stopped = isinstance(error, StoppedError | KeyboardInterrupt)
        self._send("end", status="KILLED" if stopped else "FAILED" if kind else "FINISHED")
        if self._channel is not None:
            self._channel.close()
            if self._how == WAIT and kind is None:
                self._channel.wait()

    def metrics(self, prefix: str, metrics: Mapping[str, Value], step: int = 0) -> None:
        """Log figures, as `prefix/name`; those that have no value are left out."""
        self._metrics(_known(prefix, metrics, step))

    def artifacts(self, paths: Sequence[Path]) -> None:
        """Log files or whole folders, as they are now."""
        if self._channel is not None:
            self._send("artifacts", paths=self._channel.copy(paths))

    def children(self, points: Mapping[str, Mapping[str, Value]], tags: Mapping[str, Mapping[str, str]]) -> None:
        """Log one run per point below the pipeline's run: its figures, and its tags."""
        runs = [(name, {**self._tags, **tags[name]}, _known("profile", points[name], 0)) for name in points]
        self._send("children", runs=runs)

    def live(self, watcher: "Watcher") -> "Watcher":
        """`watcher`, and the learning curve so far in MLflow, now and then: training is never held up by that."""

        def both(turn: int, env_steps: int, returns: NDArray[np.float64]) -> None:
            watcher(turn, env_steps, returns)
            self._live.add(turn, env_steps, returns)
            if self._channel is not None and (points := self._live.due()):
                metrics = [(RETURNS, value, step) for step, value in points]
                if self._channel.offer(_message("metrics", metrics=metrics)):
                    self._live.sent()

        return both

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
        speed = {"env_steps_per_second": outcome.env_steps_per_second, "seconds": outcome.seconds}
        figures = [*_known("train", metrics, outcome.env_steps), *_known("speed", speed, outcome.env_steps)]
        # What was shown while training ran is not shown twice.
        later = [point for point in returns(outcome) if not self._live.has_shown(point[2])]
        self._metrics([*figures, *later, *updates(outcome)])
        self.artifacts(files)
        if self._channel is not None:
            package = Path(__file__).resolve().parents[1]
            distribution = settings.distribution(environment)
            columns = as_columns(distribution, np.zeros((1, distribution.size), np.float32))
            self._send(
                "model",
                paths=self._channel.copy([model]),
                code=self._channel.copy(sorted({package, source_of(settings)})),
                section=settings.model_dump(mode="json"),
                environment=asdict(environment),
                observations=environment.observation.size,
                columns={name: str(column.dtype) for name, column in columns.items()},
            )

    def _metrics(self, metrics: Iterable[Metric]) -> None:
        self._send("metrics", metrics=list(metrics))

    def _send(self, job: str, **content: Any) -> None:
        if self._channel is not None:
            self._channel.send(_message(job, **content))


def _message(job: str, **content: Any) -> dict[str, Any]:
    """`job`: a method of `mlflow_run.MlflowRun`; `content`: its arguments, beside the time at which this was said."""
    return {"job": job, "at": int(time.time() * 1000), **content}


def _known(prefix: str, metrics: Mapping[str, Value], step: int) -> list[Metric]:
    return [(f"{prefix}/{name}", float(value), step) for name, value in metrics.items() if value is not None]


def returns(outcome: "Outcome") -> list[Metric]:
    """Training returns over env steps, thinned to means over equal parts."""
    values, at = outcome.episodes["return"], outcome.episode_env_steps
    parts = np.array_split(np.arange(len(values)), max(1, min(CURVE_POINTS, len(values))))
    return [(RETURNS, float(np.mean(values[part])), int(at[part[-1]])) for part in parts if len(part)]


def updates(outcome: "Outcome") -> list[Metric]:
    """Update statistics over env steps, thinned alike."""
    metrics: list[Metric] = []
    env_steps: NDArray[np.int64] = np.cumsum(outcome.turns["env_steps"])
    names = {"policy_loss": "loss/policy", "value_error": "loss/value_error", "entropy": "policy/entropy"}
    names["gradient_norm"] = "gradient/norm"
    for part in np.array_split(np.arange(len(env_steps)), min(CURVE_POINTS, len(env_steps))):
        metrics += [
            (name, float(np.mean(outcome.turns[column][part])), int(env_steps[part[-1]]))
            for column, name in names.items()
        ]
    return metrics


def _pipeline(config: Config) -> dict[str, Any]:
    """The run that the runs of one execution lie below."""
    key = pipeline_key(config)
    return {
        "key": key,
        "name": os.environ.get("DVC_EXP_NAME") or f"pipeline {git_commit()[:7]} {key[:6]}",
        "tags": {"stage": "pipeline", "machine": cpu_model(), **_tags(config)},
        "params": [(name, str(value)) for name, value in flatten(config.params())],
    }


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
