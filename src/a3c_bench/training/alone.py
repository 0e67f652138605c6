"""The `ordered` schedule by its definition, in one process and without any sharing."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from a3c_bench.arrays import Floats
from a3c_bench.learning.optimizer import Adam
from a3c_bench.training.worker import Job


class Turn(NamedTuple):
    """What a turn added, and the model after it."""

    env_steps: int
    episodes: NDArray[np.void]
    """The training episodes (`FINISHED`) that ended in its rollout: told with the first turn that learns from it."""
    model: Floats


def turns(job: Job) -> Iterator[Turn]:
    """Train turn by turn: all workers of the pool together compute this, to the last bit."""
    settings, environment = job.settings, job.environment
    model = settings.initial_parameters(environment, job.seed)
    snapshots = np.tile(model, (settings.actors, 1))
    make = settings.actor_maker(environment, job.seed)
    actors = [make(index, snapshot) for index, snapshot in enumerate(snapshots)]
    optimizers = [Adam.fresh(settings.architecture(environment).layout.size) for _ in actors]
    if settings.adam_statistics == "shared":
        optimizers = [optimizers[0]] * len(actors)
    normalisation = settings.normalisation(environment)
    handed_in = np.empty(model.size, np.float32)
    for update in range(settings.updates):
        for actor, optimizer, snapshot in zip(actors, optimizers, snapshots, strict=True):
            statistics = actor.update(actor.collect(), handed_in)
            optimizer.apply(model, handed_in, settings.learning_rate_of(update))
            normalisation.merge(model, handed_in)
            np.copyto(snapshot, model)
            actor.record()
            yield Turn(statistics.env_steps, actor.finished_episodes(everything=True), model)
