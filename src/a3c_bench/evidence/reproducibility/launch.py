"""Starts the process of a trial as its condition wants it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from a3c_bench.algorithms.registry import own_source
from a3c_bench.config import Config
from a3c_bench.environments.make import describe
from a3c_bench.errors import BadInputError, TrainingError
from a3c_bench.evidence.reproducibility.conditions import Condition
from a3c_bench.evidence.reproducibility.trial import Result, Trial
from a3c_bench.machine import cores
from a3c_bench.numerics import unpinned_environment

EMULATOR = "qemu-x86_64"
NOBODY = 65534
LOOPS_PER_CORE = 2
# What numpy finds in the CPU: tells an emulated one from this machine's.
DETECT = (
    "from numpy._core._multiarray_umath import __cpu_features__ as found;"
    "print(max((name for name in found if found[name] and name.startswith('X86_V')), default='less than X86_V2'))"
)


class Launcher:
    """Runs trials of the params; `folder` is for what they need on disk."""

    def __init__(self, folder: Path, config: Config) -> None:
        self._folder = folder
        # Other users must be able to read it.
        folder.chmod(0o755)
        self._elsewhere = folder / "another folder"
        source = Path(__file__).parents[2]
        for path in {source, *(own for name in config.algorithms if (own := own_source(config.algorithm(name))))}:
            target = self._elsewhere / "src" / path.name
            if path.is_dir():
                shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, target)

    def obstacle(self, condition: Condition) -> str | None:
        """Why a condition cannot be measured here; None if it can."""
        if condition.cpu_model and not shutil.which(EMULATOR):
            return f"{EMULATOR} is not installed"
        try:
            if "env" in condition.changes:
                describe(condition.changes["env"])
        except BadInputError as error:
            return str(error)
        return None

    def note(self, condition: Condition) -> str:
        """What a reader should know of how the condition was made."""
        if condition.elsewhere and not _as_nobody():
            return "another folder only: changing the user needs root and setpriv"
        if condition.cpu_model:
            command = [*self._emulator(condition.cpu_model), sys.executable, "-c", DETECT]
            found = subprocess.run(
                command, capture_output=True, text=True, check=True, env=unpinned_environment(os.environ)
            )
            return f"numpy detects {found.stdout.strip()}"
        return ""

    def run(self, condition: Condition, trial: Trial) -> Result:
        """Run a trial to its end; raises `TrainingError` with what it printed when it fails."""
        command = [sys.executable, "-m", "a3c_bench.evidence.reproducibility.trial"]
        if condition.cpu_model:
            command = [*self._emulator(condition.cpu_model), *command]
        if condition.elsewhere:
            command = [*_as_nobody(), *command]
        with busy_loops(LOOPS_PER_CORE * cores() if condition.loaded else 0):
            process = subprocess.run(
                command,
                input=json.dumps(asdict(trial)),
                capture_output=True,
                text=True,
                check=False,
                cwd=self._elsewhere if condition.elsewhere else None,
                env=self._environment(condition),
            )
        if process.returncode:
            raise TrainingError(f"trial {condition.name!r} ended with exit code {process.returncode}", process.stderr)
        return Result(**json.loads(process.stdout))

    def executable(self, condition: Condition) -> str | None:
        """The program that stands in for Python, so that the workers are emulated too."""
        if not condition.cpu_model:
            return None
        path = self._folder / f"python-{condition.cpu_model}"
        emulator = " ".join(self._emulator(condition.cpu_model))
        path.write_text(f'#!/bin/sh\nexec {emulator} "{sys.executable}" "$@"\n', encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    def _emulator(self, model: str) -> list[str]:
        return [EMULATOR, "-cpu", model]

    def _environment(self, condition: Condition) -> Mapping[str, str]:
        source = self._elsewhere / "src" if condition.elsewhere else Path(__file__).parents[3]
        return {
            **unpinned_environment(os.environ),
            "PYTHONPATH": str(source),
            "PYTHONDONTWRITEBYTECODE": "1",
            **condition.variables,
        }


def _as_nobody() -> list[str]:
    """A command prefix that changes the user; empty where that is not possible.

    Another user may read what root may, so that Python is found wherever it is installed.
    """
    if os.getuid() != 0 or not shutil.which("setpriv"):
        return []
    user = f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"
    return ["setpriv", *user, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


@contextmanager
def busy_loops(count: int) -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    """Keep `count` processes busy beside what runs inside."""
    loops = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield loops
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
