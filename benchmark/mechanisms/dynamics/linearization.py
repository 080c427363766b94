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

Float = NDArray[np.float64]

LineFunction = Callable[[float], Float]
"""f(t): the values of a function along a line, at a distance t from the point of interest."""

CENTRAL_DIFFERENCE_STEP = float(np.finfo(np.float64).eps) ** (1 / 3)
"""Step of a single central difference, relative to the scale: balances truncation and rounding."""

N_HALVINGS = 24
"""Number of step sizes in Ridders' method; each is half of the one before."""

FIRST_STEP = 0.25
"""Largest step of Ridders' method, relative to the scale."""

MIN_SCALE = 1e-8
"""Lower limit for the scale on which a number other than zero is varied."""

MIN_KINK = 1e-3
"""Smallest jump between the left and the right slope, relative to the slope, counted as a kink."""

RELATIVE_ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""Relative rounding error assumed for a value of the function that is differentiated."""

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
    scales = np.concatenate([natural_scale(state), natural_scale(gradient)[:, None]], axis=1)
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
    scales = np.concatenate([natural_scale(state), broadcast_scale[:, None]], axis=1)
    return _finite_differences(optimizer, state, gradient, scales, ridders_derivative)


def natural_scale(x: Array) -> Float:
    """The scale on which to vary each number: its own magnitude, or 1 at zero.

    >>> natural_scale(np.array([0.0, -2.0, 1e-12]))
    array([1.e+00, 2.e+00, 1.e-08])
    """
    return np.where(x == 0, 1.0, np.maximum(np.abs(x), MIN_SCALE))


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


def ridders_derivative(function: LineFunction) -> tuple[Float, Float]:
    """df/dt at t = 0 of every element of an array, and an estimate of its error.

    Central differences with the steps FIRST_STEP · 2⁻ⁱ are extrapolated to a step of zero (Ridders
    1982): a polynomial in the step is evaluated at zero by Neville's scheme. A polynomial in the
    *squared* step would suffice for smooth functions. But soft clips are often made of |g|, whose
    second derivative jumps.

    Each element takes the entry of the scheme that is nearest to its neighbours, rounding included:
    at small steps some entries agree by chance. Without a derivative no two entries agree, and the
    error is large. A central difference does not see a kink. So where the left and the right slope
    differ at every step, the error is at least half of their difference.

    Args:
        function: f(t) for |t| ≤ FIRST_STEP; an array of any shape, the same for all t.

    Returns: the derivative and its error, both of the shape of f(t); an infinite error where the
        derivative is not finite.

    >>> derivative, error = ridders_derivative(lambda t: np.array([np.sin(t)]))
    >>> bool(abs(derivative[0] - 1) < 1e-12)
    True
    """
    step = FIRST_STEP
    previous_row: list[Float] = []
    best = error = smallest_jump = largest_jump = np.zeros(0)
    with np.errstate(all="ignore"):
        middle = function(0.0)
        for i in range(N_HALVINGS):
            right, left = function(step), function(-step)
            row = [(right - left) / (2 * step)]
            rounding = RELATIVE_ROUNDING * np.maximum(np.abs(right), np.abs(left)) / step
            # |right slope − left slope|, beyond rounding
            jump = np.maximum(np.abs(right - 2 * middle + left) / step - rounding, 0)
            if i == 0:
                best, error = row[0], np.full(row[0].shape, np.inf)
                smallest_jump = largest_jump = jump
            smallest_jump, largest_jump = (
                np.fmin(smallest_jump, jump),
                np.fmax(largest_jump, jump),
            )
            factor = 1.0
            for j, previous in enumerate(previous_row):
                factor *= 2.0
                row.append((row[j] * factor - previous) / (factor - 1))
                distance = (
                    np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - previous)) + rounding
                )
                better = distance < error
                best, error = np.where(better, row[-1], best), np.where(better, distance, error)
            previous_row, step = row, step / 2
        kink = smallest_jump > MIN_KINK * np.fmax(np.abs(best), largest_jump)
        error = np.where(kink, np.fmax(error, smallest_jump / 2), error)
    return best, np.where(np.isfinite(best), error, np.inf)
