"""A real Ray cluster on this machine: every node is processes of its own, started by `ray start`."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from conftest import ROOT, environment, free_port

BIN = Path(sys.executable).parent
ATTEMPTS = 3
"""On a busy machine a node's processes may wait for one another in vain."""
HERE = Path(__file__).parent


class Cluster:
    """The head comes first; all are gone at the end."""

    def __init__(self):
        # Short: Ray's sockets lie in it, whose names have 107 characters at most.
        self.folder = Path(tempfile.mkdtemp(prefix="ray-"))
        self.address = f"127.0.0.1:{free_port()}"
        self.nodes, self.started = {}, 0

    def __enter__(self):
        return self

    def start(self, name, cores=1, source=ROOT / "src", own=HERE, **variables):
        """own: where modules of one's own are."""
        port = self.address.rpartition(":")[2]
        kind = (
            [f"--address={self.address}"] if self.nodes else ["--head", f"--port={port}", "--include-dashboard=false"]
        )
        command = [str(BIN / "ray"), "start", *kind, "--block", f"--num-cpus={cores}", f"--node-name={name}"]
        # Addresses of their own: a program connects to a node of its own address, and that shall be the first.
        self.started += 1
        command += [
            f"--node-ip-address=127.0.0.{self.started}",
            "--object-store-memory=80000000",
            "--disable-usage-stats",
        ]
        command += [] if self.nodes else [f"--temp-dir={self.folder}"]
        told = environment(PYTHONPATH=f"{source}:{own}", **variables)
        for attempt in range(ATTEMPTS):
            log = self.folder / f"{name}-{attempt}.log"
            with log.open("w") as file:
                self.nodes[name] = subprocess.Popen(
                    command, env=told, stdout=file, stderr=file, cwd=self.folder, start_new_session=True
                )
            while "Ray runtime started" not in (said := log.read_text()):
                if self.nodes[name].poll() is not None:
                    break
                time.sleep(0.1)
            else:
                return
            self.kill(name)
        raise AssertionError(said)

    def kill(self, name):
        """All processes of the node at once, as a machine that loses power."""
        node = self.nodes.pop(name)
        for process in self._processes(node.pid):
            os.kill(process, signal.SIGKILL)
        node.wait()

    def is_busy(self, name):
        """Whether a cell is being made there."""
        for process in self._processes(self.nodes[name].pid):
            with suppress(OSError):
                if b"a3c_bench\0--quiet\0cell" in Path(f"/proc/{process}/cmdline").read_bytes():
                    return True
        return False

    @staticmethod
    def _processes(leader):
        """Of a session; what Ray starts may leave its group, but not this."""
        listed = subprocess.run(["ps", "-eo", "pid=,sid="], capture_output=True, text=True, check=True).stdout
        pairs = (line.split() for line in listed.splitlines())
        return [int(pid) for pid, session in pairs if int(session) == leader]

    def __exit__(self, *_):
        for name in list(self.nodes)[::-1]:
            self.kill(name)
        shutil.rmtree(self.folder, ignore_errors=True)
