"""What a measurement was made on: a JSON file beside its tables says it, and the report reads it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from a3c_bench.config import ENVIRONMENT
from a3c_bench.machine import cores, cpu_model
from a3c_bench.results.files import json_bytes, read_json

GIVEN = ENVIRONMENT[1:]
"""With the environment's name."""


def about_bytes(env: str, params: Mapping[str, Any], commit: str, **more: Any) -> bytes:
    """The file: environment, params, the commit of the code, this machine, and what else is to be known."""
    return json_bytes({"env": env, "params": params, "commit": commit, "cpu": cpu_model(), "cores": cores(), **more})


def read_about(path: Path) -> dict[str, Any]:
    """What the file says; nothing where there is none."""
    return dict(read_json(path)) if path.exists() else {}


def same_environment(about: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    """Whether what was given with the environment's name was then what it is now; nothing is as good as a default."""
    then = about.get("params", {})
    return all((then.get(key) or None) == (params.get(key) or None) for key in GIVEN)


def same_params(about: Mapping[str, Any], params: Mapping[str, Any], section: str) -> bool:
    """Whether a section of the params was then what it is now: a key that came later, and is off, changed nothing."""
    then, now = about.get("params", {}).get(section), params.get(section)
    if then is None or now is None:
        return False
    return bool(then == {key: value for key, value in now.items() if key in then or value not in (False, None)})
