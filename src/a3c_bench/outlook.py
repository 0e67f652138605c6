"""What can be said of a run before it begins: which params nobody can want, and how long it will take."""

import csv
import math
import sysconfig
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from a3c_bench.config import ENVIRONMENT, Config
from a3c_bench.environments.make import EnvironmentInfo, describe
from a3c_bench.errors import BadInputError
from a3c_bench.machine import cores, fingerprint
from a3c_bench.params import PARAMS_FILE, read_plain, read_yaml
from a3c_bench.results.cells import evaluated
from a3c_bench.results.checkpoints import own_places
from a3c_bench.results.files import MACHINE, PROFILE, read_json, train_folder
from a3c_bench.stages.profile import fixed_work, grid, most_work
from a3c_bench.suite import Suite
from a3c_bench.training.alone import turns
from a3c_bench.training.head import asked, require_hosts
from a3c_bench.training.needs import require_room
from a3c_bench.training.worker import Job

LOCK, PIPELINE = Path("dvc.lock"), Path("dvc.yaml")
WITH_ALL_SECTIONS = ("profile", "report")
"""Stages that run for all algorithms together."""
UNREADABLE = (BadInputError, OSError, LookupError, ArithmeticError, TypeError, ValueError)
PATIENCE_SECONDS, SUITE_PATIENCE_SECONDS = 1.0, 20.0
LONG_SECONDS = 300.0
ENOUGH_TURNS = 64
"""And at least one rollout of every actor: not every turn has one of its own."""


def require_machine(config: Config) -> None:
    """Raise `BadInputError` where this machine has too little for the trainings, or those of the profile."""
    require_hosts(asked(config), config.algorithms)
    for work in (config, most_work(config)):
        require_room(work, describe(work.recipe), work.algorithms)


def remarks(config: Config) -> Iterator[str]:
    """What of the params nobody can want, or should know of; each names its key."""
    yield from _idle(config)
    yield from _unknown_to_dvc(config)
    busy = min(config.workers, max(config.algorithm(name).actors for name in config.algorithms))
    if busy * config.threads > cores():
        yield f"workers × threads: {busy} × {config.threads} are more than this machine's cores, {cores()}"
    if len(config.seeds) == 1:
        yield "seeds: a single one gives no interval"
    if config.evaluate.episodes == 1:
        yield "evaluate.episodes: a single one says little about a policy"
    if config.profile.repeats == 1:
        yield "profile.repeats: a single one gives no interval"
    if config.schedule == "hogwild":
        yield "schedule: hogwild is not reproducible: every run ends with other bits"
    else:
        yield from describe(config.recipe).warnings


def _idle(config: Config) -> Iterator[str]:
    for name in config.algorithms:
        settings = config.algorithm(name)
        if config.workers > settings.actors:
            idle = f"{config.workers - settings.actors} of {config.workers}"
            yield f"workers: {idle} have nothing to do in {name}, which has {settings.actors} actors"
        if config.threads > 1 and settings.parts == 1:
            yield f"threads: {name} gains nothing from {config.threads}: a rollout of it is learned in one part"


def _unknown_to_dvc(config: Config) -> Iterator[str]:
    """Where `dvc.yaml` has to name an algorithm's section, or its module, and does not."""
    try:
        stages: Any = read_yaml(PIPELINE)["stages"]  # type: ignore[index]
        deps = [Path(path).resolve() for path in stages["train"]["deps"]]
        named = {name: {key for key in stages[name]["params"] if isinstance(key, str)} for name in WITH_ALL_SECTIONS}
    except UNREADABLE:
        return
    for stage, keys in named.items():
        for name in sorted(set(config.algorithms) - keys):
            yield f"{name}: a change of it makes {stage} not run again; name it in the params of {stage} in {PIPELINE}"
        for name in sorted(keys - set(config.sections) - set(type(config).model_fields)):
            yield f"{name}: not in params.yaml, which DVC refuses; take it out of the params of {stage} in {PIPELINE}"
    for key, path in _own_code(config).items():
        if not any(path.is_relative_to(dependency) for dependency in deps):
            yield (
                f"{key}: no stage depends on {path.name}, so a change of it trains nothing again; "
                f"name it in the deps of train, evaluate, film and profile in {PIPELINE}"
            )


def _own_code(config: Config) -> dict[str, Path]:
    """Packages and modules of one's own, by the key of params.yaml that names something in them.

    Those that are installed are left out: nobody edits them where they are.
    """
    installed = sysconfig.get_path("purelib")
    return {
        key if key.partition(".")[0] in ENVIRONMENT else f"{name}.{key}": path
        for name in config.algorithms
        for key, path in own_places(config, config.algorithm(name)).items()
        if not path.is_relative_to(installed)
    }


def estimate(config: Config) -> str:
    """How long a run takes if nothing of it is done yet."""
    environment = describe(config.recipe)
    paces = {name: Pace(config, name, environment, PATIENCE_SECONDS) for name in config.algorithms}
    train = {name: pace.training(config) for name, pace in paces.items()}
    profile = profile_time(config, paces)
    total = sum(train.values(), Span(0, 0)) * len(config.seeds) + profile
    if math.isnan(total.high):
        return f"time: cannot be estimated: the first updates fail, or take more than {PATIENCE_SECONDS:g} s"
    parts = ", ".join(f"{name} {len(config.seeds)} × {span}" for name, span in train.items())
    basis = "timed now" if any(pace.was_timed for pace in paces.values()) else f"by {PROFILE}"
    return (
        f"time: about {total} from nothing, an estimate ({basis}): train {parts}, profile {profile}; "
        "evaluate, film, report and the start of every stage come on top; what is there already is not made again"
        + (
            "; profile.repeats: 1 shortens the profile"
            if profile.high > LONG_SECONDS and config.profile.repeats > 1
            else ""
        )
    )


def suite_estimates(suite: Suite) -> Iterator[str]:
    """How many cells of every environment are left, and how long they take: a line for each, and one for all."""
    total = Span(0, 0)
    for name in suite.environments:
        try:
            config = suite.config(name)
            environment = describe(config.recipe)
        except BadInputError as error:
            yield f"{name}: its cells will fail: {error}"
            continue
        cells = [cell for cell in suite.cells() if cell.environment == name]
        left = [cell.algorithm for cell in cells if not evaluated(cell).exists()]
        spans = {
            one: Pace(config, one, environment, SUITE_PATIENCE_SECONDS).training(config) for one in dict.fromkeys(left)
        }
        span = sum((spans[one] for one in left), Span(0, 0))
        total += span
        yield f"{name}: {len(cells)} cells, {len(left)} not there yet" + (f", about {_known(span)}" if left else "")
    yield f"time: about {_known(total)} of training, timed now; what changed params or code make anew comes on top"


def _known(span: "Span") -> str:
    return "an unknown time" if math.isnan(span.high) else str(span)


def profile_time(config: Config, paces: dict[str, "Pace"]) -> "Span":
    """How long the profile takes; the textbook loop apart."""
    work = fixed_work(config)
    spans = [
        paces[point.algorithm].training(
            work.changed(schedule=point.schedule, workers=point.workers, threads=point.threads)
        )
        for point in grid(config)
        if point.algorithm in paces
    ]
    return sum(spans, Span(0, 0)) * (config.profile.repeats + 1)


@dataclass(frozen=True)
class Span:
    """A time that is known between two limits, in seconds."""

    low: float
    high: float

    def __add__(self, other: "Span") -> "Span":
        return Span(self.low + other.low, self.high + other.high)

    def __mul__(self, factor: float) -> "Span":
        return Span(self.low * factor, self.high * factor)

    def __str__(self) -> str:
        low, high = duration(self.low), duration(self.high)
        return low if low == high else f"{low} to {high}"


class Pace:
    """How fast an algorithm trains: as the last pipeline measured it, or else as its first turns are now.

    Rollouts that are episodes grow longer while it learns: unless a training is there that tells, they last until the
    time limit at most.
    """

    def __init__(self, config: Config, algorithm: str, environment: EnvironmentInfo, patience: float) -> None:
        """patience: seconds that timing may take."""
        self._patience = patience
        self._job = Job(config, algorithm, config.seeds[0], environment)
        self._rates = measured_rates(config, algorithm)
        self._steps = measured_steps(config, algorithm)

    def training(self, config: Config) -> Span:
        """How long a training takes under `config`; NaN where nothing tells."""
        settings, point = config.algorithm(self._job.algorithm), (config.schedule, config.workers, config.threads)
        rate = self._rates.get(point)
        if rate is None:
            rate = self._timed.steps / self._timed.seconds * min(config.workers, settings.actors, cores())
        low = self._timed.steps if self._steps is None else self._steps
        longest = settings.longest_rollout(self._job.environment) / settings.updates_per_rollout
        high = low if self._steps is not None else max(low, longest)
        return Span(low, high) * (settings.turns / rate)

    @property
    def was_timed(self) -> bool:
        """Whether something of it was not measured before."""
        return "_timed" in vars(self)

    @cached_property
    def _timed(self) -> "Timed":
        return time_turns(self._job, self._patience)


class Timed(NamedTuple):
    """Env steps and seconds of a turn, in one process."""

    steps: float
    seconds: float


def time_turns(job: Job, patience: float) -> Timed:
    """The mean of the first turns; NaN where too few are done within so many seconds.

    Two are enough where all are alike; where a rollout is learned from in several turns, it takes one of every actor.
    In a thread, which is left behind where it is too slow: the command ends soon, and the thread with it.
    """
    done: list[tuple[float, int]] = []
    enough, updates = threading.Event(), job.settings.updates_per_rollout
    of_all_actors = job.settings.actors * updates
    least, most = 1 if updates == 1 else of_all_actors, max(ENOUGH_TURNS, of_all_actors)

    def train() -> None:
        # Whatever is wrong with it, training tells.
        with suppress(Exception), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            for turn in turns(job):
                done.append((time.perf_counter(), turn.env_steps))
                if enough.is_set() or len(done) > most:
                    return

    thread = threading.Thread(target=train, daemon=True)
    thread.start()
    thread.join(patience)
    enough.set()
    if len(done) <= least:
        return Timed(math.nan, math.nan)
    (start, _), *later = done
    return Timed(sum(steps for _, steps in later) / len(later), (later[-1][0] - start) / len(later))


def measured_rates(config: Config, algorithm: str) -> dict[tuple[str, int, int], float]:
    """Env steps per second by (schedule, workers, threads); empty unless it was this machine, with such params."""
    apart = {"libraries": None}
    try:
        here = {**read_json(MACHINE), **apart} == {**fingerprint(), **apart}
        if not here or not ran_under("profile", config, algorithm):
            return {}
        rows = csv.DictReader(read_plain(PROFILE / "points.csv").decode().splitlines())
        return {
            (row["schedule"], int(row["workers"]), int(row["threads"])): float(row["env_steps_per_second"])
            for row in rows
            if row["algorithm"] == algorithm
        }
    except UNREADABLE:
        return {}


def measured_steps(config: Config, algorithm: str) -> float | None:
    """Env steps of a turn, over a whole training; None unless one is there that was under such params."""
    seed = config.seeds[0]
    try:
        if not ran_under(f"train@{algorithm}-{seed}", config, algorithm):
            return None
        metrics = read_json(train_folder(algorithm, seed) / "metrics.json")
        return float(metrics["env_steps"] / metrics["turns"])
    except UNREADABLE:
        return None


def ran_under(stage: str, config: Config, algorithm: str) -> bool:
    """Whether the last run of a stage was under all params that an algorithm's speed depends on."""
    lock: Any = read_yaml(LOCK)
    before = lock["stages"][stage]["params"][str(PARAMS_FILE)]
    settings = config.algorithm(algorithm).model_dump(mode="json")
    now = {**{key: config.params()[key] for key in ENVIRONMENT}, algorithm: settings}
    return {key: before.get(key) for key in now} == now


def duration(seconds: float) -> str:
    """So many seconds, minutes or hours, in words."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 90 * 60 else f"{seconds / 3600:,.0f} hours"
