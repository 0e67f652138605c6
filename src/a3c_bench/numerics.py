"""Pins the math libraries, before numpy and torch are imported, so that their bits do not depend on the CPU."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from a3c_bench.errors import BadInputError

Numerics = Literal["portable", "native"]

# One thread: with more, OpenBLAS and MKL cut a matrix product elsewhere and round it differently.
SINGLE_THREADED: Mapping[str, str] = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
# The kernels that every x86-64 CPU with AVX2 has. numpy's names are those of numpy ≥ 2.4.
PORTABLE: Mapping[str, str] = {
    **SINGLE_THREADED,
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "avx2",
}
ENABLED = "NPY_ENABLE_CPU_FEATURES"
"""numpy refuses it beside `NPY_DISABLE_CPU_FEATURES`."""
NEEDED_CPU_FLAGS = frozenset({"avx2", "fma"})


def asked(content: object) -> Numerics:
    """What parsed params ask for; `portable` where that is nothing valid, which their validation names afterwards."""
    return "native" if isinstance(content, dict) and content.get("numerics") == "native" else "portable"


def pin(numerics: Numerics) -> None:
    """Set the variables of `numerics` for this process and all it starts.

    Raises `BadInputError` when numpy or torch is imported already, when a variable is set to another value, or when
    `portable` cannot be kept on this CPU.
    """
    loaded = sorted({"numpy", "torch"} & sys.modules.keys())
    if loaded:
        raise BadInputError(f"numerics: {loaded[0]} was imported before its math library could be pinned")
    if numerics == "portable":
        _require_portable_cpu()
        if os.environ.get(ENABLED):
            raise BadInputError(
                f"numerics: portable needs {ENABLED} unset, but it is set to {os.environ[ENABLED]!r}; "
                "unset it, or use numerics: native"
            )
    variables = PORTABLE if numerics == "portable" else SINGLE_THREADED
    for name, value in variables.items():
        if numerics == "portable" and os.environ.get(name, value) != value:
            raise BadInputError(
                f"numerics: portable needs {name}={value!r}, but it is set to {os.environ[name]!r}; "
                "unset it, or use numerics: native"
            )
        os.environ.setdefault(name, value)


def refused_by_numpy(error: Exception) -> str | None:
    """What is wrong if numpy could not be imported because of a variable; None if the error is of something else."""
    reason = " ".join(str(error.__cause__ or error).split())
    for name in (ENABLED, "NPY_DISABLE_CPU_FEATURES"):
        if name in reason and name in os.environ:
            return f"{name}: numpy refuses {os.environ[name]!r} ({reason}); unset it"
    return None


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The instruction-set flags of this machine's first CPU, as Linux lists them."""
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def _require_portable_cpu() -> None:
    missing = NEEDED_CPU_FLAGS - cpu_flags()
    if missing:
        raise BadInputError(
            f"numerics: portable needs an x86-64 CPU with AVX2 and FMA (missing here: {', '.join(sorted(missing))}); "
            "use numerics: native"
        )


def verify(numerics: Numerics) -> None:
    """Check, after numpy's import, that `portable` holds in the libraries themselves; raises `BadInputError`."""
    if numerics == "native":
        return
    from threadpoolctl import threadpool_info

    for library in threadpool_info():
        if library["internal_api"] == "openblas" and library["architecture"] != "Haswell":
            raise BadInputError(
                f"numerics: portable needs OpenBLAS's Haswell kernels, but {library['filepath']} runs "
                f"{library['architecture']}; unset OPENBLAS_CORETYPE, or use numerics: native"
            )
    enabled = [name for name in PORTABLE["NPY_DISABLE_CPU_FEATURES"].split() if _numpy_features().get(name)]
    if enabled:
        raise BadInputError(
            f"numerics: portable needs numpy's {', '.join(enabled)} kernels switched off; use numerics: native"
        )


def unpinned_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what `pin` sets: for a program that is to run as it would by itself."""
    return {name: value for name, value in environment.items() if name not in PORTABLE}


def _numpy_features() -> Mapping[str, bool]:
    from numpy._core import _multiarray_umath  # type: ignore[attr-defined]  # there is no public name for this

    features: Mapping[str, bool] = _multiarray_umath.__cpu_features__
    return features
