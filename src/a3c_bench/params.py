"""`params.yaml` as it is written: read before it is validated, since what it says decides what may be imported."""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import ReusedAnchorWarning, YAMLError

from a3c_bench.errors import BadInputError

PARAMS_FILE = Path("params.yaml")


def read_yaml(path: Path) -> object:
    """The parsed content of `path`; raises `BadInputError` when it cannot be read or parsed."""
    try:
        with warnings.catch_warnings():
            # YAML allows the name of an anchor twice.
            warnings.simplefilter("ignore", ReusedAnchorWarning)
            # DVC reads YAML 1.2 with this parser too: `1e-4` is a number for both.
            return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror}); run from the repository's root") from None
    except RecursionError:
        raise BadInputError(f"{path}: not valid YAML: nested too deeply") from None
    except Exception as error:  # the parser's own mistakes too: KeyError for a version of YAML that it does not know
        reason = " ".join((str(error) if isinstance(error, YAMLError | ValueError) else repr(error)).split())
        raise BadInputError(f"{path}: not valid YAML: {reason}") from None


def flatten(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, by dotted key."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
