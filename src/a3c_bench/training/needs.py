"""What a training needs of the machine, held against what there is, before any work."""

import resource
from collections.abc import Iterator, Sequence
from pathlib import Path

from a3c_bench.algorithms.base import Settings
from a3c_bench.config import Config
from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.errors import BadInputError
from a3c_bench.machine import available_memory
from a3c_bench.training.exchange.memory import TURN, Shape

DIGESTS = 20
PROCESS_BYTES = 16 * 2**20
"""Of a worker: the least that it does not share with the server it is forked from."""
CHECKPOINTS = 3
"""Copies that the main process has at most: the last one, the one that is being written, and the file's content."""
DESCRIPTORS, DESCRIPTORS_PER_WORKER = 32, 4
"""Open files of the main process: its own, and what it has of each worker."""
DECIDING = ("hidden", "critic_hidden", "actors", "envs", "rollout_steps")
"""The keys that decide how much memory a training needs, of the algorithms that have them."""


def require_room(config: Config, environment: EnvironmentInfo, algorithms: Sequence[str]) -> None:
    """Raise `BadInputError` where this machine has too little for a training of one of `algorithms`."""
    sections = {name: config.algorithm(name) for name in algorithms}
    _require_descriptors(config, max(settings.actors for settings in sections.values()))
    there = available_memory()
    for name, settings in sections.items():
        needed = memory(settings, config.workers, environment, config.hosts)
        if needed > there:
            values = ", ".join(f"{key} {value}" for key, value in _deciding(settings))
            raise BadInputError(
                f"{name}: with {values} and workers {config.workers} a training needs {_gibibytes(needed)} of memory, "
                f"and {_gibibytes(there)} are available here; smaller values need less"
            )


def memory(settings: Settings, workers: int, environment: EnvironmentInfo, hosts: int = 1) -> int:
    """Bytes that a training takes, at least: what environments take of their own is not known."""
    workers = min(workers, settings.actors)
    sizes = shape(settings, environment, hosts=hosts)
    copied = 1 + sizes.actors + 2 * sizes.adam_statistics + sizes.digests
    checkpoint = copied * sizes.parameters * 4 + sizes.turns * TURN.itemsize
    buffers = settings.buffer_bytes(environment, workers)
    return sizes.offsets()[1] + CHECKPOINTS * checkpoint + buffers + (1 + workers) * PROCESS_BYTES


def shape(settings: Settings, environment: EnvironmentInfo, parcel_bytes: int = 0, hosts: int = 1) -> Shape:
    """The sizes of a training's shared memory."""
    sets = settings.actors if settings.adam_statistics == "own" else 1
    parameters = settings.layout(environment).size
    normalisation = settings.normalisation(environment)
    return Shape(parameters, settings.actors, settings.updates, sets, DIGESTS, normalisation, parcel_bytes, hosts)


def _require_descriptors(config: Config, actors: int) -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    already = len(list(Path("/proc/self/fd").iterdir()))
    needed = already + DESCRIPTORS + min(config.workers, actors) * DESCRIPTORS_PER_WORKER
    if limit != resource.RLIM_INFINITY and needed > limit:
        raise BadInputError(
            f"workers: {config.workers} is not allowed here: they need {needed} open files, and this process may have "
            f"{limit}; use fewer workers, or raise the limit with `ulimit -n`"
        )


def _deciding(settings: Settings) -> Iterator[tuple[str, object]]:
    for key in DECIDING:
        value = getattr(settings, key, None)
        if value is not None:
            yield key, list(value) if isinstance(value, tuple) else value


def _gibibytes(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"
