"""`params.yaml` as it is written: read before it is validated, since what it says decides what may be imported."""

import errno
import os
import stat
import sys
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from ruamel.yaml import YAML
from ruamel.yaml.error import ReusedAnchorWarning, YAMLError

from a3c_bench.errors import BadInputError

PARAMS_FILE = Path("params.yaml")


def open_plain(path: Path, flags: int = 0) -> BinaryIO:
    """A file, to be read; raises `OSError` for what is none: a pipe may wait forever, and a device may never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return os.fdopen(descriptor, "rb")


def read_plain(path: Path) -> bytes:
    """The content of a file; raises `OSError` for what is none."""
    with open_plain(path) as file:
        return file.read()


def read_yaml(path: Path) -> object:
    """The parsed content of `path`; raises `BadInputError` when it cannot be read or parsed."""
    try:
        with warnings.catch_warnings():
            # YAML allows the name of an anchor twice.
            warnings.simplefilter("ignore", ReusedAnchorWarning)
            # DVC reads YAML 1.2 with this parser too: `1e-4` is a number for both.
            return YAML(typ="safe", pure=True).load(read_plain(path).decode())
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror}); run from the repository's root") from None
    except RecursionError:
        raise BadInputError(f"{path}: not valid YAML: nested too deeply") from None
    except Exception as error:  # the parser's own mistakes too: KeyError for a version of YAML that it does not know
        reason = " ".join((str(error) if isinstance(error, YAMLError | ValueError) else repr(error)).split())
        raise BadInputError(f"{path}: not valid YAML: {reason}") from None


def imported(target: str) -> Any:
    """What `package.module:Name` names, in the current folder's modules too; raises whatever their own code raises."""
    _look_here()
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def source(target: str) -> Path:
    """The folder of the package, or the file, that brings `package.module:Name`; nothing of it is run."""
    _look_here()
    spec = find_spec(target.partition(":")[0].partition(".")[0])
    return Path(next(iter((spec and spec.submodule_search_locations) or []), (spec and spec.origin) or "")).resolve()


def _look_here() -> None:
    """Find the current folder's modules, however the command was started."""
    folder = str(Path.cwd())
    if folder not in sys.path and "" not in sys.path:
        sys.path.append(folder)


def flatten(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, by dotted key."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
