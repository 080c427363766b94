"""State variables that no gradient changes: step counters and constants.

Adam counts its steps. Some optimizers keep their step size in the state, where it never changes.
Neither depends on the gradient. But a counter never comes to rest, and a constant has an eigenvalue
of 1. So both are frozen for the measurements at a fixed point: a constant at its value, a counter
at a late value, where its effect (bias correction, warm-up) has ended. The schedule is measured
with the counters running.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.driving import drive, drive_by_steps
from loptbench.mechanisms.dynamics.linearization import (
    checked_gain,
    checked_linearization,
    checked_step,
)
from loptbench.protocol import (
    Array,
    Drives,
    Gains,
    LinearizableOptimizer,
    Linearization,
    Optimizer,
)
from loptbench.results.schema.mechanisms import FrozenVariable, NotApplicable

Float = NDArray[np.float64]

N_FREE_STEPS = 256
"""Steps without a gradient before the state variables are watched."""

N_DRIVEN_STEPS = 64
N_DRIVEN_COMPONENTS = 8
"""Steps and components of the run under random gradients in which counters are detected."""

MIN_LOG10_GRADIENT = -3.0
MAX_LOG10_GRADIENT = 3.0
"""Range of the random gradients; the upper end grows with the largest gradient of real runs."""

N_LATE_STEPS = 10**9
"""Steps by which a counter is advanced: 0.9999999 to this power is zero."""

INCREMENT_TOLERANCE = 1e-6
"""Relative tolerance for equal increments; after a billion steps a counter is known to 2e-7."""

LATE_TOLERANCE = 1e-9
"""Relative tolerance for equal steps of an optimizer with counters advanced even further."""

DISPLACEMENT = 1e-3
"""Relative displacement in the test whether a variable at rest is a constant."""


class FrozenStateOptimizer:
    """An optimizer with some state variables frozen; its state consists of the free ones.

    Args:
        inner: the optimizer.
        frozen: the state variables to freeze.
        n_state: the number of state variables of `inner`.
    """

    def __init__(self, inner: Optimizer, frozen: tuple[FrozenVariable, ...], n_state: int) -> None:
        self.inner, self.n_state = inner, n_state
        self.indices = np.array([variable.index for variable in frozen], int)
        self.values = np.array([variable.value for variable in frozen])
        self.free = np.setdiff1d(np.arange(n_state), self.indices)

    def full_state(self, state: Array) -> Float:
        """States of the inner optimizer, (n, n_state), from those of the free variables."""
        full = np.empty((len(state), self.n_state))
        full[:, self.free], full[:, self.indices] = state, self.values
        return full

    def initial_state(self, n_components: int) -> Array:
        """The free variables of the inner optimizer's initial state."""
        return np.asarray(self.inner.initial_state(n_components))[:, self.free]

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """One step of the free variables, and the update."""
        new_state, update = self.inner.step(self.full_state(state), gradient)
        return np.asarray(new_state)[:, self.free], update


class LinearizableFrozen(FrozenStateOptimizer):
    """A frozen-state optimizer whose inner optimizer has a `linearize`."""

    inner: LinearizableOptimizer

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """The rows and columns of the inner Jacobians that belong to the free variables."""
        A, B, C, D = checked_linearization(self.inner, self.full_state(state), gradient)
        return Linearization(A[:, self.free][:, :, self.free], B[:, self.free], C[:, self.free], D)


class GainingFrozen(FrozenStateOptimizer):
    """A frozen-state optimizer whose inner optimizer has a `gain`."""

    inner: Gains

    def gain(self, state: Array, gradient: Array) -> Array:
        """D of the inner optimizer: the update depends on the gradient in the same way."""
        return checked_gain(self.inner, self.full_state(state), gradient)


class DrivingFrozen(FrozenStateOptimizer):
    """A frozen-state optimizer of constants only, whose inner optimizer has a `drive`."""

    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        """The free variables driven by the inner optimizer, which keeps its constants itself.

        If a constant turns out to move after all, the free variables are driven step by step.
        """
        states = drive(self.inner, self.full_state(state), gradients, times)
        if np.all(states[:, :, self.indices] == self.values):
            return states[:, :, self.free]
        return drive_by_steps(self, state, gradients, times)


def _frozen_state_optimizer(
    optimizer: Optimizer, frozen: tuple[FrozenVariable, ...], n_state: int
) -> FrozenStateOptimizer:
    """The optimizer with variables frozen, and with those optional methods that stay right.

    Its own `drive` would advance its counters, so with counters it is not used.
    """
    bases: list[type[FrozenStateOptimizer]] = [FrozenStateOptimizer]
    if isinstance(optimizer, LinearizableOptimizer):
        bases.insert(0, LinearizableFrozen)
    if isinstance(optimizer, Gains):
        bases.insert(0, GainingFrozen)
    if isinstance(optimizer, Drives) and not any(variable.counts for variable in frozen):
        bases.insert(0, DrivingFrozen)
    combined = type("FrozenStateOptimizer", tuple(bases), {})
    result: FrozenStateOptimizer = combined(optimizer, frozen, n_state)
    return result


def freeze_counters(
    optimizer: Optimizer, largest: float = 1.0
) -> tuple[Optimizer, tuple[FrozenVariable, ...]] | NotApplicable:
    """Freeze the counters and constants of an optimizer.

    The state first runs for 256 steps without a gradient, then for 64 steps under random gradients
    of all magnitudes. A variable is a counter if it changes by the same amount at every step of
    every component. It is a constant if this amount is zero and a displaced value stays as well. A
    variable that is at rest, but does not stay where it is displaced to, has dynamics.

    Args:
        optimizer: any optimizer in float64.
        largest: the largest gradient of real runs; the random gradients go beyond it.

    Returns: the optimizer with its frozen variables, or the optimizer itself if there are none; or
        why there is no answer: the update never stops changing with the counter.
    """
    state = np.asarray(optimizer.initial_state(1), np.float64)
    with np.errstate(all="ignore"):
        for _ in range(N_FREE_STEPS):
            previous, (state, _) = state, checked_step(optimizer, state, np.zeros(1))
            if np.array_equal(previous, state) or not np.all(np.isfinite(state)):
                break
    if not state.size or not np.all(np.isfinite(state)):
        return optimizer, ()
    max_log10 = max(MAX_LOG10_GRADIENT, float(np.log10(2 * largest)))
    increments, values = _increments(optimizer, state, max_log10)
    not_constant = [
        i
        for i in np.flatnonzero(increments == 0)
        if not _stays_displaced(optimizer, values, int(i), max_log10)
    ]
    increments[not_constant] = np.nan
    if np.any(increments > 0) or np.any(increments < 0):
        late = np.where(_counts(increments), values + N_LATE_STEPS * increments, values)
        try:
            state, _ = checked_step(optimizer, late[None], np.zeros(1))
            increments, values = _increments(optimizer, state, max_log10)
            increments[not_constant] = np.nan
        except Exception as error:
            return NotApplicable(
                not_applicable=f"{_counter_names(increments)} counts steps, and the optimizer "
                "cannot be put forward to see what it does in the end: "
                f"{type(error).__name__}: {error}"
            )
    frozen = tuple(
        FrozenVariable(index=int(i), value=float(values[i]), counts=bool(increments[i] != 0))
        for i in np.flatnonzero(np.isfinite(increments))
    )
    if not frozen:
        return optimizer, ()
    if any(variable.counts for variable in frozen) and not _is_late(
        optimizer, values, increments, max_log10
    ):
        return NotApplicable(
            not_applicable=f"{_counter_names(increments)} counts steps, and the update goes on "
            "changing with it"
        )
    return _frozen_state_optimizer(optimizer, frozen, len(values)), frozen


def _counts(increments: Float) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(increments) & (increments != 0))


def _counter_names(increments: Float) -> str:
    indices = np.flatnonzero(_counts(increments))
    return f"state variable {', '.join(str(i) for i in indices)}"


def _increments(optimizer: Optimizer, state: Float, max_log10: float) -> tuple[Float, Float]:
    """The increment of each variable per step, NaN where it is not constant; and the last state."""
    rng = np.random.default_rng(0)
    h = np.repeat(state, N_DRIVEN_COMPONENTS, axis=0)
    changes = []
    for _ in range(N_DRIVEN_STEPS):
        size = 10.0 ** rng.uniform(MIN_LOG10_GRADIENT, max_log10, N_DRIVEN_COMPONENTS)
        sign = rng.choice([-1.0, 1.0], N_DRIVEN_COMPONENTS)
        new_state, _ = checked_step(optimizer, h, size * sign)
        with np.errstate(all="ignore"):
            changes.append(new_state - h)
        h = np.asarray(new_state, np.float64)
    change = np.concatenate(changes)
    with np.errstate(all="ignore"):
        equal = np.ptp(change, axis=0) <= INCREMENT_TOLERANCE * np.abs(change).max(axis=0)
    return np.where(equal, change.mean(axis=0), np.nan), h[0]


def _stays_displaced(optimizer: Optimizer, values: Float, i: int, max_log10: float) -> bool:
    """Whether a variable at rest also stays at other values nearby, as a constant does."""
    rng = np.random.default_rng(2)
    gradient = 10.0 ** rng.uniform(MIN_LOG10_GRADIENT, max_log10, N_DRIVEN_COMPONENTS)
    for fraction in (-DISPLACEMENT, DISPLACEMENT):
        displacement = fraction * (abs(values[i]) or 1.0)
        h = np.tile(values, (N_DRIVEN_COMPONENTS, 1))
        h[:, i] += displacement
        try:
            change = checked_step(optimizer, h, gradient)[0][:, i] - h[:, i]
        except Exception:
            return True  # other values may be invalid
        if not np.all(np.abs(change) <= INCREMENT_TOLERANCE * abs(displacement)):
            return False
    return True


def _is_late(optimizer: Optimizer, values: Float, increments: Float, max_log10: float) -> bool:
    """Whether a step stays the same when the counters are advanced further."""
    rng = np.random.default_rng(1)
    gradient = 10.0 ** rng.uniform(MIN_LOG10_GRADIENT, max_log10, N_DRIVEN_COMPONENTS)
    counting = _counts(increments)
    results = []
    for n_steps in (0, 1, 7, N_LATE_STEPS):
        h = np.where(counting, values + n_steps * increments, values)
        new_state, update = checked_step(optimizer, np.tile(h, (N_DRIVEN_COMPONENTS, 1)), gradient)
        results.append(np.concatenate([new_state[:, ~counting], update[:, None]], axis=1))
    first = results[0]
    with np.errstate(all="ignore"):
        return all(
            bool(np.all(np.abs(later - first) <= LATE_TOLERANCE * np.abs(first).max(axis=0)))
            for later in results[1:]
        )


def full_state(optimizer: Optimizer, state: Array) -> Array:
    """States (n, n_state), with the frozen variables of the optimizer included."""
    return optimizer.full_state(state) if isinstance(optimizer, FrozenStateOptimizer) else state
