"""Which of several known mistakes gives the numbers that an implementation returned."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError

Float = NDArray[np.float64]

MOST_HINTS = 2
"""A message names at most so many mistakes that give the same numbers."""


class Mistake(NamedTuple):
    """A way to compute something wrongly.

    Attributes:
        words: what is wrong, as a noun phrase: "W_c transposed".
        compute: called without arguments; returns what it gives, in the order of the right arrays.
    """

    words: str
    compute: Callable[..., Sequence[Any]]


def agrees(actual: Any, candidate: Any, scale: Any, limit: float) -> bool:
    """Whether two arrays are the same to rounding.

    Args:
        actual: what an implementation returned.
        candidate: what a mistake gives.
        scale: the sizes of the terms of the right result. A mistake may make terms larger, so the
            size of the candidate is added.
        limit: the largest allowed error, relative to the scale.
    """
    actual, candidate = np.asarray(actual, np.float64), np.asarray(candidate, np.float64)
    if actual.shape != candidate.shape:
        return False
    with np.errstate(all="ignore"):
        near = np.abs(actual - candidate) <= limit * (np.abs(scale) + np.abs(candidate))
    same = (actual == candidate) | (np.isnan(actual) & np.isnan(candidate))
    return bool(np.all(near | same))


def matching(
    mistakes: Iterable[Mistake],
    actual: Sequence[Any],
    expected: Sequence[Any],
    scales: Sequence[Any],
    limits: Sequence[float],
) -> str:
    """The hint of a message: which mistakes give `actual`; empty if none does.

    >>> half = Mistake("half the step", lambda: [np.array([0.5])])
    >>> matching([half], [np.array([0.5])], [np.array([1.0])], [1.0], [1e-9])
    'this is what half the step would give'

    Args:
        mistakes: the known mistakes; the likeliest first.
        actual: what an implementation returned.
        expected: the right arrays. There is no hint if they agree with `actual`.
        scales: the scales of the errors of each array.
        limits: the bounds of the scaled errors of each array.
    """

    def fits(candidates: Sequence[Any]) -> bool:
        return all(map(agrees, actual, candidates, scales, limits))

    if fits(expected):
        return ""
    if any(map(_computed_in_float32, actual, expected)):
        return "all of these values are float32 numbers: something computes in float32"
    found: list[str] = []
    for mistake in mistakes:
        if any(mistake.words.startswith(words) for words in found):
            continue  # the same mistake in a part of the result only
        with np.errstate(all="ignore"):
            try:
                fitting = fits(mistake.compute())
            except (LoptbenchError, ArithmeticError, ValueError, IndexError):
                continue  # this mistake cannot be made here, such as for a size of one
        if fitting:
            found.append(mistake.words)
            if len(found) == MOST_HINTS:
                break
    return f"this is what {' or '.join(found)} would give" if found else ""


LEAST_VALUES = 4
"""From so many values on it is no chance that all of them are float32 numbers."""


def _computed_in_float32(actual: Any, expected: Any) -> bool:
    """Whether a float64 array is near the right one and holds numbers of float32 only."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    with np.errstate(all="ignore"):
        chosen = np.isfinite(actual) & (actual != np.round(actual))
        if actual.dtype != np.float64 or chosen.sum() < LEAST_VALUES:
            return False
        values, right = actual[chosen], expected[chosen]
        rounded = np.array_equal(values, values.astype(np.float32))
        already = np.array_equal(right, right.astype(np.float32))
        return rounded and not already and bool(np.allclose(values, right, 1e-3, 1e-3))
