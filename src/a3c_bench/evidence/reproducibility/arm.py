"""`make proof-arm`: training on an emulated ARM64 processor, beside this machine's and beside `dvc.lock`."""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from a3c_bench.config import Config
from a3c_bench.errors import BadInputError, TrainingError
from a3c_bench.evidence.reproducibility import checkout, roots, verify
from a3c_bench.evidence.reproducibility.conditions import Condition, on_arm
from a3c_bench.evidence.reproducibility.launch import Launcher
from a3c_bench.evidence.reproducibility.proof import Row, make_trial
from a3c_bench.params import PARAMS_FILE
from a3c_bench.processes import ending_with_us
from a3c_bench.repository import repository_root

CELLS = "cells"
"""The folder, in a system's, in which whole trainings lie."""


def short(config: Config, cpu_model: str, rounds: int) -> bool:
    """Train every algorithm for `rounds` here and there; returns whether the bits are the same."""
    same = True
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder:
        launcher, emulated = Launcher(Path(folder), config), on_arm(cpu_model)
        problem = launcher.obstacle(emulated)
        if problem:
            raise BadInputError(f"{emulated.name}: {problem}")
        print(f"{emulated.name}: {launcher.note(emulated)}", flush=True)
        for algorithm in config.algorithms:
            rows = [Row(algorithm, replace(row, rounds=rounds)) for row in (Condition("this machine"), emulated)]
            here, there = (launcher.run(row.condition, make_trial(config, row, launcher)).sha256 for row in rows)
            verdict = "the same bits" if here == there else "NOT the same bits"
            print(f"{algorithm}, {rounds} rounds: {verdict}\n  {here} here\n  {there} there", flush=True)
            same = same and here == there
    return same


def whole(algorithm: str, seed: int, cpu_model: str) -> bool:
    """Train a cell there as `params.yaml` says, to its end; returns whether all its files are those of `dvc.lock`.

    It goes on from its last checkpoint where it was interrupted.
    """
    stage = stage_name(algorithm, seed)
    expected = verify.committed_lock(repository_root())
    if stage not in expected:
        raise BadInputError(f"{verify.LOCK} has no {stage}; allowed: an algorithm and a seed that were trained")
    program = roots.make(roots.ARM, cpu_model)
    folder = repository_root() / roots.FOLDER / roots.ARM.name / CELLS / f"{algorithm}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PARAMS_FILE).write_bytes((repository_root() / PARAMS_FILE).read_bytes())
    _train(program, folder, algorithm, seed)
    made = [{"path": out["path"], "md5": _md5(folder / out["path"])} for out in expected[stage]["outs"]]
    compared = list(verify.compare(expected, {stage: {"outs": made}}, [stage]))
    same = all(output.same for output in compared)
    console = Console(soft_wrap=True, highlight=False)
    console.print(verify.table(compared))
    console.print(f"reproduced {sum(output.same for output in compared)} of {len(compared)} on ARM64 ({cpu_model})")
    return same


def _train(program: Path, folder: Path, algorithm: str, seed: int) -> None:
    """The project's own command, in the other system; it ends, with a checkpoint, when this one does."""
    command = [str(program), "-m", "a3c_bench", "train", "--algorithm", algorithm, "--seed", str(seed)]
    with subprocess.Popen(ending_with_us(command), cwd=folder, env=_environment(folder)) as process:
        try:
            process.wait()
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise TrainingError(f"{stage_name(algorithm, seed)} ended with exit code {process.returncode} on ARM64")


def stage_name(algorithm: str, seed: int) -> str:
    """Of the stage that trains a cell."""
    return f"train@{algorithm}-{seed}"


def _environment(folder: Path) -> Mapping[str, Any]:
    own = str(Path(__file__).parents[3])
    # Beside the package, the modules of an algorithm that the params bring.
    return {**checkout.environment(folder), "PYTHONPATH": os.pathsep.join((own, str(repository_root())))}


def _md5(path: Path) -> str | None:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() if path.is_file() else None
