"""A training that stands still, and why: said once, in a line."""

import time
from collections.abc import Mapping
from pathlib import Path

from a3c_bench.errors import say

STALL_SECONDS = 10.0
TIMES_LONGEST = 3.0
"""It stands still when the next turn takes so many times as long as any before it, and as `STALL_SECONDS`."""
AT_ONCE_SECONDS = 1.0
"""No more than this is counted between two looks: this process may have been stopped too."""
STATES = {"R": "running", "S": "asleep", "D": "waiting for a disk", "T": "stopped", "t": "stopped by a debugger"}
NAMED = 8


class Stall:
    """Notices that no turn is taken."""

    def __init__(self) -> None:
        self._turn, self._seconds, self._longest, self._told = -1, 0.0, 0.0, False
        self._looked = time.monotonic()

    def look(self, turn: int, workers: Mapping[str, int]) -> None:
        """At how far training is: says so once when it stands still. `workers`: name to process id."""
        now = time.monotonic()
        self._seconds += min(now - self._looked, AT_ONCE_SECONDS)
        self._looked = now
        if turn != self._turn:
            self._longest = max(self._longest, self._seconds)
            self._turn, self._seconds, self._told = turn, 0.0, False
        elif not self._told and self._seconds > max(STALL_SECONDS, TIMES_LONGEST * self._longest):
            say(f"no turn for {self._seconds:.0f} s; {why(workers)}; waiting goes on")
            self._told = True


def why(workers: Mapping[str, int]) -> str:
    """What those workers are doing that do not only wait for others, or all of them if all do."""
    states = {name: state(process) for name, process in workers.items()}
    stopped = [name for name, letter in states.items() if letter in "Tt"]
    chosen = stopped or [name for name, letter in states.items() if letter != "S"] or list(states)
    parts = [f"{name} (process {workers[name]}) is {STATES.get(states[name], 'gone')}" for name in chosen[:NAMED]]
    more = f" and {len(chosen) - NAMED} more" if len(chosen) > NAMED else ""
    mends = "; `kill -CONT` with its number lets it go on" if stopped else ""
    return ", ".join(parts) + more + mends


def state(process: int) -> str:
    """The kernel's letter for what a process is doing; X: it is gone."""
    try:
        # What is in parentheses may hold anything.
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "X"
