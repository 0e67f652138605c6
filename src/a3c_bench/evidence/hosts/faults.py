"""Faults over hosts: each strikes three hosts that train together at a random turn, and the result is that of one."""

import itertools
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from a3c_bench.config import Checkpoint, Config, Joining
from a3c_bench.environments.make import describe
from a3c_bench.errors import TrainingError
from a3c_bench.evidence.chaos.scene import require
from a3c_bench.evidence.hosts.bits import digest, hashes
from a3c_bench.evidence.hosts.cases import YES_NO, Cases
from a3c_bench.evidence.hosts.network import Network, Process, below, end, kill
from a3c_bench.evidence.watched import Watched
from a3c_bench.progress import Progress
from a3c_bench.report.hosts import FAULTS
from a3c_bench.training.pool import shape
from a3c_bench.training.share import Share
from a3c_bench.training.worker import Job

HOSTS = 3
TIMES = 7
"""Each kind strikes so often."""
AT_ONCE = 2
ATTEMPTS = 4
"""A training that ended before it was struck does not count, and another is struck."""
SILENCE_SECONDS = 4.0
DOWN_SECONDS = 5.0
PAUSE_SECONDS = 6.0
"""Both are longer than a host may be silent."""
MEETING_SECONDS = 1.5
PATIENCE_SECONDS = 180.0
POLL_SECONDS = 0.001
COLUMNS = ("number", "fault", "algorithm", "turn", "turns", "survived", "same", "noticed_seconds", "seconds", "note")
AGAIN = "start again at turn"
UPDATES = {"nstep": 1500, "episodic": 450, "ppo": 1200}
"""Of every actor: trainings of some five seconds, of rollouts that are short."""
SMALL: dict[str, dict[str, Any]] = {
    "nstep": {"envs": 4, "rollout_steps": 5},
    "episodic": {},
    "ppo": {"envs": 4, "rollout_steps": 10, "epochs": 2, "minibatches": 2},
}


class MissedError(Exception):
    """The training ended before it was struck."""


@dataclass
class Scene:
    """Hosts that train together. `chance` draws the moment, and what else a fault leaves open."""

    network: Network
    config: Config
    algorithm: str
    chance: random.Random
    head: int = 0
    """The host that leads."""
    turn: int = 0
    """At which the fault struck; 0: while the hosts met."""
    noticed_seconds: float | None = None
    """From the fault to the line that says it."""
    victim: int = field(init=False)
    """The host that is struck, where it is not the head."""

    def __post_init__(self) -> None:
        self.victim = self.chance.randrange(1, HOSTS)
        for number in range(1, HOSTS):
            self.network.join(number)
        self.lead(0)

    @property
    def turns(self) -> int:
        """Of the whole training."""
        return self.config.algorithm(self.algorithm).turns

    def lead(self, number: int) -> None:
        """Begin, or go on with, the training, with a host at its head."""
        self.head = number
        process = self.network.train_with(self.config.params(), self.algorithm, number=number)
        self.watched = Watched(shape_of(self.config, self.algorithm), lambda: process.pid)

    @property
    def leader(self) -> Process:
        """The head's process."""
        return self.network.processes[self.head]

    def wait_until(self, condition: Callable[[], Any]) -> None:
        """Raise `MissedError` where training ends before."""
        while not condition():
            if self.leader.poll() is not None:
                raise MissedError(self.network.said(self.head)[-200:])
            time.sleep(POLL_SECONDS)

    def wait_for_a_turn(self) -> None:
        """A random one, not among the first or the last."""
        aim = self.chance.randint(self.turns // 20, self.turns // 2)
        self.wait_until(lambda: self.watched.turn >= aim)
        self.turn = self.watched.turn

    def wait_for_the_line(self, said: str, number: int, before: int) -> None:
        """That the fault was noticed; before: the length of what the host had said until then."""
        start = time.monotonic()
        while said not in self.network.said(number)[before:]:
            require(time.monotonic() - start < PATIENCE_SECONDS, f"host {number} never said {said!r}")
            require(number != self.head or self.leader.poll() is None, f"it ended: {self.network.said(number)[-300:]}")
            time.sleep(POLL_SECONDS)

    def strike(self, how: Callable[[], object], said: str = AGAIN, witness: int = 0) -> None:
        """Do it, and measure how long it takes until a host says so."""
        before, start = len(self.network.said(witness)), time.monotonic()
        how()
        self.wait_for_the_line(said, witness, before)
        self.noticed_seconds = time.monotonic() - start

    def wait_since_the_strike(self, seconds: float) -> None:
        """Return so long after it."""
        time.sleep(max(0.0, seconds - (self.noticed_seconds or 0.0)))


def suspend(processes: Sequence[psutil.Process]) -> None:
    """SIGSTOP to all of them."""
    for process in processes:
        process.suspend()


Fault = Callable[[Scene], None]


def kill_a_host(scene: Scene) -> None:
    """SIGKILL to all its processes."""
    scene.wait_for_a_turn()
    scene.strike(lambda: kill(scene.network.processes[scene.victim]))


def kill_the_head(scene: Scene) -> None:
    """SIGKILL to all its processes; then its command is given again."""
    scene.wait_for_a_turn()
    scene.strike(lambda: kill(scene.leader), "the head at", scene.victim)
    scene.lead(0)


def take_the_link_down_for_five_seconds(scene: Scene) -> None:
    """Longer than a host may be silent; it comes back."""
    _cut(scene, scene.victim)


def take_the_heads_link_down_for_five_seconds(scene: Scene) -> None:
    """It is alone, goes on, and takes the others in again."""
    _cut(scene, 0)


def _cut(scene: Scene, number: int) -> None:
    scene.wait_for_a_turn()
    scene.strike(lambda: scene.network.link(number, "down"))
    scene.wait_since_the_strike(DOWN_SECONDS)
    scene.network.link(number, "up")


def pause_a_host(scene: Scene) -> None:
    """SIGSTOP to all its processes, and SIGCONT when it is counted as lost."""
    scene.wait_for_a_turn()
    stopped = below(scene.network.processes[scene.victim])
    scene.strike(lambda: suspend(stopped))
    scene.wait_since_the_strike(PAUSE_SECONDS)
    for process in stopped:
        with suppress(psutil.Error):
            process.resume()


def join_late(scene: Scene) -> None:
    """A host is killed, the others go on, and another takes its place at a checkpoint."""
    scene.wait_for_a_turn()
    scene.strike(lambda: kill(scene.network.processes[scene.victim]))
    scene.strike(lambda: scene.network.join(scene.victim), "takes part from here on")


def kill_a_host_while_the_hosts_meet(scene: Scene) -> None:
    """SIGKILL within a moment after they were told to start."""
    scene.wait_until(lambda: "of 3: actors" in scene.network.said(scene.victim))
    time.sleep(scene.chance.uniform(0, MEETING_SECONDS))
    scene.turn = scene.watched.turn
    scene.strike(lambda: kill(scene.network.processes[scene.victim]))


def kill_a_host_while_a_checkpoint_is_taken(scene: Scene) -> None:
    """SIGKILL when some actors' parts are there, and some are not."""
    scene.wait_for_a_turn()
    actors = scene.config.algorithm(scene.algorithm).actors

    def under_way() -> bool:
        (after,), kept = scene.watched.numbers("keep_after"), scene.watched.numbers("kept_after", actors)
        return min(kept) < after

    scene.wait_until(under_way)
    scene.turn = scene.watched.turn
    scene.strike(lambda: kill(scene.network.processes[scene.victim]))


def kill_a_worker_of_a_host(scene: Scene) -> None:
    """SIGKILL to one process: its host stays."""
    scene.wait_for_a_turn()
    forked = [one for one in below(scene.network.processes[scene.victim]) if "forkserver" in " ".join(one.cmdline())]
    # The first of them forks the others.
    scene.strike(scene.chance.choice(forked[1:]).kill)


def lose_the_head_with_all_it_had(scene: Scene) -> None:
    """SIGKILL, and its folder is deleted: another host becomes the head, with its copy of the last checkpoint."""
    scene.wait_for_a_turn()
    scene.wait_until(lambda: scene.network.newest_copy(scene.victim))
    scene.turn = scene.watched.turn
    scene.strike(lambda: kill(scene.leader), "is kept here too", scene.victim)
    shutil.rmtree(scene.network.home(0))
    scene.network.home(0).mkdir()
    for number in range(1, HOSTS):
        end(scene.network.processes[number])
    before = len(scene.network.said(scene.victim))
    scene.lead(scene.victim)
    scene.network.join(HOSTS - scene.victim, to=scene.victim)
    scene.network.join(0, to=scene.victim)
    scene.wait_for_the_line("goes on from the checkpoint", scene.victim, before)


KINDS: dict[str, Fault] = {
    kind.__name__.replace("_", " "): kind
    for kind in (
        kill_a_host,
        kill_the_head,
        take_the_link_down_for_five_seconds,
        take_the_heads_link_down_for_five_seconds,
        pause_a_host,
        join_late,
        kill_a_host_while_the_hosts_meet,
        kill_a_host_while_a_checkpoint_is_taken,
        kill_a_worker_of_a_host,
        lose_the_head_with_all_it_had,
    )
}


def run(config: Config, count: int | None) -> bool:
    """Strike so many times, by default each kind `TIMES` times, but for what is in the table already."""
    cases = Cases(FAULTS, COLUMNS, ("number", "fault", "algorithm"))
    planned = list(itertools.islice(plan(), count or TIMES * len(KINDS)))
    left = [case for case in planned if not cases.has(*case)]
    expected = {algorithm: alone(config, algorithm) for algorithm in {algorithm for _, _, algorithm in left}}

    def make(case: tuple[int, str, str]) -> dict[str, Any]:
        return struck(config, *case, expected[case[2]])

    with Progress("faults over hosts", len(planned)) as progress, ThreadPoolExecutor(AT_ONCE) as executor:
        for row in executor.map(make, left):
            cases.add(row)
            good = sum(one["survived"] == one["same"] == "yes" for one in cases.rows)
            progress.show(len(cases.rows), f"{good} survived with the same bits")
    bad = [row for row in cases.rows if not row["survived"] == row["same"] == "yes"]
    for row in bad:
        print(f"{row['fault']}, {row['algorithm']}, turn {row['turn']}: {row['note']}")
    good = len(cases.rows) - len(bad)
    print(f"{FAULTS}: {len(cases.rows)} faults over hosts tried, {good} survived with the same bits")
    return not bad


def plan() -> Iterator[tuple[int, str, str]]:
    """All kinds in turn, again and again, each with another algorithm every time."""
    for number in itertools.count():
        times, kind = divmod(number, len(KINDS))
        yield number, list(KINDS)[kind], list(UPDATES)[(times + kind) % len(UPDATES)]


def struck_config(config: Config, algorithm: str, hosts: int) -> Config:
    """What is struck: the params' environment, with short rollouts and many of them."""
    settings = config.algorithm(algorithm).changed(**SMALL[algorithm]).with_budget(UPDATES[algorithm])
    changes = {
        "algorithms": (algorithm,),
        "schedule": "ordered",
        "preset": False,
        "hosts": hosts,
        "workers": 1,
        "joining": Joining(wait=60.0, silence=SILENCE_SECONDS),
        "checkpoint": Checkpoint(seconds=0.2),
    }
    return config.with_algorithm(algorithm, settings).model_copy(update=changes)


def shape_of(config: Config, algorithm: str) -> Any:
    """Of the shared memory of a host."""
    job = Job(config, algorithm, 0, describe(config.recipe).with_packing())
    return shape(replace(job, share=Share(0, config.hosts)))


def alone(config: Config, algorithm: str) -> str:
    """The digest of what one host makes."""
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder, Network(Path(folder), 1) as network:
        process = network.train_with(struck_config(config, algorithm, 1).params(), algorithm)
        if process.wait(timeout=PATIENCE_SECONDS):
            raise TrainingError(network.said(0))
        return digest(hashes(network.home(0)))


def struck(config: Config, number: int, kind: str, algorithm: str, expected: str) -> dict[str, Any]:
    """A row of the table."""
    note = ""
    for attempt in range(ATTEMPTS):
        chance = random.Random(f"{number} {attempt}")
        try:
            return strike(struck_config(config, algorithm, HOSTS), number, kind, algorithm, expected, chance)
        except MissedError as error:
            note = f"it never struck in time in {ATTEMPTS} attempts: {error}"
    return {"number": number, "fault": kind, "algorithm": algorithm, "survived": "no", "same": "no", "note": note}


def strike(
    config: Config, number: int, kind: str, algorithm: str, expected: str, chance: random.Random
) -> dict[str, Any]:
    """A row of the table; raises `MissedError`."""
    start, note, made, scene = time.monotonic(), "", "", None
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder:
        try:
            with Network(Path(folder), HOSTS) as network:
                scene = Scene(network, config, algorithm, chance)
                KINDS[kind](scene)
                code = scene.leader.wait(timeout=PATIENCE_SECONDS)
                require(code == 0, f"exit code {code}: {network.said(scene.head)[-300:]}")
                made = digest(hashes(network.home(scene.head)))
        except MissedError:
            raise
        except Exception as error:  # whatever it is, it is this fault's row and not the table's end
            note = " ".join(f"{type(error).__name__}: {error}".split())[:400]
    return {
        "number": number,
        "fault": kind,
        "algorithm": algorithm,
        "turn": scene.turn if scene else None,
        "turns": scene.turns if scene else None,
        "survived": YES_NO[not note],
        "same": YES_NO[made == expected],
        "noticed_seconds": scene.noticed_seconds if scene else None,
        "seconds": time.monotonic() - start,
        "note": note,
    }
