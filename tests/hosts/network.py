"""Hosts on one machine: network namespaces joined by a bridge, each with its own processes and folder.

Where namespaces are not allowed the hosts are processes on 127.0.0.1, and `Network.kind` says so: a link that is taken
down cannot be shown there.
"""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from conftest import environment, small_params, write_params

SECRET = "a secret of the tests, which they make up"
# Each of the tests that run at once has its own: without namespaces they share the addresses.
PORT = 29400 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
NETWORKS = itertools.count()


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Network:
    """So many hosts; number 0 is the head."""

    def __init__(self, folder, count):
        self.folder, self.count, self.processes = folder, count, {}
        own = f"a3c-{os.getpid()}-{next(NETWORKS)}"
        self._names, self._switch = [f"{own}-{number}" for number in range(count)], f"{own}-switch"
        for number in range(count):
            self.home(number).mkdir(parents=True, exist_ok=True)

    def __enter__(self):
        try:
            self._make_namespaces()
            self.kind = "network namespaces"
        except (OSError, subprocess.CalledProcessError) as error:
            self.kind = f"processes on 127.0.0.1 (no network namespaces: {error})"
            self._remove_namespaces()
        return self

    def _make_namespaces(self):
        ip("netns", "add", self._switch)
        ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", self._switch, "link", "set", "bridge", "up")
        for number, name in enumerate(self._names):
            port = f"port{number}"
            ip("netns", "add", name)
            ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", self._switch)
            ip("-n", self._switch, "link", "set", port, "master", "bridge", "up")
            ip("-n", name, "addr", "add", f"10.77.0.{number + 1}/24", "dev", "eth0")
            for interface in ("lo", "eth0"):
                ip("-n", name, "link", "set", interface, "up")

    def _remove_namespaces(self):
        for name in [*self._names, self._switch]:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)

    def __exit__(self, *error):
        for process in self.processes.values():
            end(process)
        left = self.left_behind()
        self._remove_namespaces()
        if error == (None, None, None):
            assert not left, left

    @property
    def separate(self):
        return self.kind == "network namespaces"

    def left_behind(self):
        """Processes in the namespaces, when all that were started have ended."""
        if not self.separate:
            return []
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            pids = [pid for name in self._names for pid in self._pids(name)]
            if not pids:
                return []
            time.sleep(0.1)
        return [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids]

    def _pids(self, name):
        return subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=True).stdout.split()

    def home(self, number):
        return self.folder / f"host-{number}"

    @property
    def head(self):
        return f"{'10.77.0.1' if self.separate else '127.0.0.1'}:{PORT}"

    @property
    def interface(self):
        return "eth0" if self.separate else "lo"

    def start(self, number, *arguments, source=None, **variables):
        """Run `a3c-bench …` on a host."""
        if source:
            variables["PYTHONPATH"] = str(source)
        return self.run(number, [sys.executable, "-m", "a3c_bench", *arguments], **variables)

    def run(self, number, command, **variables):
        """Run a command on a host; what it says goes to `said`."""
        inside = ["ip", "netns", "exec", self._names[number]] if self.separate else []
        variables = {"A3C_BENCH_SECRET": SECRET, "A3C_BENCH_TRACKING": "off", **variables}
        with (self.home(number) / "said").open("ab") as said:
            process = subprocess.Popen(
                [*inside, *command],
                cwd=self.home(number),
                env={**environment(), **variables},
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.processes[number] = process
        return process

    def train(self, algorithm, hosts, *arguments, **changes):
        write_params(self.home(0), small_params(hosts=hosts, algorithms=[algorithm], **changes))
        return self.start(0, "train", "--algorithm", algorithm, "--seed", "0", *arguments, A3C_BENCH_HEAD=self.head)

    def join(self, number, *arguments, **options):
        return self.start(number, "join", self.head, "--interface", self.interface, *arguments, **options)

    def turn(self):
        """Of the head's newest checkpoint on disk."""
        return max((int(path.stem) for path in self.home(0).glob(".a3c-bench/checkpoints/*/*.checkpoint")), default=0)

    def said(self, number):
        return (self.home(number) / "said").read_text()

    def link(self, number, state):
        """`up` or `down`: between a host and all others."""
        ip("-n", self._switch, "link", "set", f"port{number}", state)


def end(process):
    """The processes of a host, in whatever state they are."""
    for number in (signal.SIGCONT, signal.SIGTERM):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def results(folder):
    """All that a training writes, by name: what it depends on how long it took is in none of it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for part in ("models", "reports")
        for path in sorted((folder / part).rglob("*"))
        if path.is_file()
    }
