"""A, B, C, D of any optimizer: its own, or by differences with a stated error."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import ContractError
from loptbench.protocol import Array, LinearizableOptimizer, Linearization, Optimizer

Float = NDArray[np.float64]

QUICK_STEP = float(np.finfo(np.float64).eps) ** (1 / 3)
HALVINGS = 24
FIRST_STEP = 0.25
SMALLEST_SCALE = 1e-8
KINK = 1e-3
"""From this share of a slope on, a jump between it from the left and from the right is one."""

ROUNDING = 4 * float(np.finfo(np.float64).eps)
MOST_STATE = 1024
"""The largest state whose Jacobian is formed: of 1,024 variables it holds 8 MB per component."""

BLOCK_FLOATS = 2**24
"""About how many numbers the Jacobians that are held at one time have: what bounds the memory."""


class Linearized(NamedTuple):
    """The Jacobians, and estimates of their absolute errors.

    Attributes:
        linear: A, B, C, D of every component.
        state_error: that of A and B; 0 if the optimizer differentiates itself.
        update_error: that of C and D; infinite where the update has no derivative.
    """

    linear: Linearization
    state_error: float = 0.0
    update_error: float = 0.0


def checked_step(optimizer: Optimizer, state: Array, gradient: Array) -> tuple[Float, Float]:
    """One step, with the shapes that the protocol asks for.

    Raises:
        ContractError: what came back is no pair, or has another shape.
    """
    with np.errstate(all="ignore"):
        found = optimizer.step(state, gradient)
    _require_parts("step", found, "the new state", "the update")
    new, update = (np.asarray(part) for part in found)
    for what, array, shape in (("state", new, state.shape), ("update", update, gradient.shape)):
        if array.shape != shape:
            raise ContractError(
                f"step must return the {what} in the shape {shape}, but it has {array.shape}"
            )
    return new, np.asarray(update, np.float64)


def _require_parts(method: str, found: object, *parts: str) -> None:
    """Refuse what is not a tuple of so many parts."""
    n = len(found) if isinstance(found, tuple | list) else None
    if n != len(parts):
        came = type(found).__name__ if n is None else f"{n} values"
        wanted = f"{', '.join(parts[:-1])} and {parts[-1]}"
        raise ContractError(f"{method} must return {wanted}, but it returned {came}")


def linearize(
    optimizer: Optimizer,
    state: Array,
    gradient: Array,
    gradient_scale: Array | float = 1.0,
) -> Linearized:
    """The optimizer's Jacobians at a state and gradient: its own, or by Ridders' method.

    Args:
        optimizer: any optimizer in float64.
        state: (n_components, n_state).
        gradient: (n_components,).
        gradient_scale: on what scale the optimizer may vary with the gradient.
    """
    if isinstance(optimizer, LinearizableOptimizer):
        return Linearized(own_linearization(optimizer, state, gradient))
    return by_differences(optimizer, state, gradient, gradient_scale)


def own_linearization(
    optimizer: LinearizableOptimizer, state: Array, gradient: Array
) -> Linearization:
    """The Jacobians by the optimizer's own `linearize`, as many at once as fit into the memory.

    Raises:
        ContractError: what came back has another shape than the protocol asks for.
    """
    n, n_state = state.shape
    size = max(1, BLOCK_FLOATS // max(1, n_state**2))
    parts = []
    for start in range(0, max(n, 1), size):
        with np.errstate(all="ignore"):
            # Copies, for it may write into them.
            at, g = (one[start : start + size].copy() for one in (state, gradient))
            part = optimizer.linearize(at, g)
        _require_parts("linearize", part, *"ABCD")
        parts.append(Linearization(*(np.asarray(matrix, np.float64) for matrix in part)))
    found = Linearization(*(np.concatenate(matrices) for matrices in zip(*parts, strict=True)))
    shapes = ((n, n_state, n_state), (n, n_state), (n, n_state), (n,))
    for name, matrix, shape in zip("ABCD", found, shapes, strict=True):
        if matrix.shape != shape:
            raise ContractError(
                f"linearize must return {name} in the shape {shape}, but it has {matrix.shape}"
            )
    return found


def quick_linearization(optimizer: Optimizer, state: Array, gradient: Array) -> Linearization:
    """Jacobians that are good enough for Newton's iteration: own, or one central difference each.

    On the scale of each number by itself, so that a square that is small stays positive.
    """
    if isinstance(optimizer, LinearizableOptimizer):
        return own_linearization(optimizer, state, gradient)
    scales = np.concatenate([size_of(state), size_of(gradient)[:, None]], axis=1)
    return _differences(optimizer, state, gradient, scales, _central).linear


def central_differences(optimizer: Optimizer, state: Array, gradient: Array) -> Linearization:
    """Jacobians by one central difference each: what a `linearize` can be held to.

    ∂f/∂x ≈ (f(x + ε) − f(x − ε)) / 2ε,  ε = u^⅓ · max(1, |x|)
    """
    both = np.concatenate([state, gradient[:, None]], axis=1)
    scales = np.maximum(1.0, np.abs(both))
    return _differences(optimizer, state, gradient, scales, _central).linear


def by_differences(
    optimizer: Optimizer, state: Array, gradient: Array, gradient_scale: Array | float = 1.0
) -> Linearized:
    """The Jacobians by Ridders' method, and an estimate of their error; see `ridders`."""
    of_gradient = np.broadcast_to(np.asarray(gradient_scale, np.float64), gradient.shape)
    scales = np.concatenate([size_of(state), of_gradient[:, None]], axis=1)
    return _differences(optimizer, state, gradient, scales, ridders)


Along = Callable[[float], Float]


def size_of(x: Array) -> Float:
    """What x may vary on: its own size, so that a square stays positive; 1 at zero."""
    return np.where(x == 0, 1.0, np.maximum(np.abs(x), SMALLEST_SCALE))


def _central(along: Along) -> tuple[Float, Float]:
    with np.errstate(all="ignore"):
        return (along(QUICK_STEP) - along(-QUICK_STEP)) / (2 * QUICK_STEP), np.zeros(())


def _differences(
    optimizer: Optimizer,
    state: Array,
    gradient: Array,
    scales: Float,
    slope: Callable[[Along], tuple[Float, Float]],
) -> Linearized:
    """Column by column: along each state variable, and along the gradient.

    Args:
        optimizer: the optimizer.
        state: (n_components, n_state).
        gradient: (n_components,).
        scales: what each is moved in units of, (n_components, n_state + 1).
        slope: how to differentiate.
    """
    n_state = state.shape[1]
    columns, errors = [], [np.zeros((len(state), n_state + 1))]
    for i, scale in enumerate(scales.T):

        def along(t: float, i: int = i, scale: Float = scale) -> Float:
            h, g = state.astype(np.float64), gradient
            if i < n_state:
                h[:, i] += t * scale
            else:
                g = gradient + t * scale
            new, update = checked_step(optimizer, h, g)
            return np.concatenate([new, update[:, None]], axis=1) / scale[:, None]

        column, error = slope(along)
        columns.append(column)
        errors.append(np.broadcast_to(error, column.shape))
    # (n_components, of what: n_state and the update, by what: n_state and the gradient)
    all_ = np.stack(columns, axis=2)
    A, B = all_[:, :n_state, :n_state], all_[:, :n_state, n_state]
    linear = Linearization(A, B, all_[:, n_state, :n_state], all_[:, n_state, n_state])
    worst = np.max(errors, axis=(0, 1), initial=0.0)
    return Linearized(linear, float(worst[:n_state].max(initial=0.0)), float(worst[n_state]))


def gain(
    optimizer: Optimizer, state: Array, gradient: Array, gradient_scale: Array | float = 1.0
) -> tuple[Float, Float]:
    """D = ∂U/∂g alone, and an estimate of its error; each (n_components,)."""
    if isinstance(optimizer, LinearizableOptimizer) and state.shape[1] <= MOST_STATE:
        D = own_linearization(optimizer, state, gradient).D
        return D, np.zeros_like(D)
    return gain_by_differences(optimizer, state, gradient, gradient_scale)


def gain_by_differences(
    optimizer: Optimizer, state: Array, gradient: Array, gradient_scale: Array | float = 1.0
) -> tuple[Float, Float]:
    """D by Ridders' method, on the scale of each component's gradient, and its error."""
    scale = np.broadcast_to(np.asarray(gradient_scale, np.float64), gradient.shape)
    return ridders(lambda t: checked_step(optimizer, state, gradient + t * scale)[1] / scale)


def ridders(along: Along) -> tuple[Float, Float]:
    """df/dt at t = 0 of every element of an array, and an estimate of its error.

    Central differences with the steps FIRST_STEP · 2⁻ⁱ, extrapolated to a step of zero (Ridders
    1982): a polynomial in the step, evaluated at zero by Neville's scheme. (In its square it would
    do for what is smooth; but soft clips are often made of |g|, whose second derivative jumps.) Of
    all entries of the scheme, each element takes the one that is nearest to its neighbours,
    rounding counted in: at small steps some are near by chance. Where there is no derivative no two
    entries are near, and the error says so. A kink is no hindrance to a central difference: where
    the slopes from the left and from the right stay apart at every step, the error is half of that.

    Args:
        along: f(t) for |t| up to a quarter; an array of any shape, the same for all t.
    """
    step = FIRST_STEP
    above: list[Float] = []
    best = error = apart_least = apart_most = np.zeros(0)
    with np.errstate(all="ignore"):
        middle = along(0.0)
        for i in range(HALVINGS):
            high, low = along(step), along(-step)
            row = [(high - low) / (2 * step)]
            rounding = ROUNDING * np.maximum(np.abs(high), np.abs(low)) / step
            sides = np.maximum(np.abs(high - 2 * middle + low) / step - rounding, 0)
            if i == 0:
                best, error = row[0], np.full(row[0].shape, np.inf)
                apart_least = apart_most = sides
            apart_least, apart_most = np.fmin(apart_least, sides), np.fmax(apart_most, sides)
            factor = 1.0
            for j, one in enumerate(above):
                factor *= 2.0
                row.append((row[j] * factor - one) / (factor - 1))
                apart = np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - one)) + rounding
                better = apart < error
                best, error = np.where(better, row[-1], best), np.where(better, apart, error)
            above, step = row, step / 2
        kink = apart_least > KINK * np.fmax(np.abs(best), apart_most)
        error = np.where(kink, np.fmax(error, apart_least / 2), error)
    return best, np.where(np.isfinite(best), error, np.inf)
