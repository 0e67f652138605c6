"""What a Python finds where it runs, as a line of JSON.

`python -m a3c_bench.evidence.reproducibility.probe` takes the recipe of the environment that is to be trained, as
JSON: where something that it needs is missing, the last line of the error names it.
"""

import json
import os
import platform
import sys

from pydantic import TypeAdapter

from a3c_bench.environments.make import describe
from a3c_bench.environments.recipe import Recipe
from a3c_bench.kernels.build import cpu_features, target_of_this_cpu


def found() -> dict[str, str]:
    """Versions, and what the math libraries have chosen for this CPU."""
    from threadpoolctl import threadpool_info

    levels = [name for name, has in cpu_features().items() if has and name.startswith("X86_V")]
    return {
        "python": platform.python_version(),
        "glibc": (os.confstr("CS_GNU_LIBC_VERSION") or "another C library").replace("glibc ", ""),
        "machine": platform.machine(),
        "kernels": target_of_this_cpu(),
        "level": max(levels, default="less than X86_V2"),
        "openblas": ", ".join(info["architecture"] for info in threadpool_info() if info["internal_api"] == "openblas"),
    }


if __name__ == "__main__":
    describe(TypeAdapter(Recipe).validate_json(sys.argv[1]))
    print(json.dumps(found()))
