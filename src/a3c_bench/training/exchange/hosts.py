"""Gradients between hosts, by the gloo of `torch.distributed`: from each to each, in one message a round.

gloo knows no passwords: who reaches its ports can disturb a training, though not run code. They are open while a
training over hosts runs, at the address that is given, and nowhere else.
"""

import os
import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from a3c_bench.arrays import Floats
from a3c_bench.training.share import Share

FOREVER = timedelta(days=1000)
"""How long an environment takes nobody knows; that a host is lost is noticed elsewhere (`channel.py`)."""


@dataclass(frozen=True)
class Meeting:
    """Where the hosts of a training find each other."""

    address: str
    """This host's."""
    head: str
    port: int
    seconds: float
    """In which all must be there."""
    grace: float
    """Seconds that a relay waits before it tells of a lost connection."""
    listener: socket.socket | None = None
    """The head's: open already, since others are told its port."""

    def close(self) -> None:
        """Give the listener back."""
        if self.listener:
            self.listener.close()


class Links:
    """This host's connections with all others; they are used from several threads, one for each direction and host."""

    def __init__(self, meeting: Meeting, share: Share) -> None:
        # It warns of addresses without a name, which these need not have.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
        # Here, since it takes seconds: nobody else needs it.
        import torch

        # Much of it has no types.
        distributed: Any = torch.distributed
        patience = timedelta(seconds=meeting.seconds)
        descriptor = meeting.listener.detach() if meeting.listener else None
        store = distributed.TCPStore(
            meeting.head,
            meeting.port,
            share.hosts,
            is_master=descriptor is not None,
            timeout=patience,
            wait_for_workers=False,
            master_listen_fd=descriptor,
        )
        options = distributed.ProcessGroupGloo._Options()
        options._devices = [distributed.ProcessGroupGloo.create_device(hostname=meeting.address)]
        options._timeout = patience
        self._group = distributed.ProcessGroupGloo(store, share.number, share.hosts, options)
        self._others, self._as_tensor = share.others, torch.from_numpy

    def send(self, block: Floats) -> None:
        """Send the same to every other host; it must stay as it is until they all have it."""
        tensor = self._as_tensor(block)
        for sent in [self._group.send([tensor], other, 0) for other in self._others]:
            sent.wait(FOREVER)

    def receive(self, block: Floats, host: int) -> None:
        """Wait for the next message of a host, and write it to `block`."""
        self._group.recv([self._as_tensor(block)], host, 0).wait(FOREVER)
