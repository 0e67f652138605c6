"""The suite's page: scores beside published ones, and learning curves, of the cells that there are."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from a3c_bench.errors import BadInputError
from a3c_bench.report.aggregate import band, read_curve
from a3c_bench.report.figures.style import PALETTE, QUIET, THOUSANDS, is_narrow
from a3c_bench.results.cells import evaluated, trained
from a3c_bench.results.files import PEERS, REPORTS, read_json
from a3c_bench.results.tables import read_csv
from a3c_bench.stats import bootstrap, curves_on_grid, interquartile_mean
from a3c_bench.suite import FOLDER, Cell, Suite

REFERENCES = FOLDER / "references.csv"
OUT = REPORTS / "suite"
LEARNING = OUT / "learning.csv"
TIME_TO_SCORE = PEERS.with_name("time-to-score.csv")
SOURCES = {
    "RL-Zoo": "https://github.com/DLR-RM/rl-baselines3-zoo/blob/22e3ff2450fd92033f7f032915e1f64894a09584/benchmark.md",
    "gymnax": "https://github.com/RobertTLange/gymnax/blob/086ad95697d5898b95ce3b14fa25f2b0bae4a1fc/README.md",
}
COLUMNS, NARROW_COLUMNS, PANEL_HEIGHT = 3, 2, 1.9
POLICIES = ("greedy", "sampled")
Group = tuple[str, str]
"""An environment and an algorithm."""


def complete(suite: Suite) -> dict[Group, list[Cell]]:
    """The cells that are trained and evaluated, of every environment and algorithm."""
    found: dict[Group, list[Cell]] = {}
    for cell in suite.cells():
        there = evaluated(cell).exists() and (trained(cell) / "metrics.json").exists()
        found.setdefault((cell.environment, cell.algorithm), []).extend([cell] if there else [])
    return found


def scores(groups: Mapping[Group, list[Cell]]) -> pd.DataFrame:
    """IQM over seeds of a seed's mean return, with its 95 % interval, of every group that has a cell."""
    rows = []
    for (environment, algorithm), cells in groups.items():
        if not cells:
            continue
        figures = [read_json(evaluated(cell)) for cell in cells]
        row: dict[str, Any] = {
            "environment": environment,
            "algorithm": algorithm,
            "seeds": len(cells),
            "env_steps": max(read_json(trained(cell) / "metrics.json")["env_steps"] for cell in cells),
        }
        for policy in POLICIES:
            means = np.array([figure[f"{policy}_mean"] for figure in figures])
            interval = bootstrap(means, interquartile_mean)
            row |= {
                policy: float(interquartile_mean(means)),
                f"{policy}_low": float(interval.low) if interval else None,
                f"{policy}_high": float(interval.high) if interval else None,
            }
        rows.append(row)
    columns = ["environment", "algorithm", "seeds", "env_steps"]
    return pd.DataFrame(rows, columns=[*columns, *(p + end for p in POLICIES for end in ("", "_low", "_high"))])


def references() -> dict[str, dict[str, dict[str, Any]]]:
    """Published scores, by environment and algorithm."""
    table, found = read_csv(REFERENCES), dict[str, dict[str, dict[str, Any]]]()
    for row in table.to_dict("records"):
        found.setdefault(str(row["environment"]), {})[str(row["algorithm"])] = {str(k): v for k, v in row.items()}
    return found


def times() -> list[dict[Hashable, Any]]:
    """How long systems took to a score, a row for each, by environment; empty where that was not measured."""
    return read_csv(TIME_TO_SCORE).to_dict("records") if TIME_TO_SCORE.exists() else []


def curves(groups: Mapping[Group, list[Cell]]) -> pd.DataFrame:
    """IQM over seeds of the return while training, with its interval, on a grid of env steps.

    git has no learning curves of cells. Where another machine trained them, a group's are those that the page had
    before, if they are of the same trainings. Raises `BadInputError` where there are none at all.
    """
    before = read_csv(LEARNING) if LEARNING.exists() else None
    tables = []
    for (environment, algorithm), cells in groups.items():
        origin = {"environment": environment, "algorithm": algorithm, "trainings": trainings(cells)}
        if cells and all((trained(cell) / "curve.csv").exists() for cell in cells):
            runs = [read_curve(trained(cell)) for cell in cells]
            grid, means = curves_on_grid([(run["env_step"].to_numpy(), run["return"].to_numpy(float)) for run in runs])
            tables.append(pd.DataFrame({**origin, **band(grid, means)}))
        elif before is not None:
            tables.append(before[(before[list(origin)] == pd.Series(origin)).all(axis=1)])
    if not any(map(len, tables)):
        raise BadInputError(
            f"suite: no cell's learning curve is here; `git checkout {LEARNING}` brings back committed ones"
        )
    return pd.concat(tables, ignore_index=True)


def trainings(cells: Sequence[Cell]) -> str:
    """A hash of what these cells' trainings computed; no table takes it for a number."""
    digest = sha256(b"".join((trained(cell) / "digests.csv").read_bytes() for cell in cells))
    return f"sha256:{digest.hexdigest()[:16]}"


def small_multiple(bands: pd.DataFrame, published: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Figure:
    """A panel for every environment: its algorithms' learning curves, and the published scores as lines."""
    environments = list(dict.fromkeys(bands["environment"]))
    columns = min(NARROW_COLUMNS if is_narrow() else COLUMNS, len(environments))
    rows = -(-len(environments) // columns)
    figure = Figure(figsize=(mpl.rcParams["figure.figsize"][0], PANEL_HEIGHT * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flat
    algorithms = sorted(set(bands["algorithm"]))
    colors = dict(zip(algorithms, sns.color_palette(PALETTE, len(algorithms)), strict=True))
    for axis, environment in zip(grid, environments, strict=False):
        for name, mine in bands[bands["environment"] == environment].groupby("algorithm"):
            axis.plot(mine["env_step"], mine["iqm"], color=colors[str(name)], linewidth=1.6)
            if mine["low"].notna().any():
                axis.fill_between(
                    mine["env_step"], mine["low"], mine["high"], color=colors[str(name)], alpha=0.2, linewidth=0
                )
        for line, name in zip((":", "--"), ("a2c", "ppo"), strict=True):
            if name in published.get(environment, {}):
                axis.axhline(published[environment][name]["score"], color=QUIET, linestyle=line, linewidth=1)
        axis.set_title(environment, fontsize="x-small" if is_narrow() else "small")
        axis.xaxis.set_major_locator(MaxNLocator(3 if is_narrow() else 5))
        axis.xaxis.set_major_formatter(THOUSANDS)
        axis.tick_params(labelsize="x-small")
        axis.set_xlim(left=0)
    for axis in list(figure.axes)[len(environments) :]:
        axis.set_axis_off()
    drawn = next(axis for axis in figure.axes if axis.lines)
    for name, color in colors.items():
        drawn.plot([], [], color=color, label=name)
    for line, name in ((":", "published, A2C"), ("--", "published, PPO")):
        drawn.plot([], [], color=QUIET, linestyle=line, linewidth=1, label=name)
    handles, labels = drawn.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=2 if is_narrow() else len(labels), fontsize="small"
    )
    return figure


def missing(suite: Suite, groups: Mapping[Group, list[Cell]], bands: pd.DataFrame) -> Iterable[str]:
    """What of the suite there is not, in words."""
    for environment in suite.environments:
        left = {one: len(suite.seeds) - len(groups[environment, one]) for one in suite.algorithms}
        if all(count == len(suite.seeds) for count in left.values()):
            yield environment
        else:
            yield from (
                f"{environment} {one}, {count} of {len(suite.seeds)} seeds" for one, count in left.items() if count
            )
    drawn = set(zip(bands["environment"], bands["algorithm"], strict=True))
    for environment, one in (group for group, cells in groups.items() if cells and group not in drawn):
        yield f"{environment} {one}, the learning curves, which are on the machine that trained it"
