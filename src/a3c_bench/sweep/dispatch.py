"""Which node makes which cell: what is lost or fails is tried on another, and some cells are made by two."""

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
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
    made: tuple[Outcome, ...] = ()
    """By others: what comes back is held against it."""
    failed: Outcome | None = None
    """On another node."""
    avoid: frozenset[str] = frozenset()
    """Nodes that made it already, or on which it failed or was lost."""


@dataclass(frozen=True)
class Verdict:
    """What became of a cell: all that was made of it, and why there is no more."""

    cell: Cell
    made: tuple[Outcome, ...]
    failed: Outcome | None = None
    doubted: bool = False
    """Whether the only one that made it was found to differ elsewhere."""

    @property
    def agreed(self) -> Outcome | None:
        """What two nodes made alike, or one made alone; None where none was made, or nobody knows which is right."""
        if len(self.made) == 1:
            # One more that was tried in vain is as good as another result.
            return None if self.doubted or (self.failed and self.failed.node) else self.made[0]
        return next((one for one, other in combinations(self.made, 2) if one.files == other.files), None)

    @property
    def differing(self) -> list[str]:
        """The files that are not the same in all that was made."""
        return [path for path in self.made[0].files if len({one.files[path] for one in self.made}) > 1]


@dataclass
class Trust:
    """Which nodes get cells, and which do not."""

    refused: dict[str, str] = field(default_factory=dict)
    """Where something is not as it is here, and what."""
    suspects: set[str] = field(default_factory=set)
    """Where a cell came out differently, until a third node has made it; for good, where that shows the node wrong."""
    alone: dict[str, list[Cell]] = field(default_factory=lambda: defaultdict(list))
    """What each has made that no other has."""

    def has(self, node: str) -> bool:
        """Whether it gets cells."""
        return node not in self.refused and node not in self.suspects


class Dispatch:
    """Hands jobs out until there are none."""

    def __init__(self, engine: Engine, jobs: Iterable[Job], audited: Collection[Cell], patience: float) -> None:
        """audited: cells that are to be made on two nodes. patience: seconds without any node for what is left."""
        self._engine, self._audited, self._patience = engine, audited, patience
        self._jobs = list(jobs)
        self._running: dict[Cell, tuple[str, Job]] = {}
        self._seen: set[str] = set()
        self.trust = Trust()

    def verdicts(self) -> Iterator[list[Verdict]]:
        """Those of all cells, as they come; a cell that has to be made again has another one later.

        Raises `BadInputError` where every node that was ever there was refused.
        """
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

    def _start(self) -> None:
        """Start what can be: on every node as many as it has cores for."""
        there = self._engine.nodes()
        self._seen |= there.keys()
        nodes = {node: slots for node, slots in there.items() if self.trust.has(node)}
        busy = Counter(node for node, _ in self._running.values())
        for job in list(self._jobs):
            free = [node for node in nodes if busy[node] < nodes[node] and node not in job.avoid]
            if free and job.cell not in self._running:
                node = min(free, key=lambda node: busy[node] / nodes[node])
                self._engine.start(node, job.cell)
                self._jobs.remove(job)
                self._running[job.cell] = node, job
                busy[node] += 1

    def _require_a_node(self) -> None:
        if self._seen and self._seen == self.trust.refused.keys():
            node, why = next(iter(self.trust.refused.items()))
            raise BadInputError(f"no node matches this machine: on {node} {why}; install the same there")

    def _take(self, cell: Cell, outcome: Outcome) -> Iterator[Verdict]:
        """What is known of a cell now, or nothing where it goes to another node."""
        node, job = self._running.pop(cell)
        elsewhere = replace(job, avoid=job.avoid | {node})
        if outcome.kind == "refused":
            if node not in self.trust.refused:
                say(f"{node} is refused: {outcome.why}")
            self.trust.refused[node] = outcome.why
            self._jobs.insert(0, job)
        elif outcome.kind == "lost":
            say(f"{node} lost cell {cell.number} ({cell.name}: {outcome.why}); another node makes it")
            self._jobs.insert(0, elsewhere)
        elif outcome.kind == "failed" and job.failed is None:
            say(f"cell {cell.number} ({cell.name}) failed on {node}: {outcome.why}; another node tries it")
            self._jobs.insert(0, replace(elsewhere, failed=outcome))
        elif outcome.kind == "failed":
            yield Verdict(cell, job.made, outcome)
        else:
            yield from self._compared(replace(elsewhere, made=(*job.made, outcome), failed=None))

    def _compared(self, job: Job) -> Iterator[Verdict]:
        verdict = Verdict(job.cell, job.made)
        if len(job.made) == 1:
            if job.cell in self._audited:
                self._jobs.insert(0, job)
                return
            self.trust.alone[job.made[0].node].append(job.cell)
        elif verdict.agreed is None and len(job.made) == 2:
            first, second = job.made
            say(
                f"cell {job.cell.number} ({job.cell.name}) differs between {first.node}, {first.cpu}, and "
                f"{second.node}, {second.cpu}: {', '.join(verdict.differing)}; until a third node has made it, neither "
                "gets another"
            )
            self.trust.suspects |= {first.node, second.node}
            self._jobs.insert(0, job)
            return
        elif verdict.agreed is not None and verdict.differing:
            self._clear(job.made, verdict.agreed)
        yield verdict

    def _clear(self, made: Iterable[Outcome], agreed: Outcome) -> None:
        """Trust those again that two agree on; what the other one made alone is made again."""
        for outcome in made:
            if outcome.files == agreed.files:
                self.trust.suspects.discard(outcome.node)
            else:
                avoid = frozenset({outcome.node})
                self._jobs += [Job(cell, avoid=avoid) for cell in self.trust.alone.pop(outcome.node, [])]

    def _left_over(self, job: Job) -> Verdict:
        why = "no other node is there to make it" if job.avoid else "no node is there to make it"
        kept = [f"{node} is refused: {why}" for node, why in self.trust.refused.items()]
        nothing = Outcome("failed", "; ".join([why, *kept]))
        doubted = any(one.node in self.trust.suspects for one in job.made)
        return Verdict(job.cell, job.made, job.failed or nothing, doubted)
