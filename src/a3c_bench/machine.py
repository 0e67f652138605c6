"""This machine: its CPU, its cores, and the versions of the libraries that do the work."""

import math
import os
import platform
import resource
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from a3c_bench.errors import BadInputError
from a3c_bench.kernels.build import target_of_this_cpu
from a3c_bench.math_threads import ONE_THREAD

LIBRARIES = ("a3c-bench", "dvc", "gymnasium", "mlflow", "numpy", "safetensors", "scipy", "seaborn", "torch")
LEAST_ADDRESS_SPACE = 600 * 2**20
"""Of every process; with 500 MiB all went well, with 300 numpy could not be imported."""
CAPABILITIES = ("avx2", "fma", "avx512f", "asimd", "sve")


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The CPU's name, as Linux tells it."""
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The instruction-set flags of this machine's first CPU, as Linux lists them."""
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """CPU cores that this process may use at once: its affinity, or the quota of its container where that is less.

    Libraries that tell it take longer to import than a worker takes to start.
    """
    affinity = len(os.sched_getaffinity(0))
    try:
        share = (cgroup / "cpu.max").read_text() if (cgroup / "cpu.max").exists() else _share_of_first_version(cgroup)
        quota, period = share.split()
    except (OSError, ValueError):
        return affinity
    return affinity if quota in {"max", "-1"} else min(affinity, math.ceil(int(quota) / int(period)))


def _share_of_first_version(cgroup: Path) -> str:
    """Quota and period of control groups' first version, as `cpu.max` of the second has them."""
    return " ".join((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))


def available_memory(cgroup: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc")) -> int:
    """Bytes that can be taken without swapping, or what the container is allowed where that is less."""
    lines = (proc / "meminfo").read_text(encoding="utf-8").splitlines()
    free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    return min([free, *_memory_limits(cgroup, proc / "self" / "cgroup")])


def _memory_limits(cgroup: Path, own: Path) -> Iterator[int]:
    """Those of this process's control group and of the groups above it, of both versions."""
    for line in own.read_text(encoding="utf-8").splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, file = (cgroup / "memory", "memory.limit_in_bytes") if controllers else (cgroup, "memory.max")
        # Some containers see the name of their group, but only what is in it.
        path = PurePosixPath(name.lstrip("/"))
        for group in (path, *path.parents):
            with suppress(OSError, ValueError):  # not there, or `max`
                yield int((root / group / file).read_text())


def require_address_space() -> None:
    """Raise `BadInputError` where `ulimit -v` leaves too little: libraries then end or hang while they are imported."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        raise BadInputError(
            f"the limit on virtual memory is {limit // 2**20} MiB; at least {LEAST_ADDRESS_SPACE // 2**20} MiB are "
            f"needed: ulimit -v {LEAST_ADDRESS_SPACE // 2**10}"
        )


def host(machine_id: Path = Path("/etc/machine-id")) -> str:
    """Tells one machine from another of the same kind: a hash of its id; empty where it has none.

    Hashed, as machine-id(5) asks, since the id itself is nobody else's business.
    """
    try:
        content = machine_id.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    return sha256(f"a3c-bench {content}".encode()).hexdigest()[:12] if content else ""


def fingerprint() -> dict[str, object]:
    """What a throughput figure depends on; no timestamps, so that the same machine gives the same fingerprint."""
    return {
        "cpu": cpu_model(),
        "host": host(),
        "cores": cores(),
        "capabilities": sorted(cpu_flags() & set(CAPABILITIES)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "kernels": target_of_this_cpu(),
        "math_threads": {name: os.environ.get(name, "") for name in ONE_THREAD},
    }
