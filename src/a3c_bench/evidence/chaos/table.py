"""`make chaos`: strike trainings with faults, one after another; what they end with must be the undisturbed result."""

import itertools
import os
import random
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from a3c_bench.config import Checkpoint, Config
from a3c_bench.environments.make import describe
from a3c_bench.evidence.chaos.faults import KINDS, NEED_ROOT
from a3c_bench.evidence.chaos.scene import Scene
from a3c_bench.progress import Progress
from a3c_bench.repository import last_commit
from a3c_bench.results.about import about_bytes
from a3c_bench.results.files import FAULTS, FAULTS_ABOUT, csv_bytes, write_all
from a3c_bench.training.pool import shape
from a3c_bench.training.worker import Job

TIMES = 4
AT_ONCE = 2
ATTEMPTS = 5
"""A fault that struck before the first turn or after the last does not count, and is tried again."""
CHANGES = {"schedule": "ordered", "workers": 2, "checkpoint": Checkpoint(seconds=0.2)}
ROLLOUTS = 400
"""Trainings of a few seconds."""
COLUMNS = (
    "algorithm",
    "fault",
    "turn",
    "turns",
    "survived",
    "same",
    "stop_seconds",
    "resumed_at",
    "resume_seconds",
    "note",
)
YES_NO = {True: "yes", False: "no"}


@dataclass(frozen=True)
class Stage:
    """A training that nothing disturbs: where its folder is, and the hashes of its results."""

    folder: Path
    job: Job
    hashes: dict[str, str]


@dataclass(frozen=True)
class Struck:
    """What a fault did: a row of the table."""

    kind: str
    scene: Scene
    survived: bool
    same: bool
    note: str

    def row(self) -> list[object]:
        """By `COLUMNS`."""
        scene = self.scene
        return [
            scene.algorithm,
            self.kind,
            scene.turn,
            scene.shape.turns,
            YES_NO[self.survived],
            YES_NO[self.same],
            scene.stop_seconds,
            scene.resumed_at,
            scene.resume_seconds,
            self.note,
        ]


def run(config: Config, count: int | None) -> bool:
    """Try `count` faults, each kind in turn; returns whether all were survived with the same bits."""
    changed = config.with_budget(ROLLOUTS).model_copy(update=CHANGES)
    plan = itertools.product(KINDS, changed.algorithms)
    count = count or TIMES * len(KINDS) * len(changed.algorithms)
    rows: list[Struck] = []
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder, Progress("chaos", count) as progress:
        stages = {name: undisturbed(changed, name, Path(folder)) for name in changed.algorithms}
        kinds, algorithms = zip(*itertools.islice(itertools.cycle(plan), count), strict=True)
        with ThreadPoolExecutor(AT_ONCE) as executor:
            results = executor.map(struck, [stages[name] for name in algorithms], kinds, range(count))
            for done, found in enumerate(results, start=1):
                rows += found
                progress.show(done, f"{sum(row.survived and row.same for row in rows)} survived with the same bits")
    bad = [row for row in rows if not (row.survived and row.same)]
    for row in bad:
        print(f"{row.scene.algorithm}, {row.kind}, turn {row.scene.turn}: {row.note}")
    about = about_bytes(config.env, config.params(), last_commit())
    write_all({FAULTS: csv_bytes(COLUMNS, [row.row() for row in rows]), FAULTS_ABOUT: about})
    survived, same = sum(row.survived for row in rows), sum(row.same for row in rows)
    print(f"{FAULTS}: {len(rows)} faults tried, {survived} survived, {same} with the same bits")
    return not bad


def undisturbed(config: Config, algorithm: str, folder: Path) -> Stage:
    """Train once without any fault, which makes MLflow's database too."""
    own = folder / algorithm
    own.mkdir()
    with (own / "params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(config.params(), file)
    job = Job(config, algorithm, 0, describe(config.env))
    scene = Scene(own, algorithm, shape(job), random.Random(0))
    scene.over(scene.start(), 0)
    return Stage(own, job, scene.results())


def struck(stage: Stage, kind: str, number: int) -> list[Struck]:
    """One fault; none where it cannot be tried on this machine."""
    if KINDS[kind] in NEED_ROOT and os.geteuid():
        print(f"{kind}: not tried, a small disk can be mounted by root only")
        return []
    for attempt in range(ATTEMPTS):
        chance = random.Random(f"{number} {attempt}")
        folder = stage.folder.with_name(f"fault-{number}-{attempt}")
        folder.mkdir()
        for name in ("params.yaml", "mlflow.db"):
            shutil.copy(stage.folder / name, folder / name)
        scene = Scene(folder, stage.job.algorithm, shape(stage.job), chance)
        result = _strike(scene, stage, kind)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(scene.temporary, ignore_errors=True)
        if 0 < scene.turn < scene.shape.turns:
            return [result]
    return [Struck(kind, scene, False, False, f"it struck outside of training in {ATTEMPTS} attempts: {result.note}")]


def _strike(scene: Scene, stage: Stage, kind: str) -> Struck:
    with scene.surroundings:
        try:
            KINDS[kind](scene)
        except Exception as error:  # whatever it is, it is this fault's row and not the table's end
            return Struck(kind, scene, False, False, " ".join(f"{type(error).__name__}: {error}".split()))
        hashes = scene.results()
    different = sorted(name for name in stage.hashes if hashes.get(name) != stage.hashes[name])
    return Struck(kind, scene, True, not different, f"different: {', '.join(different)}" if different else "")
