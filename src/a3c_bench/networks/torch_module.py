"""Networks of one's own: a `torch.nn.Module` whose parameters lie in the flat float32 vector.

`Class(observation_shape, outputs, **kwargs)` makes the module. It takes observations (rows, *observation_shape) of
float32 and gives the policy's outputs (rows, outputs) and the critic's values (rows,). torch is imported only where
such a network is used, and gives gradients only: the step is the project's own.
"""

import json
import math
import os
import platform
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.random import Generator

from a3c_bench.arrays import Floats
from a3c_bench.errors import BadInputError
from a3c_bench.kernels.library import FLOATS, address, require_sizes
from a3c_bench.machine import cpu_flags, cpu_model
from a3c_bench.networks.base import Layout
from a3c_bench.params import imported

if TYPE_CHECKING:
    from torch import Tensor, nn

Numerics = Literal["portable", "native"]
"""portable: the same bits on every x86-64 CPU with AVX2 | native: as fast as this CPU can, and its bits."""
PINS: Mapping[str, str] = {
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
}
"""What torch's libraries read when they are first used."""
PINNED_FLAGS, PINNED_CAPABILITY = {"avx2", "fma"}, "AVX2"
EXACT = ("bool", "uint8")
"""Types of observations that rows keep: each of their numbers is one of float32."""
FREE = "free_outputs"
"""The tensor of the outputs that do not depend on the observation; after the module's own."""


class NetworkError(Exception):
    """A network does not do what a network has to: one line that says what."""


def open_torch(numerics: Numerics) -> None:
    """Import torch, in one thread, its operations deterministic; raises `BadInputError` where it cannot be pinned."""
    if numerics == "portable":
        _open_pinned()
    import torch

    torch.use_deterministic_algorithms(True)


@lru_cache(maxsize=1)
def _open_pinned() -> None:
    if platform.machine() not in {"x86_64", "AMD64"} or not cpu_flags() >= PINNED_FLAGS:
        raise BadInputError(
            f"network: torch promises its bits on x86-64 CPUs with AVX2 only, and this is {cpu_model()}; "
            "numerics: native trains without that promise"
        )
    before = {name: os.environ.get(name) for name in PINS}
    late = "torch" in sys.modules and before != PINS
    os.environ.update(PINS)
    import torch

    if not late:
        # What they read at their first use is theirs for good, and nothing is left to what this process starts.
        row = torch.ones(1, 8, 8, 8)
        torch.nn.functional.conv2d(row, row)
        row[0, 0] @ row[0, 0]
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    if late or torch.backends.cpu.get_cpu_capability() != PINNED_CAPABILITY:
        asked = " ".join(f"{name}={value}" for name, value in PINS.items())
        raise BadInputError(
            f"network: torch was imported before its bits could be pinned; set {asked} before, or numerics: native"
        )


@dataclass(frozen=True)
class TorchArchitecture:
    """A module by its name, and what it is made from."""

    target: str
    """`package.module:Class`."""
    shape: tuple[int, ...]
    """Of an observation."""
    outputs: int
    """That the policy needs, the free ones too."""
    free_outputs: int = 0
    """How many of them, the last, are parameters that do not depend on the observation. The module gives the others."""
    dtype: str = "float32"
    """Of the rows; the module gets the same numbers as float32."""
    kwargs: str = "{}"
    """What else the class is given, as JSON."""
    numerics: Numerics = "portable"
    free_start: float = 0.0
    """What the free outputs begin with."""

    @cached_property
    def layout(self) -> Layout:
        """Of its parameters, in the order of the module's `named_parameters`."""
        return _layout(self)

    def make(self, seed: int) -> "nn.Module":
        """The module, torch's own generator seeded meanwhile; raises whatever the class's code raises."""
        open_torch(self.numerics)
        import torch

        # Its one generator for all threads is put back as it was.
        with _making, torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made: nn.Module = imported(self.target)(
                self.shape, self.outputs - self.free_outputs, **json.loads(self.kwargs)
            )
        return made

    def initial(self, generator: Generator) -> Floats:
        """Fresh parameters (size,): those that the class gives itself."""
        flat = np.full(self.layout.size, self.free_start, np.float32)
        module = self.make(int(generator.integers(2**63)))
        # The free outputs, if any, come last.
        for tensor, parameter in zip(self.layout.tensors(flat).values(), module.parameters(), strict=False):
            tensor[...] = parameter.detach().numpy()
        return flat

    def rows(self, count: int) -> "TorchRows":
        """Room for so many observations."""
        open_torch(self.numerics)
        import torch

        observations = torch.zeros((count, math.prod(self.shape)), dtype=getattr(torch, self.dtype))
        return TorchRows(observations, torch.zeros(count, self.outputs), torch.zeros(count), self.shape)

    def bind(self, parameters: Floats) -> "TorchNetwork":
        """The network on `parameters` (size,), which it reads where they are."""
        return TorchNetwork(self, parameters)


@lru_cache
def _layout(architecture: TorchArchitecture) -> Layout:
    shapes = {name: tuple(tensor.shape) for name, tensor in architecture.make(0).named_parameters()}
    free = {FREE: (architecture.free_outputs,)} if architecture.free_outputs else {}
    return Layout({**shapes, **free})


class Computed(NamedTuple):
    """What a forward pass gives, and what a gradient can be carried back to."""

    outputs: "Tensor"
    values: "Tensor"
    leaves: "Mapping[str, Tensor]"


class TorchRows:
    """Some observations, a row each, in memory of torch, whose alignment is always the same."""

    def __init__(self, observations: "Tensor", outputs: "Tensor", values: "Tensor", shape: tuple[int, ...]) -> None:
        self._tensors, self._shape = (observations, outputs, values), shape
        self.observations, self.outputs, self.values = (tensor.numpy() for tensor in self._tensors)
        self._given = observations.view(-1, *shape)
        self.computed: Computed | None = None
        """In the last forward pass, if it was one of all rows to learn from."""

    def part(self, start: int, stop: int) -> "TorchRows":
        """The same memory from row `start` to `stop`."""
        observations, outputs, values = (tensor[start:stop] for tensor in self._tensors)
        return TorchRows(observations, outputs, values, self._shape)

    def given(self, start: int, stop: int) -> "Tensor":
        """Observations as the module takes them."""
        return self._given[start:stop].float()


class TorchNetwork:
    """A module on a flat vector. Every thread has a module of its own, on the same parameters."""

    def __init__(self, architecture: TorchArchitecture, parameters: Floats) -> None:
        self.architecture, self._size = architecture, architecture.layout.size
        require_sizes(self._size, parameters)
        self.tensors = tensors(architecture, parameters)

    def forward(self, rows: TorchRows, start: int, stop: int, values: bool = True) -> None:
        """Fill outputs, and values if asked, from row `start` to `stop`: they must be there."""
        import torch

        # Whoever needs the values of all rows at once is going to learn from them.
        learns = values and stop - start == len(rows.values)
        with torch.set_grad_enabled(learns):
            computed = self._compute(rows, start, stop)
        rows.computed = computed if learns else None
        rows.outputs[start:stop] = computed.outputs.detach().numpy()
        rows.values[start:stop] = computed.values.detach().numpy()

    def backward(self, rows: TorchRows, by_outputs: Floats, by_values: Floats, gradient: Floats) -> None:
        """Write the gradient (size,) of a loss, given its gradients by outputs (count, outputs) and values (count,)."""
        import torch

        count = len(by_values)
        for array, size in ((by_outputs, count * rows.outputs.shape[1]), (by_values, count), (gradient, self._size)):
            address(array, FLOATS, size)
        computed, rows.computed = rows.computed, None
        if computed is None:
            # Acting computed these rows a few at a time: once more, together, costs less than going back through each.
            with torch.enable_grad():
                computed = self._compute(rows, 0, count)
        gradients = differentiate(computed, torch.from_numpy(by_outputs[:count]), torch.from_numpy(by_values))
        torch.cat([part.reshape(-1) for part in gradients], out=torch.from_numpy(gradient[: self._size]))

    def _compute(self, rows: TorchRows, start: int, stop: int) -> Computed:
        return compute(*_own().bound(self), rows.given(start, stop), rows.outputs.shape[1])


def tensors(architecture: TorchArchitecture, parameters: Floats) -> "dict[str, Tensor]":
    """Views on the vector `parameters` (size,), by name."""
    import torch

    views = architecture.layout.tensors(np.require(parameters, requirements="W"))
    return {name: torch.from_numpy(view).requires_grad_() for name, view in views.items()}


def bind(module: "nn.Module", views: "Mapping[str, Tensor]") -> "Mapping[str, Tensor]":
    """Let the module's parameters lie where the tensors of their names lie; gives what learns, by name."""
    leaves = {**views, **dict(module.named_parameters())}
    for name, parameter in module.named_parameters():
        parameter.data = views[name].detach()
    return leaves


def compute(module: "nn.Module", leaves: "Mapping[str, Tensor]", given: "Tensor", size: int) -> Computed:
    """The outputs (rows, size) and values (rows,) of a module that is bound; raises `NetworkError` for other shapes."""
    import torch

    count, free = len(given), leaves.get(FREE)
    own_size = size - (0 if free is None else len(free))
    answer = module(given)
    if not (isinstance(answer, tuple) and len(answer) == 2 and all(isinstance(part, torch.Tensor) for part in answer)):
        raise NetworkError(
            f"forward gives {type(answer).__name__}, where a tuple of two tensors, outputs and values, is needed"
        )
    for what, part, shape in zip(("outputs", "values"), answer, ((count, own_size), (count,)), strict=True):
        if part.shape != shape or part.dtype != torch.float32:
            raise NetworkError(
                f"forward gives {what} of shape {tuple(part.shape)} and {part.dtype} for {count} observations, where "
                f"{shape} and {torch.float32} are needed"
            )
    outputs, values = answer
    if free is not None:
        outputs = torch.cat([outputs, free.expand(count, -1)], 1)
    return Computed(outputs, values, leaves)


def differentiate(computed: Computed, by_outputs: "Tensor", by_values: "Tensor") -> "Sequence[Tensor]":
    """The gradient of a loss by every parameter; raises `NetworkError` that names one for which there is none."""
    import torch

    ways = [(computed.outputs, by_outputs), (computed.values, by_values)]
    ways = [(end, by_end) for end, by_end in ways if end.requires_grad]
    gradients: Sequence[Tensor | None] = [None] * len(computed.leaves)
    if ways:
        ends, by_ends = zip(*ways, strict=True)
        gradients = torch.autograd.grad(ends, list(computed.leaves.values()), by_ends, allow_unused=True)
    for name, gradient in zip(computed.leaves, gradients, strict=True):
        if gradient is None:
            raise NetworkError(
                f"there is no gradient for its parameter {name}: neither outputs nor values depend on it"
            )
    return gradients  # type: ignore[return-value]  # none of them is None


class _Own(threading.local):
    """A thread's own modules: one may keep what it computes in its attributes."""

    def __init__(self) -> None:
        import torch

        # A thread's own number too. The cores are shared out between workers, and their threads share rows.
        torch.set_num_threads(1)
        self._modules: dict[TorchArchitecture, nn.Module] = {}
        self._bound: dict[TorchArchitecture, tuple[weakref.ref[TorchNetwork], Mapping[str, Tensor]]] = {}

    def bound(self, network: TorchNetwork) -> "tuple[nn.Module, Mapping[str, Tensor]]":
        """The one of the network's architecture, on the network's parameters; and what learns in it, by name."""
        architecture = network.architecture
        if architecture not in self._modules:
            self._modules[architecture] = architecture.make(0)
        module, (before, leaves) = self._modules[architecture], self._bound.get(architecture, (None, {}))
        if before is None or before() is not network:
            leaves = bind(module, network.tensors)
            self._bound[architecture] = weakref.ref(network), leaves
        return module, leaves


@lru_cache(maxsize=1)
def _own() -> _Own:
    return _Own()


_making = threading.Lock()
