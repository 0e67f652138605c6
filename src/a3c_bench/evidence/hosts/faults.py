"""The kinds of faults over hosts: each strikes at a random moment, and returns when it was noticed."""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil

from a3c_bench.evidence.hosts.network import below, end, kill
from a3c_bench.evidence.hosts.scene import HOSTS, Scene

DOWN_SECONDS = 5.0
PAUSE_SECONDS = 6.0
"""Both are longer than a host may be silent."""
MEETING_SECONDS = 1.5

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
    before = len(scene.network.said(0))
    scene.network.join(scene.victim)
    scene.wait_for_the_line("takes part from here on", 0, before)


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


def suspend(processes: Sequence[psutil.Process]) -> None:
    """SIGSTOP to all of them."""
    for process in processes:
        process.suspend()
