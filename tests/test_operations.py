"""Each operation of the training path against its known bits, and the threads against one.

The known bits (operations.json, written by `operations.py` with the variables of `portable`) were the same on every
CPU model of the proof. Where such a test fails, the operation that it names depends on the CPU or on a library.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import environment
from operations import HIDDEN, hashes, sha256, trained

from a3c_bench.numerics import SINGLE_THREADED, cpu_flags

KNOWN = json.loads(Path(__file__).with_name("operations.json").read_text(encoding="utf-8"))
MAY_DEPEND = ("dot", "vecdot", "forward", "backward", "weights", "three updates")
"""What OpenBLAS computes: under `native`, other kernels round it otherwise."""


@pytest.fixture(scope="module")
def found():
    return hashes()


def test_every_operation_is_known(found):
    assert found.keys() == KNOWN.keys()


@pytest.mark.parametrize("name", KNOWN)
def test_an_operation_has_its_known_bits(found, name):
    assert found[name] == KNOWN[name]


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_threads_do_not_change_the_bits(hidden, threads):
    assert sha256(trained(threads, hidden)) == KNOWN[f"three updates, hidden {hidden}"]


def test_natively_only_the_products_depend_on_the_cpu():
    """Runs with this CPU's own kernels: all but OpenBLAS must still have the known bits."""
    script = Path(__file__).with_name("operations.py")
    result = subprocess.run(
        [sys.executable, str(script)], env=environment(**SINGLE_THREADED), capture_output=True, text=True, check=True
    )
    native = json.loads(result.stdout)
    differing = [name for name in KNOWN if native[name] != KNOWN[name]]
    assert not [name for name in differing if not name.startswith(MAY_DEPEND)]
    if "avx512f" in cpu_flags():
        assert differing, "the pinning has nothing to do here: is it still in force in this comparison?"


def test_training_never_loads_torch():
    """Its math library is another one, with more that depends on the CPU and on the threads."""
    code = (
        "import sys; from a3c_bench import numerics; numerics.pin('portable')\n"
        "import a3c_bench.training.worker, a3c_bench.training.pool, a3c_bench.evaluation\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env=environment(), check=False).returncode == 0
