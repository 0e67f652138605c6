"""The files of another Debian system, from the package sources of this one."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from a3c_bench.errors import BadInputError

APT = Path("/etc/apt")
TOOL = "mmdebstrap"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Debian's names of machines."""
COMPONENT = "main"


def obstacle() -> str | None:
    """Why no system can be made here; None if it can."""
    if not shutil.which(TOOL):
        return f"{TOOL} is not installed"
    if not list(_sources(_codename(), APT)):
        return f"{APT} has no sources of a Debian system"
    return None


def extract(suite: str, machine: str, packages: Sequence[str], folder: Path) -> None:
    """Unpack `packages` of a Debian release, and what they depend on, into `folder`; raises `BadInputError`.

    Nothing in it is run: no right to change the root is needed, and the machine may be any.
    """
    lists = []
    for number, (suffix, content) in enumerate(_sources(_codename(), APT)):
        lists.append(folder.with_name(f"{folder.name}-{number}{suffix}"))
        lists[-1].write_text(content.replace(_codename(), suite), encoding="utf-8")
    command = [TOOL, "--quiet", "--variant=extract", f"--mode={'root' if os.getuid() == 0 else 'chrootless'}"]
    command += [f"--architectures={ARCHITECTURES[machine]}", f"--include={','.join(packages)}", "--format=directory"]
    result = subprocess.run(
        [*command, suite, str(folder), *map(str, lists)], capture_output=True, text=True, check=False
    )
    for path in lists:
        path.unlink()
    if result.returncode:
        said = [line for line in result.stderr.splitlines() if line.startswith("E: ")] or result.stderr.splitlines()
        raise BadInputError(f"{TOOL}: {(said or ['failed'])[0].removeprefix('E: ')}")


def _codename() -> str:
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def _sources(codename: str, apt: Path) -> Iterator[tuple[str, str]]:
    """The entries of this release's `main`, by the suffix of their format; others may not have another release."""
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    for path in files:
        if not codename or path.suffix not in {".list", ".sources"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        entries = text.splitlines() if path.suffix == ".list" else re.split(r"\n\s*\n", text)
        kept = [entry for entry in entries if _is_of_release(entry, codename)]
        if kept:
            yield path.suffix, ("\n" if path.suffix == ".list" else "\n\n").join(kept) + "\n"


def _is_of_release(entry: str, codename: str) -> bool:
    lines = [line for line in entry.splitlines() if not line.startswith("#")]
    words = " ".join(lines).split()
    return codename in words and COMPONENT in words and not re.search("(?im)^Enabled: *no", "\n".join(lines))
