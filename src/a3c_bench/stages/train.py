"""Stage `train`: one model of one algorithm and seed."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from a3c_bench.config import Config
from a3c_bench.environments.make import EnvironmentInfo, describe
from a3c_bench.errors import say
from a3c_bench.processes import start_server
from a3c_bench.progress import Progress, conclude, in_words
from a3c_bench.results.checkpoints import Checkpoints, identity
from a3c_bench.results.files import csv_bytes, json_bytes, model_path, sha256, train_folder, write_all
from a3c_bench.results.models import moments
from a3c_bench.results.private import only_one
from a3c_bench.stats import WINDOW, steps_to_threshold
from a3c_bench.tracking.tracker import Tracker
from a3c_bench.training import pool
from a3c_bench.training.head import Head, asked
from a3c_bench.training.needs import require_room
from a3c_bench.training.outcome import Outcome

Table = Mapping[str, NDArray[Any]]
"""Columns of one length, by name."""
Metrics = dict[str, int | float | None]


def run(config: Config, algorithm: str, seed: int, fresh: bool = False) -> None:
    """Train, unless another process trains the same, and write the results.

    An interrupted training goes on from its last checkpoint, unless `fresh`.
    """
    with only_one(algorithm, seed):
        train_alone(config, algorithm, seed, fresh)


def train_alone(config: Config, algorithm: str, seed: int, fresh: bool) -> None:
    """Train, then write and log what comes of it."""
    start_server()
    config = asked(config)
    environment = describe(config.recipe)
    require_room(config, environment, [algorithm])
    for warning in config.warnings_on(environment):
        say(warning)
    settings, title = config.algorithm(algorithm), f"train {algorithm} seed {seed}"
    with (
        Tracker("train", config, algorithm, seed) as tracker,
        Checkpoints(config, algorithm, seed, fresh) as checkpoints,
        head_of(config, algorithm, seed) as head,
    ):
        start = checkpoints.newest()
        with Progress(title, settings.turns, head.hosts_now if head else list) as progress:
            outcome = pool.train(
                config,
                algorithm,
                seed,
                tracker.live(progress),
                environment=environment,
                start=start,
                keep=checkpoints.keep,
                max_restarts=config.max_restarts,
                head=head,
            )
        metrics = summarise(outcome, environment)
        files = results(outcome, config, algorithm, seed, environment, metrics)
        write_all(files)
        hosts = head.hosts_now() if head else []
        told = "\n".join([conclusion(config, outcome, metrics), *([in_words(hosts)] if hosts else [])])
        conclude(title, told, **metrics, seconds=outcome.seconds, **({"hosts": hosts} if hosts else {}))
        tracker.training(outcome, metrics, list(files), model_path(algorithm, seed), settings, environment)
        for number, host in enumerate(hosts):
            tracker.metrics(f"host_{number}", {"actors": host["actors"], "waiting": host["waiting"]}, outcome.env_steps)


def head_of(config: Config, algorithm: str, seed: int) -> AbstractContextManager[Head | None]:
    """What brings other hosts in, if there shall be any."""
    if config.hosts == 1:
        return nullcontext()
    return Head(config, algorithm, seed, identity(config, algorithm, seed))


def results(
    outcome: Outcome, config: Config, algorithm: str, seed: int, environment: EnvironmentInfo, metrics: Metrics
) -> dict[Path, bytes]:
    """What a training leaves behind, by file: the model at three moments, curve, updates, digests and metrics."""
    layout, folder = config.algorithm(algorithm).layout(environment), train_folder(algorithm, seed)
    kept = [*list(outcome.digests.values())[:-1], outcome.parameters]
    models = {moment: save(layout.tensors(kept[index])) for moment, index in moments(len(kept)).items()}
    return {
        **{model_path(algorithm, seed, moment): model for moment, model in models.items()},
        folder / "curve.csv": table_bytes(curve(outcome)),
        folder / "updates.csv": table_bytes(updates(outcome)),
        folder / "digests.csv": digests(outcome, config, algorithm, environment),
        folder / "metrics.json": json_bytes(metrics),
    }


def summarise(outcome: Outcome, environment: EnvironmentInfo) -> Metrics:
    """The deterministic figures of a training run."""
    returns = outcome.episodes["return"]
    return {
        "env_steps": outcome.env_steps,
        "episodes": len(returns),
        "turns": len(outcome.turns),
        "mean_return_last_100": float(np.mean(returns[-WINDOW:])) if len(returns) else None,
        "steps_to_threshold": steps_to_threshold(outcome.episode_env_steps, returns, environment.reward_threshold),
    }


def curve(outcome: Outcome) -> Table:
    """Every finished training episode."""
    episodes = outcome.episodes
    return {"env_step": outcome.episode_env_steps, **{name: episodes[name] for name in ("return", "length", "actor")}}


def updates(outcome: Outcome) -> Table:
    """The statistics of every turn."""
    turns = outcome.turns
    names = ("policy_loss", "value_error", "entropy", "gradient_norm")
    return {
        "turn": np.arange(1, len(turns) + 1),
        "actor": turns["actor"],
        "env_step": np.cumsum(turns["env_steps"]),
        **{name: turns[name] for name in names},
    }


def table_bytes(table: Table) -> bytes:
    """A table as CSV."""
    return csv_bytes(tuple(table), zip(*(column.tolist() for column in table.values()), strict=True))


def digests(outcome: Outcome, config: Config, algorithm: str, environment: EnvironmentInfo) -> bytes:
    """The SHA-256 of every parameter tensor after evenly spaced turns, as CSV."""
    layout = config.algorithm(algorithm).layout(environment)
    env_steps: NDArray[np.int64] = np.cumsum(outcome.turns["env_steps"])
    rows = (
        (turn, int(env_steps[turn - 1]), name, sha256(tensor.tobytes()))
        for turn, parameters in outcome.digests.items()
        for name, tensor in layout.tensors(parameters).items()
    )
    return csv_bytes(("turn", "env_step", "tensor", "sha256"), rows)


def conclusion(config: Config, outcome: Outcome, metrics: dict[str, int | float | None]) -> str:
    """What is said at the end of training: the textbook program's counter and exit codes, and the totals."""
    reached = metrics["steps_to_threshold"]
    lines = [
        f"episode counter {metrics['episodes']:,} · turns {metrics['turns']:,} · env steps {outcome.env_steps:,}",
        f"exit codes of the workers {outcome.exit_codes}",
        f"{outcome.seconds:.1f} s from the first worker's start, {outcome.env_steps_per_second:,.0f} env steps/s",
        "reward threshold " + ("not reached" if reached is None else f"reached after {reached:,} env steps"),
    ]
    if metrics["mean_return_last_100"] is not None:
        lines[-1] += f", mean return of the last {WINDOW} training episodes {metrics['mean_return_last_100']:.1f}"
    idle = config.workers - len(outcome.exit_codes)
    if idle > 0:
        lines.append(
            f"{idle} of {config.workers} workers were not started: there are only {len(outcome.exit_codes)} actors"
        )
    return "\n".join(lines)
