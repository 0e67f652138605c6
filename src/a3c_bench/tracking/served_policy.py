"""The trained policy as an MLflow model: observations in, actions and what the policy thinks of them out.

MLflow runs this file when it loads the model ("models from code"): nothing is unpickled.
"""

from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel
from pydantic import TypeAdapter

from a3c_bench.algorithms.registry import settings_class
from a3c_bench.distributions.base import as_columns
from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.results.models import load_parameters


class ServedPolicy(PythonModel):
    """The greedy policy of a safetensors file."""

    # The logged signature is the schema: MLflow need not read one from type hints, which it would, nor ask for them.
    _skip_type_hint_validation = True

    def load_context(self, context: Any) -> None:
        """Read the model file of the run, by the section of params and the environment that it was trained with."""
        section = context.model_config["section"]
        settings = settings_class(section["kind"]).model_validate(section)
        environment = TypeAdapter(EnvironmentInfo).validate_python(context.model_config["environment"])
        parameters = load_parameters(Path(context.artifacts["model"]), settings.layout(environment))
        self._policy, self._one_at_a_time = settings.policy(environment, parameters), Lock()

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """One row per observation: the most probable action, and what else its distribution tells."""
        observations = np.atleast_2d(np.asarray(model_input, dtype=np.float32))
        # A server answers in several threads, and the policy's outputs lie in memory that is used again.
        with self._one_at_a_time:
            outputs = self._policy.outputs(observations).copy()
        return pd.DataFrame(as_columns(self._policy.distribution, outputs))


set_model(ServedPolicy())
