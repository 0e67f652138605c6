"""Hand-offs between processes through shared memory, without a lock.

Whoever has made something ready publishes a number; whoever observes that number sees all that was written before it.
What is handed over so: a gradient (`submitted`), a snapshot (`taken`), a packed actor (`host`), the rollout after which
a checkpoint is taken (`keep_after`), and what every actor keeps for it (`kept_after`).
"""

import platform

from a3c_bench.arrays import Integers
from a3c_bench.errors import BadInputError

ORDERED_MEMORY = frozenset({"x86_64", "AMD64"})
"""Machines on which every core sees another's stores in their order: there a plain store and a plain load do."""


def require_ordered_memory() -> None:
    """Raise `BadInputError` on a machine whose memory order was not thought of."""
    machine = platform.machine()
    if machine not in ORDERED_MEMORY:
        raise BadInputError(
            f"this machine is {machine}: training hands gradients over in the memory order of x86-64 only; "
            f"allowed: {', '.join(sorted(ORDERED_MEMORY))}"
        )


def publish(numbers: Integers, place: int, number: int) -> None:
    """Have `number` seen at `place`, and with it all that this process wrote before."""
    numbers[place] = number


def observe(numbers: Integers) -> list[int]:
    """All the numbers; with each of them comes what its process wrote before it."""
    # A list: for a few actors it takes a third of the time of the same in arrays.
    seen: list[int] = numbers.tolist()
    return seen


def observe_one(numbers: Integers, place: int) -> int:
    """The number at `place`."""
    return int(numbers[place])
