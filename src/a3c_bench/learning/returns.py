"""Returns and advantages."""

from collections.abc import Callable

from a3c_bench.arrays import Flags, Floats
from a3c_bench.kernels.library import call, prepare, require_sizes


def generalised_advantages(
    rewards: Floats,
    values: Floats,
    terminated: Flags,
    truncated: Flags,
    counted: Flags,
    gamma: float,
    gae_lambda: float,
    advantages: Floats,
    returns: Floats,
) -> Callable[[], None]:
    """Computes GAE(γ, λ) of a rollout into `advantages`, and advantage + value into `returns`, when it is called.

    Schulman et al., "High-Dimensional Continuous Control Using GAE", 2016, eq. 16. rewards, terminated, truncated,
    counted, advantages, returns: (steps, envs); values: (steps + 1, envs), the last row for bootstrapping.
    A terminated step has no next value; a truncated one has (its next row is the episode's last observation), but
    nothing flows back into it from the next episode. A step that is not counted (it only reset) has advantage 0.
    """
    require_sizes(rewards.size, terminated, truncated, counted, advantages, returns)
    require_sizes(rewards.size + rewards.shape[1], values)
    masks = (terminated, truncated, counted)
    factors = (gamma, gamma * gae_lambda)
    return prepare("generalised_advantages", *rewards.shape, rewards, values, *masks, *factors, advantages, returns)


def discounted_returns(rewards: Floats, gamma: float, returns: Floats) -> None:
    """Write the discounted return of every step of one whole episode: rewards (steps,) to returns (steps,)."""
    require_sizes(rewards.size, returns)
    call("discounted_returns", len(rewards), rewards, gamma, returns)


def scale_to_unit_length(vector: Floats) -> None:
    """Divide `vector`, in place, by its Euclidean length (by 1e-12 if that is smaller)."""
    call("scale_to_unit_length", len(vector), vector)


def standardise(advantages: Floats, counted: Flags) -> None:
    """Shift and scale the counted entries, in place, to mean 0 and deviation 1; the others become 0."""
    require_sizes(advantages.size, counted)
    call("standardise", advantages.size, counted, advantages)


def sum_of_products(left: Floats, right: Floats) -> float:
    """Σ left · right, in float64 and in order."""
    require_sizes(left.size, right)
    return float(call("sum_of_products", left.size, left, right))
