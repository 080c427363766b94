"""Any `optax.GradientTransformation` as an optimizer of one component.

A transformation keeps its state in a pytree. Made for an array of one parameter, the leaves of the
state, flattened and one after the other, are the state variables of a component:

    h        = flatten(state),   Δ, state' = update(g, state, x = 0)

The value of the parameter is 0. `jax.vmap` makes it many components, and `jax.jacfwd` its
derivatives. Integers, such as step counters, are clocks: they are stored as floats, rounded when a
step reads them, and the fraction is added again afterwards.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array as JaxArray

from loptbench.errors import LoptbenchError, NotComponentWiseError
from loptbench.implementations.jax.arrays import in_full_precision, padded, size_class
from loptbench.protocol import Array, Linearization

MIN_COMPONENTS = 32
"""Steps of up to this many components share a program."""

SMALLEST = 1e-30
"""A gradient whose square is a float64, far below any other number of a step.

Many updates divide by √v, and at v = g = 0 the chain rule gives 0 · ∞. So derivatives are the mean
of those at g + SMALLEST and g − SMALLEST: both are g itself, unless g is 0."""

MAX_JUMP = 1e-9
"""Largest change of a result over 2 · SMALLEST, relative to its size, where it is continuous."""


class OptaxOptimizer:
    """The optimizer of one component; `loptbench.protocol` describes its methods.

    Args:
        transformation: the transformation.
    """

    @in_full_precision
    def __init__(self, transformation: Any) -> None:
        self.transformation = transformation
        leaves, self._tree = jax.tree.flatten(transformation.init(jnp.zeros(1, jnp.float64)))
        leaves = [jnp.asarray(leaf) for leaf in leaves]
        if any(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves):
            raise NotComponentWiseError("it draws random numbers: its state holds a random key")
        self._initial = np.asarray(self._flat(leaves))[None]
        self._leaves = jax.eval_shape(lambda: leaves)
        rounded = [not jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in self._leaves]
        self._is_rounded = np.repeat(rounded, [leaf.size for leaf in self._leaves]).astype(float)
        self._step: Callable[..., Any] = jax.jit(jax.vmap(self._of_component))
        self._drive = jax.jit(self._driven)
        self._gain = jax.jit(jax.vmap(self._derivatives_of_update))
        self._linearize = jax.jit(jax.vmap(self._derivatives))

    def _flat(self, leaves: Sequence[JaxArray]) -> JaxArray:
        parts = [leaf.reshape(-1).astype(jnp.float64) for leaf in leaves]
        return jnp.concatenate([*parts, jnp.zeros(0, jnp.float64)])

    def _of_component(
        self, h: JaxArray, g: JaxArray, transformation: Any = None
    ) -> tuple[JaxArray, JaxArray]:
        """The next state, (n_state,), and the update, (), of one component.

        Args:
            h: the state, (n_state,).
            g: the gradient, ().
            transformation: one with other numbers; this optimizer's own if None.
        """
        leaves, fractions, start = [], [], 0
        for leaf in self._leaves:
            part = h[start : start + leaf.size]
            whole = part if jnp.issubdtype(leaf.dtype, jnp.floating) else jnp.rint(part)
            leaves.append(whole.reshape(leaf.shape).astype(leaf.dtype))
            fractions.append(part - jax.lax.stop_gradient(whole))
            start += leaf.size
        state = jax.tree.unflatten(self._tree, leaves)
        chosen = transformation or self.transformation
        update, state = chosen.update(g[None], state, jnp.zeros(1, g.dtype))
        next_state = self._flat(jax.tree.leaves(state))
        return next_state + self._flat(fractions) * self._is_rounded, update[0]

    def _driven(self, state: JaxArray, gradients: JaxArray, times: JaxArray) -> JaxArray:
        step = jax.vmap(self._of_component)

        def next_state(k: JaxArray, h: JaxArray) -> JaxArray:
            return step(h, gradients if gradients.ndim == 1 else gradients[k])[0]

        def until(
            carry: tuple[JaxArray, JaxArray], time: JaxArray
        ) -> tuple[tuple[JaxArray, JaxArray], JaxArray]:
            h = jax.lax.fori_loop(carry[1], time, next_state, carry[0])
            return (h, time), h

        return jax.lax.scan(until, (state, jnp.zeros((), times.dtype)), times)[1]

    def _derivatives(self, h: JaxArray, g: JaxArray) -> JaxArray:
        """∂(h', Δ)/∂(h, g) of one component, (n_state + 1, n_state + 1)."""

        def results(hg: JaxArray) -> JaxArray:
            next_state, update = self._of_component(hg[:-1], hg[-1])
            return jnp.append(next_state, update)

        def at(g: JaxArray) -> tuple[JaxArray, JaxArray]:
            hg = jnp.append(h, g)
            return jax.jacfwd(results)(hg), results(hg)

        return _two_sided(at, g)

    def _derivatives_of_update(self, h: JaxArray, g: JaxArray) -> JaxArray:
        def at(g: JaxArray) -> tuple[JaxArray, JaxArray]:
            # Forward: backward, a branch that is not taken makes NaN of the one that is.
            value, slope = jax.jvp(lambda g: self._of_component(h, g)[1], (g,), (jnp.ones_like(g),))
            return slope[None, None], value[None]

        return _two_sided(at, g)[0, 0]

    def initial_state(self, n_components: int) -> Array:
        return np.tile(self._initial, (n_components, 1))

    @in_full_precision
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        n = len(gradient)
        next_state, update = self._step(*_padded(state, gradient))
        return np.array(next_state)[:n].copy(), np.array(update)[:n].copy()

    @in_full_precision
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        n, size, n_times = len(state), size_class(len(state)), len(times)
        if gradients.ndim == 2:
            gradients = padded(gradients, size_class(len(gradients)), size)
        else:
            gradients = padded(gradients, size)
        # The last time repeated: no steps are taken for it.
        every = np.pad(times, (0, size_class(n_times) - n_times), "edge")
        states = self._drive(
            jnp.asarray(padded(state, size)), jnp.asarray(gradients), jnp.asarray(every)
        )
        return np.asarray(states)[:n_times, :n].copy()

    @in_full_precision
    def gain(self, state: Array, gradient: Array) -> Array:
        return np.array(self._gain(*_padded(state, gradient)))[: len(gradient)].copy()

    @in_full_precision
    def linearize(self, state: Array, gradient: Array) -> Linearization:
        J = np.array(self._linearize(*_padded(state, gradient)))[: len(gradient)]
        blocks = J[:, :-1, :-1], J[:, :-1, -1], J[:, -1, :-1], J[:, -1, -1]
        return Linearization(*(block.copy() for block in blocks))

    @in_full_precision
    def sharing(
        self, make: Callable[..., Any], values: Mapping[str, float]
    ) -> Callable[[dict[str, float]], "OptaxOptimizer"] | None:
        """See `loptbench.adapters.SharesProgram.sharing`."""

        def of_component(
            values: dict[str, JaxArray], h: JaxArray, g: JaxArray
        ) -> tuple[JaxArray, JaxArray]:
            return self._of_component(h, g, make(**values))

        program = jax.jit(jax.vmap(of_component, (None, 0, 0)))
        traced = {name: jnp.asarray(value, jnp.float64) for name, value in values.items()}
        try:
            jax.eval_shape(program, traced, jnp.asarray(self._initial), jnp.zeros(1, jnp.float64))
        except Exception:  # a transformation that asks for the value of a setting
            return None

        def member(values: dict[str, float]) -> OptaxOptimizer:
            optimizer = OptaxOptimizer(make(**values))
            optimizer._step = functools.partial(program, values)
            return optimizer

        return member

    @in_full_precision
    def run_on_arrays(self, gradients: Sequence[Array], parameters: Sequence[Array]) -> list[Array]:
        """See `loptbench.adapters.Adapted.run_on_arrays`."""
        x = [jnp.asarray(array) for array in parameters]
        state, updates = self.transformation.init(x), []
        for k in range(len(gradients[0])):
            update, state = self.transformation.update(
                [jnp.asarray(array[k]) for array in gradients], state, x
            )
            updates.append(update)
        return [
            np.stack([np.asarray(part) for part in array]) for array in zip(*updates, strict=True)
        ]


def _padded(state: Array, gradient: Array) -> tuple[JaxArray, JaxArray]:
    size = size_class(max(len(gradient), MIN_COMPONENTS))
    return jnp.asarray(padded(state, size)), jnp.asarray(padded(gradient, size))


def _two_sided(at: Any, g: JaxArray) -> JaxArray:
    """The mean of the Jacobians on either side of g; NaN where a result jumps at g, as a sign does.

    Args:
        at: the Jacobian, (n, n_arguments), and the results, (n,), at a gradient.
        g: the gradient.
    """
    (left, below), (right, above) = at(g - SMALLEST), at(g + SMALLEST)
    change, largest = jnp.abs(above - below), jnp.maximum(jnp.abs(above), jnp.abs(below))
    smooth_change = 2 * SMALLEST * jnp.maximum(jnp.abs(left), jnp.abs(right))[:, -1]
    jumps = (change > MAX_JUMP * largest) & (change > 2 * smooth_change)
    return jnp.where(jumps[:, None], jnp.nan, (left + right) / 2)


def adapt(thing: Any, settings: Any) -> OptaxOptimizer | None:
    """The adapter of an `optax.GradientTransformation`; None for anything else.

    Args:
        thing: any object.
        settings: none: a transformation is made with its settings.
    """
    import optax

    if not isinstance(thing, optax.GradientTransformation):
        return None
    if settings:
        raise LoptbenchError(f"a transformation is made already: {', '.join(settings)} is too late")
    return OptaxOptimizer(thing)
