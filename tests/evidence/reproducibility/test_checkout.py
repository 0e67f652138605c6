"""A clone in which stages run again is removed, however that ends."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
from conftest import environment

from a3c_bench.evidence.reproducibility import checkout


def wait_until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def is_there(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


DVC = """#!/bin/sh
echo "Running stage 'train':"
{python} -c "
import pathlib, signal, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), pathlib.Path('late/later').mkdir(parents=True), exit(1)))
pathlib.Path('{ready}').touch()
time.sleep(600)
"
"""
VERIFY = """
import os, sys, pathlib
from a3c_bench import supervision
from a3c_bench.evidence.reproducibility import checkout
supervision.watch()
checkout.environment = lambda settings: os.environ
checkout.git = lambda *arguments: pathlib.Path(arguments[-1]).mkdir()
try:
    with checkout.clone() as repository:
        checkout.reproduce(repository, ["train"], lambda stage: None)
except supervision.StoppedError as stopped:
    sys.exit(stopped.exit_code)
"""


@pytest.fixture
def verify(tmp_path):
    """Starts `VERIFY` in a temporary folder of its own and waits for its stage; returns it and all below it."""
    programs, temporary, ready = tmp_path / "bin", tmp_path / "tmp", tmp_path / "ready"
    programs.mkdir()
    temporary.mkdir()
    (programs / "dvc").write_text(DVC.format(python=sys.executable, ready=ready))
    (programs / "dvc").chmod(0o755)
    changes = {"TMPDIR": str(temporary), "PATH": f"{programs}:{os.environ['PATH']}"}
    started = []

    def start():
        ready.unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", VERIFY], env=environment(**changes), stderr=subprocess.PIPE, text=True
        )
        wait_until(ready.exists)
        started.append((process, psutil.Process(process.pid).children(recursive=True)))
        return started[-1]

    yield start, temporary
    for process, family in started:
        for one in (process, *family):
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_verify_leaves_no_clone_behind(number, verify):
    """Its stage needs a moment to end, and still writes in it."""
    start, temporary = verify
    process, family = start()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    assert not list(temporary.iterdir())
    assert not any(is_there(child) for child in family)


def test_what_a_killed_verify_left_is_removed_by_the_next(verify):
    start, temporary = verify
    killed, family = start()
    left = set(temporary.iterdir())
    killed.kill()
    killed.communicate()
    _, _ = start()
    assert left < set(temporary.iterdir()), "its stage still runs there"
    for child in family:
        child.kill()
    wait_until(lambda: not any(is_there(child) for child in family))
    others = set(temporary.iterdir()) - left
    last, _ = start()
    assert others < set(temporary.iterdir()), "another verify is under way there"
    assert not left & set(temporary.iterdir())
    last.send_signal(signal.SIGTERM)
    last.communicate(timeout=60)
    assert set(temporary.iterdir()) == others


def test_what_only_looks_like_a_clone_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(checkout.tempfile, "tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"{checkout.PREFIX}link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / f"{checkout.PREFIX}file").touch()
    (tmp_path / f"{checkout.PREFIX}stale" / "clone").mkdir(parents=True)
    checkout.remove_stale()
    assert {path.name.removeprefix(checkout.PREFIX) for path in tmp_path.iterdir()} == {"elsewhere", "link", "file"}
