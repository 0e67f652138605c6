"""A DVC remote as a team's store: others find there what was made from the same code, params and inputs.

`dvc repro` keeps no stage in the run cache that has outputs which git keeps, and `dvc push --run-cache` leaves those
outputs out; without them no stage can be taken from there.
"""

from pathlib import Path

from a3c_bench.errors import BadInputError, describe_error


def push(folder: Path, remote: str | None) -> tuple[int, int]:
    """Push the stages that are done, in the DVC repository of this folder: how many, and how many files were new.

    Raises `BadInputError` where there is no such remote, or it does not take all of them.
    """
    from dvc.repo import Repo

    try:
        with Repo(folder) as repo, repo.lock:
            done = [stage for stage in repo.index.stages if not stage.changed()]
            for stage in done:
                repo.stage_cache.save(stage)
            kept = [(path.parent.name, path.name) for path in Path(repo.stage_cache.cache_dir).glob("*/*/*")]
            files = set().union(*repo.stage_cache.get_used_objs(kept).values())
            result = repo.cloud.push(files, remote=remote)
            if not result.failed:
                # Last: it names files that have to be there.
                repo.stage_cache.push(remote)
    except Exception as error:  # of DVC, or of whatever library speaks to the store
        raise BadInputError(f"push: {describe_error(error)}") from None
    if result.failed:
        raise BadInputError(f"push: {len(result.failed)} of {len(files)} files were not taken; give the command again")
    return len(done), len(result.transferred)
