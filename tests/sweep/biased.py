"""CartPole, but on a machine whose variable says so it computes wrongly, now and then in the last bits."""

import os

import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

WRONG = "A3C_BENCH_TEST_WRONG"


class Biased(CartPoleEnv):
    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, reward + (1e-6 if os.environ.get(WRONG) else 0.0), *rest


gymnasium.register("Biased-v0", Biased, max_episode_steps=100)
