"""What is done to workers on purpose; they import this module to do it."""

import os
import signal
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from a3c_bench.learning.optimizer import Adam


def nothing(actor, update):
    pass


@dataclass(frozen=True)
class Modules:
    """Leaves in `folder`, for every worker, the names of the modules that it had loaded at its end."""

    folder: Path

    @contextmanager
    def __call__(self, worker):
        yield nothing
        (self.folder / f"{worker}.txt").write_text("\n".join(sys.modules))


@dataclass(frozen=True)
class DeathInATurn:
    """Kills the worker that takes an optimizer's step of this number, when half the model is changed; only once."""

    folder: Path
    step: int

    def __call__(self, worker):
        apply = Adam.apply

        def torn(adam, parameters, gradient, learning_rate):
            if int(adam._count[0]) + 1 == self.step and self._is_the_first():
                parameters[: parameters.size // 2] = 0
                os.kill(os.getpid(), signal.SIGKILL)
            apply(adam, parameters, gradient, learning_rate)

        Adam.apply = torn
        return nullcontext(nothing)

    def _is_the_first(self):
        try:
            (self.folder / "died").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True
