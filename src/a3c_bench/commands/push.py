"""`a3c-bench push`."""

from typing import Annotated

import typer

from a3c_bench.cli import prepare_to_compute


def run(
    remote: Annotated[str | None, typer.Option(help="One of DVC's remotes; by default its default.")] = None,
) -> None:
    """Push what is done to a remote of DVC's: others get it by `dvc pull --run-cache` and `dvc repro --pull`."""
    prepare_to_compute()
    from a3c_bench.sweep.remote import push

    stages, files = push(remote)
    print(f"{stages} stages are there, {files} files of theirs are new")
