"""Calls the compiled kernels on numpy's arrays."""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3c_bench.errors import BadInputError
from a3c_bench.kernels.build import library

FLOATS, DOUBLES, INTEGERS = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)
FLAGS, BYTES = np.dtype(np.bool_), np.dtype(np.uint8)
COUNT, NUMBER, SINGLE, STRUCTURE = ctypes.c_int64, ctypes.c_double, ctypes.c_float, ctypes.c_void_p

SIGNATURES: Mapping[str, Sequence[Any]] = {
    "dense_forward": (STRUCTURE, FLOATS, STRUCTURE, COUNT, COUNT, COUNT),
    "dense_backward": (STRUCTURE, FLOATS, STRUCTURE, COUNT, COUNT, FLOATS, FLOATS, FLOATS, FLOATS),
    "dense_room": (STRUCTURE, COUNT),
    "categorical_probabilities": (COUNT, COUNT, INTEGERS, FLOATS, FLOATS),
    "categorical_sample": (COUNT, INTEGERS, FLOATS, DOUBLES, INTEGERS, COUNT, COUNT),
    "categorical_taken": (COUNT, INTEGERS, FLOATS, INTEGERS, *[FLOATS] * 3, COUNT),
    "categorical_gradient": (COUNT, INTEGERS, FLOATS, INTEGERS, FLOATS, FLOATS, COUNT, FLOATS, FLOATS),
    "gaussian_sample": (COUNT, FLOATS, DOUBLES, FLOATS, COUNT, COUNT),
    "gaussian_taken": (COUNT, *[FLOATS] * 4, COUNT),
    "gaussian_gradient": (COUNT, *[FLOATS] * 3, COUNT, FLOATS, FLOATS),
    "episode_loss": (*[FLOATS] * 4, SINGLE, *[FLOATS] * 2, DOUBLES, COUNT),
    "actor_critic_loss": (COUNT, *[FLOATS] * 3, FLAGS, *[FLOATS] * 2, *[SINGLE] * 2, *[FLOATS] * 3, DOUBLES),
    "clipped_surrogate": (COUNT, *[FLOATS] * 3, FLAGS, NUMBER, FLOATS),
    "generalised_advantages": (COUNT, COUNT, FLOATS, FLOATS, FLAGS, FLAGS, FLAGS, SINGLE, SINGLE, FLOATS, FLOATS),
    "discounted_returns": (COUNT, FLOATS, NUMBER, FLOATS),
    "moments_of": (COUNT, FLOATS, FLOATS, COUNT),
    "merge_moments": (COUNT, FLOATS, FLOATS),
    "scale_observations": (COUNT, *[FLOATS] * 3, COUNT, COUNT),
    "returns_so_far": (COUNT, COUNT, FLOATS, *[FLAGS] * 3, NUMBER, FLOATS, DOUBLES),
    "scale_rewards": (COUNT, *[FLOATS] * 3),
    "log_episodes": (COUNT, COUNT, FLOATS, *[FLAGS] * 3, DOUBLES, INTEGERS, BYTES, COUNT, COUNT),
    "standardise": (COUNT, FLAGS, FLOATS),
    "sum_of_products": (COUNT, FLOATS, FLOATS),
    "length_of": (COUNT, FLOATS),
    "scale_to_unit_length": (COUNT, FLOATS),
    "clip": (COUNT, FLOATS, NUMBER),
    "add": (COUNT, FLOATS, FLOATS),
    "adam": (COUNT, FLOATS, FLOATS, COUNT, NUMBER, FLOATS, FLOATS),
    "fence": (),
}
"""What each kernel takes: arrays by the type of their numbers, and numbers by theirs."""
RESULTS: Mapping[str, Any] = {
    "dense_room": COUNT,
    "log_episodes": COUNT,
    "returns_so_far": COUNT,
    "clipped_surrogate": NUMBER,
    "sum_of_products": NUMBER,
    "length_of": NUMBER,
    "clip": NUMBER,
}


_kernels: dict[str, Any] = {}
"""By name, once they are opened."""


def open_kernels(tell: bool = True) -> Mapping[str, Any]:
    """All of them, compiled if need be; raises `BadInputError` where that is not possible. `tell`: see `library`."""
    if not _kernels:
        path = library(tell)
        try:
            opened = ctypes.CDLL(path)
        except OSError as error:
            raise BadInputError(f"kernels: {path} is damaged ({error}); remove it") from None
        for name, signature in SIGNATURES.items():
            kernel = getattr(opened, name)
            kernel.argtypes = [STRUCTURE if isinstance(kind, np.dtype) else kind for kind in signature]
            kernel.restype = RESULTS.get(name)
            _kernels[name] = kernel
    return _kernels


def prepare(name: str, *arguments: Any) -> Callable[..., Any]:
    """A kernel with its first arguments fixed: what is called often does not look at its arrays again.

    Arrays are read and written where they are, without a copy, so they must be of the right type and without gaps;
    raises `TypeError` if one is not. How many numbers they have is the caller's to know.
    """
    signature = SIGNATURES[name][: len(arguments)]
    fixed = [_passed(name, kind, argument) for kind, argument in zip(signature, arguments, strict=True)]
    prepared = partial(open_kernels()[name], *fixed)
    prepared.arrays = arguments  # type: ignore[attr-defined]  # they live as long as it does
    return prepared


def call(name: str, *arguments: Any) -> Any:
    """Call a kernel; raises `TypeError` as `prepare` does."""
    return prepare(name, *arguments)()


def address(array: NDArray[Any], kind: "np.dtype[Any]", size: int) -> int:
    """Where the numbers of an array begin, for a prepared kernel: at least `size` of them, of this type, without gaps.

    Raises `TypeError` where it is another array; it must be one that can be written.
    """
    if array.dtype != kind or not array.flags.c_contiguous or array.size < size:
        raise TypeError(f"an array of {size} {kind} without gaps is needed, not {array.shape} of {array.dtype}")
    return _address(array)


def require_sizes(size: int, *arrays: NDArray[Any]) -> None:
    """Raise `TypeError` unless all arrays have so many numbers."""
    if any(array.size != size for array in arrays):
        raise TypeError(f"arrays of {size} numbers are needed, not {[array.shape for array in arrays]}")


def _address(array: NDArray[Any]) -> int:
    # A quarter of the time of `array.ctypes.data`.
    return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]  # it is one


def fence() -> None:
    """Order what this process wrote and read before among what it writes and reads after, as others see it."""
    open_kernels()["fence"]()


def _passed(name: str, kind: Any, argument: Any) -> Any:
    if isinstance(argument, ctypes.Structure):
        return ctypes.addressof(argument)
    if not isinstance(kind, np.dtype):
        return argument
    if argument.dtype != kind or not argument.flags.c_contiguous:
        raise TypeError(f"{name} needs a {kind} array without gaps, not {argument.dtype} {argument.strides}")
    return argument.ctypes.data if argument.size == 0 or not argument.flags.writeable else _address(argument)
