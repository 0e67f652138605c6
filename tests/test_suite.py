"""The suite: its cells, its pipeline against the main one, and its page."""

import json
import re
import shutil

import pandas as pd
import pytest
from browser import looked_at
from conftest import ROOT
from ruamel.yaml import YAML

from a3c_bench import outlook, suite
from a3c_bench.environments.make import describe
from a3c_bench.errors import BadInputError
from a3c_bench.params import read_yaml
from a3c_bench.preset import environments, preset_of
from a3c_bench.report import suite as page
from a3c_bench.stages import suite_report
from a3c_bench.suite import Cell

PARAMS = read_yaml(ROOT / "suite" / "params.yaml")
STAGES = YAML(typ="safe").load((ROOT / "suite" / "dvc.yaml").read_text())["stages"]
MAIN = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
TINY = {"nstep": {"actors": 2, "envs": 2, "rollout_steps": 8, "total_steps": 4_000}}


@pytest.fixture
def small(workspace):
    """A suite of two environments in the workspace."""
    params = {**PARAMS, "environments": ["CartPole-v1", "Acrobot-v1"], "seeds": [0, 1], "evaluate": {"episodes": 2}}
    (workspace / "suite").mkdir()
    with (workspace / "suite" / "params.yaml").open("w") as file:
        YAML(typ="safe").dump(params, file)
    shutil.copy(ROOT / "suite" / "references.csv", workspace / "suite")
    return suite.load()


def test_cells_have_numbers(small):
    cells = small.cells()
    assert (
        len(cells) == 8 and cells[0] == Cell("CartPole-v1", "nstep", 0) and cells[5] == Cell("Acrobot-v1", "nstep", 1)
    )


def test_every_environment_but_the_defaults_own_has_a_preset():
    assert set(PARAMS["environments"]) - set(environments()) == {"CartPole-v1"}
    assert set(environments()) <= set(PARAMS["environments"])


@pytest.mark.parametrize("name", PARAMS["environments"])
def test_params_make_sense_on_their_environment(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = suite.load().config(name)
    try:
        environment = describe(config.recipe)
    except BadInputError:
        pytest.skip("what it needs is not installed")
    config.require_sense(environment)


@pytest.mark.parametrize("name", ["Nowhere-v0", "../x", ""])
def test_an_environment_that_is_not_in_the_suite_is_named(small, name):
    with pytest.raises(BadInputError, match=re.escape(f"ENVS: {name!r} is not allowed; suite/params.yaml has Cart")):
        small.named(["CartPole-v1", name])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"environments": ["../x-v0"]}, "environments.0: '../x-v0' is not allowed: a Gymnasium id is needed"),
        ({"environments": ["a;b-v0"]}, "environments.0: 'a;b-v0' is not allowed"),
        ({"seeds": []}, "seeds: "),
        ({"sedes": [1]}, "sedes: unknown key (value [1]); seeds is meant?"),
        ({"algorithms": ["nstep", "other"]}, "algorithms: 'other' has no section"),
    ],
)
def test_wrong_params_are_named(small, workspace, changes, words):
    with (workspace / "suite" / "params.yaml").open("w") as file:
        YAML(typ="safe").dump({**PARAMS, **changes}, file)
    with pytest.raises(BadInputError) as error:
        suite.load().config("CartPole-v1")
    assert str(error.value).startswith(f"suite/params.yaml: {words}")


@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_a_cell_leaves_what_the_main_pipeline_leaves(stage):
    ours, mains = (json.dumps(stages[stage]["outs"]) for stages in (STAGES, MAIN))
    assert ours.replace("${item.environment}/", "") == mains
    # DVC starts it in the suite's folder, and calls that the repository.
    assert STAGES[stage]["cmd"] == MAIN[stage]["cmd"].replace("exec env ", "cd .. && exec env -u DVC_ROOT ")


def test_a_cell_depends_on_its_own_environment_and_algorithm_only():
    inputs = "${item.environment}/inputs/${item.algorithm}.json"
    assert list(STAGES["inputs"]["outs"][0]) == STAGES["train"]["deps"] == [inputs]
    assert STAGES["inputs"]["always_changed"] and inputs in STAGES["evaluate"]["deps"]


def inputs_of(a3c_bench, workspace):
    result = a3c_bench("suite-inputs", "--environment", "Acrobot-v1", "--algorithm", "nstep")
    assert result.returncode == 0, result.stderr
    return (workspace / "suite" / "Acrobot-v1" / "inputs" / "nstep.json").read_bytes()


def test_inputs_are_the_same_twice_and_tell_a_changed_result(small, a3c_bench, workspace):
    first = inputs_of(a3c_bench, workspace)
    assert inputs_of(a3c_bench, workspace) == first
    content = json.loads(first)
    assert content["settings"] == preset_of("Acrobot-v1")["nstep"]
    assert content["environment"]["name"] == "Acrobot-v1"


def test_the_page_is_of_the_cells_that_there_are(small, workspace, capsys):
    with pytest.raises(BadInputError, match="no cell is complete"):
        suite_report.run(small)
    for seed, mean in ((0, -80.0), (1, -90.0)):
        finished(Cell("Acrobot-v1", "nstep", seed), mean)
    finished(Cell("CartPole-v1", "ppo", 0), 500.0)
    suite_report.run(small)
    (acrobot, cartpole) = sorted(page.scores(page.complete(small)).to_dict("records"), key=lambda row: row["greedy"])
    assert (acrobot["greedy"], acrobot["seeds"], cartpole["greedy"]) == (-85.0, 2, 500.0)
    rows = {
        row["environment"]: row
        for row in suite_report.rows(small, page.scores(page.complete(small)), page.references())
    }
    assert rows["Acrobot-v1"]["reached"] == {"a2c": False, "ppo": False}
    assert rows["CartPole-v1"]["reached"] == {"a2c": True, "ppo": True}
    text = (suite_report.OUT / "README.md").read_text()
    assert "| Acrobot-v1 | nstep | 2 of 2 |" in text and "CartPole-v1 ppo, 1 of 2 seeds" in text
    assert (suite_report.OUT / "index.html").read_text().count("<svg") == 2


def test_the_curves_of_cells_that_another_machine_trained_stay_while_they_are_of_the_same_trainings(small, workspace):
    cells = [Cell("Acrobot-v1", "nstep", 0), Cell("CartPole-v1", "ppo", 0)]
    for cell in cells:
        finished(cell, -80.0)
    suite_report.run(small)
    before = page.LEARNING.read_bytes()
    for cell in cells:
        (page.trained(cell) / "curve.csv").unlink()
    suite_report.run(small)
    assert page.LEARNING.read_bytes() == before
    (page.trained(cells[0]) / "digests.csv").write_text("turn,digest\n0,another\n")
    suite_report.run(small)
    assert b"Acrobot" not in page.LEARNING.read_bytes() and b"CartPole" in page.LEARNING.read_bytes()
    assert "Acrobot-v1 nstep, the learning curves, which" in (suite_report.OUT / "README.md").read_text()
    assert "| Acrobot-v1 | nstep | 1 of 2 |" in (suite_report.OUT / "README.md").read_text()
    page.LEARNING.unlink()
    with pytest.raises(BadInputError, match="no cell's learning curve is here"):
        suite_report.run(small)


TIMES = """\
environment,peer,score,seeds,reached,seconds_to_score,seconds_to_score_low,seconds_to_score_high,steps_to_score,steps_to_score_low,steps_to_score_high,\
times_as_fast,times_as_fast_low,times_as_fast_high,last,seconds,cpu,failed
Acrobot-v1,"a3c-bench PPO, 2 workers",-81.2,3,3,4.2,4,4.4,70000,,,20.5,19.1,22.2,-75,5,a CPU,
LunarLanderContinuous-v3,Stable-Baselines3 PPO,-4719.1,3,2,1193.2,1055,,970000,848000,,1,,,-4719.1,1255,a CPU,
LunarLanderContinuous-v3,"a3c-bench PPO, 2 workers",-4719.1,3,3,34,28.5,54.7,1104408,,,35.1,19.3,,-5955.7,1255,a CPU,
Acrobot-v1,Stable-Baselines3 A2C,-81.2,3,0,,,,,,,,,,-90,300,a CPU,python theirs.py 0
"""


@pytest.mark.parametrize("width", [1400, 1000, 390])
def test_the_page_fits_wherever_it_is_read(small, tmp_path_factory, width):
    small = small.changed(environments=("LunarLanderContinuous-v3", "Acrobot-v1"), seeds=tuple(range(10)))
    for environment in small.environments:
        for algorithm in small.algorithms:
            finished(Cell(environment, algorithm, 0), -1123.456)
            finished(Cell(environment, algorithm, 1), -1234.567)
    page.TIME_TO_SCORE.parent.mkdir(parents=True)
    page.TIME_TO_SCORE.write_text(TIMES)
    suite_report.run(small)
    found = looked_at((suite_report.OUT / "index.html").absolute(), width, tmp_path_factory.mktemp("browser"))
    assert found["page"][0] == found["page"][1] and not found["broken"] and not found["outside"]
    narrow = width == 390
    assert bool(found["narrow"]) == narrow
    assert narrow or not found["scrolled"], "nothing is cut off"


def finished(cell, mean):
    """What a cell leaves behind."""
    folder = page.trained(cell)
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text('{"episodes": 200, "env_steps": 1004955}')
    (folder / "digests.csv").write_text(f"turn,digest\n0,{mean}\n")
    rows = [f"{10 * step},{mean},{step},0" for step in range(1, 201)]
    (folder / "curve.csv").write_text("\n".join(["env_step,return,length,actor", *rows, ""]))
    page.evaluated(cell).parent.mkdir(parents=True)
    page.evaluated(cell).write_text(json.dumps({"greedy_mean": mean, "sampled_mean": mean}))


def test_the_page_tells_the_time_to_a_score_where_it_was_measured(small, workspace):
    finished(Cell("Acrobot-v1", "nstep", 0), -80.0)
    suite_report.run(small)
    pages = [suite_report.OUT / "index.html", suite_report.OUT / "README.md"]
    assert not any("ends with" in one.read_text() for one in pages)
    page.TIME_TO_SCORE.parent.mkdir(parents=True)
    page.TIME_TO_SCORE.write_text(TIMES)
    suite_report.run(small)
    html, text = (re.sub(r"<[^>]*>", " ", one.read_text()) for one in pages)
    ours = (
        r"a3c-bench PPO, 2 workers\s+−81.2\s+3 of 3\s+4.2\s+\[4.0, 4.4\]\s+20.5\s+\[19.1, 22.2\]\s+"
        r"70,000\s+−75.0\s+after 5 s"
    )
    assert re.search(ours, html)
    assert re.search(r"Acrobot-v1\s+Stable-Baselines3 A2C\s+−81.2\s+0 of 3\s+–\s+–\s+–\s+−90.0\s+after 300 s", html)
    assert re.search(r"a CPU; failed: Acrobot-v1, Stable-Baselines3 A2C,\s+python theirs.py 0", html)
    assert "| Acrobot-v1 | a3c-bench PPO, 2 workers | −81.2 | 3 of 3 | 4.2 [4.0, 4.4] | 20.5 [19.1, 22.2] |" in text
    assert "| Acrobot-v1 | Stable-Baselines3 A2C | −81.2 | 0 of 3 | – | – |" in text
    assert re.search(r"1,193.2\s+\[1,055.0, –\]\s+1.0\s+970,000", html), "an end that one seed never came to"
    assert "| 3 of 3 | 34.0 [28.5, 54.7] | 35.1 [19.3, –] |" in text


def test_the_page_takes_an_environment_that_only_its_preset_limits(monkeypatch):
    pytest.importorskip("minatar")
    monkeypatch.chdir(ROOT)
    table = pd.DataFrame([{"environment": "MinAtar/Breakout-v1", "greedy": 28.5}])
    (row,) = suite_report.rows(suite.load(), table, page.references())
    assert row["reached"] == {"ppo": True} and row["threshold"] is None


def test_what_is_left_is_told(small, monkeypatch):
    monkeypatch.setattr(outlook, "time_turns", lambda job, patience: outlook.Timed(1.0, 0.001))
    monkeypatch.setattr(outlook, "cores", lambda: 2)
    finished(Cell("Acrobot-v1", "ppo", 1), -80.0)
    cartpole, acrobot, total = outlook.suite_estimates(small)
    assert cartpole.startswith("CartPole-v1: 4 cells, 4 not there yet, about ")
    assert acrobot.startswith("Acrobot-v1: 4 cells, 3 not there yet, about ")
    assert total.startswith("time: about ")


def test_an_environment_that_cannot_be_made_holds_up_no_other(small):
    lines = list(outlook.suite_estimates(small.changed(environments=("MinAtar/Nothing-v1", "CartPole-v1"))))
    assert lines[0].startswith("MinAtar/Nothing-v1: its cells will fail: env: ")
    assert lines[1].startswith("CartPole-v1: 4 cells")


def test_a_cell_is_trained_in_its_folder_with_its_preset(small, a3c_bench, workspace, monkeypatch):
    shutil.rmtree(workspace / "suite" / "Acrobot-v1", ignore_errors=True)
    # On the suite's smallest cell a training still takes seconds: its preset is what is tried, by what is printed.
    result = a3c_bench("train", "--environment", "Nowhere-v0", "--algorithm", "nstep", "--seed", "0")
    assert result.returncode == 2 and "suite/params.yaml has CartPole-v1, Acrobot-v1" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
