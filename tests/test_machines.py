"""What machines measured: every committed file, and what is refused."""

import json

import pytest
from conftest import ROOT

from a3c_bench.errors import BadInputError
from a3c_bench.evidence.speed.contribute import worker_counts
from a3c_bench.results.machines import check, committed_models, read_machines

MODEL = "models/nstep/seed-0.safetensors"


def contribution(**changes):
    training = {"algorithm": "nstep", "model": MODEL, "md5": "abc", "workers": 2, "env_steps": 600}
    training |= {"seconds": [2.0, 1.0, 9.0], "env_steps_per_second": 300.0}
    machine = {"cpu": "Some CPU @ 2.0 GHz", "cores": 4, "system": "Linux x86_64", "python": "3.11.2"}
    machine |= {"kernels": "x86-64-v3", "libraries": {"numpy": "2.4.6"}, "commit": "1234567"}
    given = {key: changes.pop(key) for key in list(changes) if key in machine}
    return {**machine, **given, "trainings": [{**training, **changes}]}


@pytest.fixture
def write(workspace):
    (workspace / "machines").mkdir()
    (workspace / "dvc.lock").write_text(f"stages:\n  train:\n    outs:\n    - path: {MODEL}\n      md5: abc\n")

    def write(**changes):
        path = workspace / "machines" / "some-cpu-2-0-ghz-4.json"
        path.write_text(json.dumps(contribution(**changes)))
        return path

    return write


@pytest.mark.parametrize("path", sorted((ROOT / "machines").glob("*.json")), ids=lambda path: path.name)
def test_every_committed_file_timed_the_committed_trainings(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    check(path, committed_models())


def test_a_good_file_is_read(write):
    check(write(), committed_models())
    assert read_machines().values.tolist() == [["Some CPU @ 2.0 GHz, 4 cores", "nstep", 2, 300.0]]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"md5": "abd"}, "md5 of models/nstep/seed-0.safetensors: abd is not the committed abc"),
        ({"env_steps_per_second": 301.0}, "env_steps_per_second: 301.0 is not"),
        ({"seconds": []}, "seconds"),
        ({"seconds": [-1.0]}, "seconds.0"),
        ({"seconds": [float("nan")]}, "seconds.0"),
        ({"workers": 0}, "workers"),
        ({"cores": 8}, "cpu and cores belong in some-cpu-2-0-ghz-8.json"),
        ({"algorithm": "episodic"}, "algorithm: episodic did not train"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_one_line(changes, told, write):
    with pytest.raises(BadInputError, match="make contribute") as refused:
        check(write(**changes), committed_models())
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_training_with_other_params_is_not_shown(write):
    write(md5="of another training")
    assert read_machines().empty


@pytest.mark.parametrize(
    ("cores", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (300, [1, 2, 4, 8, 16, 32, 64])]
)
def test_workers_double_up_to_the_cores(cores, counts):
    assert worker_counts(cores) == counts
