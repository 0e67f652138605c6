"""Figures of the profile: speed by workers and threads, where the time goes, memory."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, PercentFormatter

from a3c_bench.arrays import Doubles
from a3c_bench.report.figures.style import PALETTE, QUIET, SCHEDULE_STYLE, THOUSANDS, headline, is_narrow, panels

SPLIT_NAMES = {
    "share_environment": "environment",
    "share_acting": "acting",
    "share_learning": "learning",
    "share_submitting": "applying updates",
    "share_recording": "recording the curve",
    "share_waiting": "waiting for a snapshot",
}


def throughput(points: pd.DataFrame, predicted: pd.DataFrame, cores: int, threads: int, title: str) -> Figure:
    """Env steps per second against workers, with the ideal line. points, predicted: the profile's tables."""
    ours = points[(points["algorithm"] != "textbook") & (points["threads"] == threads)]
    algorithms = list(dict.fromkeys(ours["algorithm"]))
    figure, axes = panels(len(algorithms), same_scale=True)
    for index, (axis, name) in enumerate(zip(axes, algorithms, strict=True)):
        mine = ours[ours["algorithm"] == name]
        for color, (schedule, line) in zip(sns.color_palette(PALETTE), SCHEDULE_STYLE.items(), strict=False):
            run = mine[mine["schedule"] == schedule].sort_values("workers")
            if run.empty:
                continue
            rate = run["env_steps_per_second"]
            errors = np.abs(np.stack([rate - run["quartile_low"], run["quartile_high"] - rate]))
            axis.errorbar(run["workers"], rate, errors, fmt="o" + line, color=color, capsize=3, label=schedule)
            _ideal(axis, run, cores, color)
        _textbook_line(axis, points)
        shown = predicted[predicted["algorithm"] == name]
        _prediction(axis, shown[shown["workers"] >= cores])
        _workers_axis(axis, sorted({*mine["workers"], *shown["workers"]}), cores)
        axis.set(title=name, ylabel="env steps per second" if index == 0 or is_narrow() else "")
        axis.legend(fontsize="small")
    headline(figure, title)
    return figure


def machines(table: pd.DataFrame, title: str) -> Figure:
    """Env steps per second against workers, a line for each machine. table: machine, algorithm, workers and rate."""
    algorithms = list(dict.fromkeys(table["algorithm"]))
    figure, axes = panels(len(algorithms))
    for index, (axis, name) in enumerate(zip(axes, algorithms, strict=True)):
        mine = table[table["algorithm"] == name]
        for machine, own in mine.groupby("machine", sort=False):
            axis.plot(own["workers"], own["env_steps_per_second"], "o-", label=machine)
        axis.set_xscale("log", base=2)
        axis.set_xticks(counts := sorted(set(mine["workers"])), [str(count) for count in counts])
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_formatter(THOUSANDS)
        axis.set(title=name, xlabel="workers")
        axis.set_ylabel("env steps per second" if index == 0 or is_narrow() else "")
    axes[0].legend(fontsize="small")
    headline(figure, title)
    return figure


def _ideal(axis: Axes, run: pd.DataFrame, cores: int, color: object) -> None:
    within = run[run["workers"] <= cores]
    one = run[run["workers"] == 1]["env_steps_per_second"]
    if len(one) and len(within) > 1:
        axis.plot(within["workers"], within["workers"] * one.iloc[0], ":", color=color, linewidth=1)


def _prediction(axis: Axes, beyond: pd.DataFrame) -> None:
    if len(beyond) < 2:
        return
    label = "prediction for more cores, USL fit"
    axis.plot(beyond["workers"], beyond["env_steps_per_second"], "--", color=QUIET, linewidth=1.2, label=label)
    if beyond["low"].notna().all():
        axis.fill_between(beyond["workers"], beyond["low"], beyond["high"], color=QUIET, alpha=0.12, linewidth=0)


def _textbook_line(axis: Axes, points: pd.DataFrame) -> None:
    textbook = points[points["algorithm"] == "textbook"].sort_values("workers")
    if not textbook.empty:
        axis.plot(textbook["workers"], textbook["env_steps_per_second"], "s-", color=QUIET, label="textbook loop")
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(THOUSANDS)
    axis.yaxis.set_minor_formatter(NullFormatter())


def _workers_axis(axis: Axes, workers: list[int], cores: int) -> None:
    axis.set_xscale("log", base=2)
    axis.set_xticks(workers, [str(count) for count in workers])
    axis.set_xticks([], minor=True)
    if workers[-1] > cores:
        axis.axvspan(cores * 1.08, workers[-1] * 1.08, color="0.5", alpha=0.1, linewidth=0)
    axis.set_xlabel("workers")


def threads_map(points: pd.DataFrame, schedule: str, title: str) -> Figure:
    """Env steps per second by workers × threads."""
    mine = points[(points["algorithm"] != "textbook") & (points["schedule"] == schedule)]
    algorithms = list(dict.fromkeys(mine["algorithm"]))
    figure, axes = panels(len(algorithms), height=3.0)
    for axis, name in zip(axes, algorithms, strict=True):
        table = mine[mine["algorithm"] == name].pivot(index="threads", columns="workers", values="env_steps_per_second")
        label = {"label": "thousand env steps per second"}
        sns.heatmap(table / 1000, annot=True, fmt=",.0f", cmap="viridis", ax=axis, cbar_kws=label, square=False)
        axis.set(title=name, xlabel="workers", ylabel="threads per worker")
    headline(figure, title)
    return figure


def time_split(points: pd.DataFrame, threads: int, title: str) -> Figure:
    """Where the workers' time goes, one bar per point."""
    mine = points[(points["algorithm"] != "textbook") & (points["threads"] == threads)].reset_index(drop=True)
    names = [f"{row.algorithm} {row.schedule}, {row.workers} w" for row in mine.itertuples()]
    figure, (axis,) = panels(height=1.4 + 0.24 * len(mine))
    left: Doubles = np.zeros(len(mine))
    for color, (column, label) in zip(sns.color_palette(PALETTE), SPLIT_NAMES.items(), strict=False):
        share = mine[column].to_numpy(dtype=np.float64)
        axis.barh(names, share, left=left, color=color, label=label)
        left = left + share
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    axis.set(xlabel="share of the workers' time", xlim=(0, 1))
    axis.xaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(loc="outside lower center", ncols=2 if is_narrow() else 3, frameon=False)
    headline(figure, title)
    return figure


def memory(points: pd.DataFrame, schedule: str, threads: int, title: str) -> Figure:
    """Peak memory of one worker process, and of one of the textbook loop's, by how many there are."""
    textbook = points["algorithm"] == "textbook"
    mine = points[textbook | ((points["schedule"] == schedule) & (points["threads"] == threads))]
    names = [
        f"{row.algorithm}, {row.workers} {'process' if row.algorithm == 'textbook' else 'worker'}"
        + ("" if row.workers == 1 else "es" if row.algorithm == "textbook" else "s")
        for row in mine.itertuples()
    ]
    colors = [sns.color_palette(PALETTE)[0] if name != "textbook" else QUIET for name in mine["algorithm"]]
    figure, (axis,) = panels(height=1.2 + 0.24 * len(mine))
    bars = axis.barh(names, mine["peak_memory_mib"], color=colors)
    axis.bar_label(bars, fmt="%.0f", padding=3)
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    axis.margins(x=0.08)
    axis.set(xlabel="largest process, MiB" if is_narrow() else "peak memory of the largest process, MiB")
    headline(figure, title)
    return figure
