"""The pipeline as its users run it: DVC in a repository of its own, experiments, the queue."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from browser import chromium
from conftest import ROOT, environment, small_params, write_params
from ruamel.yaml import YAML

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(900)]
BIN = Path(sys.executable).parent
IDENTITY = {f"GIT_{who}_{what}": "test@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


MEASURED_ELSEWHERE = tuple(f"reports/{name}/" for name in ("gate", "peers", "reproducibility", "speed"))


class Repository:
    """A temporary repository with this checkout's tracked files and small params."""

    def __init__(self, folder):
        self.folder = folder
        # Not this checkout's source path: the stages must find their own.
        variables = environment(**IDENTITY, PATH=f"{BIN}:{os.environ['PATH']}", DVC_NO_ANALYTICS="true")
        del variables["PYTHONPATH"]
        self.variables = variables

    @classmethod
    def of_this_checkout(cls, folder):
        """Its tracked files; of the reports only what other targets than the pipeline measured."""
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in listed.split():
            kept = not name.startswith("reports/") or name.startswith(MEASURED_ELSEWHERE)
            if kept and name != "dvc.lock" and (ROOT / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        return cls(folder)

    def run(self, *command, check=True, **changes):
        variables = {**self.variables, **changes}
        result = subprocess.run(
            command, cwd=self.folder, env=variables, capture_output=True, text=True, check=False, timeout=600
        )
        assert not check or result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        return result.stdout + result.stderr

    def lock(self):
        """The md5 of every output, by path."""
        stages = YAML(typ="safe").load((self.folder / "dvc.lock").read_text())["stages"]
        return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}

    def commit(self, message):
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def restore(self):
        """`make restore`, in the environment that there is."""
        self.run("make", "--old-file", "setup", "restore")
        assert self.run("git", "status", "--porcelain") == ""

    def metrics(self, name):
        return json.loads((self.folder / "reports" / name / "metrics.json").read_text())


def small_pipeline(folder):
    """A repository with the results of small params."""
    repository = Repository.of_this_checkout(folder)
    write_params(repository.folder, small_params(nstep={"envs": 8, "total_steps": 60_000}))
    repository.run("git", "init", "--quiet")
    repository.commit("start")
    said = repository.run("dvc", "repro")
    assert said.count("Running stage") == 10
    assert "MLflow is left out" not in said
    repository.commit("results")
    return repository


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return small_pipeline(tmp_path_factory.mktemp("repository"))


def test_every_stage_wrote_its_files(repository):
    assert all((repository.folder / path).exists() for path in repository.lock())
    figures = {path.name for path in (repository.folder / "reports" / "figures").iterdir()}
    assert {f"{name}.{suffix}" for name in ("learning", "throughput") for suffix in ("svg", "png")} <= figures


def test_models_and_curves_stay_out_of_git_and_small_results_are_in(repository):
    tracked = set(repository.run("git", "ls-files").split())
    assert "reports/index.html" in tracked
    assert "reports/train/nstep/seed-0/digests.csv" in tracked
    assert not [path for path in tracked if path.endswith((".safetensors", "curve.csv", ".db"))]


def test_a_second_run_does_no_work_but_the_fingerprint(repository):
    said = repository.run("dvc", "repro")
    assert [line for line in said.splitlines() if "Running stage" in line] == ["Running stage 'machine':"]
    assert repository.run("git", "status", "--porcelain") == ""


def asked(repository, answer):
    """What an expression gives of all `runs` in MLflow's store."""
    code = f"""
import json, mlflow
client = mlflow.MlflowClient("sqlite:///mlflow.db")
runs = client.search_runs([client.get_experiment_by_name("a3c-bench").experiment_id])
print({answer})
"""
    return repository.run(sys.executable, "-W", "ignore", "-c", code).splitlines()[-1]


def logged(repository):
    """The figures of all runs in MLflow, by their names: those that are the same each time."""
    runs = json.loads(asked(repository, "json.dumps([(r.info.run_name, r.data.metrics) for r in runs])"))
    return {
        name.partition(" ")[0] if name.startswith("pipeline") else name: {
            key: value for key, value in metrics.items() if not key.startswith(("system/", "speed/"))
        }
        for name, metrics in runs
    }


def test_a_clone_logs_what_it_skips_and_says_whose_bits_it_has(repository, tmp_path):
    """The models are in no clone, so it trains, and finds the files of all else."""
    clone = Repository(tmp_path / "clone")
    repository.run("git", "clone", "--quiet", ".", str(clone.folder))
    said = clone.run("dvc", "repro")
    assert "Running stage 'train@nstep-0'" in said and "Running stage 'profile'" not in said
    command = [sys.executable, "-m", "a3c_bench", "log"]
    said = clone.run(*command, PYTHONPATH=str(clone.folder / "src"))
    # An evaluation and a film of either algorithm, the profile and the report.
    assert "stages that were skipped and are in MLflow now, from their files: 6\n" in said
    count = sum(path.startswith(("models/", "reports/train/", "reports/evaluate/")) for path in clone.lock())
    assert f"bits: {count} of {count} files of trainings and evaluations are the commit's\n" in said
    assert logged(clone) == logged(repository)
    assert (
        asked(clone, "sum(r.data.tags.get('from_files') == 'yes' and r.data.tags['stage'] != 'profile' for r in runs)")
        == "5"
    )
    assert "skipped" not in clone.run(*command, PYTHONPATH=str(clone.folder / "src"))
    # Of two stages whose runs failed, the files of one are not what DVC would make.
    asked(clone, "[client.set_terminated(r.info.run_id, 'FAILED') for r in runs if r.data.tags['stage'] == 'film']")
    (clone.folder / "reports" / "film" / "nstep.webp").write_bytes(b"another")
    said = clone.run(*command, PYTHONPATH=str(clone.folder / "src"))
    assert "stages that were skipped and are in MLflow now, from their files: 1\n" in said
    # Its files are as they were, but what they come from is not.
    asked(clone, "[client.set_terminated(r.info.run_id, 'FAILED') for r in runs if r.data.tags['stage'] == 'evaluate']")
    with (clone.folder / "src" / "a3c_bench" / "stages" / "train.py").open("a") as file:
        file.write("\n")
    assert "skipped" not in clone.run(*command, PYTHONPATH=str(clone.folder / "src"))


def test_results_made_again_from_nothing_are_the_same(repository):
    before = {path: md5 for path, md5 in repository.lock().items() if "train" in path or path.startswith("models")}
    said = repository.run("dvc", "repro", "--force", "--single-item", "train@nstep-0", "train@episodic-0")
    assert said.count("Running stage") == 2
    after = repository.lock()
    assert {path: after[path] for path in before} == before


def test_an_experiment_with_more_workers_shows_what_changed(repository):
    before = repository.lock()
    repository.run("dvc", "exp", "run", "--name", "four-workers", "-S", "workers=4")
    after = repository.lock()
    assert [path for path in before if path.startswith("models") and before[path] != after[path]] == []
    assert "workers" in repository.run("dvc", "params", "diff")
    changed = repository.run("dvc", "metrics", "diff")
    assert "env_steps_per_second" in changed
    assert "speedup" in changed
    shown = json.loads(repository.run("dvc", "exp", "show", "--json"))
    assert "four-workers" in json.dumps(shown)
    repository.restore()
    said = repository.run(sys.executable, "-m", "a3c_bench", "compare", PYTHONPATH=str(repository.folder / "src"))
    assert "four-workers" in said
    assert said.count("same bits") == 2
    assert "four-workers" in (repository.folder / "compare" / "index.html").read_text()


def test_an_experiment_with_one_algorithm_and_hogwild(repository):
    repository.run("dvc", "exp", "run", "-S", "algorithms=[episodic]", "-S", "schedule=hogwild")
    assert set(repository.metrics("report")) == {"episodic"}
    assert set(repository.metrics("profile")) == {"episodic"}
    # As DVC has them while an experiment runs, and leaves them where it is killed.
    repository.run("git", "add", "params.yaml", "dvc.lock", "reports")
    repository.restore()


def test_queued_experiments_log_to_the_same_mlflow_store(repository):
    repository.run("dvc", "exp", "run", "--queue", "-S", "workers=1,3")
    repository.run("dvc", "queue", "start")
    deadline = time.monotonic() + 300
    while (status := repository.run("dvc", "queue", "status")).count("Success") < 2:
        assert "Failed" not in status, status
        assert time.monotonic() < deadline, status
        time.sleep(2)
    queued = {line.split()[1] for line in status.splitlines() if "Success" in line}
    assert len(queued) == 2
    for name in queued:
        logs = repository.run("dvc", "queue", "logs", name)
        assert "train@nstep-0" in logs
        assert "MLflow is left out" not in logs
    assert queued <= experiment_names(repository)


def experiment_names(repository):
    return set(asked(repository, "' '.join({r.data.tags.get('dvc_experiment', '') for r in runs})").split())


def test_plots_and_metrics_are_shown_with_no_network_and_leave_nothing(repository, tmp_path):
    assert "nstep.seeds_solved" in repository.run("dvc", "metrics", "show")
    page = repository.run("dvc", "plots", "show").strip().splitlines()[-1]
    assert repository.run("git", "status", "--porcelain") == ""
    assert chromium(page, tmp_path, "--dump-dom").count("<canvas") == 3


def test_bad_params_under_dvc_write_nothing(repository):
    lock = (repository.folder / "dvc.lock").read_bytes()
    good = (repository.folder / "params.yaml").read_text()
    write_params(repository.folder, {**small_params(), "env": "Blackjack-v1"})
    try:
        said = repository.run("dvc", "repro", check=False)
        assert "Blackjack-v1" in said
        assert "Traceback" not in said
        assert (repository.folder / "dvc.lock").read_bytes() == lock
    finally:
        (repository.folder / "params.yaml").write_text(good)
        repository.run("git", "checkout", "--", ".")
        repository.run("dvc", "checkout")


def verify(repository, *options):
    command = (sys.executable, "-m", "a3c_bench", "verify", *options)
    variables = {**repository.variables, "PYTHONPATH": str(repository.folder / "src")}
    return subprocess.run(
        command, cwd=repository.folder, env=variables, capture_output=True, text=True, check=False, timeout=600
    )


def planted(repository, path, before, after, message):
    """Commit a change of the code, without new results."""
    file = repository.folder / path
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))
    repository.commit(message)


def test_verify_reproduces_the_committed_results_with_other_workers(repository):
    result = verify(repository, "--workers", "3", "--threads", "2")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "reproduced 18 of 18" in result.stdout
    assert repository.run("git", "status", "--porcelain") == ""


def test_verify_names_the_tensor_whose_bit_was_flipped_after_training(repository):
    path, before = "src/a3c_bench/stages/train.py", "    kept = ["
    flip = '    layout.tensors(outcome.parameters)["actor.bias"].view(np.uint32)[-1] ^= 1\n'
    planted(repository, path, before, flip + before, "flip a bit of the model")
    try:
        result = verify(repository, "--algorithms", "nstep")
    finally:
        repository.run("git", "revert", "--no-edit", "HEAD")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "first difference: models/nstep/seed-0.safetensors" in result.stdout
    assert "first differing tensor: tensor actor.bias of the model file" in result.stdout
    assert "reproduced 8 of 9" in result.stdout or "reproduced 7 of 9" in result.stdout
    assert "inputs that differ from those in dvc.lock:\n  src/a3c_bench/stages/train.py: " in result.stdout


def test_verify_names_the_turn_and_tensor_after_a_bit_was_flipped_before_training(repository):
    path, before = "src/a3c_bench/training/pool.py", "        self.tables.snapshots[:] = self.tables.model\n"
    flip = "        self.tables.model.view(np.uint32)[0] ^= 1\n"
    planted(repository, path, before, flip + before, "flip a bit of version 0")
    try:
        result = verify(repository, "--algorithms", "episodic")
    finally:
        repository.run("git", "revert", "--no-edit", "HEAD")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "first differing tensor: tensor hidden.0.weight after turn 28 (digest 1 of 20)" in result.stdout


def test_verify_refuses_what_has_no_results(repository):
    result = verify(repository, "--seeds", "7")
    assert result.returncode == 2
    assert result.stderr == "a3c-bench: seeds: 7 has no results in this repository; allowed: 0\n"
