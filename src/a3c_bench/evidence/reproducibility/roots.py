"""Other systems that training is run in: another processor, C library or Python, each in a folder of its own.

Nothing is installed and no root is changed: Debian's packages are unpacked, and the program is started with its own
loader (through an emulator, where the processor is another). Only what training CartPole needs is in them.
"""

import fcntl
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from a3c_bench.errors import BadInputError, say
from a3c_bench.evidence.reproducibility import debian
from a3c_bench.kernels import build
from a3c_bench.repository import repository_root
from a3c_bench.results.private import PRIVATE

FOLDER = PRIVATE / "roots"
LOCK = Path("requirements.lock")
NEEDED = (
    *("gymnasium", "numpy", "cloudpickle", "farama-notifications"),
    *("pydantic", "pydantic-core", "annotated-types", "typing-extensions", "typing-inspection"),
    *("ruamel-yaml", "safetensors", "threadpoolctl"),
    *("typer", "click", "shellingham", "annotated-doc", "rich", "markdown-it-py", "mdurl", "pygments"),
)
"""The packages of a training: neither torch, nor MLflow, DVC or scipy."""
EMULATORS = {"x86_64": "qemu-x86_64", "aarch64": "qemu-aarch64"}
MINORS = range(17, 35)
"""Of the versions of glibc 2 that wheels are built for."""
PROGRAM_VARIABLE = "A3C_BENCH_PROGRAM"
CUSTOMIZED = f"""import os, sys
# What is started from here is to be in the same system.
sys.executable = os.environ["{PROGRAM_VARIABLE}"]
"""


@dataclass(frozen=True)
class System:
    """A Python in the environment that it runs in."""

    name: str
    """Of its folder."""
    python: str
    """Its version, as in `3.11`."""
    suite: str | None = None
    """The Debian release whose packages it is of; None for this system itself."""
    machine: str = platform.machine()


ARM = System("debian-12-arm64", "3.11", "bookworm", "aarch64")
DEBIAN_13 = System("debian-13", "3.13", "trixie")
PYTHONS = tuple(System(f"python-{version}", version) for version in ("3.11", "3.12", "3.13"))


def make(system: System, cpu_model: str | None = None) -> Path:
    """Make what is missing of a system; returns the program that stands for its Python, on an emulated `cpu_model`.

    Raises `BadInputError` where it cannot be made here: no tool, no network.
    """
    folder = (repository_root() / FOLDER / system.name).resolve()
    emulator = _emulator(system, cpu_model)
    if emulator and not shutil.which(emulator[0]):
        raise BadInputError(f"{emulator[0]} is not installed")
    folder.parent.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if system.suite is None:
            start = [str(_installed(system.python))]
        else:
            _extract(system, folder / "system")
            start = _start(system, folder / "system", emulator)
        _install(system, folder / "packages")
        program = folder / f"python-{cpu_model or system.python}"
        variables = {
            "PYTHONHOME": _home(system, folder / "system", emulator),
            "PYTHONNOUSERSITE": "1",
            PROGRAM_VARIABLE: program,
            build.FOLDER_VARIABLE: _compile(system, folder / "kernels"),
        }
        _write_script(program, start, folder / "packages", variables)
    return program


def _extract(system: System, target: Path) -> None:
    if target.is_dir():
        return
    assert system.suite is not None
    problem = debian.obstacle()
    if problem:
        raise BadInputError(problem)
    say(f"{system.name}: unpacks Python {system.python} of Debian's {system.suite} for {system.machine}")
    partial = _emptied(target)
    debian.extract(system.suite, system.machine, [f"python{system.python}", "libstdc++6"], partial)
    partial.replace(target)


def _install(system: System, target: Path) -> None:
    """The locked versions of what is needed, as wheels; again, where the lock has changed."""
    wanted, stamp = "".join(f"{line}\n" for line in _locked()), target / "requirements.txt"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    say(f"{system.name}: installs {len(NEEDED)} packages for Python {system.python} on {system.machine}")
    partial = _emptied(target)
    partial.mkdir()
    (partial / stamp.name).write_text(wanted, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--no-compile"]
    command += ["--disable-pip-version-check", "--python-version", system.python, "--implementation", "cp"]
    for tag in (f"manylinux2014_{system.machine}", *(f"manylinux_2_{minor}_{system.machine}" for minor in MINORS)):
        command += ["--platform", tag]
    command += ["--target", str(partial), "--requirement", str(partial / stamp.name)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        said = [line for line in result.stderr.splitlines() if line.startswith("ERROR: ")]
        raise BadInputError(f"pip: {(said or ['failed'])[-1].removeprefix('ERROR: ')}")
    (partial / "sitecustomize.py").write_text(CUSTOMIZED, encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)


def _emptied(target: Path) -> Path:
    """Where `target` is made, so that it is whole once it has its name."""
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    return partial


def _locked() -> Iterator[str]:
    lines = (repository_root() / LOCK).read_text(encoding="utf-8").splitlines()
    versions = {line.partition("==")[0].replace(".", "-"): line for line in lines if "==" in line}
    yield from (versions[name] for name in NEEDED)


def _installed(version: str) -> Path:
    """A Python of this version on this machine, in the search path or among those of pyenv: not a virtual one."""
    found = shutil.which(f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for path in (*([Path(found)] if found else []), *sorted(pyenv.glob(f"{version}.*/bin/python{version}"))):
        # One of pyenv's stand-ins runs only where that version is chosen.
        command = [str(path), "-c", "import sys; print(sys._base_executable)"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return Path(result.stdout.strip())
    raise BadInputError(f"python{version} is not installed")


def _emulator(system: System, cpu_model: str | None) -> list[str]:
    """What comes before a program; nothing where it runs as it is."""
    if cpu_model is None and system.machine == platform.machine():
        return []
    return [EMULATORS[system.machine], *(("-cpu", cpu_model) if cpu_model else ())]


def _start(system: System, root: Path, emulator: Sequence[str]) -> list[str]:
    program = str(root / f"usr/bin/python{system.python}")
    if emulator:
        return [*emulator, "-L", str(root), program]
    loader = next(
        path for place in ("usr/lib64", "lib64", "usr/lib", "lib") for path in root.glob(f"{place}/ld-linux-*")
    )
    libraries = [f"{root}/{place}/{system.machine}-linux-gnu" for place in ("usr/lib", "lib")]
    return [str(loader), "--library-path", os.pathsep.join(libraries), program]


def _home(system: System, root: Path, emulator: Sequence[str]) -> str | None:
    """Where its Python finds its own modules; None where it knows. An emulator looks below the root by itself."""
    if system.suite is None:
        return None
    return "/usr" if emulator else str(root / "usr")


def _compile(system: System, target: Path) -> Path:
    """The compiled kernels, since the system has no compiler."""
    for kind in build.targets_of(system.machine):
        if not (target / build.file_name(kind)).is_file():
            build.compile_for(kind, target)
    return target


def _write_script(
    program: Path, start: Sequence[str], packages: Path, variables: Mapping[str, Path | str | None]
) -> None:
    """A program that starts another, and what that starts in turn, in the same system."""
    lines = [f"export {name}={shlex.quote(str(value))}" for name, value in variables.items() if value is not None]
    path = f'export PYTHONPATH={shlex.quote(str(packages))}"${{PYTHONPATH:+:$PYTHONPATH}}"'
    content = "\n".join(["#!/bin/sh", *lines, path, f'exec {shlex.join(start)} "$@"', ""])
    if program.is_file() and program.read_text(encoding="utf-8") == content:
        return
    program.write_text(content, encoding="utf-8")
    program.chmod(0o755)
