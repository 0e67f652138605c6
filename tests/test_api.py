"""The Python face: wherever it is used from, it gives the bits of the command."""

import ast
import inspect
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import gymnasium
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, WITHOUT_MLFLOW, environment, small_params, write_params

import a3c_bench as a3c

SCRIPT = """
import hashlib, a3c_bench as a3c
result = a3c.train(a3c.load_config(), "nstep", seed=0)
print(hashlib.sha256(result.policy.parameters.tobytes()).hexdigest())
"""
NOTEBOOK = """
import sys, types
# As IPython has it: the program is a module that comes from no file.
main = types.ModuleType("__main__")
sys.modules["__main__"] = main
for cell in {cells!r}:
    exec(compile(cell, "<cell>", "exec"), main.__dict__)
"""
UNDER_PYTEST = f"def test():\n    {SCRIPT.strip().replace(chr(10), chr(10) + '    ')}\n"


def digest(policy):
    return sha256(policy.parameters.tobytes()).hexdigest()


def run(*arguments, text=None, **variables):
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, input=text, env=environment(**variables), capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def result():
    return a3c.train(config(), "nstep", seed=0)


def config():
    return a3c.load_config(ROOT / "params.yaml").with_(
        **{
            key: value
            for key, value in small_params().items()
            if key in {"nstep", "episodic", "evaluate", "checkpoint"}
        }
    )


# --- where it is used from


def test_a_script_needs_no_guard(workspace, result):
    Path("script.py").write_text(SCRIPT)
    ran = run("script.py")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"{digest(result.policy)}\n", "")


def test_standard_input_may_be_the_program(workspace, result):
    ran = run("-", text=SCRIPT)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"{digest(result.policy)}\n", "")


def test_a_notebook_may_be_the_program(workspace, result):
    ran = run("-c", NOTEBOOK.format(cells=SCRIPT.strip().splitlines()))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"{digest(result.policy)}\n", "")


def test_it_works_under_pytest(workspace, result):
    Path("test_mine.py").write_text(UNDER_PYTEST)
    ran = run("-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "test_mine.py")
    assert ran.returncode == 0, ran.stdout
    assert digest(result.policy) in ran.stdout


def test_numpy_and_torch_may_be_there_and_keep_their_threads(workspace, result):
    before = "import os, numpy, torch\nthreads, variables = torch.get_num_threads(), dict(os.environ)\n"
    after = "assert torch.get_num_threads() == threads and dict(os.environ) == variables\n"
    ran = run("-", text=before + SCRIPT + after)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"{digest(result.policy)}\n", "")


def test_what_only_the_program_defines_is_refused_in_a_line(workspace):
    mine = "from examples.reinforce import Reinforce\nclass Mine(Reinforce): pass\n"
    section = {"kind": "__main__:Mine", "actors": 2, "adam_statistics": "shared", "learning_rate": 1e-3, "gamma": 0.9}
    section |= {"baseline_weight": 0.5, "episodes": 4, "hidden": [8]}
    code = f"{mine}import a3c_bench as a3c\nconfig = a3c.load_config().with_(mine={section})\n"
    code += "a3c.train(config, 'mine')\n"
    ran = run("-", text=code, PYTHONPATH=f"{ROOT / 'src'}:{ROOT}")
    assert ran.returncode == 1
    last = ran.stderr.splitlines()[-1]
    assert "BadInputError: workers: cannot be given what your program defines (" in last and "__main__.Mine" in last
    assert last.endswith("; define it in a module and import that")


def test_an_environment_that_only_the_program_registers_is_named(workspace):
    code = (
        "import gymnasium, a3c_bench as a3c\n"
        "from gymnasium.envs.classic_control import CartPoleEnv\n"
        "class Mine(CartPoleEnv): pass\n"
        "gymnasium.register('Mine-v0', Mine, max_episode_steps=100)\n"
        "config = a3c.load_config().with_(env='Mine-v0')\n"
        "a3c.train(config, 'nstep')\n"
    )
    ran = run("-", text=code)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].endswith(
        "BadInputError: env: 'Mine-v0' is registered by your program only, which workers do not run; "
        "register it in a module, and name that: 'module:Mine-v0'"
    )


# --- what it gives


def test_it_is_what_the_command_writes(a3c_bench, workspace, result):
    for stage in ("train", "evaluate"):
        assert a3c_bench(stage, **WITHOUT_MLFLOW).returncode == 0
    for name, table in {"curve": result.curve, "updates": result.updates}.items():
        written = pd.read_csv(f"reports/train/nstep/seed-0/{name}.csv")
        pd.testing.assert_frame_equal(table, written, check_dtype=False, check_exact=True)
    assert digest(a3c.load_policy("models/nstep/seed-0.safetensors")) == digest(result.policy)
    shutil.copy("models/nstep/seed-0.safetensors", "copy.safetensors")
    with pytest.raises(a3c.BadInputError, match=r"^copy.safetensors: does not say which algorithm it is of"):
        a3c.load_policy("copy.safetensors")
    played = pd.read_csv("reports/evaluate/nstep/seed-0/episodes.csv")
    for sampled, name in ((False, "greedy"), (True, "sampled")):
        mine, theirs = a3c.evaluate(result.policy, 10, sampled=sampled), played[played["policy"] == name]
        assert mine["return"].tolist() == theirs["return"].tolist()
        assert mine["length"].tolist() == theirs["length"].tolist()


def test_a_saved_policy_acts_as_before(result, tmp_path):
    policy, path = result.policy, tmp_path / "folder" / "policy.safetensors"
    policy.save(path)
    loaded = a3c.load_policy(path)
    assert (loaded.env, loaded.algorithm, loaded.seed) == ("CartPole-v1", "nstep", 0)
    assert digest(loaded) == digest(policy)
    played = gymnasium.make(policy.env)
    observation, _ = played.reset(seed=1)
    for _ in range(20):
        action = loaded.act(observation)
        assert action == policy.act(observation.tolist()) and played.action_space.contains(action)
        observation, *_, ended, _, _ = played.step(action)
        if ended:
            observation, _ = played.reset()
    drawn = {int(policy.act(observation, np.random.default_rng(seed))) for seed in range(100)}
    assert drawn <= {0, 1}


@pytest.mark.parametrize("env", ["FrozenLake-v1", "Pendulum-v1"])
def test_a_policy_speaks_the_environments_own_language(env, tmp_path):
    """A place is a number there, and an action one that `step` takes, within its bounds."""
    small = config().with_(env=env, nstep={"actors": 2, "envs": 2, "total_steps": 80})
    a3c.train(small, "nstep").policy.save(tmp_path / "policy.safetensors")
    policy = a3c.load_policy(tmp_path / "policy.safetensors")
    played = gymnasium.make(env)
    observation, _ = played.reset(seed=1)
    for generator in (None, np.random.default_rng(1)):
        assert played.action_space.contains(policy.act(observation, generator))
    with pytest.raises(a3c.BadInputError, match=r"^observation: "):
        policy.act([1e9, 2, 3, 4])


def test_nothing_is_printed_or_written(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = config().with_(nstep={"total_steps": 1_600})
    a3c.train(small, "nstep")
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_values_change_section_by_section():
    first = config()
    second = first.with_(workers=4, nstep={"envs": 8}, seeds=[3, 4])
    assert (second.workers, second.seeds, second.algorithm("nstep").envs) == (4, (3, 4), 8)
    assert second.algorithm("nstep").actors == first.algorithm("nstep").actors
    assert second.with_(workers=first.workers, nstep={"envs": 4}, seeds=first.seeds) == first
    wide = first.with_(wide=first.params()["nstep"] | {"hidden": [8]})
    assert wide.algorithm("wide").hidden == (8,)


def test_without_a_params_file_there_are_the_projects_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert a3c.load_config() == a3c.load_config(ROOT / "params.yaml")
    write_params(tmp_path, small_params(workers=1))
    assert a3c.load_config().workers == 1


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda: config().with_(wokers=4), "config: wokers: unknown key (value 4); workers is meant?"),
        (lambda: config().with_(workers=0), "config: workers: 0 is not allowed"),
        (lambda: config().with_(nstep={"envs": "many"}), "config: nstep.envs: 'many' is not allowed"),
        (lambda: a3c.train(config(), "nsteps"), "algorithm: 'nsteps' is not allowed; the config has nstep, "),
        (lambda: a3c.train(config(), "nstep", seed=-1), "seed: -1 is not allowed"),
        (lambda: a3c.train(config(), "nstep", seed=0.5), "seed: 0.5 is not allowed"),
        (lambda: a3c.train(config().with_(env="Nowhere-v0"), "nstep"), "env: 'Nowhere-v0' cannot be made"),
        (lambda: a3c.load_config("nowhere.yaml"), "nowhere.yaml: cannot be read"),
        (lambda: a3c.load_policy("nowhere/seed-0.safetensors"), "nowhere/seed-0.safetensors: cannot be read (missing)"),
        (lambda: a3c.load_policy(ROOT / "params.yaml"), "params.yaml: cannot be read (damaged: no safetensors file)"),
    ],
)
def test_a_mistake_is_one_line(mistake, words):
    with pytest.raises(a3c.BadInputError) as raised:
        mistake()
    assert words in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("value", [0, -1, 100_001, 1.5, "ten", None])
def test_a_wrong_number_of_episodes_is_named(result, value):
    with pytest.raises(a3c.BadInputError, match=r"^episodes: .* is not allowed: a whole number from 1 to 100000$"):
        a3c.evaluate(result.policy, value)


def test_an_observation_of_another_shape_is_named(result):
    with pytest.raises(a3c.BadInputError, match=r"^observation: its shape \(1, 4\) is not allowed: "):
        result.policy.act(np.zeros((1, 4)))


def test_a_failed_training_says_why_without_a_traceback():
    error = a3c.TrainingError("worker 0 failed: no reason", "Traceback …")
    assert str(error) == "worker 0 failed: no reason"


# --- what is public


@pytest.mark.parametrize("name", a3c.__all__)
def test_every_public_name_is_documented(name):
    public = getattr(a3c, name)
    assert inspect.getdoc(public)
    for attribute, value in vars(public).items() if inspect.isclass(public) else ():
        if inspect.isfunction(value) and not attribute.startswith("_"):
            assert value.__doc__, attribute


def test_the_public_face_is_listed_and_nothing_else_is_there():
    assert dir(a3c) == sorted(a3c.__all__)
    with pytest.raises(AttributeError, match="no attribute 'tain'"):
        _ = a3c.tain


def test_importing_it_imports_no_library():
    code = "import sys, a3c_bench; print(*sys.modules)"
    modules = set(run("-c", code).stdout.split())
    assert not modules & {"numpy", "torch", "pandas", "gymnasium", "pydantic", "multiprocessing", "a3c_bench.api"}


PAGES = [ROOT / "README.md", ROOT / "docs" / "python.md"]
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_what_the_pages_show_runs_and_imports_nothing_private(workspace, block):
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("a3c_bench")
        if isinstance(node, ast.Import):
            assert all(alias.name == "a3c_bench" or not alias.name.startswith("a3c_bench") for alias in node.names)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "a3c":
            assert node.attr in a3c.__all__
        assert not (isinstance(node, ast.Attribute) and re.match(r"_|.*__$", node.attr)), ast.unparse(node)
    ran = run("-", text=block)
    assert (ran.returncode, ran.stderr) == (0, "")
