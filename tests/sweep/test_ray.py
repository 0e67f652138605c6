"""A sweep over a real cluster of Ray's: equal bits, a node that is lost, and nodes that are not as they should be."""

import re
import shutil
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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
        assert re.search(r"second \([\d.]+\) lost cell \d+ \(.*\); another node makes it", said), said
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
    other, own = tmp_path / "other", tmp_path / "own"
    shutil.copytree(ROOT / "src", other, ignore=shutil.ignore_patterns("__pycache__"))
    own.mkdir()
    shutil.copy(workspace.folder / "biased.py", own)
    for path in (other / "a3c_bench" / "learning" / "returns.py", own / "biased.py"):
        with path.open("a") as file:
            file.write("# Another version.\n")
    with Cluster() as cluster:
        cluster.start("other", source=other)
        cluster.start("own", own=own)
        said = sweep(workspace, cluster, code=2)
        assert re.search(r"no node matches this machine: on (other|own) \([\d.]+\) .* differs; install the same", said)
        assert re.search(r"other \([\d.]+\) is refused: learning/returns.py differs", said), said
        assert re.search(r"own \([\d.]+\) is refused: biased.py differs", said), said
        cluster.kill("own")
        cluster.start("right")
        cluster.start("wrong", A3C_BENCH_TEST_WRONG="1")
        said = sweep(workspace, cluster, "--audit", "1", "--patience", "3", code=1)
        found = re.search(r"differs between (\w+) \([\d.]+\), .+, and (\w+) \([\d.]+\), .+: (.+); until a third", said)
        assert {found[1], found[2]} == {"right", "wrong"} and "curve.csv" in found[3], said
        assert "2 of 2 cells failed or differ" in said
        # Which of them is right is not known, so neither is taken.
        assert not (workspace.folder / "models").exists()
        cluster.start("third")
        said = sweep(workspace, cluster, "--audit", "1", code=1)
        assert re.search(r"is right by .*(right|third).*; wrong \([\d.]+\), .+, computes something else", said), said
        cluster.kill("wrong")
        said = sweep(workspace, cluster, "--audit", "1")
        assert "2 cells, 0 to be made" in said and said.count("by this workspace, the same by ") == 2, said


def test_a_sweep_that_is_stopped_goes_on_where_it_was(tmp_path):
    workspace = Repository(tmp_path / "repository", seeds=[0, 1, 2, 3], algorithms=["nstep"])
    with Cluster() as cluster:
        cluster.start("first")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        command = workspace.command(*workspace.entry("sweep", "--address", cluster.address))
        with subprocess.Popen(**command, **pipes) as process:
            said = ""
            for line in process.stdout:
                said += line
                if line.startswith("2 of 4"):
                    process.send_signal(signal.SIGTERM)
        assert process.returncode == 143 and "stopped by SIGTERM" in said, said
        # The second was told, and perhaps not handed in.
        assert re.search("4 cells, [23] to be made", sweep(workspace, cluster))
        assert "0 to be made" in sweep(workspace, cluster)
        assert not list(Path(tempfile.gettempdir()).glob("a3c-bench-cell-*"))


def test_a_cluster_that_is_not_there(tmp_path):
    workspace = Repository(tmp_path / "repository")
    for address in ("local", "ray://localhost:10001"):
        said = workspace.run(*workspace.entry("sweep", "--address", address), code=2)
        assert "HOST:PORT of a cluster that exists" in said
    said = workspace.run(*workspace.entry("sweep", "--address", "127.0.0.1:1"), code=2)
    assert "--address: '127.0.0.1:1' cannot be used as a Ray cluster" in said
