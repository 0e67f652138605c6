"""How the worker processes are started, and how one ended."""

import ctypes
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pickle import PicklingError
from types import ModuleType

from a3c_bench.errors import BadInputError, TrainingError
from a3c_bench.math_threads import one_thread_for_children

# What a new worker needs, imported once in the server it is forked from. gymnasium brings numpy.
PRELOADED = [
    "a3c_bench.fork_server",
    "a3c_bench.kernels.opened",
    "a3c_bench.training.worker",
    "a3c_bench.algorithms.built_in",
    "gymnasium.envs.classic_control",
]
OF_THE_TERMINAL = {signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
"""They reach every process of a terminal: only the main process answers them, by ending the others."""
PR_SET_PDEATHSIG = 1


def start_server(also: Sequence[str] = ()) -> None:
    """Start the process from which workers are forked, unless it runs, so that its imports run beside ours.

    also: what else it imports once for all that it forks.

    In the main thread: the kernel ends the server with the thread that started it.
    """
    from multiprocessing import forkserver, resource_tracker

    server = vars(forkserver._forkserver)
    if _runs(server["_forkserver_pid"]):
        return
    multiprocessing.get_context("forkserver").set_forkserver_preload([*PRELOADED, *also])
    with _short_lived_folder() as folder, _signals_kept_from_children(), one_thread_for_children():
        try:
            resource_tracker.ensure_running()
            # The tracker's start lets SIGINT through again.
            signal.pthread_sigmask(signal.SIG_BLOCK, OF_THE_TERMINAL)
            forkserver.ensure_running()
        except OSError as error:
            raise TrainingError(f"no worker process can be started ({error.strerror})") from None
        if server["_forkserver_address"].startswith(folder):
            # By descriptor it is found without its name, so that none is left behind, however the processes end.
            socket = os.open(server["_forkserver_address"], os.O_PATH | os.O_CLOEXEC)
            server["_forkserver_address"] = f"/proc/self/fd/{socket}"


def _runs(child: int | None) -> bool:
    """Whether a child of this process is there and has not ended; its end is left for others to see."""
    try:
        return child is not None and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


@contextmanager
def _short_lived_folder() -> Iterator[str]:
    """The folder in which multiprocessing makes its socket, by a name that is never too long for one."""
    try:
        temporary = tempfile.TemporaryDirectory(prefix="a3c-bench-")
    except OSError as error:
        raise BadInputError(f"TMPDIR: {error.strerror}; set it to a folder that can be written") from None
    with temporary as folder:
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        config = vars(multiprocessing.current_process())["_config"]
        before, config["tempdir"] = config.get("tempdir"), f"/proc/self/fd/{descriptor}"
        try:
            yield config["tempdir"]
        finally:
            config["tempdir"] = before
            os.close(descriptor)


@contextmanager
def _signals_kept_from_children() -> Iterator[None]:
    # They inherit what is blocked, and must not end in the middle of their imports either.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, OF_THE_TERMINAL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class WorkerProcess(ForkServerProcess):
    """A process that knows nothing of the program that started it: what it runs is in modules.

    multiprocessing would run a script again in every process, and look for the file of one that came by standard input.
    """

    def start(self) -> None:
        """Start it; raises `BadInputError` where it is given what only the program itself defines."""
        try:
            with _another_main():
                super().start()
        except (PicklingError, AttributeError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise BadInputError(
                f"workers: cannot be given what your program defines ({reason}); define it in a module and import that"
            ) from None


class WorkerContext(ForkServerContext):
    """Starts `WorkerProcess`es."""

    Process = WorkerProcess


@contextmanager
def _another_main() -> Iterator[None]:
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def process_context() -> WorkerContext:
    """How processes are started: forked from a server that has imported what workers need."""
    start_server()
    return WorkerContext()


def be_a_worker() -> None:
    """Leave the terminal's signals to the main process, and end with it."""
    # Once more, and for workers that no fork server has started.
    for number in OF_THE_TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()


def end_with_parent() -> None:
    """From now on the kernel kills this process when the one that started it is gone, even if it is stopped."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def ending_with_us(command: Sequence[str]) -> list[str]:
    """The command so that it is told to end when this process is gone, where the system has what does that."""
    return [*(["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []), *command]


def describe_exit(exit_code: int | None) -> str:
    """How a process ended, in words."""
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:  # a real-time signal has no name
        return f"killed by signal {-exit_code}"
