"""Math libraries and their threads: workers share out the cores, so a library keeps to one, unless it is told else."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

ONE_THREAD: Mapping[str, str] = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


def limit_math_threads() -> None:
    """Hold the libraries to one thread, in this process if they are not imported yet, and in all that it starts."""
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)


@contextmanager
def one_thread_for_children() -> Iterator[None]:
    """Hold the libraries to one thread in what is started meanwhile, but not here: this process is somebody else's."""
    missing = [name for name in ONE_THREAD if name not in os.environ]
    limit_math_threads()
    try:
        yield
    finally:
        for name in missing:
            del os.environ[name]


def without_limit(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what `limit_math_threads` sets: for a program that is to run as it would by itself."""
    return {name: value for name, value in environment.items() if ONE_THREAD.get(name) != value}


def refused_by_numpy(error: Exception) -> str | None:
    """What is wrong if numpy could not be imported because of a variable; None if the error is of something else."""
    reason = " ".join(str(error.__cause__ or error).split())
    for name in ("NPY_ENABLE_CPU_FEATURES", "NPY_DISABLE_CPU_FEATURES"):
        if name in reason and name in os.environ:
            return f"{name}: numpy refuses {os.environ[name]!r} ({reason}); unset it"
    return None
