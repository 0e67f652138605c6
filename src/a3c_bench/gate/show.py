"""What the gate tells: a table to read, Markdown for a pull request, JSON for programs, and a figure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from a3c_bench.gate.checkouts import Revision
from a3c_bench.gate.verdicts import Comparison, Verdict, summary
from a3c_bench.report.figures.style import render, use_style
from a3c_bench.results.files import json_bytes, write_all

FOLDER = Path("bench-check")
ORDER: tuple[Verdict, ...] = ("slower", "missing", "unstable", "faster", "new", "ok")
COLOURS: dict[Verdict, str] = {"slower": "C3", "faster": "C2", "ok": "C0", "unstable": "C1"}
MEANINGS: dict[Verdict, str] = {
    "slower": "the whole interval lies past the tolerance",
    "missing": "the base has it, this commit does not",
    "unstable": "the interval is still too wide for a verdict",
    "faster": "the whole interval lies past the tolerance, on the good side",
    "new": "this commit has it, the base does not",
    "ok": "the whole interval lies below the tolerance",
}


@dataclass(frozen=True)
class Result:
    """What was compared, and what came out."""

    base: Revision
    head: Revision
    comparisons: Sequence[Comparison]
    seconds: float
    tolerance: float

    @property
    def failed(self) -> bool:
        """Whether a benchmark became slower or is missing."""
        return any(comparison.fails for comparison in self.comparisons)

    @property
    def headline(self) -> str:
        """The verdicts' numbers in one line."""
        counts = summary(self.comparisons)
        said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ORDER if verdict in counts)
        return f"{'slower than' if self.failed else 'no slower than'} {self.base}: {said}"


def write(result: Result) -> None:
    """Print the table, and write all there is into `bench-check/`."""
    table = Table("benchmark", "verdict", "time ÷ base", "interval", "pairs")
    for comparison in ordered(result.comparisons):
        table.add_row(*row(comparison))
    Console().print(table)
    figures = {FOLDER / f"ratios.{suffix}": content for suffix, content in render(figure(result)).items()}
    write_all(
        {
            FOLDER / "summary.md": markdown(result).encode(),
            FOLDER / "verdicts.json": json_bytes(as_json(result)),
            **figures,
        }
    )
    print(f"bench-check: {result.headline} ({result.seconds:.0f} s; {FOLDER}/summary.md)")


def ordered(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """What matters first; else in the suite's order."""
    return sorted(comparisons, key=lambda comparison: ORDER.index(comparison.verdict))


def label(name: str) -> str:
    """A benchmark's name for readers: `test_parts.py::test_turn[ordered]` is `turn ordered`."""
    short = name.rpartition("::")[2].removeprefix("test_")
    return short.replace("[", " ").replace("]", "").replace("_", " ").replace("-", " ")


def row(comparison: Comparison) -> tuple[str, str, str, str, str]:
    """A line of the tables."""
    ratio = "–" if comparison.ratio is None else f"{comparison.ratio:.3f}"
    interval = "–" if comparison.low is None else f"[{comparison.low:.3f}, {comparison.high:.3f}]"
    return label(comparison.name), comparison.verdict, ratio, interval, str(comparison.pairs or "–")


def markdown(result: Result) -> str:
    """The summary for a pull request."""
    found = {comparison.verdict for comparison in result.comparisons}
    lines = [
        f"### Benchmarks: {result.headline}",
        "",
        "| benchmark | verdict | time ÷ base | interval | pairs |",
        "| --- | --- | --- | --- | --- |",
        *("| " + " | ".join(row(comparison)) + " |" for comparison in ordered(result.comparisons)),
        "",
        f"{result.head} beside {result.base}, timed in turns on one machine, {result.seconds:.0f} s. Ratio: "
        f"interquartile mean over pairs of processes. Intervals: bootstrap over pairs, 95 % for the whole suite. "
        f"Tolerance: {100 * result.tolerance:g} %.",
        "",
        *(f"- `{verdict}`: {MEANINGS[verdict]}" for verdict in ORDER if verdict in found),
    ]
    return "\n".join(lines) + "\n"


def as_json(result: Result) -> dict[str, object]:
    """All of it, for programs."""
    return {**asdict(result), "failed": result.failed}


def figure(result: Result) -> Figure:
    """Every benchmark's ratio and interval, beside the tolerance."""
    use_style()
    timed = [comparison for comparison in result.comparisons if comparison.pairs]
    figure = Figure(figsize=(7.0, 1.2 + 0.22 * len(timed)), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(1 / (1 + result.tolerance), 1 + result.tolerance, color="0.92", zorder=0)
    axes.axvline(1, color="0.6", linewidth=1)
    for place, comparison in enumerate(timed):
        colour = COLOURS.get(comparison.verdict, "0.5")
        if comparison.low is not None and comparison.high is not None:
            axes.plot([comparison.low, comparison.high], [place, place], color=colour, linewidth=2)
        axes.plot([comparison.ratio or 1], [place], "o", color=colour, markersize=4)
    axes.set_yticks(range(len(timed)), [label(comparison.name) for comparison in timed])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"time ÷ base, for the same work (grey: within {100 * result.tolerance:g} %)")
    figure.suptitle(result.headline, fontweight="bold")
    return figure
