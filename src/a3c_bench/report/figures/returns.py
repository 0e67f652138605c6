"""Figures of returns: while training, and of the trained policies."""

from collections.abc import Mapping

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import PercentFormatter

from a3c_bench.report.figures.style import PALETTE, QUIET, SCHEDULE_STYLE, THOUSANDS, headline, is_narrow, panels

NO_RUNS = pd.DataFrame({"seed": []})
POLICY_STYLE = {"greedy": "-", "sampled": "--"}


def learning(curves: pd.DataFrame, bands: pd.DataFrame, threshold: float | None, title: str) -> Figure:
    """Training return against env steps: each seed thin, the IQM over seeds with its band.

    curves: algorithm, seed, env_step, mean_return. bands: algorithm, env_step, iqm, low, high.
    """
    algorithms = list(dict.fromkeys(bands["algorithm"]))
    figure, axes = panels(len(algorithms), same_scale=True)
    for index, (axis, name) in enumerate(zip(axes, algorithms, strict=True)):
        color = sns.color_palette(PALETTE, len(algorithms))[index]
        mine, band = curves[curves["algorithm"] == name], bands[bands["algorithm"] == name]
        seeds = mine["seed"].unique()
        _band(axis, mine, band, color, "IQM over seeds" if len(seeds) > 1 else f"seed {seeds[0]}")
        if mine["mean_return"].isna().all():
            _nothing_yet(axis, finished=mine["env_step"].max() > 0)
        _threshold(axis, threshold)
        _env_steps(axis, name, index)
    headline(figure, title)
    return figure


def schedules(curves: pd.DataFrame, bands: pd.DataFrame, threshold: float | None, title: str) -> Figure:
    """Training return against env steps under either schedule, one colour each.

    curves: algorithm, schedule, seed, env_step, mean_return. bands: algorithm, schedule, env_step, iqm, low, high.
    """
    algorithms = list(dict.fromkeys(bands["algorithm"]))
    figure, axes = panels(len(algorithms), same_scale=True)
    for index, (axis, name) in enumerate(zip(axes, algorithms, strict=True)):
        for color, (schedule, line) in zip(sns.color_palette(PALETTE), SCHEDULE_STYLE.items(), strict=False):
            runs, band = (
                table[(table["algorithm"] == name) & (table["schedule"] == schedule)] for table in (curves, bands)
            )
            _band(axis, runs, band, color, schedule, line)
        _threshold(axis, threshold)
        _env_steps(axis, name, index)
    headline(figure, title)
    return figure


def overlay(experiments: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """The learning curves of several experiments, one colour each: IQM over seeds with its band.

    experiments: by name, tables of algorithm, env_step, iqm, low, high.
    """
    algorithms = list(dict.fromkeys(name for bands in experiments.values() for name in bands["algorithm"]))
    figure, axes = panels(len(algorithms), same_scale=True)
    colors = sns.color_palette(PALETTE, len(experiments))
    # The later, the thinner: of equal curves, the one below shows at both sides of the one above.
    widths = [2 + 2.5 * below for below in range(len(experiments))][::-1]
    for index, (axis, name) in enumerate(zip(axes, algorithms, strict=True)):
        for (label, bands), color, width in zip(experiments.items(), colors, widths, strict=True):
            band = bands[bands["algorithm"] == name]
            if not band.empty:
                _band(axis, NO_RUNS, band, color, label, width=width)
        _env_steps(axis, name, index)
    headline(figure, title)
    return figure


def evaluation(episodes: pd.DataFrame, threshold: float | None, title: str) -> Figure:
    """Return of every evaluation episode, by seed: bars to the mean, boxes over them.

    Where every episode has the same return, the bars are what is seen. episodes: algorithm, seed, policy, return.
    """
    algorithms = list(dict.fromkeys(episodes["algorithm"]))
    figure, axes = panels(len(algorithms), same_scale=True)
    for index, (axis, name) in enumerate(zip(axes, algorithms, strict=True)):
        mine = episodes[episodes["algorithm"] == name]
        sns.barplot(mine, x="seed", y="return", hue="policy", ax=axis, errorbar=None, alpha=0.45, legend=False)
        _means(axis)
        sns.boxplot(
            mine, x="seed", y="return", hue="policy", ax=axis, fill=False, fliersize=1.5, linewidth=0.8, legend=False
        )
        if threshold is not None:
            axis.axhline(threshold, color=QUIET, linestyle=":")
        axis.set(title=name, xlabel="seed", ylabel="return of an episode" if index == 0 or is_narrow() else "")
        axis.margins(y=0.06)
    low, high = axes[0].get_ylim()  # of all
    axes[0].set_ylim(low, max(high, -0.2 * low))
    policies = list(dict.fromkeys(episodes["policy"]))
    handles = [Patch(color=color, alpha=0.45) for color in sns.color_palette(PALETTE, len(policies))]
    figure.legend(handles, policies, loc="outside lower center", ncols=2, frameon=False)
    headline(figure, title)
    return figure


def _means(axis: Axes) -> None:
    """Write what each bar stands for above 0: at the foot of those that go up, beyond that of those that go down."""
    for bar in axis.patches:
        if isinstance(bar, Rectangle):
            center, mean = bar.get_x() + bar.get_width() / 2, bar.get_height()
            axis.annotate(
                f"{mean:.4g}".replace("-", "−"),
                (center, 0),
                (0, 3),
                textcoords="offset points",
                ha="center",
                va="bottom",
                rotation=90,
                fontsize="x-small",
            )


def performance(profiles: pd.DataFrame, improvements: pd.DataFrame, title: str) -> Figure:
    """Share of seeds above every return, and the probability that one algorithm beats another.

    profiles: algorithm, policy, return, share, low, high. improvements: algorithm, other, policy, probability, low,
    high; without rows, that panel is left out.
    """
    figure, axes = panels(1 if improvements.empty else 2)
    algorithms = list(dict.fromkeys(profiles["algorithm"]))
    for color, name in zip(sns.color_palette(PALETTE, len(algorithms)), algorithms, strict=True):
        for policy, line in POLICY_STYLE.items():
            mine = profiles[(profiles["algorithm"] == name) & (profiles["policy"] == policy)]
            axes[0].step(
                mine["return"], mine["share"], line, color=color, where="post", label=f"{name}, {policy}", linewidth=1.6
            )
            if mine["low"].notna().any():
                axes[0].fill_between(
                    mine["return"], mine["low"], mine["high"], color=color, alpha=0.12, linewidth=0, step="post"
                )
    axes[0].set(title="performance profile", xlabel="mean return of a seed's episodes (τ)", ylabel="seeds above τ")
    axes[0].set_ylim(-0.03, 1.03)
    axes[0].yaxis.set_major_formatter(PercentFormatter(1))
    axes[0].legend(fontsize="small")
    if not improvements.empty:
        _improvements(axes[1], improvements)
    headline(figure, title)
    return figure


def _improvements(axis: Axes, table: pd.DataFrame) -> None:
    names = [f"{row.algorithm} > {row.other},\n{row.policy}" for row in table.itertuples()]
    places = range(len(names))
    axis.plot(table["probability"], places, "o", color=QUIET)
    # Without an interval (one seed) the ends are NaN, and nothing is drawn.
    axis.hlines(places, table["low"].astype(float), table["high"].astype(float), color=QUIET, linewidth=2)
    axis.axvline(0.5, color=QUIET, linestyle=":")
    axis.set(title="probability of improvement", xlabel="how often a seed beats one of the other", xlim=(-0.03, 1.03))
    axis.set_yticks(places, names, fontsize="small")
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.xaxis.set_major_formatter(PercentFormatter(1))


def _band(
    axis: Axes, runs: pd.DataFrame, band: pd.DataFrame, color: object, label: str, line: str = "-", width: float = 2
) -> None:
    """Each run thin, the IQM over seeds thick, its interval shaded."""
    for _, run in runs.groupby("seed"):
        axis.plot(run["env_step"], run["mean_return"], color=color, alpha=0.35, linewidth=0.7)
    axis.plot(band["env_step"], band["iqm"], line, color=color, linewidth=width, label=label)
    if band["low"].notna().any():
        axis.fill_between(band["env_step"], band["low"], band["high"], color=color, alpha=0.2, linewidth=0)


def _nothing_yet(axis: Axes, finished: bool) -> None:
    text = "fewer than 100 finished episodes" if finished else "no finished episode yet"
    axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", color=QUIET)


def _threshold(axis: Axes, threshold: float | None) -> None:
    if threshold is not None:
        axis.axhline(threshold, color=QUIET, linestyle=":", label=f"solved: {threshold:g}")


def _env_steps(axis: Axes, name: str, index: int) -> None:
    shown = index == 0 or is_narrow()
    axis.set(title=name, xlabel="env steps", ylabel="mean return of the last 100 episodes" if shown else "")
    axis.xaxis.set_major_formatter(THOUSANDS)
    axis.set_xlim(left=0)
    axis.legend(loc="best")
