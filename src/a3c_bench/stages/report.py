"""Stage `report`: aggregates exactly the algorithms and seeds of the params, and renders figures, page and README."""

from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from a3c_bench import figures
from a3c_bench.agent.environments import describe
from a3c_bench.config import AlgorithmName, Config
from a3c_bench.stages import supplements
from a3c_bench.stages.files import (
    MACHINE,
    PROFILE,
    REPORTS,
    evaluate_folder,
    json_bytes,
    read_json,
    train_folder,
    write_all,
)
from a3c_bench.stages.tables import frame_bytes, read_csv
from a3c_bench.stats import bootstrap, curve_on_grid, interquartile_mean
from a3c_bench.tracking import Tracker, last_commit

GRID_POINTS = 200
FIGURES = REPORTS / "figures"
HEADLINE = ("greedy_iqm", "greedy_iqm_low", "greedy_iqm_high", "sampled_iqm", "seeds_solved", "steps_to_threshold")
Metrics = dict[str, dict[str, float | int | None]]


def run(config: Config) -> None:
    """Aggregate and render."""
    with Tracker("report", config) as tracker:
        curves, bands = learning_tables(config)
        episodes = evaluation_table(config)
        points = read_csv(PROFILE / "points.csv")
        machine = read_json(MACHINE)
        metrics = summarise(config, episodes)
        context = {
            "config": config,
            "metrics": metrics,
            "points": points,
            "predicted": read_csv(PROFILE / "scaling.csv"),
            "machine": machine,
            "titles": findings(config, metrics, points),
            "params": flat_params(config),
            "commit": last_commit(),
            **supplements.read(),
        }
        drawn = draw(config, context, curves, bands, episodes)
        context["svg"] = {name: inline_svg(content) for name, content in drawn.items() if name.endswith(".svg")}
        write_all(
            {
                REPORTS / "report" / "learning.csv": frame_bytes(bands),
                REPORTS / "report" / "seeds.csv": frame_bytes(curves),
                REPORTS / "report" / "summary.json": json_bytes(metrics),
                REPORTS / "report" / "metrics.json": json_bytes(headline(metrics)),
                **{FIGURES / name: content for name, content in drawn.items()},
                REPORTS / "index.html": render("report.html.j2", context),
                REPORTS / "README.md": render("report.md.j2", context),
            }
        )
        print(f"{REPORTS / 'index.html'}: {', '.join(context['titles'].values())}")
        tracker.metrics(
            "report", {f"{name}/{key}": value for name, row in metrics.items() for key, value in row.items()}
        )
        tracker.artifacts([FIGURES, REPORTS / "index.html", REPORTS / "README.md"])


def draw(
    config: Config, context: dict[str, Any], curves: pd.DataFrame, bands: pd.DataFrame, episodes: pd.DataFrame
) -> dict[str, bytes]:
    """The figures, as SVG and PNG, by file name."""
    figures.use_style()
    threshold = describe(config.env).reward_threshold
    titles, points = context["titles"], context["points"]
    return figures.render_all(
        {
            "learning": figures.learning(curves, bands, threshold, titles["learning"]),
            "evaluation": figures.evaluation(episodes, threshold, titles["evaluation"]),
            "throughput": figures.throughput(
                points, context["predicted"], context["machine"]["cores"], config.threads, titles["throughput"]
            ),
            "threads": figures.threads_map(points, config.schedule, titles["threads"]),
            "split": figures.time_split(points, config.threads, titles["split"]),
        }
    )


def read_curve(folder: Path) -> pd.DataFrame:
    """The learning curve of a training run: as many episodes as its metrics say."""
    return read_csv(folder / "curve.csv", read_json(folder / "metrics.json")["episodes"])


def learning_tables(config: Config) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Each seed's curve, and the IQM over seeds with its interval, on a grid of env steps."""
    curves, bands = [], []
    for algorithm in config.algorithms:
        runs = [read_curve(train_folder(algorithm, seed)) for seed in config.seeds]
        last = min(int(run["env_step"].iloc[-1]) if len(run) else 1 for run in runs)
        grid = np.linspace(0, last, GRID_POINTS + 1).astype(np.int64)[1:]
        means = np.stack([curve_on_grid(run["env_step"].to_numpy(), run["return"].to_numpy(), grid) for run in runs])
        curves += [
            pd.DataFrame({"algorithm": algorithm, "seed": seed, "env_step": grid, "mean_return": mean})
            for seed, mean in zip(config.seeds, means, strict=True)
        ]
        bands.append(band(algorithm, grid, means))
    return pd.concat(curves, ignore_index=True), pd.concat(bands, ignore_index=True)


def band(algorithm: AlgorithmName, grid: np.ndarray[Any, Any], means: np.ndarray[Any, Any]) -> pd.DataFrame:
    """IQM over seeds (the first axis of `means`) and its interval, where every seed has a value."""
    whole = ~np.isnan(means).any(axis=0)
    iqm, low, high = (np.full(len(grid), np.nan) for _ in range(3))
    if whole.any():
        iqm[whole] = interquartile_mean(means[:, whole])
        interval = bootstrap(means[:, whole], interquartile_mean)
        if interval:
            low[whole], high[whole] = interval
    return pd.DataFrame({"algorithm": algorithm, "env_step": grid, "iqm": iqm, "low": low, "high": high})


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


def summarise(config: Config, episodes: pd.DataFrame) -> Metrics:
    """Mean, median and IQM over seeds with its interval, of every algorithm and policy, and the seeds solved."""
    means = episodes.groupby(["algorithm", "policy", "seed"])["return"].mean()
    metrics: Metrics = {}
    for algorithm in config.algorithms:
        row: dict[str, float | int | None] = {"seeds": len(config.seeds)}
        for policy in ("greedy", "sampled"):
            by_seed = means.loc[algorithm, policy].to_numpy(dtype=np.float64)
            row |= _over_seeds(policy, by_seed)
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


def _over_seeds(policy: str, by_seed: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float | int | None]:
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


def findings(config: Config, metrics: Metrics, points: pd.DataFrame) -> dict[str, str]:
    """The figures' titles: what each shows."""
    seeds = len(config.seeds)
    solved = ", ".join(f"{name} {row['seeds_solved']} of {seeds}" for name, row in metrics.items())
    reached = ", ".join(f"{name} {row['seeds_reached_threshold']} of {seeds}" for name, row in metrics.items())
    current = points[
        (points["schedule"] == config.schedule)
        & (points["workers"] == config.workers)
        & (points["threads"] == config.threads)
        & (points["algorithm"] != "textbook")
    ].set_index("algorithm")
    fast = " and ".join(f"{name} {times:.0f}×" for name, times in current["times_textbook"].items())
    longest = {str(row["algorithm"]): _largest_share(row) for _, row in current.reset_index().iterrows()}
    known = any(row["seeds_solved"] is not None for row in metrics.values())
    return {
        "learning": f"Seeds that reached the threshold in training: {reached}" if known else "Return while training",
        "evaluation": f"Seeds solved by the greedy policy: {solved}" if known else "Return of the trained policies",
        "throughput": f"{config.workers} workers, {config.schedule}: {fast} the textbook loop with one process",
        "threads": f"Throughput by workers and threads, {config.schedule}",
        "split": "Most of the time goes to: " + ", ".join(f"{name} {part}" for name, part in longest.items()),
    }


def _largest_share(row: "pd.Series[Any]") -> str:
    shares = {label: float(row[column]) for column, label in figures.SPLIT_NAMES.items()}
    largest = max(shares, key=lambda label: shares[label])
    return f"{largest} ({shares[largest]:.0%})"


def flat_params(config: Config) -> dict[str, str]:
    """The resolved params, by dotted key."""
    flat = pd.json_normalize(config.model_dump()).iloc[0]
    return {
        str(key): ", ".join(map(str, value)) if isinstance(value, tuple) else str(value) for key, value in flat.items()
    }


def inline_svg(content: bytes) -> str:
    """An SVG picture without its XML header, to stand in a page."""
    text = content.decode()
    return text[text.index("<svg") :]


def render(template: str, context: dict[str, Any]) -> bytes:
    """A template of this package, filled in."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("a3c_bench"),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(context).encode()
