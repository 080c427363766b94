"""The meta-gradient: backpropagation through a run, second derivatives of the loss included.

`loptbench.implementations.reference.bptt` has the equations; `x_bar` is the adjoint of x.

The forward pass keeps the values that the backward pass needs of each step. With segments, it keeps
only the last segment; the backward pass recomputes each earlier one from its first state. They are
kept in buffers that the next call of the same size writes to again: fresh memory would take as long
as a fifth of an outer step.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from loptbench.implementations.jax.compiled import compiled
from loptbench.implementations.jax.optimizers import Constants, Parameters, get_kind, gru
from loptbench.implementations.jax.program import Inputs, Program
from loptbench.implementations.jax.tasks import loss_and_gradient


class Differentiable(NamedTuple):
    """An optimizer kind with the backward pass of its step.

    Attributes:
        initial_state: (parameters, n_components) -> state.
        forward: (parameters, constants, state, gradient) -> (next state, update), residuals.
        pullback: (parameters, constants, residuals, state_bar, update_bar) -> the adjoints of the
            state, of the gradient and of the parameters, those of the initial state left out.
    """

    initial_state: Callable[[Parameters, int], Array]
    forward: Callable[[Parameters, Constants, Array, Array], tuple[tuple[Array, Array], Any]]
    pullback: Callable[[Parameters, Constants, Any, Array, Array], tuple[Array, Array, Parameters]]


BY_HAND = {"gru": Differentiable(gru.initial_state, gru.forward, gru.pullback)}
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

    return Differentiable(get_kind(kind).initial_state, forward, pullback)


def _side_by_side(single: Differentiable, n: int) -> Differentiable:
    """n optimizers of a kind; each has the same number of the components, in order.

    Parameters and states have a leading axis for the optimizer.
    """

    def initial_state(p: Parameters, n_components: int) -> Array:
        return jax.vmap(lambda p: single.initial_state(p, n_components // n))(p)

    def forward(
        p: Parameters, constants: Constants, state: Array, gradient: Array
    ) -> tuple[tuple[Array, Array], Any]:
        each = jax.vmap(single.forward, in_axes=(0, None, 0, 0))
        (next_state, update), residuals = each(p, constants, state, gradient.reshape(n, -1))
        return (next_state, update.reshape(-1)), residuals

    def pullback(
        p: Parameters, constants: Constants, residuals: Any, state_bar: Array, update_bar: Array
    ) -> tuple[Array, Array, Parameters]:
        each = jax.vmap(single.pullback, in_axes=(0, None, 0, 0, 0))
        h_bar, gradient_bar, p_bar = each(
            p, constants, residuals, state_bar, update_bar.reshape(n, -1)
        )
        return h_bar, gradient_bar.reshape(-1), p_bar

    return Differentiable(initial_state, forward, pullback)


class _Adjoints(NamedTuple):
    """The carry of the backward pass: adjoints of h_k and x_k, and the sum of the parameters'."""

    state: Array
    x: Array
    p: Parameters


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
    return _in_buffers(program, None, segment_length, inputs, p, x0)


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
    return _in_buffers(program, len(jax.tree.leaves(p)[0]), segment_length, inputs, p, x0)


_reused = threading.local()


def _in_buffers(
    program: Program,
    n_optimizers: int | None,
    segment_length: int | None,
    inputs: Inputs,
    p: Parameters,
    x0: Array,
) -> tuple[Array, Parameters]:
    """`_meta_gradient`, in buffers for what it keeps.

    Each thread holds its last buffers for the next call of the same sizes. The compiled function
    consumes the buffers that it is given, so they are held again only when it has returned.
    """
    length = min(segment_length or program.n_steps, program.n_steps)
    sizes = jax.tree.map(jnp.shape, (inputs.arrays, dict(p)))
    key = program, n_optimizers, length, str(sizes), x0.shape, x0.dtype, x0.device
    held, buffers = getattr(_reused, "held", (None, None))
    _reused.held = None, None
    if held != key:
        del buffers  # before the new ones are made: memory may not be enough for both
        with jax.default_device(x0.device):
            buffers = _buffers(program, n_optimizers, length, inputs, p, x0)
    objective, gradient, buffers = _meta_gradient(
        program, n_optimizers, length, buffers, inputs, p, x0
    )
    _reused.held = key, buffers
    return objective, gradient


def _buffers(
    program: Program,
    n_optimizers: int | None,
    length: int,
    inputs: Inputs,
    p: Parameters,
    x0: Array,
) -> Any:
    """A buffer for every array that a step keeps, with a leading axis for the step."""
    kind = _kind(program, n_optimizers)

    def kept(inputs: Inputs, p: Parameters, x0: Array) -> Any:
        state = kind.initial_state(p, x0.size)
        return _step(kind, program, inputs, p, (state, x0), jnp.asarray(0))[2]

    shapes = jax.eval_shape(kept, inputs, p, x0)

    def zeros(array: jax.ShapeDtypeStruct) -> Array:
        # From NumPy: for zeros of its own JAX compiles a program for each shape.
        made: Array = jax.device_put(np.zeros((length, *array.shape), array.dtype), may_alias=False)
        return made

    return jax.tree.map(zeros, shapes)


def _kind(program: Program, n_optimizers: int | None) -> Differentiable:
    single = _differentiable(program.kind)
    return single if n_optimizers is None else _side_by_side(single, n_optimizers)


State = tuple[Array, Array]
"""h_k and x_k."""


def _step(
    kind: Differentiable, program: Program, inputs: Inputs, p: Parameters, at: State, k: Array
) -> tuple[State, Array, Any]:
    """Step k: the state after it, the loss before it, and what the backward pass needs of it."""
    state, x = at
    loss, gradient = loss_and_gradient(program.loss, program.shapes, inputs.arrays, x, k)
    (state, update), residuals = kind.forward(p, inputs.constants, state, gradient.reshape(-1))
    return (state, x + update.reshape(x.shape)), loss, (x, gradient, residuals)


@compiled("program", "n_optimizers", "length", donated=("buffers",))
def _meta_gradient(
    program: Program,
    n_optimizers: int | None,
    length: int,
    buffers: Any,
    inputs: Inputs,
    p: Parameters,
    x0: Array,
) -> tuple[Array, Parameters, Any]:
    """The meta-objective of each problem, its gradient, and the buffers.

    Args:
        program: the program.
        n_optimizers: how many optimizers are side by side, with a leading axis of `p` for them;
            None for one without it.
        length: the number of steps in a segment.
        buffers: what is kept of the steps of a segment; consumed.
        inputs: the problems.
        p: the parameters.
        x0: the initial parameters of the problems.
    """
    kind = _kind(program, n_optimizers)
    step = partial(_step, kind, program, inputs, p)
    n_recomputed = (program.n_steps - 1) // length  # all segments but the last

    def record(start: State, first: Array | int, n: int, kept: Any) -> tuple[State, Array, Any]:
        """Run n steps, and write what they keep into the buffers."""

        def one(i: Array, carry: Any) -> Any:
            at, losses, kept = carry
            at, loss, new = step(at, first + i)
            return at, _put(losses, i, loss), _put(kept, i, new)

        losses = jnp.zeros((n, len(x0)), x0.dtype)
        after: tuple[State, Array, Any] = jax.lax.fori_loop(0, n, one, (start, losses, kept))
        return after

    def backward(bar: _Adjoints, first: Array | int, n: int, kept: Any) -> tuple[_Adjoints, Any]:
        """Backpropagate through n steps that the buffers hold."""

        def one(i: Array, carry: tuple[_Adjoints, Any]) -> tuple[_Adjoints, Any]:
            bar, kept = carry
            i = n - 1 - i
            x, gradient, residuals = jax.tree.map(lambda array: array[i], kept)
            state_bar, gradient_bar, p_bar = kind.pullback(
                p, inputs.constants, residuals, bar.state, bar.x.reshape(-1)
            )

            def gradient_at(x: Array) -> Array:
                return loss_and_gradient(program.loss, program.shapes, inputs.arrays, x, first + i)[
                    1
                ]

            _, second_order = jax.jvp(gradient_at, (x,), (gradient_bar.reshape(x.shape),))
            x_bar = bar.x + second_order + weight[:, None] * gradient
            return _Adjoints(state_bar, x_bar, jax.tree.map(jnp.add, bar.p, p_bar)), kept

        # The buffers go around the loop unchanged: so the compiler does not copy them.
        after: tuple[_Adjoints, Any] = jax.lax.fori_loop(0, n, one, (bar, kept))
        return after

    def pass_by(start: State, first: Array) -> tuple[State, tuple[Array, tuple[Array, State]]]:
        """Run a segment and keep only its losses and its start."""
        end, losses = jax.lax.scan(lambda at, k: step(at, k)[:2], start, first + jnp.arange(length))
        return end, (losses, (first, start))

    def recompute(
        carry: tuple[_Adjoints, Any], segment: tuple[Array, State]
    ) -> tuple[tuple[_Adjoints, Any], None]:
        first, start = segment
        _, _, kept = record(start, first, length, carry[1])
        return backward(carry[0], first, length, kept), None

    initial_state, through_initial_state = jax.vjp(lambda p: kind.initial_state(p, x0.size), p)
    start, last = (initial_state, x0), n_recomputed * length
    earlier = []
    if n_recomputed:  # else a loop of no steps would be compiled
        start, (losses, starts) = jax.lax.scan(pass_by, start, length * jnp.arange(n_recomputed))
        earlier = [losses.reshape(-1, len(x0))]
    n_last = program.n_steps - last
    _, losses, kept = record(start, last, n_last, buffers)
    loss = jnp.concatenate([*earlier, losses])
    weight = (n_optimizers or 1) / (len(x0) * program.n_steps * loss[0])

    p_bar = jax.tree.map(jnp.zeros_like, dict(p))
    bar = _Adjoints(jnp.zeros_like(initial_state), jnp.zeros_like(x0), p_bar)
    bar, kept = backward(bar, last, n_last, kept)
    if n_recomputed:
        (bar, kept), _ = jax.lax.scan(recompute, (bar, kept), starts, reverse=True)
    (through,) = through_initial_state(bar.state)
    gradient = jax.tree.map(jnp.add, dict(through), bar.p)
    return jnp.mean(loss, axis=0) / loss[0], gradient, kept


def _put(arrays: Any, i: Array, values: Any) -> Any:
    """The arrays with these values at index i of the first axis."""
    return jax.tree.map(lambda array, value: array.at[i].set(value), arrays, values)
