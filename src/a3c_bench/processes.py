"""How the worker processes are started, and how one ended."""

import multiprocessing
import signal
from multiprocessing.context import ForkServerContext

# What a new worker needs, imported once in the server it is forked from. gymnasium brings numpy.
PRELOADED = ["a3c_bench.training.worker", "gymnasium.envs.classic_control"]


def start_server() -> None:
    """Start the process from which workers are forked, so that its imports run beside ours."""
    process_context()
    from multiprocessing import forkserver, resource_tracker

    # The server starts the tracker first, and that lets SIGINT through again when it has.
    resource_tracker.ensure_running()
    # Ctrl-C reaches every process of the terminal: the server must not end in the middle of its imports.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def process_context() -> ForkServerContext:
    """How processes are started: forked from a server that has imported what workers need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def describe_exit(exit_code: int | None) -> str:
    """How a process ended, in words."""
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:  # a real-time signal has no name
        return f"killed by signal {-exit_code}"
