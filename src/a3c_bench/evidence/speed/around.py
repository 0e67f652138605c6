"""What is around training costs inside its loop.

`python -m a3c_bench.evidence.speed.around FOLDER tracked|bare ALGORITHM` trains once by the params, in a process of its
own: as the stage does it, with MLflow (its store in FOLDER) and progress, or bare. Prints its env steps per second.
"""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from a3c_bench.math_threads import limit_math_threads, without_limit
from a3c_bench.params import PARAMS_FILE, read_yaml

if TYPE_CHECKING:  # numpy must not be imported before it is pinned
    from a3c_bench.arrays import Doubles

PAIRS = 10
SEED = 0


def measure(algorithm: str, pairs: int = PAIRS) -> "Doubles":
    """Env steps per second (pairs, 2): tracked, and bare, in turns. The first pair makes the store and is left out."""
    import numpy as np

    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder:
        rates = [[_run(folder, kind, algorithm) for kind in ("tracked", "bare")] for _ in range(pairs + 1)]
    return np.array(rates[1:])


def _run(folder: str, kind: str, algorithm: str) -> float:
    process = subprocess.run(
        [sys.executable, "-m", __name__, folder, kind, algorithm],
        capture_output=True,
        text=True,
        check=True,
        env=without_limit(os.environ),
    )
    return float(process.stdout.splitlines()[-1])


def main() -> None:
    """Train once."""
    folder, kind, algorithm = sys.argv[1:]
    content = read_yaml(PARAMS_FILE)
    limit_math_threads()
    from a3c_bench.config import parse_config

    config = parse_config(content)
    from a3c_bench.processes import start_server
    from a3c_bench.training import pool

    start_server()
    from a3c_bench.progress import Progress
    from a3c_bench.stages.profile import as_sample
    from a3c_bench.tracking.tracker import Tracker

    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{Path(folder, 'mlflow.db')}"
    with ExitStack() as stack:
        if kind == "tracked":
            tracker = stack.enter_context(Tracker("train", config, algorithm, SEED))
            progress = stack.enter_context(Progress("train", config.algorithm(algorithm).turns))
            outcome = pool.train(config, algorithm, SEED, tracker.live(progress))
        else:
            outcome = pool.train(config, algorithm, SEED)
    print(as_sample(outcome, False).rate)


if __name__ == "__main__":
    main()
