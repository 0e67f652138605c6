"""How a command ends: whatever terminal it had, and whatever threads are left."""

import subprocess
import sys
import textwrap

import pytest
from conftest import environment


def run(code, **changes):
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, env=environment(**changes), capture_output=True, text=True, check=False, timeout=60)


def test_what_nohup_has_it_ignore_stays_ignored():
    result = run(
        """
        import signal
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        from a3c_bench import supervision
        supervision.watch()
        signal.raise_signal(signal.SIGHUP)
        print("goes on")
        """
    )
    assert result.stdout == "goes on\n"


def test_what_is_said_after_the_terminal_went_is_no_error():
    result = run(
        """
        import os, signal
        primary, secondary = os.openpty()
        os.dup2(secondary, 1)
        os.close(secondary)
        os.close(primary)
        from a3c_bench import supervision
        supervision.watch()
        try:
            signal.raise_signal(signal.SIGHUP)
        except supervision.StoppedError:
            print("stopped", flush=True)
        """
    )
    assert result.returncode == 0, result.stderr


def test_a_command_ends_whatever_threads_are_left():
    result = run(
        """
        import atexit, threading
        from a3c_bench import supervision
        atexit.register(print, "tidied up")
        threading.Thread(target=threading.Event().wait).start()
        print("done")
        supervision.leave(3)
        """
    )
    assert (result.returncode, result.stdout, result.stderr) == (3, "done\ntidied up\n", "")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
@pytest.mark.parametrize("ignored", [False, True], ids=["the main process", "a worker"])
def test_pygame_leaves_it_to_us_what_answers_a_signal(number, ignored):
    """It has handlers of its own, which an environment brings in when it is made or shown."""
    result = run(
        f"""
        import signal
        from a3c_bench import supervision
        supervision.watch()
        if {ignored}:
            signal.signal(signal.{number}, signal.SIG_IGN)
        import gymnasium, pygame
        pygame.init()
        pygame.display.set_mode((8, 8))
        gymnasium.make("LunarLander-v3").reset()
        try:
            signal.raise_signal(signal.{number})
            print("goes on")
        except supervision.StoppedError as stopped:
            print(stopped.exit_code - 128 == signal.{number})
        """,
        SDL_VIDEODRIVER="dummy",
        SDL_AUDIODRIVER="dummy",
    )
    assert result.stdout.splitlines()[-1] == ("goes on" if ignored else "True"), result.stderr
