"""Stage `machine`: the fingerprint on which `profile` depends, so that old figures are never shown as new."""

from a3c_bench.config import Config
from a3c_bench.machine import fingerprint
from a3c_bench.progress import conclude
from a3c_bench.results.files import MACHINE, json_bytes, write_all


def run(config: Config) -> None:
    """Write the fingerprint."""
    content = fingerprint()
    write_all({MACHINE: json_bytes(content)})
    conclude("machine", f"{content['cpu']}, {content['cores']} cores, Python {content['python']}", **content)
