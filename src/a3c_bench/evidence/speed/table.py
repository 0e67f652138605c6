"""The figures of speed, each a ratio measured in one run: what `make speed` prints and writes."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass, fields, replace

import numpy as np
from rich.console import Console
from rich.table import Table

from a3c_bench import textbook
from a3c_bench.arrays import Doubles
from a3c_bench.config import Config
from a3c_bench.environments.make import EnvironmentInfo, describe
from a3c_bench.errors import BadInputError
from a3c_bench.evidence.speed import around, checkpointing, floor, whole_run, yardstick
from a3c_bench.evidence.speed.in_turns import counting, rates_in_turns, training
from a3c_bench.progress import Progress
from a3c_bench.repository import last_commit
from a3c_bench.results.about import about_bytes
from a3c_bench.results.files import SPEED, SPEED_ABOUT, csv_bytes, write_all
from a3c_bench.stats import bootstrap, ratio_of_means

SLICES = 150
PROCESSES = 2
"""Of the textbook loop, and workers beside it."""


@dataclass(frozen=True)
class Figure:
    """A ratio of two rates (env steps per second), its 95 % interval, and what it is to be at least."""

    algorithm: str
    what: str
    ratio: float
    low: float | None
    high: float | None
    rate: float
    base_rate: float
    samples: int
    target: float | None


def run(config: Config, slices: int = SLICES) -> None:
    """Measure, print and write the figures for every algorithm of the params."""
    environment = describe(config.recipe)
    if not environment.is_plain:
        raise BadInputError(
            f"env: {config.env!r} cannot be played by the textbook loop, beside which speed is measured; allowed: one "
            "that its name alone makes, with rows of numbers and one choice, counted from 0"
        )
    found: list[Figure] = []
    algorithms = list(with_floor(config))
    whole_runs = sum(bool(config.algorithm(algorithm).textbook_episodes) for algorithm in algorithms)
    with Progress("speed", (slices + 1) * len(algorithms) + whole_runs + 1) as progress:
        counter = itertools.count(1)
        for algorithm in algorithms:
            rates = in_turns(
                config,
                algorithm,
                environment,
                slices,
                lambda done, name=algorithm: progress.show(next(counter), f"{name}, slice {done}"),  # type: ignore[misc]
            )
            found += compare(algorithm, rates, config.algorithm(algorithm).TIMES_TEXTBOOK)
            progress.show(next(counter), f"{algorithm}, checkpoints")
            found.append(saved(algorithm, checkpointing.measure(with_workers(config, PROCESSES), algorithm, slices)))
            if config.algorithm(algorithm).textbook_episodes:
                progress.show(next(counter), "a whole textbook run, the longest part")
                run = whole_run.compare(with_workers(config, PROCESSES), algorithm, environment, PROCESSES)
                found.append(whole(algorithm, run))
        progress.show(next(counter), "what is around training")
        first = config.algorithms[0]
        tracked, bare = around.measure(first).T
        found.append(figure(first, "training with MLflow and progress ÷ bare", tracked, bare, 0.98))
    speed = csv_bytes([field.name for field in fields(Figure)], map(astuple, found))
    write_all({SPEED: speed, SPEED_ABOUT: about_bytes(config.env, config.params(), last_commit())})
    show(found)


def with_floor(config: Config) -> Iterator[str]:
    """The algorithms that can be measured; says why the others cannot."""
    for algorithm in config.algorithms:
        try:
            floor.make_floor(config, algorithm)
        except BadInputError as error:
            print(f"{algorithm} is left out: {error}")
        else:
            yield algorithm


def with_workers(config: Config, workers: int) -> Config:
    """The params with so many workers under `ordered`."""
    return config.model_copy(update={"workers": workers, "schedule": "ordered", "threads": 1})


def in_turns(
    config: Config,
    algorithm: str,
    environment: EnvironmentInfo,
    slices: int,
    progress: Callable[[int], None],
) -> Doubles:
    """Env steps per second (slices, 5): two workers, one, the floor in two processes, in one, the textbook loop."""
    model = textbook.ActorCritic(environment.observation.size, environment.action.sizes[0])
    with ExitStack() as stack:
        contestants = [
            stack.enter_context(training(with_workers(config, workers), algorithm)) for workers in (PROCESSES, 1)
        ]
        contestants += [
            stack.enter_context(counting(floor.work, PROCESSES, config, algorithm)),
            stack.enter_context(counting(floor.work, 1, config, algorithm)),
            stack.enter_context(counting(yardstick.train, PROCESSES, config.env, model.share_memory())),
        ]
        return rates_in_turns(contestants, slices, progress)


def compare(algorithm: str, rates: Doubles, textbook_target: float | None) -> list[Figure]:
    """The ratios of the columns that `in_turns` gives."""
    two, one, alone_twice, alone, loop = rates.T
    return [
        figure(algorithm, f"{PROCESSES} workers ÷ textbook loop, {PROCESSES} processes", two, loop, textbook_target),
        figure(algorithm, "1 worker ÷ floor", one, alone, 0.85),
        figure(algorithm, f"{PROCESSES} workers ÷ 1 worker", two, one, 1.9),
        figure(algorithm, f"{PROCESSES} floors that share nothing ÷ 1: the machine's own limit", alone_twice, alone),
        figure(algorithm, f"{PROCESSES} workers ÷ 1 worker × that limit", two, one * alone_twice / alone, 0.97),
    ]


def figure(algorithm: str, what: str, rates: Doubles, base: Doubles, target: float | None = None) -> Figure:
    """The ratio of the means of rates that were measured in pairs."""
    ratio, interval = ratio_of_means(rates, base)
    low, high = (float(interval.low), float(interval.high)) if interval else (None, None)
    means = float(rates.mean()), float(base.mean())
    return Figure(algorithm, what, ratio, low, high, *means, len(rates), target)


def saved(algorithm: str, cost: checkpointing.Cost) -> Figure:
    """What is left of the rate with one checkpoint a second; more of them were taken, to measure it well."""
    saving, plain = cost.rates.T
    many = figure(algorithm, "training with a checkpoint a second ÷ without", saving, plain, 0.98)

    def one(ratio: float) -> float:
        return 1 - (1 - ratio) / cost.per_second

    low, high = (None if bound is None else one(bound) for bound in (many.low, many.high))
    return replace(many, ratio=one(many.ratio), low=low, high=high)


def whole(algorithm: str, run: whole_run.WholeRun) -> Figure:
    """The ratio over a whole textbook run."""
    interval = bootstrap(run.rates / run.textbook_rate, np.median)
    return Figure(
        algorithm,
        f"a whole textbook run, {PROCESSES} workers ÷ {PROCESSES} processes; "
        f"mean episodes of {run.episode_steps:.0f} and {run.textbook_episode_steps:.0f} env steps",
        float(np.median(run.rates)) / run.textbook_rate,
        float(interval.low) if interval else None,
        float(interval.high) if interval else None,
        float(np.median(run.rates)),
        run.textbook_rate,
        len(run.rates),
        40,
    )


def show(figures: Sequence[Figure]) -> None:
    """Print the table."""
    table = Table("algorithm", "what", "ratio", "95 % interval", "at least", "env steps/s", "÷ env steps/s")
    for figure in figures:
        interval = "–" if figure.low is None else f"[{figure.low:.3g}, {figure.high:.3g}]"
        target = "–" if figure.target is None else f"{figure.target:g}"
        rates = f"{figure.rate:,.0f}", f"{figure.base_rate:,.0f}"
        table.add_row(figure.algorithm, figure.what, f"{figure.ratio:.3g}", interval, target, *rates)
    Console().print(table)
