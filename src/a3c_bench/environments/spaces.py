"""What goes into a network and what comes out of a policy, by Gymnasium's spaces; and the wrappers that adapt them."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import Space
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple, flatdim, flatten, flatten_space
from numpy.typing import NDArray

from a3c_bench.arrays import Floats

MOST_NUMBERS = 2**24
"""Of an observation, or of what a network says of an action."""
SIMPLE = (Box, Discrete, MultiDiscrete, MultiBinary)
ActionKind = Literal["choice", "choices", "numbers"]


@dataclass(frozen=True)
class ObservationSpec:
    """An observation. Environments give it as a flat array; a network takes it as a row of float32 numbers."""

    shape: tuple[int, ...]
    """A Box's own; all other spaces are flattened, as Gymnasium does it."""
    dtype: str
    """What its numbers are until they are copied into a row: uint8 where it is an image."""

    @property
    def size(self) -> int:
        """Its numbers."""
        return math.prod(self.shape)

    @classmethod
    def of(cls, space: Space[Any]) -> "ObservationSpec":
        """Of an environment's own observation space; raises `ValueError` for one that makes no sense."""
        leaves = list(_leaves(space))
        if not leaves or not all(isinstance(leaf, SIMPLE) for leaf in leaves):
            raise ValueError(
                f"the observation space {_shown(space)}; allowed: Box, Discrete, MultiDiscrete, MultiBinary, and "
                "Tuple and Dict of these"
            )
        shape = space.shape if isinstance(space, Box) else (flatdim(space),)
        _require_some(math.prod(shape), "an observation space")
        flat: Any = flatten_space(space)
        return cls(tuple(map(int, shape)), flat.dtype.name)


@dataclass(frozen=True)
class ActionSpec:
    """An action, as a policy gives it."""

    kind: ActionKind
    """One choice, several, or numbers without bounds."""
    sizes: tuple[int, ...]
    """The actions, counted from 0, of each choice; or how many numbers there are."""

    @classmethod
    def of(cls, space: Space[Any]) -> "ActionSpec":
        """Of an environment's own action space; raises `ValueError` for one that makes no sense."""
        kind: ActionKind = "choices"
        sizes: Iterable[int]
        if isinstance(space, Discrete):
            kind, sizes = "choice", [space.n]
        elif isinstance(space, MultiDiscrete):
            sizes = space.nvec.flat
        elif isinstance(space, MultiBinary):
            sizes = [2] * math.prod(space.shape)
        elif isinstance(space, Box):
            kind, sizes = "numbers", [math.prod(space.shape)]
        else:
            raise ValueError(f"the action space {_shown(space)}; allowed: Discrete, MultiDiscrete, MultiBinary and Box")
        spec = cls(kind, tuple(map(int, sizes)))
        _require_some(sum(spec.sizes), "an action space")
        return spec


def _leaves(space: object) -> Iterator[Any]:
    """The spaces that a Tuple or Dict is made of, however deep; else the space itself."""
    return (leaf for leaf, _ in _parts(space, None))


def _parts(space: object, value: Any) -> Iterator[tuple[Any, Any]]:
    """The same, and what of a value lies in each."""
    if not isinstance(space, Tuple | Dict):
        yield space, value
        return
    keyed = space.spaces.items() if isinstance(space, Dict) else enumerate(space.spaces)
    for key, part in keyed:
        yield from _parts(part, None if value is None else value[key])


def _shown(space: object) -> str:
    return " ".join(str(space).split())


def _require_some(count: int, what: str) -> None:
    if not 0 < count <= MOST_NUMBERS:
        raise ValueError(f"{what} of {count:,} numbers; allowed: 1 to {MOST_NUMBERS:,}")


def adapt(environment: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """The environment with flat observations, and with actions as a policy gives them: itself where it is so anyway."""
    observation, action = environment.observation_space, environment.action_space
    if not (isinstance(observation, Box) and len(observation.shape) == 1):
        environment = Flattened(environment)
    if isinstance(action, Box):
        return Clipped(environment)
    if isinstance(action, Discrete) and action.start == 0:
        return environment
    return Chosen(environment)


class _Adapter:
    """All its state is that of the environment inside."""

    env: gymnasium.Env[Any, Any]

    def __reduce__(self) -> tuple[type, tuple[Any]]:
        return type(self), (self.env,)


class Flattened(_Adapter, gymnasium.ObservationWrapper[Any, Any, Any]):
    """Gives observations as flat arrays: a choice becomes as many numbers as it has, one of them 1, the others 0."""

    def __init__(self, environment: gymnasium.Env[Any, Any]) -> None:
        super().__init__(environment)
        self._space = environment.observation_space
        self.observation_space = flatten_space(self._space)

    def observation(self, observation: Any) -> NDArray[Any]:
        """The flat array; raises `ValueError` for one that lies outside its space."""
        for leaf, part in _parts(self._space, observation):
            # What `flatten` would take for another choice.
            if isinstance(leaf, Discrete | MultiDiscrete) and part not in leaf:
                raise ValueError(f"the observation {_shown(part)} lies outside its space {_shown(leaf)}")
        flat: NDArray[Any] = flatten(self._space, observation)  # type: ignore[assignment]  # of these spaces it is one
        if flat.shape != self.observation_space.shape:
            raise ValueError(f"an observation of {flat.size} numbers does not fit its space {_shown(self._space)}")
        return flat


class Chosen(_Adapter, gymnasium.ActionWrapper[Any, Any, Any]):
    """Takes choices counted from 0; several as a flat array."""

    def __init__(self, environment: gymnasium.Env[Any, Any]) -> None:
        super().__init__(environment)
        self._space: Any = environment.action_space
        self._start = getattr(self._space, "start", 0)
        sizes = ActionSpec.of(self._space).sizes
        self.action_space = Discrete(sizes[0]) if isinstance(self._space, Discrete) else MultiDiscrete(list(sizes))

    def action(self, action: Any) -> Any:
        """The action in the space's own shape and type, counted from its start."""
        return (np.reshape(action, self._space.shape) + self._start).astype(self._space.dtype)


class Clipped(_Adapter, gymnasium.ActionWrapper[Any, Any, Any]):
    """Takes any numbers, as a flat array."""

    def __init__(self, environment: gymnasium.Env[Any, Any]) -> None:
        super().__init__(environment)
        self._space: Any = environment.action_space
        self.action_space = Box(-np.inf, np.inf, ActionSpec.of(self._space).sizes, np.float32)

    def action(self, action: Any) -> Any:
        """The nearest numbers within the bounds, whole ones if need be, in the space's own shape and type."""
        space = self._space
        within = np.clip(np.reshape(action, space.shape), space.low, space.high)
        return (within if space.dtype.kind == "f" else np.rint(within)).astype(space.dtype)


def flat_observation(adapted: gymnasium.Env[Any, Any], observation: Any) -> Any:
    """The environment's own observation as `adapted` gives it; raises `ValueError` for one outside its space."""
    layers = [layer for layer in _adapters(adapted) if isinstance(layer, Flattened)]
    return layers[0].observation(observation) if layers else observation


def own_action(adapted: gymnasium.Env[Any, Any], action: Any) -> Any:
    """A policy's action as the environment's own `step` takes it."""
    layers = [layer for layer in _adapters(adapted) if isinstance(layer, Chosen | Clipped)]
    return layers[0].action(action) if layers else action


def _adapters(adapted: gymnasium.Env[Any, Any]) -> Iterator[_Adapter]:
    """What `adapt` put around an environment, the outermost first."""
    layer: Any = adapted
    while isinstance(layer, _Adapter):
        yield layer
        layer = layer.env


def as_float32(observation: object) -> Floats:
    """An observation as the network takes it: a copy, since an environment may use its own array again."""
    return np.array(observation, dtype=np.float32)
