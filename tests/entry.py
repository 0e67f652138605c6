"""Runs the command's own entry again and again, each time in a fresh fork: a program that `test_bad_input.py` talks to.

Reads {"folder", "arguments", "seconds"} as lines of JSON and answers with {"code", "said", "errors"}. With an argument,
what commands import is there already, pinned as the entry would pin it: `check`'s, or with `stages` that of all stages;
these do without MLflow.
"""

import atexit
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from unittest.mock import MagicMock

from a3c_bench import cli
from a3c_bench.math_threads import limit_math_threads


def main() -> None:
    if sys.argv[1:]:
        load(stages=sys.argv[1] == "stages")
    for line in sys.stdin:
        case = json.loads(line)
        with tempfile.TemporaryDirectory() as folder:
            code = run(case["folder"], case["arguments"], case["seconds"], Path(folder))
            said, errors = (Path(folder, name).read_text(encoding="utf-8", errors="replace") for name in ("out", "err"))
        print(json.dumps({"code": code, "said": said, "errors": errors}), flush=True)


def load(stages: bool) -> None:
    limit_math_threads()
    import a3c_bench.config
    import a3c_bench.environments.make
    import a3c_bench.training.exchange.handoff  # noqa: F401

    if stages:
        from a3c_bench.stages import evaluate, machine, profile, report, train  # noqa: F401

        for stage in (evaluate, profile, report, train):
            stage.Tracker = MagicMock()


def run(folder: str, arguments: list[str], seconds: int, outputs: Path) -> int:
    """The exit code; as a shell gives it, if a signal (the alarm, when it hangs) ended it."""
    child = os.fork()
    if child == 0:
        # What this program is to do at its end is not the child's to do.
        atexit._clear()
        signal.alarm(seconds)
        os.chdir(folder)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(outputs / name, os.O_WRONLY | os.O_CREAT), number)
        sys.argv = ["a3c-bench", *arguments]
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException:
            import traceback

            traceback.print_exc()
            code = 99
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    main()
