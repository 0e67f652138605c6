"""MLflow's store: whether anything is logged, where to, and the experiments in it."""

import os
import warnings
from typing import TYPE_CHECKING

from a3c_bench.errors import BadInputError
from a3c_bench.repository import repository_root

if TYPE_CHECKING:
    from mlflow import MlflowClient

VARIABLE = "A3C_BENCH_TRACKING"
OFF, WAIT = "off", "wait"
"""Nothing is logged; a stage ends only when its run is logged. Otherwise it ends before."""
MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}
"""The tag of an experiment that is about models of one's own, not about language models."""


def how_to_track() -> str:
    """By the environment variable; raises `BadInputError` for what it does not know."""
    how = os.environ.get(VARIABLE, "")
    if how not in {"", OFF, WAIT}:
        raise BadInputError(f"{VARIABLE}: {how!r}; allowed: {OFF}, {WAIT}, or nothing")
    return how


def tracking_uri() -> str:
    """Where runs are stored: `MLFLOW_TRACKING_URI`, or SQLite at the repository's root.

    DVC runs queued experiments in a temporary folder and names the repository itself in `DVC_ROOT`.
    """
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{repository_root() / 'mlflow.db'}"


def find_or_create_experiment(client: "MlflowClient", name: str) -> str:
    """The id of the experiment of this name."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found:
        return str(found.experiment_id)
    # A server stores artifacts itself; SQLite's would land in the current folder, which may be a temporary one.
    local = tracking_uri().startswith("sqlite:")
    place = str(repository_root() / "mlruns") if local else None
    try:
        return str(client.create_experiment(name, place, tags=MODEL_TRAINING))
    except MlflowException:
        # Another host may have made it at the same moment.
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return str(found.experiment_id)


def quiet() -> None:
    """Keep MLflow's own chatter (migrations, hints) off the output, and its patience within ours."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    warnings.filterwarnings("ignore", module=r"mlflow(\..*)?")
