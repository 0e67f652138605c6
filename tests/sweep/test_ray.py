"""A sweep over a real cluster of Ray's: equal bits, a node that is lost, and nodes that are not as they should be."""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from cluster import Cluster
from conftest import ROOT, wait_until
from repository import DVC, Repository

pytestmark = [pytest.mark.sweep, pytest.mark.timeout(900)]


def sweep(repository, cluster, *arguments, code=0):
    return repository.run(*repository.entry("sweep", "--address", cluster.address, *arguments), code=code)


def kill_half_way(process, cluster):
    """Kill a node that makes a cell, and have another join, since an audit needs two; all that the sweep says."""
    said = ""
    for line in process.stdout:
        said += line
        if "second" in cluster.nodes and re.match("([89]|1[01]) of 20", line):
            wait_until(lambda: cluster.is_busy("second"), 120)
            cluster.kill("second")
            cluster.start("third")
    process.wait()
    return said


def test_twenty_cells_on_two_nodes_one_of_which_is_lost(tmp_path):
    swept, alone = (Repository(tmp_path / name, seeds=list(range(10))) for name in ("swept", "alone"))
    assert len(swept.cells) == 20
    with Cluster() as cluster:
        cluster.start("first")
        cluster.start("second")
        with subprocess.Popen(
            **swept.command(
                *swept.entry(
                    "sweep", "--address", cluster.address, "--audit", "0.1", "--audit-seed", "7", "--patience", "120"
                )
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            try:
                said = kill_half_way(process, cluster)
            finally:
                process.kill()
        assert process.returncode == 0, said
        assert re.search(r"second \(\w+\) lost cell \d+ \(.*\); it is made on another node", said), said
        assert "20 of 20: " in said and said.count(", the same by ") == 2, said
        # What is there is not made again, but is audited.
        assert "20 cells, 0 to be made" in sweep(swept, cluster, "--audit", "0.05", "--audit-seed", "3")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda cell: alone.run(*alone.entry("cell", str(cell.number))), alone.cells))
    assert swept.left() == alone.left()
    repeated = swept.run(*DVC, "repro", "train", "evaluate")
    assert "Running stage" not in repeated and repeated.count("didn't change, skipping") >= 40


def test_nodes_that_are_not_as_this_machine_is(tmp_path):
    workspace = Repository(tmp_path / "repository", env="biased:Biased-v0", seeds=[0, 1], algorithms=["nstep"])
    other = tmp_path / "other"
    shutil.copytree(ROOT / "src", other, ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "a3c_bench" / "learning" / "returns.py").open("a") as file:
        file.write("# Another version.\n")
    with Cluster() as cluster:
        cluster.start("other", source=other)
        said = sweep(workspace, cluster, code=2)
        assert re.search(r"no node is left .*: on other \(\w+\) learning/returns.py differs; install the same", said)
        cluster.start("right")
        cluster.start("wrong", A3C_BENCH_TEST_WRONG="1")
        said = sweep(workspace, cluster, "--audit", "1", code=1)
        assert re.search(r"other \(\w+\) is refused: learning/returns.py differs", said), said
        found = re.findall(
            r"cell (\d) \(nstep seed \d\) differs between (\w+) \(\w+\), .+, and (\w+) \(\w+\), .+: ", said
        )
        assert {number for number, *_ in found} == {"0", "1"}, said
        assert all(set(nodes) == {"right", "wrong"} for _, *nodes in found)
        assert "reports/train/nstep/seed-0/curve.csv" in said and "2 of 2 cells are not as they should be" in said
        # Which of them is right is not known, so neither is taken.
        assert not (workspace.folder / "models").exists()
        cluster.kill("wrong")
        assert "2 of 2: cell " in sweep(workspace, cluster)
        said = sweep(workspace, cluster, "--audit", "1", "--patience", "3")
        assert said.count(", the same by right") == 2, said


def test_a_cluster_that_is_not_there(tmp_path):
    workspace = Repository(tmp_path / "repository")
    said = workspace.run(*workspace.entry("sweep", "--address", "127.0.0.1:1"), code=2)
    assert "--address: '127.0.0.1:1' is no Ray cluster that can be used" in said
