"""The two revisions that are compared, each checked out into a git worktree of its own."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from a3c_bench.gate.settings import GateError, Settings

MAIN_BRANCHES = ("origin/main", "main", "origin/master", "master")


@dataclass(frozen=True)
class Revision:
    """A commit, and what the user calls it."""

    name: str
    commit: str

    def __str__(self) -> str:
        return self.commit[:7] if self.commit.startswith(self.name) else f"{self.name} ({self.commit[:7]})"


def git(*arguments: str) -> str:
    """What a git command prints here; raises `GateError` when it fails."""
    try:
        return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        raise GateError("git: not found; install it") from None
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split())
        raise GateError(f"git {arguments[0]} failed ({said}); run in a git repository") from None


def resolve(name: str) -> Revision:
    """The commit of `name`; raises `GateError` if there is none."""
    command = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise GateError(f"base: {name!r} is not a commit here; allowed: a branch, a tag or a commit's hash")
    return Revision(name, found.stdout.strip())


def default_base() -> Revision:
    """Where the current commit left the main branch."""
    for branch in MAIN_BRANCHES:
        if subprocess.run(["git", "rev-parse", "--verify", "--quiet", branch], capture_output=True, check=False).stdout:
            return resolve(git("merge-base", "HEAD", branch))
    raise GateError(f"base: there is no main branch here ({', '.join(MAIN_BRANCHES)}); name the revision")


def require_clean(settings: Settings) -> None:
    """Raise `GateError` if files that can change a speed were changed: what is judged is a commit."""
    changed = [name for name in git("diff", "--name-only", "HEAD").splitlines() if not settings.is_document(name)]
    if changed:
        raise GateError(f"{changed[0]}: {len(changed)} file(s) are not committed; commit or stash them first")


def changed_files(base: Revision, head: Revision) -> list[str]:
    """What differs between two commits."""
    return git("diff", "--name-only", base.commit, head.commit).splitlines()


@contextmanager
def worktrees(*revisions: Revision) -> Iterator[list[Path]]:
    """A folder for each revision, with names of one length: a path's length moves what lies behind it in memory."""
    with tempfile.TemporaryDirectory(prefix="bench-check-", ignore_cleanup_errors=True) as folder:
        paths = [Path(folder).resolve() / f"revision-{number}" for number, _ in enumerate(revisions)]
        try:
            for path, revision in zip(paths, revisions, strict=True):
                git("worktree", "add", "--quiet", "--detach", str(path), revision.commit)
            yield paths
        finally:
            for path in paths:
                subprocess.run(["git", "worktree", "remove", "--force", str(path)], capture_output=True, check=False)
