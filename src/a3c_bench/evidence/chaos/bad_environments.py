"""Environments as nobody should write them: each is the text of a module that registers `Bad-v0`."""

from collections.abc import Iterator
from typing import NamedTuple

NAME = "bad:Bad-v0"
MODULE = "bad.py"
PLACES = ("import", "constructor", "reset", "step", "close")
FAILURES = (
    "raise ValueError('bad')",
    "raise ValueError(r'two\\nlines' '\\nof text')",
    "raise ValueError('x' * 100_000)",
    "raise ValueError('\\udc80')",
    "raise ValueError('\\x1b[31m\\r\\x07')",
    "raise ValueError",
    "raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})",
    "raise type('Two\\nlines', (Exception,), {})",
    "raise ExceptionGroup('two', [ValueError('one'), KeyError('other')])",
    "raise BaseException('bad')",
    "raise KeyboardInterrupt",
    "raise GeneratorExit",
    "raise StopIteration",
    "raise MemoryError",
    "raise SystemExit(0)",
    "sys.exit('bye')",
    "assert False",
    "1 / 0",
    "again = lambda: again(); again()",
    "import no_such_package",
    "os._exit(0)",
    "os._exit(7)",
    "os.abort()",
    "os.kill(os.getpid(), 15)",
    "os.kill(os.getpid(), 9)",
    "os.kill(os.getpid(), 11)",
    "print('noise', flush=True); raise ValueError('bad')",
    "time.sleep(0.5); raise ValueError('bad')",
)
"""What code can do wherever it is run."""
BOX, ACTIONS = "Box(-1.0, 1.0, (3,), np.float32)", "Discrete(2)"
OBSERVATION_SPACES = (
    "None",
    "5",
    "'Box'",
    "Box",
    "Box(-1.0, 1.0, (), np.float32)",
    "Box(0, 255, (8, 8, 3), np.uint8)",
    "Discrete(5)",
    "MultiBinary(4)",
    "MultiDiscrete([2, 3])",
    "Text(5)",
    "Dict(a=Box(-1.0, 1.0, (3,)))",
    "Tuple([Box(-1.0, 1.0, (3,))])",
    "Sequence(Discrete(2))",
    "property(lambda self: 1 / 0)",
)
ACTION_SPACES = (
    "None",
    "2",
    "Discrete",
    "Discrete(0)",
    "Box(-1.0, 1.0, (0,))",
    "Text(5)",
    "Sequence(Discrete(2))",
    "Graph(Discrete(2), None)",
    "OneOf([Discrete(2), Discrete(3)])",
    "Dict(a=Discrete(2))",
    "Tuple([Discrete(2)])",
    "property(lambda self: 1 / 0)",
)
TIME_LIMITS = ("None", "0", "-1", "1.5", "'long'", "float('nan')")
ANSWERS = {
    "step": (
        "None",
        "()",
        "seen, 1.0, False, {}",
        "seen, 1.0, False, False, {}, {}",
        "seen, 'much', False, False, {}",
        "seen, None, False, False, {}",
        "seen, 1.0, 'no', False, {}",
        "seen, 1.0, False, False, None",
        "seen[:2], 1.0, False, False, {}",
        "'seen', 1.0, False, False, {}",
        "None, 1.0, False, False, {}",
    ),
    "reset": ("None", "seen", "seen, {}, {}", "seen[:2], {}", "'seen', {}", "None, {}", "{}, seen"),
}
"""What no environment may answer."""
TOO_LATE = {
    "a NaN is seen": ("np.full(3, np.nan, np.float32)", "1.0", "pass"),
    "an infinity is seen": ("np.full(3, np.inf, np.float32)", "1.0", "pass"),
    "the reward is NaN": ("seen", "float('nan')", "pass"),
    "the reward is infinite": ("seen", "float('inf')", "pass"),
    "an exception after many steps": ("seen", "1.0", "raise ValueError('bad')"),
    "an exit after many steps": ("seen", "1.0", "sys.exit()"),
    "the process ends after many steps": ("seen", "1.0", "os._exit(3)"),
}
"""Observation, reward and statement of a step, from the `MANY`th of a process on: found only when it trains."""
MANY = 10_000
WHOLE = {
    "empty": b"",
    "no Python": b"def",
    "bad indentation": b"if True:\n1",
    "NUL": b"x = 1\0",
    "no UTF-8": b"x = '\xff'",
    "an unknown encoding": b"# coding: nowhere\n",
    "nested too deeply": b"(" * 5000,
    "imports itself": b"from bad import missing",
    "another name": b"import gymnasium\ngymnasium.register('Good-v0', entry_point='bad:Nothing', max_episode_steps=9)",
    "no class": b"import gymnasium\ngymnasium.register('Bad-v0', entry_point='bad:Nothing', max_episode_steps=9)",
    "no module": b"import gymnasium\ngymnasium.register('Bad-v0', entry_point='no_such:Nothing', max_episode_steps=9)",
    "no entry point": b"import gymnasium\ngymnasium.register('Bad-v0', max_episode_steps=9)",
    "entry point a number": b"import gymnasium\ngymnasium.register('Bad-v0', entry_point=5, max_episode_steps=9)",
    "no environment": b"import gymnasium\ngymnasium.register('Bad-v0', entry_point=dict, max_episode_steps=9)",
    "a bad name": b"import gymnasium\ngymnasium.register('Bad v zero', entry_point=dict, max_episode_steps=9)",
    "an argument too many": (
        b"import gymnasium\nfrom gymnasium.envs.classic_control import CartPoleEnv\n"
        b"gymnasium.register('Bad-v0', entry_point=CartPoleEnv, kwargs={'no': 1}, max_episode_steps=9)"
    ),
}
"""Modules that are wrong as a whole."""
NAMES = (
    "",
    " ",
    ":",
    "::",
    "a:b:c",
    "no_such_package:Bad-v0",
    "no.such.package:Bad-v0",
    ".:Bad-v0",
    "..bad:Bad-v0",
    "../bad:Bad-v0",
    "os:Bad-v0",
    "this:Bad-v0",
    "json.tool:Bad-v0",
    "os:",
    ":CartPole-v1",
    "CartPole",
    "CartPole-v99",
    "CartPole-v-1",
    "CartPole-v1 ",
    "CartPole-v1\n",
    "cartpole-v1",
    "ALE/Pong-v5",
    "x" * 10_000,
    "\u202eelopTraC",
    "\0",
    "$(true)",
)
TEMPLATE = """
import os, sys, time
import gymnasium
import numpy as np
from gymnasium.spaces import *

{at[import]}

class Bad(gymnasium.Env):
    observation_space = {observation_space}
    action_space = {action_space}
    steps = 0

    def __init__(self, **options):
        {at[constructor]}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        seen = np.zeros(3, np.float32)
        {at[reset]}
        return {reset_answer}

    def step(self, action):
        seen = np.zeros(3, np.float32)
        Bad.steps += 1
        {at[step]}
        return {step_answer}

    def close(self):
        {at[close]}

gymnasium.register("Bad-v0", entry_point=Bad, max_episode_steps={time_limit})
"""
GOOD = {
    "observation_space": BOX,
    "action_space": ACTIONS,
    "reset_answer": "seen, {}",
    "step_answer": "seen, 1.0, False, False, {}",
    "time_limit": "20",
}


class BadEnvironment(NamedTuple):
    """A module, and when what is wrong with it shows."""

    kind: str
    name: str
    module: bytes
    too_late: bool = False
    """Not before it trains."""


def bad_environments() -> Iterator[BadEnvironment]:
    """All of them."""
    for place in PLACES:
        for failure in FAILURES:
            yield BadEnvironment(f"environment fails in its {place}", failure, module({place: failure}))
    for name, content in WHOLE.items():
        yield BadEnvironment("environment's module is wrong", name, content)
    for key, values in (("observation_space", OBSERVATION_SPACES), ("action_space", ACTION_SPACES)):
        for value in values:
            yield BadEnvironment("environment with odd spaces", f"{key} {value}", module({}, **{key: value}))
    for limit in TIME_LIMITS:
        yield BadEnvironment("environment without a time limit", limit, module({}, time_limit=limit))
    for place, answers in ANSWERS.items():
        for answer in answers:
            text = module({}, **{f"{place}_answer": answer})
            yield BadEnvironment("environment answers what it must not", f"{place}: {answer}", text)
    for name, (seen, reward, statement) in TOO_LATE.items():
        step = f"reward = 1.0\n        if Bad.steps > {MANY}: seen, reward = {seen}, {reward}; {statement}"
        text = module({"step": step}, step_answer="seen, reward, False, False, {}")
        yield BadEnvironment("environment fails in training", name, text, too_late=True)


def module(at: dict[str, str], **changes: str) -> bytes:
    """A module with statements at some places, and other expressions than `GOOD` ones."""
    return TEMPLATE.format(at={place: at.get(place, "pass") for place in PLACES}, **GOOD | changes).encode()
