"""Standard output and standard error: a full disk behind them, or a reader that has gone, ends no command."""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from a3c_bench.errors import say

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

NOWHERE = Path(os.devnull)
STANDARD_OUTPUT = 1


class Output(io.FileIO):
    """Goes nowhere from the first failure on."""

    def write(self, content: "ReadableBuffer", /) -> int:
        """Write, and if that fails say so, once."""
        try:
            return super().write(content)
        except OSError as error:
            with NOWHERE.open("wb") as nowhere:
                os.dup2(nowhere.fileno(), self.fileno())
            if self.fileno() == STANDARD_OUTPUT:
                say(f"standard output cannot be written to ({error.strerror}); the rest is lost, the work goes on")
            return memoryview(content).nbytes


def keep_going() -> None:
    """From now on, no output that cannot be written ends the program."""
    sys.stdout, sys.stderr = _lasting(sys.stdout), _lasting(sys.stderr)


def _lasting(stream: TextIO | None) -> TextIO:
    if stream is None:  # it was closed by whoever started the program
        return NOWHERE.open("w", encoding="utf-8")
    return io.TextIOWrapper(
        io.BufferedWriter(Output(stream.fileno(), "wb", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )
