"""What a person sees while a stage runs."""

import time
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

LINE_SECONDS = 10.0


class Progress:
    """A bar on a terminal; elsewhere a plain line every ten seconds."""

    def __init__(self, title: str, total: int) -> None:
        self._title, self._total = title, total
        self._console = Console(stderr=True)
        self._start = time.monotonic()
        self._next_line = self._start + LINE_SECONDS
        self._mean_return = float("nan")
        self._first_env_steps: int | None = None
        """Those of a training that goes on from a checkpoint were not taken now."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} % · {task.fields[status]} ·"),
            TimeRemainingColumn(),
        )
        self._bars = Bars(*columns, console=self._console, disable=not self._console.is_terminal, transient=True)
        self._task = self._bars.add_task(title, total=total, status="starting")

    def __enter__(self) -> "Progress":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, turn: int, env_steps: int, returns: NDArray[np.float64]) -> None:
        """Show how far training is; the pool calls this a few times a second."""
        if len(returns):
            self._mean_return = float(np.mean(returns[-100:]))
        if self._first_env_steps is None:
            self._first_env_steps = env_steps
        rate = (env_steps - self._first_env_steps) / max(time.monotonic() - self._start, 1e-9)
        self.show(turn, f"{env_steps:,} env steps · {rate:,.0f} steps/s · recent return {self._mean_return:.0f}")

    def show(self, completed: int, status: str) -> None:
        """Show `completed` of the total, and `status`."""
        self._bars.update(self._task, completed=completed, status=status)
        if not self._console.is_terminal and time.monotonic() >= self._next_line:
            self._next_line += LINE_SECONDS
            print(f"{self._title}: {100 * completed // self._total} % · {status}", flush=True)
