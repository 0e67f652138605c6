"""Stable-Baselines3's A2C and PPO with the hyper-parameters that RL-Zoo publishes for each environment.

github.com/DLR-RM/rl-baselines3-zoo at 22e3ff2, hyperparams/a2c.yml and hyperparams/ppo.yml; HalfCheetah-v5 has those of
HalfCheetah-v4. MinAtar is not in there: it has those of Atari, on the flat observation in place of the pictures of four
frames, whose network is too large for a board of ten by ten. On CartPole-v1 training ends when it is solved.
"""

from importlib import import_module
from typing import Any, NamedTuple

from measured import Measured, arguments
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn


class Recipe(NamedTuple):
    """What RL-Zoo says of an algorithm on an environment."""

    budget: int
    envs: int
    settings: dict[str, Any]
    normalize: bool = False


def linear(first: float) -> LinearSchedule:
    """From `first` to 0 over the budget: RL-Zoo's `lin_`."""
    return LinearSchedule(first, 0.0, 1.0)


RECIPES = {
    ("A2C", "CartPole-v1"): Recipe(500_000, 8, {"ent_coef": 0.0}),
    ("PPO", "CartPole-v1"): Recipe(
        100_000,
        8,
        {
            "n_steps": 32,
            "batch_size": 256,
            "gae_lambda": 0.8,
            "gamma": 0.98,
            "n_epochs": 20,
            "ent_coef": 0.0,
            "learning_rate": linear(0.001),
            "clip_range": linear(0.2),
        },
    ),
    ("A2C", "Acrobot-v1"): Recipe(500_000, 16, {"ent_coef": 0.0}, normalize=True),
    ("PPO", "Acrobot-v1"): Recipe(
        1_000_000,
        16,
        {"n_steps": 256, "gae_lambda": 0.94, "gamma": 0.99, "n_epochs": 4, "ent_coef": 0.0},
        normalize=True,
    ),
    ("A2C", "LunarLander-v3"): Recipe(
        200_000, 8, {"gamma": 0.995, "n_steps": 5, "learning_rate": linear(0.00083), "ent_coef": 0.00001}
    ),
    ("PPO", "LunarLander-v3"): Recipe(
        1_000_000,
        16,
        {"n_steps": 1024, "batch_size": 64, "gae_lambda": 0.98, "gamma": 0.999, "n_epochs": 4, "ent_coef": 0.01},
    ),
    ("A2C", "Pendulum-v1"): Recipe(
        1_000_000,
        8,
        {
            "ent_coef": 0.0,
            "max_grad_norm": 0.5,
            "n_steps": 8,
            "gae_lambda": 0.9,
            "vf_coef": 0.4,
            "gamma": 0.9,
            "use_rms_prop": True,
            "normalize_advantage": False,
            "learning_rate": linear(7e-4),
            "use_sde": True,
            "policy_kwargs": {"log_std_init": -2, "ortho_init": False},
        },
        normalize=True,
    ),
    ("PPO", "Pendulum-v1"): Recipe(
        100_000,
        4,
        {
            "n_steps": 1024,
            "gae_lambda": 0.95,
            "gamma": 0.9,
            "n_epochs": 10,
            "ent_coef": 0.0,
            "learning_rate": 1e-3,
            "clip_range": 0.2,
            "use_sde": True,
            "sde_sample_freq": 4,
        },
    ),
    ("A2C", "MinAtar/Breakout-v1"): Recipe(
        10_000_000,
        16,
        {
            "ent_coef": 0.01,
            "vf_coef": 0.25,
            "policy_kwargs": {"optimizer_class": RMSpropTFLike, "optimizer_kwargs": {"eps": 1e-5}},
        },
    ),
    ("PPO", "MinAtar/Breakout-v1"): Recipe(
        10_000_000,
        8,
        {
            "n_steps": 128,
            "n_epochs": 4,
            "batch_size": 256,
            "learning_rate": linear(2.5e-4),
            "clip_range": linear(0.1),
            "vf_coef": 0.5,
            "ent_coef": 0.01,
        },
    ),
    ("A2C", "HalfCheetah-v5"): Recipe(1_000_000, 1, {}, normalize=True),
    ("PPO", "HalfCheetah-v5"): Recipe(
        1_000_000,
        1,
        {
            "batch_size": 64,
            "n_steps": 512,
            "gamma": 0.98,
            "learning_rate": 2.0633e-05,
            "ent_coef": 0.000401762,
            "clip_range": 0.1,
            "n_epochs": 20,
            "gae_lambda": 0.92,
            "max_grad_norm": 0.8,
            "vf_coef": 0.58096,
            "policy_kwargs": {
                "log_std_init": -2,
                "ortho_init": False,
                "activation_fn": nn.ReLU,
                "net_arch": {"pi": [256, 256], "vf": [256, 256]},
            },
        },
        normalize=True,
    ),
}


def make(variant: str, environment: str, seed: int) -> A2C | PPO:
    """The algorithm, ready to learn."""
    recipe = RECIPES[variant, environment]
    if environment.startswith("MinAtar/"):
        # Not imported for the others: the time from a process's start is measured.
        import_module("minatar.gym").register_envs()
    # Nothing is shown, as with RL-Zoo. Left alone, make_vec_env asks for pictures, for which LunarLander adds a body to
    # its world whenever an engine fires: collecting long episodes took up to seven times as long.
    unseen = {"render_mode": None}
    environments: Any = make_vec_env(environment, n_envs=recipe.envs, seed=seed, env_kwargs=unseen)
    if recipe.normalize:  # as RL-Zoo does it: rewards by the algorithm's own gamma
        environments = VecNormalize(environments, gamma=recipe.settings.get("gamma", 0.99))
    # Networks this small are what the library's documentation advises the CPU for.
    kind = A2C if variant == "A2C" else PPO
    return kind("MlpPolicy", environments, seed=seed, device="cpu", **recipe.settings)


class Watch(BaseCallback):
    """Reports the training episodes, and stops where it may end."""

    def __init__(self, measured: Measured) -> None:
        super().__init__()
        self._measured = measured

    def _on_training_start(self) -> None:
        self._measured.start()

    def _on_step(self) -> bool:
        over = False
        for info in self.locals["infos"]:
            if "episode" in info:
                over = self._measured.episode(float(info["episode"]["r"]), self.num_timesteps)
        return not over


def main() -> None:
    """Train and report."""
    given = arguments("A2C", "PPO")
    measured = Measured(("stable-baselines3", "torch", "gymnasium", "numpy"), given.deadline, given.threshold)
    model = make(given.variant, given.env, given.seed)
    model.learn(RECIPES[given.variant, given.env].budget, callback=Watch(measured))
    parameters = b"".join(tensor.numpy().tobytes() for tensor in model.policy.state_dict().values())
    measured.report(model.num_timesteps, parameters)


if __name__ == "__main__":
    main()
