"""The kinds of algorithms: those that are built in, those that installed packages bring, and one's own."""

import inspect
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path

from a3c_bench.algorithms.base import Settings
from a3c_bench.params import imported, source
from a3c_bench.supervision import StoppedError

GROUP = "a3c_bench.algorithms"
"""The entry points by which a package tells its kinds: name = "package.module:Name"."""
BUILT_IN: Mapping[str, str] = {
    "nstep": "a3c_bench.algorithms.nstep:NStep",
    "episodic": "a3c_bench.algorithms.episodic:Episodic",
    "ppo": "a3c_bench.algorithms.ppo:PPO",
}


def kinds() -> dict[str, str]:
    """Kind to `package.module:Name`."""
    return {**{point.name: point.value for point in entry_points(group=GROUP)}, **BUILT_IN}


def settings_class(kind: object) -> type[Settings]:
    """The class of a kind, or of `package.module:Name`; raises `ValueError` that lists what there is."""
    known = kinds()
    target = known.get(kind, kind) if isinstance(kind, str) else ""
    module, _, name = target.partition(":")
    if not (module and name):
        raise ValueError(f"allowed: {', '.join(sorted(known))}, or package.module:Name of your own")
    try:
        found = imported(target)
    except StoppedError:
        raise
    except BaseException as error:  # a module's own code may raise anything
        raise ValueError(
            f"{error}; allowed: an importable package.module:Name, or {', '.join(sorted(known))}"
        ) from None
    if not (isinstance(found, type) and issubclass(found, Settings)):
        raise ValueError(f"{target} is no subclass of {Settings.__module__}:{Settings.__name__}")
    if inspect.isabstract(found):
        raise ValueError(f"{target} lacks {', '.join(sorted(found.__abstractmethods__))}")
    return found


def source_of(settings: Settings) -> Path:
    """The folder of the package, or the file, that brings the settings' class."""
    top = sys.modules[type(settings).__module__.partition(".")[0]]
    return Path(next(iter(getattr(top, "__path__", [])), top.__file__ or "")).resolve()


def own_sources(settings: Settings) -> dict[str, Path]:
    """The same of all that comes from outside this package, by the key that names it."""
    found = {"kind": source_of(settings), **{key: source(target) for key, target in settings.imports.items()}}
    return {key: path for key, path in found.items() if path != Path(__file__).resolve().parents[1]}
