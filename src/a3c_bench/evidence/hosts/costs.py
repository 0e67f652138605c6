"""`make cost-hosts`: what several hosts cost, and what they bring, measured in turns on this machine."""

import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a3c_bench.arrays import Doubles
from a3c_bench.config import Checkpoint, Config, Joining
from a3c_bench.errors import TrainingError
from a3c_bench.evidence.hosts import page
from a3c_bench.evidence.hosts.cases import Cases
from a3c_bench.evidence.hosts.network import Network, below
from a3c_bench.evidence.hosts.proof import require_namespaces
from a3c_bench.evidence.hosts.scene import shape_of
from a3c_bench.evidence.hosts.waiting import WRAPPER
from a3c_bench.evidence.speed.in_turns import Contestant, endless, rates_in_turns
from a3c_bench.evidence.watched import Watched
from a3c_bench.machine import fingerprint
from a3c_bench.progress import Progress
from a3c_bench.report.hosts import COSTS, COSTS_ABOUT, SCALING, SIZES
from a3c_bench.repository import last_commit
from a3c_bench.results.about import about_bytes
from a3c_bench.results.files import write_all
from a3c_bench.stats import ratio_of_means

SLICES = 120
"""Of a comparison: a size gets a third of them, and a number of hosts one in fifteen."""
SIZE_PART, WAITING_PART = 3, 15
HIDDEN = ([16], [64], [64, 64], [128, 128], [256, 256])
WAITING_HOSTS = (1, 2, 3, 4)
WAITING_ACTORS = 12
"""So that every number of hosts divides them."""
WAITING_SECONDS = 2.0
"""Of a slice: a turn takes some hundredths of a second."""
COMPARED = ("one_host", "two_hosts", "ratio", "ratio_low", "ratio_high", "bytes_per_turn", "slices")
STARTING_SECONDS = 120.0
POLL_SECONDS = 0.01
# Who is stopped while others are timed is not heard.
JOINING = Joining(wait=STARTING_SECONDS, silence=3600.0)


@dataclass(frozen=True)
class Together:
    """A training over hosts without an end, and what it has sent."""

    contestant: Contestant
    network: Network

    def sent(self) -> int:
        """Bytes that all hosts have sent to each other."""
        return sum(sent_by(process.pid) for process in self.network.processes.values())


def run(config: Config, slices: int = SLICES) -> None:
    """Measure what is not in the tables yet, and write the page."""
    require_namespaces()
    about = {**config.params(), "machine": fingerprint()}
    costs = Cases(COSTS, ("algorithm", "hosts", "workers", *COMPARED), ("algorithm",), about)
    sizes = Cases(SIZES, ("hidden", "message_bytes", *COMPARED), ("hidden",), about)
    waiting = Cases(SCALING, ("hosts", "slice", "turns_per_second"), ("hosts", "slice"), about)
    algorithms, first = tuple(config.sections), config.algorithms[0]
    with Progress("cost-hosts", len(algorithms) + len(HIDDEN) + 1) as progress:
        for done, algorithm in enumerate(algorithms):
            progress.show(done, f"{algorithm}, two hosts beside one")
            if not costs.has(algorithm):
                figures = compare(of(config, algorithm), algorithm, slices)
                costs.add({"algorithm": algorithm, "hosts": 2, "workers": 1, **figures})
        for done, hidden in enumerate(HIDDEN, len(algorithms)):
            progress.show(done, f"a network of {hidden}")
            if not sizes.has(words := "-".join(map(str, hidden))):
                sized = of(config, first, envs=4, rollout_steps=5, hidden=hidden)
                figures = compare(sized, first, max(2, slices // SIZE_PART))
                sizes.add({"hidden": words, "message_bytes": message_bytes(sized), **figures})
        progress.show(len(algorithms) + len(HIDDEN), "an environment that waits")
        if not waiting.rows:
            scale(config, waiting, max(2, slices // WAITING_PART))
    write_all({COSTS_ABOUT: about_bytes(config.env, config.params(), last_commit())})
    page.write()


def of(config: Config, algorithm: str, **changes: Any) -> Config:
    """The params with one algorithm, and `changes` of its section, without an end."""
    placed = config.with_algorithm(algorithm, config.algorithm(algorithm).changed(**changes))
    top = {"algorithms": (algorithm,), "schedule": "ordered", "threads": 1, "preset": False, "joining": JOINING}
    return endless(placed, algorithm).model_copy(update={**top, "checkpoint": Checkpoint(seconds=3600.0)})


def compare(config: Config, algorithm: str, slices: int) -> dict[str, Any]:
    """Two hosts with a worker each beside one with two: turns per second, and bytes per turn of the two."""
    with ExitStack() as stack:
        one, two = (
            stack.enter_context(together(config.model_copy(update={"hosts": hosts, "workers": 2 // hosts}), algorithm))
            for hosts in (1, 2)
        )
        turn, sent = two.contestant.env_steps(), two.sent()
        alone, both = rates_in_turns([one.contestant, two.contestant], slices).T
        per_turn = (two.sent() - sent) / (two.contestant.env_steps() - turn)
    ratio, interval = ratio_of_means(both, alone)
    return {
        "one_host": float(alone.mean()),
        "two_hosts": float(both.mean()),
        "ratio": ratio,
        "ratio_low": interval and float(interval.low),
        "ratio_high": interval and float(interval.high),
        "bytes_per_turn": per_turn,
        "slices": slices,
    }


def message_bytes(config: Config) -> int:
    """What one of two hosts sends of each round, to the other."""
    shape = shape_of(config.model_copy(update={"hosts": 2}), config.algorithms[0])
    return int(4 * shape.floats_handed_in * shape.actors // 2)


def scale(config: Config, cases: Cases, slices: int) -> None:
    """Hosts with a worker each, whose environment waits: turns per second of every number of hosts and slice."""
    first = config.algorithms[0]
    waiting = of(config.changed(wrappers=(WRAPPER,)), first, actors=WAITING_ACTORS, envs=1, rollout_steps=8)
    with ExitStack() as stack:
        contestants = [
            stack.enter_context(together(waiting.model_copy(update={"hosts": hosts, "workers": 1}), first)).contestant
            for hosts in WAITING_HOSTS
        ]
        rates: Doubles = rates_in_turns(contestants, slices, seconds=WAITING_SECONDS)
    cases.extend(rows(rates))


def rows(rates: Doubles) -> Sequence[dict[str, Any]]:
    """Of `rates` (slices, numbers of hosts)."""
    return [
        {"hosts": hosts, "slice": number, "turns_per_second": float(rate)}
        for number, of_slice in enumerate(rates)
        for hosts, rate in zip(WAITING_HOSTS, of_slice, strict=True)
    ]


@contextmanager
def together(config: Config, algorithm: str) -> Iterator[Together]:
    """A training over `config.hosts` hosts, which has begun and is stopped."""
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder, Network(Path(folder), config.hosts) as network:
        for number in range(1, config.hosts):
            network.join(number)
        head = network.train_with(config.params(), algorithm)
        watched = Watched(shape_of(config, algorithm), lambda: head.pid)
        begun, deadline = 4 * config.algorithm(algorithm).actors, time.monotonic() + STARTING_SECONDS
        while watched.turn < begun:
            if head.poll() is not None or time.monotonic() > deadline:
                raise TrainingError(f"{config.hosts} hosts do not begin: {network.said(0)}")
            time.sleep(POLL_SECONDS)
        everybody = [one.pid for process in network.processes.values() for one in below(process)]
        contestant = Contestant(everybody, lambda: watched.turn)
        contestant.signal(signal.SIGSTOP)
        yield Together(contestant, network)


def sent_by(process: int) -> int:
    """Bytes that the host of a process has sent from its interface."""
    for line in Path(f"/proc/{process}/net/dev").read_text(encoding="utf-8").splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == "eth0":
            return int(counts.split()[8])
    return 0
