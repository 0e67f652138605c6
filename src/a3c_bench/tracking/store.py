"""MLflow's store: whether anything is logged, where to, and the experiments in it."""

import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from a3c_bench.errors import BadInputError
from a3c_bench.repository import repository_root

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")
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


def retried(call: Callable[[], T]) -> T:
    """What the call gives, made once more where the store refuses it.

    Another host may have added the same row at the same moment, which PostgreSQL takes for an error; the second call
    finds that row. For calls only that do no more when they are made twice.
    """
    from mlflow.exceptions import MlflowException

    try:
        return call()
    except MlflowException:
        return call()


def find_or_create_experiment(client: "MlflowClient", name: str) -> str:
    """The id of the experiment of this name."""
    return retried(lambda: _find_or_create_experiment(client, name))


def _find_or_create_experiment(client: "MlflowClient", name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found:
        return str(found.experiment_id)
    # A server stores artifacts itself; SQLite's would land in the current folder, which may be a temporary one.
    local = tracking_uri().startswith("sqlite:")
    place = str(repository_root() / "mlruns") if local else None
    return str(client.create_experiment(name, place, tags=MODEL_TRAINING))


def quiet() -> None:
    """Keep MLflow's own chatter (migrations, hints) off the output, and its patience within ours."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    warnings.filterwarnings("ignore", module=r"mlflow(\..*)?")
