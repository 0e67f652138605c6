"""`proof-arm`: what is compared, and what it says."""

import hashlib

import pytest
from conftest import small_config

from a3c_bench.errors import BadInputError
from a3c_bench.evidence.reproducibility import arm, verify
from a3c_bench.evidence.reproducibility.launch import Launcher

FILES = {"models/nstep/seed-0.safetensors": b"model", "reports/train/nstep/seed-0/metrics.json": b"{}"}
MD5 = {path: hashlib.md5(content).hexdigest() for path, content in FILES.items()}


@pytest.fixture
def training(tmp_path, monkeypatch):
    """A repository whose trainings leave `FILES`, changed by the dictionary that this returns."""
    changed = {}

    def train(program, folder, algorithm, seed):
        for path, content in {**FILES, **changed}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)

    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("workers: 2\n")
    stages = {"train@nstep-0": {"outs": [{"path": path, "md5": md5} for path, md5 in MD5.items()]}}
    monkeypatch.setattr(verify, "committed_lock", lambda repository: stages)
    monkeypatch.setattr(arm.roots, "make", lambda system, cpu_model: tmp_path / "python")
    monkeypatch.setattr(arm, "_train", train)
    return changed


def test_a_cell_is_the_same_only_if_all_its_files_are(training, capsys):
    assert arm.whole("nstep", 0, "neoverse-n1")
    assert "reproduced 2 of 2 on ARM64 (neoverse-n1)" in capsys.readouterr().out
    training["models/nstep/seed-0.safetensors"] = b"another"
    assert not arm.whole("nstep", 0, "neoverse-n1")
    assert "reproduced 1 of 2 on ARM64 (neoverse-n1)" in capsys.readouterr().out


def test_a_cell_without_results_is_refused(training):
    with pytest.raises(BadInputError, match=r"^dvc.lock has no train@nstep-7; allowed: "):
        arm.whole("nstep", 7, "neoverse-n1")


@pytest.mark.parametrize(("there", "same"), [("a", True), ("b", False)])
def test_a_short_training_is_the_same_only_if_its_bits_are(monkeypatch, capsys, there, same):
    class Result:
        def __init__(self, sha256):
            self.sha256 = sha256

    monkeypatch.setattr(Launcher, "obstacle", lambda launcher, condition: None)
    monkeypatch.setattr(Launcher, "note", lambda launcher, condition: "aarch64")
    monkeypatch.setattr(Launcher, "executable", lambda launcher, condition: None)
    monkeypatch.setattr(Launcher, "run", lambda launcher, condition, trial: Result(there if condition.system else "a"))
    assert arm.short(small_config(), "neoverse-n1", 20) is same
    said = capsys.readouterr().out
    assert said.count("20 rounds: the same bits" if same else "20 rounds: NOT the same bits") == 2


def test_an_obstacle_is_one_line(monkeypatch):
    monkeypatch.setattr(Launcher, "obstacle", lambda launcher, condition: "qemu-aarch64 is not installed")
    with pytest.raises(BadInputError, match=r"^ARM64 \(Neoverse N1\), emulated: qemu-aarch64 is not installed$"):
        arm.short(small_config(), "neoverse-n1", 20)
