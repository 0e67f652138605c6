"""`a3c-bench push`."""

from pathlib import Path
from typing import Annotated

import typer

from a3c_bench.cli import prepare_to_compute
from a3c_bench.commands import Suite


def run(
    remote: Annotated[str | None, typer.Option(help="One of DVC's remotes; by default its default.")] = None,
    suite: Suite = False,
) -> None:
    """Push what is done to a DVC remote: others get it by `dvc pull --run-cache` and `dvc repro --pull`."""
    prepare_to_compute()
    from a3c_bench import suite as suites
    from a3c_bench.progress import conclude
    from a3c_bench.results.remote import push

    stages, files = push(suites.FOLDER if suite else Path(), remote)
    conclude("push", f"{stages} stages are on the remote; {files} files were new there", stages=stages, files=files)
