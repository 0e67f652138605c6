"""What the gate tells: a table to read, Markdown for a pull request, JSON for programs, and a figure."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from a3c_bench.gate.checkouts import Revision
from a3c_bench.gate.verdicts import FALSE_ALARMS, LEAST, MISSES, TOLERANCE, Comparison, Verdict, summary

ORDER: tuple[Verdict, ...] = ("slower", "missing", "unstable", "faster", "new", "ok")
COLOURS: dict[Verdict, str] = {"slower": "C3", "faster": "C2", "ok": "C0", "unstable": "C1"}
MEANINGS: dict[Verdict, str] = {
    "slower": f"surely slower, by {100 * LEAST:g} % or more",
    "missing": "the base has it, this commit does not",
    "unstable": "too noisy to tell, even after the whole budget",
    "faster": f"surely faster, by {100 * LEAST:g} % or more",
    "new": "this commit has it, the base does not",
    "ok": f"not slower by {100 * TOLERANCE:g} %",
}
HEADER = ("benchmark", "verdict", "time ÷ base", "at least", "at most", "pairs")


@dataclass(frozen=True)
class Result:
    """What was compared, and what came out."""

    base: Revision
    head: Revision
    comparisons: Sequence[Comparison]
    seconds: float

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


def write(result: Result, folder: Path) -> None:
    """Print the table, and write all there is into `folder`."""
    print(table([HEADER, *(row(comparison) for comparison in ordered(result.comparisons))]))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.md").write_text(markdown(result), encoding="utf-8")
    (folder / "verdicts.json").write_text(json.dumps(as_json(result), indent=2) + "\n", encoding="utf-8")
    draw(result, folder / "ratios.png")
    print(f"bench-check: {result.headline} ({result.seconds:.0f} s; {folder}/summary.md)")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as lines whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def ordered(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """What matters first; else in the suite's order."""
    return sorted(comparisons, key=lambda comparison: ORDER.index(comparison.verdict))


def label(name: str) -> str:
    """A benchmark's name for readers: `test_parts.py::test_turn[ordered]` is `turn ordered`."""
    short = name.rpartition("::")[2].removeprefix("test_")
    return short.replace("[", " ").replace("]", "").replace("_", " ").replace("-", " ")


def row(comparison: Comparison) -> tuple[str, ...]:
    """A line of the tables."""
    numbers = (
        "–" if number is None else f"{number:.3f}" for number in (comparison.ratio, comparison.low, comparison.high)
    )
    return label(comparison.name), comparison.verdict, *numbers, str(comparison.pairs or "–")


def markdown(result: Result) -> str:
    """The summary for a pull request."""
    found = {comparison.verdict for comparison in result.comparisons}
    lines = [
        f"### Benchmarks: {result.headline}",
        "",
        "| " + " | ".join(HEADER) + " |",
        "| " + " | ".join("---" for _ in HEADER) + " |",
        *("| " + " | ".join(row(comparison)) + " |" for comparison in ordered(result.comparisons)),
        "",
        f"{result.head} beside {result.base}, timed in turns on one machine, {result.seconds:.0f} s. Ratio: "
        f"Hodges–Lehmann estimate over pairs of processes. At least: wrong in {100 * FALSE_ALARMS:g} % of whole "
        f"suites; at most: wrong for {100 * MISSES:g} % of benchmarks (Wilcoxon).",
        "",
        *(f"- `{verdict}`: {MEANINGS[verdict]}" for verdict in ORDER if verdict in found),
    ]
    return "\n".join(lines) + "\n"


def as_json(result: Result) -> dict[str, object]:
    """All of it, for programs."""
    return {**asdict(result), "failed": result.failed}


def draw(result: Result, path: Path) -> None:
    """Every benchmark's ratio and what it is at least and at most, where matplotlib is installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    timed = [comparison for comparison in result.comparisons if comparison.ratio]
    figure = Figure(figsize=(7.0, 1.2 + 0.22 * len(timed)), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(1 / (1 + LEAST), 1 + LEAST, color="0.92", zorder=0)
    axes.axvline(1 + TOLERANCE, color="0.6", linewidth=1, linestyle=":")
    for place, comparison in enumerate(timed):
        colour, middle = COLOURS.get(comparison.verdict, "0.5"), comparison.ratio or 1
        axes.plot([comparison.low or middle, comparison.high or middle], [place, place], color=colour, linewidth=2)
        axes.plot([middle], [place], "o", color=colour, markersize=4)
    axes.set_yticks(range(len(timed)), [label(comparison.name) for comparison in timed])
    axes.invert_yaxis()
    axes.set_xlabel(
        f"time ÷ base, for the same work (grey: within {100 * LEAST:g} %; dots: {100 * TOLERANCE:g} % slower)"
    )
    figure.suptitle(result.headline, fontweight="bold")
    figure.savefig(path, dpi=150)
