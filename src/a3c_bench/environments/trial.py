"""What an environment does is tried before it is trusted.

Whether a packed copy, in another process, goes on as its original does; whether it answers alike when it is seeded
alike; whether two of them leave each other alone. None of this can be told from a type: environments pickle without an
error and come back as another, and draw from generators that others draw from too.
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from copy import deepcopy
from functools import partial
from itertools import zip_longest
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import VectorEnv

from a3c_bench.processes import process_context

STEPS = 20
"""Before an environment is packed again."""
MOST_STEPS = 200
"""In which an episode's end, of a vector's every one, is waited for; after that it is reset all the same."""
PACKED, RESETS = 3, 5
"""Times that an environment is packed, and resets after each: some remember something over many episodes."""
PATIENCE_SECONDS = 30.0

Environment = gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]
Make = Callable[[], Environment]


class Leg(NamedTuple):
    """What a copy is asked: a packed environment, and the actions that it is to take."""

    packed: bytes
    actions: Sequence[Any]


def keeps_state(make: Make) -> bool:
    """Whether copies of an environment go on as it does, in another process; any error of its own says no."""
    try:
        legs, expected = zip(*_packed_on_the_way(make), strict=True)
        answers = _answers_elsewhere(legs)
    except Exception:  # an environment's own code may raise anything
        return False
    return answers is not None and data_equivalence(list(expected), answers, exact=True)


def _packed_on_the_way(make: Make) -> Iterator[tuple[Leg, list[Any]]]:
    """An environment packed at several moments, each with what the original answers from there on."""
    environment = make()
    actions = _Actions(environment)
    try:
        environment.reset(seed=0)
        for _ in range(PACKED):
            leg = Leg(pickle.dumps(environment, pickle.HIGHEST_PROTOCOL), actions.draw(STEPS + MOST_STEPS))
            yield leg, list(walk(environment, leg.actions))
    finally:
        environment.close()


class _Actions:
    """Draws actions of an environment; its own space's generator is left alone."""

    def __init__(self, environment: Environment) -> None:
        self._space = deepcopy(environment.action_space)
        self._space.seed(0)

    def draw(self, count: int) -> list[Any]:
        return [self._space.sample() for _ in range(count)]


def walk(environment: Environment, actions: Sequence[Any]) -> Iterator[Any]:
    """What it answers: to some steps, to more until an episode ends, and to resets with a step after each."""
    alone = not isinstance(environment, VectorEnv)  # a vector resets by itself
    ended: Any = False
    for number, action in enumerate(actions):
        observation, reward, terminated, truncated, _ = environment.step(action)
        yield deepcopy((observation, reward, terminated, truncated))
        over = np.logical_or(terminated, truncated)
        ended = np.logical_or(ended, over) if number >= STEPS else False
        if np.all(ended):
            break
        if alone and over:
            yield deepcopy(environment.reset()[0])
    for action in actions[:RESETS]:
        yield deepcopy(environment.reset()[0])
        yield deepcopy(environment.step(action)[:4])


def _answers_elsewhere(legs: Sequence[Leg]) -> list[Any] | None:
    """What the copies answer in a process of their own; None where they end it, or hang."""
    answers = _elsewhere(partial(_answers, legs))
    return None if answers is None else pickle.loads(answers)  # noqa: S301  # by this process's own child


def _answers(legs: Sequence[Leg]) -> bytes:
    return pickle.dumps([list(walk(pickle.loads(leg.packed), leg.actions)) for leg in legs])  # noqa: S301  # see above


def survives(use: Callable[[], object]) -> bool:
    """Whether a process comes to an end of `use`, by an exception too."""
    return _elsewhere(partial(_attempt, use)) is not None


def _attempt(use: Callable[[], object]) -> bytes:
    with suppress(BaseException):
        use()
    return b"done"


def _elsewhere(work: Callable[[], bytes]) -> bytes | None:
    """What `work` gives in a process of its own; None where that raises, ends, or hangs."""
    context = process_context()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(work, sender), daemon=True)
    process.start()
    sender.close()
    try:
        return receiver.recv_bytes() if receiver.poll(PATIENCE_SECONDS) else None
    except EOFError:
        return None
    finally:
        process.kill()
        process.join()
        receiver.close()


def _send(work: Callable[[], bytes], sender: Connection) -> None:
    # Whatever it raises: that there is no answer says enough.
    with suppress(BaseException):
        sender.send_bytes(work())


def findings(make: Make) -> Iterator[str]:
    """Why an environment may give other bits for other numbers of workers."""
    first = make()
    actions = _Actions(first).draw(STEPS + MOST_STEPS)
    first.close()
    alone = [list(_seeded_walk(make(), seed, actions)) for seed in (0, 1)]
    if not data_equivalence(alone[0], list(_seeded_walk(make(), 0, actions)), exact=True):
        yield "seeded alike it answers otherwise: it draws from a generator that is not its own, or looks at the clock"
        return
    walks = [_seeded_walk(make(), seed, actions) for seed in (0, 1)]
    turns = list(zip_longest(*walks, fillvalue=None))
    side_by_side = [[answer for answer in answers if answer is not None] for answers in zip(*turns, strict=True)]
    if not data_equivalence(alone, side_by_side, exact=True):
        yield "two of them side by side answer otherwise than one after the other: they share something"


def _seeded_walk(environment: Environment, seed: int, actions: Sequence[Any]) -> Iterator[Any]:
    yield deepcopy(environment.reset(seed=seed)[0])
    yield from walk(environment, actions)
    environment.close()
