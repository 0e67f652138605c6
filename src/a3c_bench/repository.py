"""The git repository whose stages run."""

import os
import subprocess
from pathlib import Path

from a3c_bench.errors import BadInputError

INPUTS = ("src", "params.yaml", "dvc.yaml", "requirements.lock")
"""What the stages' results depend on."""


def repository_root() -> Path:
    """The repository that DVC names, which runs queued experiments in a temporary folder; else the current folder."""
    return Path(os.environ.get("DVC_ROOT") or Path.cwd())


def git(*arguments: str) -> str:
    """What a git command prints here; raises `BadInputError` when it fails."""
    try:
        return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        raise BadInputError("git: not found; install it") from None
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split())
        raise BadInputError(f"git {arguments[0]} failed ({reason}); run from the root of a git repository") from None


def content_at(commit: str, path: Path, repository: Path | None = None) -> str | None:
    """The content of a file at a commit; None where it has none, or there is no git."""
    command = ["git", "show", f"{commit}:{path.as_posix()}"]
    try:
        result = subprocess.run(command, cwd=repository, capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return result.stdout.decode() if result.returncode == 0 else None


def resolve(name: str) -> str:
    """The commit of a branch, a tag or a hash; raises `ValueError` if there is none."""
    command = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ValueError(f"{name!r} is not a commit here; allowed: a branch, a tag or a commit's hash")
    return result.stdout.strip()


def git_commit() -> str:
    """The commit that is checked out; `unknown` where there is no git or no repository."""
    try:
        return git("rev-parse", "HEAD")
    except BadInputError:
        return "unknown"


def last_commit() -> str:
    """The last commit that touched the stages' inputs, marked if they have changed since."""
    try:
        commit = git("log", "-1", "--format=%h", "--", *INPUTS)
        changed = git("status", "--porcelain", "--", *INPUTS)
    except BadInputError:
        return "unknown"
    return f"{commit or 'unknown'}{' with uncommitted changes' if changed else ''}"
