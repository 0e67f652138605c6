"""The textbook loop with two processes that share the model; it has the budget of the textbook program."""

import time
from itertools import islice
from typing import Any

import gymnasium
import torch
from measured import Measured, arguments
from torch import multiprocessing

from a3c_bench import textbook

PROCESSES, EPISODES = 2, 7000


def work(model: textbook.ActorCritic, seed: int, episodes: int, queue: Any) -> None:
    """One process: plays and learns, and tells of every episode when it ended and how long it was."""
    environment = gymnasium.make("CartPole-v1", disable_env_checker=True)
    for episode in islice(textbook.train(model, environment, seed), episodes):
        queue.put((time.monotonic(), len(episode.rewards)))


def main() -> None:
    """Train and report. A return is its episode's length: the loop's own rewards differ in the last step."""
    given = arguments("loop")
    measured = Measured(("torch", "gymnasium"), given.deadline)
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    model = textbook.ActorCritic().share_memory()
    torch.optim.Adam(model.parameters())  # its first use imports much: once here, not in every process
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    processes = [
        context.Process(target=work, args=(model, given.seed + rank, EPISODES // PROCESSES, queue), daemon=True)
        for rank in range(PROCESSES)
    ]
    measured.start()
    for process in processes:
        process.start()
    env_steps = 0
    for _ in range(EPISODES // PROCESSES * PROCESSES):
        clock, length = queue.get()
        env_steps += length
        if measured.episode(float(length), env_steps, clock):
            break
    for process in processes:
        process.kill()
    measured.report(env_steps, b"".join(tensor.numpy().tobytes() for tensor in model.state_dict().values()))


if __name__ == "__main__":
    main()
