"""Checkpoints on disk: what an interrupted training goes on from.

They hold pickled environments, and unpickling runs code: they are read only where nobody but this user can have written
them.
"""

import hashlib
import io
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from a3c_bench.algorithms.base import Settings
from a3c_bench.algorithms.registry import own_sources
from a3c_bench.config import ENVIRONMENT, Config
from a3c_bench.errors import LostWorkerError, TrainingError, reason, say
from a3c_bench.params import open_plain, source
from a3c_bench.repository import repository_root
from a3c_bench.results import files
from a3c_bench.results.private import PRIVATE, RefusedError, locked, remove, require_own
from a3c_bench.supervision import signals_later
from a3c_bench.training.checkpoint import Checkpoint

FOLDER = PRIVATE / "checkpoints"
SUFFIX, PARTIAL = ".checkpoint", files.PARTIAL
KEPT = 2
"""If the newest is damaged, the one before it is there."""
LIBRARIES = ("gymnasium", "numpy")
SOURCE = Path(__file__).parents[1]
SOURCE_SUFFIXES = {".py", ".c", ".h"}
DECIDING = (
    "algorithms",
    "arrays.py",
    "distributions",
    "environments",
    "kernels",
    "learning",
    "networks",
    "seeding.py",
    "training",
)
"""What of this package decides the bits of a training: no other change of the code makes its checkpoints useless."""


class DamagedError(Exception):
    """A checkpoint is not what was written."""


class Checkpoints:
    """The checkpoints of one training. When it is interrupted, the last one is written; when it is complete, all go."""

    def __init__(
        self, config: Config, algorithm: str, seed: int, fresh: bool = False, seconds: float | None = None
    ) -> None:
        """`fresh`: those that are there already are removed. seconds: between two, if others than the params say."""
        self._seconds, self._fresh = config.checkpoint.seconds if seconds is None else seconds, fresh
        self._turns = config.algorithm(algorithm).turns
        self._identity = identity(config, algorithm, seed)
        self._all = repository_root() / FOLDER
        self._run = f"{algorithm}-seed-{seed}"
        key = hashlib.sha256(json.dumps(self._identity, sort_keys=True).encode()).hexdigest()[:12]
        self._folder = self._all / f"{self._run}-{key}"
        self._due = time.monotonic() + self._seconds
        self._last: Checkpoint | None = None
        self._written: Checkpoint | None = None
        self._lock: int | None = None
        """The folder, locked; None: there are no checkpoints for this training."""
        self._told_of_failure = False

    def __enter__(self) -> "Checkpoints":
        try:
            self._lock = self._locked_folder()
        except BlockingIOError:  # in another folder: an experiment of DVC's queue
            say(f"{self._folder}: another process trains the same; this one makes no checkpoints")
        except (OSError, RefusedError) as error:
            say(f"{reason(error)}; training goes on without checkpoints")
        else:
            for left in self._folder.glob(f"*{PARTIAL}"):
                remove(left)
        return self

    def _locked_folder(self) -> int:
        return locked(self._folder, os.O_RDONLY | os.O_DIRECTORY, (self._all.parent, self._all, self._folder))

    def newest(self) -> Checkpoint | None:
        """The newest one that is whole; says which it is, and what is wrong with newer ones."""
        if self._lock is None:
            return None
        paths = sorted(self._folder.glob(f"*{SUFFIX}"), reverse=True)
        for path in paths:
            if self._fresh:
                remove(path)
                continue
            try:
                self._last = self._written = read(path, self._identity)
            except DamagedError as error:
                say(f"{error}; this checkpoint is removed")
                remove(path)
                continue
            except (OSError, RefusedError) as error:
                say(f"{reason(error)}; this checkpoint is not used")
                continue
            say(f"goes on from the checkpoint at {self._place(self._last)}; --fresh starts over")
            return self._last
        others = [path for path in sorted(self._all.glob(f"{self._run}-*")) if path != self._folder]
        if others and not paths:
            say(f"starts over: the checkpoints in {others[0]} are of other params or another version of the code")
        return None

    def keep(self, checkpoint: Checkpoint) -> None:
        """Remember it, and write it when it is time to; training goes on when that fails."""
        self._last = checkpoint
        if time.monotonic() >= self._due:
            self._write_last()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is None:
            return
        # Told again by the same loss under the same params, a training would only end the same way again.
        hopeless = isinstance(error, TrainingError) and not isinstance(error, LostWorkerError)
        with signals_later(ending=error is not None):
            if error is None:
                shutil.rmtree(self._folder, ignore_errors=True)
            elif self._last is not None and self._write_last() and not hopeless:
                error.add_note(f"its checkpoint is at {self._place(self._last)}: the same command goes on from there")
            # They stay where others' checkpoints are in them.
            for folder in (self._folder, self._all, self._all.parent):
                with suppress(OSError):
                    folder.rmdir()
        if self._lock is not None:
            os.close(self._lock)

    def _make_folder_again(self) -> None:
        """Where somebody has removed it while training ran."""
        if self._lock is None or os.fstat(self._lock).st_nlink:
            return
        os.close(self._lock)
        self._lock = self._written = None
        self._lock = self._locked_folder()
        say(f"{self._folder}: was removed while training ran; it is made again")

    def _place(self, checkpoint: Checkpoint) -> str:
        return f"turn {checkpoint.turn:,} of {self._turns:,}"

    def _write_last(self) -> bool:
        """Whether the last checkpoint is on disk; that it cannot be is said once."""
        if self._last is not None and self._last is not self._written and self._lock is not None:
            self._due = time.monotonic() + self._seconds
            try:
                self._make_folder_again()
                write(self._folder / f"{self._last.turn:09d}{SUFFIX}", self._last, self._identity)
            except (OSError, RefusedError) as error:
                if not self._told_of_failure:
                    say(f"a checkpoint cannot be written ({reason(error)}); training goes on")
                    self._told_of_failure = True
                return False
            self._written = self._last
            for old in sorted(self._folder.glob(f"*{SUFFIX}"))[:-KEPT]:
                remove(old)
        return self._written is not None and self._written is self._last


@contextmanager
def copies(config: Config, algorithm: str, seed: int) -> Iterator[Callable[[Checkpoint], None]]:
    """Keep another host's checkpoints here, each as it comes: this machine can take its place."""
    with Checkpoints(config, algorithm, seed, seconds=0) as kept:
        yield kept.keep


def identity(config: Config, algorithm: str, seed: int) -> dict[str, Any]:
    """What decides the bits of a training, and the version of the code: a checkpoint must agree with all of it.

    The number of workers is not among it: a training may go on with another.
    """
    return {
        "algorithm": algorithm,
        "seed": seed,
        "settings": config.algorithm(algorithm).model_dump(mode="json"),
        **config.model_dump(mode="json", include={*ENVIRONMENT, "schedule"}),
        "code": code_version(),
        "own_code": own_code_version(config, config.algorithm(algorithm)),
        "python": platform.python_version(),
        **{library: version(library) for library in (*LIBRARIES, *config.algorithm(algorithm).libraries)},
    }


def code_version(source: Path = SOURCE) -> str:
    """The SHA-256 of what of the package at `source` decides the bits of a training."""
    return source_version(source, [source / name for name in DECIDING])


def own_code_version(config: Config, settings: Settings) -> str | None:
    """The SHA-256 of the packages and modules of one's own that it takes anything from; None if there are none."""
    versions = [source_version(path.parent, [path]) for path in sorted({*own_places(config, settings).values()})]
    return " ".join(versions) or None


def own_places(config: Config, settings: Settings) -> dict[str, Path]:
    """Those packages, which are folders, and modules, of environment and section, by the key that names each."""
    named = {"env": config.env, **{f"wrappers.{place}": target for place, target in enumerate(config.wrappers)}}
    found = {key: source(target) for key, target in named.items() if ":" in target} | own_sources(settings)
    # The current folder: nothing was found there.
    return {key: path for key, path in found.items() if path not in {SOURCE, Path.cwd()}}


def source_version(root: Path, places: Iterable[Path]) -> str:
    """The SHA-256 of the sources at `places`, files or folders, by their paths below `root`."""
    digest = hashlib.sha256()
    sources = {path for place in places for path in (place, *place.rglob("*")) if path.suffix in SOURCE_SUFFIXES}
    for path in sorted(path for path in sources if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def write(path: Path, checkpoint: Checkpoint, about: dict[str, Any]) -> None:
    """Write a checkpoint whole, for this user's eyes only: one line of JSON, then the arrays.

    The line has what the checkpoint is of, and the checksum of that and of the arrays.
    """
    buffer = io.BytesIO()
    np.savez(buffer, **vars(checkpoint))
    content = buffer.getbuffer()
    header = {"identity": about, "sha256": checksum(about, content)}
    whole = b"".join((json.dumps(header).encode(), b"\n", content))
    with files.complete({path: whole}, 0o600) as partials:
        partials[path].replace(path)


def read(path: Path, about: dict[str, Any]) -> Checkpoint:
    """Read a checkpoint.

    Raises `DamagedError` if it is not whole, `RefusedError` if it is not surely this user's own.
    """
    with open_plain(path, os.O_NOFOLLOW) as file:
        status = os.fstat(file.fileno())
        if status.st_nlink != 1:
            raise RefusedError(f"{path}: not a plain file of its own")
        require_own(path, status)
        line, content = file.readline(), file.read()
    try:
        header = json.loads(line)
        whole = header["sha256"] == checksum(header["identity"], content) and header["identity"] == about
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise DamagedError(f"{path}: damaged (its checksum does not fit)")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Checkpoint(**arrays)


def checksum(about: dict[str, Any], content: bytes | memoryview) -> str:
    """The SHA-256 of a checkpoint: of what it is of, and of its arrays."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    digest.update(content)
    return digest.hexdigest()
