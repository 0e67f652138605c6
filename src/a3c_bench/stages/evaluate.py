"""Stage `evaluate`: the trained model of one algorithm and seed on fresh episodes, greedy and sampled."""

import numpy as np

from a3c_bench.config import Config
from a3c_bench.environments.make import EnvironmentInfo, describe
from a3c_bench.evaluation import Episodes, evaluate
from a3c_bench.progress import Progress, conclude
from a3c_bench.results.files import csv_bytes, evaluate_folder, json_bytes, write_all
from a3c_bench.results.models import load_policy
from a3c_bench.tracking.tracker import Tracker

POLICIES = ("greedy", "sampled")


def run(config: Config, algorithm: str, seed: int) -> None:
    """Evaluate, then write every episode's return and the metrics."""
    environment = describe(config.recipe)
    count, title = config.evaluate.episodes, f"evaluate {algorithm} seed {seed}"
    with Tracker("evaluate", config, algorithm, seed) as tracker:
        policy = load_policy(config, algorithm, seed, environment)
        with Progress(title, count * len(POLICIES)) as progress:
            episodes = {}
            for place, name in enumerate(POLICIES):

                def watcher(ended: int, mean: float, name: str = name, before: int = place * count) -> None:
                    progress.show(
                        before + ended, f"{name} policy · mean return {mean:.0f}", policy=name, mean_return=mean
                    )

                episodes[name] = evaluate(policy, environment, count, seed, name == "sampled", watcher)
        metrics = summarise(episodes, environment)
        folder = evaluate_folder(algorithm, seed)
        files = {folder / "episodes.csv": as_csv(episodes), folder / "metrics.json": json_bytes(metrics)}
        write_all(files)
        conclude(title, " · ".join(f"{name} mean return {metrics[f'{name}_mean']:.1f}" for name in POLICIES), **metrics)
        tracker.evaluation(metrics, list(files))


def summarise(episodes: dict[str, Episodes], environment: EnvironmentInfo) -> dict[str, float | bool | None]:
    """Mean, median and extremes of the returns, and whether the greedy policy's mean reaches the threshold."""
    metrics: dict[str, float | bool | None] = {}
    for name, played in episodes.items():
        for statistic in (np.mean, np.median, np.min, np.max):
            metrics[f"{name}_{statistic.__name__}"] = float(statistic(played.returns))
    threshold = environment.reward_threshold
    metrics["solved"] = None if threshold is None else bool(np.mean(episodes["greedy"].returns) >= threshold)
    return metrics


def as_csv(episodes: dict[str, Episodes]) -> bytes:
    """One row per episode."""
    rows = (
        (name, episode, returned, length)
        for name, played in episodes.items()
        for episode, (returned, length) in enumerate(zip(played.returns.tolist(), played.lengths.tolist(), strict=True))
    )
    return csv_bytes(("policy", "episode", "return", "length"), rows)
