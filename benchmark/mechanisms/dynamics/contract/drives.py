"""Whether an optimizer's own `drive` does what its `step` does."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import ContractError
from loptbench.mechanisms.dynamics.driving import drive, drive_by_steps
from loptbench.mechanisms.dynamics.linearization import checked_step
from loptbench.protocol import Drives, Optimizer

Float = NDArray[np.float64]

N_COMPONENTS = 200
"""Components that are driven, as many as the probes drive at once."""

MAX_ELEMENTS = 2**13
"""Largest number of state variables that are driven; of large states fewer components are."""

N_STEPS = 12
"""Steps that are driven."""

SPARSE_TIMES = [0, 3, N_STEPS]
"""Times with gaps, at which driven states are compared with a loop over `step`."""

MAX_STEP_ERROR = 1e-9
"""Largest difference between a driven step and `step`, relative to the largest value that the state
variable takes in the component. Rounding is 1e-16 of the terms, so terms may cancel by 1e-6, and
float32 inside (6e-8) is noticed."""

ROUNDING = 100 * float(np.finfo(np.float64).eps)
"""Rounding that is allowed beside, relative to the largest state variable of the component or to 1:
a small one may be a difference of larger terms, and gates are near 1."""

MAX_RUN_ERROR = 1e-6
"""The same after several steps, in which rounding may grow."""


def require_correct_drive(optimizer: Optimizer) -> None:
    """Check an optimizer's own `drive`, if it offers one, against its `step`.

    Raises:
        ContractError: they differ, or a component that diverges changes others.
    """
    if not isinstance(optimizer, Drives):
        return
    rng = np.random.default_rng(0)
    n_state = np.asarray(optimizer.initial_state(1)).shape[1]
    n = int(np.clip(MAX_ELEMENTS // max(n_state, 1), 2, N_COMPONENTS))
    sizes = 10 ** rng.uniform(-3, 1, n) * rng.choice([-1.0, 1.0], n)
    state = checked_step(optimizer, np.asarray(optimizer.initial_state(n)), sizes)[0]
    sparse = drive(optimizer, state, sizes, SPARSE_TIMES)
    expected = drive_by_steps(optimizer, state, sizes, SPARSE_TIMES)
    _require_equal(sparse, expected, SPARSE_TIMES, MAX_RUN_ERROR)
    # Given gradients: each driven step against a step from the same driven state.
    rows = sizes * rng.uniform(0.5, 1.5, (N_STEPS, n))
    every_time = range(N_STEPS + 1)
    every = drive(optimizer, state, rows, every_time)
    steps = [checked_step(optimizer, h, g)[0] for h, g in zip(every[:-1], rows, strict=True)]
    _require_equal(every, np.stack([state, *steps]), every_time, MAX_STEP_ERROR)
    rows[1, 0] = np.nan
    beside_nan = drive(optimizer, state, rows, every_time)
    if _differ(beside_nan[:, 1:], every[:, 1:], MAX_RUN_ERROR).any():
        raise ContractError(
            "drive gives components something else where another one has a gradient of NaN: every "
            "component must be driven by itself"
        )


def _require_equal(states: Float, expected: Float, times: Sequence[int], tolerance: float) -> None:
    """Raise a ContractError if driven states, (n_times, n_components, n_state), are others."""
    wrong = _differ(states, expected, tolerance)
    if wrong.any():
        i, component, variable = map(int, np.argwhere(wrong)[0])
        raise ContractError(
            f"drive is not what step does: after {times[i]} steps state variable {variable} of "
            f"component {component} is {expected[i, component, variable]:.9g} by step, but "
            f"{states[i, component, variable]:.9g} by drive"
        )


def _differ(actual: Float, expected: Float, tolerance: float) -> NDArray[np.bool_]:
    """Where states differ, relative to the largest value of each variable in a component.

    Args:
        actual: (n_times, n_components, n_state).
        expected: the same shape.
        tolerance: the largest relative difference, beside `ROUNDING`.
    """
    sizes = np.abs(np.where(np.isfinite(expected), expected, 0)).max(axis=0, initial=0.0)
    allowed = tolerance * sizes + ROUNDING * sizes.max(axis=1, keepdims=True, initial=1.0)
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(actual - expected) <= allowed
    equal = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    return np.asarray(~(near | equal))
