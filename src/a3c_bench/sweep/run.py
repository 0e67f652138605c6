"""A sweep: the cells that are left, made by an engine, and a part of all cells made twice."""

import math
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from a3c_bench.config import Config
from a3c_bench.errors import BadInputError, TrainingError, say
from a3c_bench.progress import is_quiet
from a3c_bench.suite import PARAMS, Suite
from a3c_bench.sweep.cells import Cell
from a3c_bench.sweep.dispatch import Dispatch, Job, Verdict
from a3c_bench.sweep.identity import identity, pinned
from a3c_bench.sweep.node import Outcome, Task
from a3c_bench.sweep.ray_cluster import RayCluster
from a3c_bench.sweep.workspace import Workspace

HERE = "this workspace"
LOCKS = (Path("requirements.lock"), Path("requirements-suite.lock"))


def run(
    params: Config | Suite, cells: Sequence[Cell], address: str, audit: float, audit_seed: int, patience: float
) -> None:
    """Make all that is left of `cells`; raises `TrainingError` where one failed or differs from its audit."""
    if audit and isinstance(params, Config) and params.schedule != "ordered":
        raise BadInputError(
            f"--audit: schedule {params.schedule} gives other bits every time; leave it out, or use ordered"
        )
    of_suite = isinstance(params, Suite)
    task, workspace = tasks(of_suite), Workspace(of_suite)
    audited = chosen(cells, audit, audit_seed)
    with RayCluster(address, task, params.workers * params.threads) as cluster:
        left = workspace.left(cells)
        told(f"{len(cells)} cells, {len(left)} to be made")
        if audited:
            told(f"audited (--audit-seed {audit_seed}): {', '.join(str(cell.number) for cell in audited)}")
        again = [cell for cell in audited if cell not in left]
        jobs = [*map(Job, left), *(Job(cell, outcome_here(cell)) for cell in again)]
        summary = Summary(len(jobs))
        for verdicts in Dispatch(cluster, jobs, audited, patience).verdicts():
            good = [verdict for verdict in verdicts if summary.add(verdict) and verdict.cell in left]
            if good:
                # DVC believes what lies here, under the params and the code that it finds.
                require_unchanged(task)
            workspace.hand_in((verdict.cell, verdict.outcome.files) for verdict in good)
    summary.conclude()


class Summary:
    """What became of the cells so far."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._wrong = total, 0, 0
        self._by: dict[str, list[int]] = defaultdict(list)
        self._suspects: dict[str, None] = {}

    def add(self, verdict: Verdict) -> bool:
        """Tell it; returns whether its files can be taken."""
        self._done += 1
        cell, outcome, audit = verdict.cell, verdict.outcome, verdict.audit
        of, name = f"{self._done} of {self._total}", f"cell {cell.number} ({cell.name})"
        failed = next((one for one in (outcome, audit) if one and one.kind != "made"), None)
        self._wrong += bool(failed or verdict.differing)
        if failed:
            say(f"{of}: {name} {'is not audited' if audit else 'is not made'}: {failed.why}")
            return audit is not None
        if verdict.differing:
            assert audit is not None
            self._suspects |= dict.fromkeys((outcome.node, audit.node))
            say(
                f"{of}: {name} differs between {outcome.node}, {outcome.cpu}, and {audit.node}, {audit.cpu}: "
                f"{', '.join(verdict.differing)}"
            )
            return False
        self._by[outcome.node].append(cell.number)
        told(f"{of}: {name} by {outcome.node}{f', the same by {audit.node}' if audit else ''}")
        return True

    def conclude(self) -> None:
        """Raise `TrainingError` unless all went well."""
        for node in self._suspects:
            if node != HERE and self._by[node]:
                say(f"{node} also made these cells, of which nothing is known: {', '.join(map(str, self._by[node]))}")
        if self._wrong:
            raise TrainingError(f"{self._wrong} of {self._total} cells are not as they should be")


def tasks(of_suite: bool) -> Callable[[Cell], Task]:
    """What a node is told of a cell; params, code and versions are read now."""
    packages = tuple(dict.fromkeys(name for lock in LOCKS[: 1 + of_suite] for name in pinned(lock)))
    here = identity(packages)
    params = {str(path): path.read_bytes() for path in (Path("params.yaml"), PARAMS) if path.exists()}
    variables = {"A3C_BENCH_HOSTS": "1", **tracking()}

    def task(cell: Cell) -> Task:
        command = ("cell", str(cell.number), *(["--suite"] if of_suite else []))
        return Task(command, params, tuple(map(str, cell.files)), packages, here, variables)

    return task


def tracking() -> dict[str, str]:
    """Where a node logs to: a server of MLflow's, or nowhere, since SQLite is for one machine."""
    address = os.environ.get("MLFLOW_TRACKING_URI", "")
    served = address.startswith("http") and os.environ.get("A3C_BENCH_TRACKING") != "off"
    return {"A3C_BENCH_TRACKING": "wait", "MLFLOW_TRACKING_URI": address} if served else {"A3C_BENCH_TRACKING": "off"}


def require_unchanged(task: Callable[[Cell], Task]) -> None:
    """Raise `BadInputError` where params or code are not what the nodes were told."""
    probe = Cell(0, "", 0)
    then, now = task(probe), tasks("--suite" in task(probe).command)(probe)
    if (then.params, then.identity) != (now.params, now.identity):
        raise BadInputError("the params or the code changed while the sweep ran; what comes back now is not taken")


def chosen(cells: Sequence[Cell], share: float, seed: int) -> list[Cell]:
    """The cells that are made twice."""
    return sorted(Random(seed).sample(cells, math.ceil(share * len(cells))))


def outcome_here(cell: Cell) -> Outcome:
    """A cell that was made before."""
    return Outcome("made", "", {str(path): path.read_bytes() for path in cell.files}, "made before", HERE)


def told(line: str) -> None:
    """Tell how far it is."""
    if not is_quiet():
        print(line, flush=True)
