"""Known patterns of a wrong array: a factor, a shift, another order, an axis swapped."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from loptbench.conformance.hints.matching import LEAST_VALUES, Float, Mistake, agrees, matching


def explain_arrays(
    actual: Any, expected: Any, limit: float, axes: tuple[str, ...] = ("step", "problem")
) -> str:
    """The hint for an array that is a simple function of the right one; empty if it is none.

    >>> right = np.array([[1.0, 2.0], [3.0, 5.0]])
    >>> explain_arrays(right.T, right, 1e-9)
    'this is what the first two axes swapped would give'

    Args:
        actual: what an implementation returned.
        expected: the right array.
        limit: the bound of the scaled error, relative to the largest entry.
        axes: the names of the first axes.
    """
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    if actual.shape != expected.shape or not np.any(expected):
        return ""
    finite = expected[np.isfinite(expected)]
    scale = float(np.abs(finite).max(initial=0.0))
    hint = matching(_patterns(actual, expected, axes), [actual], [expected], [scale], [limit])
    if hint or agrees(actual, expected, scale, limit) or np.count_nonzero(expected) < LEAST_VALUES:
        return hint
    largest = np.nanargmax(np.where(np.isfinite(expected), np.abs(expected), 0.0))
    factor = float(actual.flat[largest] / expected.flat[largest])
    if np.isfinite(factor) and factor and agrees(actual, factor * expected, scale, limit):
        return f"every entry is {factor:.6g} times what it should be"
    return ""


def _patterns(actual: Float, expected: Float, axes: tuple[str, ...]) -> Iterator[Mistake]:
    yield Mistake("zeros", lambda: [0 * expected])
    yield Mistake("the other sign", lambda: [-expected])
    for axis, name in enumerate(axes[: expected.ndim]):
        if expected.shape[axis] < 2:
            continue
        for words, shift in (("next", -1), ("previous", 1)):
            # The entry that is shifted in is not known: it is taken from what was returned.
            shifted = np.roll(expected, shift, axis)
            end = [slice(None)] * expected.ndim
            end[axis] = slice(-1, None) if shift < 0 else slice(0, 1)
            shifted[tuple(end)] = actual[tuple(end)]
            yield Mistake(f"the values of the {words} {name}", lambda s=shifted: [s])
        yield Mistake(f"the {name}s in reverse order", lambda a=axis: [np.flip(expected, a)])
        first = np.take(expected, [0], axis)
        yield Mistake(
            f"the first {name} in the place of every {name}",
            lambda f=first: [np.broadcast_to(f, expected.shape)],
        )
    if expected.ndim >= 2:
        yield Mistake("the first two axes swapped", lambda: [np.swapaxes(expected, 0, 1)])
    if expected.ndim >= 3:
        yield Mistake("the last two axes swapped", lambda: [np.swapaxes(expected, -1, -2)])
