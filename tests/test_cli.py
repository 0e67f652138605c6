"""The command line as a user types it."""

import subprocess
import sys

import pytest
from conftest import ROOT, environment, small_params, write_params


def test_check_says_what_will_run(a3c_bench):
    result = a3c_bench("check")
    assert result.returncode == 0
    assert result.stdout.startswith("params.yaml: valid; CartPole-v1, nstep, episodic, 1 seed(s), ordered")


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        ({"workers": -1}, ["workers: -1"]),
        ({"env": "NoSuchEnv-v0"}, ["env: 'NoSuchEnv-v0'"]),
        ({"env": "Pendulum-v1"}, ["env: 'Pendulum-v1'", "allowed: Discrete"]),
        ({"profile": {"threads": []}}, ["profile.threads"]),
        ({"surprise": 1}, ["surprise: unknown key"]),
    ],
)
@pytest.mark.parametrize("command", [["check"], ["train", "nstep", "0"], ["report"]])
def test_bad_params_give_one_line_exit_code_2_and_no_file(a3c_bench, workspace, changes, fragments, command):
    params = small_params()
    for key, value in changes.items():
        params[key] = {**params[key], **value} if isinstance(value, dict) else value
    write_params(workspace, params)
    result = a3c_bench(*command)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert all(fragment in result.stderr for fragment in fragments)
    assert [path.name for path in workspace.iterdir()] == ["params.yaml"]


def test_a_missing_params_file(a3c_bench, workspace):
    (workspace / "params.yaml").unlink()
    result = a3c_bench("check")
    assert result.returncode == 2
    assert "params.yaml: cannot be read" in result.stderr


@pytest.mark.parametrize("arguments", [["train", "ppo", "0"], ["train", "nstep", "-1"], ["train"], ["fly"]])
def test_wrong_arguments(a3c_bench, arguments):
    result = a3c_bench(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_another_checkouts_source_is_refused(a3c_bench, workspace):
    (workspace / "src" / "a3c_bench").mkdir(parents=True)
    result = a3c_bench("check")
    assert result.returncode == 2
    assert "set PYTHONPATH=src" in result.stderr


def test_a_failed_stage_of_dvc_says_how_to_bring_its_files_back(a3c_bench, workspace):
    write_params(workspace, small_params(workers=0))
    result = a3c_bench("train", "nstep", "0", DVC_STAGE="train@nstep-0")
    assert "git checkout" in result.stderr
    assert "dvc checkout" in result.stderr


def test_help_imports_neither_numpy_nor_torch():
    code = "import sys; import a3c_bench.cli; print(sorted({'numpy', 'torch', 'mlflow', 'pandas'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_textbook_loop_runs_by_itself():
    command = [sys.executable, "-m", "a3c_bench.textbook", "CartPole-v1", "2", "4", "0"]
    result = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True, timeout=120)
    assert '"episodes": 4' in result.stdout
    assert '"exit_codes": [0, 0]' in result.stdout


def test_make_lists_its_targets():
    result = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    assert {"repro", "test", "mlflow", "lock", "clean"} <= {line.split()[1] for line in lines}
    assert all(len(line.split()) > 3 for line in lines)
