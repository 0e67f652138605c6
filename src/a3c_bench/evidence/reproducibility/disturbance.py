"""What disturbs the workers of a trial: it notes when each gradient became ready, and holds gradients up at random."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from a3c_bench.training.worker import HoldUp

DELAYED_SHARE = 0.2
MEAN_DELAY_SECONDS = 0.003


@dataclass(frozen=True)
class Disturbance:
    """Leaves in `folder` the times at which the workers' gradients became ready."""

    folder: Path
    delayed: bool = False
    """Some gradients are held up at random."""
    slow: int | None = None
    """The worker that is held up at every gradient."""

    @contextmanager
    def __call__(self, worker: int) -> Iterator[HoldUp]:
        """In a worker, by its number."""
        ready: list[tuple[float, int, int]] = []
        share = 1.0 if worker == self.slow else DELAYED_SHARE if self.delayed else 0.0
        # Seeded by the operating system: every run is held up differently.
        chance = random.SystemRandom()

        def hold_up(actor: int, update: int) -> None:
            if chance.random() < share:
                time.sleep(chance.expovariate(1 / MEAN_DELAY_SECONDS))
            ready.append((time.perf_counter(), update, actor))

        yield hold_up
        np.save(self.folder / f"{worker}.npy", np.array(ready))


def ready_order(folder: Path, actors: int) -> list[int]:
    """Turns (update × actors + actor), in the order in which the workers' gradients became ready."""
    times, update, actor = np.concatenate([np.load(path) for path in sorted(folder.glob("*.npy"))]).T
    turns = (update * actors + actor).astype(np.int64)
    order: list[int] = turns[np.argsort(times, kind="stable")].tolist()
    return order
