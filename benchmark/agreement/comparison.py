"""Comparison of arrays with the oracle's, within stated bounds, at every step."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.agreement.tolerances import bound

Float = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One quantity of an implementation, compared with the oracle's.

    Attributes:
        quantity: name of the quantity.
        error: scaled error at each step, of the entry that is nearest to its bound, (n_steps,).
        bound: bound of that entry, (n_steps,).
        deviation: where the bound is first exceeded, in words; empty if it never is.
    """

    quantity: str
    error: Float
    bound: Float
    deviation: str = ""

    @property
    def ok(self) -> bool:
        """Whether the bound holds at every step."""
        return not self.deviation

    @property
    def ratio(self) -> float:
        """The largest error over its bound; up to 1 the bound holds."""
        return float(np.max(self.error / self.bound, initial=0.0))

    @property
    def first_exceeded(self) -> int:
        """The first step at which the bound does not hold; the number of steps if it always does.

        >>> Comparison("loss", np.array([0.1, 3.0]), np.ones(2), "step 1: …").first_exceeded
        1
        """
        exceeded = np.flatnonzero(~(self.error <= self.bound))
        return int(exceeded[0]) if exceeded.size else len(self.error)


def compare(
    quantity: str,
    actual: NDArray[Any],
    expected: Float,
    scale: Float | float,
    bounds: Float | float,
    axes: tuple[str, ...] = ("step", "component"),
) -> Comparison:
    """Compare arrays whose first axis is the step.

    >>> compare("loss", np.array([1.0, 2.1]), np.array([1.0, 2.0]), 1.0, 1e-3).deviation
    'step 1: loss = 2.1000000000000001, but should be 2 ± 1.0e-03'

    Args:
        quantity: name of the quantity in messages.
        actual: the implementation's values, (n_steps, ...).
        expected: the oracle's values, of the same shape.
        scale: what errors are relative to; broadcast against `expected`.
        bounds: largest allowed scaled error; broadcast against `expected`.
        axes: names of the axes in messages.
    """
    n_steps = expected.shape[0]
    bounds = np.broadcast_to(np.asarray(bounds, np.float64), expected.shape)
    scale = np.broadcast_to(np.asarray(scale, np.float64), expected.shape)
    if not expected.size:
        return Comparison(quantity, np.zeros(n_steps), np.full(n_steps, np.inf))
    actual = np.asarray(actual, np.float64)
    scaled = _scaled_error(actual, expected, scale)
    with np.errstate(invalid="ignore"):
        nearest = (scaled / bounds).reshape(n_steps, -1).argmax(axis=1)
    indices = np.arange(n_steps), nearest
    error = scaled.reshape(n_steps, -1)[indices]
    bound_of_step = bounds.reshape(n_steps, -1)[indices]
    compared = Comparison(quantity, error, bound_of_step)
    step = compared.first_exceeded
    if step == n_steps:
        return compared
    index = (step, *(int(i) for i in np.unravel_index(int(nearest[step]), expected.shape[1:])))
    labels = [*axes, *["index"] * (len(index) - len(axes))]
    place = ", ".join(f"{label} {i}" for label, i in zip(labels, index, strict=False))
    deviation = (
        f"{place}: {quantity} = {actual[index]:.17g}, "
        f"but should be {expected[index]:.17g} ± {bounds[index] * scale[index]:.1e}"
    )
    return dataclasses.replace(compared, deviation=deviation)


def _scaled_error(actual: Float, expected: Float, scale: Float) -> Float:
    """|actual − expected| / scale; 0 where both are the same value that is not finite, else inf."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        difference = np.abs(actual - expected)
        scaled = np.where(difference == 0, 0.0, difference / scale)
    neither_finite = ~np.isfinite(actual) & ~np.isfinite(expected)
    equal = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    return np.where(neither_finite & equal, 0.0, np.where(np.isnan(scaled), np.inf, scaled))


def compare_arrays(
    quantity: str,
    label: str,
    actual: NDArray[Any],
    expected: Float,
    dtype: str,
    device: str = "cpu",
    scale: Float | float | None = None,
    limit: float | None = None,
) -> Comparison:
    """Compare two arrays without a step axis, relative to the oracle's largest entry.

    Args:
        quantity: entry of the table of tolerances.
        label: name of the array in messages.
        actual: the implementation's array.
        expected: the oracle's array.
        dtype: dtype that the implementation computed in.
        device: device that it computed on.
        scale: what errors are relative to, if not the largest entry.
        limit: bound on the scaled error, if not the table's.
    """
    if scale is None:
        scale = float(np.abs(expected).max(initial=0.0))
    limit = bound(quantity, dtype, device) if limit is None else limit
    compared = compare(
        label, actual[None], expected[None], np.asarray(scale)[None], limit, ("call", "index")
    )
    # A scalar has no place, and an array one within it.
    deviation = compared.deviation.removeprefix("call 0, ").removeprefix("call 0: ")
    return dataclasses.replace(compared, deviation=deviation)
