"""Stable-Baselines3's A2C and PPO with the hyper-parameters that RL-Zoo publishes for CartPole-v1.

github.com/DLR-RM/rl-baselines3-zoo, hyperparams/a2c.yml and hyperparams/ppo.yml. Training ends when it is solved.
"""

from typing import Any

from measured import Measured, arguments
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.utils import LinearSchedule

ENVS = 8
BUDGET = {"A2C": 500_000, "PPO": 100_000}


def make(variant: str, seed: int) -> A2C | PPO:
    """The algorithm, ready to learn."""
    environments = make_vec_env("CartPole-v1", n_envs=ENVS, seed=seed)
    # Networks this small are what the library's documentation advises the CPU for.
    common: dict[str, Any] = {"policy": "MlpPolicy", "env": environments, "seed": seed, "device": "cpu"}
    if variant == "A2C":
        return A2C(**common, ent_coef=0.0)
    return PPO(
        **common,
        n_steps=32,
        batch_size=256,
        gae_lambda=0.8,
        gamma=0.98,
        n_epochs=20,
        ent_coef=0.0,
        learning_rate=LinearSchedule(0.001, 0.0, 1.0),
        clip_range=LinearSchedule(0.2, 0.0, 1.0),
    )


class Watch(BaseCallback):
    """Reports the training episodes, and stops when it is solved."""

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
    measured = Measured(("stable-baselines3", "torch", "gymnasium", "numpy"), given.deadline)
    model = make(given.variant, given.seed)
    model.learn(BUDGET[given.variant], callback=Watch(measured))
    parameters = b"".join(tensor.numpy().tobytes() for tensor in model.policy.state_dict().values())
    measured.report(model.num_timesteps, parameters)


if __name__ == "__main__":
    main()
