"""Runs in the workers of a trial: notes when each gradient became ready, and holds gradients up at random."""

import random
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from a3c_bench.algorithms.actor import Statistics
from a3c_bench.training import worker as product
from a3c_bench.training.exchange.memory import Bell, SharedTables
from a3c_bench.training.turns import Hogwild, Ordered

DELAYED_SHARE = 0.2
MEAN_DELAY_SECONDS = 0.003

Submit = Callable[[Any, int, int, Statistics], None]


def run_worker(
    job: product.Job,
    worker: int,
    tables: SharedTables,
    bells: Sequence[Bell],
    channel: Connection,
    folder: str,
    delayed: bool = False,
    slow: int | None = None,
) -> None:
    """The product's worker; leaves in `folder` the times at which its gradients became ready.

    delayed: some gradients are held up at random. slow: the worker that is held up at every gradient.
    """
    ready: list[tuple[float, int, int]] = []
    share = 1.0 if worker == slow else DELAYED_SHARE if delayed else 0.0
    for schedule in (Ordered, Hogwild):
        schedule.submit = _watched(schedule.submit, ready, share)  # type: ignore[method-assign, assignment]
    product.run_worker(job, worker, tables, bells, channel)
    np.save(Path(folder) / f"{worker}.npy", np.array(ready))


def ready_order(folder: Path, actors: int) -> list[int]:
    """Turns (rollout × actors + actor), in the order in which the workers' gradients became ready."""
    times, rollout, actor = np.concatenate([np.load(path) for path in sorted(folder.glob("*.npy"))]).T
    turns = (rollout * actors + actor).astype(np.int64)
    order: list[int] = turns[np.argsort(times, kind="stable")].tolist()
    return order


def _watched(submit: Submit, ready: list[tuple[float, int, int]], delayed_share: float) -> Submit:
    # Seeded by the operating system: every run is held up differently.
    chance = random.SystemRandom()

    def watched(schedule: Any, actor: int, rollout: int, statistics: Statistics) -> None:
        if chance.random() < delayed_share:
            time.sleep(chance.expovariate(1 / MEAN_DELAY_SECONDS))
        ready.append((time.perf_counter(), rollout, actor))
        submit(schedule, actor, rollout, statistics)

    return watched
