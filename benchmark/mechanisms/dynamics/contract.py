"""What an optimizer must keep to for its probes to mean anything, tried before they begin."""

import numpy as np

from loptbench.errors import ContractError
from loptbench.mechanisms.dynamics.linearization import (
    MOST_STATE,
    checked_step,
    own_linearization,
    ridders,
    size_of,
)
from loptbench.mechanisms.values import Float
from loptbench.protocol import LinearizableOptimizer, Optimizer

N_STEPS = 3
NOT_THE_SLOPE = 1e-2
"""By which share of what is added up `linearize` may differ from the slope of `step`. Where that is
smooth, its slope is found to 1e-9; elsewhere ten times the error that comes with it is allowed."""

ROUNDED_AWAY = float(np.finfo(np.float64).eps) ** 0.5
"""Slopes that are smaller than this share of the largest may be lost in what is rounded on the way:
of a gate that is shut to 1e-10, z is near 1 and knows 1 − z to a millionth only."""


def require_optimizer(optimizer: Optimizer) -> None:
    """Refuse what is no optimizer, before anything is measured on it.

    Raises:
        ContractError: `initial_state`, `step` or `linearize` does not keep to the protocol.
    """
    first = optimizer.initial_state(2)
    _require_array("initial_state must return", first)
    state = np.asarray(first)
    if state.ndim != 2 or len(state) != 2:
        raise ContractError(
            f"initial_state(2) must return the shape (2, n_state), but it has {state.shape}"
        )
    if not (np.issubdtype(state.dtype, np.floating) or np.issubdtype(state.dtype, np.integer)):
        raise ContractError(
            f"the state must be of floating-point numbers or of integers, but it is {state.dtype}"
        )
    if not np.all(np.isfinite(state)):
        raise ContractError("initial_state returns what is not finite")
    new, _ = checked_step(optimizer, state, np.zeros(2))
    with np.errstate(all="ignore"):
        parts = optimizer.step(state, np.zeros(2))
    for what, part in zip(("state", "update"), parts, strict=True):
        _require_array(f"step must return the {what} as", part)
    _require_pure(optimizer)
    for what, dtype in (("initial_state", state.dtype), ("step", new.dtype)):
        if np.issubdtype(dtype, np.floating) and dtype != np.float64:
            raise ContractError(
                f"the probes measure in float64, but {what} returns a state in {dtype}"
            )
    if isinstance(optimizer, LinearizableOptimizer) and state.shape[1] <= MOST_STATE:
        _require_own_derivatives(optimizer)


def _require_array(wanted: str, found: object) -> None:
    """Refuse what has no shape and type of its own, such as a list."""
    if not hasattr(found, "dtype") or not hasattr(found, "reshape"):
        raise ContractError(f"{wanted} a NumPy array, but it is a {type(found).__name__}")


def _require_pure(optimizer: Optimizer) -> None:
    """Refuse a step that the probes would measure something else of: of two components at once.

    Raises:
        ContractError: it changes its arguments, remembers, draws, or looks at other components.
    """
    state = np.array(optimizer.initial_state(2))
    if not np.array_equal(state[0], state[1]):
        raise ContractError("initial_state must be the same for every component")
    for size in (1.0, 1e3):
        gradient = size * np.array([0.3, -0.7])
        before = state.copy(), gradient.copy()
        first = tuple(part.copy() for part in checked_step(optimizer, state, gradient))
        if not all(map(np.array_equal, before, (state, gradient))):
            raise ContractError("step must not change the state or the gradient that it is handed")
        again = checked_step(optimizer, state, gradient)
        if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, again, strict=True)):
            raise ContractError(
                "step returned something else for the same state and gradient: all that it "
                "remembers must be in the state"
            )
        for i in (slice(0, 1), slice(1, 2)):
            alone = checked_step(optimizer, state[i], gradient[i])
            for a, b in zip(first, alone, strict=True):
                if not np.allclose(a[i], b, rtol=1e-6, atol=1e-12, equal_nan=True):
                    raise ContractError(
                        "step gives a component something else beside another one than alone: "
                        "every component must be treated by itself"
                    )


def _require_own_derivatives(optimizer: LinearizableOptimizer) -> None:
    """Refuse a `linearize` that is not the derivative of `step`, at some states that it comes to.

    Raises:
        ContractError: it is not.
    """
    rng = np.random.default_rng(0)
    gradient = np.array([0.3, -0.7])
    state = np.array(optimizer.initial_state(2))
    for _ in range(N_STEPS):
        state = checked_step(optimizer, state, gradient)[0]
        if not (np.issubdtype(state.dtype, np.floating) and np.all(np.isfinite(state))):
            break
        state_way = size_of(state) * rng.choice([-1.0, 1.0], state.shape)
        gradient_way = gradient * rng.choice([-1.0, 1.0], 2)
        _require_slope(optimizer, state, gradient, state_way, gradient_way)


def _require_slope(
    optimizer: LinearizableOptimizer,
    state: Float,
    gradient: Float,
    state_way: Float,
    gradient_way: Float,
) -> None:
    """Hold [A B; C D] times a direction to the slope of `step` along it.

    Raises:
        ContractError: they differ.
    """

    def along(t: float) -> Float:
        new, update = checked_step(optimizer, state + t * state_way, gradient + t * gradient_way)
        return np.concatenate([new, update[:, None]], axis=1)

    slope, error = ridders(along)
    A, B, C, D = own_linearization(optimizer, state, gradient)
    by_state = np.concatenate([A, C[:, None]], axis=1) * state_way[:, None]
    by_gradient = np.concatenate([B, D[:, None]], axis=1) * gradient_way[:, None]
    terms = np.concatenate([by_state, by_gradient[:, :, None]], axis=2)
    own, added = terms.sum(axis=2), np.abs(terms).sum(axis=2)
    size = np.maximum(added, np.abs(slope))
    largest = np.where(np.isfinite(size), size, 0.0).max(axis=1, keepdims=True)
    allowed = np.maximum(NOT_THE_SLOPE * size, ROUNDED_AWAY * largest) + 10 * error
    wrong = np.isfinite(error) & ~(np.abs(own - slope) <= allowed)
    if wrong.any():
        i, j = map(int, np.argwhere(wrong)[0])
        what = "the update" if j == state.shape[1] else f"state variable {j}"
        raise ContractError(
            f"linearize is not the derivative of step: along one direction {what} changes at a "
            f"rate of {slope[i, j]:.6g}, and linearize says {own[i, j]:.6g}"
        )
