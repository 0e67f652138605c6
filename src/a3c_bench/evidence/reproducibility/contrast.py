"""What `hogwild` learns, beside what `ordered` learned: other bits every time, and returns that are alike or not."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from a3c_bench.arrays import Doubles
from a3c_bench.config import Config
from a3c_bench.evidence.reproducibility.conditions import Condition
from a3c_bench.evidence.reproducibility.launch import Launcher
from a3c_bench.evidence.reproducibility.trial import Result, Trial
from a3c_bench.results.files import SCHEDULE_CURVES, SCHEDULE_RUNS, SCHEDULES, csv_bytes
from a3c_bench.stats import bootstrap, bootstrap_difference, curves_on_grid, interquartile_mean

MEASURES = ("greedy_return", "sampled_return", "training_return")
SCHEDULE_NAMES = ("ordered", "hogwild")
CURVE_COLUMNS = ("algorithm", "schedule", "seed", "env_step", "mean_return")
RUN_COLUMNS = ("algorithm", "schedule", "seed", "sha256", "env_steps", *MEASURES)
TABLE_COLUMNS = (
    "algorithm",
    "measure",
    "seeds",
    "ordered_iqm",
    "ordered_low",
    "ordered_high",
    "hogwild_iqm",
    "hogwild_low",
    "hogwild_high",
    "difference",
    "difference_low",
    "difference_high",
    "alike",
)

Runs = dict[tuple[str, str, int], Result]


def measure(config: Config, launcher: Launcher) -> dict[Path, bytes]:
    """Train every algorithm and seed of the params in full under both schedules; returns the files."""
    runs: Runs = {}
    for algorithm in config.algorithms:
        for seed in config.seeds:
            for schedule in SCHEDULE_NAMES:
                params = {**config.params(), "schedule": schedule}
                runs[algorithm, schedule, seed] = launcher.run(Condition(schedule), Trial(params, algorithm, seed))
    rows = ([*key, *(getattr(result, name) for name in RUN_COLUMNS[3:])] for key, result in runs.items())
    table = [row for algorithm in config.algorithms for row in compare(algorithm, config, runs)]
    return {
        SCHEDULE_RUNS: csv_bytes(RUN_COLUMNS, rows),
        SCHEDULES: csv_bytes(TABLE_COLUMNS, [[row[name] for name in TABLE_COLUMNS] for row in table]),
        SCHEDULE_CURVES: csv_bytes(CURVE_COLUMNS, [row for name in config.algorithms for row in curves(name, runs)]),
    }


def curves(algorithm: str, runs: Runs) -> Iterator[tuple[str, str, int, int, float | None]]:
    """Every run's learning curve, all on the same env steps."""
    mine = {key: result for key, result in runs.items() if key[0] == algorithm}
    grid, means = curves_on_grid(
        [(np.array(result.episode_env_steps), np.array(result.episode_returns)) for result in mine.values()]
    )
    for key, curve in zip(mine, means, strict=True):
        for env_step, mean in zip(grid.tolist(), curve.tolist(), strict=True):
            yield (*key, env_step, None if math.isnan(mean) else mean)


def compare(algorithm: str, config: Config, runs: Runs) -> list[dict[str, Any]]:
    """For each measure: the IQM over seeds under either schedule, and of their difference, with intervals."""
    rows = []
    for name in MEASURES:
        ordered, hogwild = (
            np.array([getattr(runs[algorithm, schedule, seed], name) for seed in config.seeds])
            for schedule in SCHEDULE_NAMES
        )
        difference = interquartile_mean(hogwild) - interquartile_mean(ordered)
        interval = bootstrap_difference(hogwild, ordered, interquartile_mean)
        rows.append(
            {
                "algorithm": algorithm,
                "measure": name,
                "seeds": len(config.seeds),
                **_with_interval("ordered", ordered),
                **_with_interval("hogwild", hogwild),
                "difference": float(difference),
                "difference_low": interval and float(interval.low),
                "difference_high": interval and float(interval.high),
                "alike": interval and ("yes" if interval.low <= 0 <= interval.high else "no"),
            }
        )
    return rows


def _with_interval(name: str, values: Doubles) -> dict[str, float | None]:
    interval = bootstrap(values, interquartile_mean)
    return {
        f"{name}_iqm": float(interquartile_mean(values)),
        f"{name}_low": interval and float(interval.low),
        f"{name}_high": interval and float(interval.high),
    }
