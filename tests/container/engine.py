"""A Docker engine of the tests' own: private socket, private data, gone when they are over. It needs no registry.

    python tests/container/engine.py

starts one until it is interrupted (the test of its own end uses that).
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

BASE = "python:3.11-slim-bookworm"
STAND_IN_PACKAGES = "ca-certificates,python3,python3-venv"
# Debian's client: another one, earlier on PATH, may lack what its newer version needs to build.
CLIENTS = ("/usr/bin", "/usr/local/bin")
SOURCES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list.d/ubuntu.sources")


class Engine:
    """A running engine."""

    def __init__(self, folder):
        self.folder = folder
        self.variables = {**os.environ, "DOCKER_HOST": f"unix://{folder}/docker.sock", "DOCKER_BUILDKIT": "1"}
        self.client = shutil.which("docker", path=os.pathsep.join(CLIENTS))
        options = {
            "host": self.variables["DOCKER_HOST"],
            "data-root": folder / "data",
            "exec-root": folder / "exec",
            "pidfile": folder / "pid",
            "bridge": "none",
            "iptables": "false",
            "ip-masq": "false",
        }
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["dockerd", *(f"--{name}={value}" for name, value in options.items())], stdout=log, stderr=log
            )

    def docker(self, *arguments, check=True, **options):
        """Run a command of the client."""
        result = subprocess.run(
            [self.client, *arguments], env=self.variables, capture_output=True, text=True, check=False, **options
        )
        assert not check or result.returncode == 0, f"{arguments}\n{result.stdout}\n{result.stderr}"
        return result

    def run(self, *arguments, **options):
        """`docker run --rm`, with no network."""
        return self.docker("run", "--rm", "--network", "none", *arguments, **options)

    def wait_until_ready(self):
        for _ in range(100):
            if self.docker("info", check=False).returncode == 0:
                return
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.2)
        raise AssertionError("the engine does not answer")

    def import_stand_in(self):
        """Make an image under the base's name, from this machine's own Debian sources: no registry is asked."""
        sources = [path for path in SOURCES if Path(path).exists() and Path(path).read_text().strip()]
        suite = subprocess.run(
            [". /etc/os-release && echo $VERSION_CODENAME"], shell=True, capture_output=True, text=True, check=True
        )
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={STAND_IN_PACKAGES}"]
        command += ["--dpkgopt=force-unsafe-io", "--customize-hook=chroot $1 python3 -m venv /opt/python"]
        with subprocess.Popen([*command, suite.stdout.strip(), "-", *sources], stdout=subprocess.PIPE) as made:
            path = "PATH=/opt/python/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            try:
                self.docker("import", "--change", f"ENV {path}", "-", BASE, stdin=made.stdout)
            except BaseException:
                made.terminate()
                raise
        assert made.returncode == 0

    def stop(self):
        """End all containers and the engine, and remove what they leave."""
        with suppress(AssertionError):
            running = self.docker("ps", "--quiet").stdout.split()
            if running:
                self.docker("rm", "--force", *running)
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for mount in reversed(self.mounts()):
            subprocess.run(["umount", "--lazy", mount], check=False)

    def mounts(self):
        """What is mounted below its folder."""
        paths = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        return [path for path in paths if path.startswith(str(self.folder))]


@contextmanager
def engine():
    """An engine, and its end, also where the tests are stopped by SIGTERM."""
    previous = signal.signal(signal.SIGTERM, interrupt)
    folder = Path(tempfile.mkdtemp(prefix="a3c-bench-engine-"))
    running = None
    try:
        running = Engine(folder)
        running.wait_until_ready()
        yield running
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if running:
            running.stop()
        shutil.rmtree(folder)
        signal.signal(signal.SIGTERM, previous)


def interrupt(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    with suppress(KeyboardInterrupt), engine() as started:
        print(started.folder, started.process.pid, flush=True)
        started.import_stand_in()
        signal.pause()
    sys.exit(143)
