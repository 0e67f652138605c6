"""An algorithm of one's own, and a second section of one kind, through the whole pipeline: no file of `src` differs."""

import subprocess
import sys

import pytest
from conftest import ROOT, small_params, write_params
from test_pipeline import Repository

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(900)]
REINFORCE = {
    "kind": "examples.reinforce:Reinforce",
    "actors": 4,
    "adam_statistics": "own",
    "episodes": 60,
    "learning_rate": 1e-3,
    "gamma": 0.99,
    "baseline_weight": 0.5,
    "hidden": [16],
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    repository = Repository.of_this_checkout(tmp_path_factory.mktemp("example"))
    params = small_params(algorithms=["reinforce", "nstep", "nstep-wide"], seeds=[0])
    params["reinforce"], params["nstep-wide"] = REINFORCE, params["nstep"] | {"hidden": [128, 128]}
    write_params(repository.folder, params)
    pipeline = (repository.folder / "dvc.yaml").read_text()
    # What docs/extending.md asks for.
    pipeline = pipeline.replace(
        "      - src/a3c_bench/algorithms\n", "      - examples\n      - src/a3c_bench/algorithms\n"
    )
    pipeline = pipeline.replace(
        "      - nstep\n      - episodic\n", "      - nstep\n      - nstep-wide\n      - reinforce\n"
    )
    (repository.folder / "dvc.yaml").write_text(pipeline)
    repository.run("git", "init", "--quiet")
    repository.commit("an algorithm of one's own")
    said = repository.run("dvc", "repro")
    assert said.count("Running stage") == 13
    assert "MLflow is left out" not in said
    repository.commit("results")
    return repository


def test_every_section_is_trained_evaluated_filmed_profiled_and_reported(repository):
    files = repository.lock()
    for name in ("reinforce", "nstep", "nstep-wide"):
        assert f"models/{name}/seed-0.safetensors" in files
        assert f"reports/evaluate/{name}/seed-0/episodes.csv" in files
        assert f"reports/film/{name}.webp" in files
        assert name in repository.metrics("profile")
        assert name in repository.metrics("report")
        assert f"<td>{name}</td>" in (repository.folder / "reports" / "index.html").read_text()


def test_the_package_is_that_of_the_checkout(repository):
    command = ["diff", "--recursive", "--exclude=__pycache__", "--exclude=*.egg-info", str(ROOT / "src"), "src"]
    assert subprocess.run(command, cwd=repository.folder, capture_output=True, check=False).stdout == b""


def test_its_results_are_verified_with_other_workers(repository):
    source = str(repository.folder / "src")
    said = repository.run(
        sys.executable, "-m", "a3c_bench", "verify", "--algorithms", "reinforce", "--workers", "3", PYTHONPATH=source
    )
    assert "reproduced 9 of 9" in said


def test_a_change_of_its_file_trains_it_again(repository):
    path = repository.folder / "examples" / "reinforce.py"
    path.write_text(path.read_text() + "\n")
    assert "train@reinforce-0" in repository.run("dvc", "status")
