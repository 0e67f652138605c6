"""What other targets measured (proof, chaos, peers, speed, bench-proof): the report shows what is there."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from a3c_bench.report.aggregate import band
from a3c_bench.results.files import (
    FAULTS,
    FAULTS_ABOUT,
    GATE,
    PEER_FIGURE,
    PEERS,
    PRICE,
    PROOF,
    PROOF_ABOUT,
    SCHEDULE_CURVES,
    SCHEDULES,
    SPEED,
    read_json,
)
from a3c_bench.results.tables import read_csv

PEER_PICTURE = PEER_FIGURE.with_suffix(".svg")


def read() -> dict[str, Any]:
    """The tables by the names that the templates use; those that are not measured yet are empty."""
    proof, faults = _table(PROOF, PROOF_ABOUT), _table(FAULTS, FAULTS_ABOUT)
    curves = _table(SCHEDULE_CURVES)
    return {
        "proof": proof,
        "proof_summary": [] if proof.empty else proof_summary(proof),
        "proof_about": None if proof.empty else read_json(PROOF_ABOUT),
        "price": _table(PRICE),
        "schedules": _table(SCHEDULES),
        "schedule_curves": curves,
        "schedule_bands": curves if curves.empty else schedule_bands(curves),
        "faults": faults if faults.empty else fault_summary(faults),
        "faults_about": None if faults.empty else read_json(FAULTS_ABOUT),
        "gate": _table(GATE),
        "speed": _table(SPEED),
        "peers": _table(PEERS),
        "peers_picture": PEER_PICTURE.read_bytes() if PEER_PICTURE.exists() else None,
    }


def _table(path: Path, *companions: Path) -> pd.DataFrame:
    present = all(file.exists() for file in (path, *companions))
    return read_csv(path) if present else pd.DataFrame()


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


def schedule_bands(curves: pd.DataFrame) -> pd.DataFrame:
    """IQM over seeds and its interval, of every algorithm and schedule."""
    bands = []
    for (algorithm, schedule), runs in curves.groupby(["algorithm", "schedule"], sort=False):
        means = runs.pivot(index="seed", columns="env_step", values="mean_return")
        columns = band(means.columns.to_numpy(dtype=np.int64), means.to_numpy(dtype=np.float64))
        bands.append(pd.DataFrame({"algorithm": algorithm, "schedule": schedule, **columns}))
    return pd.concat(bands, ignore_index=True)


def fault_summary(faults: pd.DataFrame) -> pd.DataFrame:
    """Per kind of fault: how many were tried, survived and ended with the same bits; median seconds to stop, resume."""
    marked = faults.assign(survived=faults["survived"] == "yes", same=faults["same"] == "yes")
    return (
        marked.groupby("fault", sort=False)
        .agg(
            tried=("turn", "size"),
            survived=("survived", "sum"),
            same=("same", "sum"),
            stop_seconds=("stop_seconds", "median"),
            resume_seconds=("resume_seconds", "median"),
        )
        .reset_index()
    )
