"""A warning before an analysis that will take minutes."""

import time
import warnings

import numpy as np

from loptbench.protocol import Array, Optimizer

SLOW_STEP = 0.2
"""Seconds of one step from which on the length of the analysis is worth a warning: ten minutes."""

STEPS_OF_AN_ANALYSIS = 3500
"""Calls of `step` in an analysis on runs of 201 steps: 3,300 with `linearize`, 3,800 without."""


def first_step(optimizer: Optimizer, state: Array) -> None:
    """Take the first step, and warn if steps are slow.

    The first step may compile; if it is slow, a second one is timed.

    Args:
        optimizer: any optimizer.
        state: initial states, (n_components, n_state).
    """
    if _seconds(optimizer, state) < SLOW_STEP:
        return
    seconds = _seconds(optimizer, state)
    if seconds >= SLOW_STEP:
        minutes = STEPS_OF_AN_ANALYSIS * seconds / 60
        warnings.warn(
            f"a step of {len(state)} components takes {seconds:.1g} s; an analysis takes about "
            f"{STEPS_OF_AN_ANALYSIS} steps, which will be about {minutes:.2g} minutes",
            stacklevel=2,
        )


def _seconds(optimizer: Optimizer, state: Array) -> float:
    start = time.monotonic()
    optimizer.step(state.copy(), np.ones(len(state)))
    return time.monotonic() - start
