"""Where the stages' files lie, and how they are written: canonically, and all of a stage's or none."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np

from a3c_bench.errors import BadInputError
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
PRICE = REPORTS / "reproducibility" / "price.csv"
SCHEDULES = REPORTS / "reproducibility" / "schedules.csv"
FAULTS = REPORTS / "reproducibility" / "faults.csv"
FAULTS_ABOUT = REPORTS / "reproducibility" / "faults-about.json"
BAD_INPUTS = REPORTS / "reproducibility" / "bad-inputs.csv"
GATE = REPORTS / "gate" / "gate.csv"
GATE_RUNS = REPORTS / "gate" / "runs.csv"
SEARCH = REPORTS / "speed" / "search.csv"
SPEED = REPORTS / "speed" / "speed.csv"
SPEED_ABOUT = REPORTS / "speed" / "about.json"
PEERS = REPORTS / "peers" / "peers.csv"
PEERS_ABOUT = REPORTS / "peers" / "about.json"
PEER_RUNS = REPORTS / "peers" / "runs.csv"
PEER_FIGURE = REPORTS / "peers" / "peers"


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
    temporary = {path: path.with_name(f".{path.name}.partial") for path in files}
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary[path].open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        with signals_later():
            for path, partial in temporary.items():
                partial.replace(path)
    except OSError as error:
        raise BadInputError(
            f"{error.filename or path}: cannot be written ({error.strerror}); the stage's results are not complete"
        ) from None
    finally:
        for partial in temporary.values():
            with suppress(OSError):
                partial.unlink(missing_ok=True)


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
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: Exception) -> BadInputError:
    """The error for an input file that is missing or damaged."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "damaged: " + str(error)
    return BadInputError(
        f"{path}: cannot be read ({' '.join(str(reason).split())}); `make repro` makes it again, "
        "`git checkout` and `dvc checkout` bring back what DVC removed"
    )
