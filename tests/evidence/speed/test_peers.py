"""The comparison with other systems, on stand-ins."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, environment, small_params, write_params

from a3c_bench.errors import BadInputError
from a3c_bench.evidence.speed import peers
from a3c_bench.results.files import PEER_FIGURE, PEER_RUNS, PEERS, PEERS_ABOUT

STAND_IN = """
import json, sys, time
name, seed, deadline = sys.argv[1:]
if name == "broken":
    sys.exit(1)
slow = name == "slow"
print("a line of its own")
print(json.dumps({"solved_at": None if slow and seed == "1" else time.monotonic() + 10 * slow, "steps_to_solve": 7,
    "env_steps": 9, "rate": 3.0, "sha256": name + str(slow * time.monotonic()), "versions": {"library": "1.0"}}))
"""


@pytest.fixture
def stand_ins(workspace, monkeypatch):
    monkeypatch.chdir(workspace)
    monkeypatch.setattr(peers, "last_commit", lambda: "a commit")
    python = workspace / "environment" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (workspace / "peers").mkdir()
    (workspace / "peers" / "one.py").write_text(STAND_IN)
    (workspace / "README.md").write_text("before\n<!-- peers -->\nold\n<!-- /peers -->\nafter\n")
    return [
        peers.Peer(name, "environment", "one.py", variant, 3)
        for name, variant in ((peers.OURS, "fast"), (peers.REFERENCE, "slow"), ("a third", "broken"))
    ]


def test_a_comparison_is_written_with_what_failed_in_it(stand_ins, workspace):
    peers.run(None, stand_ins, limit=20.0)
    table = pd.read_csv(PEERS).set_index("peer")
    assert table.loc[peers.OURS, "solved"] == 3 and table.loc[peers.REFERENCE, "solved"] == 2
    assert table.loc[peers.OURS, "same_bits_twice"] == "yes" and table.loc[peers.REFERENCE, "same_bits_twice"] == "no"
    assert "peers/one.py broken" in table.loc["a third", "failed"]
    assert len(pd.read_csv(PEER_RUNS)) == 3 * 4
    assert all(PEER_FIGURE.with_suffix(suffix).stat().st_size > 0 for suffix in (".svg", ".png"))
    text = (workspace / "README.md").read_text()
    assert text.startswith("before\n<!-- peers -->\n| system |") and text.endswith("<!-- /peers -->\nafter\n")
    assert "(failed: `" in text and "| – |" in text
    ratio, low, high = peers.speedup(pd.read_csv(PEER_RUNS))
    assert low <= ratio and high is None and ratio > 2, "a seed of the reference took for ever"


def test_a_seed_that_took_for_ever_leaves_no_figure_however_long_the_others_took():
    long = pd.Series([1200.0, 1000.0, float("nan")])
    assert peers.times_as_fast(long, pd.Series([30.0, 50.0, 20.0]))[1:] == (pytest.approx(20), None)
    assert peers.times_as_fast(long, long) == (1.0, None, None)
    steps = peers.median_columns("steps", long * 1e6)
    assert (steps["steps"], steps["steps_high"]) == (1.2e9, None)


def test_systems_take_turns_seed_by_seed(stand_ins):
    plan = list(peers.order(stand_ins, 2))
    assert [seed for _, seed, _ in plan] == [0] * 6 + [1] * 3
    assert [repeat for _, _, repeat in plan] == [0] * 3 + [1] * 3 + [0] * 3


def test_the_readme_shows_the_committed_comparison():
    block = peers.BLOCK.search((ROOT / "README.md").read_text())
    assert block is not None
    runs, table = pd.read_csv(ROOT / PEER_RUNS), pd.read_csv(ROOT / PEERS)
    assert block[0] == peers.readme(runs, table, json.loads((ROOT / PEERS_ABOUT).read_text()))
    steps = table.set_index("peer")["steps_to_solve"]
    assert f"with {steps[peers.OURS] / steps[peers.REFERENCE]:.1f} × its env steps" in block[0]


def test_the_comparison_is_one_on_cartpole_only(stand_ins, workspace):
    write_params(workspace, small_params(env="Acrobot-v1"))
    with pytest.raises(BadInputError, match="'Acrobot-v1'; the other systems are set up for CartPole-v1 only"):
        peers.run(None, stand_ins)


def test_every_peer_is_pinned():
    for lock in (ROOT / "peers").glob("*.lock"):
        lines = lock.read_text().split()
        assert lines and all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    scripts = {peer.script for peer in peers.ALL}
    assert scripts | {"measured.py"} == {path.name for path in Path(ROOT, "peers").glob("*.py")}


def test_this_projects_own_program_can_be_imported():
    code = "import this_project"
    variables = environment(PYTHONPATH=f"{ROOT / 'src'}:{ROOT / 'peers'}")
    result = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
