"""Each operation of the training path against its known bits, on every kind of CPU that this one can be taken for.

The known bits (operations.json) were the same on every CPU of the proof. Where such a test fails, the operation that it
names depends on the CPU, on a compiler or on a library.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment, small_params, write_params
from operations import HIDDEN, hashes, sha256, trained

from a3c_bench.kernels.build import NUMPY_NAMES, cpu_features, target_of_this_cpu, targets_of
from a3c_bench.machine import cpu_flags

KNOWN = json.loads(Path(__file__).with_name("operations.json").read_text(encoding="utf-8"))
NOT_NUMPYS = "AVX512_ICL AVX512_SPR"
"""What numpy's names of kinds of CPU imply: switched off with them."""


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


@pytest.mark.parametrize("target", targets_of(platform.machine()))
def test_every_kind_of_cpu_computes_the_same(target):
    """Narrower registers, and fused multiply-adds in software; numpy and OpenBLAS without theirs too."""
    kinds = targets_of(platform.machine())
    wider = kinds[: kinds.index(target)]
    if target in NUMPY_NAMES and not cpu_features().get(NUMPY_NAMES[target]):
        pytest.skip(f"this CPU is no {target}")
    off = " ".join([NUMPY_NAMES[kind] for kind in wider] + ([NOT_NUMPYS] if wider else []))
    variables = environment(NPY_DISABLE_CPU_FEATURES=off, PYTHONWARNINGS="ignore")
    script = (
        "import json; from a3c_bench.kernels.build import target_of_this_cpu; from operations import hashes; "
        "print(json.dumps([target_of_this_cpu(), hashes()]))"
    )
    variables["PYTHONPATH"] = f"{ROOT / 'src'}:{Path(__file__).parent}"
    result = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == [target, KNOWN]


def test_this_cpus_kind_is_the_widest_it_has():
    if os.environ.get("NPY_DISABLE_CPU_FEATURES"):
        pytest.skip("some of it is switched off")
    flags = cpu_flags()
    has = {"x86_64_v4": "avx512vl" in flags, "x86_64_v3": "avx2" in flags, "x86_64": True, "aarch64": True}
    assert target_of_this_cpu() == next(kind for kind in targets_of(platform.machine()) if has[kind])


def test_training_never_loads_torch(tmp_path):
    """It does without it, and so it starts fast and runs where torch does not."""
    write_params(tmp_path, small_params(nstep={"total_steps": 1_600}, episodic={"episodes": 10}))
    code = (
        "import sys\n"
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
