"""The page of several hosts: the same bits, faults survived, and what hosts cost."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from a3c_bench import scaling
from a3c_bench.report.aggregate import fault_summary
from a3c_bench.report.figures.style import QUIET, THOUSANDS, headline, panels
from a3c_bench.results.files import REPORTS
from a3c_bench.results.tables import read_csv
from a3c_bench.stats import ratio_of_means

OUT = REPORTS / "hosts"
BITS, FAULTS, COSTS, SIZES, SCALING = (OUT / f"{name}.csv" for name in ("bits", "faults", "costs", "sizes", "scaling"))
PROOF_ABOUT, COSTS_ABOUT = OUT / "proof-about.json", OUT / "costs-about.json"
PREDICTED_HOSTS = (6, 8, 12)
TARGET_HOSTS, TARGET = 4, 3.6


def tables() -> dict[str, pd.DataFrame]:
    """What was measured, by name; empty where it was not."""
    paths = {path.stem: path for path in (BITS, FAULTS, COSTS, SIZES, SCALING)}
    return {name: read_csv(path) if path.exists() else pd.DataFrame() for name, path in paths.items()}


def bits_matrix(bits: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for every training, with whether its bits are those of one host by `hosts × workers`."""
    several = bits[bits["hosts"] > 1]
    found = []
    for (training, algorithm), rows in several.groupby(["training", "algorithm"], sort=False):
        points = rows[["hosts", "workers"]].to_numpy(dtype=np.int64).tolist()
        same = {(hosts, workers): answer for (hosts, workers), answer in zip(points, rows["same"], strict=True)}
        compared = rows["compared_with"].iloc[0]
        found.append({"training": training, "algorithm": algorithm, "compared_with": compared, "same": same})
    return found


def faults_by_kind(faults: pd.DataFrame) -> pd.DataFrame:
    """Per kind: how many were tried, survived, ended with the same bits; seconds until it was noticed: median, most."""
    both = faults.assign(noticed=faults["noticed_seconds"], longest=faults["noticed_seconds"])
    return fault_summary(both, noticed="median", longest="max")


def rates_by_hosts(table: pd.DataFrame) -> pd.DataFrame:
    """Turns per second (slices, numbers of hosts) of the environment that waits."""
    return table.pivot(index="slice", columns="hosts", values="turns_per_second")


def speedups(rates: pd.DataFrame) -> list[dict[str, Any]]:
    """Of every number of hosts: turns per second, and how often that of one host, with its interval."""
    found = []
    for hosts in rates.columns:
        ratio, interval = ratio_of_means(rates[hosts].to_numpy(), rates[rates.columns[0]].to_numpy())
        bounds = (float(interval.low), float(interval.high)) if interval else (None, None)
        row = {"hosts": int(hosts), "turns_per_second": float(rates[hosts].mean()), "speedup": ratio}
        found.append({**row, "low": bounds[0], "high": bounds[1], "predicted": False})
    return found


def predictions(rates: pd.DataFrame) -> list[dict[str, Any]]:
    """The same of more hosts, by a law that is fitted to what was measured."""
    hosts, measured = rates.columns.to_numpy(np.int64), rates.to_numpy(np.float64)
    law, interval = scaling.fit(hosts, measured), scaling.interval(hosts, measured, PREDICTED_HOSTS)
    one = float(measured[:, 0].mean())
    found = []
    for place, count in enumerate(PREDICTED_HOSTS):
        rate = float(law.predict(count))
        bounds = (interval.low[place] / one, interval.high[place] / one) if interval else (None, None)
        row = {"hosts": count, "turns_per_second": rate, "speedup": rate / one}
        found.append({**row, "low": bounds[0], "high": bounds[1], "predicted": True})
    return found


def scaling_figure(points: list[dict[str, Any]], title: str) -> Figure:
    """Speed-up against hosts: measured, ideal, and predicted."""
    figure, (axis,) = panels()
    table = pd.DataFrame(points)
    measured, predicted = table[~table["predicted"]], table[table["predicted"]]
    errors = np.abs([measured["speedup"] - measured["low"], measured["high"] - measured["speedup"]])
    shown = None if measured["low"].isna().any() else errors
    axis.errorbar(measured["hosts"], measured["speedup"], shown, fmt="o-", capsize=3, label="measured")
    axis.plot(table["hosts"], table["hosts"], ":", color=QUIET, linewidth=1, label="ideal")
    beyond = pd.concat([measured.tail(1), predicted])
    axis.plot(
        beyond["hosts"], beyond["speedup"], "--", color=QUIET, linewidth=1.2, label="prediction, not measured: USL fit"
    )
    if predicted["low"].notna().all():
        low, high = predicted["low"].astype(float), predicted["high"].astype(float)
        axis.fill_between(predicted["hosts"], low, high, color=QUIET, alpha=0.12, linewidth=0)
    axis.set_xticks(table["hosts"])
    axis.set(xlabel="hosts", ylabel="speed-up over one host", ylim=(0, None))
    axis.legend(fontsize="small")
    headline(figure, title)
    return figure


def sizes_figure(sizes: pd.DataFrame, title: str) -> Figure:
    """Turns per second against the size of the message of a round, of one host and of two."""
    figure, (axis,) = panels()
    sizes = sizes.sort_values("message_bytes")
    for column, label in (("one_host", "one host, 2 workers"), ("two_hosts", "two hosts, 1 worker each")):
        axis.plot(sizes["message_bytes"] / 1024, sizes[column], "o-", label=label)
    axis.set_xscale("log", base=2)
    ticks = (sizes["message_bytes"] / 1024).tolist()
    axis.set_xticks(ticks, [f"{tick:,.1f}" if tick < 10 else f"{tick:,.0f}" for tick in ticks])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_formatter(THOUSANDS)
    axis.set(xlabel="message of a host's round, KiB", ylabel="turns per second", ylim=(0, None))
    axis.legend(fontsize="small")
    headline(figure, title)
    return figure
