"""Each operation of the training path against its known bits, and the threads against one.

The known bits (operations.json, written by `operations.py` with the variables of `portable`) were the same on every
CPU model of the proof. Where such a test fails, the operation that it names depends on the CPU or on a library.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment, small_params, write_params
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


def test_training_never_loads_torch(tmp_path):
    """Its math library is another one, with more that depends on the CPU and on the threads."""
    write_params(tmp_path, small_params(nstep={"total_steps": 1_600}, episodic={"episodes": 10}))
    code = (
        "import sys; from a3c_bench import numerics; numerics.pin('portable')\n"
        "from pathlib import Path; from a3c_bench.config import load_config; from a3c_bench.training import pool\n"
        "from disturbances import Modules\n"
        "for name in ('nstep', 'episodic'):\n"
        "    Path(name).mkdir()\n"
        "    pool.train(load_config(), name, 0, disturbance=Modules(Path(name).resolve()))\n"
        "import a3c_bench.evaluation\n"
        "Path('main.txt').write_text('\\n'.join(sys.modules))"
    )
    variables = environment(PYTHONPATH=f"{ROOT / 'src'}:{ROOT / 'tests'}")
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=variables, check=True)
    places = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.txt"))
    assert places == ["episodic/0.txt", "episodic/1.txt", "main.txt", "nstep/0.txt", "nstep/1.txt"]
    for place in places:
        modules = set((tmp_path / place).read_text().split())
        assert "numpy" in modules and not {"torch", "mlflow"} & modules, place
