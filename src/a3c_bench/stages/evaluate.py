"""Stage `evaluate`: the trained model of one algorithm and seed on fresh episodes, greedy and sampled."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from a3c_bench.agent.actor import make_layout
from a3c_bench.agent.arrays import Floats
from a3c_bench.agent.environments import EnvironmentInfo, describe
from a3c_bench.agent.evaluation import Episodes, evaluate, policy
from a3c_bench.agent.network import Layout
from a3c_bench.config import AlgorithmName, Config
from a3c_bench.errors import BadInputError
from a3c_bench.stages.files import csv_bytes, evaluate_folder, json_bytes, model_path, unreadable, write_all
from a3c_bench.tracking import Tracker

POLICIES = ("greedy", "sampled")


def run(config: Config, algorithm: AlgorithmName, seed: int) -> None:
    """Evaluate, then write every episode's return and the metrics."""
    environment = describe(config.env)
    settings = config.algorithm(algorithm)
    with Tracker("evaluate", config, algorithm, seed) as tracker:
        parameters = load_parameters(model_path(algorithm, seed), make_layout(settings, environment))
        logits = policy(settings, environment, parameters)
        episodes = {
            name: evaluate(logits, environment, config.evaluate.episodes, seed, sampled=name == "sampled")
            for name in POLICIES
        }
        metrics = summarise(episodes, environment)
        folder = evaluate_folder(algorithm, seed)
        files = {folder / "episodes.csv": as_csv(episodes), folder / "metrics.json": json_bytes(metrics)}
        write_all(files)
        print(" · ".join(f"{name} mean return {metrics[f'{name}_mean']:.1f}" for name in POLICIES))
        tracker.metrics("evaluate", metrics)
        tracker.artifacts(list(files))


def load_parameters(path: Path, layout: Layout) -> Floats:
    """The flat parameters of a model file; raises `BadInputError` unless it holds exactly the layout's tensors."""
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise unreadable(path, error) from None
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if found != dict(layout.shapes) or any(tensor.dtype != np.float32 for tensor in tensors.values()):
        raise BadInputError(f"{path}: holds the tensors {found}, but params.yaml asks for {dict(layout.shapes)}")
    return np.concatenate([tensors[name].reshape(-1) for name in layout.shapes])


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
