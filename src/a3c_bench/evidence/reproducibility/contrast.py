"""What `hogwild` learns, beside what `ordered` learned: other bits every time, and returns that are alike or not.

Alike is a claim of its own: not to have found a difference between a few seeds is none.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from a3c_bench.arrays import Doubles
from a3c_bench.config import Config
from a3c_bench.environments.make import describe
from a3c_bench.environments.recipe import Recipe
from a3c_bench.evidence.reproducibility.conditions import Condition
from a3c_bench.evidence.reproducibility.launch import Launcher
from a3c_bench.evidence.reproducibility.trial import Result, Trial
from a3c_bench.results.files import SCHEDULE_CURVES, SCHEDULE_RUNS, SCHEDULES, csv_bytes
from a3c_bench.stats import Interval, bootstrap, bootstrap_difference, curves_on_grid, interquartile_mean

MEASURES = ("greedy_return", "sampled_return", "training_return")
MARGIN_SHARE = 0.05
"""Of the reward threshold: returns that differ by less are alike."""
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
    "margin",
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
    margin = margin_of(config.recipe)
    table = [row for algorithm in config.algorithms for row in compare(algorithm, config.seeds, runs, margin)]
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


def margin_of(recipe: Recipe | str) -> float | None:
    """The difference of returns that counts as none; None for an environment without a reward threshold."""
    threshold = describe(recipe).reward_threshold
    return None if threshold is None else MARGIN_SHARE * abs(threshold)


def compare(algorithm: str, seeds: Sequence[int], runs: Runs, margin: float | None) -> list[dict[str, Any]]:
    """For each measure: the IQM over seeds under either schedule, and of their difference, with intervals."""
    rows = []
    for name in MEASURES:
        ordered, hogwild = (
            np.array([getattr(runs[algorithm, schedule, seed], name) for seed in seeds]) for schedule in SCHEDULE_NAMES
        )
        difference = interquartile_mean(hogwild) - interquartile_mean(ordered)
        interval = bootstrap_difference(hogwild, ordered, interquartile_mean)
        rows.append(
            {
                "algorithm": algorithm,
                "measure": name,
                "seeds": len(seeds),
                **_with_interval("ordered", ordered),
                **_with_interval("hogwild", hogwild),
                "difference": float(difference),
                "difference_low": interval and float(interval.low),
                "difference_high": interval and float(interval.high),
                "margin": margin,
                "alike": interval and verdict(interval, margin),
            }
        )
    return rows


def verdict(difference: Interval, margin: float | None) -> str:
    """`yes`: the whole interval lies within the margin; `differ`: it does not, and 0 is not in it; else neither."""
    if margin is not None and -margin <= difference.low and difference.high <= margin:
        return "yes"
    return "no difference found" if difference.low <= 0 <= difference.high else "differ"


def _with_interval(name: str, values: Doubles) -> dict[str, float | None]:
    interval = bootstrap(values, interquartile_mean)
    return {
        f"{name}_iqm": float(interquartile_mean(values)),
        f"{name}_low": interval and float(interval.low),
        f"{name}_high": interval and float(interval.high),
    }
