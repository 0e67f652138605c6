"""A reproducible benchmark pipeline for shared-model, multi-process actor-critic (A3C).

    import a3c_bench as a3c

    config = a3c.load_config().with_(workers=2)
    result = a3c.train(config, config.algorithms[0], seed=0)
    print(a3c.evaluate(result.policy, episodes=100)["return"].mean())

`__all__` lists all that is public. It is imported when it is first used: the command starts without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from a3c_bench.api import Policy, TrainingResult, evaluate, load_config, load_policy, train
    from a3c_bench.config import Config
    from a3c_bench.errors import BadInputError, TrainingError

__all__ = [
    "BadInputError",
    "Config",
    "Policy",
    "TrainingError",
    "TrainingResult",
    "evaluate",
    "load_config",
    "load_policy",
    "train",
]
_ELSEWHERE = {"BadInputError": "errors", "Config": "config", "TrainingError": "errors"}
"""What does not come from `api.py`."""

if not TYPE_CHECKING:  # to a type checker, whatever name is asked for would be there

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'api')}"), name)


def __dir__() -> list[str]:
    return __all__
