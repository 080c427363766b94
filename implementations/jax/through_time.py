"""The meta-gradient: backpropagation through a run, second derivatives of the loss included.

The equations stand at `loptbench.implementations.reference.implementation`. What the way back needs
of each step is kept on the way there, and adjoints of the weights are added up as it goes. Of a
long run only the last steps are kept, and the others, in segments, computed a second time.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax import gru
from loptbench.implementations.jax.compiled import compiled
from loptbench.implementations.jax.optimizers import KINDS, Constants, Parameters
from loptbench.implementations.jax.program import Inputs, Program
from loptbench.implementations.jax.tasks import loss_and_gradient


class Differentiable(NamedTuple):
    """A kind's step and the way back through it.

    Attributes:
        initial_state: (parameters, n_components) -> state.
        fuse: (parameters) -> weights, in whatever form suits the other two.
        forward: (weights, constants, state, gradient) -> (new state, update), kept.
        pullback: (weights, constants, kept, to_new_state, to_update) -> to_state, to_gradient,
            adjoints of the weights.
        split: (adjoints of the weights) -> adjoints of the parameters, by name.
    """

    initial_state: Callable[[Parameters, int], Array]
    fuse: Callable[[Parameters], Any]
    forward: Callable[[Any, Constants, Array, Array], tuple[tuple[Array, Array], Any]]
    pullback: Callable[[Any, Constants, Any, Array, Array], tuple[Array, Array, Any]]
    split: Callable[[Any], Parameters]


def _by_autodiff(kind: str) -> Differentiable:
    step = KINDS[kind].step

    def forward(
        p: Parameters, constants: Constants, state: Array, gradient: Array
    ) -> tuple[tuple[Array, Array], Any]:
        return step(p, constants, state, gradient), (state, gradient)

    def pullback(
        p: Parameters, constants: Constants, kept: Any, to_state: Array, to_update: Array
    ) -> tuple[Array, Array, Parameters]:
        _, pull = jax.vjp(lambda p, h, g: step(p, constants, h, g), p, *kept)
        adjoints, to_state, to_gradient = pull((to_state, to_update))
        return to_state, to_gradient, adjoints

    return Differentiable(KINDS[kind].initial_state, dict, forward, pullback, dict)


def _differentiable(kind: str) -> Differentiable:
    if kind == "gru":
        initial_state = KINDS[kind].initial_state
        return Differentiable(initial_state, gru.fuse, gru.forward, gru.pullback, gru.split)
    return _by_autodiff(kind)


def _side_by_side(one: Differentiable, n: int) -> Differentiable:
    """n optimizers of a kind, each with as many of the components as every other, in their order.

    Parameters, weights and states have an axis before all others, which is the optimizer's.
    """

    def initial_state(p: Parameters, n_components: int) -> Array:
        return jax.vmap(lambda p: one.initial_state(p, n_components // n))(p)

    def forward(
        weights: Any, constants: Constants, state: Array, gradient: Array
    ) -> tuple[tuple[Array, Array], Any]:
        each = jax.vmap(one.forward, in_axes=(0, None, 0, 0))
        (new, update), kept = each(weights, constants, state, gradient.reshape(n, -1))
        return (new, update.reshape(-1)), kept

    def pullback(
        weights: Any, constants: Constants, kept: Any, to_state: Array, to_update: Array
    ) -> tuple[Array, Array, Any]:
        each = jax.vmap(one.pullback, in_axes=(0, None, 0, 0, 0))
        to_state, to_gradient, adjoints = each(
            weights, constants, kept, to_state, to_update.reshape(n, -1)
        )
        return to_state, to_gradient.reshape(-1), adjoints

    return Differentiable(initial_state, jax.vmap(one.fuse), forward, pullback, jax.vmap(one.split))


class _Adjoints(NamedTuple):
    """What is carried backwards: the adjoints of h_k, of x_k, and the weights' so far."""

    state: Array
    x: Array
    weights: Any


@compiled("program", "keep")
def meta_gradient(
    program: Program, inputs: Inputs, p: Parameters, x0: Array, keep: int | None = None
) -> tuple[Array, Parameters]:
    """The meta-objective of each problem, and the gradient of its mean.

    Args:
        program: what to compile.
        inputs: the problems.
        p: the optimizer's parameters.
        x0: the initial parameters of the problems, (n_problems, n_parameters).
        keep: of how many steps to keep what the way back needs; None for all.
    """
    return _meta_gradient(_differentiable(program.kind), program, inputs, p, x0, len(x0), keep)


@compiled("program", "keep")
def meta_gradients(
    program: Program, inputs: Inputs, p: Parameters, x0: Array, keep: int | None = None
) -> tuple[Array, Parameters]:
    """`meta_gradient` of several optimizers, each with its own problems, side by side.

    Args:
        program: what to compile.
        inputs: the problems of all, one optimizer's after another's.
        p: their parameters, with an axis before all others, which is the optimizer's.
        x0: the initial parameters of the problems, (n_optimizers · n_problems, n_parameters).
        keep: see `meta_gradient`.
    """
    n = len(jax.tree.leaves(p)[0])
    kind = _side_by_side(_differentiable(program.kind), n)
    return _meta_gradient(kind, program, inputs, p, x0, len(x0) // n, keep)


def _meta_gradient(
    kind: Differentiable,
    program: Program,
    inputs: Inputs,
    p: Parameters,
    x0: Array,
    n_problems: int,
    keep: int | None,
) -> tuple[Array, Parameters]:
    """See `meta_gradient`; the mean is over n_problems, which is how many an optimizer has."""
    weights = kind.fuse(p)
    run = partial(loss_and_gradient, program.task, program.shapes, inputs.arrays)

    def there(carry: tuple[Array, Array], k: Array) -> tuple[tuple[Array, Array], Any]:
        state, x = carry
        loss, gradient = run(x, k)
        (state, update), kept = kind.forward(weights, inputs.constants, state, gradient.reshape(-1))
        return (state, x + update.reshape(x.shape)), (loss, (k, x, gradient, kept))

    def steps(start: tuple[Array, Array], first: Array | int, n: int) -> Any:
        return jax.lax.scan(there, start, first + jnp.arange(n))

    length = min(keep or program.n_steps, program.n_steps)
    n_segments = (program.n_steps - 1) // length  # the last one, which is kept, not counted

    def forget(start: tuple[Array, Array], first: Array) -> tuple[tuple[Array, Array], Any]:
        end, (loss, _) = steps(start, first, length)
        return end, (loss, (first, *start))

    initial_state, to_parameters = jax.vjp(lambda p: kind.initial_state(p, x0.size), p)
    middle, (losses, starts) = jax.lax.scan(
        forget, (initial_state, x0), length * jnp.arange(n_segments)
    )
    last = n_segments * length
    _, (loss, kept) = steps(middle, last, program.n_steps - last)
    loss = jnp.concatenate([losses.reshape(-1, len(x0)), loss])
    weight = 1 / (n_problems * program.n_steps * loss[0])

    def back(to: _Adjoints, step: Any) -> tuple[_Adjoints, None]:
        k, x, gradient, kept = step
        to_state, to_gradient, adjoints = kind.pullback(
            weights, inputs.constants, kept, to.state, to.x.reshape(-1)
        )
        direction = to_gradient.reshape(x.shape)
        _, second_order = jax.jvp(lambda x: run(x, k)[1], (x,), (direction,))
        to_x = to.x + second_order + weight[:, None] * gradient
        return _Adjoints(to_state, to_x, jax.tree.map(jnp.add, to.weights, adjoints)), None

    def again(to: _Adjoints, start: tuple[Array, Array, Array]) -> tuple[_Adjoints, None]:
        first, state, x = start
        _, (_, kept) = steps((state, x), first, length)
        return jax.lax.scan(back, to, kept, reverse=True)

    to = _Adjoints(*jax.tree.map(jnp.zeros_like, (initial_state, x0, weights)))
    to, _ = jax.lax.scan(back, to, kept, reverse=True)
    to, _ = jax.lax.scan(again, to, starts, reverse=True)

    (of_initial_state,) = to_parameters(to.state)
    gradient = dict(of_initial_state)
    for name, adjoint in kind.split(to.weights).items():
        gradient[name] = gradient[name] + adjoint
    return jnp.mean(loss, axis=0) / loss[0], gradient
