"""Which node makes which cell: what was on a lost node is made on another, and some cells are made twice."""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Protocol

from a3c_bench.errors import BadInputError, say
from a3c_bench.sweep.cells import Cell
from a3c_bench.sweep.node import Outcome

POLL_SECONDS = 0.5


class Engine(Protocol):
    """What runs cells on nodes."""

    def nodes(self) -> Mapping[str, int]:
        """The nodes that there are now, by name, and how many cells each has cores for."""

    def start(self, node: str, cell: Cell) -> None:
        """Start a cell there."""

    def wait(self, seconds: float) -> Iterable[tuple[str, Cell, Outcome]]:
        """What has ended when the time is over, or all has."""


@dataclass(frozen=True)
class Job:
    """A cell that is to be made."""

    cell: Cell
    first: Outcome | None = None
    """What is audited: the same cell, made elsewhere."""
    avoid: frozenset[str] = frozenset()
    """Nodes on which it shall not be made: they made it already, or were lost with it."""


@dataclass(frozen=True)
class Verdict:
    """What became of a cell in the end."""

    cell: Cell
    outcome: Outcome
    audit: Outcome | None = None
    """The same cell from another node."""

    @property
    def differing(self) -> list[str]:
        """The files that are not the same in both."""
        if self.audit is None:
            return []
        return [path for path, made in self.audit.files.items() if _hash(self.outcome.files[path]) != _hash(made)]


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()


class Dispatch:
    """Hands jobs out until there are none."""

    def __init__(self, engine: Engine, jobs: Iterable[Job], audited: Collection[Cell], patience: float) -> None:
        """audited: cells that are to be made on two nodes. patience: seconds without any node for what is left."""
        self._engine, self._audited, self._patience = engine, audited, patience
        self._jobs = list(jobs)
        self._running: dict[Cell, tuple[str, Job]] = {}
        self._refused: dict[str, str] = {}

    def verdicts(self) -> Iterator[list[Verdict]]:
        """One for each cell, as they come; raises `BadInputError` where every node there is was refused."""
        idle_since = time.monotonic()
        while self._jobs or self._running:
            self._start()
            if self._running:
                idle_since = time.monotonic()
            else:
                self._require_a_node()
                if time.monotonic() - idle_since > self._patience:
                    yield [self._left_over(job) for job in self._jobs]
                    return
            ended = self._engine.wait(POLL_SECONDS)
            verdicts = [verdict for node, cell, outcome in ended for verdict in self._take(cell, outcome.by(node))]
            # Before these are handed in, which takes seconds.
            self._start()
            yield verdicts

    def _nodes(self) -> dict[str, int]:
        return {node: slots for node, slots in self._engine.nodes().items() if node not in self._refused}

    def _require_a_node(self) -> None:
        if self._refused and not self._nodes():
            node, why = next(iter(self._refused.items()))
            raise BadInputError(f"no node is left that is as this machine is: on {node} {why}; install the same there")

    def _start(self) -> None:
        """Start what can be: on every node as many as it has cores for."""
        nodes = self._nodes()
        busy = Counter(node for node, _ in self._running.values())
        for job in list(self._jobs):
            free = [node for node in nodes if busy[node] < nodes[node] and node not in job.avoid]
            if free:
                node = min(free, key=lambda node: busy[node] / nodes[node])
                self._engine.start(node, job.cell)
                self._jobs.remove(job)
                self._running[job.cell] = node, job
                busy[node] += 1

    def _take(self, cell: Cell, outcome: Outcome) -> Iterator[Verdict]:
        node, job = self._running.pop(cell)
        if outcome.kind == "refused":
            if node not in self._refused:
                say(f"{node} is refused: {outcome.why}")
            self._refused[node] = outcome.why
            self._jobs.insert(0, job)
        elif outcome.kind == "lost":
            say(f"{node} lost cell {cell.number} ({cell.name}: {outcome.why}); it is made on another node")
            self._jobs.insert(0, replace(job, avoid=job.avoid | {node}))
        elif outcome.kind == "failed":
            yield Verdict(cell, outcome)
        elif job.first is not None:
            yield Verdict(cell, job.first, outcome)
        elif cell in self._audited:
            self._jobs.insert(0, Job(cell, outcome, frozenset({node})))
        else:
            yield Verdict(cell, outcome)

    @staticmethod
    def _left_over(job: Job) -> Verdict:
        why = "no other node is there to make it" if job.avoid else "no node is there to make it"
        nothing = Outcome("failed", why)
        return Verdict(job.cell, job.first, nothing) if job.first else Verdict(job.cell, nothing)
