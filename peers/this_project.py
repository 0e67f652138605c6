"""This project with one or two workers: on CartPole-v1 its first algorithm by its params, elsewhere PPO by the suite's.

Training goes on to the end of its budget.
"""

import time

from measured import CARTPOLE, Measured, arguments

from a3c_bench.math_threads import limit_math_threads
from a3c_bench.params import PARAMS_FILE, read_yaml
from a3c_bench.processes import start_server


def main() -> None:
    """Train and report."""
    given = arguments("1", "2")
    content = read_yaml(PARAMS_FILE)
    limit_math_threads()
    # As every command that trains does it: the server's imports run beside this process's.
    start_server()
    from a3c_bench import suite
    from a3c_bench.config import parse_config
    from a3c_bench.training import pool

    config = parse_config(content) if given.env == CARTPOLE else suite.load().config(given.env)
    algorithm = config.algorithms[0] if given.env == CARTPOLE else "ppo"
    config = config.changed(workers=int(given.variant), schedule="ordered")
    measured = Measured(("gymnasium", "numpy"), given.deadline, given.threshold)
    measured.start()
    outcome = pool.train(config, algorithm, given.seed)
    from a3c_bench.stages.profile import as_sample

    # The turns' clock, so that the moment is the one at which the episode's update was applied.
    offset = time.monotonic() - time.perf_counter()
    places = {(turn["update"], turn["actor"]): turn["time"] for turn in outcome.turns}
    for episode, env_steps in zip(outcome.episodes, outcome.episode_env_steps.tolist(), strict=True):
        first_update = episode["rollout"] * outcome.updates_per_rollout
        clock = places[first_update, episode["actor"]] + offset
        if measured.episode(float(episode["return"]), env_steps, clock):
            break
    measured.report(outcome.env_steps, outcome.parameters.tobytes(), as_sample(outcome, False).rate)


if __name__ == "__main__":
    main()
