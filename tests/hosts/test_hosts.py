"""One training over several hosts: the bits of one, whoever is lost on the way."""

import itertools
import os
import re
import shutil
import sys
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT, small_config, small_params, wait_until, write_params
from network import Network, end, kill, results

from a3c_bench.evidence.hosts import faults, strikes
from a3c_bench.training.share import Share

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(170)]
ALGORITHMS = ("nstep", "episodic", "ppo")
SHORT = {"joining": {"wait": 60.0, "silence": 4.0}, "checkpoint": {"seconds": 0.2}}
LONG = {
    **SHORT,
    "workers": 1,
    "nstep": {"total_steps": 160_000},
    "episodic": {"episodes": 400},
    "ppo": {"total_steps": 80_000},
}
FAULTS = int(os.environ.get("FAULTS", len(faults.KINDS)))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one host computes, by the algorithm and whether the training is long."""
    found = {}

    def compute(algorithm, changes=SHORT):
        key = algorithm, changes is LONG
        if key not in found:
            with Network(tmp_path_factory.mktemp("alone"), 1) as network:
                assert network.train(algorithm, 1, **{**changes, "workers": 2}).wait(timeout=120) == 0, network.said(0)
                found[key] = results(network.home(0))
        return found[key]

    return compute


def test_hosts_are_separate(tmp_path):
    with Network(tmp_path, 1) as network:
        print(network.kind)
        if not network.separate:
            pytest.skip(network.kind)


@pytest.mark.parametrize(("hosts", "workers"), [(2, 1), (2, 2), (3, 1), (3, 2), (4, 1), (4, 2)])
def test_hosts_compute_the_bits_of_one(hosts, workers, tmp_path, alone):
    """The others stay, and join one training after another."""
    with Network(tmp_path, hosts) as network:
        for number in range(1, hosts):
            network.join(number)
        for algorithm in ALGORITHMS:
            for part in ("models", "reports"):
                shutil.rmtree(network.home(0) / part, ignore_errors=True)
            training = network.train(algorithm, hosts, workers=workers, **SHORT)
            assert training.wait(timeout=120) == 0, network.said(0)
            assert results(network.home(0)) == alone(algorithm)
        last = network.said(0).splitlines()[-1]
        assert [int(found) for found in re.findall(r"(\d+) actors, waits \d+ %", last)] == [
            len(Share(number, hosts).actors(8)) for number in range(hosts)
        ]
        for number in range(1, hosts):
            wait_until(lambda one=number: network.said(one).count("is complete") == len(ALGORITHMS))
            assert network.said(number).count("joins ") == len(ALGORITHMS), network.said(number)
            assert not network.newest_copy(number)


def test_a_network_in_torch_has_the_bits_of_one_host(tmp_path):
    """Where torch is imported before the training is known."""
    network = {"network": "examples.networks.dense:Normalised", "hidden": None, "total_steps": 2_000}
    found = []
    for hosts in (1, 2):
        with Network(tmp_path / str(hosts), hosts) as hosted:
            for number in range(1, hosts):
                hosted.join(number)
            training = hosted.train("nstep", hosts, **SHORT, nstep=network)
            assert training.wait(timeout=120) == 0, hosted.said(0)
            found.append(results(hosted.home(0)))
    assert found[0] == found[1]


@pytest.fixture(scope="module")
def undisturbed():
    """The digest of what one host makes of the training that is struck, by its algorithm."""
    return cache(lambda algorithm: strikes.alone(small_config(), algorithm))


@pytest.mark.parametrize(("number", "kind", "algorithm"), list(itertools.islice(strikes.plan(), FAULTS)))
def test_a_fault_at_a_random_turn_is_survived(number, kind, algorithm, tmp_path, undisturbed):
    with Network(tmp_path, 1) as network:
        if not network.separate:
            pytest.skip(network.kind)
    row = strikes.struck(small_config(), number, kind, algorithm, undisturbed(algorithm))
    assert (row["survived"], row["same"]) == ("yes", "yes"), row


def test_a_host_that_comes_back_takes_part_from_the_next_checkpoint(tmp_path, alone):
    with Network(tmp_path, 3) as network:
        if not network.separate:
            pytest.skip(network.kind)
        for number in (1, 2):
            network.join(number)
        training = network.train("nstep", 3, **LONG)
        wait_until(lambda: network.turn() > 0)
        network.link(2, "down")
        wait_until(lambda: "of 2: actors" in network.said(1))
        network.link(2, "up")
        assert training.wait(timeout=120) == 0, network.said(0)
        assert "10.77.0.3) takes part from here on; all hosts start again at turn" in network.said(0)
        assert network.said(2).count("of 3: actors") == 2
        assert network.said(0).count("(restart ") == 1
        assert results(network.home(0)) == alone("nstep", LONG)


def test_another_host_can_be_the_head_when_that_is_gone_with_all_it_had(tmp_path, alone):
    """The copies of the checkpoints that the others keep go on, and go when training is complete."""
    with Network(tmp_path, 3) as network:
        if not network.separate:
            pytest.skip(network.kind)
        for number in (1, 2):
            network.join(number)
        training = network.train("episodic", 3, **LONG)
        wait_until(lambda: (network.newest_copy(1) and network.newest_copy(2)) or training.poll() is not None, 60)
        assert training.poll() is None, "it ended before"
        kill(training)
        shutil.rmtree(network.home(0))
        network.home(0).mkdir()
        wait_until(lambda: "is kept here too" in network.said(1))
        end(network.processes[1])
        end(network.processes[2])
        reached = network.newest_copy(1)
        training = network.train("episodic", 2, number=1, **LONG)
        network.join(2, to=1)
        assert training.wait(timeout=120) == 0, network.said(1)
        assert f"goes on from the checkpoint at turn {reached:,}" in network.said(1)
        assert results(network.home(1)) == alone("episodic", LONG)
        wait_until(lambda: "is complete" in network.said(2))
        assert network.newest_copy(1) == network.newest_copy(2) == 0


# --- as a cluster's own tools start it

CLUSTER = ROOT / "examples" / "cluster"
TRAIN = ["python", "-m", "a3c_bench", "train", "--algorithm", "nstep", "--seed", "0"]


@pytest.mark.parametrize("tool", ["torchrun", "srun", "kubernetes"])
def test_a_clusters_tools_start_a_training(tool, tmp_path, alone):
    """torchrun itself; of the others what they tell a host, since neither is here."""
    with Network(tmp_path, 2) as network:
        if not network.separate:
            pytest.skip(network.kind)
        write_params(network.home(0), small_params(**SHORT))
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        shared = {"PATH": path, "INTERFACE": "eth0", "PATIENCE": "4", "HOSTS": "2", "MASTER": "10.77.0.1"}
        for number in (0, 1):
            if tool == "torchrun":
                command, told = [CLUSTER / "torchrun.sh", str(number), *TRAIN], {}
            else:
                command, names = [CLUSTER / "host.sh", *TRAIN], NAMES[tool]
                told = dict(zip(names, (str(number), "2", "10.77.0.1"), strict=True))
            network.run(number, command, **{**shared, **told})
        for number in (0, 1):
            assert network.processes[number].wait(timeout=90) == 0, network.said(number)
        assert "joins nstep seed 0" in network.said(1)
        assert "leaves: there was no further training at 10.77.0.1:29400 in 4 s" in network.said(1)
        assert results(network.home(0)) == alone("nstep")


NAMES = {
    "srun": ("SLURM_PROCID", "SLURM_NTASKS", "MASTER_ADDR"),
    "kubernetes": ("JOB_COMPLETION_INDEX", "HOSTS", "MASTER_ADDR"),
}


# --- what is refused


def test_who_does_not_know_the_secret_is_refused(tmp_path):
    with Network(tmp_path, 2) as network:
        training = network.train("nstep", 2, joining={"wait": 4.0, "silence": 2.0})
        joined = network.join(1, A3C_BENCH_SECRET="another secret, as long as the other")
        assert joined.wait(timeout=30) == 2
        assert "does not know the secret" in network.said(1)
        assert training.wait(timeout=60) == 1
        assert "10.77.0.2 is refused" in network.said(0) or not network.separate
        assert "after 4 s there are: none" in network.said(0)


def test_another_version_of_the_code_is_refused_by_name(tmp_path):
    source = tmp_path / "src"
    shutil.copytree(ROOT / "src", source)
    with (source / "a3c_bench" / "learning" / "returns.py").open("a") as file:
        file.write("# another version\n")
    with Network(tmp_path, 2) as network:
        training = network.train("nstep", 2, joining={"wait": 6.0, "silence": 2.0})
        assert network.join(1, source=source).wait(timeout=30) == 2
        assert "this host would not compute what the head does: code is" in network.said(1)
        assert training.wait(timeout=60) == 1
        assert "is refused: this host would not compute what the head does: code is" in network.said(0)


def test_a_host_that_computes_wrongly_is_named(tmp_path):
    """One bit of one step of Adam, on a host that says it computes the same."""
    source = tmp_path / "src"
    shutil.copytree(ROOT / "src", source)
    optimizer = source / "a3c_bench" / "learning" / "optimizer.py"
    step = "        self._step(int(self._count[0]), learning_rate, *arrays)\n"
    flip = "        if self._count[0] == 500:\n            parameters.view(np.uint32)[7] ^= 1\n"
    assert step in optimizer.read_text()
    optimizer.write_text(optimizer.read_text().replace(step, step + flip))
    with (source / "a3c_bench" / "training" / "join.py").open("a") as file:
        file.write("\n\ndef differences(theirs, ours):\n    return []\n")
    with Network(tmp_path, 3) as network:
        network.join(1)
        network.join(2, source=source)
        training = network.train("nstep", 3, **LONG)
        assert training.wait(timeout=120) == 1, network.said(0)
        # That step is in the snapshots of its actors' next turns, so it is seen at those after them.
        turn = int(re.search(r"and this host have different models before turn (\d+)", network.said(0)).group(1))
        assert 500 < turn <= 516
        assert "10.77.0.3) and this host" in network.said(0) or not network.separate
        assert not (network.home(0) / "models").exists()
