"""`make proof`: train under every condition that must not matter, and under those that may, and compare the bits."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from a3c_bench.config import Config, Evaluate
from a3c_bench.evidence.reproducibility import contrast, price
from a3c_bench.evidence.reproducibility.conditions import Condition, conditions
from a3c_bench.evidence.reproducibility.launch import Launcher
from a3c_bench.evidence.reproducibility.trial import Result, Trial
from a3c_bench.progress import Progress
from a3c_bench.repository import last_commit
from a3c_bench.results.about import about_bytes
from a3c_bench.results.files import PROOF, PROOF_ABOUT, csv_bytes, write_all
from a3c_bench.seeding import Role, stream

REPEATS = 3
EVALUATION_EPISODES = 10
COLUMNS = (
    "algorithm",
    "condition",
    "promised",
    "same",
    "sha256",
    "runs",
    "rounds",
    "reordered",
    "env_steps_per_second",
    "relative_rate",
    "note",
)
YES_NO = {True: "yes", False: "no"}


@dataclass
class Row:
    """A condition of one algorithm, and what its runs gave."""

    algorithm: str
    condition: Condition
    note: str = ""
    results: list[Result] = field(default_factory=list)


def run(config: Config, repeats: int = REPEATS) -> bool:
    """Measure all rows, then write the tables; returns whether every promised row has the reference's bits."""
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder:
        launcher = Launcher(Path(folder), config)
        rows = measure(config, launcher, repeats)
        table = [summarise(row, rows) for row in rows]
        files = {**contrast.measure(config, launcher), **price.measure(config)}
    about = about_bytes(config.env, config.params(), last_commit())
    proof = csv_bytes(COLUMNS, [[row[name] for name in COLUMNS] for row in table])
    write_all({PROOF: proof, PROOF_ABOUT: about, **files})
    broken = [row for row in table if row["promised"] == "yes" and row["same"] == "no"]
    for row in broken:
        print(f"NOT the same bits: {row['algorithm']}, {row['condition']}")
    kept = sum(row["promised"] == "yes" and row["same"] == "yes" for row in table)
    print(f"{PROOF}: {kept} of {kept + len(broken)} promised rows have the same bits")
    return not broken


def measure(config: Config, launcher: Launcher, repeats: int) -> list[Row]:
    """Run every condition `repeats` times, interleaved in an order that is drawn anew each time; emulated ones once."""
    rows = [Row(name, condition) for name in config.algorithms for condition in conditions(config.algorithm(name))]
    order = stream(0, Role.PROFILE)
    with Progress("proof", len(rows) * repeats) as progress:
        for repeat in range(repeats):
            for done, index in enumerate(order.permutation(len(rows))):
                row = rows[index]
                progress.show(repeat * len(rows) + done, f"{row.algorithm}, {row.condition.name}")
                if not launcher.obstacle(row.condition) and not (row.condition.cpu_model and repeat):
                    row.results.append(launcher.run(row.condition, make_trial(config, row, launcher)))
    for row in rows:
        row.note = launcher.obstacle(row.condition) or launcher.note(row.condition)
    return rows


def make_trial(config: Config, row: Row, launcher: Launcher) -> Trial:
    """The params with a row's changes and its amount of training."""
    condition, settings = row.condition, config.algorithm(row.algorithm)
    if condition.large:
        settings = settings.with_work_for_threads() or settings
    changes = {**condition.changes, "evaluate": Evaluate(episodes=EVALUATION_EPISODES)}
    placed = config.with_env(condition.changes.get("env", config.env)).model_copy(update=changes)
    changed = placed.with_algorithm(row.algorithm, settings.with_budget(condition.rounds))
    return Trial(changed.params(), row.algorithm, executable=launcher.executable(condition), **condition.trial)


def summarise(row: Row, rows: Sequence[Row]) -> dict[str, Any]:
    """A row of the table."""
    condition, results = row.condition, row.results
    reference = next(
        other.results
        for other in rows
        if other.algorithm == row.algorithm and other.condition.name == condition.reference
    )
    hashes = {result.sha256 for result in results}
    rates = [result.env_steps_per_second for result in results]
    note = row.note
    if len(hashes) > 1:
        note = f"{len(hashes)} different results in {len(results)} runs"
    return {
        "algorithm": row.algorithm,
        "condition": condition.name,
        "promised": YES_NO[condition.promised],
        "same": YES_NO[hashes == {reference[0].sha256}] if results else None,
        "sha256": results[0].sha256 if results else None,
        "runs": len(results),
        "rounds": condition.rounds,
        "reordered": max(reordered(results, reference[0]), default=None) if results else None,
        "env_steps_per_second": float(np.median(rates)) if rates else None,
        "relative_rate": _relative(rates, [result.env_steps_per_second for result in reference]),
        "note": note,
    }


def reordered(results: Sequence[Result], reference: Result) -> Iterator[float]:
    """Of every run, the share of gradients that became ready at another place in the order than in the reference."""
    for result in results:
        if result is not reference and len(result.ready_order) == len(reference.ready_order):
            yield float(np.mean(np.array(result.ready_order) != np.array(reference.ready_order)))


def _relative(rates: Sequence[float], reference: Sequence[float]) -> float | None:
    """The median, over the repeats that both have, of the ratio of two rates."""
    ratios = [rate / other for rate, other in zip(rates, reference, strict=False)]
    return float(np.median(ratios)) if ratios else None
