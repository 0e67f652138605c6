"""The command line as a user types it."""

import shutil
import subprocess
import sys
import time
from importlib.metadata import version

import pytest
from conftest import ROOT, environment, small_config, small_params, write_params

from a3c_bench.commands import chosen, chosen_algorithm
from a3c_bench.config import parse_config
from a3c_bench.errors import BadInputError


def test_check_says_what_will_run(a3c_bench):
    result = a3c_bench("check")
    assert result.returncode == 0
    assert result.stdout.startswith("params.yaml: valid; CartPole-v1, nstep, episodic, 1 seed(s), ordered")


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        ({"workers": -1}, ["workers: -1"]),
        ({"env": "NoSuchEnv-v0"}, ["env: 'NoSuchEnv-v0'"]),
        ({"env": "Blackjack-v1"}, ["env: 'Blackjack-v1'", "set max_episode_steps"]),
        ({"wrappers": ["no.such:Name"]}, ["wrappers: 'no.such:Name'"]),
        ({"profile": {"threads": []}}, ["profile.threads"]),
        ({"surprise": 1}, ["surprise: unknown key"]),
    ],
)
@pytest.mark.parametrize("command", [["check"], ["train"], ["report"]])
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


@pytest.mark.parametrize("arguments", [["train", "nstep", "0"], ["train", "--seed"], ["fly"]])
def test_wrong_arguments(a3c_bench, arguments):
    result = a3c_bench(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_the_params_first_algorithm_and_seed_are_meant_if_none_is_named():
    config = small_config(algorithms=["episodic", "nstep"], seeds=[3, 0])
    assert chosen(config, None, None) == ("episodic", 3)
    assert chosen(config, "nstep", "7") == ("nstep", 7), "by hand, a seed need not be among the params'"
    assert chosen(config, None, "0") == ("episodic", 0)


@pytest.mark.parametrize("seed", ["", "-1", "1e3", "0.0", "4294967296", "٣", "0; touch pwned", "0\n", "9" * 5000])
def test_a_seed_that_is_none_is_named(seed):
    with pytest.raises(
        BadInputError, match=r"^--seed: '.*' is not allowed: a seed is a whole number from 0 to 4294967295$"
    ):
        chosen(small_config(), None, seed)


@pytest.mark.parametrize("name", ["ppo", "", "../nstep", "nstep; touch pwned", "NSTEP"])
def test_an_algorithm_that_is_not_in_the_params_is_named(name):
    with pytest.raises(BadInputError, match=r"^--algorithm: '.*' is not allowed; params.yaml has nstep, episodic$"):
        chosen_algorithm(small_config(), name)


@pytest.mark.parametrize("command", ["train", "evaluate", "film", "watch"])
def test_a_wrong_choice_gives_one_line(a3c_bench, command):
    assert_one_line(a3c_bench(command, "--algorithm=ppo"), "--algorithm: 'ppo'")
    if command != "film":
        assert_one_line(a3c_bench(command, "--seed=-1"), "--seed: '-1'")


@pytest.mark.parametrize("name", ["../x", "a/b", "x; y", ".", "-x", "", "é", "x\n"])
def test_an_algorithm_must_be_able_to_name_a_file(name):
    params = small_params(algorithms=[name])
    params[name] = params["nstep"]
    with pytest.raises(BadInputError, match=r"algorithms\.0: .* is not allowed"):
        parse_config(params)


def assert_one_line(result, words):
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert words in result.stderr


def test_another_checkouts_source_is_refused(a3c_bench, workspace):
    (workspace / "src" / "a3c_bench").mkdir(parents=True)
    result = a3c_bench("check")
    assert result.returncode == 2
    assert "set PYTHONPATH=src" in result.stderr


def test_a_failed_stage_of_dvc_says_how_to_bring_its_files_back(a3c_bench, workspace):
    write_params(workspace, small_params(workers=0))
    result = a3c_bench("train", DVC_STAGE="train@nstep-0")
    assert "git checkout" in result.stderr
    assert "dvc checkout" in result.stderr


def loaded_after(*arguments, source=ROOT / "src"):
    """The modules that are loaded when the command has run, and what it said."""
    code = "import sys, a3c_bench.cli as cli\ntry: cli.app()\nfinally: print('LOADED', *sys.modules)"
    command, variables = [sys.executable, "-c", code, *arguments], environment(PYTHONPATH=str(source))
    result = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    said, _, modules = result.stdout.rpartition("LOADED")
    return set(modules.split()), said


def test_help_lists_every_module_and_imports_no_library():
    start = time.monotonic()
    modules, said = loaded_after("--help")
    assert time.monotonic() - start < 2  # half a second on a machine that does nothing else
    names = [path.stem for path in (ROOT / "src" / "a3c_bench" / "commands").glob("*.py") if path.stem != "__init__"]
    assert {f"a3c_bench.commands.{name}" for name in names} <= modules
    assert all(f" {name.replace('_', '-')} " in said for name in names)
    assert not modules & {"numpy", "torch", "mlflow", "pandas", "gymnasium", "a3c_bench.config"}


def test_a_command_imports_no_other():
    modules, _ = loaded_after("train", "--help")
    assert {name for name in modules if name.startswith("a3c_bench.commands.")} == {"a3c_bench.commands.train"}


def test_a_new_file_is_a_new_command(tmp_path):
    shutil.copytree(ROOT / "src" / "a3c_bench", tmp_path / "a3c_bench", ignore=shutil.ignore_patterns("__pycache__"))
    module = tmp_path / "a3c_bench" / "commands" / "say_hello.py"
    module.write_text('def run(name: str = "you") -> None:\n    """Greet."""\n    print("hello", name)\n')
    assert "Greet." in loaded_after("--help", source=tmp_path)[1]
    assert loaded_after("say-hello", "--name", "me", source=tmp_path)[1] == "hello me\n"


def test_the_version_is_the_distributions(a3c_bench):
    assert a3c_bench("--version").stdout == f"a3c-bench {version('a3c-bench')}\n"


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
