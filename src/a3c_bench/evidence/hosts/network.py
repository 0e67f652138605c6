"""Hosts on one machine: network namespaces joined by a bridge, each with its own processes and folder.

Where namespaces are not allowed the hosts are processes on 127.0.0.1, and `Network.kind` says so: a link that is taken
down cannot be shown there.
"""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from ruamel.yaml import YAML

from a3c_bench.evidence.chaos.victim import inherited
from a3c_bench.params import PARAMS_FILE
from a3c_bench.training.exchange.channel import SECRET
from a3c_bench.training.head import HEAD

WORDS = "a secret that is made up for hosts on one machine"
PORT = 29400
ENDING_SECONDS = 10.0
LISTENING = "0A"
"""The kernel's number for a socket's state."""
SOURCE = Path(__file__).parents[3]
NETWORKS = itertools.count()
Process = subprocess.Popen[bytes]


def ip(*arguments: str) -> None:
    """Run `ip`; raises what `subprocess.run` does."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Network:
    """So many hosts; number 0 is the head."""

    def __init__(self, folder: Path, count: int, port: int = PORT, variables: Mapping[str, str] | None = None) -> None:
        """port: the head's. variables: of all processes, if others than are inherited."""
        self.folder, self.count = folder, count
        self.processes: dict[int, Process] = {}
        self._port, self._variables = port, inherited() if variables is None else dict(variables)
        own = f"a3c-{os.getpid()}-{next(NETWORKS)}"
        self._names, self._switch = [f"{own}-{number}" for number in range(count)], f"{own}-switch"
        for number in range(count):
            self.home(number).mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        try:
            self._make_namespaces()
            self.kind = "network namespaces"
        except (OSError, subprocess.CalledProcessError) as error:
            self.kind = f"processes on 127.0.0.1 (no network namespaces: {error})"
            self._remove_namespaces()
        return self

    def _make_namespaces(self) -> None:
        ip("netns", "add", self._switch)
        ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", self._switch, "link", "set", "bridge", "up")
        for number, name in enumerate(self._names):
            port = f"port{number}"
            ip("netns", "add", name)
            ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", self._switch)
            ip("-n", self._switch, "link", "set", port, "master", "bridge", "up")
            ip("-n", name, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
            for interface in ("lo", "eth0"):
                ip("-n", name, "link", "set", interface, "up")

    def _remove_namespaces(self) -> None:
        for name in [*self._names, self._switch]:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes.values():
            end(process)
        left = self.left_behind()
        self._remove_namespaces()
        if kind is None and left:
            raise AssertionError(f"left behind: {'; '.join(left)}")

    @property
    def separate(self) -> bool:
        """Whether each host has a network of its own."""
        return self.kind == "network namespaces"

    def left_behind(self) -> list[str]:
        """Processes and open ports in the namespaces, when all that were started have ended."""
        if not self.separate:
            return []
        deadline = time.monotonic() + ENDING_SECONDS
        while (left := [found for name in self._names for found in self._found(name)]) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def _found(self, name: str) -> list[str]:
        def inside(*command: str) -> list[str]:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

        processes = [f"process {number}" for number in inside("ip", "netns", "pids", name)]
        sockets = [line.split() for line in inside("ip", "netns", "exec", name, "cat", "/proc/net/tcp")[1:]]
        return processes + [f"port {int(one[1].split(':')[1], 16)}" for one in sockets if one[3] == LISTENING]

    def home(self, number: int) -> Path:
        """A host's own folder."""
        return self.folder / f"host-{number}"

    def address(self, number: int) -> str:
        """A host's own, where it has one."""
        return f"10.77.0.{number + 1}"

    def head_of(self, number: int) -> str:
        """What the others join where this host is the head."""
        return f"{self.address(number) if self.separate else '127.0.0.1'}:{self._port}"

    @property
    def head(self) -> str:
        """What the others join."""
        return self.head_of(0)

    @property
    def interface(self) -> str:
        """That leads to the other hosts."""
        return "eth0" if self.separate else "lo"

    def start(self, number: int, *arguments: str, source: Path | None = None, **variables: str) -> Process:
        """Run `a3c-bench …` on a host. source: another version of the code."""
        if source:
            variables["PYTHONPATH"] = str(source)
        return self.run(number, [sys.executable, "-m", "a3c_bench", *arguments], **variables)

    def run(self, number: int, command: Sequence[str | Path], **variables: str) -> Process:
        """Run a command on a host; what it says goes to `said`."""
        inside = ["ip", "netns", "exec", self._names[number]] if self.separate else []
        own = {SECRET: WORDS, "A3C_BENCH_TRACKING": "off", "PYTHONPATH": f"{SOURCE}:{SOURCE.parent}", **variables}
        with (self.home(number) / "said").open("ab") as said:
            process = subprocess.Popen(
                [*inside, *command],
                cwd=self.home(number),
                env={**self._variables, **own},
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.processes[number] = process
        return process

    def train_with(
        self, params: Mapping[str, Any], algorithm: str, *arguments: str, number: int = 0, **variables: str
    ) -> Process:
        """Train seed 0 on the head, or on another host that is to be it."""
        with (self.home(number) / PARAMS_FILE).open("w", encoding="utf-8") as file:
            YAML(typ="safe").dump(dict(params), file)
        command = ["train", "--algorithm", algorithm, "--seed", "0", *arguments]
        return self.start(number, *command, source=None, **{HEAD: self.head_of(number), **variables})

    def join(self, number: int, *arguments: str, to: int = 0, **options: Any) -> Process:
        """Have a host join the trainings of host 0, or of another that is the head."""
        return self.start(number, "join", self.head_of(to), "--interface", self.interface, *arguments, **options)

    def turn(self) -> int:
        """Of the head's newest checkpoint on disk."""
        return self.newest_copy(0)

    def newest_copy(self, number: int) -> int:
        """The turn of the newest checkpoint on a host's disk; 0 where there is none."""
        found = self.home(number).glob(".a3c-bench/checkpoints/*/*.checkpoint")
        return max((int(path.stem) for path in found), default=0)

    def said(self, number: int) -> str:
        """All that a host's commands have said."""
        return (self.home(number) / "said").read_text(encoding="utf-8")

    def link(self, number: int, state: str) -> None:
        """`up` or `down`: between a host and all others."""
        ip("-n", self._switch, "link", "set", f"port{number}", state)


def end(process: Process) -> None:
    """End the processes of a host, in whatever state they are."""
    for number in (signal.SIGCONT, signal.SIGTERM):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
    try:
        process.wait(timeout=ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        kill(process)


def kill(process: Process) -> None:
    """SIGKILL to all processes of a host, as when its power fails."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def below(process: Process) -> list[psutil.Process]:
    """A host's processes, its main process last."""
    parent = psutil.Process(process.pid)
    return [*parent.children(recursive=True), parent]


def results(folder: Path) -> dict[str, bytes]:
    """All that a training writes, by name: what depends on how long it took is in none of it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for part in ("models", "reports")
        for path in sorted((folder / part).rglob("*"))
        if path.is_file()
    }
