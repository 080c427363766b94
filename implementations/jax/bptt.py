"""The meta-gradient: backpropagation through a run, second derivatives of the loss included.

`loptbench.implementations.reference.bptt` has the equations; `x_bar` is the adjoint of x.

The forward pass keeps the values that the backward pass needs of each step. With segments, it keeps
only the last segment; the backward pass recomputes each earlier one from its first state.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax.compiled import compiled
from loptbench.implementations.jax.optimizers import Constants, Parameters, get_kind, gru
from loptbench.implementations.jax.program import Inputs, Program
from loptbench.implementations.jax.tasks import loss_and_gradient


class Differentiable(NamedTuple):
    """An optimizer kind with the backward pass of its step.

    Attributes:
        initial_state: (parameters, n_components) -> state.
        fuse: (parameters) -> weights, in the form that `forward` and `pullback` use.
        forward: (weights, constants, state, gradient) -> (next state, update), residuals.
        pullback: (weights, constants, residuals, state_bar, update_bar) -> the adjoints of the
            state, of the gradient and of the weights.
        split: (adjoints of the weights) -> adjoints of the parameters, by name.
    """

    initial_state: Callable[[Parameters, int], Array]
    fuse: Callable[[Parameters], Any]
    forward: Callable[[Any, Constants, Array, Array], tuple[tuple[Array, Array], Any]]
    pullback: Callable[[Any, Constants, Any, Array, Array], tuple[Array, Array, Any]]
    split: Callable[[Any], Parameters]


BY_HAND = {
    "gru": Differentiable(gru.initial_state, gru.fuse, gru.forward, gru.pullback, gru.split),
}
"""The kinds whose backward pass is written by hand; JAX differentiates the steps of all others."""


def _differentiable(kind: str) -> Differentiable:
    return BY_HAND.get(kind) or _differentiated(kind)


def _differentiated(kind: str) -> Differentiable:
    """Any kind: the backward pass computes a step again and differentiates it."""
    step = get_kind(kind).step

    def forward(
        p: Parameters, constants: Constants, state: Array, gradient: Array
    ) -> tuple[tuple[Array, Array], Any]:
        return step(p, constants, state, gradient), (state, gradient)

    def pullback(
        p: Parameters, constants: Constants, residuals: Any, state_bar: Array, update_bar: Array
    ) -> tuple[Array, Array, Parameters]:
        _, pull = jax.vjp(lambda p, h, g: step(p, constants, h, g), p, *residuals)
        p_bar, h_bar, gradient_bar = pull((state_bar, update_bar))
        return h_bar, gradient_bar, p_bar

    return Differentiable(get_kind(kind).initial_state, dict, forward, pullback, dict)


def _side_by_side(single: Differentiable, n: int) -> Differentiable:
    """n optimizers of a kind; each has the same number of the components, in order.

    Parameters, weights and states have a leading axis for the optimizer.
    """

    def initial_state(p: Parameters, n_components: int) -> Array:
        return jax.vmap(lambda p: single.initial_state(p, n_components // n))(p)

    def forward(
        weights: Any, constants: Constants, state: Array, gradient: Array
    ) -> tuple[tuple[Array, Array], Any]:
        each = jax.vmap(single.forward, in_axes=(0, None, 0, 0))
        (next_state, update), residuals = each(weights, constants, state, gradient.reshape(n, -1))
        return (next_state, update.reshape(-1)), residuals

    def pullback(
        weights: Any, constants: Constants, residuals: Any, state_bar: Array, update_bar: Array
    ) -> tuple[Array, Array, Any]:
        each = jax.vmap(single.pullback, in_axes=(0, None, 0, 0, 0))
        h_bar, gradient_bar, weights_bar = each(
            weights, constants, residuals, state_bar, update_bar.reshape(n, -1)
        )
        return h_bar, gradient_bar.reshape(-1), weights_bar

    fuse, split = jax.vmap(single.fuse), jax.vmap(single.split)
    return Differentiable(initial_state, fuse, forward, pullback, split)


class _Adjoints(NamedTuple):
    """The carry of the backward pass: adjoints of h_k and x_k, and the sum of the weights'."""

    state: Array
    x: Array
    weights: Any


@compiled("program", "segment_length")
def meta_gradient(
    program: Program, inputs: Inputs, p: Parameters, x0: Array, segment_length: int | None = None
) -> tuple[Array, Parameters]:
    """The meta-objective of each problem, and the gradient of its mean.

    Args:
        program: the program to compile.
        inputs: the problems.
        p: the optimizer's parameters.
        x0: the initial parameters of the problems, (n_problems, n_parameters).
        segment_length: the number of steps in a segment; None keeps all steps.
    """
    kind = _differentiable(program.kind)
    return _meta_gradient(kind, program, inputs, p, x0, len(x0), segment_length)


@compiled("program", "segment_length")
def meta_gradients(
    program: Program, inputs: Inputs, p: Parameters, x0: Array, segment_length: int | None = None
) -> tuple[Array, Parameters]:
    """`meta_gradient` of several optimizers side by side, each with its own problems.

    Args:
        program: the program to compile.
        inputs: the problems: first those of the first optimizer, then those of the second, ….
        p: their parameters, with a leading axis for the optimizer.
        x0: the initial parameters of the problems, (n_optimizers · n_problems, n_parameters).
        segment_length: the number of steps in a segment; None keeps all steps.
    """
    n = len(jax.tree.leaves(p)[0])
    kind = _side_by_side(_differentiable(program.kind), n)
    return _meta_gradient(kind, program, inputs, p, x0, len(x0) // n, segment_length)


def _meta_gradient(
    kind: Differentiable,
    program: Program,
    inputs: Inputs,
    p: Parameters,
    x0: Array,
    n_problems: int,
    segment_length: int | None,
) -> tuple[Array, Parameters]:
    """`meta_gradient`, where the mean is over the `n_problems` of an optimizer."""
    weights = kind.fuse(p)
    differentiate = partial(loss_and_gradient, program.loss, program.shapes, inputs.arrays)

    def forward(carry: tuple[Array, Array], k: Array) -> tuple[tuple[Array, Array], Any]:
        state, x = carry
        loss, gradient = differentiate(x, k)
        (state, update), residuals = kind.forward(
            weights, inputs.constants, state, gradient.reshape(-1)
        )
        return (state, x + update.reshape(x.shape)), (loss, (k, x, gradient, residuals))

    def steps(start: tuple[Array, Array], first: Array | int, n: int) -> Any:
        return jax.lax.scan(forward, start, first + jnp.arange(n))

    length = min(segment_length or program.n_steps, program.n_steps)
    n_recomputed = (program.n_steps - 1) // length  # all segments but the last

    def forward_segment(
        start: tuple[Array, Array], first: Array
    ) -> tuple[tuple[Array, Array], Any]:
        end, (loss, _) = steps(start, first, length)
        return end, (loss, (first, *start))

    initial_state, through_initial_state = jax.vjp(lambda p: kind.initial_state(p, x0.size), p)
    last = n_recomputed * length
    if n_recomputed:  # else a loop of no steps would be compiled
        middle, (losses, starts) = jax.lax.scan(
            forward_segment, (initial_state, x0), length * jnp.arange(n_recomputed)
        )
        _, (loss, kept) = steps(middle, last, program.n_steps - last)
        loss = jnp.concatenate([losses.reshape(-1, len(x0)), loss])
    else:
        _, (loss, kept) = steps((initial_state, x0), 0, program.n_steps)
    weight = 1 / (n_problems * program.n_steps * loss[0])

    def backward(bar: _Adjoints, step: Any) -> tuple[_Adjoints, None]:
        k, x, gradient, residuals = step
        state_bar, gradient_bar, weights_bar = kind.pullback(
            weights, inputs.constants, residuals, bar.state, bar.x.reshape(-1)
        )
        direction = gradient_bar.reshape(x.shape)
        _, second_order = jax.jvp(lambda x: differentiate(x, k)[1], (x,), (direction,))
        x_bar = bar.x + second_order + weight[:, None] * gradient
        return _Adjoints(state_bar, x_bar, jax.tree.map(jnp.add, bar.weights, weights_bar)), None

    def recompute(bar: _Adjoints, start: tuple[Array, Array, Array]) -> tuple[_Adjoints, None]:
        first, state, x = start
        _, (_, kept) = steps((state, x), first, length)
        return jax.lax.scan(backward, bar, kept, reverse=True)

    bar = _Adjoints(*jax.tree.map(jnp.zeros_like, (initial_state, x0, weights)))
    bar, _ = jax.lax.scan(backward, bar, kept, reverse=True)
    if n_recomputed:
        bar, _ = jax.lax.scan(recompute, bar, starts, reverse=True)

    (p_bar,) = through_initial_state(bar.state)
    gradient = dict(p_bar)
    for name, adjoint in kind.split(bar.weights).items():
        gradient[name] = gradient[name] + adjoint
    return jnp.mean(loss, axis=0) / loss[0], gradient
