"""Known mistakes of a step of the hand-designed optimizers.

`loptbench.optimizers.baselines` and `loptbench.optimizers.composed` have the right equations.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from loptbench.conformance.hints.matching import Float, Mistake
from loptbench.optimizers import OptimizerSpec

Step = tuple[Float, Float]
Mistakes = Callable[[OptimizerSpec, Float, Float], Iterator[Mistake]]


def baseline_mistakes(spec: OptimizerSpec, state: Float, gradient: Float) -> Iterator[Mistake]:
    """The mistakes of a kind's equations, each with the states and updates that it gives.

    Args:
        spec: an optimizer of a hand-designed kind.
        state: (n_components, n_state).
        gradient: (n_components,).
    """
    if spec.kind in MISTAKES:
        yield from MISTAKES[spec.kind](spec, state, gradient)


def _one_variable(velocity: Float, update: Float) -> Step:
    """A step of an optimizer with one state variable."""
    return velocity[:, None], update


def _mistaken_velocities(
    alpha: float, beta: float, h: Float, g: Float
) -> tuple[Float, Float, Float]:
    """The learning rate inside, also with the sign of the update, and damping by 1 − beta."""
    return beta * h + alpha * g, beta * h - alpha * g, beta * h + (1 - beta) * g


def _momentum(spec: OptimizerSpec, state: Float, g: Float) -> Iterator[Mistake]:
    """Right: h' = beta h + g, Δ = −alpha h'."""
    alpha, beta, h = float(spec.parameters["alpha"]), float(spec.parameters["beta"]), state[:, 0]
    new = beta * h + g
    inside, signed, damped = _mistaken_velocities(alpha, beta, h, g)
    yield Mistake("the learning rate inside the velocity", lambda: _one_variable(inside, -inside))
    yield Mistake(
        "the learning rate inside the velocity, which has the sign of the update",
        lambda: _one_variable(signed, signed),
    )
    yield Mistake("a velocity damped by 1 − beta", lambda: _one_variable(damped, -alpha * damped))
    yield Mistake("nesterov's step", lambda: _one_variable(new, -alpha * (g + beta * new)))
    yield Mistake("a step along the old velocity", lambda: _one_variable(new, -alpha * h))
    yield Mistake("a step along the gradient alone", lambda: _one_variable(new, -alpha * g))
    yield Mistake(
        "a velocity with the sign of the update",
        lambda: _one_variable(beta * h - g, alpha * (beta * h - g)),
    )
    yield Mistake(
        "beta on the gradient too", lambda: _one_variable(beta * (h + g), -alpha * beta * (h + g))
    )


def _nesterov(spec: OptimizerSpec, state: Float, g: Float) -> Iterator[Mistake]:
    """Right: h' = beta h + g, Δ = −alpha (g + beta h')."""
    alpha, beta, h = float(spec.parameters["alpha"]), float(spec.parameters["beta"]), state[:, 0]
    new = beta * h + g
    inside, signed, damped = _mistaken_velocities(alpha, beta, h, g)
    yield Mistake("plain momentum, without looking ahead", lambda: _one_variable(new, -alpha * new))
    yield Mistake(
        "the learning rate inside the velocity",
        lambda: _one_variable(inside, -(alpha * g + beta * inside)),
    )
    yield Mistake(
        "the learning rate inside the velocity, which has the sign of the update",
        lambda: _one_variable(signed, beta * signed - alpha * g),
    )
    for words, current in (("", g), (" and of the gradient", (1 - beta) * g)):
        yield Mistake(
            f"a velocity damped by 1 − beta{words}",
            lambda current=current: _one_variable(damped, -alpha * (current + beta * damped)),
        )
    yield Mistake("a look ahead without beta", lambda: _one_variable(new, -alpha * (g + new)))


def _rmsprop(spec: OptimizerSpec, state: Float, g: Float) -> Iterator[Mistake]:
    """Right: v' = gamma v + (1 − gamma) g², Δ = −alpha g / (√v' + epsilon)."""
    alpha, gamma = float(spec.parameters["alpha"]), float(spec.parameters["gamma"])
    epsilon, v = spec.constants["epsilon"], state[:, 0]
    new = gamma * v + (1 - gamma) * g**2

    def step(squares: Float, denominator: Float, numerator: Float = g) -> Step:
        return squares[:, None], -alpha * numerator / denominator

    yield Mistake("epsilon inside the root", lambda: step(new, np.sqrt(new + epsilon)))
    yield Mistake(
        "the square of epsilon inside the root", lambda: step(new, np.sqrt(new + epsilon**2))
    )
    yield Mistake(
        "the larger of √v' and epsilon in the place of their sum",
        lambda: step(new, np.maximum(np.sqrt(new), epsilon)),
    )
    yield Mistake("a division by the old √v", lambda: step(new, np.sqrt(v) + epsilon))
    yield Mistake("no root", lambda: step(new, new + epsilon))
    total = gamma * v + g**2
    yield Mistake("g² without the factor 1 − gamma", lambda: step(total, np.sqrt(total) + epsilon))
    everything = v + g**2
    yield Mistake(
        "a sum of all squares (Adagrad)", lambda: step(everything, np.sqrt(everything) + epsilon)
    )
    absolute = gamma * v + (1 - gamma) * np.abs(g)
    yield Mistake("|g| in the place of g²", lambda: step(absolute, np.sqrt(absolute) + epsilon))
    yield Mistake(
        "the sign of the gradient as the numerator",
        lambda: step(new, np.sqrt(new) + epsilon, np.sign(g)),
    )


def _adam(spec: OptimizerSpec, state: Float, g: Float) -> Iterator[Mistake]:
    """Right: Δ = −alpha (m' / c1) / (√(v' / c2) + epsilon), c = 1 − beta^t'."""
    alpha, b1, b2 = (float(spec.parameters[name]) for name in ("alpha", "beta1", "beta2"))
    epsilon = spec.constants["epsilon"]
    old_m, old_v, old_t = state.T
    m, v, t = b1 * old_m + (1 - b1) * g, b2 * old_v + (1 - b2) * g**2, old_t + 1

    def update(m: Float, v: Float, c1: Any, c2: Any) -> Float:
        return np.asarray(-alpha * (m / c1) / (np.sqrt(v / c2) + epsilon))

    def step(delta: Float, *moments: Float) -> Step:
        return np.stack(moments or (m, v, t), axis=1), delta

    with np.errstate(all="ignore"):
        c1, c2 = 1 - np.power(b1, t), 1 - np.power(b2, t)
        mean = m / c1
    yield Mistake("no bias correction at all", lambda: step(update(m, v, 1, 1)))
    yield Mistake("the first bias correction missing", lambda: step(update(m, v, 1, c2)))
    yield Mistake("the second bias correction missing", lambda: step(update(m, v, c1, 1)))
    yield Mistake(
        "epsilon inside the root", lambda: step(-alpha * mean / np.sqrt(v / c2 + epsilon))
    )
    yield Mistake(
        "epsilon added before the second bias correction",
        lambda: step(-alpha * mean * np.sqrt(c2) / (np.sqrt(v) + epsilon)),
    )
    yield Mistake("no root", lambda: step(-alpha * mean / (v / c2 + epsilon)))
    for words, shift in (("the number of steps before this one", -1), ("one step too many", 1)):
        late1, late2 = 1 - np.power(b1, t + shift), 1 - np.power(b2, t + shift)
        yield Mistake(
            f"bias corrections with {words}",
            lambda late1=late1, late2=late2: step(update(m, v, late1, late2)),
        )
    yield Mistake("bias corrections of the other moment", lambda: step(update(m, v, c2, c1)))
    yield Mistake("the moments before this step", lambda: step(update(old_m, old_v, c1, c2)))
    yield Mistake(
        "the corrected moments kept as the state",
        lambda: step(update(m, v, c1, c2), mean, v / c2, t),
    )
    yield Mistake(
        "a step counter that stands still", lambda: step(update(m, v, c1, c2), m, v, old_t)
    )
    ahead = b1 * mean + (1 - b1) * g / c1
    yield Mistake("Nadam's look ahead", lambda: step(-alpha * ahead / (np.sqrt(v / c2) + epsilon)))
    m_sum, v_sum = b1 * old_m + g, b2 * old_v + g**2
    yield Mistake(
        "moments without the factors 1 − beta",
        lambda: step(update(m_sum, v_sum, c1, c2), m_sum, v_sum, t),
    )
    around = b2 * old_v + (1 - b2) * (g - m) ** 2
    yield Mistake("AdaBelief's (g − m')²", lambda: step(update(m, around, c1, c2), m, around, t))


def _composed(spec: OptimizerSpec, state: Float, g: Float) -> Iterator[Mistake]:
    """Right: m' = betas m + clip(g), Δ = −alpha ρ mean(m'), ρ' = 1 + decay (ρ − 1)."""
    alpha, clip, decay = (float(spec.parameters[name]) for name in ("alpha", "clip", "decay"))
    betas, m, rho = spec.parameters["betas"], state[:, :-1], state[:, -1]
    clipped = np.clip(g, -clip, clip)[:, None]
    new, next_rho = betas * m + clipped, 1 + decay * (rho - 1)

    def step(buffers: Float, update: Float, schedule: Float = next_rho) -> Step:
        return np.concatenate([buffers, schedule[:, None]], axis=1), update

    unclipped = betas * m + g[:, None]
    late = np.clip(unclipped, -clip, clip)
    damped = betas * m + (1 - betas) * clipped
    soft = betas * m + clip * np.tanh(g / clip)[:, None]
    for words, buffers in (
        ("no clip", unclipped),
        ("a clip of the velocity", late),
        ("velocities damped by 1 − betas", damped),
        ("a soft clip, clip · tanh(g / clip)", soft),
    ):
        yield Mistake(
            words,
            lambda buffers=buffers: step(buffers, -alpha * rho * buffers.mean(axis=1)),
        )
    yield Mistake(
        "the sum of the velocities for their mean",
        lambda: step(new, -alpha * rho * new.sum(axis=1)),
    )
    yield Mistake(
        "the schedule of the next step", lambda: step(new, -alpha * next_rho * new.mean(axis=1))
    )
    yield Mistake("no schedule in the update", lambda: step(new, -alpha * new.mean(axis=1)))
    yield Mistake(
        "a schedule that decays to 0 instead of 1",
        lambda: step(new, -alpha * rho * new.mean(axis=1), decay * rho),
    )


MISTAKES: dict[str, Mistakes] = {
    "momentum": _momentum,
    "nesterov": _nesterov,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "composed": _composed,
}
"""The mistakes by kind; gradient descent has only those of its parameter."""
