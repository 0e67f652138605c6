"""Compiles the kernels, once for each kind of CPU, with a compiler that pip installs."""

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from a3c_bench.errors import BadInputError, say

SOURCES = Path(__file__).parent
COMPILER = "ziglang 0.17"
"""What pyproject.toml asks for."""
KEPT_VARIABLES = ("PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR")
"""What the compiler is told of the surroundings: others name folders with headers of their own."""
FOLDER_VARIABLE = "A3C_BENCH_KERNELS"
"""Names a folder in which compiled kernels are looked for first."""
# Multiplying and adding is fused where the source says so and nowhere else; no sum is reordered. The C library is not
# linked: nothing but `memcpy` and `memset` is called, which every process has.
FLAGS = (
    "-O3",
    "-std=c17",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-sanitize=all",
    "-mprefer-vector-width=512",
    "-shared",
    "-fPIC",
    "-nostdlib",
    "-s",
)
TARGETS: Mapping[str, Sequence[str]] = {
    "x86_64_v4": ("-target", "x86_64-linux-gnu.2.17", "-mcpu=x86_64_v4"),
    "x86_64_v3": ("-target", "x86_64-linux-gnu.2.17", "-mcpu=x86_64_v3"),
    "x86_64": ("-target", "x86_64-linux-gnu.2.17", "-mcpu=x86_64"),
    "aarch64": ("-target", "aarch64-linux-gnu.2.17", "-mcpu=generic"),
}
"""Kinds of CPU, from the widest registers down: the bits are the same, the speed is not."""
NUMPY_NAMES = {"x86_64_v4": "X86_V4", "x86_64_v3": "X86_V3"}
"""What numpy calls what such a CPU must have."""


def targets_of(machine: str) -> list[str]:
    """All kinds of CPU of an architecture as `platform.machine()` names it."""
    return [target for target in TARGETS if target.startswith(machine)]


@cache
def target_of_this_cpu() -> str:
    """The best kind that this CPU is; raises `BadInputError` if there is none."""
    features = cpu_features()
    for target in targets_of(platform.machine()):
        if target not in NUMPY_NAMES or features.get(NUMPY_NAMES[target]):
            return target
    raise BadInputError(f"this machine is {platform.machine()}; supported: x86_64, aarch64")


def cpu_features() -> Mapping[str, bool]:
    """What the CPU has, by numpy's names and without what NPY_DISABLE_CPU_FEATURES switches off."""
    # /proc/cpuinfo speaks of the host, where a CPU is emulated; numpy asks the CPU, and has no public name for this.
    from numpy._core import _multiarray_umath  # type: ignore[attr-defined]

    features: Mapping[str, bool] = _multiarray_umath.__cpu_features__
    return features


def file_name(target: str) -> str:
    """The name of the library that is compiled from these sources."""
    digest = hashlib.sha256(" ".join((COMPILER, *FLAGS, *TARGETS[target])).encode())
    for source in sorted((*SOURCES.glob("*.h"), *SOURCES.glob("*.c"))):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return f"kernels-{target}-{digest.hexdigest()[:16]}.so"


def folders() -> Iterator[Path]:
    """Where compiled kernels may lie; the last one is where they are put."""
    if named := os.environ.get(FOLDER_VARIABLE):
        yield Path(named)
    yield Path(sys.prefix, "lib", "a3c-bench")


def find(target: str) -> Path | None:
    """The compiled kernels, if there are any."""
    name = file_name(target)
    return next((path for folder in folders() if os.access(path := folder / name, os.R_OK)), None)


def compile_for(target: str, folder: Path) -> Path:
    """Compile for a kind of CPU into `folder`; raises `OSError` where it cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(target)
    descriptor, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=folder)
    os.close(descriptor)
    try:
        _compile(target, partial)
        Path(partial).chmod(0o755)
        Path(partial).replace(path)
    finally:
        with suppress(FileNotFoundError):
            Path(partial).unlink()
    return path


def library(tell: bool = True) -> str:
    """A path under which the kernels for this CPU can be opened, after compiling them if need be.

    Raises `BadInputError` if that is not possible. `tell`: say so where they cannot be kept.
    """
    target = target_of_this_cpu()
    if found := find(target):
        return str(found)
    if find_spec("ziglang") is None:
        raise BadInputError(
            "kernels: they are not compiled yet, and the compiler ziglang is not installed; make setup installs it "
            "(in an image: make image)"
        )
    *_, folder = folders()
    try:
        return str(compile_for(target, folder))
    except OSError as error:
        cause = error.strerror or error
    try:
        path = _compiled_in_memory(target)
    except OSError as error:
        raise BadInputError(
            f"kernels: they can be compiled neither into {folder} ({cause}) nor into a temporary folder "
            f"({error.strerror or error})"
        ) from None
    if tell:
        say(f"kernels: {folder} cannot be written ({cause}): compiled for this run only")
    return path


def _compiled_in_memory(target: str) -> str:
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder:
        content = compile_for(target, Path(folder)).read_bytes()
    # It stays open for as long as the process lives.
    memory = os.memfd_create("kernels of a3c-bench")
    with open(memory, "wb", closefd=False) as file:
        file.write(content)
    return f"/proc/self/fd/{memory}"


def _compile(target: str, path: str) -> None:
    command = [sys.executable, "-m", "ziglang", "cc", *TARGETS[target], *FLAGS, "-o", path, str(SOURCES / "kernels.c")]
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as scratch:
        variables = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        variables |= {"ZIG_LOCAL_CACHE_DIR": scratch, "ZIG_GLOBAL_CACHE_DIR": scratch}
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BadInputError(f"kernels: they cannot be compiled for {target}: {' '.join(done.stderr.split())[:500]}")


def main() -> None:
    """Compile for all kinds of CPU of this architecture, as set-up does."""
    *_, folder = folders()
    for target in targets_of(platform.machine()):
        if find(target) is None:
            start = time.perf_counter()
            compile_for(target, folder)
            print(f"kernels: compiled for {target} in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
