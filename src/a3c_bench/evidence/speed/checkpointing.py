"""What a checkpoint costs: a training that takes and writes one in every slice, beside one that takes none."""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from a3c_bench.arrays import Doubles
from a3c_bench.config import Config
from a3c_bench.evidence.speed.in_turns import SLICE_SECONDS, rates_in_turns, training
from a3c_bench.results.checkpoints import SUFFIX, identity, write
from a3c_bench.training.checkpoint import ask, complete
from a3c_bench.training.pool import Pool

POLL_SECONDS = 0.002
SEED = 0


class Cost(NamedTuple):
    """Env steps per second (slices, 2), with checkpoints and without; and how many checkpoints a second there were."""

    rates: Doubles
    per_second: float


class Saver:
    """Takes and writes a checkpoint in every slice; one that is not complete by its end is written in the next."""

    def __init__(self, config: Config, algorithm: str, folder: Path) -> None:
        self._path, self._about = folder / f"one{SUFFIX}", identity(config, algorithm, SEED)
        self._asked = False
        self.written = 0

    def __call__(self, pool: Pool, seconds: float) -> None:
        """Do so, for so many seconds."""
        end = time.perf_counter() + seconds
        if not self._asked:
            ask(pool.tables)
            self._asked = True
        while self._asked and time.perf_counter() < end:
            if complete(pool.tables):
                pool.take_checkpoint()
                assert pool.checkpoint is not None
                write(self._path, pool.checkpoint, self._about)
                self._asked, self.written = False, self.written + 1
            else:
                time.sleep(POLL_SECONDS)
        time.sleep(max(0.0, end - time.perf_counter()))


def measure(config: Config, algorithm: str, slices: int) -> Cost:
    """Measure in turns."""
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder, ExitStack() as stack:
        saver = Saver(config, algorithm, Path(folder))
        contestants = [
            stack.enter_context(training(config, algorithm, saver)),
            stack.enter_context(training(config, algorithm)),
        ]
        rates = rates_in_turns(contestants, slices)
        return Cost(rates, saver.written / (slices * SLICE_SECONDS))
