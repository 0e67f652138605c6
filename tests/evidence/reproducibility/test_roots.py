"""Other systems: what is in them, what is said where they cannot be made, and that they are what they are called."""

import dataclasses
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, small_config

from a3c_bench.errors import BadInputError
from a3c_bench.evidence.reproducibility import debian, proof, roots
from a3c_bench.evidence.reproducibility.conditions import Condition, on_arm
from a3c_bench.evidence.reproducibility.launch import Launcher
from a3c_bench.kernels import build

DEB822 = """# the mirror
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
# Enabled: no
Check-Valid-Until: no

Types: deb
URIs: http://mirror.example/other
Suites: bookworm
Components: main
Enabled: no

Types: deb
URIs: http://elsewhere.example
Suites: stable
Components: main
"""
ONE_LINE = """# deb http://mirror.example/debian bookworm main
deb [arch=amd64] http://mirror.example/debian bookworm-security main
deb http://mirror.example/debian bookworm main contrib
deb http://mirror.example/tool bookworm stable
"""
IMPORTED = """
import sys, json
import a3c_bench.evidence.reproducibility.trial, a3c_bench.evidence.reproducibility.probe, a3c_bench.commands.train
import a3c_bench.cli, a3c_bench.stages.train, a3c_bench.stages.profile, a3c_bench.training.worker, safetensors.numpy
import a3c_bench.evidence.reproducibility.disturbance, a3c_bench.evaluation, a3c_bench.algorithms.built_in
import gymnasium.envs.classic_control
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
TOOLS = ("qemu-aarch64", debian.TOOL)
NO_ROOT = next((f"{tool} is not installed" for tool in TOOLS if not shutil.which(tool)), None)


def test_only_the_sources_of_this_release_are_taken(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d" / "debian.sources.off").write_text(DEB822)
    found = dict(debian._sources("bookworm", tmp_path))
    assert found[".list"] == "deb http://mirror.example/debian bookworm main contrib\n"
    assert found[".sources"].count("URIs:") == 1 and "Check-Valid-Until: no" in found[".sources"]
    assert not list(debian._sources("trixie", tmp_path)) and not list(debian._sources("", tmp_path))


def test_training_loads_nothing_but_what_the_systems_are_given():
    found = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True, cwd=ROOT)
    owners = importlib.metadata.packages_distributions()
    loaded = {
        owner.lower().replace("_", "-").replace(".", "-")
        for name in json.loads(found.stdout)
        for owner in owners.get(name, ())
    }
    # What mypyc compiles brings a module whose name is a hash; setuptools' hook is there in every environment.
    assert loaded - {"a3c-bench", "setuptools", "charset-normalizer", "ast-serialize", "mypy"} <= set(roots.NEEDED)


def test_the_versions_are_those_of_the_lock():
    locked = dict(line.split("==") for line in roots._locked())
    assert len(locked) == len(roots.NEEDED)
    assert locked["numpy"] == importlib.metadata.version("numpy")


def test_what_is_missing_is_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "requirements.lock").write_bytes((ROOT / "requirements.lock").read_bytes())
    with pytest.raises(BadInputError, match=r"^python3.99 is not installed$"):
        roots.make(roots.System("no such Python", "3.99"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(BadInputError, match=r"^pip: No matching distribution found for \S+$"):
        roots.make(roots.System("offline", f"3.{sys.version_info.minor}"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadInputError, match=r"^qemu-aarch64 is not installed$"):
        roots.make(roots.ARM)
    with pytest.raises(BadInputError, match=r"^mmdebstrap is not installed$"):
        roots.make(roots.DEBIAN_13)


def test_a_program_keeps_what_it_starts_in_its_system(tmp_path):
    program = tmp_path / "python"
    variables = {"A3C_BENCH_PROGRAM": program, "PYTHONHOME": None}
    roots._write_script(program, [sys.executable, "-S"], tmp_path, variables)
    (tmp_path / "sitecustomize.py").write_text(roots.CUSTOMIZED)
    code = "import sitecustomize, sys; print(sys.executable, sys.path[1])"
    said = subprocess.run([program, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == [str(program), str(tmp_path)]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_kernels_are_compiled_for_every_kind_of_cpu_of_the_machine(machine, tmp_path):
    folder = roots._compile(roots.System("any", "3.11", machine=machine), tmp_path / "kernels")
    assert {path.name for path in folder.iterdir()} == {build.file_name(target) for target in build.targets_of(machine)}


def test_a_python_of_this_machine_is_not_a_virtual_one():
    found = roots._installed(f"3.{sys.version_info.minor}")
    said = subprocess.run(
        [found, "-c", "import sys; print(sys.prefix == sys.base_prefix)"], capture_output=True, text=True, check=True
    )
    assert said.stdout == "True\n"


@pytest.fixture(scope="module")
def launcher(tmp_path_factory):
    return Launcher(tmp_path_factory.mktemp("launcher"), small_config())


@pytest.mark.slow
@pytest.mark.skipif(bool(NO_ROOT), reason=str(NO_ROOT))
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (on_arm("cortex-a57"), r"Python 3\.11\.\d+, glibc 2\.36, kernels for aarch64"),
        (Condition("Debian 13", system=roots.DEBIAN_13), r"Python 3\.13\.\d+, glibc 2\.41, .*"),
    ],
)
def test_a_system_is_what_it_is_called(launcher, condition, said):
    obstacle = launcher.obstacle(condition)
    if obstacle:
        pytest.skip(obstacle)
    assert re.fullmatch(said, launcher.note(condition))
    other = launcher.obstacle(dataclasses.replace(condition, name="made again"))
    assert other is None


@pytest.mark.slow
@pytest.mark.skipif(bool(NO_ROOT), reason=str(NO_ROOT))
@pytest.mark.timeout(600)
@pytest.mark.parametrize("algorithm", ["nstep", "episodic"])
def test_an_arm_processor_has_the_same_bits(launcher, algorithm):
    rows = [dataclasses.replace(row, rounds=10) for row in (Condition("here"), on_arm("neoverse-n1"))]
    obstacle = launcher.obstacle(rows[1])
    if obstacle:
        pytest.skip(obstacle)
    trials = [proof.make_trial(small_config(), proof.Row(algorithm, row), launcher) for row in rows]
    here, there = (launcher.run(row, trial) for row, trial in zip(rows, trials, strict=True))
    assert here.sha256 == there.sha256
