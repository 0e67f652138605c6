"""Presets: what an environment of the suite brings along, wherever params.yaml says what the project's defaults say.

A value that differs from `defaults.yaml` is the user's own and wins. One that is written there anew, but equal to the
default, cannot be told from one that was never touched: `preset: false` keeps all defaults.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from a3c_bench.errors import BadInputError
from a3c_bench.params import flatten, read_yaml

FOLDER, DEFAULTS = (Path(__file__).with_name(name) for name in ("presets", "defaults.yaml"))
FOUND_ON = "CartPole-v1"
"""The environment that the defaults were found on."""
NOTHING: Mapping[str, Any] = {}


class Value(NamedTuple):
    """What a preset says of one key, and what holds."""

    key: str
    """Dotted: of a section."""
    preset: Any
    own: Any = None
    """The user's value, which wins; None: the preset's holds."""


def environments() -> list[str]:
    """Those that have a preset."""
    return sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.yaml"))


def preset_of(environment: object) -> Mapping[str, Any]:
    """The preset of an environment, by its Gymnasium id; empty if it has none."""
    if not (isinstance(environment, str) and environment in environments()):
        return NOTHING
    return _read(FOLDER / f"{environment}.yaml")


def defaults() -> Mapping[str, Any]:
    """The project's own params."""
    return _read(DEFAULTS)


@cache
def _read(path: Path) -> Mapping[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, Mapping):
        raise BadInputError(f"{path}: {content!r} is not allowed: keys and their values")
    return content


def applied(params: Any) -> Any:
    """The params with the preset of their environment in place; what makes no sense is left as it is."""
    if not isinstance(params, Mapping):
        return params
    result = dict(params)
    for value in values(params):
        if value.own is None:
            _place(result, value.key, value.preset)
    return result


def without(params: Mapping[str, Any]) -> dict[str, Any]:
    """The params with the defaults again where they say what their environment's preset says."""
    result = dict(params)
    for key, preset in flatten(preset_of(params.get("env"))):
        if _at(params, key) == preset:
            _place(result, key, _at(defaults(), key))
    return result


def values(params: object) -> Iterator[Value]:
    """Every key of the preset that the params have, too, and whose value holds; nothing with `preset: false`."""
    if not isinstance(params, Mapping) or params.get("preset", True) is not True:
        return
    for key, preset in flatten(preset_of(params.get("env"))):
        found, default = _at(params, key), _at(defaults(), key)
        if found is MISSING:
            continue
        yield Value(key, preset) if found in (default, preset) else Value(key, preset, found)


def remarks(params: object) -> Iterator[str]:
    """Which values come from the preset and which are the user's; or that the defaults are another environment's."""
    found = list(values(params))
    environment = params.get("env") if isinstance(params, Mapping) else None
    taken = [f"{value.key} {value.preset}" for value in found if value.own is None]
    own = [f"{value.key} {value.own} (preset: {value.preset})" for value in found if value.own is not None]
    if taken:
        yield f"preset: {environment} brings {', '.join(taken)}; what you change wins, `preset: false` turns it off"
    if own:
        yield f"preset: your own win over that of {environment}: {', '.join(own)}"
    if not preset_of(environment) and environment != FOUND_ON:
        yield (
            f"preset: there is none for {environment}, and the defaults were found on {FOUND_ON}; try first: ppo, a "
            "learning_rate of 3.0e-4 to 1.0e-3, rollout_steps of 64 to 256, and normalize_observations and "
            "normalize_rewards where the numbers are not near 1"
        )


class _Missing:
    """In place of the value of a key that is not there: None is a value."""


MISSING = _Missing()


def _at(params: Mapping[str, Any], key: str) -> Any:
    found: Any = params
    for part in key.split("."):
        if not (isinstance(found, Mapping) and part in found):
            return MISSING
        found = found[part]
    return found


def _place(params: dict[str, Any], key: str, value: Any) -> None:
    """Replace the value of a dotted key, in copies of the sections on the way."""
    first, _, rest = key.partition(".")
    if rest:
        section = dict(params[first])
        _place(section, rest, value)
        value = section
    params[first] = value
