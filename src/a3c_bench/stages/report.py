"""Stage `report`: aggregates exactly the algorithms and seeds of the params, and renders figures, page and README."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from a3c_bench.config import Config
from a3c_bench.environments.make import describe
from a3c_bench.params import flatten
from a3c_bench.progress import conclude
from a3c_bench.report import supplements
from a3c_bench.report.aggregate import (
    Metrics,
    evaluation_table,
    headline,
    improvements,
    learning_tables,
    performance_profiles,
    summarise,
)
from a3c_bench.report.figures import returns, throughput
from a3c_bench.report.figures.style import NARROW, WIDTH, for_page, render, render_all, use_style
from a3c_bench.report.pages import picture, render_template
from a3c_bench.repository import last_commit
from a3c_bench.results.files import MACHINE, PROFILE, REPORTS, film_path, json_bytes, read_json, write_all
from a3c_bench.results.machines import read_machines
from a3c_bench.results.tables import frame_bytes, read_csv
from a3c_bench.tracking.tracker import Tracker

FIGURES = REPORTS / "figures"
TABLES = REPORTS / "report"
PAGE = REPORTS / "index.html"
WRITTEN = ("learning", "seeds", "performance", "improvement")
"""The tables that become files here; the others are in files already."""
TOLD = ("learning", "evaluation", "throughput")
"""The findings that a run of the stage prints."""
CONTENTS = {
    "learning": "Learning",
    "evaluation": "Evaluation",
    "seeds": "Each seed",
    "film": "The trained policy",
    "throughput": "Throughput",
    "reproducibility": "Reproducibility",
    "peers": "Beside other systems",
    "gate": "The regression gate",
    "run": "What was run",
}
"""The page's sections, by their anchors."""
FURTHER = {"The suite of environments": Path("suite/index.html"), "Several hosts": Path("hosts/index.html")}
"""Pages that other targets write, linked where they are; below `reports`."""
SPEED = ("env_steps_per_second", "speedup", "times_textbook")


def run(config: Config) -> None:
    """Aggregate and render."""
    with Tracker("report", config) as tracker:
        tables = aggregate(config)
        context = gather(config, tables)
        # What is drawn last leaves the usual look behind.
        narrow = {name: render(one, ("svg",))["svg"] for name, one in draw(config, context, tables, NARROW).items()}
        drawn = render_all(draw(config, context, tables))
        write_all(
            {
                **{TABLES / f"{name}.csv": frame_bytes(tables[name]) for name in WRITTEN},
                TABLES / "summary.json": json_bytes(context["metrics"]),
                TABLES / "metrics.json": json_bytes(headline(context["metrics"])),
                **{FIGURES / name: content for name, content in drawn.items()},
                **pages(context, drawn, narrow),
            }
        )
        told = [str(PAGE), *(context["titles"][name] for name in TOLD)]
        conclude("report", "\n".join(told), page=str(PAGE), **context["titles"])
        log(tracker, context, tables)


def log(tracker: Tracker, context: dict[str, Any], tables: Mapping[str, pd.DataFrame]) -> None:
    """Log the figures, the curves over seeds and the page, the pipeline's headline figures to its own run."""
    tracker.metrics("report", {key.replace(".", "/"): value for key, value in flatten(context["metrics"])})
    tracker.pipeline(figures_of(context), curves_of(tables["learning"]), [FIGURES, PAGE])


def figures_of(context: dict[str, Any]) -> Metrics:
    """The pipeline's headline figures, by algorithm: returns over seeds, and the speed at the params' own point."""
    speed = context["current"].set_index("algorithm")[list(SPEED)].to_dict("index")
    return {name: {**row, **speed.get(name, {})} for name, row in headline(context["metrics"]).items()}


def curves_of(learning: pd.DataFrame) -> list[tuple[str, float, int]]:
    """The learning curves: name, IQM over seeds, and env steps."""
    known = learning.dropna(subset="iqm")
    names = [f"{algorithm}/return_iqm" for algorithm in known["algorithm"]]
    return list(zip(names, known["iqm"].tolist(), known["env_step"].tolist(), strict=True))


def aggregate(config: Config) -> dict[str, pd.DataFrame]:
    """The tables over seeds, by name."""
    curves, bands = learning_tables(config)
    episodes = evaluation_table(config)
    return {
        "learning": bands,
        "seeds": curves,
        "episodes": episodes,
        "performance": performance_profiles(config, episodes),
        "improvement": improvements(config, episodes),
    }


def gather(config: Config, tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """All that figures and pages show, by the names that the templates use."""
    points = read_csv(PROFILE / "points.csv")
    context = {
        "config": config,
        "metrics": summarise(config, tables["episodes"]),
        "points": points,
        "current": at_params(config, points),
        "predicted": read_csv(PROFILE / "scaling.csv"),
        "machine": read_json(MACHINE),
        "params": flat_params(config),
        "commit": last_commit(),
        "warnings": config.warnings_on(describe(config.recipe)),
        "improvement": tables["improvement"],
        "films": films(config),
        "machines": read_machines(),
        "each_seed": each_seed(tables),
        "contents": CONTENTS,
        "further": {title: str(path) for title, path in FURTHER.items() if (REPORTS / path).exists()},
        **supplements.read(config),
    }
    return {**context, "titles": findings(config, context)}


def pages(context: dict[str, Any], drawn: dict[str, bytes], narrow: dict[str, bytes]) -> dict[Path, bytes]:
    """The report's page, with its figures in it, for wide and for narrow windows, and its README."""
    pictures = {name: content for name, content in drawn.items() if name.endswith(".svg")}
    if context["peers_picture"]:
        pictures["peers.svg"] = context["peers_picture"]
    shown = {
        **context,
        "svg": {name: for_page(content) for name, content in pictures.items()},
        "narrow": {name: for_page(content) for name, content in narrow.items()},
    }
    return {
        PAGE: render_template("report.html.j2", shown),
        REPORTS / "README.md": render_template("report.md.j2", shown),
    }


def draw(
    config: Config, context: dict[str, Any], tables: dict[str, pd.DataFrame], width: float = WIDTH
) -> dict[str, Figure]:
    """The figures, by name, `width` inches wide."""
    use_style(width)
    threshold = describe(config.recipe).reward_threshold
    titles, points = context["titles"], context["points"]
    figures = {
        "learning": returns.learning(tables["seeds"], tables["learning"], threshold, titles["learning"]),
        "evaluation": returns.evaluation(tables["episodes"], threshold, titles["evaluation"]),
        "performance": returns.performance(tables["performance"], tables["improvement"], titles["performance"]),
        "throughput": throughput.throughput(
            points, context["predicted"], context["machine"]["cores"], config.threads, titles["throughput"]
        ),
        "threads": throughput.threads_map(points, config.schedule, titles["threads"]),
        "split": throughput.time_split(points, config.threads, titles["split"]),
        "memory": throughput.memory(points, config.schedule, config.threads, titles["memory"]),
    }
    if not context["machines"].empty:
        figures["machines"] = throughput.machines(context["machines"], titles["machines"])
    if not context["schedule_curves"].empty:
        figures["schedules"] = returns.schedules(
            context["schedule_curves"], context["schedule_bands"], threshold, titles["schedules"]
        )
    return figures


def findings(config: Config, context: dict[str, Any]) -> dict[str, str]:
    """The figures' titles: what each shows."""
    metrics: Metrics = context["metrics"]
    points, current = context["points"], context["current"].set_index("algorithm")
    seeds = len(config.seeds)
    solved = ", ".join(f"{name} {row['seeds_solved']} of {seeds}" for name, row in metrics.items())
    reached = ", ".join(f"{name} {row['seeds_reached_threshold']} of {seeds}" for name, row in metrics.items())
    known = any(row["seeds_solved"] is not None for row in metrics.values())
    textbook = points[points["algorithm"] == "textbook"]
    rates = " and ".join(f"{name} {rate:,.0f}" for name, rate in current["env_steps_per_second"].items())
    fast = " and ".join(f"{name} {times:.0f}×" for name, times in current["times_textbook"].items())
    longest = {str(row["algorithm"]): _largest_share(row) for _, row in current.reset_index().iterrows()}
    return {
        "learning": f"Seeds that reached the threshold in training: {reached}" if known else "Return while training",
        "evaluation": f"Seeds solved by the greedy policy: {solved}" if known else "Return of the trained policies",
        "performance": improvement_in_words(context["improvement"]),
        "throughput": f"{config.workers} workers, {config.schedule}: "
        + (f"{rates} env steps per second" if textbook.empty else f"{fast} the textbook loop with one process"),
        "threads": f"Throughput by workers and threads, {config.schedule}",
        "split": "Most of the time goes to: " + ", ".join(f"{name} {part}" for name, part in longest.items()),
        "memory": f"A worker takes up to {current['peak_memory_mib'].max():.0f} MiB"
        + ("" if textbook.empty else f", a process of the textbook loop {textbook['peak_memory_mib'].max():.0f} MiB"),
        "machines": "Whole trainings by machine, the same bits on each",
        "schedules": "hogwild beside ordered: " + alike_in_words(context["schedules"]),
    }


def at_params(config: Config, points: pd.DataFrame) -> pd.DataFrame:
    """The profile's points that the params name, one per algorithm."""
    ours = points[points["algorithm"] != "textbook"]
    return ours[
        (ours["schedule"] == config.schedule)
        & (ours["workers"] == config.workers)
        & (ours["threads"] == config.threads)
    ]


def improvement_in_words(improvement: pd.DataFrame) -> str:
    """How often the better algorithm's greedy policy wins, for the first pair of algorithms."""
    if improvement.empty:
        return "Seeds above every return"
    first = improvement.iloc[0]
    names, probability = (first["algorithm"], first["other"]), first["probability"]
    better, worse = names if probability >= 0.5 else names[::-1]
    return f"A seed of {better} beats one of {worse} in {100 * max(probability, 1 - probability):.0f} % of all pairs"


def alike_in_words(schedules: pd.DataFrame) -> str:
    """Whether the schedules' training returns differ, by algorithm."""
    if schedules.empty:
        return "not measured"
    training = schedules[schedules["measure"] == "training_return"]
    margin = f"alike within ±{training['margin'].iloc[0]:g}"
    words = {"yes": margin, "differ": "returns differ", "no difference found": "no difference found"}
    return ", ".join(f"{row.algorithm} {words.get(str(row.alike), 'one seed')}" for row in training.itertuples())


def _largest_share(row: "pd.Series[Any]") -> str:
    shares = {label: float(row[column]) for column, label in throughput.SPLIT_NAMES.items()}
    largest = max(shares, key=lambda label: shares[label])
    return f"{largest} ({100 * shares[largest]:.0f} %)"


def films(config: Config) -> dict[str, dict[str, Any]]:
    """The animated pictures that there are, by algorithm, and their ends, in base 64 for a page; whether bright."""
    paths = {algorithm: film_path(algorithm) for algorithm in config.algorithms}
    found = {name: picture(path) for name, path in paths.items() if path.exists()}
    return {
        name: {
            "picture": base64.b64encode(content).decode(),
            "end": base64.b64encode(last_frame(content)).decode(),
            "bright": is_bright(content),
        }
        for name, content in found.items()
    }


def last_frame(content: bytes) -> bytes:
    """How an animated picture ends: on paper, where nothing moves, it says more than the beginning."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.seek(getattr(image, "n_frames", 1) - 1)
        image.convert("RGB").save(buffer, "WEBP", quality=70)
    return buffer.getvalue()


def is_bright(content: bytes) -> bool:
    """Whether a picture is mostly light: such a one looks like a slab on a dark page."""
    with Image.open(io.BytesIO(content)) as image:
        return bool(np.asarray(image.convert("L")).mean() > 127)


def each_seed(tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """A row per algorithm and seed: its mean returns by policy, and its learning curve as a line of 100 × 20."""
    means = tables["episodes"].groupby(["algorithm", "seed", "policy"], sort=False)["return"].mean().to_dict()
    found = []
    for (algorithm, seed), curve in tables["seeds"].groupby(["algorithm", "seed"], sort=False):
        greedy, sampled = (float(means[algorithm, seed, policy]) for policy in ("greedy", "sampled"))
        row = {"algorithm": algorithm, "seed": seed, "greedy": greedy, "sampled": sampled}
        found.append({**row, "line": sparkline(curve)})
    return found


def sparkline(curve: pd.DataFrame) -> str:
    """The points of a polyline in a box of 100 × 20; none where nothing is known yet. curve: env_step, mean_return."""
    known = curve.dropna(subset="mean_return")
    low, high = known["mean_return"].min(), known["mean_return"].max()
    across = 100 * known["env_step"] / max(curve["env_step"].max(), 1)
    down = 20 * (high - known["mean_return"]) / ((high - low) or 1)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))


def flat_params(config: Config) -> dict[str, str]:
    """The resolved params, by dotted key."""
    return {
        key: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in flatten(config.params())
    }
