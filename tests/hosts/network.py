"""The evidence's hosts on one machine, with the tests' small params."""

import os

from conftest import environment, small_params

from a3c_bench.evidence.hosts import network
from a3c_bench.evidence.hosts.network import WORDS as SECRET
from a3c_bench.evidence.hosts.network import end, kill, results

__all__ = ["SECRET", "Network", "end", "kill", "results"]
# Each of the tests that run at once has its own: without namespaces they share the addresses.
PORT = network.PORT + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])


class Network(network.Network):
    """So many hosts; number 0 is the head."""

    def __init__(self, folder, count):
        super().__init__(folder, count, PORT, environment())

    def train(self, algorithm, hosts, *arguments, number=0, **changes):
        params = small_params(hosts=hosts, algorithms=[algorithm], **changes)
        return self.train_with(params, algorithm, *arguments, number=number)
