"""The figure of other systems beside this one."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from a3c_bench.report.figures.style import PALETTE, QUIET, THOUSANDS, headline, is_narrow, panels


def peers(runs: pd.DataFrame, table: pd.DataFrame, title: str) -> Figure:
    """Seconds to solve, each seed and the median, and throughput, by system. table: the order of the systems."""
    names = list(table["peer"])
    first = runs[runs["repeat"] == 0]
    solved = first.dropna(subset=["seconds_to_solve"])
    figure, (time, rate) = panels(2, height=1.6 + 0.36 * len(names))
    for axis, data, column in ((time, solved, "seconds_to_solve"), (rate, first.dropna(subset=["rate"]), "rate")):
        # Not a swarm: a hundred seeds that are alike find no place beside each other.
        sns.stripplot(
            data,
            x=column,
            y="peer",
            order=names,
            ax=axis,
            color=QUIET,
            jitter=False,
            marker="|",
            size=9,
            alpha=0.4,
            linewidth=1,
        )
        axis.plot(table[column], range(len(names)), "|", color=sns.color_palette(PALETTE)[0], ms=16, mew=3)
        axis.set(xscale="log", ylim=(len(names) - 0.5, -0.5))
        axis.grid(axis="y", visible=False)
    time.set(xlabel="seconds to solve, from process start", ylabel="")
    time.set_yticks(
        range(len(names)),
        [f"{row.peer}\n{row.solved} of {row.seeds} seeds solved" for row in table.itertuples()],
        fontsize="small",
    )
    rate.set(xlabel="env steps per second", ylabel="")
    rate.set_yticks(range(len(names)), names if is_narrow() else [""] * len(names), fontsize="small")
    time.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    time.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    time.xaxis.set_minor_formatter(NullFormatter())
    rate.xaxis.set_major_formatter(THOUSANDS)
    headline(figure, title)
    return figure
