"""Compiled inner loops: a step, its derivatives, given gradients, a whole run, and many runs."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax.compiled import compiled
from loptbench.implementations.jax.optimizers import Constants, Parameters, get_kind
from loptbench.implementations.jax.program import Inputs, Program
from loptbench.implementations.jax.tasks import loss_and_gradient

Matrices = tuple[tuple[Array, Array], tuple[Array, Array]]
Jacobian = Callable[[Array, Array], Matrices]


@compiled("kind")
def step(
    kind: str, constants: Constants, p: Parameters, state: Array, gradient: Array
) -> tuple[Array, Array]:
    """One step of every component."""
    return get_kind(kind).step(p, constants, state, gradient)


@compiled("kind")
def linearize(
    kind: str, constants: Constants, p: Parameters, state: Array, gradient: Array
) -> Matrices:
    """((A, B), (C, D)) of every component."""

    def step_of_component(h: Array, g: Array) -> tuple[Array, Array]:
        next_state, update = get_kind(kind).step(p, constants, h[None], g[None])
        return next_state[0], update[0]

    jacobian: Jacobian = jax.vmap(jax.jacrev(step_of_component, argnums=(0, 1)))
    return jacobian(state, gradient)


@compiled("kind")
def gain(kind: str, constants: Constants, p: Parameters, state: Array, gradient: Array) -> Array:
    """D of every component: as they are independent, the derivative along (1, …, 1)."""

    def update(g: Array) -> Array:
        return get_kind(kind).step(p, constants, state, g)[1]

    both: tuple[Array, Array] = jax.jvp(update, (gradient,), (jnp.ones_like(gradient),))
    return both[1]


@compiled("kind")
def drive(
    kind: str, constants: Constants, p: Parameters, state: Array, gradients: Array, times: Array
) -> Array:
    """The states at `times`, (n_times, n_components, n_state), under given gradients.

    The times are data, not part of the program: one program takes any numbers of steps. A time that
    repeats the one before it repeats the state.

    Args:
        kind: the optimizer kind.
        constants: its constants.
        p: its parameters.
        state: h[0], (n_components, n_state).
        gradients: (n_components,), or (n_steps, n_components) with a row for each step.
        times: (n_times,), integers that do not decrease.
    """

    def next_state(k: Array, state: Array) -> Array:
        gradient = gradients if gradients.ndim == 1 else gradients[k]
        return get_kind(kind).step(p, constants, state, gradient)[0]

    def until(carry: tuple[Array, Array], time: Array) -> tuple[tuple[Array, Array], Array]:
        state, last = carry
        state = jax.lax.fori_loop(last, time, next_state, state)
        return (state, time), state

    return jax.lax.scan(until, (state, jnp.zeros((), times.dtype)), times)[1]


def _scan(
    program: Program, inputs: Inputs, p: Parameters, state: Array, x: Array, first: Array | int = 0
) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
    def inner_step(
        carry: tuple[Array, Array], k: Array
    ) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
        state, x = carry
        loss, gradient = loss_and_gradient(program.loss, program.shapes, inputs.arrays, x, k)
        step = get_kind(program.kind).step
        next_state, update = step(p, inputs.constants, state, gradient.reshape(-1))
        update = update.reshape(x.shape)
        return (next_state, x + update), (loss, x, gradient, state, update)

    return jax.lax.scan(inner_step, (state, x), first + jnp.arange(program.n_steps))


def _from_start(
    program: Program, inputs: Inputs, p: Parameters, x0: Array
) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
    state = get_kind(program.kind).initial_state(p, x0.size)
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
    """The losses of a run; the compiler removes everything else."""
    _, (loss, *_) = _from_start(program, inputs, p, x0)
    return loss


@compiled("program")
def sweep(
    program: Program, inputs: Inputs, p: Parameters, state: Array, x: Array, first: Array
) -> tuple[Array, Array, Array]:
    """Losses, parameters and states of many draws, each from its own first step, (n_draws,)."""

    def one_draw(p: Parameters, state: Array, x: Array, first: Array) -> tuple[Array, Array, Array]:
        (state, x), (loss, *_) = _scan(program, inputs, p, state, x, first)
        return loss, x, state

    many: Callable[..., tuple[Array, Array, Array]] = jax.vmap(one_draw, out_axes=(1, 0, 0))
    return many(p, state, x, first)
