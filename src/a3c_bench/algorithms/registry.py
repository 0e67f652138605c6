"""The kinds of algorithms: those that are built in, those that installed packages bring, and one's own."""

import inspect
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from a3c_bench.algorithms.base import Settings

GROUP = "a3c_bench.algorithms"
"""The entry points by which a package tells its kinds: name = "package.module:Name"."""
BUILT_IN: Mapping[str, str] = {
    "nstep": "a3c_bench.algorithms.nstep:NStep",
    "episodic": "a3c_bench.algorithms.episodic:Episodic",
}


def kinds() -> dict[str, str]:
    """Kind to `package.module:Name`."""
    return {**{point.name: point.value for point in entry_points(group=GROUP)}, **BUILT_IN}


def settings_class(kind: str) -> type[Settings]:
    """The class of a kind, or of `package.module:Name`; raises `ValueError` that lists what there is."""
    known = kinds()
    target = known.get(kind, kind)
    module, _, name = target.partition(":")
    if not name:
        raise ValueError(f"allowed: {', '.join(sorted(known))}, or package.module:Name of your own")
    try:
        found = getattr(_imported(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{error}; allowed: an importable package.module:Name, or {', '.join(sorted(known))}"
        ) from None
    if not (isinstance(found, type) and issubclass(found, Settings)):
        raise ValueError(f"{target} is no subclass of {Settings.__module__}:{Settings.__name__}")
    return found


def own_source(settings: Settings) -> Path | None:
    """The module's file of a class that comes from outside this package; None for one that is built in."""
    path = inspect.getsourcefile(type(settings))
    inside = path is None or Path(path).resolve().is_relative_to(Path(__file__).resolve().parents[1])
    return None if inside or path is None else Path(path)


def _imported(module: str) -> object:
    # The current folder's modules too, however the command was started.
    folder = str(Path.cwd())
    if folder not in sys.path and "" not in sys.path:
        sys.path.append(folder)
    return import_module(module)
