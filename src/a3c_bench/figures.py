"""The report's figures: seaborn plots of tables, with titles that say the finding and units on the axes."""

import io
import textwrap
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FormatStrFormatter, LogLocator, NullFormatter, PercentFormatter

from a3c_bench.agent.arrays import Doubles

SCHEDULE_STYLE = {"ordered": "-", "hogwild": "--"}
WIDTH, HEIGHT = 7.0, 3.6
HEADLINE_LETTERS = 66
PALETTE = "colorblind"
THOUSANDS = EngFormatter(sep="")
SPLIT_NAMES = {
    "share_environment": "environment",
    "share_acting": "acting",
    "share_learning": "learning",
    "share_submitting": "applying updates",
    "share_recording": "recording the curve",
    "share_waiting": "waiting for a snapshot",
}


def use_style() -> None:
    """The look of all figures; the bytes of a picture depend on its data only."""
    mpl.use("Agg")
    sns.set_theme(style="whitegrid", context="paper", palette=PALETTE)
    mpl.rcParams.update({"svg.hashsalt": "a3c-bench", "figure.dpi": 150, "axes.titleweight": "bold"})


def render(figure: Figure) -> dict[str, bytes]:
    """The figure as SVG (for the page) and PNG (for README files), by suffix."""
    rendered = {}
    for suffix, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, metadata=metadata)
        rendered[suffix] = buffer.getvalue()
    return rendered


def _figure(columns: int = 1, height: float = HEIGHT, same_scale: bool = False) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False, sharey=same_scale)[0])


def _headline(figure: Figure, title: str) -> None:
    lines = -(-len(title) // HEADLINE_LETTERS)
    # A little more than an equal share for each line, so that none is left with a word or two.
    figure.suptitle(textwrap.fill(title, len(title) // lines + 8), fontweight="bold")


def learning(curves: pd.DataFrame, bands: pd.DataFrame, threshold: float | None, title: str) -> Figure:
    """Training return against env steps: each seed thin, the IQM over seeds with its band.

    curves: algorithm, seed, env_step, mean_return. bands: algorithm, env_step, iqm, low, high.
    """
    algorithms = list(dict.fromkeys(bands["algorithm"]))
    figure, axes = _figure(len(algorithms), same_scale=True)
    for index, (axis, name) in enumerate(zip(axes, algorithms, strict=True)):
        color = sns.color_palette(PALETTE)[index]
        mine, band = curves[curves["algorithm"] == name], bands[bands["algorithm"] == name]
        for _, run in mine.groupby("seed"):
            axis.plot(run["env_step"], run["mean_return"], color=color, alpha=0.35, linewidth=0.7)
        axis.plot(band["env_step"], band["iqm"], color=color, linewidth=2, label="IQM over seeds")
        if band["low"].notna().any():
            axis.fill_between(band["env_step"], band["low"], band["high"], color=color, alpha=0.2, linewidth=0)
        if threshold is not None:
            axis.axhline(threshold, color="0.35", linestyle=":", label=f"solved: {threshold:g}")
        axis.set(title=name, xlabel="env steps", ylabel="mean return of the last 100 episodes" if index == 0 else "")
        axis.xaxis.set_major_formatter(THOUSANDS)
        axis.set_xlim(left=0)
        axis.legend(loc="best")
    _headline(figure, title)
    return figure


def evaluation(episodes: pd.DataFrame, threshold: float | None, title: str) -> Figure:
    """Return of every evaluation episode, by seed. episodes: algorithm, seed, policy, return."""
    algorithms = list(dict.fromkeys(episodes["algorithm"]))
    figure, axes = _figure(len(algorithms), same_scale=True)
    for index, (axis, name) in enumerate(zip(axes, algorithms, strict=True)):
        mine = episodes[episodes["algorithm"] == name]
        sns.boxplot(mine, x="seed", y="return", hue="policy", ax=axis, fliersize=1.5, linewidth=0.8, legend=index == 0)
        if threshold is not None:
            axis.axhline(threshold, color="0.35", linestyle=":")
        axis.set(title=name, xlabel="seed", ylabel="return of an episode" if index == 0 else "")
        axis.set_ylim(bottom=0 if episodes["return"].min() >= 0 else None)
    axes[0].legend(loc="lower left", title="policy")
    _headline(figure, title)
    return figure


def throughput(points: pd.DataFrame, predicted: pd.DataFrame, cores: int, threads: int, title: str) -> Figure:
    """Env steps per second against workers, with the ideal line. points, predicted: the profile's tables."""
    ours = points[(points["algorithm"] != "textbook") & (points["threads"] == threads)]
    algorithms = list(dict.fromkeys(ours["algorithm"]))
    figure, axes = _figure(len(algorithms), same_scale=True)
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
        _prediction(axis, predicted[predicted["algorithm"] == name], cores)
        _textbook_line(axis, points)
        shown = predicted[(predicted["algorithm"] == name) & (predicted["workers"] <= 4 * cores)]
        _workers_axis(axis, sorted({*mine["workers"], *shown["workers"]}), cores)
        axis.set(title=name, ylabel="env steps per second" if index == 0 else "")
        axis.legend(fontsize="small")
    _headline(figure, title)
    return figure


def _ideal(axis: Axes, run: pd.DataFrame, cores: int, color: object) -> None:
    within = run[run["workers"] <= cores]
    one = run[run["workers"] == 1]["env_steps_per_second"]
    if len(one) and len(within) > 1:
        axis.plot(within["workers"], within["workers"] * one.iloc[0], ":", color=color, linewidth=1)


def _prediction(axis: Axes, law: pd.DataFrame, cores: int) -> None:
    beyond = law[(law["workers"] >= cores) & (law["workers"] <= 4 * cores)]
    if len(beyond) < 2:
        return
    label = "prediction for more cores, " + ("USL fit" if beyond["method"].iloc[0] == "fit" else "serial part alone")
    axis.plot(beyond["workers"], beyond["env_steps_per_second"], "--", color="0.25", linewidth=1.2, label=label)
    if beyond["low"].notna().all():
        axis.fill_between(beyond["workers"], beyond["low"], beyond["high"], color="0.25", alpha=0.12, linewidth=0)


def _textbook_line(axis: Axes, points: pd.DataFrame) -> None:
    textbook = points[points["algorithm"] == "textbook"].sort_values("workers")
    axis.plot(textbook["workers"], textbook["env_steps_per_second"], "s-", color="0.4", label="textbook loop")
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
    figure, axes = _figure(len(algorithms), height=3.0)
    for axis, name in zip(axes, algorithms, strict=True):
        table = mine[mine["algorithm"] == name].pivot(index="threads", columns="workers", values="env_steps_per_second")
        label = {"label": "thousand env steps per second"}
        sns.heatmap(table / 1000, annot=True, fmt=".3g", cmap="viridis", ax=axis, cbar_kws=label, square=False)
        axis.set(title=name, xlabel="workers", ylabel="threads per worker")
    _headline(figure, title)
    return figure


def time_split(points: pd.DataFrame, threads: int, title: str) -> Figure:
    """Where the workers' time goes, one bar per point."""
    mine = points[(points["algorithm"] != "textbook") & (points["threads"] == threads)].reset_index(drop=True)
    names = [f"{row.algorithm} {row.schedule}, {row.workers} w" for row in mine.itertuples()]
    figure, (axis,) = _figure(height=1.4 + 0.24 * len(mine))
    left: Doubles = np.zeros(len(mine))
    for color, (column, label) in zip(sns.color_palette(PALETTE), SPLIT_NAMES.items(), strict=False):
        share = mine[column].to_numpy(dtype=np.float64)
        axis.barh(names, share, left=left, color=color, label=label)
        left = left + share
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    axis.set(xlabel="share of the workers' time", xlim=(0, 1))
    axis.xaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    _headline(figure, title)
    return figure


def peers(runs: pd.DataFrame, table: pd.DataFrame, title: str) -> Figure:
    """Seconds to solve, each seed and the median, and throughput, by system. table: the order of the systems."""
    names = list(table["peer"])
    first = runs[runs["repeat"] == 0]
    solved = first.dropna(subset=["seconds_to_solve"])
    figure, (time, rate) = _figure(2, height=1.6 + 0.36 * len(names))
    for axis, data, column in ((time, solved, "seconds_to_solve"), (rate, first.dropna(subset=["rate"]), "rate")):
        sns.stripplot(data, x=column, y="peer", order=names, ax=axis, color="0.45", size=3.5, alpha=0.7, jitter=0.2)
        axis.plot(table[column], range(len(names)), "|", color=sns.color_palette(PALETTE)[0], ms=16, mew=3)
        axis.set(xscale="log", ylim=(len(names) - 0.5, -0.5))
        axis.grid(axis="y", visible=False)
    time.set(xlabel="seconds to solve, from process start", ylabel="")
    time.set_yticks(
        range(len(names)),
        [f"{row.peer}\n{row.solved} of {row.seeds} seeds solved" for row in table.itertuples()],
        fontsize="small",
    )
    rate.set(xlabel="env steps per second", ylabel="", yticklabels=[])
    time.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    time.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    time.xaxis.set_minor_formatter(NullFormatter())
    rate.xaxis.set_major_formatter(THOUSANDS)
    _headline(figure, title)
    return figure


def render_all(figures: Mapping[str, Figure]) -> dict[str, bytes]:
    """Every figure in every format, by file name."""
    return {f"{name}.{suffix}": data for name, figure in figures.items() for suffix, data in render(figure).items()}
