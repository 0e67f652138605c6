"""Ray as the engine of a sweep: each cell is a task that is bound to one node of a cluster that exists."""

import logging
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from a3c_bench.errors import BadInputError, TrainingError, describe_error
from a3c_bench.sweep import node as on_node
from a3c_bench.sweep.cells import Cell
from a3c_bench.sweep.node import Outcome, Task

CONNECTING_SECONDS = 5.0
AUTO = "auto"


class RayCluster:
    """The connection to a cluster."""

    def __init__(self, address: str, task: Callable[[Cell], Task], share: int) -> None:
        """share: cores of a cell, or all of a node that has fewer: no two share one."""
        self._task, self._share = task, share
        self._ray = connected(address)
        # What is tried again, and where, is not for Ray to say.
        self._run = self._ray.remote(max_retries=0)(on_node.run)
        self._ids: dict[str, tuple[str, int]] = {}
        self._running: dict[Any, tuple[str, Cell]] = {}

    def __enter__(self) -> "RayCluster":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Ends the tasks that still run, too.
        self._ray.shutdown()

    def nodes(self) -> Mapping[str, int]:
        """See `Engine`. A node is a machine: started again, it is the same one."""
        found = {}
        for node in self._asked(self._ray.nodes):
            cores = int(node["Resources"].get("CPU", 0))
            if node["Alive"] and cores:
                name, address = node.get("NodeName"), node["NodeManagerAddress"]
                told = f"{name} ({address})" if name and name != address else address
                self._ids[told] = node["NodeID"], cores
                found[told] = max(1, cores // self._share)
        return found

    def start(self, node: str, cell: Cell) -> None:
        """See `Engine`."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        number, cores = self._ids[node]
        there = NodeAffinitySchedulingStrategy(number, soft=False)
        options = {"num_cpus": min(self._share, cores), "scheduling_strategy": there}
        self._running[self._asked(lambda: self._run.options(**options).remote(self._task(cell)))] = node, cell

    def wait(self, seconds: float) -> Iterator[tuple[str, Cell, Outcome]]:
        """See `Engine`."""
        if not self._running:
            time.sleep(seconds)
            return
        # All that has ended by then: they are handed in together.
        running = list(self._running)
        done, _ = self._asked(lambda: self._ray.wait(running, num_returns=len(running), timeout=seconds))
        for reference in done:
            yield *self._running.pop(reference), self._outcome(reference)

    def _outcome(self, reference: Any) -> Outcome:
        try:
            found: Outcome = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            # Nothing of the task itself raises: this project is not there, or not as it is here.
            return Outcome("refused", describe_error(error.cause or error))
        except self._ray.exceptions.RayError as error:
            return Outcome("lost", type(error).__name__)
        return found

    def _asked(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except (OSError, RuntimeError, self._ray.exceptions.RayError) as error:
            raise TrainingError(
                f"the Ray cluster is gone ({describe_error(error)}); give the command again, it goes on where it was"
            ) from None


def connected(address: str) -> Any:
    """Ray, connected; raises `BadInputError` where it is not installed or no cluster is there."""
    if address != AUTO and not re.fullmatch(r"[^:/\s]+:[0-9]{1,5}", address):
        raise BadInputError(f"--address: {address!r} is not allowed: {AUTO}, or HOST:PORT of a cluster that exists")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise BadInputError(
            "--engine: ray is not installed; `pip install --requirement requirements-sweep.lock` does it"
        ) from None
    try:
        _require_listener(address)
        with _own_answer_to_signals():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # of many kinds: nobody there, another version of Ray or Python there
        raise BadInputError(
            f"--address: {address!r} cannot be used as a Ray cluster ({describe_error(error)}); "
            "`ray start --head` starts one"
        ) from None
    return ray


@contextmanager
def _own_answer_to_signals() -> Iterator[None]:
    """Ray answers SIGTERM by an answer of its own, from which nothing is safe while files are written."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _require_listener(address: str) -> None:
    """Raise `OSError` where nobody listens: Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if host:
        socket.create_connection((host, int(port)), timeout=CONNECTING_SECONDS).close()
