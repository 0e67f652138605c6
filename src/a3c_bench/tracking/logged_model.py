"""A trained model in MLflow: named after what it is, in the registry, and with its returns."""

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

SERVING_LIBRARIES = ("gymnasium", "mlflow", "numpy", "pandas", "pydantic", "ruamel.yaml", "safetensors")
CONTENT_TAG = "model_sha256"
"""Of models, and of the runs that evaluated one: trained again to the same bits, it is the same model."""
EVALUATE = "evaluate"
"""The prefix of what an evaluation found."""


def model_name(environment: str, algorithm: str, seed: int) -> str:
    """`<environment>-<algorithm>-seed-<number>`; what MLflow allows in no name becomes a hyphen."""
    return re.sub(r"[^\w-]", "-", f"{environment}-{algorithm}-seed-{seed}")


def log_model(
    name: str,
    path: str,
    content: str,
    code: Sequence[str],
    libraries: Sequence[str],
    section: Mapping[str, Any],
    environment: Mapping[str, Any],
    observations: int,
    columns: Mapping[str, str],
    env_steps: int,
) -> None:
    """Log the model in a file of parameters, with the code that makes a policy of it, to the active run.

    content: the file's SHA-256. libraries: that it needs beside those of every model. observations: numbers of one.
    columns: what the policy gives, by the types of the numbers. env_steps: of the training; the run's figures at that
    step are the model's too.
    """
    import mlflow
    import numpy as np

    mlflow.pyfunc.log_model(
        name=name,
        registered_model_name=name,
        tags={CONTENT_TAG: content},
        step=env_steps,
        input_example=np.zeros((1, observations)),
        signature=_signature(observations, columns),
        python_model=str(Path(__file__).with_name("served_policy.py")),
        artifacts={"model": path},
        model_config={"section": section, "environment": environment},
        code_paths=list(code),
        # A build's own name, torch's `+cpu`, is known to its own index only.
        pip_requirements=[
            f"{library}=={version(library).partition('+')[0]}" for library in (*SERVING_LIBRARIES, *libraries)
        ],
    )


def _signature(observations: int, columns: Mapping[str, str]) -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    types = {"int64": DataType.long, "float32": DataType.float}
    return ModelSignature(
        # Columns, not a tensor: MLflow takes a tensor of the signature's own type only, but widens columns.
        inputs=Schema([ColSpec(DataType.double)] * observations),
        outputs=Schema([ColSpec(types[kind], name) for name, kind in columns.items()]),
    )


def link_returns(client: "MlflowClient", at: int, experiment: str, content: str) -> None:
    """Log the mean returns that the last evaluation of a model found as its own, and as its training's.

    Model and evaluation are logged by processes of their own: each calls this, and the later one finds both.
    """
    from mlflow.entities import Metric

    alike, newest = f"tags.{CONTENT_TAG} = '{content}'", {"field_name": "creation_time", "ascending": False}
    for model in client.search_logged_models([experiment], alike, order_by=[newest], max_results=1):
        for run in client.search_runs([experiment], alike, max_results=1):
            metrics = [
                Metric(name, value, at, 0, model_id=model.model_id)
                for name, value in run.data.metrics.items()
                if name.startswith(f"{EVALUATE}/") and name.endswith("_mean")
            ]
            client.log_batch(str(model.source_run_id), metrics=metrics)
