"""The first minute: a page of its own, and nothing that git tracks is touched."""

import base64
import re
import shutil
import subprocess

from conftest import ROOT, environment


def git(folder, *arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@localhost", *arguments]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=True).stdout


def test_the_demo_writes_its_own_folder_only(a3c_bench, workspace):
    shutil.copy(ROOT / ".gitignore", workspace)
    git(workspace, "init", "--quiet")
    git(workspace, "add", "--all")
    git(workspace, "commit", "--quiet", "--message", "before")
    result = a3c_bench("demo")
    assert result.returncode == 0, result.stderr
    assert git(workspace, "status", "--porcelain") == ""
    assert {path.name for path in workspace.iterdir()} == {".git", ".gitignore", "demo", "params.yaml"}

    page = (workspace / "demo" / "index.html").read_text()
    assert "nstep on CartPole-v1, seed 0" in page and "<svg" in page
    film = base64.b64decode(re.search('src="data:image/webp;base64,([^"]*)"', page)[1], validate=True)
    assert film == (workspace / "demo" / "reports" / "film" / "nstep.webp").read_bytes()
    assert (workspace / "demo" / "learning.png").read_bytes().startswith(b"\x89PNG")
    *_, speed, last = result.stdout.splitlines()
    assert speed.endswith("× the textbook loop")
    assert last.startswith("demo/index.html has the curve and the film (")
    assert last.endswith("s in all). Next: `make repro` runs all of it")


def test_its_results_are_those_of_the_stages(a3c_bench, workspace):
    assert a3c_bench("demo", "--algorithm", "episodic").returncode == 0
    for stage in ("train", "evaluate"):
        assert a3c_bench(stage, "--algorithm", "episodic", A3C_BENCH_TRACKING="off").returncode == 0
    for path in (
        "models/episodic/seed-0.safetensors",
        "reports/train/episodic/seed-0/curve.csv",
        "reports/evaluate/episodic/seed-0/episodes.csv",
    ):
        assert (workspace / "demo" / path).read_bytes() == (workspace / path).read_bytes()


def test_a_name_that_is_taken_is_told_in_a_line(a3c_bench, workspace):
    (workspace / "demo").write_text("mine")
    result = a3c_bench("demo")
    assert result.returncode == 2
    assert result.stderr == "a3c-bench: demo: cannot be made (File exists); rename what has its name\n"
