"""The look that all figures share, and how they become files."""

import io
import re
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

WIDTH, HEIGHT = 7.0, 3.6
NARROW = 3.9
"""Inches, for a phone: panels stand below one another."""
LETTERS_PER_INCH = 9.4
KEPT_TOGETHER = re.compile(r"(?<=\d) (?=[%×]|of \d)|(?<=\d of) (?=\d)")
"""Spaces of a title at which no line ends: 5 of 5, 49 %."""
PALETTE = "colorblind"
SCHEDULE_STYLE = {"ordered": "-", "hogwild": "--"}
THOUSANDS = EngFormatter(sep="")
INK, QUIET, LINE, PAPER = "#1b1f24", "#59636e", "#d5dae0", "#fefefe"
PAGE_COLORS = {INK: "currentColor", QUIET: "var(--quiet)", LINE: "var(--line)", PAPER: "var(--paper)"}
"""What takes the colours of the page that it stands in, light or dark."""


def use_style(width: float = WIDTH) -> None:
    """The look of all figures, `width` inches wide; the bytes of a picture depend on its data only."""
    mpl.use("Agg")
    text = dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
    lines = dict.fromkeys(("axes.edgecolor", "grid.color", "legend.edgecolor"), LINE)
    sns.set_theme(style="whitegrid", context="paper", palette=PALETTE, rc={**text, **lines})
    mpl.rcParams.update(
        {
            "svg.hashsalt": "a3c-bench",
            "figure.dpi": 150,
            "figure.figsize": (width, HEIGHT),
            "axes.titleweight": "bold",
            "figure.facecolor": PAPER,
            "axes.facecolor": PAPER,
        }
    )


def panels(columns: int = 1, height: float = HEIGHT, same_scale: bool = False) -> tuple[Figure, list[Axes]]:
    """An empty figure with `columns` panels, each `height` inches high: side by side, or stacked where it is narrow."""
    width, rows = mpl.rcParams["figure.figsize"][0], columns if is_narrow() else 1
    figure = Figure(figsize=(width, height * rows), layout="constrained")
    return figure, list(figure.subplots(rows, columns // rows, squeeze=False, sharey=same_scale).flat)


def is_narrow() -> bool:
    """Whether figures are drawn for a phone."""
    return bool(mpl.rcParams["figure.figsize"][0] < WIDTH)


def headline(figure: Figure, title: str) -> None:
    """Set the title, in lines of about the same length, broken between words only."""
    title = KEPT_TOGETHER.sub("\u00a0", title)
    lines = -(-len(title) // int(LETTERS_PER_INCH * figure.get_figwidth()))
    # A little more than an equal share for each line, so that none is left with a word or two.
    wrapped = textwrap.fill(title, len(title) // lines + 8, break_long_words=False, break_on_hyphens=False)
    figure.suptitle(wrapped, fontweight="bold")


METADATA: dict[str, dict[str, None]] = {"svg": {"Date": None}, "png": {"Software": None}}


def render(figure: Figure, suffixes: Sequence[str] = ("svg", "png")) -> dict[str, bytes]:
    """The figure as SVG (for the page) and PNG (for README files), by suffix."""
    rendered = {}
    for suffix in suffixes:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, metadata=METADATA[suffix])
        rendered[suffix] = buffer.getvalue()
    return rendered


def render_all(figures: Mapping[str, Figure]) -> dict[str, bytes]:
    """Every figure in every format, by file name."""
    return {f"{name}.{suffix}": data for name, figure in figures.items() for suffix, data in render(figure).items()}


def for_page(svg: bytes) -> str:
    """An SVG picture without its XML header, in the colours of the page that it will stand in."""
    text = svg.decode()
    for color, name in PAGE_COLORS.items():
        text = text.replace(color, name)
    return text[text.index("<svg") :]
