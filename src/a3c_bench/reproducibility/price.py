"""What the fixed order costs: env steps per second of `ordered` ÷ `hogwild`.

Two trainings, one under either schedule, are alive at once; one of them runs while the other is stopped, in turns of a
fraction of a second. A machine whose speed changes by the minute changes it for both.
"""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from a3c_bench.agent.arrays import Doubles
from a3c_bench.agent.environments import describe
from a3c_bench.config import AlgorithmName, Config, ScheduleName, parse_config
from a3c_bench.parallel.pool import Pool
from a3c_bench.parallel.worker import Job
from a3c_bench.progress import Progress
from a3c_bench.seeding import Role, stream
from a3c_bench.stages.files import PRICE, csv_bytes
from a3c_bench.stats import ratio_of_means

SCHEDULES: tuple[ScheduleName, ...] = ("ordered", "hogwild")
WORKERS = (1, 2, 4)
ACTORS = 8
"""So that every number of workers divides them."""
SLICE_SECONDS, SETTLING_SECONDS = 0.08, 0.01
SLICES = 150
# More than is ever trained here.
ROLLOUTS = 100_000
COLUMNS = ("algorithm", "workers", "actors", "slices", *SCHEDULES, "ratio", "ratio_low", "ratio_high")


def measure(config: Config, slices: int = SLICES) -> Mapping[Path, bytes]:
    """Compare the schedules for every algorithm and number of workers; returns the file."""
    rows: list[dict[str, Any]] = []
    with Progress("price", len(config.algorithms) * len(WORKERS)) as progress:
        for algorithm in config.algorithms:
            for workers in WORKERS:
                progress.show(len(rows), f"{algorithm}, {workers} workers")
                rates = in_turns(config, algorithm, workers, slices)
                rows.append({"algorithm": algorithm, "workers": workers, **compare(rates)})
    return {PRICE: csv_bytes(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])}


def compare(rates: Doubles) -> dict[str, Any]:
    """The means of `rates` (slices, schedules), and their ratio with its interval."""
    ordered, hogwild = rates.T
    ratio, interval = ratio_of_means(ordered, hogwild)
    return {
        "actors": ACTORS,
        "slices": len(rates),
        "ordered": float(np.mean(ordered)),
        "hogwild": float(np.mean(hogwild)),
        "ratio": ratio,
        "ratio_low": interval and float(interval.low),
        "ratio_high": interval and float(interval.high),
    }


def in_turns(config: Config, algorithm: AlgorithmName, workers: int, slices: int) -> Doubles:
    """Env steps per second (slices, schedules) of trainings that run in turns, in a random order each time."""
    order = stream(0, Role.PROFILE)
    rates = np.empty((slices, len(SCHEDULES)))
    with ExitStack() as stack:
        pools = [stack.enter_context(_stopped(config, algorithm, schedule, workers)) for schedule in SCHEDULES]
        for row in rates:
            for index in order.permutation(len(pools)):
                row[index] = _slice(pools[index])
    return rates


def _slice(pool: Pool) -> float:
    _signal(pool, signal.SIGCONT)
    time.sleep(SETTLING_SECONDS)
    before, start = int(pool.tables.turn[0]), time.perf_counter()
    time.sleep(SLICE_SECONDS)
    after, end = int(pool.tables.turn[0]), time.perf_counter()
    _signal(pool, signal.SIGSTOP)
    pool.receive(0)
    return float(np.sum(pool.tables.turns["env_steps"][before:after])) / (end - start)


@contextmanager
def _stopped(config: Config, algorithm: AlgorithmName, schedule: ScheduleName, workers: int) -> Iterator[Pool]:
    """A training that has begun, and is stopped."""
    params = config.model_dump(mode="json")
    params |= {"schedule": schedule, "workers": workers}
    nstep = params["nstep"] | {"actors": ACTORS}
    nstep["total_steps"] = ROLLOUTS * ACTORS * nstep["envs"] * nstep["rollout_steps"]
    params |= {"nstep": nstep, "episodic": params["episodic"] | {"actors": ACTORS, "episodes": ROLLOUTS}}
    with Pool(Job(parse_config(params), algorithm, 0, describe(config.env), False)) as pool:
        while int(pool.tables.turn[0]) < 4 * ACTORS:
            pool.receive(SETTLING_SECONDS)
        _signal(pool, signal.SIGSTOP)
        yield pool


def _signal(pool: Pool, number: signal.Signals) -> None:
    for member in pool.members:
        os.kill(member.process.pid or 0, number)
