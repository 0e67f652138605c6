import ctypes
import platform
import shutil
from importlib.util import find_spec

import pytest

from a3c_bench.errors import BadInputError
from a3c_bench.kernels import build, library

TARGETS = build.targets_of(platform.machine())
if find_spec("ziglang") is None:
    pytest.skip("there is no compiler here", allow_module_level=True)


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A copy of the sources, which can be changed."""
    copy = tmp_path / "sources"
    shutil.copytree(build.SOURCES, copy)
    monkeypatch.setattr(build, "SOURCES", copy)
    return copy


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A folder that cannot be made."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(build, "folders", lambda: iter([tmp_path / "file" / "folder"]))
    return tmp_path / "file" / "folder"


@pytest.mark.parametrize("target", build.TARGETS)
def test_they_compile_for_every_kind_of_cpu(target, tmp_path):
    path = build.compile_for(target, tmp_path / "new" / "folder")
    assert path.read_bytes()[:4] == b"\x7fELF"
    assert [found.name for found in path.parent.iterdir()] == [build.file_name(target)]


def test_what_was_compiled_is_found_by_what_it_was_compiled_from(sources, tmp_path, monkeypatch):
    monkeypatch.setenv(build.FOLDER_VARIABLE, str(tmp_path))
    path = build.compile_for(TARGETS[0], tmp_path)
    assert build.find(TARGETS[0]) == path
    with (sources / "arithmetic.h").open("a") as file:
        file.write("\n// changed\n")
    assert build.find(TARGETS[0]) is None


def test_where_nothing_can_be_written_they_are_compiled_in_memory_and_it_is_said(nowhere, capfd):
    opened = ctypes.CDLL(build.library())
    assert opened.length_of
    said = capfd.readouterr().err
    assert f"{nowhere} cannot be written (Not a directory): compiled for this run only" in said
    assert said.count("\n") == 1


def test_a_missing_compiler_is_told(nowhere, monkeypatch):
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    with pytest.raises(BadInputError, match=r"kernels: .* the compiler ziglang is not installed; make setup"):
        build.library()


def test_what_the_compiler_says_is_told_in_one_line(sources, tmp_path):
    (sources / "kernels.c").write_text("int broken(\n")
    with pytest.raises(BadInputError, match="kernels: they cannot be compiled for") as caught:
        build.compile_for(TARGETS[0], tmp_path / "folder")
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "folder").iterdir())


def test_a_machine_of_another_kind_is_named(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    build.target_of_this_cpu.cache_clear()
    with pytest.raises(BadInputError, match="this machine is riscv64; supported: x86_64, aarch64"):
        build.target_of_this_cpu()
    build.target_of_this_cpu.cache_clear()


def test_set_up_compiles_what_is_not_there_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(build, "folders", lambda: iter([tmp_path]))
    build.main()
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(" in ")[0] for line in said] == [f"kernels: compiled for {target}" for target in TARGETS]
    build.main()
    assert not capsys.readouterr().out


def test_with_no_folder_at_all_it_is_told_in_one_line(nowhere, monkeypatch):
    monkeypatch.setattr(build.tempfile, "tempdir", None)
    monkeypatch.setattr(build.tempfile, "_candidate_tempdir_list", lambda: ["/proc/none"])
    with pytest.raises(BadInputError, match=r"neither into .* nor into a temporary folder \(No usable"):
        build.library()


def test_a_folder_that_may_not_be_read_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(build.os, "access", lambda path, mode: False)
    monkeypatch.setattr(build, "folders", lambda: iter([tmp_path]))
    assert build.find(TARGETS[0]) is None


def test_a_damaged_library_is_named(tmp_path, monkeypatch):
    damaged = tmp_path / "damaged.so"
    damaged.write_bytes(b"")
    monkeypatch.setattr(library, "library", lambda tell: str(damaged))
    monkeypatch.setattr(library, "_kernels", {})
    with pytest.raises(BadInputError, match=r"damaged\.so is damaged \(.*file too short\); remove it"):
        library.open_kernels()


def test_headers_that_variables_name_are_not_taken(tmp_path, monkeypatch):
    (tmp_path / "stdint.h").write_text("#error another\n")
    monkeypatch.setenv("CPATH", str(tmp_path))
    assert build.compile_for(TARGETS[0], tmp_path / "folder").is_file()


@pytest.mark.parametrize("target", build.TARGETS)
def test_no_kernel_calls_into_the_c_library(target, tmp_path):
    """Its functions differ by version; copying and filling memory cannot."""
    names = set(build.compile_for(target, tmp_path).read_bytes().split(b"\0"))
    assert not {b"expf", b"logf", b"tanhf", b"fmaf", b"fma", b"exp", b"log", b"sqrt", b"sqrtf", b"pow"} & names
