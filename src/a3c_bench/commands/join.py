"""`a3c-bench join`."""

import os
from typing import Annotated

import typer

from a3c_bench.cli import prepare_to_compute, start_workers_server
from a3c_bench.commands import number, seconds


def run(
    head: Annotated[str, typer.Argument(metavar="HEAD:PORT", help="Where the head listens: its A3C_BENCH_HEAD.")],
    interface: Annotated[str, typer.Option(help="The network interface that leads there, for example eth0.")],
    workers: Annotated[
        int | None, number("Worker processes on this host; by default as many as the head's params say.")
    ] = None,
    patience: Annotated[float | None, seconds("Leave after this long without a training.")] = None,
) -> None:
    """Be a further host of the head's trainings: join, compute, leave, and wait for the next."""
    prepare_to_compute()
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from a3c_bench.networks.torch_module import PINS

    # It takes seconds, which no training shall wait for; a network in torch needs it imported with its bits pinned.
    os.environ.update(PINS)
    start_workers_server("torch.distributed")
    from a3c_bench.kernels.library import open_kernels
    from a3c_bench.results.checkpoints import copies, identity
    from a3c_bench.training.exchange.channel import read_secret
    from a3c_bench.training.head import parse_address
    from a3c_bench.training.join import Joiner, address_of

    where = parse_address("HEAD:PORT", head)
    own, secret = address_of(interface, where[0]), read_secret()
    open_kernels()
    Joiner(where, own, secret, identity, copies, workers, patience).run()
