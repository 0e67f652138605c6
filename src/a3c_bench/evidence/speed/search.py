"""The search for default hyper-parameters: the shortest time to the reward threshold, on every seed.

Successive halving (Jamieson and Talwalkar, "Non-stochastic Best Arm Identification", AISTATS 2016): candidates drawn
from `RANGES` are trained on a few seeds, the better part of them on more. None of the seeds is a published one.
A candidate's time is its env steps to the threshold × the seconds that a row of its shape takes. Those are measured
first, all shapes in turns: a machine whose speed changes favours nobody.
"""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from a3c_bench.config import Config, parse_config
from a3c_bench.environments.make import EnvironmentInfo, describe
from a3c_bench.errors import BadInputError
from a3c_bench.machine import cores
from a3c_bench.processes import process_context
from a3c_bench.progress import Progress
from a3c_bench.results.files import SEARCH, csv_bytes, write_all
from a3c_bench.seeding import Role, stream
from a3c_bench.stats import WINDOW
from a3c_bench.training.alone import turns
from a3c_bench.training.worker import Job

RANGES: Mapping[str, Sequence[Any]] = {
    "actors": (8,),
    "envs": (128,),
    "rollout_steps": (3, 4, 5),
    "hidden": ([64],),
    "total_steps": (1_000_000, 1_500_000, 2_000_000, 3_000_000),
    "learning_rate": (4e-3, 6e-3, 8e-3, 1.2e-2, 1.6e-2, 2.4e-2),
    "gamma": (0.98, 0.99),
    "gae_lambda": (0.8, 0.9, 0.95),
    "value_weight": (0.25, 0.5, 1.0),
    "entropy_weight": (0.0, 0.001),
    "max_gradient_norm": (0.5, 1.0),
    "normalize_advantages": (False,),
    "adam_statistics": ("shared",),
}
"""What four searches left of wider ranges: 4 or 8 actors, 16 – 256 environments, rollouts of 4 – 16 steps, one or two
layers of 32 – 128 units, budgets of 0.5 – 2 million, learning rates of 0.0005 – 0.016, γ of 0.97 – 0.99, λ of
0.7 – 0.95, value weights to 1, entropy weights to 0.01, gradient norms to 5, advantages normalised or not, own or
shared Adam statistics. None of the best had own statistics, normalised advantages or two layers. Eight actors stay,
though four need fewer env steps: so many workers have something to do, and seldom wait for one another. So do 128
environments: 64 need half the env steps, and as much time, at 0.6 of the throughput."""
FIRST_SEED = 1000
SHOWN = 10
ROW_TIMINGS = 40
LOST = 3.0
"""A seed that does not reach the threshold counts as so many budgets."""


class Rung(NamedTuple):
    """A round of the search."""

    candidates: int
    seeds: int
    """Of each candidate, those of the rounds before included."""


RUNGS = (Rung(96, 2), Rung(32, 6), Rung(8, 40))


class Measured(Protocol):
    """Hyper-parameters, what was measured of them on every seed so far, and their score: the lowest is the best."""

    values: Mapping[str, Any]
    measured: list[float]

    @property
    def score(self) -> float:
        """Over those seeds."""


Tried = TypeVar("Tried", bound=Measured)


@dataclass
class Candidate:
    """Hyper-parameters, and the env steps to the threshold on every seed tried so far (infinite: not reached)."""

    values: Mapping[str, Any]
    row_seconds: float
    """One worker's time per row, acting and learning together."""
    measured: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        """Time to the threshold, by seed."""
        return [self.row_seconds * min(steps, LOST * self.values["total_steps"]) for steps in self.measured]

    @property
    def score(self) -> float:
        """Mean time to the threshold: of two equally fast ones the more reliable."""
        return float(np.mean(self.seconds)) if self.measured else 0.0


def run(config: Config, rungs: Sequence[Rung] = RUNGS) -> None:
    """Search, and write the best candidates, the current params' among them."""
    environment = describe(config.recipe)
    if environment.reward_threshold is None:
        raise BadInputError(f"env: {config.env!r} has no reward threshold to search by; allowed: one that has")
    candidates = draw(config, environment, rungs[0].candidates)
    best = halve(config, environment, candidates, rungs, steps_to_solve)[:SHOWN]
    write_all({SEARCH: table(best)})
    print(SEARCH.read_text(), end="")


def halve(
    config: Config,
    environment: EnvironmentInfo,
    candidates: Sequence[Tried],
    rungs: Sequence[Rung],
    measure: Callable[[Job], float],
) -> list[Tried]:
    """Measure candidates on more and more seeds, the better ones of every round only; the best are first."""
    seeds = [0, *(rung.seeds for rung in rungs)]
    trainings = sum(rung.candidates * (rung.seeds - done) for rung, done in zip(rungs, seeds, strict=False))
    with Progress("search", trainings) as progress, ProcessPoolExecutor(cores(), process_context()) as processes:
        counter = itertools.count(1)
        for rung in rungs:
            candidates = sorted(candidates, key=lambda candidate: candidate.score)[: rung.candidates]
            tasks = [(one, seed) for one in candidates for seed in range(len(one.measured), rung.seeds)]
            jobs = (job(config, environment, candidate.values, FIRST_SEED + seed) for candidate, seed in tasks)
            for (candidate, _), value in zip(tasks, processes.map(measure, jobs), strict=True):
                candidate.measured.append(value)
                progress.show(next(counter), f"{rung.candidates} candidates, {rung.seeds} seeds each")
    return sorted(candidates, key=lambda candidate: candidate.score)


def draw(config: Config, environment: EnvironmentInfo, count: int) -> list[Candidate]:
    """The current params and candidates drawn from `RANGES`, `count` in all, with the time that a row takes them."""
    generator = stream(FIRST_SEED, Role.SEARCH)
    name = config.algorithms[0]
    current = config.algorithm(name).model_dump(mode="json")
    if not RANGES.keys() <= current.keys():
        raise BadInputError(f"{name}: has not the keys to search ({', '.join(RANGES)}); list one first that has")
    drawn = [{name: current[name] for name in RANGES}]
    while len(drawn) < count:
        drawn.append({name: values[int(generator.integers(len(values)))] for name, values in RANGES.items()})
    shapes = {_shape(values): values for values in drawn}
    seconds = time_in_turns([turns(job(config, environment, values, FIRST_SEED)) for values in shapes.values()])
    row_seconds = {
        shape: time / (values["envs"] * values["rollout_steps"])
        for (shape, values), time in zip(shapes.items(), seconds, strict=True)
    }
    return [Candidate(values, row_seconds[_shape(values)]) for values in drawn]


def _shape(values: Mapping[str, Any]) -> tuple[int, int, tuple[int, ...]]:
    """What the time of a row depends on."""
    return values["envs"], values["rollout_steps"], tuple(values["hidden"])


def job(config: Config, environment: EnvironmentInfo, values: Mapping[str, Any], seed: int) -> Job:
    """A training with `values` in the place of the params of the first algorithm."""
    name, content = config.algorithms[0], config.params()
    content[name] |= values
    return Job(parse_config(content), name, seed, environment)


def time_in_turns(trainings: Sequence[Iterable[object]]) -> list[float]:
    """The median seconds of a turn of each training."""
    seconds = np.empty((ROW_TIMINGS, len(trainings)))
    iterators = [iter(training) for training in trainings]
    for timing, index in np.ndindex(seconds.shape):
        start = time.perf_counter()
        next(iterators[index])
        seconds[timing, index] = time.perf_counter() - start
    return [float(median) for median in np.median(seconds, axis=0)]


def steps_to_solve(training: Job) -> float:
    """Env steps until the mean return of the last episodes reaches the threshold; infinite where it does not."""
    returns: deque[float] = deque(maxlen=WINDOW)
    env_steps = 0
    threshold = training.environment.reward_threshold
    assert threshold is not None
    for turn in turns(training):
        env_steps += turn.env_steps
        for value in turn.episodes["return"].tolist():
            returns.append(value)
            if len(returns) == WINDOW and sum(returns) >= threshold * WINDOW:
                return env_steps
    return float("inf")


def table(candidates: Iterable[Candidate]) -> bytes:
    """The candidates as CSV, the best first."""
    figures: Mapping[str, Callable[[Candidate], Any]] = {
        "seeds": lambda candidate: len(candidate.measured),
        "solved": lambda candidate: int(np.count_nonzero(np.isfinite(candidate.measured))),
        "median_steps": lambda candidate: float(np.median(candidate.measured)),
        "most_steps": lambda candidate: max(candidate.measured),
        "row_microseconds": lambda candidate: candidate.row_seconds * 1e6,
        "median_seconds": lambda candidate: float(np.median(candidate.seconds)),
        "mean_seconds": lambda candidate: candidate.score,
    }
    rows = (
        [*candidate.values.values(), *(figure(candidate) for figure in figures.values())] for candidate in candidates
    )
    return csv_bytes([*RANGES, *figures], rows)
