"""`a3c-bench suite`."""

from a3c_bench.cli import prepare
from a3c_bench.commands import Environments


def run(envs: Environments = None) -> None:
    """Check the suite's params and packages, say how long a run will take, and change nothing."""
    prepare()
    from a3c_bench import outlook, suite
    from a3c_bench.kernels.library import open_kernels

    open_kernels()
    chosen = suite.load() if envs is None else suite.load().named(envs.split(","))
    for line in outlook.suite_estimates(chosen):
        print(line, flush=True)
