"""Whether `linearize` and `gain` are derivatives of `step`."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import ContractError
from loptbench.mechanisms.dynamics.contract.samples import Samples
from loptbench.mechanisms.dynamics.linearization import (
    checked_gain,
    checked_linearization,
    checked_step,
    natural_scale,
)
from loptbench.protocol import Gains, LinearizableOptimizer, Optimizer
from loptbench.ridders import ridders_derivative

Float = NDArray[np.float64]

MAX_SLOPE_ERROR = 1e-8
"""Relative tolerance of a slope, relative to the sum of the magnitudes of its terms. A finite
difference is accurate to 1e-10 where `step` is smooth. Elsewhere ten times its own error estimate
is added. In one of 256 terms, half a percent is still 2e-5 of the sum."""

ROUNDING_ERROR = 1e-10
"""Tolerance of a slope relative to the largest result, or to 1: for a gate closed to 1e-10, z is
near 1, and 1 − z is known only to 1e-16. Over 1e-6 of the scale that is this much."""

MAX_USED_ERROR = 1e-2
"""Slopes whose own error is larger, on the same scale, are not compared: beside a kink, say."""

SMALLEST_WEIGHT = 0.3
"""Displacements along a direction are random, between this and 1 on the scale of each number."""


NEGLIGIBLE = 1e-9
"""A state variable below this fraction of what a step adds to it is varied as if it were zero: a
fixed point is found to about 1e-12."""

LENGTHS = (1.0, 0.37, 0.14)
"""Lengths of the displacements with which a slope is measured again."""

MAX_SPREADS = 5
"""A difference counts if it is larger than this many times the spread over those lengths."""


def require_correct_linearize(optimizer: LinearizableOptimizer, samples: Samples) -> None:
    """Compare `linearize` with slopes of `step`.

    At each sample the slopes are along the gradient, and along two random directions in which all
    state variables take part. So a fault in one entry of A, B, C or D is noticed.

    Raises:
        ContractError: they differ; the message names the entry.
    """
    linear = checked_linearization(optimizer, samples.state, samples.gradient)
    jacobian = np.concatenate(
        [
            np.concatenate([linear.A, linear.B[:, :, None]], axis=2),
            np.concatenate([linear.C, linear.D[:, None]], axis=1)[:, None],
        ],
        axis=1,
    )
    scales = _scales(optimizer, samples)
    rng = np.random.default_rng(0)
    directions = [_along_gradient(scales)]
    for _ in range(2):
        weights = rng.uniform(SMALLEST_WEIGHT, 1, scales.shape)
        directions.append(scales * weights * rng.choice([-1.0, 1.0], scales.shape))
    stacked = np.stack(directions, axis=1)
    with np.errstate(all="ignore"):
        own = np.einsum("ijl,idl->idj", jacobian, stacked)
        terms = np.einsum("ijl,idl->idj", np.abs(jacobian), np.abs(stacked))
    wrong = _wrong_slopes(own, terms, lambda t: _slopes(optimizer, samples, t * stacked))
    if wrong.any():
        i, _, j = map(int, np.argwhere(wrong)[0])
        raise ContractError(
            f"linearize is not the derivative of step: {_entry(optimizer, samples, jacobian, i, j)}"
        )


def require_correct_gain(optimizer: Gains, samples: Samples) -> None:
    """Compare `gain` with slopes of the update.

    Raises:
        ContractError: they differ.
    """
    D = checked_gain(optimizer, samples.state, samples.gradient)
    direction = _along_gradient(_scales(optimizer, samples))[:, None]
    own = D * samples.gradient_scale

    def slopes(length: float) -> tuple[Float, Float]:
        slope, error = _slopes(optimizer, samples, length * direction)
        return slope[:, 0, -1], error[:, 0, -1]

    wrong = _wrong_slopes(own, np.abs(own), slopes)
    if wrong.any():
        i = int(np.argmax(wrong))
        slope = slopes(1.0)[0][i] / samples.gradient_scale[i]
        raise ContractError(
            f"gain is not the derivative of step: at a gradient of {samples.gradient[i]:.6g} the "
            f"update changes at a rate of {slope:.8g}, and gain says {D[i]:.8g}"
        )


def _along_gradient(scales: Float) -> Float:
    """The direction of the gradient alone, from the scales of all numbers, (n, n_state + 1)."""
    return np.where(np.arange(scales.shape[1]) == scales.shape[1] - 1, scales, 0.0)


def _scales(optimizer: Optimizer, samples: Samples) -> Float:
    """The scale on which each number is varied, (n, n_state + 1).

    It is the number's own magnitude. A state variable of zero, but for rounding, is varied by what
    a step adds to it: a mean square of zero is far from 1 where gradients are small. At rest a step
    adds nothing, so a gradient is taken where there is none.
    """
    state = samples.state
    gradient = np.where(samples.gradient == 0, samples.gradient_scale, samples.gradient)
    with np.errstate(all="ignore"):
        change = checked_step(optimizer, state.copy(), gradient)[0] - state
    change = np.where(np.isfinite(change), change, 0.0)
    is_zero = np.abs(state) <= NEGLIGIBLE * np.abs(change)
    of_state = natural_scale(np.where(is_zero, change, state))
    return np.concatenate([of_state, samples.gradient_scale[:, None]], axis=1)


def _slopes(optimizer: Optimizer, samples: Samples, directions: Float) -> tuple[Float, Float]:
    """Slopes of all results along the directions, and their errors, by Ridders' method.

    Args:
        optimizer: the optimizer.
        samples: n states and gradients.
        directions: (n, n_directions, n_state + 1).

    Returns: both (n, n_directions, n_state + 1).
    """
    n, n_directions, n_inputs = directions.shape
    state = np.repeat(samples.state, n_directions, axis=0)
    gradient = np.repeat(samples.gradient, n_directions)
    flat = directions.reshape(-1, n_inputs)

    def displaced(t: float) -> Float:
        new_state, update = checked_step(
            optimizer, state + t * flat[:, :-1], gradient + t * flat[:, -1]
        )
        return np.concatenate([new_state, update[:, None]], axis=1)

    slope, error = ridders_derivative(displaced)
    rounding = ROUNDING_ERROR * np.maximum(1.0, np.abs(displaced(0.0)).max(axis=1, keepdims=True))
    shape = (n, n_directions, n_inputs)
    return slope.reshape(shape), (10 * error + rounding).reshape(shape)


def _wrong_slopes(
    own: Float, terms: Float, slopes: Callable[[float], tuple[Float, Float]]
) -> NDArray[np.bool_]:
    """Which of an optimizer's own slopes differ from those of its step; all of one shape.

    Args:
        own: its own slopes.
        terms: the sums of the magnitudes of their terms.
        slopes: the slopes of its step along a displacement of a length, and their errors.
    """

    def differs(length: float) -> tuple[NDArray[np.bool_], Float]:
        slope, error = (x / length for x in slopes(length))
        scale = np.fmax(terms, np.abs(slope))
        right = np.abs(own - slope) <= MAX_SLOPE_ERROR * scale + error
        return np.asarray((error <= MAX_USED_ERROR * scale) & ~right), slope

    with np.errstate(all="ignore"):
        wrong, _ = differs(LENGTHS[0])
        if wrong.any():  # the error of a finite difference is an estimate: measure it again
            measured = [differs(length) for length in LENGTHS]
            all_slopes = np.stack([slope for _, slope in measured])
            spread = np.ptp(all_slopes, axis=0)
            wrong = np.all([each for each, _ in measured], axis=0)
            wrong &= ~(np.abs(own - all_slopes.mean(axis=0)) <= MAX_SPREADS * spread)
            # A slope that depends on the length is that of a kink, such as √v at v = 0.
            wrong &= spread <= MAX_USED_ERROR * np.abs(all_slopes).max(axis=0)
        return wrong


def _entry(
    optimizer: LinearizableOptimizer, samples: Samples, jacobian: Float, i: int, j: int
) -> str:
    """The entry of the Jacobian of sample `i` with the largest error in the row of result `j`."""
    sample = samples.reordered(slice(i, i + 1))
    n_state = sample.state.shape[1]
    scales = _scales(optimizer, sample)[0]
    slope = _slopes(optimizer, sample, np.diag(scales)[None])[0][0, :, j] / scales
    with np.errstate(all="ignore"):
        difference = np.nan_to_num(np.abs(jacobian[i, j] - slope) * scales, nan=np.inf)
    input_index = int(np.argmax(difference))
    of_state = input_index < n_state
    name = ("A", "B")[not of_state] if j < n_state else ("C", "D")[not of_state]
    indices = [str(index) for index in (j, input_index) if index < n_state]
    label = f"{name}[{', '.join(indices)}]" if indices else name
    return (
        f"{label} is {jacobian[i, j, input_index]:.8g}, but finite differences give "
        f"{slope[input_index]:.8g}"
    )
