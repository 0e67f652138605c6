"""Which distribution a policy has, by what its actions are."""

from a3c_bench.distributions.base import Distribution
from a3c_bench.distributions.categorical import Categorical
from a3c_bench.distributions.gaussian import Gaussian
from a3c_bench.environments.spaces import ActionSpec


def distribution_for(action: ActionSpec) -> Distribution:
    """The distribution of a policy over such actions."""
    if action.kind == "numbers":
        return Gaussian(*action.sizes)
    return Categorical(action.sizes, several=action.kind == "choices")
