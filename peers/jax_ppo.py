"""PPO compiled end to end: environment (gymnax), policy and updates in one XLA program.

Written in the manner of PureJaxRL (Lu et al., "Discovered Policy Optimisation", NeurIPS 2022), with the
hyper-parameters that it publishes for CartPole-v1. The program is called for a chunk of updates at a time, so that
there is a clock's value to every chunk. Training ends when it is solved.
"""

from functools import partial
from typing import Any, NamedTuple

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from measured import Measured, arguments

ENVS, STEPS, BUDGET, CHUNK = 4, 128, 500_000, 8
EPOCHS, MINIBATCHES = 4, 4
LEARNING_RATE, GAMMA, GAE_LAMBDA, CLIP = 2.5e-4, 0.99, 0.95, 0.2
ENTROPY_WEIGHT, VALUE_WEIGHT, MAX_GRADIENT_NORM = 0.01, 0.5, 0.5
HIDDEN = 64
UPDATES = BUDGET // (ENVS * STEPS)

ENVIRONMENT, ENVIRONMENT_PARAMS = gymnax.make("CartPole-v1")
OPTIMIZER = optax.chain(
    optax.clip_by_global_norm(MAX_GRADIENT_NORM),
    optax.adam(optax.linear_schedule(LEARNING_RATE, 0.0, UPDATES * EPOCHS * MINIBATCHES), eps=1e-5),
)


class Transition(NamedTuple):
    """One step of every environment."""

    observation: jax.Array
    action: jax.Array
    log_probability: jax.Array
    value: jax.Array
    reward: jax.Array
    over: jax.Array
    episode_return: jax.Array
    """Of the episode that ended here; NaN where none did."""


class State(NamedTuple):
    """Everything that training carries on."""

    parameters: Any
    optimizer: Any
    environments: Any
    observation: jax.Array
    returns: jax.Array
    key: jax.Array


def network(parameters: Any, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Logits and value, from two networks of two tanh layers."""
    heads = []
    for layers in parameters:
        features = observation
        for weight, bias in layers[:-1]:
            features = jnp.tanh(features @ weight + bias)
        weight, bias = layers[-1]
        heads.append(features @ weight + bias)
    return heads[0], heads[1][..., 0]


def initial(key: jax.Array) -> Any:
    """Orthogonal weights, gains √2 for hidden layers, 0.01 for the actor's head and 1 for the critic's."""
    parameters = []
    for outputs, gain in ((2, 0.01), (1, 1.0)):
        layers = []
        for inputs, units, scale in ((4, HIDDEN, 2**0.5), (HIDDEN, HIDDEN, 2**0.5), (HIDDEN, outputs, gain)):
            key, own = jax.random.split(key)
            layers.append((jax.nn.initializers.orthogonal(scale)(own, (inputs, units)), jnp.zeros(units)))
        parameters.append(layers)
    return parameters


def step(state: State, _: None) -> tuple[State, Transition]:
    """Act once in every environment."""
    key, acting, stepping = jax.random.split(state.key, 3)
    logits, value = network(state.parameters, state.observation)
    action = jax.random.categorical(acting, logits)
    log_probability = jnp.take_along_axis(jax.nn.log_softmax(logits), action[:, None], 1)[:, 0]
    observation, environments, reward, terminated, truncated, _ = jax.vmap(ENVIRONMENT.step, in_axes=(0, 0, 0, None))(
        jax.random.split(stepping, ENVS), state.environments, action, ENVIRONMENT_PARAMS
    )
    over = terminated | truncated
    returns = state.returns + reward
    seen = Transition(
        state.observation, action, log_probability, value, reward, over, jnp.where(over, returns, jnp.nan)
    )
    carried = State(state.parameters, state.optimizer, environments, observation, jnp.where(over, 0.0, returns), key)
    return carried, seen


def advantages(rollout: Transition, last_value: jax.Array) -> jax.Array:
    """GAE, backwards."""

    def back(carry: tuple[jax.Array, jax.Array], row: Transition) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        following, next_value = carry
        error = row.reward + GAMMA * next_value * ~row.over - row.value
        following = error + GAMMA * GAE_LAMBDA * ~row.over * following
        return (following, row.value), following

    _, result = jax.lax.scan(back, (jnp.zeros(ENVS), last_value), rollout, reverse=True, unroll=16)
    return result


def loss(parameters: Any, batch: Transition, advantage: jax.Array, target: jax.Array) -> jax.Array:
    """PPO's clipped objective, with a clipped value loss."""
    logits, value = network(parameters, batch.observation)
    log_probabilities = jax.nn.log_softmax(logits)
    ratio = jnp.exp(jnp.take_along_axis(log_probabilities, batch.action[:, None], 1)[:, 0] - batch.log_probability)
    near = batch.value + jnp.clip(value - batch.value, -CLIP, CLIP)
    value_error = 0.5 * jnp.maximum((value - target) ** 2, (near - target) ** 2).mean()
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    objective = jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - CLIP, 1 + CLIP) * advantage).mean()
    entropy = -(jnp.exp(log_probabilities) * log_probabilities).sum(-1).mean()
    return -objective + VALUE_WEIGHT * value_error - ENTROPY_WEIGHT * entropy


def update(state: State, _: None) -> tuple[State, jax.Array]:
    """Collect a rollout and learn from it; gives the returns of the episodes that ended, by (step, env)."""
    state, rollout = jax.lax.scan(step, state, None, STEPS)
    _, last_value = network(state.parameters, state.observation)
    advantage = advantages(rollout, last_value)
    data = jax.tree.map(
        lambda block: block.reshape(ENVS * STEPS, *block.shape[2:]), (rollout, advantage, advantage + rollout.value)
    )

    def epoch(carry: tuple[Any, Any, jax.Array], _: None) -> tuple[tuple[Any, Any, jax.Array], None]:
        parameters, optimizer, key = carry
        key, own = jax.random.split(key)
        order = jax.random.permutation(own, ENVS * STEPS).reshape(MINIBATCHES, -1)

        def minibatch(carry: tuple[Any, Any], rows: jax.Array) -> tuple[tuple[Any, Any], None]:
            parameters, optimizer = carry
            batch = jax.tree.map(lambda block: block[rows], data)
            changes, optimizer = OPTIMIZER.update(jax.grad(loss)(parameters, *batch), optimizer)
            return (optax.apply_updates(parameters, changes), optimizer), None

        (parameters, optimizer), _ = jax.lax.scan(minibatch, (parameters, optimizer), order)
        return (parameters, optimizer, key), None

    (parameters, optimizer, key), _ = jax.lax.scan(epoch, (state.parameters, state.optimizer, state.key), None, EPOCHS)
    return state._replace(parameters=parameters, optimizer=optimizer, key=key), rollout.episode_return


@partial(jax.jit, donate_argnums=0)
def chunk(state: State) -> tuple[State, jax.Array]:
    """Several updates; gives the returns of the episodes that ended, by (update, step, env)."""
    return jax.lax.scan(update, state, None, CHUNK)


def main() -> None:
    """Train and report."""
    given = arguments("PPO")
    measured = Measured(("jax", "jaxlib", "gymnax", "optax", "numpy"), given.deadline)
    key, network_key, reset_key = jax.random.split(jax.random.key(given.seed), 3)
    parameters = initial(network_key)
    observation, environments = jax.vmap(ENVIRONMENT.reset, in_axes=(0, None))(
        jax.random.split(reset_key, ENVS), ENVIRONMENT_PARAMS
    )
    state = State(parameters, OPTIMIZER.init(parameters), environments, observation, jnp.zeros(ENVS), key)
    env_steps, over = 0, False
    while env_steps < BUDGET and not over:
        state, returns = chunk(state)
        by_step = np.asarray(returns).reshape(-1, ENVS)
        for steps, env in np.argwhere(~np.isnan(by_step)):
            over = measured.episode(float(by_step[steps, env]), env_steps + ENVS * (int(steps) + 1))
        env_steps += by_step.size
        if measured.started is None:  # the first call compiled
            measured.start(env_steps)
    measured.report(env_steps, b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state.parameters)))


if __name__ == "__main__":
    main()
