"""The compiled functions: arrays in, arrays out; what is static selects what is compiled."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jax import Array

from loptbench.implementations.jax.compiled import compiled
from loptbench.implementations.jax.optimizers import KINDS, Constants, Parameters
from loptbench.implementations.jax.program import Inputs, Program
from loptbench.implementations.jax.tasks import loss_and_gradient
from loptbench.training.settings import MetaTraining

Matrices = tuple[tuple[Array, Array], tuple[Array, Array]]
Jacobian = Callable[[Array, Array], Matrices]


@compiled("kind")
def step(
    kind: str, constants: Constants, p: Parameters, state: Array, gradient: Array
) -> tuple[Array, Array]:
    """One step of every component."""
    return KINDS[kind].step(p, constants, state, gradient)


@compiled("kind")
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
    program: Program, inputs: Inputs, p: Parameters, state: Array, x: Array, first: Array | int = 0
) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
    def inner_step(
        carry: tuple[Array, Array], k: Array
    ) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
        state, x = carry
        loss, gradient = loss_and_gradient(program.task, program.shapes, inputs.arrays, x, k)
        step = KINDS[program.kind].step
        new_state, update = step(p, inputs.constants, state, gradient.reshape(-1))
        update = update.reshape(x.shape)
        return (new_state, x + update), (loss, x, gradient, state, update)

    return jax.lax.scan(inner_step, (state, x), first + jnp.arange(program.n_steps))


def _from_start(
    program: Program, inputs: Inputs, p: Parameters, x0: Array
) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
    state = KINDS[program.kind].initial_state(p, x0.size)
    return _scan(program, inputs, p, state, x0)


@compiled("program")
def unroll(program: Program, inputs: Inputs, p: Parameters, x0: Array) -> tuple[Array, ...]:
    """The fields of a `Trajectory`."""
    (state, x), (loss, xs, gradients, states, updates) = _from_start(program, inputs, p, x0)
    xs = jnp.concatenate([xs, x[None]])
    states = jnp.concatenate([states, state[None]])
    return loss, xs, gradients, states, updates


@compiled("program")
def unroll_losses(program: Program, inputs: Inputs, p: Parameters, x0: Array) -> Array:
    """The losses of a run; the compiler leaves out what is not returned."""
    _, (loss, *_) = _from_start(program, inputs, p, x0)
    return loss


@compiled("program")
def sweep(
    program: Program, inputs: Inputs, p: Parameters, state: Array, x: Array, first: Array
) -> tuple[Array, Array, Array]:
    """Losses, parameters and states of many draws, each from where it stands."""

    def one_draw(p: Parameters, state: Array, x: Array, first: Array) -> tuple[Array, Array, Array]:
        (state, x), (loss, *_) = _scan(program, inputs, p, state, x, first)
        return loss, x, state

    many: Callable[..., tuple[Array, Array, Array]] = jax.vmap(one_draw, out_axes=(1, 0, 0))
    return many(p, state, x, first)


def outer_optimizer(config: MetaTraining) -> optax.GradientTransformation:
    """Clipping and Adam, as `loptbench.protocol.MetaTrains.outer_step` defines them."""

    def learning_rate(t: Array) -> Array:
        # optax.exponential_decay computes this in float32, whatever the parameters are in.
        return config.learning_rate * config.decay ** (t.astype(config.dtype) / config.decay_steps)

    clips = {"elementwise": optax.clip, "global-norm": optax.clip_by_global_norm}
    return optax.chain(
        clips[config.clipping](config.clip),
        optax.adam(learning_rate, config.beta1, config.beta2, config.epsilon),
    )


@compiled("config")
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


@compiled("config")
def outer_updates(
    config: MetaTraining, p: Parameters, memory: optax.OptState, gradient: Parameters
) -> tuple[Parameters, optax.OptState, Array]:
    """`outer_update` of several seeds: everything has an axis before all others, the seed's."""
    each: Callable[..., tuple[Parameters, optax.OptState, Array]] = jax.vmap(
        partial(outer_update, config)
    )
    return each(p, memory, gradient)
