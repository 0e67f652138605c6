"""Trainings of networks in torch keep every promise, and what comes after a training knows such networks."""

import random
from functools import cache
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import pytest
from conftest import ROOT, small_config, small_params, write_params
from disturbances import DeathInATurn

import a3c_bench
from a3c_bench import evaluation
from a3c_bench.config import parse_config
from a3c_bench.environments.make import describe
from a3c_bench.errors import BadInputError, TrainingError
from a3c_bench.evidence.reproducibility.trial import fingerprint
from a3c_bench.results.checkpoints import identity
from a3c_bench.results.models import load_parameters
from a3c_bench.training import pool
from a3c_bench.training.alone import turns
from a3c_bench.training.needs import memory
from a3c_bench.training.worker import Job

DENSE = {"network": "examples.networks.dense:Normalised", "hidden": None}
IMAGES = {"network": "examples.networks.minatar:Convolutional", "hidden": None}
CASES = {
    "nstep": {"env": "CartPole-v1", "nstep": {**DENSE, "actors": 5}},
    "ppo": {"env": "odd_environments:Pixels-v0", "ppo": {**IMAGES, "actors": 5, "total_steps": 1_600}},
    "scaled": {
        "env": "odd_environments:Pixels-v0",
        "scaled": {
            **small_params()["ppo"],
            **IMAGES,
            "actors": 3,
            "total_steps": 1_200,
            "normalize_observations": True,
            "normalize_rewards": True,
        },
    },
    "wide": {
        "env": "Pendulum-v1",
        # Two parts to share between threads.
        "wide": {
            **small_params()["nstep"],
            **DENSE,
            "network_kwargs": {"hidden": [16, 8]},
            "actors": 3,
            "envs": 64,
            "rollout_steps": 20,
            "total_steps": 3 * 64 * 20 * 4,
        },
    },
}


def config(name, **changes):
    return small_config(**CASES[name], algorithms=[name], checkpoint={"seconds": 0.01}, **changes)


@cache
def reference(name):
    checkpoints = []
    outcome = pool.train(config(name, workers=1), name, 0, keep=checkpoints.append)
    return outcome, fingerprint(outcome, []), checkpoints


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("workers", "threads"), [(2, 1), (5, 1), (2, 2)])
def test_workers_and_threads_compute_the_same_bits(name, workers, threads):
    settings = config(name).algorithm(name)
    assert settings.parts == (2 if name == "wide" else 1)
    outcome = pool.train(config(name, workers=workers, threads=threads), name, 0)
    assert fingerprint(outcome, []) == reference(name)[1]


@pytest.mark.parametrize("name", CASES)
def test_alone_is_its_definition(name):
    of_workers, settings = reference(name)[0], config(name)
    *_, last = turns(Job(settings, name, 0, describe(settings.recipe)))
    assert np.array_equal(last.model, of_workers.parameters)


@pytest.mark.parametrize("name", CASES)
def test_it_goes_on_from_a_checkpoint(name):
    _, expected, checkpoints = reference(name)
    resumed = pool.train(config(name, workers=2), name, 0, start=random.choice(checkpoints))
    assert fingerprint(resumed, []) == expected


@pytest.mark.parametrize("name", CASES)
def test_it_goes_on_after_a_killed_worker(name, tmp_path):
    disturbance = DeathInATurn(tmp_path, 7)
    outcome = pool.train(config(name), name, 0, max_restarts=1, disturbance=disturbance)
    assert (tmp_path / "died").exists()
    assert fingerprint(outcome, []) == reference(name)[1]


def test_a_checkpoint_knows_the_networks_code_and_torch():
    with_network, without = (identity(of, "nstep", 0) for of in (config("nstep"), small_config()))
    assert with_network["torch"] == version("torch")
    assert with_network["own_code"] and not without["own_code"]
    assert "torch" not in without and "network" not in without["settings"]


def test_what_is_learned_hangs_on_the_seed():
    other = pool.train(config("nstep"), "nstep", 1)
    assert fingerprint(other, []) != reference("nstep")[1]


def test_native_numerics_keep_workers_and_threads_apart_from_the_bits():
    native = config("wide").with_(wide={"numerics": "native"})
    found = {
        fingerprint(pool.train(native.changed(workers=workers, threads=threads), "wide", 0), [])
        for workers, threads in ((1, 1), (3, 2))
    }
    assert len(found) == 1


def test_it_learns():
    settings = {**DENSE, "envs": 64, "rollout_steps": 4, "total_steps": 200_000, "learning_rate": 1e-2}
    outcome = pool.train(small_config(nstep=settings), "nstep", 0)
    assert outcome.episodes["return"][-100:].mean() > 4 * outcome.episodes["return"][:100].mean()


def test_rollouts_of_images_are_kept_as_they_come():
    settings = config("ppo")
    environment, section = describe(settings.recipe), settings.algorithm("ppo")
    actor = section.actor_maker(environment, 0)(0, section.initial_parameters(environment, 0))
    experience = actor.collect().experience
    assert experience.observations.dtype == np.uint8
    assert experience.observations.max() > 100
    floats = section.model_copy(update={"network": None, "hidden": (0,)})
    assert section.observation_bytes(environment) * 4 == floats.observation_bytes(environment)
    assert memory(section, 2, environment) > 0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("shape", r"forward gives outputs of shape \(\d+, 1\)"),
        ("gradient", "there is no gradient for its parameter actor.weight"),
    ],
)
def test_a_network_that_changes_its_mind_is_told_with_actor_and_update(how, words):
    changing = {"network": "odd_networks:ChangingItsMind", "network_kwargs": {"how": how}, "hidden": None}
    with pytest.raises(TrainingError, match=rf"worker \d failed: CartPole-v1, actor \d in its update \d+, .*{words}"):
        pool.train(small_config(nstep=changing), "nstep", 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": "odd_networks:Dropping", "hidden": None}, "nstep.network: 'odd_networks:Dropping': it draws"),
        ({"network": "no.such:Module", "hidden": None}, "nstep.network: 'no.such:Module': ModuleNotFoundError"),
        ({**DENSE, "network_kwargs": {"units": 3}}, "nstep.network: 'examples.networks.dense:Normalised': TypeError"),
    ],
)
def test_a_network_is_tried_before_anything_else(changes, words):
    with pytest.raises(BadInputError) as raised:
        a3c_bench.train(small_config(nstep=changes), "nstep")
    assert str(raised.value).startswith(words) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": "examples.networks.dense:Dense"}, "nstep: hidden or network: one says which network it is"),
        ({"hidden": None}, "nstep: hidden or network: one says which network it is"),
        ({"network": "Dense", "hidden": None}, "nstep.network: 'Dense' is not allowed: "),
        ({"network": "__main__:Dense", "hidden": None}, "define it in a module"),
        ({"network_kwargs": {"a": 1}}, "nstep: network_kwargs and numerics mean something with network only"),
        ({"numerics": "native"}, "nstep: network_kwargs and numerics mean something with network only"),
        ({**DENSE, "numerics": "fast"}, "nstep.numerics: 'fast' is not allowed"),
    ],
)
def test_wrong_keys_are_told_in_one_line(changes, words):
    with pytest.raises(BadInputError) as raised:
        small_config(nstep=changes)
    assert words in str(raised.value) and "\n" not in str(raised.value)


def test_hidden_may_be_left_out_for_a_network_only():
    params = small_params(nstep={"network": "examples.networks.dense:Dense"})
    del params["nstep"]["hidden"]
    assert parse_config(params).algorithm("nstep").hidden is None
    del params["nstep"]["network"]
    with pytest.raises(BadInputError, match=r"nstep\.hidden: missing"):
        parse_config(params)


def test_the_python_face_takes_a_network(tmp_path):
    policy = a3c_bench.train(config("nstep"), "nstep").policy
    assert np.array_equal(policy.parameters, reference("nstep")[0].parameters)
    policy.save(tmp_path / "policy.safetensors")
    loaded = a3c_bench.load_policy(tmp_path / "policy.safetensors")
    assert a3c_bench.evaluate(loaded, 5).equals(a3c_bench.evaluate(policy, 5))
    assert loaded.act([0.1, 0.2, 0.3, 0.4]) in (0, 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # MLflow's own, and those of what it imports
@pytest.mark.parametrize("name", ["nstep", "ppo"])
def test_evaluation_film_and_the_served_policy_load_it(a3c_bench, workspace, name):
    write_params(workspace, small_params(**CASES[name], algorithms=[name]))
    for command in ("check", "train", "evaluate", "film"):
        result = a3c_bench(command, PYTHONPATH=f"{ROOT / 'src'}:{ROOT}:{ROOT / 'tests'}")
        assert result.returncode == 0, result.stderr
        assert result.stderr == ""
    mlflow.set_tracking_uri(f"sqlite:///{workspace / 'mlflow.db'}")
    (version,) = mlflow.MlflowClient().search_model_versions("")
    served = mlflow.pyfunc.load_model(f"models:/{version.name}/1")
    settings, environment = config(name).algorithm(name), describe(config(name).recipe)
    observations = np.random.default_rng(0).integers(2, size=(3, environment.observation.size)).astype(np.float32)
    path = workspace / "models" / name / "seed-0.safetensors"
    policy = settings.policy(environment, load_parameters(path, settings.layout(environment)))
    actions = served.predict(observations).filter(like="action").to_numpy().reshape(3, -1)
    assert actions.tolist() == evaluation.act(policy, observations).reshape(3, -1).tolist()
    requirements = Path(mlflow.pyfunc.get_model_dependencies(f"models:/{version.name}/1")).read_text()
    assert "torch==" in requirements and "+" not in requirements
