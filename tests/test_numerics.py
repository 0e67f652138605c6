import os
import subprocess
import sys

import pytest
from conftest import environment

from a3c_bench import numerics
from a3c_bench.errors import BadInputError


def python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=environment(**variables), capture_output=True, text=True, check=False
    )


def test_portable_holds_in_this_process():
    numerics.verify("portable")


def test_pinning_is_refused_once_numpy_is_there():
    with pytest.raises(BadInputError, match="numpy was imported before"):
        numerics.pin("portable")


def test_a_variable_set_otherwise_is_named():
    code = "from a3c_bench import numerics; numerics.pin('portable')"
    result = python(code, OPENBLAS_CORETYPE="SkylakeX")
    assert "OPENBLAS_CORETYPE='Haswell'" in result.stderr
    assert "'SkylakeX'" in result.stderr


def test_what_params_ask_for_is_read_before_they_are_validated():
    assert numerics.asked({"numerics": "native"}) == "native"
    for content in ({"numerics": "portable"}, {"numerics": "fast"}, {"numerics": [1]}, {}, [], None, "native"):
        assert numerics.asked(content) == "portable"


def test_native_leaves_the_kernels_alone():
    code = "from a3c_bench import numerics; numerics.pin('native'); import os; print(os.environ.get('MKL_CBWR'))"
    assert python(code).stdout.strip() == "None"


@pytest.mark.parametrize(
    ("variable", "fragment"), [("OPENBLAS_CORETYPE", "OpenBLAS"), ("NPY_DISABLE_CPU_FEATURES", "numpy's X86_V4")]
)
def test_verification_sees_a_library_that_was_not_pinned(variable, fragment):
    if variable == "NPY_DISABLE_CPU_FEATURES" and "avx512f" not in numerics.cpu_flags():
        pytest.skip("this CPU has no AVX-512 kernels to switch off")
    code = (
        "import os; from a3c_bench import numerics; numerics.pin('portable'); "
        f"os.environ['{variable}'] = 'Sandybridge' if '{variable}' == 'OPENBLAS_CORETYPE' else ''; "
        "import numpy; numerics.verify('portable')"
    )
    result = python(code)
    assert result.returncode != 0
    assert fragment in result.stderr


def test_a_cpu_without_avx2_is_refused(monkeypatch):
    monkeypatch.setattr(numerics, "cpu_flags", lambda: frozenset({"sse2", "fma"}))
    with pytest.raises(BadInputError, match=r"missing here: avx2.*numerics: native"):
        numerics._require_portable_cpu()


def test_unpinned_environment_is_what_was_there_before():
    left = numerics.unpinned_environment(os.environ)
    assert not left.keys() & numerics.PORTABLE.keys()
    assert left["PATH"] == os.environ["PATH"]
