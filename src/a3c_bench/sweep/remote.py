"""A remote of DVC's as a team's store: others find there what was made from the same code, params and inputs.

`dvc repro` keeps no stage in the run cache that has outputs which git keeps, and `dvc push --run-cache` leaves those
outputs out; without them no stage can be taken from there.
"""

from a3c_bench.errors import BadInputError, describe_error


def push(remote: str | None) -> tuple[int, int]:
    """How many stages the remote has now, all outputs included, and how many of their files were not there before.

    Raises `BadInputError` where there is no such remote, or it does not take them.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo, repo.lock:
            done = [stage for stage in repo.index.stages if not stage.changed()]
            for stage in done:
                repo.stage_cache.save(stage)
            kept = repo.stage_cache.push(remote)
            files = set().union(*repo.stage_cache.get_used_objs(kept).values())
            return len(done), len(repo.cloud.push(files, remote=remote).transferred)
    except (DvcException, OSError) as error:
        raise BadInputError(f"--remote: {remote or 'the default one'}: {describe_error(error)}") from None
