"""Other systems beside this one on environments of the suite: what `make peers ENVS=…` does, training by training.

Every system trains to the end of its own budget. The score is what the reference ends with: the mean return of the last
100 training episodes, median over its seeds. How long it took each training to get there its rises tell afterwards.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pandas as pd

from a3c_bench import preset
from a3c_bench.errors import BadInputError
from a3c_bench.evidence.speed.peers import ALL, REFERENCE, SCRIPTS, Peer, ask, median, order, times_as_fast
from a3c_bench.machine import cpu_model
from a3c_bench.report.suite import TIME_TO_SCORE
from a3c_bench.repository import last_commit
from a3c_bench.results.files import write_all
from a3c_bench.results.tables import frame_bytes, read_csv

OURS = "a3c-bench PPO, 2 workers"
SYSTEMS = (
    Peer(OURS, ".venv", "this_project.py", "2", 3),
    *(peer for peer in ALL if peer.script == "stable_baselines.py"),
)
ENVIRONMENTS = ("Acrobot-v1", "Pendulum-v1", "LunarLander-v3", "HalfCheetah-v5", "MinAtar/Breakout-v1")
"""Those that the other systems are set up for."""
SEEDS = 3
LIMIT_SECONDS = 7200.0
RUNS, RISES = (TIME_TO_SCORE.with_stem(f"time-to-score-{what}") for what in ("runs", "rises"))
CELL = ["environment", "peer", "seed"]
TOLD = ("env_steps", "rate", "last", "sha256", "versions", "failed")


def run(environments: Sequence[str], seeds: int | None, systems: Sequence[Peer] = SYSTEMS) -> None:
    """Make the trainings that are missing, and write all tables after each: it can be interrupted."""
    for name in environments:
        if name not in ENVIRONMENTS:
            raise BadInputError(f"ENVS: {name!r} is not allowed; the systems are set up for {', '.join(ENVIRONMENTS)}")
    runs = read_csv(RUNS) if RUNS.exists() else pd.DataFrame(columns=[*CELL, "recipe", "failed"])
    rises = read_csv(RISES) if RISES.exists() else pd.DataFrame(columns=CELL)
    for environment in environments:
        for peer, seed in dict.fromkeys((peer, seed) for peer, seed, _ in order(systems, seeds or SEEDS)):
            cell = {"environment": environment, "peer": peer.name, "seed": seed}
            made = runs[(runs[list(cell)] == pd.Series(cell)).all(axis=1) & runs["failed"].isna()]
            if not made.empty and made["recipe"].item() == recipe(peer, environment):
                continue
            print(f"{environment}: {peer.name}, seed {seed}", flush=True)
            row, higher = train(peer, cell)
            runs, rises = (
                pd.concat([old[(old[list(cell)] != pd.Series(cell)).any(axis=1)], new], ignore_index=True)
                for old, new in ((runs, row), (rises, higher))
            )
            table = summarise(runs, rises)
            write_all(
                {
                    RUNS: frame_bytes(runs),
                    RISES: frame_bytes(rises),
                    TIME_TO_SCORE: frame_bytes(table),
                }
            )
    print(summarise(runs, rises).to_string(index=False))


def train(peer: Peer, cell: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One training: its row, and its rises."""
    start, printed = ask(peer, cell["seed"], LIMIT_SECONDS, "--env", cell["environment"])
    told = {key: printed.get(key) for key in TOLD}
    about = {"cpu": cpu_model(), "commit": last_commit(), "recipe": recipe(peer, cell["environment"])}
    row = {**cell, **about, "seconds": printed.get("ended_at", start) - start, **told}
    rises = [
        {**cell, "seconds": clock - start, "env_steps": env_steps, "mean_return": mean}
        for clock, env_steps, mean in printed.get("rises", [])
    ]
    return pd.DataFrame([row]), pd.DataFrame(rises)


def recipe(peer: Peer, environment: str) -> str:
    """The digest of what says how a system trains: a training by another one is made again."""
    files = [SCRIPTS / peer.script]
    if peer.name == OURS:
        files += [preset.DEFAULTS, preset.FOLDER / f"{environment}.yaml"]
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def summarise(runs: pd.DataFrame, rises: pd.DataFrame) -> pd.DataFrame:
    """A row per environment and system: medians over seeds with their 95 % intervals."""
    rows = []
    for environment, trained in runs.groupby("environment", sort=False):
        score = trained.loc[trained["peer"] == REFERENCE, "last"].median()
        reached = rises[(rises["environment"] == environment) & (rises["mean_return"] >= score)]
        # The first of each; none where a training never got there.
        first = trained[CELL].merge(reached.groupby(CELL, as_index=False).first(), how="left")
        theirs = first.loc[first["peer"] == REFERENCE, "seconds"]
        for name, own in first.groupby("peer", sort=False):
            mine = trained[trained["peer"] == name]
            row: dict[str, Any] = {"environment": environment, "peer": name, "score": score, "seeds": len(own)}
            row |= {"reached": int(own["seconds"].count())}
            row |= median("seconds_to_score", own["seconds"])
            row |= median("steps_to_score", own["env_steps"])
            ratio = times_as_fast(theirs, own["seconds"]) or (None, None, None)
            row |= dict(zip(("times_as_fast", "times_as_fast_low", "times_as_fast_high"), ratio, strict=True))
            row |= {column: mine[column].median() for column in ("rate", "last", "seconds", "env_steps")}
            row |= {"cpu": mine["cpu"].iloc[-1], "versions": next(iter(mine["versions"].dropna()), None)}
            rows.append(row)
    return pd.DataFrame(rows)
