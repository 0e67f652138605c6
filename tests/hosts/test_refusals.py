"""What a head or a further host refuses, before anything listens: one line."""

import os
import re
import socket

import pytest
from conftest import ROOT, WITHOUT_MLFLOW, small_params, write_params
from network import SECRET
from ruamel.yaml import YAML

from a3c_bench.training.join import differences


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (["10.0.0.1"], {}, "HEAD:PORT: '10.0.0.1' is not allowed: ADDRESS:PORT"),
        (["10.0.0.1:0"], {}, "HEAD:PORT: '10.0.0.1:0' is not allowed"),
        (["0.0.0.0:29400"], {}, "it would open a port on every interface"),
        (["10.0.0.1:29400", "--interface", "wlan7"], {}, "--interface: 'wlan7' is missing; this machine has"),
        (["10.0.0.1:29400"], {}, "--interface: lo is loopback (127.0.0.1)"),
        (["127.0.0.1:29400"], {"A3C_BENCH_SECRET": ""}, "A3C_BENCH_SECRET: missing"),
        (["127.0.0.1:29400"], {"A3C_BENCH_SECRET": "short"}, "A3C_BENCH_SECRET: too short"),
    ],
)
def test_what_cannot_be_joined_is_refused_in_one_line(arguments, variables, words, a3c_bench):
    known = {"A3C_BENCH_SECRET": SECRET, **variables}
    arguments = arguments if "--interface" in arguments else [*arguments, "--interface", "lo"]
    result = a3c_bench("join", *arguments, **known)
    assert result.returncode == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "variables", "words"),
    [
        ({"hosts": 9}, {}, "hosts: 9 are more than nstep has actors, which are 8"),
        ({"hosts": 2, "schedule": "hogwild"}, {}, "schedule: hogwild is not allowed with hosts 2"),
        ({"hosts": 2}, {"A3C_BENCH_HEAD": ""}, "A3C_BENCH_HEAD: missing"),
        ({"hosts": 2}, {"A3C_BENCH_HEAD": "10.99.99.99:29400"}, "this machine cannot listen at 10.99.99.99:29400"),
        ({"hosts": 2}, {"A3C_BENCH_SECRET": ""}, "A3C_BENCH_SECRET: missing"),
        ({"hosts": 2}, {"A3C_BENCH_SECRET": "", "A3C_BENCH_SECRET_FILE": "open"}, "open to other users"),
        ({"hosts": 0}, {}, "hosts: 0 is not allowed"),
        ({}, {"A3C_BENCH_HOSTS": "two"}, "A3C_BENCH_HOSTS: 'two' is not allowed"),
    ],
)
def test_a_head_that_cannot_be_one_says_so_in_one_line(changes, variables, words, a3c_bench, workspace):
    write_params(workspace, small_params(**changes))
    (workspace / "open").write_text(SECRET)
    (workspace / "open").chmod(0o644)
    known = {"A3C_BENCH_SECRET": SECRET, "A3C_BENCH_HEAD": "127.0.0.1:29400", **WITHOUT_MLFLOW, **variables}
    result = a3c_bench("train", **known)
    assert result.returncode == 2, result.stderr
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_port_in_use_by_a_second_head_or_anybody_is_named(a3c_bench, workspace):
    write_params(workspace, small_params(hosts=2))
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = f"127.0.0.1:{other.getsockname()[1]}"
        result = a3c_bench("train", A3C_BENCH_SECRET=SECRET, A3C_BENCH_HEAD=where, **WITHOUT_MLFLOW)
    assert result.returncode == 2
    assert f"A3C_BENCH_HEAD: this machine cannot listen at {where} (Address already in use)" in result.stderr


def test_a_clusters_files_say_what_hosts_need_to_know():
    service, job = YAML(typ="safe").load_all((ROOT / "examples" / "cluster" / "kubernetes.yaml").read_text())
    spec = job["spec"]
    (host,) = spec["template"]["spec"]["containers"]
    known = {variable["name"]: variable.get("value") for variable in host["env"]}
    assert spec["completions"] == spec["parallelism"] == int(known["HOSTS"])
    assert known["MASTER_ADDR"] == f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    assert spec["completionMode"] == "Indexed" and "A3C_BENCH_SECRET" in known
    batch = (ROOT / "examples" / "cluster" / "slurm.sbatch").read_text()
    for script in (host["command"][0], *re.findall(r"examples/cluster/\S+\.sh", batch)):
        assert os.access(ROOT / script, os.X_OK), script


def test_compose_starts_a_head_and_as_many_as_join_it():
    services = YAML(typ="safe").load((ROOT / "compose.yaml").read_text())["services"]
    hosts = {name: service for name, service in services.items() if service.get("profiles") == ["hosts"]}
    head, known = hosts["head"], hosts["head"]["environment"]
    assert len(hosts) == int(known["A3C_BENCH_HOSTS"]) == 3
    assert known["A3C_BENCH_HEAD"].split(":")[0] == "head" and head["command"] == ["repro"]
    for name in hosts.keys() - {"head"}:
        assert hosts[name]["command"] == ["join", known["A3C_BENCH_HEAD"], "--interface", "eth0"]
        assert hosts[name]["environment"]["A3C_BENCH_SECRET"] == known["A3C_BENCH_SECRET"]
    (started,) = re.findall(r"code-from head (.+)", (ROOT / "Makefile").read_text())
    assert set(started.split()) == set(hosts)


def test_a_head_that_is_not_there_is_waited_for_and_then_named(a3c_bench):
    with socket.create_server(("127.0.0.1", 0)) as free:
        where = f"127.0.0.1:{free.getsockname()[1]}"
    result = a3c_bench("join", where, "--interface", "lo", "--patience", "1", A3C_BENCH_SECRET=SECRET)
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        f"a3c-bench: waits for a training at {where}",
        f"a3c-bench: HEAD:PORT: there was no training at {where} in 1 s",
    ]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("numpy", "1.0", "numpy is 1.0, and the head's 2.4"),
        ("python", "3.9.1", "python is 3.9.1, and the head's 3.11"),
        ("code", "another", "code is another, and the head's 2.4"),
        ("env", "Acrobot-v1", "env is Acrobot-v1, and the head's 2.4"),
        ("own_code", None, "own_code is None, and the head's 2.4"),
    ],
)
def test_what_differs_between_hosts_is_named(key, value, words):
    theirs = {"numpy": "2.4", "python": "3.11", "code": "2.4", "env": "2.4", "own_code": "2.4", "gymnasium": "1"}
    assert differences(theirs, {**theirs, key: value}) == [words]
    assert differences(theirs, dict(theirs)) == []
