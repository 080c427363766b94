"""The compiled functions: arrays in, arrays out; what is static selects what is compiled."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jax import Array

from loptbench.implementations.jax.optimizers import KINDS, Constants, Parameters
from loptbench.implementations.jax.tasks import Arrays, loss_and_gradient
from loptbench.meta_config import MetaTraining

Matrices = tuple[tuple[Array, Array], tuple[Array, Array]]
Jacobian = Callable[[Array, Array], Matrices]


@partial(jax.jit, static_argnames="kind")
def step(
    kind: str, constants: Constants, p: Parameters, state: Array, gradient: Array
) -> tuple[Array, Array]:
    """One step of every component."""
    return KINDS[kind].step(p, constants, state, gradient)


@partial(jax.jit, static_argnames="kind")
def linearize(
    kind: str, constants: Constants, p: Parameters, state: Array, gradient: Array
) -> Matrices:
    """((A, B), (C, D)) of every component."""

    def one_component(h: Array, g: Array) -> tuple[Array, Array]:
        new, update = KINDS[kind].step(p, constants, h[None], g[None])
        return new[0], update[0]

    jacobian: Jacobian = jax.vmap(jax.jacrev(one_component, argnums=(0, 1)))
    return jacobian(state, gradient)


def _scan(
    kind: str,
    constants: Constants,
    task: str,
    n_steps: int,
    p: Parameters,
    arrays: Arrays,
    x0: Array,
) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
    def inner_step(
        carry: tuple[Array, Array], k: Array
    ) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
        state, x = carry
        loss, gradient = loss_and_gradient(task, arrays, x, k)
        new_state, update = KINDS[kind].step(p, constants, state, gradient.reshape(-1))
        update = update.reshape(x.shape)
        return (new_state, x + update), (loss, x, gradient, state, update)

    start = (KINDS[kind].initial_state(p, x0.size), x0)
    return jax.lax.scan(inner_step, start, jnp.arange(n_steps))


@partial(jax.jit, static_argnames=("kind", "task", "n_steps"))
def unroll(
    kind: str,
    constants: Constants,
    task: str,
    n_steps: int,
    p: Parameters,
    arrays: Arrays,
    x0: Array,
) -> tuple[Array, ...]:
    """The fields of a `Trajectory`."""
    (state, x), (loss, xs, gradients, states, updates) = _scan(
        kind, constants, task, n_steps, p, arrays, x0
    )
    xs = jnp.concatenate([xs, x[None]])
    states = jnp.concatenate([states, state[None]])
    return loss, xs, gradients, states, updates


@partial(jax.jit, static_argnames=("kind", "task", "n_steps"))
def meta_gradient(
    kind: str,
    constants: Constants,
    task: str,
    n_steps: int,
    p: Parameters,
    arrays: Arrays,
    x0: Array,
) -> tuple[Array, Parameters]:
    """The meta-objective of each problem, and the gradient of its mean."""

    def mean_objective(p: Parameters) -> tuple[Array, Array]:
        _, (loss, *_) = _scan(kind, constants, task, n_steps, p, arrays, x0)
        objective = jnp.mean(loss, axis=0) / loss[0]
        return jnp.mean(objective), objective

    gradient, objective = jax.grad(mean_objective, has_aux=True)(p)
    return objective, gradient


def outer_optimizer(config: MetaTraining) -> optax.GradientTransformation:
    """Clipping and Adam, as `loptbench.protocol.MetaTrains.outer_step` defines them."""

    def learning_rate(t: Array) -> Array:
        # optax.exponential_decay computes this in float32, whatever the parameters are in.
        return config.learning_rate * config.decay ** (t.astype(config.dtype) / config.decay_steps)

    return optax.chain(
        optax.clip(config.clip),
        optax.adam(learning_rate, config.beta1, config.beta2, config.epsilon),
    )


@partial(jax.jit, static_argnames="config")
def outer_update(
    config: MetaTraining, p: Parameters, memory: optax.OptState, gradient: Parameters
) -> tuple[Parameters, optax.OptState, Array]:
    """The parameters and Adam's memory after one outer step; whether the gradient was finite."""
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(g)) for g in gradient.values()]))
    norm = jnp.sqrt(sum(jnp.sum(array**2) for array in p.values()))
    shrink = config.penalty / jnp.where(norm > 0, norm, 1)
    gradient = jax.tree.map(lambda g, array: g + shrink * array, gradient, p)
    updates, memory = outer_optimizer(config).update(gradient, memory)
    return optax.apply_updates(p, updates), memory, finite
