"""The committed cells, and short trainings of other kinds, by several hosts: their files against those of one."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

from a3c_bench.config import Config, Joining
from a3c_bench.environments.make import describe
from a3c_bench.errors import BadInputError, TrainingError
from a3c_bench.evidence.hosts.cases import YES_NO, Cases
from a3c_bench.evidence.hosts.network import Network, results
from a3c_bench.evidence.reproducibility.verify import committed_lock
from a3c_bench.params import flatten
from a3c_bench.progress import Progress
from a3c_bench.report.hosts import BITS
from a3c_bench.repository import repository_root
from a3c_bench.results.files import json_bytes

HOSTS, WORKERS = (2, 3, 4), (1, 2)
COLUMNS = ("training", "algorithm", "hosts", "workers", "compared_with", "files", "same", "sha256", "note")
KEY = ("training", "algorithm", "hosts", "workers")
JOINING = Joining(wait=120.0, silence=10.0)
PATIENCE_SECONDS = 600.0
SHORT_UPDATES = 40
OTHER_ENVIRONMENT = "LunarLander-v3"
TORCH = {"network": "examples.networks.dense:Normalised", "hidden": None}


@dataclass(frozen=True)
class Training:
    """What several hosts train, and what one host's files are, if `dvc.lock` has them."""

    name: str
    algorithm: str
    config: Config
    expected: str | None

    @property
    def compared_with(self) -> str:
        """For readers."""
        return "one host" if self.expected is None else "dvc.lock"


def trainings(config: Config) -> Iterator[Training]:
    """The cells of seed 0, then the short ones; says what is left out."""
    lock, first = committed_lock(repository_root()), config.algorithms[0]
    for algorithm in config.sections:
        yield Training(config.env, algorithm, config, of_lock(lock, config, algorithm))
    try:
        describe(OTHER_ENVIRONMENT)
    except BadInputError as error:
        print(f"{error}; left out")
    else:
        placed = config.with_env(OTHER_ENVIRONMENT)
        yield Training(f"{OTHER_ENVIRONMENT}, short", first, short(placed, first), None)
    yield Training("a network in torch, short", first, short(config, first, **TORCH), None)


def short(config: Config, algorithm: str, **changes: Any) -> Config:
    """A training of seconds, with `changes` of the algorithm's section."""
    settings = config.algorithm(algorithm).changed(**changes).with_budget(SHORT_UPDATES)
    return config.with_algorithm(algorithm, settings)


def of_lock(lock: Mapping[str, Any], config: Config, algorithm: str) -> str | None:
    """The digest of a cell's files by `dvc.lock`; None where that has it not, or of other params."""
    stage = lock.get(f"train@{algorithm}-0")
    if stage is None:
        return None
    now = dict(flatten(config.params()))
    then = dict(flatten(stage["params"]["params.yaml"]))
    speed_only = {"workers", "threads"}
    if any(now.get(key) != value for key, value in then.items() if key not in speed_only):
        return None
    return digest({output["path"]: output["md5"] for output in stage["outs"]})


def digest(hashes: Mapping[str, str]) -> str:
    """One hash of the md5 of every file."""
    return sha256(json_bytes(dict(hashes))).hexdigest()


def run(config: Config) -> bool:
    """Train all that is not in the table yet; returns whether every row has the bits of one host."""
    cases, found = Cases(BITS, COLUMNS, KEY, config.params()), list(trainings(config))
    alone = [(training, 1, WORKERS[-1]) for training in found if training.expected is None]
    together = [(training, hosts, workers) for training in found for hosts in HOSTS for workers in WORKERS]
    plan = [*alone, *together]
    with Progress("proof-hosts", len(plan)) as progress:
        for done, (training, hosts, workers) in enumerate(plan):
            progress.show(done, f"{training.name}, {training.algorithm}, {hosts} hosts × {workers} workers")
            if not cases.has(training.name, training.algorithm, hosts, workers):
                cases.add(one(cases, training, hosts, workers))
    for row in cases.rows:
        if row["same"] != "yes":
            print(f"NOT the same bits: {row['training']}, {row['algorithm']}, {row['hosts']} hosts: {row['note']}")
    several = [row for row in cases.rows if row["hosts"] > 1]
    kept = sum(row["same"] == "yes" for row in several)
    print(f"{BITS}: {kept} of {len(several)} trainings over hosts have the bits of one")
    return all(row["same"] == "yes" for row in cases.rows)


def one(cases: Cases, training: Training, hosts: int, workers: int) -> dict[str, Any]:
    """A row of the table."""
    note, files = "", dict[str, str]()
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder:
        try:
            files = train(Path(folder), training, hosts, workers)
        except (TrainingError, AssertionError) as error:
            note = " ".join(str(error).split())[-300:]
    alone = cases.find(training.name, training.algorithm, 1, WORKERS[-1])
    expected = training.expected or (alone["sha256"] if alone else None)
    made = digest(files)
    return {
        "training": training.name,
        "algorithm": training.algorithm,
        "hosts": hosts,
        "workers": workers,
        "compared_with": training.compared_with if hosts > 1 else "",
        "files": len(files),
        "same": YES_NO[bool(files) and (hosts == 1 or made == expected)],
        "sha256": made,
        "note": note,
    }


def train(folder: Path, training: Training, hosts: int, workers: int) -> dict[str, str]:
    """The md5 of every file that a training leaves behind, by name; raises `TrainingError` where it fails."""
    with Network(folder, hosts) as network:
        for number in range(1, hosts):
            network.join(number)
        # The params are to hold as they are, whatever the environment's preset says.
        changes = {"hosts": hosts, "workers": workers, "joining": JOINING, "preset": False}
        config = training.config.model_copy(update={**changes, "algorithms": (training.algorithm,)})
        process = network.train_with(config.params(), training.algorithm)
        if process.wait(timeout=PATIENCE_SECONDS):
            raise TrainingError(network.said(0))
        return hashes(network.home(0))


def hashes(folder: Path) -> dict[str, str]:
    """The md5 of every file that a training has left behind there, by name."""
    return {name: md5(content, usedforsecurity=False).hexdigest() for name, content in results(folder).items()}
