"""What the image is made of, as CSV: run in it (`make image-parts`)."""

import csv
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

LEAST = 20
"""MiB; smaller distributions are summed up."""


def mebibytes(distribution: Distribution) -> float:
    """Of a distribution's files."""
    paths = [Path(str(file.locate())) for file in distribution.files or []]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 2**20


def below(*folders: str) -> float:
    """MiB of all files below these folders."""
    said = subprocess.run(["du", "-cbx", "-d0", *folders], capture_output=True, text=True, check=False).stdout
    return int(said.splitlines()[-1].split()[0]) / 2**20


if __name__ == "__main__":
    sizes = {distribution.name: mebibytes(distribution) for distribution in distributions()}
    large = {name: size for name, size in sizes.items() if size >= LEAST}
    rest = sum(sizes.values()) - sum(large.values())
    parts = sorted(large.items(), key=lambda part: -part[1])
    parts += [(f"{len(sizes) - len(large)} smaller packages", rest)]
    parts += [("this repository with its history", below("/repo")), ("system, Python and git", below("/usr"))]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["part", "mebibytes"])
    writer.writerows((name, round(size)) for name, size in parts)
