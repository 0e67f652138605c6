"""`make chaos`: strike trainings with faults, one after another; what they end with must be the undisturbed result."""

import itertools
import os
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from ruamel.yaml import YAML

from a3c_bench.algorithms.base import Settings
from a3c_bench.config import Checkpoint, Config
from a3c_bench.environments.make import EnvironmentInfo, describe
from a3c_bench.errors import BadInputError
from a3c_bench.evidence.chaos.bad_inputs import answers_told, bad_inputs, counts, sample, try_all
from a3c_bench.evidence.chaos.faults import KINDS, NEED_ROOT
from a3c_bench.evidence.chaos.scene import Scene
from a3c_bench.evidence.chaos.victim import SEED, let_signals_through
from a3c_bench.progress import Progress
from a3c_bench.repository import last_commit
from a3c_bench.results.about import about_bytes
from a3c_bench.results.files import BAD_INPUTS, BAD_INPUTS_ABOUT, FAULTS, FAULTS_ABOUT, csv_bytes, write_all
from a3c_bench.training.pool import shape
from a3c_bench.training.worker import Job

TIMES = 9
"""Each kind of fault strikes so often, at another training every time."""
AT_ONCE = 2
ATTEMPTS = 5
"""A fault that struck before the first turn or after the last does not count, and is tried again."""
CHANGES = {"schedule": "ordered", "workers": 2, "checkpoint": Checkpoint(seconds=0.2)}
UPDATES = 20
"""Where nothing is known of an environment's pace."""
ENVIRONMENTS = {"CartPole-v1": 1000, "Acrobot-v1": 40, "LunarLander-v3": 60}
"""Struck beside the params' own, with so many updates of every actor that trainings take a few seconds."""
COLUMNS = (
    "environment",
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
LONGEST_NOTE = 300
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
    environment: str
    scene: Scene
    survived: bool
    same: bool
    note: str

    def row(self) -> list[object]:
        """By `COLUMNS`."""
        scene = self.scene
        return [
            self.environment,
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
    """Try `count` faults and as many bad inputs, by default all; returns whether everything went as it has to."""
    rows = strike(config, count)
    inputs = sample(bad_inputs(config), count)
    answers = try_all(inputs)
    about = about_bytes(config.env, config.params(), last_commit())
    faults = csv_bytes(COLUMNS, [row.row() for row in rows])
    write_all({FAULTS: faults, FAULTS_ABOUT: about, BAD_INPUTS: counts(inputs, answers), BAD_INPUTS_ABOUT: about})
    return all([told(rows), answers_told(inputs, answers)])


def strike(config: Config, count: int | None) -> list[Struck]:
    """Strike so many times, by default each kind `TIMES` times."""
    let_signals_through()
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder:
        stages = [undisturbed(one, Path(folder, f"undisturbed-{n}")) for n, one in enumerate(trainings(config))]
        return strike_all([*itertools.islice(plan(stages), count or TIMES * len(KINDS))])


def strike_all(planned: Sequence[tuple[str, Stage]]) -> list[Struck]:
    """Strike every training with its kind of fault, a few at a time."""
    kinds, stages = zip(*planned, strict=True)
    rows: list[Struck] = []
    with Progress("chaos", len(planned)) as progress, ThreadPoolExecutor(AT_ONCE) as executor:
        for done, found in enumerate(executor.map(struck, stages, kinds, range(len(planned))), start=1):
            rows += found
            progress.show(done, f"{sum(row.survived and row.same for row in rows)} survived with the same bits")
    return rows


def told(rows: Sequence[Struck]) -> bool:
    """Say what was not survived, and the counts; returns whether all was."""
    bad = [row for row in rows if not (row.survived and row.same)]
    for row in bad:
        print(f"{row.environment}, {row.scene.algorithm}, {row.kind}, turn {row.scene.turn}: {row.note}")
    survived, same = sum(row.survived for row in rows), sum(row.same for row in rows)
    print(f"{FAULTS}: {len(rows)} faults tried, {survived} survived, {same} with the same bits")
    return not bad


def trainings(config: Config) -> Iterator[Config]:
    """A short training of every algorithm on every environment; tells what is left out."""
    for name, updates in {config.env: UPDATES, **ENVIRONMENTS}.items():
        placed = config.with_env(name)
        try:
            environment = describe(placed.recipe)
        except BadInputError as error:
            print(f"{error}; left out")
            continue
        for algorithm in config.algorithms:
            settings = fitting(config.algorithm(algorithm), environment).with_budget(updates)
            if objection := settings.objection(environment):
                print(f"{algorithm}.{objection}; left out on {name}")
                continue
            changes = {**CHANGES, "algorithms": (algorithm,)}
            yield placed.with_algorithm(algorithm, settings).model_copy(update=changes)


def fitting(settings: Settings, environment: EnvironmentInfo) -> Settings:
    """The same, with the environment's own rewards where there is a choice and the others make no sense on it."""
    if settings.objection(environment) and "reward" in type(settings).model_fields:
        return settings.model_copy(update={"reward": "env"})
    return settings


def plan(stages: Sequence[Stage]) -> Iterator[tuple[str, Stage]]:
    """All kinds in turn, again and again; each meets another training every time, until it has met them all."""
    for times in itertools.count():
        for number, kind in enumerate(KINDS):
            yield kind, stages[(times + number) % len(stages)]


def undisturbed(config: Config, folder: Path) -> Stage:
    """Train once without any fault, which makes MLflow's database too."""
    folder.mkdir()
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        # These are to hold as they are, whatever the environment's preset says.
        YAML(typ="safe").dump({**config.params(), "preset": False}, file)
    job = Job(config, config.algorithms[0], SEED, describe(config.recipe).with_packing())
    scene = Scene(folder, job.algorithm, shape(job), random.Random(0))
    with scene.surroundings:
        scene.over(scene.start(), 0)
    return Stage(folder, job, scene.results())


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
        if scene.was_in_time:
            return [result]
    return [replace(result, survived=False, note=f"it never struck in time in {ATTEMPTS} attempts: {result.note}")]


def _strike(scene: Scene, stage: Stage, kind: str) -> Struck:
    environment = stage.job.environment.name
    with scene.surroundings:
        try:
            KINDS[kind](scene)
        except Exception as error:  # whatever it is, it is this fault's row and not the table's end
            note = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_NOTE]
            return Struck(kind, environment, scene, False, False, note)
        hashes = scene.results()
    different = sorted(name for name in stage.hashes if hashes.get(name) != stage.hashes[name])
    note = f"different: {', '.join(different)}" if different else ""
    return Struck(kind, environment, scene, True, not different, note)
