"""A hand-designed optimizer with a learning-rate schedule.

u  = min(t / n_steps, 1)
h' = that of the optimizer,  t' = t + 1
Δ  = s(u) · that of the optimizer

cosine:       s(u) = final + (1 − final) · (1 + cos(π u)) / 2
exponential:  s(u) = final^u
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from loptbench.implementations.reference.optimizers.base import (
    Array,
    DrivesByStep,
    ReferenceOptimizer,
)
from loptbench.optimizers import SCHEDULED, OptimizerSpec, unscheduled
from loptbench.protocol import Linearization


class Factor(NamedTuple):
    """s(u), its derivatives, and the size of the terms that it is computed from, each like u."""

    value: Array
    by_u: Array
    by_final: Array
    scale: Array


def cosine(final: float, u: Array) -> Factor:
    """s(u) = final + (1 − final) · (1 + cos(π u)) / 2, which cancels near u = 1."""
    half = (1 + np.cos(np.pi * u)) / 2
    by_u = -(1 - final) * np.pi * np.sin(np.pi * u) / 2
    return Factor(final + (1 - final) * half, by_u, 1 - half, np.ones_like(u))


def exponential(final: float, u: Array) -> Factor:
    """s(u) = final^u, whose relative error grows with the exponent u · ln(final)."""
    value = np.power(final, u)
    with np.errstate(divide="ignore", invalid="ignore"):  # there is no slope at final = 0
        by_u = value * np.log(final)
        return Factor(value, by_u, u * np.power(final, u - 1), value - u * by_u)


FACTORS: dict[str, Callable[[float, Array], Factor]] = {
    "cosine": cosine,
    "exponential": exponential,
}


class Scheduled(DrivesByStep):
    """Any hand-designed optimizer with a schedule.

    Args:
        make: makes the optimizer that has no schedule.
        spec: the optimizer that has one.
    """

    def __init__(
        self, make: Callable[[OptimizerSpec], ReferenceOptimizer], spec: OptimizerSpec
    ) -> None:
        self.inner = make(unscheduled(spec))
        self.factor = FACTORS[SCHEDULED[spec.kind].schedule]
        self.final, self.n_steps = float(spec.parameters["final"]), spec.constants["n_steps"]

    def initial_state(self, n_components: int) -> Array:
        """The optimizer's own and t = 0."""
        return _with_clock(self.inner.initial_state(n_components), np.zeros(n_components))

    def _factor(self, t: Array) -> Factor:
        """The factor at t; `by_u` is multiplied by du/dt, and is its derivative by t."""
        factor = self.factor(self.final, np.where(t < self.n_steps, t / self.n_steps, 1.0))
        return factor._replace(by_u=factor.by_u * (t < self.n_steps) / self.n_steps)

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """h' and t' = t + 1;  Δ = s(u) · the optimizer's own."""
        t = state[:, -1]
        new, update = self.inner.step(state[:, :-1], gradient)
        return _with_clock(new, t + 1), self._factor(t).value * update

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """The derivatives of `step`, with those of the optimizer.

        A = diag(A, 1),  B = (B, 0),  C = (s C, Δ ds/dt),  D = s D
        """
        n, n_state = state.shape
        factor = self._factor(state[:, -1])
        _, update = self.inner.step(state[:, :-1], gradient)
        own = self.inner.linearize(state[:, :-1], gradient)
        A = np.zeros((n, n_state, n_state))
        A[:, :-1, :-1], A[:, -1, -1] = own.A, 1
        C = _with_clock(factor.value[:, None] * own.C, update * factor.by_u)
        return Linearization(A, _with_clock(own.B, np.zeros(n)), C, factor.value * own.D)

    def gain(self, state: Array, gradient: Array) -> Array:
        """D = s · that of the optimizer."""
        return self._factor(state[:, -1]).value * self.inner.gain(state[:, :-1], gradient)

    def pullback(
        self, state: Array, gradient: Array, state_bar: Array, update_bar: Array
    ) -> tuple[Array, Array, dict[str, Array]]:
        """The adjoints of h and t, of g, of the optimizer's parameters and final."""
        factor = self._factor(state[:, -1])
        _, update = self.inner.step(state[:, :-1], gradient)
        h_bar, gradient_bar, adjoints = self.inner.pullback(
            state[:, :-1], gradient, state_bar[:, :-1], factor.value * update_bar
        )
        with np.errstate(invalid="ignore"):  # there is no slope at final = 0
            t_bar = state_bar[:, -1] + update_bar * update * factor.by_u
            adjoints["final"] = np.asarray(update_bar @ (update * factor.by_final))
        return _with_clock(h_bar, t_bar), gradient_bar, adjoints

    def initial_state_pullback(self, state_bar: Array) -> dict[str, Array]:
        """t = 0 depends on no parameter."""
        return self.inner.initial_state_pullback(state_bar[:, :-1])

    def rounding_scale(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """The sizes of the terms of h', t' and Δ."""
        t = state[:, -1]
        new, update = self.inner.rounding_scale(state[:, :-1], gradient)
        return _with_clock(new, np.abs(t) + 1), self._factor(t).scale * update


def _with_clock(state: Array, t: Array) -> Array:
    return np.concatenate([state, t[:, None]], axis=1)
