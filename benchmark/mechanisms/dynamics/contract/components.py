"""Components are independent: each gets what it would get alone."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import ContractError
from loptbench.mechanisms.dynamics.contract.samples import N_RUNS, Samples
from loptbench.mechanisms.dynamics.linearization import checked_step
from loptbench.protocol import Optimizer

Float = NDArray[np.float64]

MAX_INTERACTION = 1e-9
"""Largest relative difference of a component alone and beside others: what the probes promise."""

RELATIVE_ROUNDING = 1e-12
"""Rounding of a step relative to the largest numbers in it; sums may be added in another order."""


def require_independent_components(optimizer: Optimizer, samples: Samples) -> None:
    """Check that a component's step depends neither on the other components nor on their number.

    The components have different states, so that one that uses the counter of another is noticed.

    Raises:
        ContractError: it does.
    """
    together = _step(optimizer, samples)
    arguments = np.concatenate([samples.state, samples.gradient[:, None]], axis=1)
    largest = np.abs(np.concatenate([arguments, together], axis=1)).max(axis=1, keepdims=True)
    for order in _subsets(len(samples.gradient)):
        apart, expected = _step(optimizer, samples.reordered(order)), together[order]
        with np.errstate(all="ignore"):
            tolerance = MAX_INTERACTION * np.abs(expected) + RELATIVE_ROUNDING * largest[order]
            same = (np.abs(apart - expected) <= tolerance) | (apart == expected)
        if not np.all(same | (np.isnan(apart) & np.isnan(expected))):
            raise ContractError(
                "step gives a component something else beside others than alone, or beside "
                "others than before: every component must be treated by itself"
            )


def _subsets(n: int) -> Iterator[NDArray[np.int64]]:
    """All in another order, a few at a time beside others than before, and one alone."""
    indices = np.arange(n)
    yield indices[::-1]
    for first in range(n // N_RUNS):
        yield indices[first :: n // N_RUNS]
    yield indices[n // 2 : n // 2 + 1]


def _step(optimizer: Optimizer, samples: Samples) -> Float:
    """New states and updates side by side, (n, n_state + 1)."""
    new_state, update = checked_step(optimizer, samples.state.copy(), samples.gradient.copy())
    return np.concatenate([new_state, update[:, None]], axis=1).astype(np.float64)
