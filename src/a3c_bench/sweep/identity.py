"""What must be the same on every machine that makes cells: the code, the pinned packages, and Python.

As a program it tells its own, as JSON: of the packages and modules that it reads, as JSON too, from standard input.
"""

import json
import platform
import sys
from collections.abc import Iterable, Mapping
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from a3c_bench.params import source
from a3c_bench.results.checkpoints import source_version

PACKAGE = Path(__file__).parents[1]
SUFFIXES = {".py", ".c", ".h", ".yaml"}
PYTHON, MISSING = "Python", "missing"
SHOWN = 3
"""Of what differs."""


def pinned(lock: Path) -> list[str]:
    """The packages that a lock file pins; none where it is not there."""
    lines = lock.read_text(encoding="utf-8").splitlines() if lock.exists() else []
    return [line.partition("==")[0] for line in lines if "==" in line and line[0].isalnum()]


def identity(packages: Iterable[str], own: Iterable[str] = (), package: Path = PACKAGE) -> dict[str, str]:
    """The version of Python and of the packages, and SHA-256 of every file of this project's code, by their names.

    own: modules of somebody's own, which come in as a whole each.
    """
    paths = sorted(path for path in package.rglob("*") if path.suffix in SUFFIXES)
    return {
        PYTHON: platform.python_version(),
        **{name: _version(name) for name in packages},
        **own_identity(own),
        **{path.relative_to(package).as_posix(): sha256(path.read_bytes()).hexdigest() for path in paths},
    }


def own_identity(own: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of modules of somebody's own, by their names."""
    return {f"{name}.py": _own_version(name) for name in own}


def _version(package: str) -> str:
    """Without the suffix of a local build."""
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return MISSING


def _own_version(module: str) -> str:
    path = source(module)
    # The current folder: nothing was found there.
    return MISSING if path == Path.cwd() else source_version(path.parent, [path])


def difference(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """What is not the same there, in words; empty where all of it is."""
    names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
    words = [_words(name, here.get(name, MISSING), there.get(name, MISSING)) for name in names[:SHOWN]]
    return ", ".join([*words, *([f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else [])])


def _words(name: str, here: str, there: str) -> str:
    if Path(name).suffix in SUFFIXES:
        return f"{name} {'is missing' if there == MISSING else 'differs'}"
    return f"{name} is {there} in place of {here}"


if __name__ == "__main__":
    print(json.dumps(identity(**json.load(sys.stdin))))
