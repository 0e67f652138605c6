"""Whatever is wrong: one line that a terminal can show, and nothing that waits forever."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import WITHOUT_MLFLOW, environment, small_config, small_params, write_params
from safetensors.numpy import save

from a3c_bench import outlook
from a3c_bench.environments.make import describe
from a3c_bench.errors import LONGEST, BadInputError, printable
from a3c_bench.evidence import gate_proof
from a3c_bench.machine import fingerprint
from a3c_bench.params import read_yaml
from a3c_bench.report.pages import picture
from a3c_bench.results.checkpoints import Checkpoints
from a3c_bench.results.files import MACHINE, csv_bytes, film_path, model_path, read_json, train_folder, write_all
from a3c_bench.results.models import load_policy
from a3c_bench.results.tables import read_csv
from a3c_bench.stages.report import films
from a3c_bench.tracking import benchmarks

LONG = "9" * 5000


def assert_one_line(result, *words):
    assert result.returncode == 2, result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("a3c-bench: ")
    assert len(lines[0]) < LONGEST + 100
    assert lines[0].isprintable()
    assert all(word in lines[0] for word in words), lines[0]


# --- the command line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fly"], ["No such command 'fly'", "`a3c-bench --help`"]),
        (["trian"], ["Did you mean 'train'?"]),
        (["train", "--sed", "1"], ["--sed", "--seed"]),
        (["train", "--seed"], ["--seed", "requires an argument", "`a3c-bench train --help`"]),
        (["train", "nstep"], ["nstep", "`a3c-bench train --help`"]),
        (["--quiet"], ["Missing command"]),
        (["--log", "xml", "check"], ["--log", "'xml'", "'json'"]),
        (["watch", "--moment", "late"], ["--moment", "'late'", "'early'"]),
        (["chaos", "--faults", "x"], ["--faults", "'x'", "a whole number from 1 to 1000000"]),
        (["chaos", "--faults", "0"], ["--faults", "'0'"]),
        (["chaos", "--faults", LONG], ["--faults", "a whole number from 1 to 1000000"]),
        (["verify", "--workers", LONG], ["--workers"]),
        (["verify", "--threads", "9" * 4000], ["--threads"]),
        (["bench-proof", "--runs", LONG], ["--runs"]),
        *(
            (["bench-check", f"--budget={value}"], ["--budget", repr(value), "seconds from 1 to 1000000"])
            for value in ("nan", "inf", "-inf", "1e400", "-1", "0", "", "1000001", "٣")
        ),
        (["bench-check", "--budget", LONG], ["--budget", "seconds from 1 to 1000000"]),
        (["verify", "--seeds="], ["--seeds: '' is not allowed"]),
        (["verify", "--seeds", "nan"], ["--seeds: 'nan' is not allowed"]),
        (["verify", "--algorithms", " , "], ["--algorithms: ' , ' is not allowed"]),
        (["peers", "--seeds", LONG], ["--seeds"]),
        (["watch", "--episodes", LONG], ["--episodes"]),
        (["train", "--seed", LONG], ["--seed", "a whole number from 0 to 4294967295"]),
        (["train", "--seed", "4294967296"], ["--seed: '4294967296' is not allowed"]),
        (["tr\x1b[31m\nain"], ["tr\\x1b[31m\\nain"]),
        (["train", "--\x1b]0;x\x07"], ["\\x1b]0;x\\x07"]),
        (["train", "--algorithm", "\x1b[2J\nx"], ["\\x1b[2J\\nx"]),
        (["train", "--algorithm", "x" * 100_000], ["--algorithm", "params.yaml has nstep, episodic"]),
        (["train", "--algorithm", "\u202e \udcff" * 9_000], ["\\u202e", "\\udcff", "params.yaml has"]),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(a3c_bench, arguments, words):
    assert_one_line(a3c_bench(*arguments), *words)


def test_no_argument_at_all_is_answered_with_the_help(a3c_bench):
    result = a3c_bench()
    assert result.returncode == 2
    assert "Commands" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31mred", "x" * 100_000, "\x1b " * 100_000, "\u202e\udcff\x00", "ü – ✓"])
def test_what_is_printed_is_one_line_of_a_sensible_length(text):
    said = printable(f"file: {text}: what to do")
    assert said.isprintable()
    assert said.startswith("file: ")
    assert said.endswith("what to do")
    assert len(said) <= LONGEST + 1


# --- outputs that cannot be written


@pytest.mark.parametrize("options", [[], ["--log", "json"]])
@pytest.mark.parametrize("behind", ["a full disk", "a reader that has gone"])
def test_training_goes_on_without_standard_output(workspace, options, behind):
    write_params(workspace, small_params(nstep={"total_steps": 3_200}))
    if behind == "a full disk":
        output = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, output = os.pipe()
        os.close(reader)
    command = [sys.executable, "-m", "a3c_bench", *options, "train"]
    result = subprocess.run(
        command,
        env=environment(**WITHOUT_MLFLOW),
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    os.close(output)
    assert result.returncode == 0, result.stderr
    (said,) = result.stderr.splitlines()
    assert said.startswith("a3c-bench: standard output cannot be written to (")
    assert model_path("nstep", 0).exists()


def test_nothing_is_lost_when_standard_error_is_full_too(workspace):
    command = [sys.executable, "-m", "a3c_bench", "fly"]
    with Path("/dev/full").open("w") as full:
        assert (
            subprocess.run(command, env=environment(**WITHOUT_MLFLOW), stdout=full, stderr=full, check=False).returncode
            == 2
        )


# --- the surroundings


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"NPY_DISABLE_CPU_FEATURES": "X86_V2"}, ["NPY_DISABLE_CPU_FEATURES", "'X86_V2'", "unset it"]),
        (
            {"NPY_ENABLE_CPU_FEATURES": "AVX2", "NPY_DISABLE_CPU_FEATURES": "X86_V4"},
            ["NPY_ENABLE_CPU_FEATURES", "'AVX2'", "unset it"],
        ),
    ],
)
def test_a_variable_that_numpy_refuses_is_named(a3c_bench, workspace, variables, words):
    write_params(workspace, small_params())
    assert_one_line(a3c_bench("check", **variables), *words)


@pytest.mark.parametrize("megabytes", [100, 300])
def test_a_narrow_limit_on_virtual_memory_is_named(workspace, megabytes):
    """Libraries end, or never end, while they are imported under one."""
    write_params(workspace, small_params())
    limited = f"ulimit -v {megabytes * 1024}; exec {sys.executable} -m a3c_bench train"
    result = subprocess.run(
        ["sh", "-c", limited], env=environment(), capture_output=True, text=True, check=False, timeout=30
    )
    assert_one_line(result, f"virtual memory is {megabytes} MiB", "ulimit -v 614400")


@pytest.mark.parametrize("name", ["tmp", "config"])
def test_what_dvc_cannot_read_is_named(a3c_bench, workspace, name):
    subprocess.run(["git", "init", "--quiet"], check=True)
    Path(".dvc").mkdir()
    if name == "tmp":
        Path(".dvc", name).write_text("no folder")
    else:
        Path(".dvc", name).mkdir()
    assert_one_line(a3c_bench("compare"), "compare: DVC cannot list experiments", f".dvc/{name}")


# --- files


def make_fifo(path):
    os.mkfifo(path)


def make_device(path):
    path.symlink_to("/dev/zero")


def make_folder(path):
    path.mkdir()


@pytest.fixture(params=[make_fifo, make_device, make_folder])
def no_file(request, workspace):
    path = workspace / "no_file"
    request.param(path)
    return path


@pytest.mark.timeout(60)
def test_what_is_no_file_is_refused_and_not_waited_for(no_file):
    for read in (read_yaml, read_json, read_csv):
        with pytest.raises(BadInputError, match=r"no_file: cannot be read \(not a plain file\)"):
            read(no_file)


@pytest.mark.timeout(60)
def test_pictures_and_tables_that_are_no_file_are_refused(no_file, monkeypatch):
    config = small_config()
    for algorithm in config.algorithms:
        film_path(algorithm).parent.mkdir(parents=True, exist_ok=True)
        film_path(algorithm).symlink_to(no_file)
    with pytest.raises(BadInputError, match=r"nstep.webp: cannot be read \(not a plain file\)"):
        films(config)
    with pytest.raises(BadInputError, match=r"no_file: cannot be read \(not a plain file\)"):
        picture(no_file)
    monkeypatch.setattr(gate_proof, "GATE_RUNS", no_file)
    with pytest.raises(BadInputError, match=r"no_file: cannot be read \(not a plain file\)"):
        gate_proof.read()
    with pytest.raises(BadInputError, match=r"no_file: is not what pytest-benchmark writes"):
        benchmarks.run(no_file)


@pytest.mark.timeout(60)
def test_the_outlook_does_without_a_profile_that_is_no_file(no_file, monkeypatch):
    monkeypatch.setattr(outlook, "read_json", {MACHINE: fingerprint()}.__getitem__)
    monkeypatch.setattr(outlook, "ran_under", lambda *_: True)
    outlook.PROFILE.mkdir(parents=True)
    (outlook.PROFILE / "points.csv").symlink_to(no_file)
    assert outlook.measured_rates(small_config(), "nstep") == {}


@pytest.mark.timeout(60)
def test_params_that_are_no_file_are_named(a3c_bench, workspace, no_file):
    (workspace / "params.yaml").unlink()
    no_file.rename(workspace / "params.yaml")
    assert_one_line(a3c_bench("check"), "params.yaml: cannot be read (not a plain file)")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", [make_fifo, make_device, make_folder])
def test_a_checkpoint_that_is_no_file_is_not_used(workspace, make, capfd):
    with Checkpoints(small_config(), "nstep", 0) as found:
        make(next(Path(".a3c-bench", "checkpoints").iterdir()) / "000000001.checkpoint")
        assert found.newest() is None
    said = capfd.readouterr().err
    assert len(said.splitlines()) == 1
    assert said.endswith("this checkpoint is not used\n")


def save_models(change):
    config = small_config()
    environment, settings = describe(config.env), config.algorithm("nstep")
    tensors = settings.layout(environment).tensors(settings.initial_parameters(environment, 0).copy())
    change(tensors)
    digests = csv_bytes(("turn", "env_step"), [(turn, turn) for turn in range(1, 21)])
    models = {model_path("nstep", 0, moment): save(tensors) for moment in ("early", "half", "end")}
    write_all({**models, train_folder("nstep", 0) / "digests.csv": digests})
    return tensors


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_model_whose_numbers_are_not_finite_is_refused(workspace, value):
    names = []

    def spoil(tensors):
        names.append(list(tensors)[1])
        tensors[names[0]].reshape(-1)[0] = value

    save_models(spoil)
    config = small_config()
    with pytest.raises(BadInputError, match=rf"^models/nstep/seed-0.safetensors: the tensor {names[0]} has numbers"):
        load_policy(config, "nstep", 0, describe(config.env))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("command", ["evaluate", "film"])
def test_a_bad_model_is_one_line(a3c_bench, workspace, command):
    def spoil(tensors):
        tensors[list(tensors)[1]].reshape(-1)[0] = np.nan

    name = list(save_models(spoil))[1]
    assert_one_line(a3c_bench(command, **WITHOUT_MLFLOW), f"the tensor {name} has numbers that are not finite")
    for moment in ("early", "half", "end"):
        model_path("nstep", 0, moment).unlink()
    assert_one_line(a3c_bench(command, **WITHOUT_MLFLOW), ".safetensors: cannot be read (missing)")
    for moment in ("early", "half", "end"):
        os.mkfifo(model_path("nstep", 0, moment))
    assert_one_line(a3c_bench(command, **WITHOUT_MLFLOW), ".safetensors: cannot be read (not a plain file)")
