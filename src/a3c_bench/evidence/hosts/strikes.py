"""Faults over hosts, a row for each: three hosts are struck, and the result is that of one."""

import itertools
import random
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from a3c_bench.config import Checkpoint, Config, Joining
from a3c_bench.errors import TrainingError
from a3c_bench.evidence.chaos.scene import require
from a3c_bench.evidence.hosts.bits import digest, hashes
from a3c_bench.evidence.hosts.cases import YES_NO, Cases
from a3c_bench.evidence.hosts.faults import KINDS
from a3c_bench.evidence.hosts.network import Network
from a3c_bench.evidence.hosts.scene import HOSTS, PATIENCE_SECONDS, MissedError, Scene
from a3c_bench.progress import Progress
from a3c_bench.report.hosts import FAULTS

TIMES = 7
"""Each kind strikes so often."""
AT_ONCE = 2
ATTEMPTS = 4
"""A training that ended before it was struck does not count, and another is struck."""
SILENCE_SECONDS = 4.0
COLUMNS = ("number", "fault", "algorithm", "turn", "turns", "survived", "same", "noticed_seconds", "seconds", "note")
UPDATES = {"nstep": 1500, "episodic": 450, "ppo": 1200}
"""Of every actor: trainings of some five seconds, of rollouts that are short."""
SMALL: dict[str, dict[str, Any]] = {
    "nstep": {"envs": 4, "rollout_steps": 5},
    "episodic": {},
    "ppo": {"envs": 4, "rollout_steps": 10, "epochs": 2, "minibatches": 2},
}


def run(config: Config, count: int | None) -> bool:
    """Strike so many times, by default each kind `TIMES` times, but for what is in the table already."""
    cases = Cases(FAULTS, COLUMNS, ("number", "fault", "algorithm"), config.params())
    planned = list(itertools.islice(plan(), count or TIMES * len(KINDS)))
    left = [case for case in planned if not cases.has(*case)]
    expected = {algorithm: alone(config, algorithm) for algorithm in {algorithm for _, _, algorithm in left}}

    def make(case: tuple[int, str, str]) -> dict[str, Any]:
        return struck(config, *case, expected[case[2]])

    with Progress("faults over hosts", len(planned)) as progress, ThreadPoolExecutor(AT_ONCE) as executor:
        for row in executor.map(make, left):
            cases.add(row)
            good = sum(one["survived"] == one["same"] == "yes" for one in cases.rows)
            progress.show(len(cases.rows), f"{good} survived with the same bits")
    bad = [row for row in cases.rows if not row["survived"] == row["same"] == "yes"]
    for row in bad:
        print(f"{row['fault']}, {row['algorithm']}, turn {row['turn']}: {row['note']}")
    good = len(cases.rows) - len(bad)
    print(f"{FAULTS}: {len(cases.rows)} faults over hosts tried, {good} survived with the same bits")
    return not bad


def plan() -> Iterator[tuple[int, str, str]]:
    """All kinds in turn, again and again, each with another algorithm every time."""
    for number in itertools.count():
        times, kind = divmod(number, len(KINDS))
        yield number, list(KINDS)[kind], list(UPDATES)[(times + kind) % len(UPDATES)]


def struck_config(config: Config, algorithm: str, hosts: int) -> Config:
    """What is struck: the params' environment, with short rollouts and many of them."""
    settings = config.algorithm(algorithm).changed(**SMALL[algorithm]).with_budget(UPDATES[algorithm])
    changes = {
        "algorithms": (algorithm,),
        "schedule": "ordered",
        "preset": False,
        "hosts": hosts,
        "workers": 1,
        "joining": Joining(wait=60.0, silence=SILENCE_SECONDS),
        "checkpoint": Checkpoint(seconds=0.2),
    }
    return config.with_algorithm(algorithm, settings).model_copy(update=changes)


def alone(config: Config, algorithm: str) -> str:
    """The digest of what one host makes."""
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder, Network(Path(folder), 1) as network:
        process = network.train_with(struck_config(config, algorithm, 1).params(), algorithm)
        if process.wait(timeout=PATIENCE_SECONDS):
            raise TrainingError(network.said(0))
        return digest(hashes(network.home(0)))


def struck(config: Config, number: int, kind: str, algorithm: str, expected: str) -> dict[str, Any]:
    """A row of the table."""
    note = ""
    for attempt in range(ATTEMPTS):
        chance = random.Random(f"{number} {attempt}")
        try:
            return strike(struck_config(config, algorithm, HOSTS), number, kind, algorithm, expected, chance)
        except MissedError as error:
            note = f"it never struck in time in {ATTEMPTS} attempts: {error}"
    return {"number": number, "fault": kind, "algorithm": algorithm, "survived": "no", "same": "no", "note": note}


def strike(
    config: Config, number: int, kind: str, algorithm: str, expected: str, chance: random.Random
) -> dict[str, Any]:
    """A row of the table; raises `MissedError`."""
    start, note, made, scene = time.monotonic(), "", "", None
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder:
        try:
            with Network(Path(folder), HOSTS) as network:
                scene = Scene(network, config, algorithm, chance)
                KINDS[kind](scene)
                code = scene.leader.wait(timeout=PATIENCE_SECONDS)
                require(code == 0, f"exit code {code}: {network.said(scene.head)[-300:]}")
                made = digest(hashes(network.home(scene.head)))
        except MissedError:
            raise
        except Exception as error:  # whatever it is, it is this fault's row and not the table's end
            note = " ".join(f"{type(error).__name__}: {error}".split())[:400]
    return {
        "number": number,
        "fault": kind,
        "algorithm": algorithm,
        "turn": scene.turn if scene else None,
        "turns": scene.turns if scene else None,
        "survived": YES_NO[not note],
        "same": YES_NO[made == expected],
        "noticed_seconds": scene.noticed_seconds if scene else None,
        "seconds": time.monotonic() - start,
        "note": note,
    }
