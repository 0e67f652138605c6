"""Stage `report` of the suite: its page, of the cells that there are."""

from pathlib import Path
from typing import Any

from a3c_bench.environments.make import describe
from a3c_bench.errors import BadInputError
from a3c_bench.progress import conclude
from a3c_bench.report import suite as page
from a3c_bench.report.figures.style import NARROW, for_page, render, render_all, use_style
from a3c_bench.report.pages import render_template
from a3c_bench.report.suite import OUT
from a3c_bench.repository import last_commit
from a3c_bench.results.files import write_all
from a3c_bench.results.tables import frame_bytes
from a3c_bench.suite import Suite


def run(suite: Suite) -> None:
    """Aggregate and render."""
    groups = page.complete(suite)
    if not any(groups.values()):
        raise BadInputError("suite: no cell is complete; `make suite ENVS=Acrobot-v1` trains and evaluates some")
    table, bands, published = page.scores(groups), page.curves(groups), page.references()
    # What is drawn last leaves the usual look behind.
    use_style(NARROW)
    narrow = render(page.small_multiple(bands, published), ("svg",))["svg"]
    use_style()
    drawn = render_all({"learning": page.small_multiple(bands, published)})
    context = {
        "rows": rows(suite, table, published),
        "missing": list(page.missing(suite, groups, bands)),
        "seeds": len(suite.seeds),
        "episodes": suite.evaluate.episodes,
        "times": page.times(),
        "sources": page.SOURCES,
        "commit": last_commit(),
        "svg": for_page(drawn["learning.svg"]),
        "narrow": for_page(narrow),
    }
    write_all(
        {
            OUT / "scores.csv": frame_bytes(table),
            OUT / "learning.csv": frame_bytes(bands),
            **{OUT / name: content for name, content in drawn.items()},
            OUT / "index.html": render_template("suite.html.j2", context),
            OUT / "README.md": render_template("suite.md.j2", context),
        }
    )
    told = f"{OUT / 'index.html'}: {sum(map(len, groups.values()))} of {len(suite.cells())} cells"
    conclude("suite", told, page=str(Path(OUT / "index.html")))


def rows(suite: Suite, table: Any, published: dict[str, dict[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """The table's rows, each beside what others published of its environment, and whether it reaches that."""
    found = []
    for row in table.to_dict("records"):
        others = published.get(row["environment"], {})
        reached = {name: row["greedy"] >= other["score"] for name, other in others.items()}
        threshold = describe(suite.config(row["environment"]).recipe).reward_threshold
        found.append({**row, "others": others, "reached": reached, "threshold": threshold})
    return found
