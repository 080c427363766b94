"""Derivatives by Ridders' method, for functions that do not differentiate themselves."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

LineFunction = Callable[[float], Float]
"""f(t): the values of a function along a line, at a distance t from the point of interest."""

N_HALVINGS = 24
"""Number of step sizes in Ridders' method; each is half of the one before."""

FIRST_STEP = 0.25
"""Largest step of Ridders' method, relative to the scale."""

MIN_KINK = 1e-3
"""Smallest jump between the left and the right slope, relative to the slope, counted as a kink."""

RELATIVE_ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""Relative rounding error assumed for a value of the function that is differentiated."""


def ridders_derivative(function: LineFunction, n_halvings: int = N_HALVINGS) -> tuple[Float, Float]:
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
        n_halvings: the number of steps; the function is evaluated at twice as many places.

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
        for i in range(n_halvings):
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
