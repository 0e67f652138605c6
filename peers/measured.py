"""What every peer reports, in the same way: one JSON line at its end.

A clock's values are those of `time.monotonic`, which all processes of a machine share.
"""

import argparse
import hashlib
import json
import time
from collections import deque
from dataclasses import dataclass, field
from importlib.metadata import version

EPISODES, THRESHOLD = 100, 475.0


@dataclass
class Measured:
    """Watches the training episodes of one run."""

    libraries: tuple[str, ...]
    deadline: float
    """The clock's value at which to give up."""
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=EPISODES))
    solved_at: float | None = None
    steps_to_solve: int | None = None
    started: float | None = None
    started_steps: int = 0

    def start(self, env_steps: int = 0) -> None:
        """From here on throughput is measured: imports, and compilation where there is one, are done."""
        self.started, self.started_steps = time.monotonic(), env_steps

    def episode(self, value: float, env_steps: int, clock: float | None = None) -> bool:
        """An episode ended with return `value`, `env_steps` into training; True if training may end."""
        self.recent.append(value)
        if self.solved_at is None and len(self.recent) == EPISODES and sum(self.recent) >= THRESHOLD * EPISODES:
            self.solved_at, self.steps_to_solve = clock or time.monotonic(), env_steps
        return self.solved_at is not None or time.monotonic() > self.deadline

    def report(self, env_steps: int, parameters: bytes, rate: float | None = None) -> None:
        """Print what was measured; `rate` where the program knows its own better."""
        assert self.started is not None
        print(
            json.dumps(
                {
                    "solved_at": self.solved_at,
                    "steps_to_solve": self.steps_to_solve,
                    "env_steps": env_steps,
                    "rate": rate or (env_steps - self.started_steps) / (time.monotonic() - self.started),
                    "sha256": hashlib.sha256(parameters).hexdigest(),
                    "versions": {name: version(name) for name in self.libraries},
                }
            )
        )


def arguments(*choices: str) -> argparse.Namespace:
    """The command line of a peer: one of `choices`, the seed, and the clock's value at which to give up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("variant", choices=choices)
    parser.add_argument("seed", type=int)
    parser.add_argument("deadline", type=float)
    return parser.parse_args()
