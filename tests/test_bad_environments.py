"""Bad environments, params and arguments through the command line: each is told in one line, and nothing hangs."""

import sys

import pytest
from conftest import small_config

from a3c_bench.evidence import chaos
from a3c_bench.evidence.chaos.bad_inputs import BadInput, answered, bad_inputs, counts, judged, sample, try_all

pytestmark = pytest.mark.slow

SAMPLE, PER_TEST = 30, 25
INPUTS = bad_inputs(small_config())
BAD = BadInput("a kind", "a name", ["check"], b"")
LINE = "a3c-bench: it is wrong\n"


def test_there_are_enough_and_they_are_always_the_same():
    assert len(INPUTS) >= 300
    assert [(bad.params, bad.module, bad.arguments) for bad in INPUTS] == [
        (bad.params, bad.module, bad.arguments) for bad in bad_inputs(small_config())
    ]
    assert len({(bad.kind, bad.name) for bad in INPUTS}) == len(INPUTS)


def test_a_sample_has_most_kinds_and_is_no_larger_than_asked():
    chosen = sample(INPUTS, SAMPLE)
    assert SAMPLE * 0.8 < len(chosen) <= SAMPLE
    assert len({bad.kind for bad in chosen}) > len({bad.kind for bad in INPUTS}) * 0.7
    assert sample(INPUTS, None) == INPUTS
    assert sample(INPUTS, 10_000) == INPUTS


@pytest.mark.parametrize(
    ("code", "said", "errors", "found"),
    [
        (2, "", LINE, ""),
        (0, "", LINE, "exit code 0 in place of 2"),
        (1, "", LINE, "exit code 1 in place of 2"),
        (-9, "", "", "exit code -9 in place of 2"),
        (2, "", "", "0 lines"),
        (2, "", LINE * 2, "2 lines"),
        (2, "", "it is wrong\n", "not a line of ours"),
        (2, "", LINE.strip() + "x" * 1000, "not a line of ours"),
        (2, "", f"Traceback (most recent call last):\n{LINE}", "a traceback"),
        (2, "Traceback (most recent call last):\n", LINE, "a traceback"),
    ],
)
def test_only_one_line_and_the_right_exit_code_are_an_answer(code, said, errors, found):
    assert judged(BAD, code, said, errors).startswith(found)
    assert bool(judged(BAD, code, said, errors)) == bool(found)


def test_the_table_counts_by_kind():
    other = BadInput("another", "a name", ["check"], b"")
    assert counts([BAD, BAD, other], ["", "2 lines", ""]) == b"kind,tried,told_in_one_line\na kind,2,1\nanother,1,1\n"


def test_an_input_that_is_good_is_no_answer_to_a_bad_one():
    good = INPUTS[[bad.kind for bad in INPUTS].index("wrong arguments")].params
    assert answered(BadInput("a kind", "good", ["check"], good)).startswith("exit code 0 in place of 2")


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("sleep 60", "it is there after 2 s"),
        ("sleep 60 & exit 2", "a process of its is there 2 s after its end"),
        (f"(sleep 0.2) & echo '{LINE.strip()}' >&2; exit 2", ""),
    ],
)
def test_neither_the_command_nor_what_it_starts_may_stay(script, found, tmp_path, monkeypatch):
    command = tmp_path / "command"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(command))
    monkeypatch.setattr(chaos.bad_inputs, "WALL_SECONDS", 2)
    monkeypatch.setattr(chaos.bad_inputs, "TRACKING_SECONDS", 2)
    assert answered(BAD) == found


def not_told(inputs):
    answers = zip(inputs, try_all(inputs), strict=True)
    return [(bad.kind, bad.name[:80], answer) for bad, answer in answers if answer]


def test_bad_inputs_are_told_in_one_line():
    assert not_told(sample(INPUTS, SAMPLE)) == []


@pytest.mark.long
@pytest.mark.parametrize("first", range(0, len(INPUTS), PER_TEST))
def test_all_bad_inputs_are_told_in_one_line(first):
    assert not_told(INPUTS[first : first + PER_TEST]) == []
