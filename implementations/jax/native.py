"""An optimizer of the protocol as an `optax.GradientTransformation`.

    h, Δ = step(h, g)     for every element of every array

`h` has the shape of the array and one more axis, the state variables.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from loptbench.errors import LoptbenchError
from loptbench.implementations.jax.optimizers import Parameters, get_kind
from loptbench.optimizers import OptimizerSpec


class NativeState(NamedTuple):
    """The state of the transformation.

    Attributes:
        h: the states, in the structure of the parameters.
    """

    h: Any


def native(spec: OptimizerSpec) -> optax.GradientTransformation:
    """The optimizer as a transformation; half precision is computed in float32.

    Args:
        spec: the optimizer.
    """
    kind = get_kind(spec.kind)

    def weights(dtype: jnp.dtype) -> Parameters:
        return {name: jnp.asarray(array, dtype) for name, array in spec.parameters.items()}

    def initial(x: jax.Array) -> jax.Array:
        dtype = _computed_in(x)
        h = kind.initial_state(weights(dtype), 1)[0].astype(dtype)
        return jnp.tile(h, (*jnp.shape(x), 1))

    def step(g: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        dtype = _computed_in(g)
        flat = h.astype(dtype).reshape(jnp.size(g), h.shape[-1])
        with jax.default_matmul_precision("highest"):
            next_h, update = kind.step(
                weights(dtype), spec.constants, flat, jnp.ravel(g).astype(dtype)
            )
        return update.reshape(jnp.shape(g)).astype(g.dtype), next_h.reshape(h.shape)

    def init(params: Any) -> NativeState:
        return NativeState(jax.tree.map(initial, params))

    def update(updates: Any, state: NativeState, params: Any = None) -> tuple[Any, NativeState]:
        del params
        pairs = jax.tree.map(step, updates, state.h)
        both = jax.tree.structure((0, 0))
        own, next_h = jax.tree.transpose(jax.tree.structure(updates), both, pairs)
        return own, NativeState(next_h)

    return optax.GradientTransformation(init, update)


def _computed_in(x: jax.Array) -> Any:
    """The dtype in which the updates of an array are computed.

    Raises:
        LoptbenchError: the array is not of real floating-point numbers.
    """
    dtype = jnp.result_type(x)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise LoptbenchError(
            f"parameters and gradients must be of real floating-point numbers, but one is {dtype}"
        )
    return jnp.promote_types(dtype, jnp.float32)
