"""`dvc.yaml` against the code: every stage depends on what decides its results, and names the params that it reads."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment, small_params, write_params
from imports import PACKAGE, SOURCE, imports, module_file
from ruamel.yaml import YAML

from a3c_bench.config import ENVIRONMENT, Config
from a3c_bench.results.checkpoints import DECIDING

PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())
STAGES = list(PIPELINE["stages"])
VIEWS = {
    PACKAGE / name
    for name in (
        "errors.py",
        "machine.py",
        "params.py",
        "processes.py",
        "progress.py",
        "results/checkpoints.py",
        "results/private.py",
        "supervision.py",
        "tracking/tracker.py",
    )
}
"""How a stage runs and what a person sees of it: no result depends on them, nor on what they import."""


def decides(stage):
    """All files of this package that a stage imports, the views apart."""
    return reached_from(f"a3c_bench.stages.{stage}")


def reached_from(module):
    reached, waiting = set(), [module_file(module)]
    while waiting:
        path = waiting.pop()
        if path not in reached | VIEWS:
            reached.add(path)
            waiting += imports(path)
    return reached


def sources(stage):
    """The files and folders of this package that `dvc.yaml` names for a stage."""
    return [ROOT / path for path in PIPELINE["stages"][stage].get("deps", []) if path.startswith("src")]


def interpolated(entries):
    return {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_a_module_and_a_command(stage):
    assert module_file(f"a3c_bench.stages.{stage}").exists()
    assert module_file(f"a3c_bench.commands.{stage}").exists()
    assert PIPELINE["stages"][stage]["cmd"].startswith(f"exec env PYTHONPATH=src python -m a3c_bench {stage}")


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "machine"])
def test_a_stage_depends_on_every_module_that_decides_its_results(stage):
    missing = [
        str(path.relative_to(ROOT))
        for path in decides(stage)
        if path.name != "__init__.py" and not any(path.is_relative_to(source) for source in sources(stage))
    ]
    assert not missing


BESIDES = {
    "profile": {PACKAGE / "textbook.py"},
    "preset": {PACKAGE / "defaults.yaml", *(PACKAGE / "presets").rglob("*.yaml")},
}
"""What a stage runs as a program, or reads."""


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_nothing_else_of_the_code(stage):
    besides = BESIDES.get(stage, set())
    for source in sources(stage):
        assert source.exists(), source
        assert not any(view.is_relative_to(source) for view in VIEWS), source
        assert any(path.is_relative_to(source) for path in decides(stage) | besides), source


def test_a_checkpoint_is_bound_to_all_code_that_trains():
    named = {PACKAGE / name for name in DECIDING}
    assert named <= set(sources("train"))
    others = {path for path in reached_from("a3c_bench.training.pool") if not named & {path, *path.parents}}
    # What it says of the settings is in the checkpoint itself.
    assert others <= {PACKAGE / name for name in ("config.py", "preset.py", "sections.py", "__init__.py")}


def test_the_views_are_modules():
    assert not [path for path in VIEWS if not path.exists()]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stages_other_dependencies_exist(stage):
    for path in PIPELINE["stages"][stage].get("deps", []):
        assert path.startswith(("reports", "models", "src")) or (ROOT / path).exists(), path


@pytest.mark.parametrize("stage", STAGES)
def test_dependencies_are_locked_and_code_hashes_nothing_that_changes_by_itself(stage):
    if stage != "machine":
        assert "requirements.lock" in PIPELINE["stages"][stage]["deps"]
    assert "__pycache__" in (ROOT / ".dvcignore").read_text()


SECTIONS = {"nstep", "episodic", "ppo"}
READ_THROUGH = {
    **dict.fromkeys(("algorithm", "sections", "with_algorithm", "with_budget"), SECTIONS),
    **{key: set(ENVIRONMENT) for key in ("recipe", "with_env")},
    "warnings_on": {"schedule"},
}
"""What of a config gives other keys than its name says."""
PARAMS = {name for name, field in Config.model_fields.items() if not field.exclude}


def keys_read(stage):
    """Top-level params that a stage's code reads as `config.KEY`."""
    read = set()
    for path in decides(stage) - {PACKAGE / "config.py"}:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("config"):
                read |= READ_THROUGH.get(node.attr, {node.attr} & PARAMS)
    return read


HOW_TO_SURVIVE = {"checkpoint", "hosts", "joining", "max_restarts"}
"""No result depends on them: a change must not make a stage run again."""


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_names_every_param_it_reads(stage):
    named = set(PIPELINE["stages"][stage].get("params", ())) | HOW_TO_SURVIVE
    if "${item.algorithm}" in named:
        named |= SECTIONS
    assert keys_read(stage) <= named, keys_read(stage) - named


def test_workers_and_threads_are_params_of_training():
    assert {"workers", "threads", "schedule"} <= set(PIPELINE["stages"]["train"]["params"])


@pytest.mark.parametrize("stage", STAGES)
def test_small_results_are_kept_in_git_and_models_are_not(stage):
    section = PIPELINE["stages"][stage]
    for entry in section.get("outs", []) + section.get("metrics", []):
        heavy = isinstance(entry, str)
        path = entry if heavy else next(iter(entry))
        assert heavy == path.endswith((".safetensors", "curve.csv", "updates.csv")), path
        assert heavy or entry[path] == {"cache": False}


@pytest.mark.parametrize("stage", STAGES)
def test_params_reach_a_shell_as_options_only(stage):
    """DVC quotes the strings of `${item}`, but not a mapping's keys: that it is none, DVC sees by the paths."""
    section = PIPELINE["stages"][stage]
    assert section["cmd"].count("$") == ("matrix" in section)
    if "matrix" in section:
        assert section["cmd"].endswith(f" {stage} ${{item}}")
        (path, *_) = interpolated(section["outs"])
        assert all(f"${{item.{key}}}" in path for key in section["matrix"])


PWNED = "x; touch pwned; #"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": ["0; touch pwned"]}, "a3c-bench: params.yaml: "),
        ({"algorithms": [PWNED]}, "a3c-bench: params.yaml: "),
        ({"algorithms": ["$(touch pwned)"]}, "a3c-bench: params.yaml: "),
        ({"seeds": [{PWNED: 1}]}, "Cannot interpolate data of type 'dict'"),
        ({"algorithms": [{PWNED: 1}]}, "Cannot interpolate data of type 'dict'"),
        ({"seeds": [[PWNED]]}, "Cannot interpolate data of type 'list'"),
    ],
)
def test_dvc_runs_nothing_that_params_slip_into_a_command(tmp_path, changes, words):
    training = {**PIPELINE["stages"]["train"], "deps": []}
    write_params(tmp_path, {**small_params(), **changes, **{PWNED: {}, "$(touch pwned)": {}}})
    with (tmp_path / "dvc.yaml").open("w") as file:
        YAML(typ="safe").dump({"stages": {"train": training}}, file)
    (tmp_path / "src").symlink_to(SOURCE)
    said = repro(tmp_path)
    assert [words in line for line in said.splitlines()].count(True) == 1, said
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("pwned"))


def repro(folder):
    """What `dvc repro` says in a new repository, which must fail."""
    dvc = Path(sys.executable).parent / "dvc"
    variables = environment(PATH=f"{dvc.parent}:{os.environ['PATH']}", DVC_NO_ANALYTICS="true")
    for command in (["init", "--no-scm", "--quiet"], ["repro"]):
        result = subprocess.run([dvc, *command], cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    return result.stdout + result.stderr
