"""Hand-offs between processes through shared memory, without a lock.

Whoever has made something ready publishes a number; whoever observes that number sees all that was written before it.
What is handed over so: a gradient (`submitted`), a snapshot (`taken`), the record of a turn (`turn`), a packed actor
(`home`), the wish for a checkpoint (`keep_asked`), the update after which it is taken (`keep_after`), and what every
actor keeps for it (`kept_after`).

A number is one aligned word, which is stored and loaded whole. The fences keep the CPU from changing the order of what
is around it, as ARM64's do.
"""

from a3c_bench.arrays import Flags, Integers
from a3c_bench.kernels.library import fence


def publish(numbers: Integers | Flags, place: int, number: int) -> None:
    """Have `number` seen at `place`, and with it all that this process wrote before."""
    fence()
    numbers[place] = number


def observe(numbers: Integers) -> list[int]:
    """All the numbers; with each of them comes what its process wrote before it."""
    # A list: for a few actors it takes a third of the time of the same in arrays.
    seen: list[int] = numbers.tolist()
    fence()
    return seen


def observe_one(numbers: Integers | Flags, place: int) -> int:
    """The number at `place`."""
    seen = int(numbers[place])
    fence()
    return seen
