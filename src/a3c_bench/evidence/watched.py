"""How far a training is: read from its shared memory, without its help."""

import mmap
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from a3c_bench.training.exchange.memory import Shape

NUMBER_BYTES = 8
NAME = "memfd:a3c-bench"


class Watched:
    """The numbers in a training's shared memory."""

    def __init__(self, shape: Shape, main: Callable[[], int]) -> None:
        """shape: of the memory. main: the training's main process; `psutil.Error` where there is none yet."""
        self._offsets, self._main = shape.offsets()[0], main
        self._memory: mmap.mmap | None = None

    def numbers(self, name: str, count: int = 1) -> list[int]:
        """The first numbers of a table; all 0 before there is any memory."""
        if self._memory is None:
            # It is not there yet, or gone, or its memory has no size yet.
            with suppress(OSError, ValueError, psutil.Error):
                self._memory = self._open()
        if self._memory is None:
            return [0] * count
        start = self._offsets[name]
        starts = range(start, start + NUMBER_BYTES * count, NUMBER_BYTES)
        return [int.from_bytes(self._memory[one : one + NUMBER_BYTES], "little", signed=True) for one in starts]

    @property
    def turn(self) -> int:
        """Turns taken; 0 before the first worker is started."""
        return self.numbers("turn")[0]

    def _open(self) -> mmap.mmap | None:
        for link in Path(f"/proc/{self._main()}/fd").iterdir():
            if link.readlink().name.startswith(NAME):
                with link.open("rb") as file:
                    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return None
