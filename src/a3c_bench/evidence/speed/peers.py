"""Other systems beside this one on CartPole-v1, in one run on one machine: what `make peers` does.

Every training is a process of its own, in its system's own environment; the systems take turns, seed by seed.
"""

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from a3c_bench.config import load_config
from a3c_bench.errors import BadInputError
from a3c_bench.machine import fingerprint
from a3c_bench.math_threads import without_limit
from a3c_bench.params import read_plain
from a3c_bench.progress import Progress
from a3c_bench.report.figures import peers as figure
from a3c_bench.report.figures.style import render, use_style
from a3c_bench.report.supplements import RESTS_ON
from a3c_bench.repository import last_commit
from a3c_bench.results.about import about_bytes
from a3c_bench.results.files import PEER_FIGURE, PEER_RUNS, PEERS, PEERS_ABOUT, write_all
from a3c_bench.results.tables import frame_bytes
from a3c_bench.seeding import Role, stream
from a3c_bench.stats import bootstrap, bootstrap_ratio

SCRIPTS = Path("peers")
ENVIRONMENT = "CartPole-v1"
LIMIT_SECONDS = 90.0
GRACE_SECONDS = 30.0
README = Path("README.md")
FOREVER = 1e12
"""Stands for the time, or the env steps, of a seed that was not solved: a median that it takes part in is unknown."""
MOST_TIMES = 1e6
"""As fast as another: the end of an interval beyond that comes of such a seed."""
Times = tuple[float, float | None, float | None]
BLOCK = re.compile(r"(?<=<!-- peers -->\n).*?(?=<!-- /peers -->)", re.DOTALL)


@dataclass(frozen=True)
class Peer:
    """A system, and how one training of it is started."""

    name: str
    environment: str
    """The folder of its virtual environment."""
    script: str
    variant: str
    seeds: int

    def command(self, seed: int, deadline: float, *options: str) -> list[str]:
        """The training of `seed`, which gives up at the clock's value `deadline`."""
        python = Path(self.environment, "bin", "python")
        return [str(python), str(SCRIPTS / self.script), self.variant, str(seed), f"{deadline:.3f}", *options]


OURS, REFERENCE = "a3c-bench, 2 workers", "Stable-Baselines3 PPO"
ALL = (
    Peer(OURS, ".venv", "this_project.py", "2", 100),
    Peer("a3c-bench, 1 worker", ".venv", "this_project.py", "1", 5),
    Peer("JAX PPO, compiled end to end", ".peers/jax", "jax_ppo.py", "PPO", 5),
    Peer(REFERENCE, ".peers/stable-baselines", "stable_baselines.py", "PPO", 20),
    Peer("Stable-Baselines3 A2C", ".peers/stable-baselines", "stable_baselines.py", "A2C", 5),
    Peer("textbook loop, 2 processes", ".venv", "textbook_loop.py", "loop", 5),
)


def run(seeds: int | None, peers: Sequence[Peer] = ALL, limit: float = LIMIT_SECONDS) -> None:
    """Train every peer, at most `seeds` seeds each, and write the table, the runs, the figure and the README's part."""
    if not SCRIPTS.is_dir():
        raise BadInputError(f"{SCRIPTS}/: not found; run from the repository's root")
    config = load_config()
    if config.env != ENVIRONMENT:
        raise BadInputError(f"env: {config.env!r}; the other systems are set up for {ENVIRONMENT} only")
    plan = list(order(peers, seeds))
    runs = []
    with Progress("peers", len(plan)) as progress:
        for number, (peer, seed, repeat) in enumerate(plan):
            progress.show(number, f"{peer.name}, seed {seed}")
            runs.append({"peer": peer.name, "seed": seed, "repeat": repeat, **train(peer, seed, limit)})
    frame = pd.DataFrame(runs)
    table = summarise(frame)
    use_style()
    drawn = render(figure.peers(frame, table, finding(frame)))
    about = fingerprint() | {"limit_seconds": limit}
    write_all(
        {
            PEER_RUNS: frame_bytes(frame),
            PEERS: frame_bytes(table),
            PEERS_ABOUT: about_bytes(config.env, config.params(), last_commit(), **about),
            **{PEER_FIGURE.with_suffix(f".{suffix}"): content for suffix, content in drawn.items()},
            README: BLOCK.sub(lambda _: readme(frame, table, about), read_plain(README).decode()).encode(),
        }
    )
    print(readme(frame, table, about))


def order(peers: Sequence[Peer], seeds: int | None) -> Iterator[tuple[Peer, int, int]]:
    """(peer, seed, repeat): seed by seed, the peers in a new order each time; everybody's first seed twice."""
    draws = stream(0, Role.PROFILE)
    counts = [min(peer.seeds, seeds or peer.seeds) for peer in peers]
    for seed in range(max(counts)):
        for repeat in range(2 if seed == 0 else 1):
            for index in draws.permutation(len(peers)):
                if seed < counts[index]:
                    yield peers[index], seed, repeat


def train(peer: Peer, seed: int, limit: float) -> dict[str, Any]:
    """One training, as it goes into the table."""
    start, printed = ask(peer, seed, limit)
    solved = printed.get("solved_at")
    return {
        "seconds_to_solve": None if solved is None else solved - start,
        **{key: printed.get(key) for key in ("steps_to_solve", "rate", "sha256", "versions", "failed")},
    }


def ask(peer: Peer, seed: int, limit: float, *options: str) -> tuple[float, dict[str, Any]]:
    """One training: the clock's value at its start, and what the peer printed, or `failed`: the command."""
    start = time.monotonic()
    command = peer.command(seed, start + limit, *options)
    environment = without_limit(os.environ) | {"PYTHONPATH": "src"}
    try:
        process = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=limit + GRACE_SECONDS, env=environment
        )
        printed = json.loads(process.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        print(getattr(error, "stderr", None) or error)
        return start, {"failed": shlex.join(command)}
    versions = ", ".join(f"{name} {version}" for name, version in printed["versions"].items())
    return start, printed | {"versions": versions}


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per peer: medians over seeds with their 95 % intervals; an unsolved seed took for ever."""
    rows = []
    for name, own in runs.groupby("peer", sort=False):
        first = own[own["repeat"] == 0]
        row: dict[str, Any] = {"peer": name, "seeds": len(first), "solved": int(first["seconds_to_solve"].count())}
        for column in ("rate", "seconds_to_solve", "steps_to_solve"):
            row |= median_columns(column, first[column])
        twice = own.loc[own["seed"] == 0, "sha256"]
        row["same_bits_twice"] = "–" if twice.isna().any() else "yes" if twice.nunique() == 1 else "no"
        row["versions"] = next(iter(own["versions"].dropna()), None)
        row["failed"] = next(iter(own["failed"].dropna()), None)
        rows.append(row)
    return pd.DataFrame(rows).sort_values("seconds_to_solve", kind="stable", na_position="last", ignore_index=True)


def median_columns(column: str, values: "pd.Series[Any]") -> Mapping[str, float | None]:
    """Over seeds, with its 95 % interval, as columns of a table; None where it is that of a seed that took for ever."""
    filled = values.fillna(FOREVER).to_numpy(np.float64)
    interval = bootstrap(filled, np.median)
    figures = {column: np.median(filled)}
    if interval:
        figures |= {f"{column}_low": interval.low, f"{column}_high": interval.high}
    return {name: float(value) if value < FOREVER / 2 else None for name, value in figures.items()}


def speedup(runs: pd.DataFrame) -> Times | None:
    """Seconds to solve of the reference ÷ ours: see `times_as_fast`."""

    def seconds(name: str) -> "pd.Series[Any]":
        return runs.loc[(runs["peer"] == name) & (runs["repeat"] == 0), "seconds_to_solve"]

    return times_as_fast(seconds(REFERENCE), seconds(OURS))


def times_as_fast(theirs: "pd.Series[Any]", own: "pd.Series[Any]") -> Times | None:
    """Median of their seconds ÷ that of one's own, and the ends of its 95 % interval.

    None, in place of an end too, where a median is of a seed that took for ever; one seed gives no interval.
    """
    reference, ours = (times.fillna(FOREVER).to_numpy(np.float64) for times in (theirs, own))
    if not all(len(times) and np.median(times) < FOREVER / 2 for times in (reference, ours)):
        return None
    ratio = float(np.median(reference) / np.median(ours))
    interval = bootstrap_ratio(reference, ours, np.median)
    if interval is None:
        return ratio, None, None
    low, high = float(interval.low), float(interval.high)
    return ratio, low if low > 1 / MOST_TIMES else None, high if high < MOST_TIMES else None


def steps_ratio(table: pd.DataFrame) -> float:
    """Env steps to solve, ours ÷ the reference's: the price of the speed."""
    steps = table.set_index("peer")["steps_to_solve"]
    return float(steps[OURS] / steps[REFERENCE])


def finding(runs: pd.DataFrame) -> str:
    """The figure's title."""
    found = speedup(runs)
    return f"{OURS}: solved {found[0]:.1f} × as fast as {REFERENCE}" if found else "Time to solve CartPole-v1"


HEADER = (
    "system",
    "env steps/s while training",
    "seconds to solve, from process start",
    "env steps to solve",
    "solved",
    "same bits twice",
)


def readme(runs: pd.DataFrame, table: pd.DataFrame, about: Mapping[str, Any]) -> str:
    """The table as Markdown, and what a reader has to know of it."""
    rows = [[str(cell) for cell in _cells(row)] for _, row in table.iterrows()]
    lines = [f"| {' | '.join(row)} |" for row in (HEADER, ["---"] * len(HEADER), *rows)]
    lines.append(
        f"\nSolved: the first time that the mean return of the last 100 training episodes reaches 475, within "
        f"{about['limit_seconds']:.0f} s and the system's own budget; a seed may fall below it again later. Medians "
        f"over seeds with 95 % percentile bootstrap intervals; {about['cpu']}, {about['cores']} cores."
    )
    if found := speedup(runs):
        ratio, low, high = found
        interval = "" if low is None or high is None else f" [{low:.1f}, {high:.1f}]"
        lines[-1] += f" {OURS}: {ratio:.1f} ×{interval} as fast to solve as {REFERENCE}, "
        lines[-1] += f"with {steps_ratio(table):.1f} × its env steps."
    lines.append(f"\nWhat this rests on: {RESTS_ON}")
    versions = "; ".join(f"{row.peer}: {row.versions}" for row in table.itertuples() if isinstance(row.versions, str))
    return "\n".join([*lines, f"\nVersions: {versions}.\n"])


def _cells(row: "pd.Series[Any]") -> Iterator[str]:
    yield row["peer"]
    rate = _cell(row, "rate", 0)
    yield f"{rate} (failed: `{row['failed']}`)" if isinstance(row["failed"], str) else rate
    yield _cell(row, "seconds_to_solve", 1)
    yield _cell(row, "steps_to_solve", 0)
    yield f"{row['solved']} of {row['seeds']}"
    yield row["same_bits_twice"]


def _cell(row: "pd.Series[Any]", column: str, digits: int) -> str:
    value, low, high = (row.get(f"{column}{suffix}") for suffix in ("", "_low", "_high"))
    if pd.isna(value):
        return "–"
    if pd.isna(low) or pd.isna(high):
        return f"{value:,.{digits}f}"
    return f"{value:,.{digits}f} [{low:,.{digits}f}, {high:,.{digits}f}]"
