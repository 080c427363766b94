"""The Jacobians A, B, C, D of any optimizer: its own, or finite differences with an error estimate.

A = ∂F/∂h,  B = ∂F/∂g,  C = ∂U/∂h,  D = ∂U/∂g     of h' = F(h, g), Δ = U(h, g)
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import ContractError
from loptbench.mechanisms.dynamics.arrays import plain_array
from loptbench.protocol import Array, Gains, LinearizableOptimizer, Linearization, Optimizer
from loptbench.ridders import LineFunction, ridders_derivative

Float = NDArray[np.float64]

CENTRAL_DIFFERENCE_STEP = float(np.finfo(np.float64).eps) ** (1 / 3)
"""Step of a single central difference, relative to the scale: balances truncation and rounding."""

MIN_SCALE = 1e-8
"""Lower limit for the scale on which a number other than zero is varied."""

ROUNDING_OF_ZERO = 1e-14
"""A state variable below this fraction of the largest of its component is zero but for rounding."""

MAX_STATE_SIZE = 1024
"""The largest state whose Jacobian is formed. With 1,024 variables it takes 8 MB per component."""

MAX_BLOCK_ELEMENTS = 2**20
"""Approximate number of Jacobian entries computed at a time: 8 MB, which stay in the cache."""


class LinearizationEstimate(NamedTuple):
    """The Jacobians of every component, and estimates of their absolute errors.

    Attributes:
        linear: A, B, C, D.
        state_error: largest error of A and B; 0 if the optimizer differentiates itself.
        update_error: largest error of C and D; infinite where the update has no derivative.
    """

    linear: Linearization
    state_error: float = 0.0
    update_error: float = 0.0


def checked_step(optimizer: Optimizer, state: Array, gradient: Array) -> tuple[Float, Float]:
    """One step of the optimizer, with its results checked and converted to NumPy arrays.

    Args:
        optimizer: any optimizer.
        state: (n_components, n_state).
        gradient: (n_components,).

    Returns: the new state, (n_components, n_state), and the update, (n_components,).

    Raises:
        ContractError: the optimizer did not return a pair, or one part has the wrong shape or
            dtype, or is no array.
    """
    if not gradient.size:  # an optimizer need not know what to do without components
        return np.array(state), np.zeros(0)
    with np.errstate(all="ignore"):
        parts = optimizer.step(state, gradient)
    _require_parts("step", parts, "the new state", "the update")
    new_state = plain_array("the state that step returns", parts[0])
    update = plain_array("the update that step returns", parts[1])
    for name, array, shape in (
        ("state", new_state, state.shape),
        ("update", update, gradient.shape),
    ):
        if array.shape != shape:
            raise ContractError(
                f"step must return the {name} in the shape {shape}, but it has {array.shape}"
            )
    return new_state, np.asarray(update, np.float64)


def _require_parts(method: str, result: object, *parts: str) -> None:
    """Raise a ContractError unless the result is a tuple with these parts."""
    n_parts = len(result) if isinstance(result, tuple | list) else None
    if n_parts != len(parts):
        returned = type(result).__name__ if n_parts is None else f"{n_parts} values"
        expected = f"{', '.join(parts[:-1])} and {parts[-1]}"
        raise ContractError(f"{method} must return {expected}, but it returned {returned}")


def linearize(
    optimizer: Optimizer,
    state: Array,
    gradient: Array,
    gradient_scale: Array | float = 1.0,
) -> LinearizationEstimate:
    """The optimizer's Jacobians at a state and gradient: its own, or by Ridders' method.

    Args:
        optimizer: any optimizer in float64.
        state: (n_components, n_state).
        gradient: (n_components,).
        gradient_scale: the scale on which the gradient is varied, a number or (n_components,).

    Raises:
        ContractError: `step` or `linearize` returned the wrong shapes.
    """
    if isinstance(optimizer, LinearizableOptimizer):
        return LinearizationEstimate(checked_linearization(optimizer, state, gradient))
    return linearize_by_ridders(optimizer, state, gradient, gradient_scale)


def checked_linearization(
    optimizer: LinearizableOptimizer, state: Array, gradient: Array
) -> Linearization:
    """The Jacobians by the optimizer's own `linearize`, in blocks that fit into memory.

    Args:
        optimizer: an optimizer that differentiates itself.
        state: (n_components, n_state).
        gradient: (n_components,).

    Raises:
        ContractError: a Jacobian has another shape or dtype than the protocol asks for.
    """
    n, n_state = state.shape
    block_size = max(1, MAX_BLOCK_ELEMENTS // max(1, n_state**2))
    if not n:
        return _no_components(n_state)
    blocks = []
    for start in range(0, n, block_size):
        block = slice(start, start + block_size)
        with np.errstate(all="ignore"):
            # Copies, because the optimizer may write into its arguments.
            parts = optimizer.linearize(state[block].copy(), gradient[block].copy())
        _require_parts("linearize", parts, *"ABCD")
        matrices = (
            plain_array(f"{name} of linearize", matrix)
            for name, matrix in zip("ABCD", parts, strict=True)
        )
        blocks.append(Linearization(*(np.asarray(matrix, np.float64) for matrix in matrices)))
    linear = Linearization(*(np.concatenate(matrices) for matrices in zip(*blocks, strict=True)))
    shapes = ((n, n_state, n_state), (n, n_state), (n, n_state), (n,))
    for name, matrix, shape in zip("ABCD", linear, shapes, strict=True):
        if matrix.shape != shape:
            raise ContractError(
                f"linearize must return {name} in the shape {shape}, but it has {matrix.shape}"
            )
    return linear


def _no_components(n_state: int) -> Linearization:
    """The Jacobians of no component."""
    return Linearization(
        np.zeros((0, n_state, n_state)), np.zeros((0, n_state)), np.zeros((0, n_state)), np.zeros(0)
    )


def approximate_linearization(optimizer: Optimizer, state: Array, gradient: Array) -> Linearization:
    """Jacobians for Newton's iteration: the optimizer's own, or central differences.

    Each number is varied on its own scale, so that a small squared quantity stays positive.

    Args:
        optimizer: any optimizer in float64.
        state: (n_components, n_state).
        gradient: (n_components,).
    """
    if isinstance(optimizer, LinearizableOptimizer):
        return checked_linearization(optimizer, state, gradient)
    scales = np.concatenate(
        [state_variable_scales(state), natural_scale(gradient)[:, None]], axis=1
    )
    return _finite_differences(optimizer, state, gradient, scales, _central_difference).linear


def central_differences(optimizer: Optimizer, state: Array, gradient: Array) -> Linearization:
    """Jacobians by one central difference per column: the reference for a user's `linearize`.

    ∂f/∂x ≈ (f(x + ε) − f(x − ε)) / 2ε,  ε = u^⅓ · max(1, |x|)

    Args:
        optimizer: any optimizer in float64.
        state: (n_components, n_state).
        gradient: (n_components,).
    """
    inputs = np.concatenate([state, gradient[:, None]], axis=1)
    scales = np.maximum(1.0, np.abs(inputs))
    return _finite_differences(optimizer, state, gradient, scales, _central_difference).linear


def linearize_by_ridders(
    optimizer: Optimizer, state: Array, gradient: Array, gradient_scale: Array | float = 1.0
) -> LinearizationEstimate:
    """The Jacobians by Ridders' method, and estimates of their errors; see `ridders_derivative`.

    Arguments as those of `linearize`.
    """
    broadcast_scale = np.broadcast_to(np.asarray(gradient_scale, np.float64), gradient.shape)
    scales = np.concatenate([state_variable_scales(state), broadcast_scale[:, None]], axis=1)
    return _finite_differences(optimizer, state, gradient, scales, ridders_derivative)


def natural_scale(x: Array) -> Float:
    """The scale on which to vary each number: its own magnitude, or 1 at zero.

    >>> natural_scale(np.array([0.0, -2.0, 1e-12]))
    array([1.e+00, 2.e+00, 1.e-08])
    """
    return np.where(x == 0, 1.0, np.maximum(np.abs(x), MIN_SCALE))


def state_variable_scales(state: Float) -> Float:
    """The scale on which to vary each state variable; what is zero but for rounding is zero.

    >>> state_variable_scales(np.array([[0.5, 1e-17]]))
    array([[0.5, 1. ]])
    """
    largest = np.abs(state).max(axis=1, initial=0.0, keepdims=True)
    return natural_scale(np.where(np.abs(state) < ROUNDING_OF_ZERO * largest, 0.0, state))


def _central_difference(function: LineFunction) -> tuple[Float, Float]:
    step = CENTRAL_DIFFERENCE_STEP
    with np.errstate(all="ignore"):
        return (function(step) - function(-step)) / (2 * step), np.zeros(())


def _finite_differences(
    optimizer: Optimizer,
    state: Array,
    gradient: Array,
    scales: Float,
    differentiate: Callable[[LineFunction], tuple[Float, Float]],
) -> LinearizationEstimate:
    """The Jacobians column by column: along each state variable, and along the gradient.

    Args:
        optimizer: the optimizer.
        state: (n_components, n_state).
        gradient: (n_components,).
        scales: the unit of displacement of each input, (n_components, n_state + 1).
        differentiate: returns the derivative of a function along a line, and its error.
    """
    n_state = state.shape[1]
    columns, errors = [], [np.zeros((len(state), n_state + 1))]
    for i, scale in enumerate(scales.T):

        def displaced_step(t: float, i: int = i, scale: Float = scale) -> Float:
            h, g = state.astype(np.float64), gradient
            if i < n_state:
                h[:, i] += t * scale
            else:
                g = gradient + t * scale
            new_state, update = checked_step(optimizer, h, g)
            return np.concatenate([new_state, update[:, None]], axis=1) / scale[:, None]

        column, error = differentiate(displaced_step)
        columns.append(column)
        errors.append(np.broadcast_to(error, column.shape))
    # (n_components, output: n_state and the update, input: n_state and the gradient)
    jacobian = np.stack(columns, axis=2)
    A, B = jacobian[:, :n_state, :n_state], jacobian[:, :n_state, n_state]
    C, D = jacobian[:, n_state, :n_state], jacobian[:, n_state, n_state]
    largest = np.max(errors, axis=(0, 1), initial=0.0)
    return LinearizationEstimate(
        Linearization(A, B, C, D),
        float(largest[:n_state].max(initial=0.0)),
        float(largest[n_state]),
    )


def gain(
    optimizer: Optimizer, state: Array, gradient: Array, gradient_scale: Array | float = 1.0
) -> tuple[Float, Float]:
    """D = ∂U/∂g alone, and an estimate of its error; each (n_components,).

    It is the optimizer's own `gain`, the D of its own `linearize`, or Ridders' derivative of its
    step: the first that there is.

    Arguments as those of `linearize`.

    Raises:
        ContractError: `gain`, `linearize` or `step` returned the wrong shape.
    """
    if isinstance(optimizer, Gains):
        own = checked_gain(optimizer, state, gradient)
        return own, np.zeros_like(own)
    if isinstance(optimizer, LinearizableOptimizer) and state.shape[1] <= MAX_STATE_SIZE:
        D = checked_linearization(optimizer, state, gradient).D
        return D, np.zeros_like(D)
    scale = np.broadcast_to(np.asarray(gradient_scale, np.float64), gradient.shape)
    return ridders_derivative(
        lambda t: checked_step(optimizer, state, gradient + t * scale)[1] / scale
    )


def checked_gain(optimizer: Gains, state: Array, gradient: Array) -> Float:
    """D by the optimizer's own `gain`, (n_components,), in float64.

    Raises:
        ContractError: it has another shape or dtype than the protocol asks for, or is no array.
    """
    if not gradient.size:
        return np.zeros(0)
    with np.errstate(all="ignore"):
        # Copies, because the optimizer may write into its arguments.
        D = plain_array("what gain returns", optimizer.gain(state.copy(), gradient.copy()))
    if D.shape != gradient.shape:
        raise ContractError(f"gain must return the shape {gradient.shape}, but it has {D.shape}")
    return np.asarray(D, np.float64)
