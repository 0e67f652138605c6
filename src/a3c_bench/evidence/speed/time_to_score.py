"""Other systems beside this one on environments of the suite: what `make peers ENVS=…` does, training by training.

Every system trains to the end of its own budget. The score is what the reference ends with: the mean return of the last
100 training episodes, median over its seeds. How long it took each training to get there its rises tell afterwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd

from a3c_bench import preset
from a3c_bench.errors import BadInputError
from a3c_bench.evidence.speed.peers import ALL, REFERENCE, SCRIPTS, Peer, ask, median_columns, order, times_as_fast
from a3c_bench.machine import cpu_model
from a3c_bench.report.suite import TIME_TO_SCORE
from a3c_bench.repository import last_commit
from a3c_bench.results.checkpoints import code_version
from a3c_bench.results.files import write_all
from a3c_bench.results.tables import frame_bytes
from a3c_bench.suite import PARAMS

OURS = "a3c-bench PPO, 2 workers"
SEEDS, MOST_SEEDS = 3, 100
SYSTEMS = (
    Peer(OURS, ".venv", "this_project.py", "2", MOST_SEEDS),
    *(replace(peer, seeds=MOST_SEEDS) for peer in ALL if peer.script == "stable_baselines.py"),
)
ENVIRONMENTS = ("Acrobot-v1", "Pendulum-v1", "LunarLander-v3", "HalfCheetah-v5", "MinAtar/Breakout-v1")
"""Those that the other systems are set up for."""
LIMIT_SECONDS = 4 * 3600.0
RUNS, RISES = (TIME_TO_SCORE.with_stem(f"time-to-score-{what}") for what in ("runs", "rises"))
CELL = ["environment", "peer", "seed"]
FIGURES = ("seconds_to_score", "steps_to_score", "times_as_fast")
TOLD = ["env_steps", "rate", "last", "sha256", "versions", "failed"]
RUN, RISE = [*CELL, "recipe", "cpu", "commit", "seconds", *TOLD], [*CELL, "seconds", "env_steps", "mean_return"]
TABLE = [
    *("environment", "peer", "score", "seeds", "reached"),
    *(f"{figure}{end}" for figure in FIGURES for end in ("", "_low", "_high")),
    *("rate", "last", "seconds", "env_steps", "cpu", "versions", "failed"),
]
HASHES = ("recipe", "commit", "sha256")


def run(environments: Sequence[str], seeds: int | None, systems: Sequence[Peer] = SYSTEMS) -> None:
    """Make the trainings that are missing, and write all tables after each: it can be interrupted."""
    for name in environments:
        if name not in ENVIRONMENTS:
            raise BadInputError(f"ENVS: {name!r} is not allowed; the systems are set up for {', '.join(ENVIRONMENTS)}")
    # A hash of digits only is no number.
    runs = pd.read_csv(RUNS, dtype=dict.fromkeys(HASHES, str)) if RUNS.exists() else pd.DataFrame(columns=RUN)
    rises = pd.read_csv(RISES) if RISES.exists() else pd.DataFrame(columns=RISE)
    for environment in environments:
        # What another machine took is not comparable.
        runs = runs[(runs["environment"] != environment) | (runs["cpu"] == cpu_model())]
        for peer, seed in dict.fromkeys((peer, seed) for peer, seed, _ in order(systems, seeds or SEEDS)):
            cell = {"environment": environment, "peer": peer.name, "seed": seed}
            alike = cell | {"recipe": recipe(peer, environment)}
            if ((runs[list(alike)] == pd.Series(alike)).all(axis=1) & runs["failed"].isna()).any():
                continue
            print(f"{environment}: {peer.name}, seed {seed}", flush=True)
            row, higher = train(peer, cell, alike)
            runs, rises = (
                pd.concat([old[(old[list(cell)] != pd.Series(cell)).any(axis=1)], new], ignore_index=True)
                for old, new in ((runs, row), (rises, higher))
            )
            write(runs, rises)
    print(write(runs, rises).to_string(index=False))


def write(runs: pd.DataFrame, rises: pd.DataFrame) -> pd.DataFrame:
    """All tables; gives the one of environments and systems."""
    table = summarise(runs, rises)
    write_all({path: frame_bytes(each) for path, each in ((RUNS, runs), (RISES, rises), (TIME_TO_SCORE, table))})
    return table


def train(peer: Peer, cell: Mapping[str, Any], alike: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One training: its row, and its rises. alike: what has to be the same for it not to be made again."""
    start, printed = ask(peer, cell["seed"], LIMIT_SECONDS, "--env", cell["environment"])
    told = {key: printed.get(key) for key in TOLD}
    seconds = None if told["failed"] else printed["ended_at"] - start
    row = {**alike, "cpu": cpu_model(), "commit": last_commit(), "seconds": seconds, **told}
    rises = [(*cell.values(), clock - start, *risen) for clock, *risen in printed.get("rises", ())]
    return pd.DataFrame([row], columns=RUN), pd.DataFrame(rises, columns=RISE)


def recipe(peer: Peer, environment: str) -> str:
    """The digest of what says how a system trains: a training by another one is made again."""
    files = [SCRIPTS / peer.script, SCRIPTS / "measured.py"]
    digest = sha256()
    if peer.name == OURS:
        files += [preset.DEFAULTS, preset.FOLDER / f"{environment}.yaml", PARAMS]
        digest.update(code_version().encode())
    else:
        files += [SCRIPTS / f"{Path(peer.environment).name}.lock"]
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def summarise(runs: pd.DataFrame, rises: pd.DataFrame) -> pd.DataFrame:
    """A row per environment and system: medians over seeds with their 95 % intervals."""
    rows = []
    for environment in (name for name in ENVIRONMENTS if name in set(runs["environment"])):
        trained = runs[runs["environment"] == environment]
        score = trained.loc[trained["peer"] == REFERENCE, "last"].median()
        reached = rises[(rises["environment"] == environment) & (rises["mean_return"] >= score)]
        # The first of each; none where a training never got there.
        first = trained[CELL].merge(reached.groupby(CELL, as_index=False).first(), how="left")
        theirs = first.loc[first["peer"] == REFERENCE, "seconds"]
        for name, own in first.groupby("peer"):
            mine = trained[trained["peer"] == name]
            row: dict[str, Any] = {"environment": environment, "peer": name, "score": score, "seeds": len(own)}
            row |= {"reached": int(own["seconds"].count())}
            row |= median_columns("seconds_to_score", own["seconds"])
            row |= median_columns("steps_to_score", own["env_steps"])
            ratio = times_as_fast(theirs, own["seconds"]) or (None, None, None)
            row |= dict(zip([column for column in TABLE if column.startswith("times_as_fast")], ratio, strict=True))
            row |= {column: mine[column].median() for column in ("rate", "last", "seconds", "env_steps")}
            row |= {column: next(iter(mine[column].dropna()), None) for column in ("cpu", "versions", "failed")}
            rows.append(row)
    return pd.DataFrame(rows, columns=TABLE)
