"""A sweep: the cells that are left, made by an engine, and a part of all cells made twice."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

from a3c_bench.config import Config
from a3c_bench.errors import BadInputError, TrainingError, say
from a3c_bench.progress import conclude
from a3c_bench.results.checkpoints import own_places
from a3c_bench.suite import PARAMS, Suite
from a3c_bench.sweep.cells import Cell
from a3c_bench.sweep.dispatch import Dispatch, Job, Trust, Verdict
from a3c_bench.sweep.identity import identity, own_identity, pinned
from a3c_bench.sweep.node import Outcome, Task
from a3c_bench.sweep.ray_cluster import RayCluster
from a3c_bench.sweep.workspace import Workspace

LOCKS = (Path("requirements.lock"), Path("requirements-suite.lock"))
TITLE = "sweep"


def run(
    params: Config | Suite, cells: Sequence[Cell], address: str, audit: float, audit_seed: int, patience: float
) -> None:
    """Make all that is left of `cells`; raises `TrainingError` where one failed or differs from its audit."""
    tasks, workspace = Tasks(params), Workspace(isinstance(params, Suite))
    if audit:
        require_same_bits(tasks.configs(cells))
    audited = chosen(cells, audit, audit_seed)
    with RayCluster(address, tasks, params.workers * params.threads) as cluster:
        left = workspace.left(cells)
        conclude(TITLE, f"{len(cells)} cells, {len(left)} to be made", cells=len(cells), left=len(left))
        if audited:
            numbers = [cell.number for cell in audited]
            conclude(TITLE, f"audited (--audit-seed {audit_seed}): {', '.join(map(str, numbers))}", audited=numbers)
        jobs = [*map(Job, left), *(workspace.to_confirm(cell) for cell in audited if cell not in left)]
        summary, dispatch = Summary(len(jobs)), Dispatch(cluster, jobs, audited, patience)
        try:
            for verdicts in dispatch.verdicts():
                taken = [(verdict.cell, summary.add(verdict)) for verdict in verdicts]
                new = {cell: outcome for cell, outcome in taken if outcome and cell in left}
                if new:
                    # DVC believes what lies here, under the params and the code that it finds.
                    tasks.require_unchanged()
                    workspace.hand_in(new)
        finally:
            summary.doubts(dispatch.trust)
    summary.conclude()


class Tasks:
    """What nodes are told of cells: params, code and versions, as they are now."""

    def __init__(self, params: Config | Suite) -> None:
        self._params, self._of_suite = params, isinstance(params, Suite)
        self._packages = tuple(dict.fromkeys(name for lock in LOCKS[: 1 + self._of_suite] for name in pinned(lock)))
        self._files = self._content()
        self._code = identity(self._packages)

    def __call__(self, cell: Cell) -> Task:
        """What a node is told of this one."""
        config = self._config(cell)
        own = tuple(sorted({path.stem for path in own_places(config, config.algorithm(cell.algorithm)).values()}))
        return Task(
            command=("cell", str(cell.number), *(["--suite"] if self._of_suite else [])),
            params=self._files,
            files=tuple(map(str, cell.files)),
            packages=self._packages,
            own=own,
            identity={**self._code, **own_identity(own)},
            variables={"A3C_BENCH_HOSTS": "1", **tracking()},
        )

    def configs(self, cells: Sequence[Cell]) -> list[Config]:
        """Those of all these."""
        return [self._params] if isinstance(self._params, Config) else [self._config(cell) for cell in cells]

    def require_unchanged(self) -> None:
        """Raise `BadInputError` where params or code are not what the nodes were told."""
        if (self._content(), identity(self._packages)) != (self._files, self._code):
            raise BadInputError("the params or the code changed while the sweep ran; what comes back now is not taken")

    def _config(self, cell: Cell) -> Config:
        if isinstance(self._params, Config):
            return self._params
        assert cell.environment is not None
        return self._params.config(cell.environment)

    @staticmethod
    def _content() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in (Path("params.yaml"), PARAMS) if path.exists()}


class Summary:
    """What became of the cells so far."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done: set[Cell] = set()
        self._wrong: set[Cell] = set()

    def add(self, verdict: Verdict) -> Outcome | None:
        """Tell it; returns what can be taken."""
        cell, agreed, failed = verdict.cell, verdict.agreed, verdict.failed
        self._done.add(cell)
        if failed or agreed is None or verdict.differing:
            self._wrong.add(cell)
        text = f"{len(self._done)} of {self._total}: cell {cell.number} ({cell.name}) {self._words(verdict)}"
        if cell in self._wrong:
            say(text)
        else:
            conclude(TITLE, text, cell=cell.number, nodes=[one.node for one in verdict.made])
        return agreed

    @staticmethod
    def _words(verdict: Verdict) -> str:
        agreed, failed = verdict.agreed, verdict.failed
        nodes = [one.node for one in verdict.made]
        if not nodes:
            assert failed is not None
            return f"is not made: {f'on {failed.node} ' if failed.node else ''}{failed.why}"
        if verdict.differing and agreed is not None:
            odd = [f"{one.node}, {one.cpu}," for one in verdict.made if one.files != agreed.files]
            same = [one.node for one in verdict.made if one.files == agreed.files]
            return f"is right by {' and '.join(same)}; {' '.join(odd)} computes something else"
        if failed is None and agreed is None:
            return f"differs on all of {', '.join(nodes)}"
        if failed is not None:
            where = f"on {failed.node}, {failed.cpu}, " if failed.node else ""
            return f"by {' and '.join(nodes)} is not confirmed: {where}{failed.why}"
        return f"by {nodes[0]}{f', the same by {nodes[1]}' if len(nodes) > 1 else ''}"

    @staticmethod
    def doubts(trust: Trust) -> None:
        """Say what was taken from nodes of which it is not known whether they compute right."""
        for node in sorted(trust.suspects):
            if cells := trust.alone.get(node):
                stages = " ".join(stage for cell in cells for stage in cell.stages)
                say(
                    f"{node} made these alone, and nobody knows if they are right; make them again by "
                    f"`dvc repro --force --single-item {stages}`"
                )

    def conclude(self) -> None:
        """Raise `TrainingError` unless all went well."""
        if self._wrong:
            raise TrainingError(f"{len(self._wrong)} of {self._total} cells failed or differ")


def require_same_bits(configs: Sequence[Config]) -> None:
    """Raise `BadInputError` where two nodes need not agree."""
    for config in configs:
        settings = {name: config.algorithm(name) for name in config.algorithms}
        native = [name for name, one in settings.items() if getattr(one, "numerics", "portable") == "native"]
        if config.schedule != "ordered" or native:
            what = f"{native[0]} has numerics native, which" if native else f"schedule {config.schedule}"
            raise BadInputError(f"--audit: {what} promises no bits; leave --audit out")


def tracking() -> dict[str, str]:
    """Where a node logs to: an MLflow server, or nowhere, since SQLite is for one machine."""
    address = os.environ.get("MLFLOW_TRACKING_URI", "")
    served = address.startswith("http") and os.environ.get("A3C_BENCH_TRACKING") != "off"
    return {"A3C_BENCH_TRACKING": "wait", "MLFLOW_TRACKING_URI": address} if served else {"A3C_BENCH_TRACKING": "off"}


def chosen(cells: Sequence[Cell], share: float, seed: int) -> list[Cell]:
    """The cells that are made twice."""
    return sorted(Random(seed).sample(cells, math.ceil(share * len(cells))))
