"""Signals wait while something must be done whole, whatever other threads there are."""

import signal
import threading

import pytest

from a3c_bench import supervision
from a3c_bench.supervision import StoppedError, signals_later


@pytest.fixture
def watched(monkeypatch):
    monkeypatch.delenv("DVC_STAGE", raising=False)
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    supervision.watch()
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    yield
    done.set()
    other.join()
    for number, handler in before:
        signal.signal(number, handler)


def test_a_signal_comes_at_once_elsewhere(watched):
    with pytest.raises(StoppedError, match="SIGTERM"):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("ending", [False, True])
def test_a_signal_waits_for_the_end_of_the_block(ending, watched):
    steps = []

    def protected():
        with signals_later(ending):
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            steps.append("done whole")

    if ending:
        protected()
    else:
        with pytest.raises(StoppedError, match="SIGTERM"):
            protected()
    assert steps == ["done whole"]


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "9" * 5000])
def test_a_supervisor_that_is_no_process_is_none(value, monkeypatch):
    monkeypatch.setenv(supervision.SUPERVISOR_VARIABLE, value)
    assert supervision._supervisor() is None


def test_told_again_while_it_is_ending_it_goes_on_ending(watched, monkeypatch):
    saved = []
    with pytest.raises(StoppedError, match="SIGTERM"):
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGINT)
            with signals_later():
                signal.raise_signal(signal.SIGTERM)
            saved.append("a checkpoint")
    assert saved == ["a checkpoint"]
    # Whoever hangs for longer can be told once more.
    monkeypatch.setattr(supervision, "ENDING_SECONDS", 0.0)
    with pytest.raises(StoppedError, match="Ctrl-C"):
        signal.raise_signal(signal.SIGINT)
