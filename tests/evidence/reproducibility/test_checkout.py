"""A clone in which stages run again is removed, however that ends."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from conftest import environment


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_verify_leaves_no_clone_behind(number, tmp_path):
    """Its stage needs a moment to end, and still writes in it."""
    programs, temporary, ready = tmp_path / "bin", tmp_path / "tmp", tmp_path / "ready"
    programs.mkdir()
    temporary.mkdir()
    (programs / "dvc").write_text(DVC.format(python=sys.executable, ready=ready))
    (programs / "dvc").chmod(0o755)
    changes = {"TMPDIR": str(temporary), "PATH": f"{programs}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        [sys.executable, "-c", VERIFY], env=environment(**changes), stderr=subprocess.PIPE, text=True
    )
    wait_until(ready.exists)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    assert not list(temporary.iterdir())
    assert not any(is_there(child) for child in family)
