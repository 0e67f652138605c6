import os
import subprocess
import sys

from conftest import environment

from a3c_bench import math_threads

CODE = "import os; from a3c_bench import math_threads; math_threads.limit_math_threads(); print(os.environ['%s'])"


def test_libraries_are_held_to_one_thread_unless_told_else():
    for given, expected in (({}, "1"), ({"OMP_NUM_THREADS": "3"}, "3")):
        variables = {name: value for name, value in environment().items() if name not in math_threads.ONE_THREAD}
        result = subprocess.run(
            [sys.executable, "-c", CODE % "OMP_NUM_THREADS"], env=variables | given, capture_output=True, check=True
        )
        assert result.stdout.decode().strip() == expected


def test_without_the_limit_is_what_was_there_before():
    left = math_threads.without_limit({**os.environ, "OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "1"})
    assert left["OMP_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in left
    assert left["PATH"] == os.environ["PATH"]
