"""The `ordered` schedule by its definition, in one process and without any sharing."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from a3c_bench.algorithms.actor import actor_maker, initial_parameters, make_layout
from a3c_bench.arrays import Floats
from a3c_bench.learning.optimizer import Adam
from a3c_bench.training.worker import Job


class Turn(NamedTuple):
    """What a turn added, and the model after it."""

    env_steps: int
    episodes: NDArray[np.void]
    """The training episodes (`FINISHED`) that ended in its rollout."""
    model: Floats


def turns(job: Job) -> Iterator[Turn]:
    """Train turn by turn: all workers of the pool together compute this, to the last bit."""
    settings = job.config.algorithm(job.algorithm)
    layout = make_layout(settings, job.environment)
    model = initial_parameters(settings, layout, job.seed)
    snapshots = np.tile(model, (settings.actors, 1))
    make = actor_maker(job.config, job.algorithm, job.environment, job.seed)
    actors = [make(index, snapshot) for index, snapshot in enumerate(snapshots)]
    optimizers = [Adam.fresh(layout.size) for _ in actors]
    if settings.adam_statistics == "shared":
        optimizers = [optimizers[0]] * len(actors)
    gradient = np.empty(layout.size, np.float32)
    for rollout in range(settings.rollouts):
        for actor, optimizer, snapshot in zip(actors, optimizers, snapshots, strict=True):
            statistics = actor.learn(actor.collect(), gradient)  # type: ignore[arg-type]
            optimizer.apply(model, gradient, job.learning_rate(rollout))
            np.copyto(snapshot, model)
            actor.record()
            yield Turn(statistics.env_steps, actor.finished_episodes(everything=True), model)
