"""Optimizers that are no optimizer kind, with states whose rates are known.

All have the update Δ = −α g · ρ(h) at the old state, so the rate at a state is η_ref(h) = α ρ(h)
exactly, and η_local too. Only the states differ. Where a state has no closed form it is computed
here, one number at a time.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.protocol import Array

Float = NDArray[np.float64]
Rule = Callable[[Array, Array], tuple[Array, Array]]


class FromRule:
    """An optimizer with `initial_state` and `step` only, from its rule: (h, g) -> h', Δ."""

    def __init__(self, rule: Rule, *start: float) -> None:
        self.rule, self.start = rule, start

    def initial_state(self, n_components: int) -> Array:
        return np.tile(np.array(self.start, np.float64), (n_components, 1))

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        return self.rule(state, gradient)


class Control(FromRule):
    """An optimizer from its state equation, and its rate at a state.

    Args:
        new: F(h, g), with h of shape (n_state, n_components); returns the new state variables.
        rate: η(h), (n_components,).
        start: h0, (n_state,).
    """

    def __init__(
        self, new: Callable[[Float, Float], Any], rate: Callable[[Float], Float], *start: float
    ) -> None:
        def rule(state: Array, gradient: Array) -> tuple[Array, Array]:
            columns = np.array(new(state.T, gradient), np.float64)
            return columns.reshape(state.shape[::-1]).T.copy(), -rate(state.T) * gradient

        super().__init__(rule, *start)
        self.new, self.rate = new, rate

    def rates(self, start: Float, gradients: Float, n_steps: int) -> Float:
        """The rate after so many steps of each constant gradient, by the equation itself."""
        h = np.tile(np.reshape(start, (-1, 1)), (1, len(gradients))).astype(np.float64)
        for _ in range(n_steps):
            h = np.array(self.new(h, gradients), np.float64).reshape(h.shape)
        return self.rate(h)


def line_attractor(alpha: float = 0.1, speed: float = 0.2, power: float = 1.0) -> Control:
    """Every state is at rest without a gradient; with one, the state creeps to h = |g|.

        e = |g| − h,  h' = h + c g²/(1 + g²) e |e|^p,   η = α/(1 + h)

    For p = 1 the distance falls like 1/t: to a millionth only after a million steps.
    """

    def new(h: Float, g: Float) -> Any:
        e = np.abs(g) - h[0]
        strength = speed * g**2 / (1 + g**2) / np.maximum(1, np.abs(g)) ** power
        return [h[0] + strength * e * np.abs(e) ** power]

    return Control(new, lambda h: alpha / (1 + h[0]), 0.0)


def line_attractor_in_a_plane(alpha: float = 0.1, angle: float = 0.7) -> Control:
    """A line of states at rest in a plane, seen in turned coordinates.

    Across the line the state falls back at once; along it, it creeps to |g| like 1/t.
    """
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def new(h: Float, g: Float) -> Any:
        across, along = turn.T @ h
        e = np.abs(g) - along
        strength = 0.2 * g**2 / (1 + g**2) / np.maximum(1, np.abs(g))
        return turn @ np.array([0.5 * across + 0.1 * np.tanh(g), along + strength * e * np.abs(e)])

    return Control(new, lambda h: alpha / (1 + (turn.T @ h)[1]), 0.0, 0.0)


def logarithmic_creep(alpha: float = 0.1) -> Control:
    """h' = h + g² e^(−h)/10 grows like ln t and has no fixed point; η = α/(1 + h)."""
    return Control(
        lambda h, g: [h[0] + 0.1 * g**2 * np.exp(-h[0])], lambda h: alpha / (1 + h[0]), 0.0
    )


class Cycle(Control):
    """A state that turns around a center c(g), on a circle beyond some gradient.

        z = h − c,  z' = e^(iω) z (1 + μ − |z|²),   c = b tanh g,  μ = ½ tanh(4 (g²/g₀² − 1))
        η = α (1 + h₁²),  of which the mean over the circle of radius √μ is α (1 + c² + μ/2)

    The center is a fixed point with the spectral radius 1 + μ, which is unstable beyond g₀.
    """

    def __init__(self, omega: float, g0: float = 2.0, alpha: float = 0.1, b: float = 0.3) -> None:
        self.alpha, self.b, self.g0 = alpha, b, g0
        turn = np.array([[np.cos(omega), -np.sin(omega)], [np.sin(omega), np.cos(omega)]])

        def new(h: Float, g: Float) -> Any:
            center = np.stack([self.center(g), 0 * g])
            z = h - center
            return center + turn @ z * (1 + self.growth(g) - np.sum(z**2, axis=0))

        super().__init__(new, lambda h: alpha * (1 + h[0] ** 2), 0.0, 0.0)

    def center(self, g: Float) -> Float:
        """c(g), the first coordinate of the fixed point."""
        return np.asarray(self.b * np.tanh(g))

    def growth(self, g: Float) -> Float:
        """μ(g)."""
        return np.asarray(0.5 * np.tanh(4 * (g**2 / self.g0**2 - 1)))

    def mean_rate(self, g: Float) -> Float:
        """The mean of η over the circle."""
        return np.asarray(self.alpha * (1 + self.center(g) ** 2 + self.growth(g) / 2))


def flip(alpha: float = 0.1, g0: float = 2.0) -> Control:
    """A state that jumps to and fro beyond some gradient, with the period 2.

    z = h − c,  z' = −z (1 + μ − z²),   c = 0.3 tanh g,  μ = ½ tanh(4 (g²/g₀² − 1))
    η = α (1 + h²),  of which the mean over c ± √μ is α (1 + c² + μ)
    """

    def new(h: Float, g: Float) -> Any:
        center, growth = 0.3 * np.tanh(g), 0.5 * np.tanh(4 * (g**2 / g0**2 - 1))
        z = h[0] - center
        return [center - z * (1 + growth - z**2)]

    return Control(new, lambda h: alpha * (1 + h[0] ** 2), 0.0)


def relaxation_oscillation(alpha: float = 0.1) -> Control:
    """A fast variable that jumps between two branches, and a slow one that pushes it off them.

    FitzHugh and Nagumo's equations in steps: without a gradient the state rests, under a large one
    it oscillates, for most of the time slowly and for a few steps fast.
    """

    def new(h: Float, g: Float) -> Any:
        v, w = h
        drive = 0.9 * np.tanh(g**2 / 4)
        return [v + 0.3 * (v - v**3 / 3 - w + drive), w + 0.06 * (v + 0.7 - 0.8 * w)]

    return Control(new, lambda h: alpha * (2 + np.tanh(h[0])), -1.1994, -0.6243)


def hysteresis(alpha: float = 0.1, start: float = -1.0) -> Control:
    """h' = h + 0.3 (h − h³ + tanh(g)/2): two stable branches, which fold at ±2/(3√3).

    η = α/(2 + h): from the lower branch the rate is high, on the upper one it is low.
    """
    return Control(
        lambda h, g: [h[0] + 0.3 * (h[0] - h[0] ** 3 + np.tanh(g) / 2)],
        lambda h: alpha / (2 + h[0]),
        start,
    )


def adaptive(
    measure: Callable[[Float], Float],
    rate: Callable[[Float], Float],
    beta: float = 0.9,
) -> Control:
    """A rate that depends on a moving average: v' = β v + (1 − β) measure(g), η = rate(v)."""
    return Control(lambda h, g: [beta * h[0] + (1 - beta) * measure(g)], lambda h: rate(h[0]), 0.0)
