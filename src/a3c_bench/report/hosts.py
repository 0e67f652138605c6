"""The page of several hosts: the same bits, faults survived, and what hosts cost."""

from a3c_bench.results.files import REPORTS

OUT = REPORTS / "hosts"
BITS, FAULTS, COSTS, SIZES, SCALING = (OUT / f"{name}.csv" for name in ("bits", "faults", "costs", "sizes", "scaling"))
ABOUT = OUT / "about.json"
