"""The trained policy as an MLflow model: observations in, actions and their probabilities out.

MLflow runs this file when it loads the model ("models from code"): nothing is unpickled.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel
from safetensors.numpy import load_file

from a3c_bench.distributions.categorical import greedy, log_softmax
from a3c_bench.networks.dense import EpisodicNetwork, Layout, NStepNetwork


class ServedPolicy(PythonModel):
    """The greedy policy of a safetensors file."""

    # The logged signature is the schema: MLflow need not read one from type hints, which it would, nor ask for them.
    _skip_type_hint_validation = True

    def load_context(self, context: Any) -> None:
        """Read the model file of the run."""
        tensors = load_file(Path(context.artifacts["model"]))
        weights = {name.removesuffix(".weight"): tensor for name, tensor in sorted(tensors.items()) if tensor.ndim > 1}
        layout = Layout({name: (weight.shape[1], weight.shape[0]) for name, weight in weights.items()})
        flat = np.concatenate([tensors[name].reshape(-1) for name in layout.shapes])
        network = EpisodicNetwork if "critic_hidden" in weights else NStepNetwork
        self._network = network(layout, flat)

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """One row per observation: the most probable action, and the probability of each."""
        observations = np.atleast_2d(np.asarray(model_input, dtype=np.float32))
        logits = self._network.logits(observations)
        probabilities = np.exp(log_softmax(logits))
        columns = {f"probability_{action}": probabilities[:, action] for action in range(probabilities.shape[1])}
        return pd.DataFrame({"action": greedy(logits), **columns})


set_model(ServedPolicy())
