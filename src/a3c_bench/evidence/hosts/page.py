"""The page of what is measured of several hosts, in reports/hosts."""

from typing import Any

from a3c_bench.report import hosts as report
from a3c_bench.report.figures.style import for_page, render_all, use_style
from a3c_bench.report.hosts import COSTS_ABOUT, OUT, PROOF_ABOUT
from a3c_bench.report.pages import render_template
from a3c_bench.results.about import read_about
from a3c_bench.results.files import write_all


def write() -> None:
    """Render what is there."""
    tables = report.tables()
    points = scaling_points(tables)
    titles = findings(tables, points)
    use_style()
    drawn = {}
    if points:
        drawn["scaling"] = report.scaling_figure(points, titles["scaling"])
    if not tables["sizes"].empty:
        drawn["sizes"] = report.sizes_figure(tables["sizes"], titles["sizes"])
    pictures = render_all(drawn)
    context = {
        **tables,
        "matrix": [] if tables["bits"].empty else report.bits_matrix(tables["bits"]),
        "faults": tables["faults"] if tables["faults"].empty else report.faults_by_kind(tables["faults"]),
        "points": points,
        "abouts": {"proof": read_about(PROOF_ABOUT), "costs": read_about(COSTS_ABOUT)},
        "svg": {name: for_page(pictures[f"{name}.svg"]) for name in drawn},
    }
    write_all(
        {
            **{OUT / name: content for name, content in pictures.items()},
            OUT / "index.html": render_template("hosts.html.j2", context),
            OUT / "README.md": render_template("hosts.md.j2", context),
        }
    )
    print(f"{OUT / 'index.html'}: {'; '.join(titles.values())}")


def scaling_points(tables: dict[str, Any]) -> list[dict[str, Any]]:
    """Measured and predicted speed-ups of the environment that waits."""
    if tables["scaling"].empty:
        return []
    rates = report.rates_by_hosts(tables["scaling"])
    return [*report.speedups(rates), *report.predictions(rates)]


def findings(tables: dict[str, Any], points: list[dict[str, Any]]) -> dict[str, str]:
    """What was found, by the figure or the table that shows it."""
    found = {}
    for name, what in (("bits", "trainings over hosts have the bits of one"), ("faults", "faults over hosts survived")):
        table = tables[name]
        if not table.empty:
            rows = table[table["hosts"] > 1] if name == "bits" else table
            found[name] = f"{int((rows['same'] == 'yes').sum())} of {len(rows)} {what}"
    of_target = next((one for one in points if one["hosts"] == report.TARGET_HOSTS), None)
    if of_target:
        times = f"{of_target['speedup']:.2f} × one"
        found["scaling"] = (
            f"An environment that waits: {report.TARGET_HOSTS} hosts are {times} (target {report.TARGET})"
        )
    if not tables["sizes"].empty:
        found["sizes"] = "Turns per second by the size of a round's message"
    return found
