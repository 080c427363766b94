"""Types and helpers of the optimizer kinds in JAX.

States are (n_components, n_state), gradients (n_components,), and the hyperparameters of the
hand-designed kinds are scalars.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Protocol

import jax.numpy as jnp
import numpy as np
from jax import Array

Parameters = Mapping[str, Array]
Constants = Mapping[str, float]


class Kind(Protocol):
    """An optimizer kind as two pure functions; each module of this folder is one."""

    def initial_state(self, p: Parameters, n_components: int, /) -> Array:
        """h_0, (n_components, n_state)."""
        ...

    def step(
        self, p: Parameters, constants: Constants, state: Array, gradient: Array, /
    ) -> tuple[Array, Array]:
        """h_{k+1} and Δ_k, from h_k and g_k."""
        ...


Step = Callable[[Parameters, Constants, Array, Array], tuple[Array, Array]]
"""`Kind.step`."""


def starting_at(*names: str) -> Callable[[Parameters, int], Array]:
    """The `initial_state` of a kind whose state starts at these parameters, joined."""

    def initial_state(p: Parameters, n_components: int) -> Array:
        start = jnp.concatenate([p[name] for name in names])
        return jnp.broadcast_to(start, (n_components, start.size))

    return initial_state


@dataclasses.dataclass(frozen=True)
class RecurrentKind:
    """The kind of an architecture from outside, from its step."""

    starts: tuple[str, ...]
    step: Step

    def initial_state(self, p: Parameters, n_components: int, /) -> Array:
        return starting_at(*self.starts)(p, n_components)


def zero_state(n_state: int) -> Callable[[Parameters, int], Array]:
    """The `initial_state` of a kind whose state starts at zero."""

    def initial_state(p: Parameters, n_components: int) -> Array:
        return jnp.zeros((n_components, n_state), p["alpha"].dtype)

    return initial_state


def safe_sqrt(v: Array) -> Array:
    """√v, with a derivative of 0 at v = 0.

    √tiny stands in for √0. It is lost beside the epsilon that the optimizers add.
    """
    tiny = float(np.finfo(v.dtype).tiny)
    return jnp.sqrt(jnp.where(v > tiny, v, jnp.where(v >= 0, tiny, v)))
