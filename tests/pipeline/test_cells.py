"""The suite as its users run it: cell by cell, resumed where it was left, and not run again without a reason."""

import shutil

import pytest
from conftest import ROOT
from ruamel.yaml import YAML
from test_pipeline import BIN, Repository

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(900)]
SMALL = {
    "environments": ["Acrobot-v1", "Pendulum-v1"],
    "algorithms": ["nstep", "ppo"],
    "seeds": [0, 1],
    "workers": 2,
    "threads": 1,
    "evaluate": {"episodes": 2},
}
BUDGET = {"nstep": {"envs": 4, "rollout_steps": 5, "total_steps": 3_000}, "ppo": {"total_steps": 3_000}}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    repository = Repository.of_this_checkout(tmp_path_factory.mktemp("suite"))
    # What was published is another suite's.
    (repository.folder / "suite" / "dvc.lock").unlink(missing_ok=True)
    for path in list((repository.folder / "suite").glob("*/**/reports")):
        shutil.rmtree(path)
    write(repository, "suite/params.yaml", SMALL)
    for name in SMALL["environments"]:
        write(repository, f"src/a3c_bench/presets/{name}.yaml", BUDGET)
    repository.run("git", "init", "--quiet")
    repository.commit("start")
    return repository


def write(repository, path, content):
    with (repository.folder / path).open("w") as file:
        YAML(typ="safe").dump(content, file)


def make_suite(repository, *arguments, check=True):
    """`make suite`, in the environment that there is."""
    there = f"VENV={BIN.parent}"
    return repository.run("make", "--old-file", "suite-setup", there, "suite", *arguments, check=check)


def ran(said):
    """The stages that ran, without the two that always do."""
    stages = [line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage")]
    return [name for name in stages if not name.startswith("inputs@") and name != "report"]


def test_one_environment_then_the_rest_then_nothing(repository):
    said = make_suite(repository, "ENVS=Acrobot-v1")
    assert "Acrobot-v1: 4 cells, 4 not there yet, about " in said and "4 of 8 cells" in said
    assert sorted(ran(said)) == sorted(
        f"{stage}@Acrobot-v1-{name}-{seed}"
        for stage in ("train", "evaluate")
        for name in ("nstep", "ppo")
        for seed in (0, 1)
    )
    said = make_suite(repository)
    assert "Acrobot-v1: 4 cells, 0 not there yet\n" in said and "8 of 8 cells" in said
    assert len(ran(said)) == 8 and all("Pendulum-v1" in name for name in ran(said))
    page = (repository.folder / "reports" / "suite" / "README.md").read_text()
    assert "Pendulum-v1 | ppo | 2 of 2" in page and "Not there yet" not in page
    # A comment in the code is no reason.
    path = repository.folder / "src" / "a3c_bench" / "algorithms" / "blocks.py"
    path.write_text(path.read_text() + "# A comment.\n")
    assert ran(make_suite(repository)) == []


def test_a_changed_preset_trains_its_own_cells_again(repository):
    make_suite(repository)
    write(repository, "src/a3c_bench/presets/Acrobot-v1.yaml", {**BUDGET, "nstep": {**BUDGET["nstep"], "gamma": 0.9}})
    assert sorted(ran(make_suite(repository))) == sorted(
        f"{stage}@Acrobot-v1-nstep-{seed}" for stage in ("train", "evaluate") for seed in (0, 1)
    )


def test_an_environment_that_is_unknown_is_named_before_anything_runs(repository):
    said = make_suite(repository, "ENVS=Acrobot-v1,Nowhere-v0", check=False)
    assert "a3c-bench: ENVS: 'Nowhere-v0' is not allowed; suite/params.yaml has Acrobot-v1, Pendulum-v1" in said
    assert "Running stage" not in said


def test_the_projects_own_suite_is_left_alone():
    assert len(YAML(typ="safe").load((ROOT / "suite" / "params.yaml").read_text())["environments"]) == 13
