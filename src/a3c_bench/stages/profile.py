"""Stage `profile`: throughput of every (algorithm × schedule × workers × threads), beside the textbook loop."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from a3c_bench import scaling
from a3c_bench.arrays import Doubles
from a3c_bench.config import Config, ScheduleName
from a3c_bench.environments.make import EnvironmentInfo, describe
from a3c_bench.errors import TrainingError
from a3c_bench.machine import cores
from a3c_bench.math_threads import without_limit
from a3c_bench.processes import start_server
from a3c_bench.progress import Progress, conclude
from a3c_bench.results.files import PROFILE, csv_bytes, json_bytes, write_all
from a3c_bench.seeding import Role, stream
from a3c_bench.stats import bootstrap, paired_ratio
from a3c_bench.tracking.tracker import Tracker
from a3c_bench.training import pool
from a3c_bench.training.needs import require_room
from a3c_bench.training.outcome import Outcome

SPLIT = ("environment", "acting", "learning", "submitting", "recording", "waiting")
PREDICTED_WORKERS = tuple(2**power for power in range(11))
FURTHEST = 4
TEXTBOOK = "textbook"
PROFILE_SEED = 0


class Point(NamedTuple):
    """One combination that is timed."""

    algorithm: str
    schedule: ScheduleName
    workers: int
    threads: int

    @property
    def one_worker(self) -> "Point":
        """The point that this one's speed-up is measured against."""
        return self._replace(workers=1)

    def __str__(self) -> str:
        return f"{self.algorithm} {self.schedule} workers {self.workers} threads {self.threads}"


@dataclass(frozen=True)
class Sample:
    """One timed repeat of a point."""

    env_steps: int
    seconds: float
    """From the last turn with a first rollout to the last turn: start-up and warm-up are not in it."""
    cpu_utilisation: float
    """CPU seconds of all workers ÷ (wall seconds × the machine's cores)."""
    peak_memory_mib: float
    """Of the largest worker."""
    split: dict[str, float]
    """Share of the workers' time by `SPLIT`; empty unless the repeat was instrumented."""
    waiting_per_turn: float | None = None
    """Seconds that workers waited for a snapshot, per turn."""
    seconds_to_ready: float | None = None
    """From the start of the first worker until the last one could begin."""

    @property
    def rate(self) -> float:
        """Env steps per second."""
        return self.env_steps / self.seconds


@dataclass(frozen=True)
class Measured:
    """All repeats of a point: the instrumented one, which is also the warm-up, and the timed ones."""

    instrumented: Sample | None
    samples: list[Sample]

    @property
    def rates(self) -> Doubles:
        """Env steps per second of the timed repeats."""
        return np.array([sample.rate for sample in self.samples])

    @property
    def seconds(self) -> float:
        """All that was timed of it."""
        return sum(sample.seconds for sample in [*self.samples, *([self.instrumented] if self.instrumented else [])])


def run(config: Config) -> None:
    """Measure the grid, then write every sample, the table of points, and the current point's metrics."""
    start_server()
    environment = describe(config.recipe)
    require_room(most_work(config), environment, config.algorithms)
    tracker = Tracker("profile", config)
    # Before MLflow starts: nothing is to run beside what is timed.
    measured = measure(config, environment, grid(config))
    with tracker:
        table = [summarise(point, measured, hosts(config, point)) for point in measured]
        metrics = current_metrics(config, table)
        files = {
            PROFILE / "samples.csv": samples_csv(measured),
            PROFILE / "points.csv": csv_bytes(list(table[0]), [list(row.values()) for row in table]),
            PROFILE / "metrics.json": json_bytes(metrics),
            PROFILE / "scaling.csv": scaling_csv(config, measured),
        }
        write_all(files)
        for algorithm, figures in metrics.items():
            text = " · ".join(f"{key} {value:,.2f}" for key, value in figures.items())
            conclude(f"profile {algorithm}", f"{algorithm}: {text}", **figures)
        points = {str(point): row for point, row in zip(measured, table, strict=True)}
        tracker.points(
            {name: {key: row[key] for key in LOGGED} for name, row in points.items()},
            {str(point): point._asdict() for point in measured},
            {str(point): result.seconds for point, result in measured.items()},
        )
        tracker.artifacts(list(files))


def grid(config: Config) -> list[Point]:
    """The params' grid, the current point, and that of one worker for each; the textbook loop's where it can play."""
    profile = config.profile
    workers = sorted({*profile.workers, config.workers, 1})
    threads = sorted({*profile.threads, config.threads})
    schedules = sorted({*profile.schedules, config.schedule}, reverse=True)
    ours = [Point(*point) for point in itertools.product(config.algorithms, schedules, workers, threads)]
    textbook = [Point(TEXTBOOK, "hogwild", count, 1) for count in sorted({*profile.textbook_processes, 1})]
    return ours + textbook if describe(config.recipe).is_plain else ours


def measure(config: Config, environment: EnvironmentInfo, points: list[Point]) -> dict[Point, Measured]:
    """Time every point `repeats` times, interleaved in an order that is drawn anew for every repeat."""
    measured: dict[Point, Measured] = {}
    order = stream(PROFILE_SEED, Role.PROFILE)
    total = len(points) * (config.profile.repeats + 1)
    with Progress("profile", total) as progress:
        done = itertools.count(1)
        for point in points:
            measured[point] = Measured(_instrumented(config, environment, point), [])
            progress.show(next(done), f"instrumented: {point}")
        for repeat in range(config.profile.repeats):
            for index in order.permutation(len(points)):
                point = points[index]
                measured[point].samples.append(_timed(config, environment, point))
                progress.show(next(done), f"repeat {repeat + 1} of {config.profile.repeats}: {point}")
    return measured


def _instrumented(config: Config, environment: EnvironmentInfo, point: Point) -> Sample | None:
    return None if point.algorithm == TEXTBOOK else time_training(config, environment, point, instrumented=True)


def _timed(config: Config, environment: EnvironmentInfo, point: Point) -> Sample:
    if point.algorithm == TEXTBOOK:
        return time_textbook(config, point)
    return time_training(config, environment, point, instrumented=False)


def time_training(config: Config, environment: EnvironmentInfo, point: Point, instrumented: bool) -> Sample:
    """Train a fresh model for the fixed work of the params, in fresh worker processes."""
    work = fixed_work(config).changed(workers=point.workers, threads=point.threads, schedule=point.schedule)
    timed = replace(environment, timed=instrumented)
    return as_sample(pool.train(work, point.algorithm, PROFILE_SEED, environment=timed), instrumented)


def as_sample(outcome: Outcome, instrumented: bool) -> Sample:
    """The rates of a training run."""
    times = outcome.turns["time"]
    warm_up = outcome.turns["update"] < outcome.updates_per_rollout
    start, end = float(np.max(times[warm_up])), float(np.max(times))
    # A worker's CPU clock runs from its first rollout on; the wall clock beside it from the first that was ready.
    busy = end - min(split.ready for split in outcome.splits)
    return Sample(
        env_steps=int(np.sum(outcome.turns["env_steps"][times > start])),
        seconds=end - start,
        cpu_utilisation=sum(split.cpu for split in outcome.splits) / (busy * cores()),
        peak_memory_mib=max(outcome.peak_memory_bytes) / 2**20,
        split=_shares(outcome) if instrumented else {},
        waiting_per_turn=sum(split.waiting for split in outcome.splits) / len(outcome.turns),
        seconds_to_ready=max(split.ready for split in outcome.splits) - outcome.started,
    )


def fixed_work(config: Config) -> Config:
    """The params with the profile's amount of work in place of the training's."""
    # At least two rollouts of every actor: the first is warm-up.
    sections = {
        name: settings.with_budget(max(2 * settings.updates_per_rollout, -(-config.profile.turns // settings.actors)))
        for name, settings in config.sections.items()
    }
    return config.changed(sections=sections)


def most_work(config: Config) -> Config:
    """The fixed work of the points that need the most of the machine."""
    return fixed_work(config).changed(workers=max(*config.profile.workers, config.workers))


def _shares(outcome: Outcome) -> dict[str, float]:
    seconds = {
        "environment": sum(split.environment for split in outcome.splits),
        "acting": sum(split.collecting - split.environment for split in outcome.splits),
        "learning": sum(split.learning for split in outcome.splits),
        "submitting": sum(split.submitting for split in outcome.splits),
        "recording": sum(split.recording for split in outcome.splits),
        "waiting": sum(split.waiting for split in outcome.splits),
    }
    total = sum(seconds.values())
    return {name: value / total for name, value in seconds.items()}


def time_textbook(config: Config, point: Point) -> Sample:
    """Run the textbook loop in a process of its own, with the math libraries as it would find them."""
    command = [sys.executable, "-m", "a3c_bench.textbook"]
    command += [config.env, str(point.workers), str(config.profile.textbook_episodes), str(PROFILE_SEED)]
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=without_limit(os.environ))
    if process.returncode:
        raise TrainingError(f"the textbook loop ended with exit code {process.returncode}", process.stderr)
    result = json.loads(process.stdout)
    return Sample(
        env_steps=result["env_steps"],
        seconds=result["seconds"],
        cpu_utilisation=result["cpu_seconds"] / (result["seconds"] * cores()),
        peak_memory_mib=result["peak_memory_bytes"] / 2**20,
        split={},
    )


def hosts(config: Config, point: Point) -> int:
    """Workers of a point that have an actor to host; the others are not started."""
    if point.algorithm == TEXTBOOK:
        return point.workers
    return min(point.workers, config.algorithm(point.algorithm).actors)


def summarise(point: Point, measured: dict[Point, Measured], workers: int) -> dict[str, Any]:
    """A row of the table of points; `workers` are those that were started."""
    rates, base = measured[point].rates, measured[point.one_worker].rates
    textbook = measured.get(Point(TEXTBOOK, "hogwild", 1, 1))
    samples, instrumented = measured[point].samples, measured[point].instrumented
    interval = bootstrap(rates, np.median)
    speedup, ends = paired_ratio(rates, base, np.median)
    low, high = np.quantile(rates, [0.25, 0.75])
    split = instrumented.split if instrumented else {}
    ready = [sample.seconds_to_ready for sample in samples if sample.seconds_to_ready is not None]
    waits = [sample.waiting_per_turn for sample in samples if sample.waiting_per_turn is not None]
    return {
        **point._asdict(),
        "oversubscribed": int(workers * point.threads > cores()),
        "env_steps_per_second": float(np.median(rates)),
        "quartile_low": float(low),
        "quartile_high": float(high),
        "interval_low": float(interval.low) if interval else None,
        "interval_high": float(interval.high) if interval else None,
        "speedup": speedup,
        "speedup_low": float(ends.low) if ends else None,
        "speedup_high": float(ends.high) if ends else None,
        "efficiency": speedup / workers,
        "times_textbook": float(np.median(rates) / np.median(textbook.rates)) if textbook else None,
        "cpu_utilisation": float(np.median([sample.cpu_utilisation for sample in samples])),
        "peak_memory_mib": float(np.max([sample.peak_memory_mib for sample in samples])),
        "seconds_to_ready": float(np.median(ready)) if ready else None,
        "waiting_per_turn_microseconds": float(np.median(waits)) * 1e6 if waits else None,
        **{f"share_{name}": split.get(name) for name in SPLIT},
    }


LOGGED = ("env_steps_per_second", "speedup", "efficiency", "times_textbook", "cpu_utilisation", "peak_memory_mib")


def current_metrics(config: Config, table: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The figures of the point that the params name, by algorithm: what `dvc metrics` shows."""
    current = {"schedule": config.schedule, "workers": config.workers, "threads": config.threads}
    names = ("env_steps_per_second", "speedup", "times_textbook")
    return {
        row["algorithm"]: {name: row[name] for name in names if row[name] is not None}
        for row in table
        if row["algorithm"] != TEXTBOOK and current.items() <= row.items()
    }


def scaling_csv(config: Config, measured: Mapping[Point, Measured]) -> bytes:
    """What every algorithm's law predicts, under the params' schedule and threads; no rows where none can be fitted."""
    rows = []
    for algorithm in config.algorithms:
        own = {
            point.workers: result
            for point, result in measured.items()
            if point == Point(algorithm, config.schedule, point.workers, config.threads)
            and hosts(config, point) == point.workers <= cores() // point.threads
        }
        rows += [(algorithm, *row) for row in predictions(own, config.algorithm(algorithm).actors)]
    return csv_bytes(("algorithm", "workers", "env_steps_per_second", "low", "high"), rows)


def predictions(
    measured: Mapping[int, Measured], actors: int
) -> Iterator[tuple[int, float, float | None, float | None]]:
    """(workers, rate, low, high) by the points of one algorithm within the cores, by their workers.

    Not further than the actors go round, nor than `FURTHEST` times the cores.
    """
    if len(measured) < scaling.FEWEST_COUNTS:
        return
    workers, rates = np.array(list(measured)), np.stack([result.rates for result in measured.values()], axis=1)
    counts = [count for count in PREDICTED_WORKERS if count <= min(actors, FURTHEST * cores())]
    interval = scaling.interval(workers, rates, counts)
    lows, highs = (interval.low, interval.high) if interval else ([None] * len(counts),) * 2
    for count, rate, low, high in zip(counts, scaling.fit(workers, rates).predict(counts), lows, highs, strict=True):
        ends = (None, None) if low is None else (float(low), float(high))
        yield count, float(rate), *ends


def samples_csv(measured: dict[Point, Measured]) -> bytes:
    """Every timed repeat."""
    rows = (
        (*point, repeat, sample.env_steps, sample.seconds, sample.rate, sample.cpu_utilisation)
        for point, result in measured.items()
        for repeat, sample in enumerate(result.samples)
    )
    header = ("repeat", "env_steps", "seconds", "env_steps_per_second", "cpu_utilisation")
    return csv_bytes((*Point._fields, *header), rows)
