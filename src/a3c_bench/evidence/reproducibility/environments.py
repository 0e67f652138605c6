"""`make proof ENVS=…`: a short training of every environment named, under conditions that must not change its bits."""

import csv
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

from a3c_bench import preset
from a3c_bench.config import Config, parse_config
from a3c_bench.environments.make import describe
from a3c_bench.errors import TrainingError
from a3c_bench.evidence.reproducibility.conditions import OFTEN, Condition, on_arm
from a3c_bench.evidence.reproducibility.launch import Launcher
from a3c_bench.evidence.reproducibility.proof import YES_NO, Row, make_trial
from a3c_bench.progress import Progress
from a3c_bench.repository import last_commit
from a3c_bench.results.files import ENVIRONMENTS, csv_bytes, write_all

WORKERS = (2, 5)
KILLS = 3
CPU_MODELS = ("Haswell", "EPYC-Rome")
ROUNDS = 30
"""Updates of every actor, at least."""
COLUMNS = ("environment", "algorithm", "condition", "same", "sha256", "rounds", "commit", "note")


def conditions() -> Iterator[Condition]:
    """The rows of an environment; the first is what the others are compared with."""
    of_all = {"checkpoint": OFTEN}
    yield Condition("1 worker", {**of_all, "workers": 1}, rounds=ROUNDS)
    yield from (Condition(f"{count} workers", {**of_all, "workers": count}, rounds=ROUNDS) for count in WORKERS)
    yield Condition(f"killed {KILLS} times", of_all, rounds=ROUNDS, trial={"kills": KILLS})
    for model in CPU_MODELS:
        yield Condition(f"emulated CPU: {model}", of_all, rounds=ROUNDS, cpu_model=model)
    yield replace(on_arm("neoverse-n1"), changes=of_all, rounds=ROUNDS)


def run(config: Config, names: Sequence[str]) -> bool:
    """Train each environment, with its preset, under every condition; returns whether all that ran have equal bits.

    Rows of environments that are not named stay as they are in the table. Raises `BadInputError` where a training of
    an environment cannot be set up at all.
    """
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder:
        places = [parse_config(preset.applied(config.with_env(name).params())) for name in names]
        for placed in places:
            describe(placed.recipe)
        for placed in places:
            found += measure(placed, Launcher(Path(tempfile.mkdtemp(dir=folder)), placed))
            write(found)
    broken = [row for row in found if row["same"] == "no"]
    for row in broken:
        print(f"NOT the same bits: {row['environment']}, {row['condition']}")
    measured = sum(row["same"] is not None for row in found)
    print(f"{ENVIRONMENTS}: {measured - len(broken)} of {measured} rows have the same bits")
    return not broken


def write(found: Sequence[dict[str, Any]]) -> None:
    """Replace the table's rows of the environments that were tried; a table that is half made is of use, too."""
    tried = {row["environment"] for row in found}
    rows = sorted(
        [*(row for row in known_rows() if row["environment"] not in tried), *found], key=itemgetter("environment")
    )
    write_all({ENVIRONMENTS: csv_bytes(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])})


def measure(config: Config, launcher: Launcher) -> list[dict[str, Any]]:
    """The rows of the params' environment, with their first algorithm."""
    rows = [Row(config.algorithms[0], condition) for condition in conditions()]
    with Progress(f"proof on {config.env}", len(rows)) as progress:
        for done, row in enumerate(rows):
            progress.show(done, row.condition.name)
            row.note = launcher.obstacle(row.condition) or ""
            if not row.note:
                try:
                    row.results.append(launcher.run(row.condition, make_trial(config, row, launcher)))
                except TrainingError as error:
                    row.note = str(error)
    reference = rows[0].results[0].sha256 if rows[0].results else None
    return [summarise(config.env, row, reference) for row in rows]


def summarise(name: str, row: Row, reference: str | None) -> dict[str, Any]:
    """A row of the table."""
    sha256 = row.results[0].sha256 if row.results else None
    return {
        "environment": name,
        "algorithm": row.algorithm,
        "condition": row.condition.name,
        "same": YES_NO[sha256 == reference] if sha256 else None,
        "sha256": sha256,
        "rounds": row.condition.rounds,
        "commit": last_commit(),
        "note": row.note,
    }


def known_rows() -> list[dict[str, Any]]:
    """Those of the table as it is."""
    if not ENVIRONMENTS.exists():
        return []
    with ENVIRONMENTS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
