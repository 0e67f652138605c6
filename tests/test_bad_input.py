"""Whatever is wrong with an input: one line that a person can read and exit code 2; no traceback, no hang."""

import json
import os
import pickle
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, environment, small_params, write_params
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save

pytestmark = pytest.mark.slow

TEXT = (ROOT / "params.yaml").read_text()


def few_or_many(few, many):
    """So many cases of a test: a few always, many with the slow ones."""
    return pytest.mark.parametrize("cases", [few, pytest.param(many, marks=pytest.mark.slow)])


# Every case is a process of its own, on machines of any speed.
RELAXED = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


class Entry:
    """The command's entry, in a fork for every call."""

    def __init__(self, folder, *arguments):
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "entry.py"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def __call__(self, *arguments, seconds=30):
        case = {"folder": str(self.folder), "arguments": arguments, "seconds": seconds}
        self._process.stdin.write(json.dumps(case) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def entry(tmp_path_factory):
    entry = Entry(tmp_path_factory.mktemp("params"), "check")
    yield entry
    entry.close()


def assert_one_line(answer, *fragments):
    assert answer["code"] == 2, answer
    lines = answer["errors"].splitlines()
    assert len(lines) == 1, answer
    assert lines[0].startswith("a3c-bench: "), answer
    assert len(lines[0]) < 1000
    assert all(fragment in lines[0] for fragment in fragments), answer


def assert_accepted_or_one_line(answer):
    if answer["code"]:
        assert_one_line(answer)
    else:
        assert not answer["errors"], answer


# --- params.yaml

LONG_NUMBERS = ["1" * 400, "9" * 5000, "0x" + "f" * 5000]
NUMBERS = ["0", "-1", "1e999", ".nan", ".inf", "-.inf", "0x10", "1_000", "1e-400", "1.5", "-0.0", *LONG_NUMBERS]
ODD = [
    *NUMBERS,
    "",
    "~",
    "yes",
    "[]",
    "{}",
    "[[[]]]",
    "{a: {b: {c: 1}}}",
    "2026-11-23",
    "!!python/object/apply:os.system ['true']",
    "!!binary AAAA",
    "!!set {a, b}",
    "!unknown x",
    "*nowhere",
    "&a [*a]",
    '"\\u0000"',
    '"\\ud800"',
    "'" + "x" * 100_000 + "'",
    "ünïcödé-✓-🂡",
    "\u202etxet",
    "../../etc/passwd",
    "$(touch pwned)",
    "`touch pwned`; touch pwned",
    "CartPole-v1; touch pwned",
    "[" * 3000,
    "[" + ", ".join(["1"] * 10_000) + "]",
]
QUOTED = st.one_of(st.text(max_size=20), st.integers(), st.booleans(), st.none(), st.lists(st.integers(), max_size=3))
VALUES = st.one_of(st.sampled_from(ODD), st.floats().map(repr), QUOTED.map(json.dumps), QUOTED.map(json.dumps))
LINES = [number for number, line in enumerate(TEXT.splitlines()) if ":" in line.partition("#")[0]]


@st.composite
def mutated(draw):
    """params.yaml with up to three things wrong with it."""
    lines = TEXT.splitlines()
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        number = draw(st.sampled_from(LINES))
        kind = draw(st.sampled_from([*["value"] * 12, "drop", "double", "rename", "indent", "insert", "cut"]))
        line = lines[number] if number < len(lines) else ""
        key, _, _ = line.partition(":")
        if kind == "value":
            lines[number : number + 1] = [f"{key}: {draw(VALUES)}"]
        elif kind == "drop":
            del lines[number : number + 1]
        elif kind == "double":
            lines[number:number] = [line]
        elif kind == "rename":
            lines[number : number + 1] = [line.replace(key.strip(), draw(st.text("_abcé ", min_size=1, max_size=8)), 1)]
        elif kind == "indent":
            lines[number : number + 1] = [" " * draw(st.integers(1, 5)) + line]
        elif kind == "insert":
            lines[number:number] = [draw(st.one_of(VALUES, st.just("\t"), st.just("---"), st.just("%YAML 9.9")))]
        else:
            lines[number : number + 1] = [line[: draw(st.integers(0, len(line)))]]
        if not lines:
            break
    return "\n".join(lines) + "\n"


@few_or_many(80, 500)
def test_mutated_params_are_accepted_or_named_in_one_line(entry, cases):
    @settings(max_examples=cases, **RELAXED)
    @given(text=mutated())
    def check(text):
        (entry.folder / "params.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
        assert_accepted_or_one_line(entry("check"))
        assert [path.name for path in entry.folder.iterdir()] == ["params.yaml"]

    check()


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


BAD_FILES = {
    "empty": b"",
    "utf-16": b"\xff\xfe\x00",
    "nul": b"\x00" * 100,
    "list": b"- 1\n- 2\n",
    "text": b"just text",
    "an anchor named twice": b"env: &a [*a]\nworkers: &a [*a]\n",
    "bomb": BOMB.encode() + b"env: *i\n",
    "random": os.urandom(4096),
    "a version of YAML that there is not": b"%YAML 9.9\n---\nenv:\n",
}


@pytest.mark.parametrize("content", BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_is_no_params_is_named_in_one_line(entry, content):
    (entry.folder / "params.yaml").write_bytes(content)
    assert_one_line(entry("check"), "params.yaml")


@pytest.mark.parametrize("what", ["missing", "a folder", "a loop"])
def test_params_that_cannot_be_read_are_named_in_one_line(entry, what):
    path = entry.folder / "params.yaml"
    path.unlink(missing_ok=True)
    if what == "a folder":
        path.mkdir()
    elif what == "a loop":
        path.symlink_to(path)
    try:
        assert_one_line(entry("check"), "params.yaml")
    finally:
        path.rmdir() if what == "a folder" else path.unlink(missing_ok=True)


BAD_ARGUMENTS = ("train nstep", "train --seed", "train --algorithm", "watch --moment late", "fly", "train --x")


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS)
def test_bad_arguments_end_with_exit_code_2_and_no_traceback(entry, arguments):
    answer = entry(*arguments.split())
    assert answer["code"] == 2
    assert "Traceback" not in answer["errors"]


# --- models, tables and JSON


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A folder with the results of a small pipeline, and the entry that runs there."""
    folder = tmp_path_factory.mktemp("results")
    params = small_params(algorithms=["nstep"], nstep={"total_steps": 3_200})
    params["profile"] |= {"workers": [1], "repeats": 1, "turns": 40}
    write_params(folder, params)
    for name in ("gate", "peers", "reproducibility", "speed"):
        shutil.copytree(ROOT / "reports" / name, folder / "reports" / name)
    entry = Entry(folder, "stages")
    for command in ("train", "evaluate", "machine", "profile", "report"):
        answer = entry(command, seconds=120)
        assert answer["code"] == 0, answer
    yield entry
    entry.close()


def bad_models(good):
    """Model files that are damaged or of something else, with a name for each."""
    chance = random.Random(0)
    tensors = load_file(good)
    whole = good.read_bytes()
    first = next(iter(tensors))
    yield from {
        "empty": b"",
        "a pickle": pickle.dumps(tensors),
        "text": b"not a model",
        "a huge header": (2**62).to_bytes(8, "little") + whole[8:],
        "no tensors": save({}),
        "one missing": save({name: tensor for name, tensor in tensors.items() if name != first}),
        "one more": save({**tensors, "other": np.zeros(3, np.float32)}),
        "float64": save({name: tensor.astype(np.float64) for name, tensor in tensors.items()}),
        "another shape": save({**tensors, first: np.zeros((7, 3), np.float32)}),
        "random": os.urandom(len(whole)),
    }.items()
    while True:
        cut = chance.randrange(len(whole))
        yield f"cut at {cut}", whole[:cut]
        # Not in the numbers themselves: other weights are as good a model.
        at = chance.randrange(8)
        header = bytearray(whole)
        header[at] ^= 1 << chance.randrange(8)
        yield f"bit flipped in byte {at}", bytes(header)


@few_or_many(30, 120)
def test_bad_models_are_named_in_one_line(pipeline, cases):
    path = pipeline.folder / "models" / "nstep" / "seed-0.safetensors"
    whole = path.read_bytes()
    before = outputs(pipeline.folder)
    try:
        for _, (name, content) in zip(range(cases), bad_models(path), strict=False):
            path.write_bytes(content)
            answer = pipeline("evaluate")
            assert_one_line({**answer, "case": name}, "seed-0.safetensors")
    finally:
        path.write_bytes(whole)
    assert outputs(pipeline.folder) == before


def outputs(folder):
    return {path: path.read_bytes() for path in (folder / "reports").rglob("*") if path.is_file()}


INPUTS = (
    "evaluate/nstep/seed-0/episodes.csv",
    "evaluate/nstep/seed-0/metrics.json",
    "gate/gate.csv",
    "machine/machine.json",
    "peers/about.json",
    "peers/peers.csv",
    "profile/points.csv",
    "reproducibility/about.json",
    "reproducibility/faults-about.json",
    "reproducibility/faults.csv",
    "reproducibility/price.csv",
    "reproducibility/proof.csv",
    "reproducibility/schedules.csv",
    "speed/about.json",
    "speed/speed.csv",
    "train/nstep/seed-0/curve.csv",
    "train/nstep/seed-0/metrics.json",
)


@few_or_many(len(INPUTS), 80)
def test_tables_and_json_cut_short_are_named_in_one_line(pipeline, cases):
    chance = random.Random(0)
    for case in range(cases):
        path = pipeline.folder / "reports" / INPUTS[case % len(INPUTS)]
        whole = path.read_bytes()
        cut = chance.randrange(len(whole) - 1)
        before = outputs(pipeline.folder)
        path.write_bytes(whole[:cut])
        try:
            assert_one_line(pipeline("report"), str(path.relative_to(pipeline.folder)))
        finally:
            path.write_bytes(whole)
        assert outputs(pipeline.folder) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
@pytest.mark.parametrize("options", ["ro", "size=4k"])
def test_a_disk_that_is_read_only_or_full_is_named_and_nothing_is_half_written(pipeline, options):
    target = pipeline.folder / "reports" / "evaluate"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(target)], check=True)
    try:
        assert_one_line(pipeline("evaluate"), "reports/evaluate", "cannot be written")
        assert not [path for path in target.rglob("*") if path.is_file()]
    finally:
        subprocess.run(["umount", str(target)], check=True)


def test_yaml_objects_are_never_made(entry):
    marker = Path(entry.folder / "made")
    (entry.folder / "params.yaml").write_text(f"env: !!python/object/apply:os.mkdir ['{marker}']\n")
    assert_one_line(entry("check"), "params.yaml")
    assert not marker.exists()
