"""What a person, or a program, sees while a stage runs: a bar, plain lines, JSON lines, or nothing but errors."""

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

LINE_SECONDS = 10.0
JSON_SECONDS = 1.0
Hosts = Sequence[Mapping[str, Any]]
"""Of each its name, how many actors it has, and the share of their time that its workers wait."""
RECENT = 100
"""Episodes whose mean return is shown."""
QUIET, LOG = "A3C_BENCH_QUIET", "A3C_BENCH_LOG"
"""Environment variables, so that they reach the stages that DVC starts."""


def is_quiet() -> bool:
    """Whether nothing but errors is wanted."""
    return os.environ.get(QUIET, "") not in {"", "0"}


def as_json() -> bool:
    """Whether a program reads along."""
    return os.environ.get(LOG) == "json"


def in_words(hosts: Hosts) -> str:
    """For people."""
    return " · ".join(f"{one['name']} {one['actors']} actors, waits {100 * one['waiting']:.0f} %" for one in hosts)


def conclude(title: str, text: str, **figures: Any) -> None:
    """Tell how a stage ended: `text` for people, `figures` for programs."""
    if is_quiet():
        return
    if as_json():
        _print_json({"event": "done", "task": title, **figures})
    else:
        print(text)


def _print_json(content: dict[str, Any]) -> None:
    # JSON has no NaN: what is not known yet is null.
    known = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in content.items()
    }
    print(json.dumps(known), flush=True)


class Progress:
    """A bar on a terminal; elsewhere a plain line every ten seconds, or a JSON object every second."""

    def __init__(self, title: str, total: int, hosts: Callable[[], Hosts] = list) -> None:
        """hosts: those that train together, at the moment."""
        self._title, self._total, self._hosts = title, total, hosts
        self._console = Console(stderr=True)
        self._start = time.monotonic()
        self._bar, self._pause = self._console.is_terminal, LINE_SECONDS
        if is_quiet():
            self._bar, self._pause = False, math.inf
        elif as_json():
            self._bar, self._pause = False, JSON_SECONDS
        self._next_line = self._start + self._pause
        self._mean_return = float("nan")
        self._first: tuple[int, int] | None = None
        """Turns and env steps of a training that goes on from a checkpoint: they were not taken now."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} % · {task.fields[status]} ·"),
            TimeRemainingColumn(),
        )
        self._bars = Bars(*columns, console=self._console, disable=not self._bar, transient=True)
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
            self._mean_return = float(np.mean(returns[-RECENT:]))
        if self._first is None:
            self._first = turn, env_steps
        rate = (env_steps - self._first[1]) / max(time.monotonic() - self._start, 1e-9)
        hosts = self._hosts()
        recent = "no episode has ended" if math.isnan(self._mean_return) else f"recent return {self._mean_return:.0f}"
        said = f"{env_steps:,} env steps · {rate:,.0f} steps/s · {recent}"
        self.show(
            turn,
            f"{said} · {in_words(hosts)}" if hosts else said,
            env_steps=env_steps,
            env_steps_per_second=rate,
            mean_return=self._mean_return,
            **({"hosts": hosts} if hosts else {}),
        )

    def show(self, completed: int, status: str, **figures: Any) -> None:
        """Show `completed` of the total, and `status`; `figures` are what it says, for programs."""
        self._bars.update(self._task, completed=completed, status=status)
        now = time.monotonic()
        if self._bar or now < self._next_line:
            return
        self._next_line = now + self._pause
        left = self._seconds_left(completed, now)
        if as_json():
            figures = figures or {"status": status}
            counts = {"completed": completed, "total": self._total, "seconds": now - self._start, "seconds_left": left}
            _print_json({"event": "progress", "task": self._title, **counts, **figures})
        else:
            ending = "" if left is None else f" · {timedelta(seconds=round(left))} left"
            print(f"{self._title}: {100 * completed // self._total} % · {status}{ending}", flush=True)

    def _seconds_left(self, completed: int, now: float) -> float | None:
        """At the pace so far; None before the first step."""
        done = completed - (self._first[0] if self._first else 0)
        return (now - self._start) * (self._total - completed) / done if done else None
