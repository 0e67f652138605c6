"""`dvc.yaml` against the code: every stage depends on what it imports, and names the params that it reads."""

import ast
from pathlib import Path

import pytest
from conftest import ROOT, small_config
from ruamel.yaml import YAML

from a3c_bench.cli import chosen
from a3c_bench.config import Config
from a3c_bench.errors import BadInputError

SOURCE = ROOT / "src"
PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())
STAGES = list(PIPELINE["stages"])
ENTRY = SOURCE / "a3c_bench" / "cli.py"


def module_file(name):
    path = SOURCE / Path(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


class RunTime(ast.NodeTransformer):
    """Leaves out what only the type checker sees."""

    def visit_If(self, node):
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def imports(path, whole=True):
    """The files of this package that `path` imports; `whole`: inside functions too."""
    tree = RunTime().visit(ast.parse(path.read_text()))
    nodes = ast.walk(tree) if whole else tree.body
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("a3c_bench"):
            for alias in node.names:
                inner = module_file(f"{node.module}.{alias.name}")
                found.add(inner if inner.exists() else module_file(node.module))
        elif isinstance(node, ast.Import):
            found |= {module_file(alias.name) for alias in node.names if alias.name.startswith("a3c_bench")}
    return found


def runs(stage):
    """All files of this package that a stage's command imports."""
    reached, waiting = set(), [ENTRY, module_file(f"a3c_bench.stages.{stage}")]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            # The entry imports a stage's module only when that stage runs.
            waiting += imports(path, whole=path != ENTRY)
    return reached


def interpolated(entries):
    return {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_a_module_and_a_command(stage):
    assert module_file(f"a3c_bench.stages.{stage}").exists()
    assert PIPELINE["stages"][stage]["cmd"].startswith(f"exec env PYTHONPATH=src python -m a3c_bench {stage}")


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "machine"])
def test_a_stage_depends_on_every_module_it_imports(stage):
    dependencies = [ROOT / path for path in PIPELINE["stages"][stage]["deps"] if path.startswith("src")]
    missing = [
        path.relative_to(ROOT)
        for path in runs(stage)
        if path.name != "__init__.py" and not any(path.is_relative_to(dependency) for dependency in dependencies)
    ]
    assert not missing


@pytest.mark.parametrize("stage", STAGES)
def test_a_stages_dependencies_exist_and_are_needed(stage):
    for path in PIPELINE["stages"][stage].get("deps", []):
        if path.startswith("src") and path.endswith(".py"):
            text_run = {SOURCE / "a3c_bench" / "textbook.py"}  # run as a program, not imported
            assert ROOT / path in runs(stage) | text_run, path
        assert path.startswith(("reports", "models")) or (ROOT / path).exists(), path


@pytest.mark.parametrize("stage", STAGES)
def test_dependencies_are_locked_and_code_hashes_nothing_that_changes_by_itself(stage):
    if stage != "machine":
        assert "requirements.lock" in PIPELINE["stages"][stage]["deps"]
    assert "__pycache__" in (ROOT / ".dvcignore").read_text()


def keys_read(stage):
    """Top-level params that a stage's code reads as `config.KEY`; MLflow's view of the params apart."""
    read = set()
    for path in runs(stage) - {SOURCE / "a3c_bench" / name for name in ("tracking.py", "cli.py", "config.py")}:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in Config.model_fields:
                owner = ast.unparse(node.value)
                if owner.endswith("config") or owner == "work":
                    read.add(node.attr)
    return read


HOW_TO_SURVIVE = {"checkpoint", "max_restarts"}
"""No result depends on them: a change must not make a stage run again."""


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_names_every_param_it_reads(stage):
    named = set(PIPELINE["stages"][stage]["params"]) | HOW_TO_SURVIVE
    if "${item.algorithm}" in named:
        named |= {"nstep", "episodic"}
    assert keys_read(stage) <= named, keys_read(stage) - named


def test_workers_and_threads_are_params_of_training():
    assert {"workers", "threads", "schedule", "numerics"} <= set(PIPELINE["stages"]["train"]["params"])


@pytest.mark.parametrize("stage", STAGES)
def test_small_results_are_kept_in_git_and_models_are_not(stage):
    section = PIPELINE["stages"][stage]
    for entry in section.get("outs", []) + section.get("metrics", []):
        heavy = isinstance(entry, str)
        path = entry if heavy else next(iter(entry))
        assert heavy == path.endswith((".safetensors", "curve.csv", "updates.csv")), path
        assert heavy or entry[path] == {"cache": False}


def test_no_params_reach_a_shell():
    assert not [name for name, stage in PIPELINE["stages"].items() if "$" in stage["cmd"]]


@pytest.mark.parametrize(
    ("stage", "expected"), [("train@episodic-3", ("episodic", 3)), ("train@nstep-0", ("nstep", 0))]
)
def test_a_stage_learns_its_algorithm_and_seed_from_its_name(stage, expected, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", stage)
    assert chosen(small_config(seeds=[0, 3]), None, None) == expected
    assert chosen(small_config(), "nstep", 7) == ("nstep", 7)


@pytest.mark.parametrize("stage", ["", "train", "train@nstep-9", "train@nstep-0; touch pwned", "train@-"])
def test_a_stage_of_another_name_is_refused(stage, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", stage)
    with pytest.raises(BadInputError, match="which algorithm and seed"):
        chosen(small_config(), None, None)
