"""Trains one seed in several processes at once: a program that `test_two_writers.py` talks to.

Reads {"folder", "count"} as lines of JSON and answers with the pid, the exit code and the errors of each process. What
the stage imports is there already, so that all begin at the same moment; MLflow is left out.
"""

import atexit
import json
import os
import sys
import tempfile
from pathlib import Path
from unittest.mock import MagicMock

from a3c_bench import cli


def main() -> None:
    from a3c_bench.stages import train

    train.Tracker = MagicMock()
    for line in sys.stdin:
        case = json.loads(line)
        with tempfile.TemporaryDirectory() as outputs:
            pids = [start(case["folder"], Path(outputs, str(number))) for number in range(case["count"])]
            codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
            errors = [Path(outputs, str(number)).read_text() for number in range(case["count"])]
        print(json.dumps(list(zip(pids, codes, errors, strict=True))), flush=True)


def start(folder: str, errors: Path) -> int:
    child = os.fork()
    if child:
        return child
    # What this program is to do at its end is not the child's to do.
    atexit._clear()
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
    sys.argv = ["a3c-bench", "train", "--algorithm", "nstep", "--seed", "0"]
    code = 0
    try:
        cli.main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 99
    sys.stderr.flush()
    from multiprocessing import util

    util._exit_function()
    os._exit(code)


if __name__ == "__main__":
    main()
