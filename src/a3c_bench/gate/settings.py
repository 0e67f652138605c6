"""What the gate is told: where the benchmarks are, and how they are run."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

USUAL_FOLDERS = ("tests/benchmarks", "benchmarks", "tests/benchmark", "benchmark", "bench", "tests")


class GateError(Exception):
    """Nothing can be judged: the message names what is wrong and what to do (exit code 2)."""


@dataclass(frozen=True)
class Settings:
    """How two revisions of a repository are timed; the defaults suit a small one."""

    base: str | None = None
    """The revision to compare with; None: where the current commit left the main branch."""
    benchmarks: str | None = None
    """A file or folder, from the repository's root; None: the first of the usual folders that is there."""
    select: str | None = None
    """Only benchmarks with this in their name."""
    budget: float = 330.0
    """Seconds to spend; what looks slower is timed for up to `longest`."""
    longest: float = 465.0
    output: Path = Path("bench-check")
    python: str = sys.executable
    """The interpreter that runs the benchmarks, with what they need installed."""
    prepare: str | None = None
    """A shell command for each checkout, before it is timed: what compiles an extension, say."""
    pytest: Sequence[str] = ()
    """More options for pytest; those of the repository's `addopts` are not used."""
    work: str = "work"
    """The key of `benchmark.extra_info` that says how much a call did: the ratio is for the same work."""
    documents: Sequence[str] = (".md", ".rst", ".txt", "docs/", ".github/")
    """Endings of files, and folders, that cannot change a speed."""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def folder(self, checkout: Path) -> str | None:
        """Where the benchmarks of a checkout are; None where there are none."""
        wanted = [self.benchmarks] if self.benchmarks else USUAL_FOLDERS
        return next((name for name in wanted if (checkout / name).exists()), None)

    def is_document(self, name: str) -> bool:
        """Whether a file cannot change a speed."""
        return any(name.startswith(one) if one.endswith("/") else name.endswith(one) for one in self.documents)
