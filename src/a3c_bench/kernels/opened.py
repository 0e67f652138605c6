"""Opens the kernels where it is imported: the fork server does, for all its workers."""

from contextlib import suppress

from a3c_bench.errors import BadInputError
from a3c_bench.kernels.library import open_kernels

with suppress(BadInputError):  # the main process tells of it
    open_kernels(tell=False)
