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
from a3c_bench.algorithms.registry import own_sources
from a3c_bench.config import Config
from a3c_bench.distributions.base import as_columns
from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.machine import cpu_model
from a3c_bench.params import flatten
from a3c_bench.repository import git_commit
from a3c_bench.results.files import model_path
from a3c_bench.supervision import StoppedError
from a3c_bench.tracking.channel import Channel
from a3c_bench.tracking.curves import Metric, returns, updates
from a3c_bench.tracking.direct import Direct
from a3c_bench.tracking.live import Live
from a3c_bench.tracking.logged_model import EVALUATE, model_name
from a3c_bench.tracking.store import OFF, WAIT, how_to_track

if TYPE_CHECKING:
    from a3c_bench.training.outcome import Outcome
    from a3c_bench.training.pool import Watcher

PIPELINE = "pipeline"
"""In place of a stage, of the run that the stages' runs lie below."""
FROM_FILES = "from_files"
"""The tag of the runs of a stage that DVC skipped: when they were logged says nothing of when it ran."""
Value = int | float | bool | None


class Tracker:
    """The MLflow run of one stage: a child of the pipeline's run. It begins where this is made."""

    def __init__(
        self,
        stage: str,
        config: Config,
        algorithm: str | None = None,
        seed: int | None = None,
        from_files: bool = False,
    ) -> None:
        """from_files: this process logs what is there already, in place of one beside a stage."""
        self._how = how_to_track()
        self._began = _now()
        self._config = config
        self._live = Live(config.algorithm(algorithm).turns if algorithm else 1)
        self._name = run_name(stage, algorithm, seed)
        self._tags = _tags(config, stage) | ({FROM_FILES: "yes"} if from_files else {})
        self._params = _texts(config.params())
        if algorithm is not None:
            cell = {"algorithm": algorithm, "seed": str(seed)}
            self._tags |= cell
            self._params = {**cell, **_shared(config), **_texts(config.algorithm(algorithm).model_dump(mode="json"))}
        self._open = Direct if from_files else Channel
        self._channel: Channel | Direct | None = None

    def __enter__(self) -> "Tracker":
        if self._how != OFF:
            self._channel = self._open()
            made = {"name": self._name, "tags": self._tags, "params": self._params}
            self._channel.send(_message("begin", self._began, **made, pipeline=_pipeline(self._config)))
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

    def pipeline(
        self, figures: Mapping[str, Mapping[str, Value]], curves: Iterable[Metric], paths: Sequence[Path]
    ) -> None:
        """Log to the pipeline's run: figures by algorithm, curves over env steps, and files or whole folders."""
        if self._channel is not None:
            metrics = [metric for algorithm, row in figures.items() for metric in _known(algorithm, row, 0)]
            self._send("metrics", metrics=[*metrics, *curves], of_pipeline=True)
            self._send("artifacts", paths=self._channel.copy(paths), of_pipeline=True)

    def points(
        self,
        points: Mapping[str, Mapping[str, Value]],
        varied: Mapping[str, Mapping[str, Any]],
        seconds: Mapping[str, float],
    ) -> None:
        """Log one run per point of the profile below the pipeline's: its figures, what was varied, and how long."""
        runs = []
        for name, figures in points.items():
            own = {key: str(value) for key, value in varied[name].items()}
            params = {**_shared(self._config), **own}
            runs.append((name, {**self._tags, **own}, params, _known("profile", figures, 0), seconds[name]))
        self._send("children", start=self._began, runs=runs)

    def live(self, watcher: "Watcher") -> "Watcher":
        """`watcher`, and the learning curve so far in MLflow, now and then: training is never held up by that."""

        def both(turn: int, env_steps: int, returns: NDArray[np.float64]) -> None:
            watcher(turn, env_steps, returns)
            if self._channel is None:
                return
            self._live.add(turn, env_steps, returns)
            metrics = self._live.due()
            if metrics and self._channel.offer(_message("metrics", _now(), metrics=metrics)):
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
        if self._channel is None:
            return
        speed = {"env_steps_per_second": outcome.env_steps_per_second, "seconds": outcome.seconds}
        figures = [*_known("train", metrics, outcome.env_steps), *_known("speed", speed, outcome.env_steps)]
        # What was shown while training ran is not shown twice.
        later = [point for point in returns(outcome) if not self._live.has_shown(point[2])]
        self._metrics([*figures, *later, *updates(outcome)])
        self.artifacts(files)
        package = Path(__file__).resolve().parents[1]
        distribution = settings.distribution(environment)
        columns = as_columns(distribution, np.zeros((1, distribution.size), np.float32))
        self._send(
            "model",
            name=model_name(environment.name, self._tags["algorithm"], int(self._tags["seed"])),
            paths=self._channel.copy([model]),
            content=_digest(model),
            code=self._channel.copy(sorted({package, *own_sources(settings).values()})),
            libraries=settings.libraries,
            section=settings.model_dump(mode="json"),
            environment=asdict(environment),
            observations=environment.observation.size,
            columns={name: str(column.dtype) for name, column in columns.items()},
            env_steps=outcome.env_steps,
        )

    def evaluation(self, metrics: Mapping[str, Value], files: Sequence[Path]) -> None:
        """Log an evaluation: the figures, which are the model's and its training's too, and the files."""
        self.metrics(EVALUATE, metrics)
        self.artifacts(files)
        if self._channel is not None:
            self._send("evaluated", content=_digest(model_path(self._tags["algorithm"], int(self._tags["seed"]))))

    def _metrics(self, metrics: Iterable[Metric]) -> None:
        self._send("metrics", metrics=list(metrics))

    def _send(self, job: str, **content: Any) -> None:
        if self._channel is not None:
            self._channel.send(_message(job, _now(), **content))


def _message(job: str, at: int, **content: Any) -> dict[str, Any]:
    """`job`: a method of `mlflow_run.MlflowRun`; `content`: its arguments, beside the time at which this was said."""
    return {"job": job, "at": at, **content}


def _now() -> int:
    return int(time.time() * 1000)


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _known(prefix: str, metrics: Mapping[str, Value], step: int) -> list[Metric]:
    return [(f"{prefix}/{name}", float(value), step) for name, value in metrics.items() if value is not None]


def _texts(params: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in flatten(params)}


def run_name(stage: str, algorithm: str | None = None, seed: int | None = None) -> str:
    """What a stage's run is called."""
    return " ".join([stage, *([algorithm] if algorithm else []), *([f"seed {seed}"] if seed is not None else [])])


def _pipeline(config: Config) -> dict[str, Any]:
    """The run that the runs of one execution lie below."""
    key = pipeline_key(config)
    return {
        "key": key,
        "name": os.environ.get("DVC_EXP_NAME") or f"pipeline {git_commit()[:7]} {key[:6]}",
        "tags": _tags(config, PIPELINE),
        "params": _texts(config.params()),
        "sections": sorted(config.sections),
    }


def pipeline_key(config: Config) -> str:
    """What makes stages belong to one execution: the DVC experiment or the commit, and the params."""
    execution = os.environ.get("DVC_EXP_NAME") or git_commit()
    return sha256(f"{execution}\n{json.dumps(config.params())}".encode()).hexdigest()


def _shared(config: Config) -> dict[str, str]:
    """The params that belong to every algorithm."""
    return {
        "env": config.env,
        "schedule": config.schedule,
        "workers": str(config.workers),
        "threads": str(config.threads),
    }


def _tags(config: Config, stage: str) -> dict[str, str]:
    """What MLflow's page groups and filters runs by, and its column of sources shows."""
    shared = {("environment" if key == "env" else key): value for key, value in _shared(config).items()}
    experiment = os.environ.get("DVC_EXP_NAME")
    return {
        "stage": stage,
        "mlflow.source.name": "dvc.yaml" if stage == PIPELINE else f"a3c-bench {stage}",
        "mlflow.source.type": "LOCAL",
        "machine": cpu_model(),
        "commit": git_commit(),
        **({"dvc_experiment": experiment} if experiment else {}),
        **shared,
    }
