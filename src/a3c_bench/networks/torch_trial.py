"""What a module does is tried before it is trusted: a training must not depend on what its parameters do not say."""

import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from a3c_bench.errors import BadInputError, describe_error
from a3c_bench.networks.torch_module import (
    FREE,
    Computed,
    NetworkError,
    TorchArchitecture,
    bind,
    compute,
    differentiate,
    tensors,
)
from a3c_bench.supervision import StoppedError

if TYPE_CHECKING:
    from torch import Tensor, nn

LONGEST_REASON = 300
ALLOWED = "allowed: package.module:Class of a torch.nn.Module, as docs/networks.md describes it"
CLOSE = 1e-3
"""So much may a row's outputs differ by what other rows there are: rounding, and no more."""


def finding(architecture: TorchArchitecture, observations: NDArray[Any]) -> str | None:
    """Why a network cannot be trained, tried on some observations (rows, size), in one line; None if it can."""
    try:
        with warnings.catch_warnings():
            # Its author's business, and said again whenever it computes.
            warnings.simplefilter("ignore")
            _try(architecture, observations)
    except (NetworkError, BadInputError) as error:
        reason = str(error)
    except StoppedError:
        raise
    except BaseException as error:  # its own code may raise anything
        reason = describe_error(error)[:LONGEST_REASON]
    else:
        return None
    return f"{architecture.target!r}: {reason}; {ALLOWED}"


def _try(architecture: TorchArchitecture, observations: NDArray[Any]) -> None:
    # Two of them, whose own numbers differ wherever these are drawn.
    modules = [architecture.make(seed) for seed in (0, 1)]
    for module in modules:
        _require_parameters(module)
    _require_alike(*modules)
    flat = architecture.initial(np.random.default_rng(0))
    if flat.tobytes() != architecture.initial(np.random.default_rng(0)).tobytes():
        raise NetworkError("its first parameters are drawn, but not from torch's generator, which alone is seeded")
    # Rows that are surely unlike others, where an environment always shows the same.
    rows = architecture.rows(2 * len(observations))
    rows.observations[: len(observations)] = observations
    views, answers = tensors(architecture, flat), []
    compiled = _frames_compiled()
    for module in (*modules, modules[0]):
        leaves = bind(module, views)
        with _nothing_changes(module, rows.given(0, len(rows.values))):
            computed = compute(module, leaves, rows.given(0, len(rows.values)), architecture.outputs)
            answers.append(_bits(computed))
    if _frames_compiled() > compiled:
        raise NetworkError("it uses torch.compile, which compiles for the CPU at hand")
    if len({*answers}) > 1:
        same = "asked again" if answers[0] != answers[2] else "made again"
        raise NetworkError(
            f"{same} it answers otherwise, with the same parameters: it draws at random, remembers something, or has "
            "numbers that are neither parameters nor always the same"
        )
    _require_finite(computed)
    _require_rows_alone(computed, compute(modules[0], leaves, rows.given(0, 1), architecture.outputs))


def _require_parameters(module: Any) -> None:
    """Raise `NetworkError` where they cannot lie in a flat vector."""
    import torch
    from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

    if not isinstance(module, torch.nn.Module):
        raise NetworkError(f"it gives {type(module).__name__}")
    parameters, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    if not parameters or FREE in parameters:
        raise NetworkError(f"it has {f'a parameter {FREE}, which is taken' if parameters else 'no parameters'}")
    for name, tensor in {**parameters, **buffers}.items():
        if isinstance(tensor, UninitializedTensorMixin):
            raise NetworkError(f"{name} has no shape yet: lazy layers are not supported, say how many inputs they have")
    for name, parameter in parameters.items():
        if parameter.dtype != torch.float32 or parameter.device.type != "cpu":
            raise NetworkError(
                f"its parameter {name} is {parameter.dtype} on {parameter.device}, not float32 on the CPU"
            )
        if not parameter.requires_grad:
            raise NetworkError(f"its parameter {name} is frozen: make it a buffer, or let it learn")
    _require_own_memory({**parameters, **buffers}, set(parameters))


def _require_own_memory(named: "dict[str, Tensor]", parameters: set[str]) -> None:
    owners: dict[int, str] = {}
    for name, tensor in named.items():
        other = owners.setdefault(tensor.untyped_storage().data_ptr(), name)
        if other != name and {name, other} & parameters and tensor.numel():
            raise NetworkError(
                f"{name} shares the memory of {other}, but is another tensor: tie them by one Parameter under two names"
            )


def _require_alike(first: "nn.Module", second: "nn.Module") -> None:
    """Raise `NetworkError` unless two modules of a class have the same shapes, and the same buffers."""
    shapes = [{name: tuple(tensor.shape) for name, tensor in module.named_parameters()} for module in (first, second)]
    if list(shapes[0].items()) != list(shapes[1].items()):
        raise NetworkError("made again it has other parameters")
    buffers = [_contents(module) for module in (first, second)]
    for name in buffers[0].keys() | buffers[1].keys():
        if buffers[0].get(name) != buffers[1].get(name):
            raise NetworkError(f"its buffer {name} is drawn at random: make it a parameter, or the same every time")


def _contents(module: "nn.Module") -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in module.named_buffers()}


@contextmanager
def _nothing_changes(module: "nn.Module", given: "Tensor") -> Iterator[None]:
    """Raise `NetworkError` where computing changes anything that it finds."""
    import torch

    buffers, observations, states = _contents(module), given.clone(), _random_states()
    yield
    if _random_states() != states:
        raise NetworkError("it draws random numbers when it computes (dropout, noise), which is not supported")
    for name, content in _contents(module).items():
        if content != buffers.get(name):
            raise NetworkError(
                f"it changes its buffer {name} when it computes (batch statistics?), which is not supported; LayerNorm "
                "and GroupNorm are"
            )
    if not torch.equal(given, observations):
        raise NetworkError("it changes the observations that it is given")


def _random_states() -> tuple[object, ...]:
    """Of the generators that a process has one of."""
    import torch

    numpys: Any = np.random.get_state()
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), numpys[1].tobytes(), numpys[2:]


def _frames_compiled() -> int:
    """By `torch.compile`, in this process."""
    counting = sys.modules.get("torch._dynamo.utils")
    return sum(counting.counters["frames"].values()) if counting else 0


def _bits(computed: Computed) -> bytes:
    import torch

    by_outputs, by_values = torch.ones_like(computed.outputs), torch.ones_like(computed.values)
    # The sum of a row's probabilities has no gradient, as the sum of all outputs may have none.
    by_outputs[:, 0] = 2
    parts = [computed.outputs.detach(), computed.values.detach(), *differentiate(computed, by_outputs, by_values)]
    return b"".join(part.numpy().tobytes() for part in parts)


def _require_finite(computed: Computed) -> None:
    for what, part in (("outputs", computed.outputs), ("values", computed.values)):
        if not part.isfinite().all():
            raise NetworkError(f"with its first parameters it gives {what} that are not finite")


def _require_rows_alone(together: Computed, alone: Computed) -> None:
    """Raise `NetworkError` where the first row's answer depends on the others."""
    import torch

    for what, ours, theirs in zip(("outputs", "values"), alone[:2], together[:2], strict=True):
        scale = theirs.abs().max().item()
        if not torch.allclose(ours[0], theirs[0], rtol=CLOSE, atol=CLOSE * scale):
            raise NetworkError(f"the {what} of an observation depend on the others beside it (batch statistics?)")
