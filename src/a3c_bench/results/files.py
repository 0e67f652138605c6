"""Where the stages' files lie, and how they are written: canonically, and all of a stage's or none."""

import csv
import errno
import fcntl
import glob
import hashlib
import io
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from a3c_bench.errors import BadInputError
from a3c_bench.params import open_plain, read_plain
from a3c_bench.supervision import signals_later

Moment = Literal["early", "half", "end"]
"""Early: after a twentieth of the turns."""
REPORTS = Path("reports")
MACHINE = REPORTS / "machine" / "machine.json"
PROFILE = REPORTS / "profile"
PROOF = REPORTS / "reproducibility" / "proof.csv"
PROOF_ABOUT = REPORTS / "reproducibility" / "about.json"
SCHEDULE_RUNS = REPORTS / "reproducibility" / "schedule-runs.csv"
SCHEDULE_CURVES = REPORTS / "reproducibility" / "schedule-curves.csv"
ENVIRONMENTS = REPORTS / "reproducibility" / "environments.csv"
PRICE = REPORTS / "reproducibility" / "price.csv"
SCHEDULES = REPORTS / "reproducibility" / "schedules.csv"
FAULTS = REPORTS / "reproducibility" / "faults.csv"
FAULTS_ABOUT = REPORTS / "reproducibility" / "faults-about.json"
BAD_INPUTS = REPORTS / "reproducibility" / "bad-inputs.csv"
BAD_INPUTS_ABOUT = REPORTS / "reproducibility" / "bad-inputs-about.json"
GATE = REPORTS / "gate" / "gate.csv"
GATE_RUNS = REPORTS / "gate" / "runs.csv"
SEARCH = REPORTS / "speed" / "search.csv"
SPEED = REPORTS / "speed" / "speed.csv"
SPEED_ABOUT = REPORTS / "speed" / "about.json"
PEERS = REPORTS / "peers" / "peers.csv"
PEERS_ABOUT = REPORTS / "peers" / "about.json"
PEER_RUNS = REPORTS / "peers" / "runs.csv"
PEER_FIGURE = REPORTS / "peers" / "peers"
PARTIAL = ".partial"


def model_path(algorithm: str, seed: int, moment: Moment = "end") -> Path:
    """The model of a seed at a moment of its training."""
    return Path("models") / algorithm / f"seed-{seed}{'' if moment == 'end' else f'-{moment}'}.safetensors"


def film_path(algorithm: str) -> Path:
    """An episode early in training, half-way and at its end, side by side."""
    return REPORTS / "film" / f"{algorithm}.webp"


def train_folder(algorithm: str, seed: int) -> Path:
    """What training a seed leaves behind, the model apart."""
    return REPORTS / "train" / algorithm / f"seed-{seed}"


def evaluate_folder(algorithm: str, seed: int) -> Path:
    """What evaluating a seed leaves behind."""
    return REPORTS / "evaluate" / algorithm / f"seed-{seed}"


def write_all(files: Mapping[Path, bytes]) -> None:
    """Write every file whole: all are complete under temporary names before the first gets its own."""
    try:
        for path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
        with complete(files) as partials, signals_later():
            for path, partial in partials.items():
                partial.replace(path)
    except OSError as error:
        name = error.filename2 or error.filename
        raise BadInputError(
            f"{name}: cannot be written ({error.strerror}); the stage's results are not complete"
        ) from None


@contextmanager
def complete(files: Mapping[Path, bytes], mode: int = 0o666) -> Iterator[dict[Path, Path]]:
    """The temporary names under which the files are complete; those that are left at the end are removed."""
    for path in files:
        if path.is_dir() and not path.is_symlink():
            raise IsADirectoryError(errno.EISDIR, "a folder has its name", str(path))
    with ExitStack() as stack:
        partials = {}
        for path, content in files.items():
            _remove_stale(path)
            try:
                partials[path] = stack.enter_context(_partial(path, content, mode))
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from None
        yield partials


@contextmanager
def _partial(path: Path, content: bytes, mode: int) -> Iterator[Path]:
    partial, file = _create_beside(path, mode)
    try:
        with file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            yield partial
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _create_beside(path: Path, mode: int) -> tuple[Path, BinaryIO]:
    """A new file under a name that nobody can guess, locked: one that is not locked was left by a writer that died."""
    while True:
        partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}{PARTIAL}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        file = os.fdopen(os.open(partial, flags, mode), "wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        except OSError:  # a file system without locks: nothing is taken for stale there
            return partial, file
        else:
            if os.fstat(file.fileno()).st_nlink:
                return partial, file
        # Before it was locked, another writer took it for stale.
        file.close()


def _remove_stale(path: Path) -> None:
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{PARTIAL}"):
        with suppress(OSError), open_plain(left, os.O_NOFOLLOW) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def json_bytes(content: object) -> bytes:
    """Canonical JSON: sorted keys, two spaces, a newline at the end; NaN and infinities are refused."""
    return (json.dumps(content, sort_keys=True, indent=2, allow_nan=False) + "\n").encode()


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Canonical CSV: floats in the shortest form that reads back as the same number, `\\n` after every row."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return buffer.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, np.generic):
        value = value.item()
    return repr(value) if isinstance(value, float) else str(value)


def sha256(content: bytes) -> str:
    """The SHA-256 of `content`, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read_json(path: Path) -> Any:
    """Parsed JSON; raises `BadInputError` that tells how to bring the file back."""
    try:
        return json.loads(read_plain(path))
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: Exception) -> BadInputError:
    """The error for an input file that is missing or damaged."""
    reason = (error.strerror if isinstance(error, OSError) else None) or f"damaged: {error}"
    if isinstance(error, FileNotFoundError):
        reason = "missing"
    return BadInputError(
        f"{path}: cannot be read ({' '.join(reason.split())}); `make repro` makes it again, "
        "`git checkout` and `dvc checkout` bring back what DVC removed"
    )
