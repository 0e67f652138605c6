"""Starts the process of a trial as its condition wants it."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from a3c_bench.algorithms.registry import own_sources
from a3c_bench.config import Config
from a3c_bench.environments.make import describe
from a3c_bench.errors import BadInputError, TrainingError
from a3c_bench.evidence.reproducibility import roots
from a3c_bench.evidence.reproducibility.conditions import Condition
from a3c_bench.evidence.reproducibility.trial import Result, Trial
from a3c_bench.machine import cores
from a3c_bench.math_threads import without_limit

EMULATOR = "qemu-x86_64"
NOBODY = 65534
LOOPS_PER_CORE = 2
PROBE, TRIAL = (f"a3c_bench.evidence.reproducibility.{name}" for name in ("probe", "trial"))


class Launcher:
    """Runs trials of the params; `folder` is for what they need on disk."""

    def __init__(self, folder: Path, config: Config) -> None:
        self._folder = folder
        self._recipe = config.recipe
        self._obstacles: dict[str, str | None] = {}
        # Other users must be able to read it.
        folder.chmod(0o755)
        self._elsewhere = folder / "another folder"
        source = Path(__file__).parents[2]
        own = {path for name in config.algorithms for path in own_sources(config.algorithm(name)).values()}
        for path in {source, *own}:
            target = self._elsewhere / "src" / path.name
            if path.is_dir():
                shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, target)

    def obstacle(self, condition: Condition) -> str | None:
        """Why a condition cannot be measured here; None if it can. It is found out once."""
        if condition.name not in self._obstacles:
            try:
                self._require(condition)
                self._obstacles[condition.name] = None
            except BadInputError as error:
                self._obstacles[condition.name] = str(error)
        return self._obstacles[condition.name]

    def note(self, condition: Condition) -> str:
        """What a reader should know of how the condition was made."""
        if condition.elsewhere and not _as_nobody():
            return "another folder only: changing the user needs root and setpriv"
        if condition.system:
            return "Python {python}, glibc {glibc}, kernels for {kernels}".format(**self._probe(condition))
        if "OPENBLAS_CORETYPE" in condition.variables:
            return "OpenBLAS runs {openblas}".format(**self._probe(condition))
        if condition.cpu_model or "NPY_DISABLE_CPU_FEATURES" in condition.variables:
            return "kernels for {kernels}".format(**self._probe(condition))
        return ""

    def _require(self, condition: Condition) -> None:
        """Raise `BadInputError` where it cannot be measured here."""
        if condition.system:
            roots.make(condition.system, condition.cpu_model)
            self._probe(condition)
        elif condition.cpu_model and platform.machine() != "x86_64":
            raise BadInputError("this Python is emulated on an x86-64 machine only")
        elif condition.cpu_model and not shutil.which(EMULATOR):
            raise BadInputError(f"{EMULATOR} is not installed")
        if "env" in condition.changes:
            describe(condition.changes["env"])

    def _probe(self, condition: Condition) -> dict[str, str]:
        command = [self.executable(condition) or sys.executable, "-m", PROBE, json.dumps(asdict(self._recipe))]
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment(condition))
        if result.returncode:
            raise BadInputError((result.stderr.splitlines() or [f"exit code {result.returncode}"])[-1])
        found: dict[str, str] = json.loads(result.stdout)
        return found

    def run(self, condition: Condition, trial: Trial) -> Result:
        """Run a trial to its end; raises `TrainingError` with what it printed when it fails."""
        command = [self.executable(condition) or sys.executable, "-m", TRIAL]
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
            last = (process.stderr.splitlines() or ["nothing was said"])[-1]
            message = f"trial {condition.name!r} ended with exit code {process.returncode} ({last})"
            raise TrainingError(message, process.stderr)
        return Result(**json.loads(process.stdout))

    def executable(self, condition: Condition) -> str | None:
        """The program that stands in for Python, so that the workers are emulated too."""
        if condition.system:
            return str(roots.make(condition.system, condition.cpu_model))
        if not condition.cpu_model:
            return None
        path = self._folder / f"python-{condition.cpu_model}"
        path.write_text(
            f'#!/bin/sh\nexec {EMULATOR} -cpu {condition.cpu_model} "{sys.executable}" "$@"\n', encoding="utf-8"
        )
        path.chmod(0o755)
        return str(path)

    def _environment(self, condition: Condition) -> Mapping[str, str]:
        source = self._elsewhere / "src" if condition.elsewhere else Path(__file__).parents[3]
        return {
            **without_limit(os.environ),
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
