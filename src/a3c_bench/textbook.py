"""The textbook loop, slow and readable: the oracle of the tests and the yardstick of every speed figure.

It stands apart and imports nothing of the rest. The network, the loss and the loop are those of the classic
shared-model example for CartPole; fixed here are its defects: the episode counter is incremented under its lock,
an episode cut at the time limit is no failure, and nothing is rendered while training.
"""

import argparse
import ctypes
import json
import resource
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from multiprocessing.sharedctypes import Synchronized
from typing import Any

import gymnasium
import torch
from torch import Tensor, multiprocessing, nn
from torch.distributions import Categorical
from torch.nn import functional

GAMMA = 0.95
CRITIC_WEIGHT = 0.1
LEARNING_RATE = 1e-4
STEP_REWARD, FAILURE_REWARD = 1.0, -10.0


class ActorCritic(nn.Module):
    """Two shared ReLU layers; the critic reads them detached and ends in a tanh."""

    def __init__(
        self, observations: int = 4, actions: int = 2, hidden: tuple[int, int] = (25, 50), critic_hidden: int = 25
    ) -> None:
        super().__init__()
        first, second = hidden
        self.hidden = nn.ModuleList([nn.Linear(observations, first), nn.Linear(first, second)])
        self.actor = nn.Linear(second, actions)
        self.critic_hidden = nn.Linear(second, critic_hidden)
        self.critic = nn.Linear(critic_hidden, 1)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities (…, actions) and values (…, 1) of observations (…, size)."""
        features = functional.normalize(observation, dim=-1)
        for layer in self.hidden:
            features = functional.relu(layer(features))
        log_probabilities = functional.log_softmax(self.actor(features), dim=-1)
        critic = functional.relu(self.critic_hidden(features.detach()))
        return log_probabilities, torch.tanh(self.critic(critic))


@dataclass
class Episode:
    """One episode: log-probabilities of the actions taken, values and rewards, one per step."""

    log_probabilities: list[Tensor]
    values: list[Tensor]
    rewards: list[float]


def play_episode(environment: gymnasium.Env[Any, Any], model: ActorCritic) -> Episode:
    """Sample actions from the policy until the episode ends."""
    observation, _ = environment.reset()
    episode = Episode([], [], [])
    over = False
    while not over:
        log_probabilities, value = model(torch.as_tensor(observation, dtype=torch.float32))
        action = Categorical(logits=log_probabilities).sample()
        observation, _, terminated, truncated, _ = environment.step(int(action))
        episode.log_probabilities.append(log_probabilities[action])
        episode.values.append(value)
        episode.rewards.append(FAILURE_REWARD if terminated else STEP_REWARD)
        over = terminated or truncated
    return episode


def loss(episode: Episode) -> Tensor:
    """Sum over the episode of −log π(a|s) · (R − V) + 0.1 · (V − R)², R the normalised discounted returns."""
    returns, following = [], 0.0
    for reward in reversed(episode.rewards):
        following = reward + GAMMA * following
        returns.append(following)
    normalised = functional.normalize(torch.tensor(returns[::-1]), dim=0)
    values = torch.cat(episode.values)
    actor = -torch.stack(episode.log_probabilities) * (normalised - values.detach())
    critic = (values - normalised) ** 2
    return actor.sum() + CRITIC_WEIGHT * critic.sum()


@dataclass(frozen=True)
class Share:
    """What one process did, warm-up apart: env steps, the clock at start and end, CPU seconds, peak memory."""

    env_steps: int
    start: float
    end: float
    cpu_seconds: float
    peak_memory_bytes: int


def train(model: ActorCritic, environment: gymnasium.Env[Any, Any], seed: int) -> Iterator[Episode]:
    """One actor, for ever: play an episode, step the shared model, lock-free; yields the episodes."""
    end_with_parent()
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    environment.reset(seed=seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    while True:
        episode = play_episode(environment, model)
        learn(model, optimizer, episode)
        yield episode


def learn(model: ActorCritic, optimizer: torch.optim.Optimizer, episode: Episode) -> None:
    """One Adam step on the shared parameters."""
    optimizer.zero_grad()
    loss(episode).backward()
    optimizer.step()


def work(
    model: ActorCritic, environment_name: str, episodes: int, seed: int, counter: "Synchronized[int]", results: Any
) -> None:
    """One process: trains for so many episodes and puts its `Share` into `results`."""
    training = train(model, gymnasium.make(environment_name, disable_env_checker=True), seed)
    next(training)  # warm-up, not counted
    env_steps, start, cpu_start = 0, time.perf_counter(), time.process_time()
    for episode in islice(training, episodes):
        env_steps += len(episode.rewards)
        with counter.get_lock():
            counter.value += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    results.put(Share(env_steps, start, time.perf_counter(), time.process_time() - cpu_start, peak))


@dataclass(frozen=True)
class TextbookRun:
    """What the textbook program prints at its end, and how fast it was."""

    episodes: int
    exit_codes: list[int | None]
    env_steps: int
    seconds: float
    """From the first process's start of its loop, imports and warm-up done, to the last one's end."""
    cpu_seconds: float
    peak_memory_bytes: int
    """Of the largest process."""


def run(environment_name: str, processes: int, episodes: int, seed: int) -> TextbookRun:
    """Train a fresh model with `processes` processes that play `episodes` episodes between them."""
    # One thread, and that before the first operation: a process forked after torch has used its threads can hang.
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    environment = gymnasium.make(environment_name, disable_env_checker=True)
    model = ActorCritic(environment.observation_space.shape[0], int(environment.action_space.n))  # type: ignore
    model.share_memory()
    torch.optim.Adam(model.parameters())  # its first use imports much: once here, not in every process
    context = multiprocessing.get_context("fork")
    counter, results = context.Value("q", 0), context.SimpleQueue()
    shares = [episodes // processes + (rank < episodes % processes) for rank in range(processes)]
    workers = [
        context.Process(target=work, args=(model, environment_name, share, seed + rank, counter, results), daemon=True)
        for rank, share in enumerate(shares)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    exit_codes = [worker.exitcode for worker in workers]
    if any(exit_codes):
        raise RuntimeError(f"the textbook loop's processes ended with the exit codes {exit_codes}")
    done: list[Share] = [results.get() for _ in workers]
    return TextbookRun(
        episodes=counter.value,
        exit_codes=exit_codes,
        env_steps=sum(share.env_steps for share in done),
        seconds=max(share.end for share in done) - min(share.start for share in done),
        cpu_seconds=sum(share.cpu_seconds for share in done),
        peak_memory_bytes=max(share.peak_memory_bytes for share in done),
    )


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends (prctl's PR_SET_PDEATHSIG, which is 1)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main() -> None:
    """`python -m a3c_bench.textbook ENV PROCESSES EPISODES SEED`: run the loop and print what it did, as JSON."""
    end_with_parent()
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("env")
    for name in ("processes", "episodes", "seed"):
        parser.add_argument(name, type=int)
    arguments = parser.parse_args()
    result = run(arguments.env, arguments.processes, arguments.episodes, arguments.seed)
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
