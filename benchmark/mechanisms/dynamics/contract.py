"""The protocol checks that an optimizer must pass before the probes measure anything."""

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import ContractError
from loptbench.mechanisms.dynamics.fast_path_contract import (
    require_correct_drive,
    require_correct_gain,
)
from loptbench.mechanisms.dynamics.linearization import (
    MAX_STATE_SIZE,
    checked_linearization,
    checked_step,
    natural_scale,
    ridders_derivative,
)
from loptbench.protocol import LinearizableOptimizer, Optimizer

Float = NDArray[np.float64]

N_STEPS = 3
"""Number of states at which `linearize` is compared with `step`."""

MAX_SLOPE_ERROR = 1e-2
"""Relative tolerance of `linearize` against finite differences, relative to the sum of the
magnitudes of the terms. Where `step` is smooth, finite differences are accurate to 1e-9. Elsewhere
ten times their own error estimate is added."""

MIN_SLOPE_FRACTION = float(np.finfo(np.float64).eps) ** 0.5
"""Slopes below this fraction of the largest are not compared: rounding may hide them. For a gate
closed to 1e-10, z is near 1, and 1 − z is known only to a millionth."""


def require_optimizer(optimizer: Optimizer) -> None:
    """Check that an object is an optimizer that the probes can measure.

    Args:
        optimizer: any object that offers `initial_state` and `step`, and perhaps `linearize`,
            `drive` and `gain`.

    Raises:
        ContractError: one of these methods does not keep to the protocol.
    """
    initial_state = optimizer.initial_state(2)
    _require_array("initial_state must return", initial_state)
    state = np.asarray(initial_state)
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
    new_state, _ = checked_step(optimizer, state, np.zeros(2))
    with np.errstate(all="ignore"):
        parts = optimizer.step(state, np.zeros(2))
    for name, part in zip(("state", "update"), parts, strict=True):
        _require_array(f"step must return the {name} as", part)
    _require_pure(optimizer)
    for method, dtype in (("initial_state", state.dtype), ("step", new_state.dtype)):
        if np.issubdtype(dtype, np.floating) and dtype != np.float64:
            raise ContractError(
                f"the probes measure in float64, but {method} returns a state in {dtype}"
            )
    if isinstance(optimizer, LinearizableOptimizer) and state.shape[1] <= MAX_STATE_SIZE:
        _require_correct_linearize(optimizer)
    if np.issubdtype(state.dtype, np.floating):
        require_correct_drive(optimizer)
        require_correct_gain(optimizer)


def _require_array(requirement: str, value: object) -> None:
    """Raise a ContractError for a value without a shape and a dtype, such as a list."""
    if not hasattr(value, "dtype") or not hasattr(value, "reshape"):
        raise ContractError(f"{requirement} a NumPy array, but it is a {type(value).__name__}")


def _require_pure(optimizer: Optimizer) -> None:
    """Check that `step` is a pure function of each component's state and gradient.

    Raises:
        ContractError: it changes its arguments, keeps a hidden state, is random, or mixes
            components.
    """
    state = np.array(optimizer.initial_state(2))
    if not np.array_equal(state[0], state[1]):
        raise ContractError("initial_state must be the same for every component")
    for scale in (1.0, 1e3):
        gradient = scale * np.array([0.3, -0.7])
        arguments = state.copy(), gradient.copy()
        result = tuple(part.copy() for part in checked_step(optimizer, state, gradient))
        if not all(map(np.array_equal, arguments, (state, gradient))):
            raise ContractError("step must not change the state or the gradient that it is handed")
        repeated = checked_step(optimizer, state, gradient)
        if not all(
            np.array_equal(a, b, equal_nan=True) for a, b in zip(result, repeated, strict=True)
        ):
            raise ContractError(
                "step returned something else for the same state and gradient: all that it "
                "remembers must be in the state"
            )
        for i in (slice(0, 1), slice(1, 2)):
            alone = checked_step(optimizer, state[i], gradient[i])
            for a, b in zip(result, alone, strict=True):
                if not np.allclose(a[i], b, rtol=1e-6, atol=1e-12, equal_nan=True):
                    raise ContractError(
                        "step gives a component something else beside another one than alone: "
                        "every component must be treated by itself"
                    )


def _require_correct_linearize(optimizer: LinearizableOptimizer) -> None:
    """Check `linearize` against the slope of `step` at a few states of a short run.

    Raises:
        ContractError: they differ.
    """
    rng = np.random.default_rng(0)
    gradient = np.array([0.3, -0.7])
    state = np.array(optimizer.initial_state(2))
    for _ in range(N_STEPS):
        state = checked_step(optimizer, state, gradient)[0]
        if not (np.issubdtype(state.dtype, np.floating) and np.all(np.isfinite(state))):
            break
        state_direction = natural_scale(state) * rng.choice([-1.0, 1.0], state.shape)
        gradient_direction = gradient * rng.choice([-1.0, 1.0], 2)
        _require_directional_derivative(
            optimizer, state, gradient, state_direction, gradient_direction
        )


def _require_directional_derivative(
    optimizer: LinearizableOptimizer,
    state: Float,
    gradient: Float,
    state_direction: Float,
    gradient_direction: Float,
) -> None:
    """Compare [A B; C D] · direction with the slope of `step` along the direction.

    Raises:
        ContractError: they differ.
    """

    def displaced_step(t: float) -> Float:
        new_state, update = checked_step(
            optimizer, state + t * state_direction, gradient + t * gradient_direction
        )
        return np.concatenate([new_state, update[:, None]], axis=1)

    slope, error = ridders_derivative(displaced_step)
    A, B, C, D = checked_linearization(optimizer, state, gradient)
    state_terms = np.concatenate([A, C[:, None]], axis=1) * state_direction[:, None]
    gradient_terms = np.concatenate([B, D[:, None]], axis=1) * gradient_direction[:, None]
    terms = np.concatenate([state_terms, gradient_terms[:, :, None]], axis=2)
    own_slope, sum_of_magnitudes = terms.sum(axis=2), np.abs(terms).sum(axis=2)
    scale = np.maximum(sum_of_magnitudes, np.abs(slope))
    largest = np.where(np.isfinite(scale), scale, 0.0).max(axis=1, keepdims=True)
    tolerance = np.maximum(MAX_SLOPE_ERROR * scale, MIN_SLOPE_FRACTION * largest) + 10 * error
    wrong = np.isfinite(error) & ~(np.abs(own_slope - slope) <= tolerance)
    if wrong.any():
        i, j = map(int, np.argwhere(wrong)[0])
        name = "the update" if j == state.shape[1] else f"state variable {j}"
        raise ContractError(
            f"linearize is not the derivative of step: along one direction {name} changes at a "
            f"rate of {slope[i, j]:.6g}, and linearize says {own_slope[i, j]:.6g}"
        )
