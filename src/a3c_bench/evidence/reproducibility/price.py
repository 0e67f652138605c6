"""What the fixed order costs: env steps per second of `ordered` ÷ `hogwild`, measured in turns."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from a3c_bench.arrays import Doubles
from a3c_bench.config import Config, ScheduleName
from a3c_bench.evidence.speed.in_turns import rates_in_turns, training
from a3c_bench.progress import Progress
from a3c_bench.results.files import PRICE, csv_bytes
from a3c_bench.stats import ratio_of_means

SCHEDULES: tuple[ScheduleName, ...] = ("ordered", "hogwild")
WORKERS = (1, 2, 4)
ACTORS = 8
"""So that every number of workers divides them."""
SLICES = 150
COLUMNS = ("algorithm", "workers", "actors", "slices", *SCHEDULES, "ratio", "ratio_low", "ratio_high")


def measure(config: Config, slices: int = SLICES) -> Mapping[Path, bytes]:
    """Compare the schedules for every algorithm and number of workers; returns the file."""
    rows: list[dict[str, Any]] = []
    even = with_actors(config, ACTORS)
    with Progress("price", len(config.algorithms) * len(WORKERS)) as progress:
        for algorithm in config.algorithms:
            for workers in WORKERS:
                progress.show(len(rows), f"{algorithm}, {workers} workers")
                with ExitStack() as stack:
                    contestants = [
                        stack.enter_context(training(even, algorithm, schedule=schedule, workers=workers))
                        for schedule in SCHEDULES
                    ]
                    rates = rates_in_turns(contestants, slices)
                rows.append({"algorithm": algorithm, "workers": workers, **compare(rates)})
    return {PRICE: csv_bytes(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])}


def with_actors(config: Config, actors: int) -> Config:
    """The params with so many actors for every algorithm."""
    sections = {name: config.algorithm(name).model_copy(update={"actors": actors}) for name in config.algorithms}
    return config.model_copy(update={"sections": sections})


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
