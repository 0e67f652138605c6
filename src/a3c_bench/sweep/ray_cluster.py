"""Ray as the engine of a sweep: each cell is a task that is bound to one node of a cluster that exists."""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

from a3c_bench.errors import BadInputError, describe_error
from a3c_bench.sweep.cells import Cell
from a3c_bench.sweep.node import Outcome, Task

CONNECTING_SECONDS = 5.0


class RayCluster:
    """The connection to a cluster."""

    def __init__(self, address: str, task: Callable[[Cell], Task], share: int) -> None:
        """share: cores of a cell, or all of a node that has fewer: no two share one."""
        self._task, self._share = task, share
        self._ray = connected(address)
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
        """See `Engine`."""
        found = {}
        for node in self._ray.nodes():
            cores = int(node["Resources"].get("CPU", 0))
            if node["Alive"] and cores:
                name = f"{node.get('NodeName') or node['NodeManagerAddress']} ({node['NodeID'][:8]})"
                self._ids[name] = node["NodeID"], cores
                found[name] = max(1, cores // self._share)
        return found

    def start(self, node: str, cell: Cell) -> None:
        """See `Engine`."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        number, cores = self._ids[node]
        there = NodeAffinitySchedulingStrategy(number, soft=False)
        # What is tried again, and where, is not for Ray to say.
        options = {"num_cpus": min(self._share, cores), "max_retries": 0, "scheduling_strategy": there}
        self._running[self._ray.remote(make()).options(**options).remote(self._task(cell))] = node, cell

    def wait(self, seconds: float) -> Iterator[tuple[str, Cell, Outcome]]:
        """See `Engine`."""
        if not self._running:
            time.sleep(seconds)
            return
        # All that has ended by then: they are handed in together.
        done, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=seconds)
        for reference in done:
            yield *self._running.pop(reference), self._outcome(reference)

    def _outcome(self, reference: Any) -> Outcome:
        try:
            found = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            return Outcome("refused", describe_error(error.cause))
        except self._ray.exceptions.RayError as error:
            return Outcome("lost", type(error).__name__)
        return found if isinstance(found, Outcome) else Outcome("refused", str(found))


def make() -> Callable[[Task], Outcome | str]:
    """What runs on a node. Its text travels, not its name: a node without this project can say so."""

    def run_cell(task: Task) -> Outcome | str:
        from a3c_bench.sweep import node

        return node.run(task)

    return run_cell


def connected(address: str) -> Any:
    """Ray, connected; raises `BadInputError` where it is not installed or no cluster is there."""
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
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # of many kinds: nobody there, another version of Ray or Python there
        raise BadInputError(
            f"--address: {address!r} is no Ray cluster that can be used ({describe_error(error)}); "
            "`ray start --head` starts one"
        ) from None
    return ray


def _require_listener(address: str) -> None:
    """Raise `OSError` where nobody listens: Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=CONNECTING_SECONDS).close()
