"""The two revisions that are compared, each checked out into a git worktree of its own."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from a3c_bench import repository
from a3c_bench.errors import BadInputError
from a3c_bench.repository import git

MAIN_BRANCHES = ("origin/main", "main", "origin/master", "master")
SUITE = Path("tests") / "benchmarks"
DOCUMENTS = (".md", ".txt", ".rst", "dvc.lock")
DOCUMENT_FOLDERS = ("reports/", "docs/", ".github/")


@dataclass(frozen=True)
class Revision:
    """A commit, and what the user calls it."""

    name: str
    commit: str

    def __str__(self) -> str:
        return self.commit[:7] if self.commit.startswith(self.name) else f"{self.name} ({self.commit[:7]})"


def resolve(name: str) -> Revision:
    """The commit of `name`; raises `BadInputError` if there is none."""
    try:
        return Revision(name, repository.resolve(name))
    except ValueError as error:
        raise BadInputError(f"BASE: {error}") from None


def default_base() -> Revision:
    """Where the current commit left the main branch."""
    for branch in MAIN_BRANCHES:
        if subprocess.run(["git", "rev-parse", "--verify", "--quiet", branch], capture_output=True, check=False).stdout:
            return resolve(git("merge-base", "HEAD", branch))
    raise BadInputError(f"BASE: there is no main branch here ({', '.join(MAIN_BRANCHES)}); name the revision: BASE=…")


def require_clean() -> None:
    """Raise `BadInputError` if files that can change a speed were changed: what is judged is a commit."""
    changed = [name for name in git("diff", "--name-only", "HEAD").splitlines() if not only_documents([name])]
    if changed:
        raise BadInputError(f"{changed[0]}: {len(changed)} file(s) are not committed; commit or stash them first")


def changed_files(base: Revision, head: Revision) -> list[str]:
    """What differs between two commits."""
    return git("diff", "--name-only", base.commit, head.commit).splitlines()


def only_documents(files: Sequence[str]) -> bool:
    """Whether nothing among `files` can change a speed."""
    return all(name.endswith(DOCUMENTS) or name.startswith(DOCUMENT_FOLDERS) for name in files)


@contextmanager
def worktrees(*revisions: Revision) -> Iterator[list[Path]]:
    """A folder for each revision, with names of one length: a path's length moves what lies behind it in memory."""
    with tempfile.TemporaryDirectory(prefix="a3c-bench-", ignore_cleanup_errors=True) as folder:
        paths = [Path(folder) / f"revision-{number}" for number, _ in enumerate(revisions)]
        try:
            for path, revision in zip(paths, revisions, strict=True):
                git("worktree", "add", "--quiet", "--detach", str(path), revision.commit)
            yield paths
        finally:
            for path in paths:
                subprocess.run(["git", "worktree", "remove", "--force", str(path)], capture_output=True, check=False)
