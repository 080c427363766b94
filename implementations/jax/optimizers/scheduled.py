"""A hand-designed optimizer with a learning-rate schedule.

u  = min(t / n_steps, 1)
h' = that of the optimizer,  t' = t + 1
Δ  = s(u) · that of the optimizer

cosine:       s(u) = final + (1 − final) · (1 + cos(π u)) / 2
exponential:  s(u) = final^u
"""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax.optimizers.base import Constants, Kind, Parameters


def cosine(final: Array, u: Array) -> Array:
    """s(u) = final + (1 − final) · (1 + cos(π u)) / 2."""
    return final + (1 - final) * (1 + jnp.cos(jnp.pi * u)) / 2


def exponential(final: Array, u: Array) -> Array:
    """s(u) = final^u."""
    return final**u


FACTORS: dict[str, Callable[[Array, Array], Array]] = {"cosine": cosine, "exponential": exponential}


@dataclasses.dataclass(frozen=True)
class Scheduled:
    """A kind with the schedule of this name."""

    schedule: str
    inner: Kind

    def initial_state(self, p: Parameters, n_components: int, /) -> Array:
        """The kind's own and t = 0."""
        state = self.inner.initial_state(p, n_components)
        return jnp.pad(state, ((0, 0), (0, 1)))

    def step(
        self, p: Parameters, constants: Constants, state: Array, gradient: Array, /
    ) -> tuple[Array, Array]:
        """The next state (h', t') and the update."""
        t, n_steps = state[:, -1], constants["n_steps"]
        new, update = self.inner.step(p, constants, state[:, :-1], gradient)
        u = jnp.where(t < n_steps, t / n_steps, 1)
        new = jnp.concatenate([new, t[:, None] + 1], axis=1)
        return new, FACTORS[self.schedule](p["final"], u) * update
