"""All stages on environments that are unlike CartPole: spaces to adapt, no time limit of their own, no threshold."""

import json

import pytest
from conftest import WITHOUT_MLFLOW, small_params, write_params

pytestmark = pytest.mark.slow

ENVIRONMENTS = [
    {"env": "Pendulum-v1"},
    {"env": "Blackjack-v1", "max_episode_steps": 50, "env_kwargs": {"sab": True}},
    {"env": "FrozenLake-v1", "wrappers": ["gymnasium.wrappers:RecordEpisodeStatistics"]},
]


@pytest.mark.parametrize("given", ENVIRONMENTS, ids=lambda given: given["env"])
@pytest.mark.parametrize("algorithm", ["nstep", "episodic"])
def test_the_pipeline_runs(a3c_bench, workspace, given, algorithm):
    params = small_params(**given, algorithms=[algorithm], nstep={"total_steps": 3_200}, episodic={"reward": "env"})
    params["episodic"]["episodes"] = 12
    write_params(workspace, params)
    for command in ("check", "train", "evaluate", "film", "machine", "profile", "report"):
        result = a3c_bench(command, **WITHOUT_MLFLOW)
        assert result.returncode == 0, result.stderr
        assert result.stderr == ""
    page = (workspace / "reports" / "index.html").read_text()
    assert given["env"] in page
    metrics = json.loads((workspace / "reports" / "profile" / "metrics.json").read_text())
    assert list(metrics[algorithm]) == ["env_steps_per_second", "speedup"], "the textbook loop cannot play"
