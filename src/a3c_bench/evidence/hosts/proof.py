"""`make proof-hosts`: train over several hosts on this machine, and strike them; the bits have to be those of one."""

import tempfile
from pathlib import Path

from a3c_bench.config import Config
from a3c_bench.errors import BadInputError
from a3c_bench.evidence.hosts import bits, page, strikes
from a3c_bench.evidence.hosts.network import Network
from a3c_bench.report.hosts import PROOF_ABOUT
from a3c_bench.repository import last_commit
from a3c_bench.results.about import about_bytes
from a3c_bench.results.files import write_all


def run(config: Config, count: int | None) -> bool:
    """Do what is not in the tables yet, at most `count` faults; returns whether everything went as it has to."""
    require_namespaces()
    good = [bits.run(config), strikes.run(config, count)]
    write_all({PROOF_ABOUT: about_bytes(config.env, config.params(), last_commit())})
    page.write()
    return all(good)


def require_namespaces() -> None:
    """Raise `BadInputError` where hosts cannot be told apart."""
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder, Network(Path(folder), 1) as network:
        if not network.separate:
            raise BadInputError(f"hosts: {network.kind}; as root, or in CI, they can be made")
