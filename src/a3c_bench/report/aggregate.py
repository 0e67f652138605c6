"""From files of single runs to tables over seeds: exactly the algorithms and seeds of the params."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from a3c_bench.arrays import Doubles
from a3c_bench.config import Config
from a3c_bench.results.files import evaluate_folder, read_json, train_folder
from a3c_bench.results.tables import read_csv
from a3c_bench.stats import (
    bootstrap,
    curves_on_grid,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)

PROFILE_POINTS = 200
POLICIES = ("greedy", "sampled")
HEADLINE = ("greedy_iqm", "seeds_solved", "steps_to_threshold")
Metrics = dict[str, dict[str, float | int | None]]


def read_curve(folder: Path) -> pd.DataFrame:
    """The learning curve of a training run: as many episodes as its metrics say."""
    return read_csv(folder / "curve.csv", read_json(folder / "metrics.json")["episodes"])


def learning_tables(config: Config) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Each seed's curve, and the IQM over seeds with its interval, on a grid of env steps."""
    curves, bands = [], []
    for algorithm in config.algorithms:
        runs = [read_curve(train_folder(algorithm, seed)) for seed in config.seeds]
        # A table without rows has no types of its own.
        grid, means = curves_on_grid(
            [(run["env_step"].to_numpy(np.int64), run["return"].to_numpy(np.float64)) for run in runs]
        )
        curves += [
            pd.DataFrame({"algorithm": algorithm, "seed": seed, "env_step": grid, "mean_return": mean})
            for seed, mean in zip(config.seeds, means, strict=True)
        ]
        bands.append(pd.DataFrame({"algorithm": algorithm, **band(grid, means)}))
    return pd.concat(curves, ignore_index=True), pd.concat(bands, ignore_index=True)


def band(grid: NDArray[np.int64], means: Doubles) -> dict[str, NDArray[Any]]:
    """Columns of a table: IQM over seeds (the first axis of `means`) and its interval, where every seed has a value."""
    whole = ~np.isnan(means).any(axis=0)
    iqm, low, high = (np.full(len(grid), np.nan) for _ in range(3))
    if whole.any():
        iqm[whole] = interquartile_mean(means[:, whole])
        interval = bootstrap(means[:, whole], interquartile_mean)
        if interval:
            low[whole], high[whole] = interval
    return {"env_step": grid, "iqm": iqm, "low": low, "high": high}


def evaluation_table(config: Config) -> pd.DataFrame:
    """Every evaluation episode."""
    tables = []
    for algorithm in config.algorithms:
        for seed in config.seeds:
            table = read_csv(evaluate_folder(algorithm, seed) / "episodes.csv", 2 * config.evaluate.episodes)
            table.insert(0, "algorithm", algorithm)
            table.insert(1, "seed", seed)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def performance_profiles(config: Config, episodes: pd.DataFrame) -> pd.DataFrame:
    """Of every algorithm and policy: the share of seeds whose mean return is above each of evenly spaced returns."""
    scores = seed_scores(episodes)
    every = np.concatenate([*scores.values(), [0.0]])
    grid = np.linspace(every.min(), every.max(), PROFILE_POINTS + 1)
    tables = []
    for algorithm in config.algorithms:
        for policy in POLICIES:
            share, interval = performance_profile(scores[algorithm, policy], grid)
            low, high = interval or (None, None)
            tables.append(
                pd.DataFrame(
                    {"algorithm": algorithm, "policy": policy, "return": grid, "share": share, "low": low, "high": high}
                )
            )
    return pd.concat(tables, ignore_index=True)


def improvements(config: Config, episodes: pd.DataFrame) -> pd.DataFrame:
    """For every pair of algorithms and policy: how often a seed of the first beats one of the other."""
    scores = seed_scores(episodes)
    rows = []
    for first, other in combinations(config.algorithms, 2):
        for policy in POLICIES:
            values, others = scores[first, policy], scores[other, policy]
            probability, interval = probability_of_improvement(values, others)
            low, high = interval or (None, None)
            rows.append((first, other, policy, probability, low, high))
    return pd.DataFrame(rows, columns=["algorithm", "other", "policy", "probability", "low", "high"])


def seed_scores(episodes: pd.DataFrame) -> dict[tuple[str, str], Doubles]:
    """The mean return of every seed (seeds,), by algorithm and policy."""
    means = episodes.groupby(["algorithm", "policy", "seed"], as_index=False)["return"].mean()
    return {
        (str(algorithm), str(policy)): rows["return"].to_numpy(dtype=np.float64)
        for (algorithm, policy), rows in means.groupby(["algorithm", "policy"])
    }


def summarise(config: Config, episodes: pd.DataFrame) -> Metrics:
    """Mean, median and IQM over seeds with its interval, of every algorithm and policy, and the seeds solved."""
    scores = seed_scores(episodes)
    metrics: Metrics = {}
    for algorithm in config.algorithms:
        row: dict[str, float | int | None] = {"seeds": len(config.seeds)}
        for policy in POLICIES:
            row |= _over_seeds(policy, scores[algorithm, policy])
        trained = [read_json(train_folder(algorithm, seed) / "metrics.json") for seed in config.seeds]
        evaluated = [read_json(evaluate_folder(algorithm, seed) / "metrics.json") for seed in config.seeds]
        row["seeds_solved"] = _count([result["solved"] for result in evaluated])
        row["seeds_reached_threshold"] = _count([result["steps_to_threshold"] is not None for result in trained])
        reached = [result["steps_to_threshold"] for result in trained if result["steps_to_threshold"] is not None]
        # A median over some of the seeds only would flatter: it is given where all of them got there.
        row["steps_to_threshold"] = float(np.median(reached)) if len(reached) == len(trained) else None
        metrics[algorithm] = row
    return metrics


def headline(metrics: Metrics) -> Metrics:
    """The few of them that `dvc metrics` and `dvc exp show` show; those that have no value are left out."""
    return {
        algorithm: {name: row[name] for name in HEADLINE if row[name] is not None} for algorithm, row in metrics.items()
    }


def _over_seeds(policy: str, by_seed: Doubles) -> dict[str, float | int | None]:
    interval = bootstrap(by_seed, interquartile_mean)
    return {
        f"{policy}_mean": float(np.mean(by_seed)),
        f"{policy}_median": float(np.median(by_seed)),
        f"{policy}_iqm": float(interquartile_mean(by_seed)),
        f"{policy}_iqm_low": float(interval.low) if interval else None,
        f"{policy}_iqm_high": float(interval.high) if interval else None,
    }


def _count(flags: list[bool | None]) -> int | None:
    return None if any(flag is None for flag in flags) else sum(bool(flag) for flag in flags)


def fault_summary(faults: pd.DataFrame, **figures: str) -> pd.DataFrame:
    """Per kind of fault: how many were tried, survived and ended with the same bits; and `figures` of other columns."""
    marked = faults.assign(survived=faults["survived"] == "yes", same=faults["same"] == "yes")
    kinds = marked.groupby("fault", sort=False)
    counts = kinds.agg(tried=("fault", "size"), survived=("survived", "sum"), same=("same", "sum"))
    return counts.join(kinds.agg(figures)).reset_index()
