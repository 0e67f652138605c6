"""What other targets measured (proof, chaos, peers, speed, bench-proof): the report shows what is there.

Only what was measured on the report's environment and, where a table has a row per algorithm, with its params.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from a3c_bench.config import Config
from a3c_bench.report.aggregate import band, fault_summary
from a3c_bench.report.pages import picture
from a3c_bench.results.about import read_about, same_environment, same_params
from a3c_bench.results.files import (
    BAD_INPUTS,
    BAD_INPUTS_ABOUT,
    ENVIRONMENTS,
    FAULTS,
    FAULTS_ABOUT,
    GATE,
    PEER_FIGURE,
    PEERS,
    PEERS_ABOUT,
    PRICE,
    PROOF,
    PROOF_ABOUT,
    SCHEDULE_CURVES,
    SCHEDULES,
    SPEED,
    SPEED_ABOUT,
)
from a3c_bench.results.tables import read_csv

PEER_PICTURE = PEER_FIGURE.with_suffix(".svg")
FILES = {
    "proof": (PROOF, PROOF_ABOUT),
    "price": (PRICE, PROOF_ABOUT),
    "schedules": (SCHEDULES, PROOF_ABOUT),
    "schedule_curves": (SCHEDULE_CURVES, PROOF_ABOUT),
    "faults": (FAULTS, FAULTS_ABOUT),
    "bad_inputs": (BAD_INPUTS, BAD_INPUTS_ABOUT),
    "peers": (PEERS, PEERS_ABOUT),
    "speed": (SPEED, SPEED_ABOUT),
}

RESTS_ON = (
    "CartPole-v1 has a vectorised class of its own, which steps many environments as arrays; an environment without "
    "one, such as Acrobot-v1, runs far slower, most of its time in the environment's own step. The default params "
    "were searched for the time to solve CartPole-v1."
)
"""What a reader has to know of every figure of speed."""


@dataclass(frozen=True)
class Supplement:
    """A table that another target made, as far as the report may show it."""

    table: pd.DataFrame
    about: dict[str, Any]
    left_out: str
    """What of it is not shown, and why; empty where all is."""


def read(config: Config) -> dict[str, Any]:
    """The tables by the names that the templates use; those that are not to be shown are empty."""
    found = {name: supplement(config, *files) for name, files in FILES.items()}
    tables = {name: one.table for name, one in found.items()}
    proof, curves, faults = tables["proof"], tables["schedule_curves"], tables["faults"]
    return {
        **tables,
        "abouts": {name: one.about for name, one in found.items()},
        "left_out": {name: one.left_out for name, one in found.items()},
        "proof_summary": [] if proof.empty else proof_summary(proof),
        "environments": environment_matrix(read_csv(ENVIRONMENTS)) if ENVIRONMENTS.exists() else pd.DataFrame(),
        "schedule_bands": curves if curves.empty else schedule_bands(curves),
        "faults": faults if faults.empty else fault_summary(faults, stop_seconds="median", resume_seconds="median"),
        "fault_environments": [] if faults.empty else list(faults["environment"].unique()),
        "rests_on": RESTS_ON,
        "gate": read_csv(GATE) if GATE.exists() else pd.DataFrame(),
        "peers_picture": picture(PEER_PICTURE) if PEER_PICTURE.exists() and not tables["peers"].empty else None,
    }


def supplement(config: Config, path: Path, about_path: Path) -> Supplement:
    """A table without the rows that were measured on another environment, or with other params."""
    about = read_about(about_path)
    if not path.exists():
        return Supplement(pd.DataFrame(), about, "not measured yet")
    table, env = read_csv(path), about.get("env")
    if env is None:
        return Supplement(table[:0], about, "not shown, as no file beside it names its environment")
    if env != config.env:
        return Supplement(table[:0], about, f"measured on {env}, and so not shown on {config.env}")
    if not same_environment(about, config.params()):
        return Supplement(table[:0], about, f"measured on {env} made otherwise, and so not shown")
    if "algorithm" not in table:
        return Supplement(table, about, "")
    rows = table[table["algorithm"].isin(_measured_alike(config, about))]
    missing = [name for name in config.algorithms if name not in set(rows["algorithm"])]
    return Supplement(rows, about, f"not measured with these params of {', '.join(missing)}" if missing else "")


def _measured_alike(config: Config, about: Mapping[str, Any]) -> list[str]:
    """The report's algorithms whose params are those of the measurement."""
    params = config.params()
    return [name for name in config.algorithms if same_params(about, params, name)]


def proof_summary(proof: pd.DataFrame) -> list[dict[str, Any]]:
    """Per algorithm of the proof: promised conditions that were measured, those that kept the bits, and hogwild's."""
    summary = []
    for algorithm, rows in proof.groupby("algorithm"):
        promised = rows[(rows["promised"] == "yes") & (rows["runs"] > 0)]
        hogwild = rows.loc[rows["condition"] == "hogwild", "note"].dropna()
        summary.append(
            {
                "algorithm": algorithm,
                "kept": int((promised["same"] == "yes").sum()),
                "measured": len(promised),
                "hogwild": hogwild.iloc[0] if len(hogwild) else "",
            }
        )
    return summary


def environment_matrix(rows: pd.DataFrame) -> pd.DataFrame:
    """Environment × condition: whether the bits are those of one worker; empty where that was not measured."""
    order = list(dict.fromkeys(rows["condition"]))
    matrix = rows.pivot(index="environment", columns="condition", values="same")[order]
    return matrix.fillna("").reset_index()


def schedule_bands(curves: pd.DataFrame) -> pd.DataFrame:
    """IQM over seeds and its interval, of every algorithm and schedule."""
    bands = []
    for (algorithm, schedule), runs in curves.groupby(["algorithm", "schedule"], sort=False):
        means = runs.pivot(index="seed", columns="env_step", values="mean_return")
        columns = band(means.columns.to_numpy(dtype=np.int64), means.to_numpy(dtype=np.float64))
        bands.append(pd.DataFrame({"algorithm": algorithm, "schedule": schedule, **columns}))
    return pd.concat(bands, ignore_index=True)
