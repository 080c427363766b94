"""State variables that no gradient moves: step counts and constants.

Adam counts its steps, and some optimizers carry their step size along as a state that never
changes. Neither has anything to do with the gradient; but a count never comes to rest, and a
constant has an eigenvalue of 1. For what is asked of an optimizer at rest both are held: a constant
at its value, a count at a late one, where what it was there for (bias correction, warm-up) is
spent. The schedule is measured with the clock running.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.linearization import checked_step, own_linearization
from loptbench.mechanisms.values import NotApplicable
from loptbench.protocol import Array, LinearizableOptimizer, Linearization, Optimizer

Float = NDArray[np.float64]

BEFORE = 256
DRIVEN_STEPS = 64
DRIVEN_COMPONENTS = 8
MOST = 3.0
"""log10 of the largest gradient that they are driven by, unless larger ones are met."""

LATE = 10**9
"""How many steps a clock is put forward: 0.9999999 to this power is nothing."""

SAME_PACE = 1e-6
"""After a billion steps a count is known to 2e-7 of its pace."""

SAME = 1e-9
NEARBY = 1e-3


@dataclasses.dataclass(frozen=True)
class Held:
    """A state variable that is held.

    Attributes:
        index: which.
        value: at what.
        counts: whether it is a clock; else it is a constant.
    """

    index: int
    value: float
    counts: bool


class Holding:
    """An optimizer of which some state variables are held: those that are left are its state."""

    def __init__(self, inner: Optimizer, held: tuple[Held, ...], n_state: int) -> None:
        self.inner, self.n_state = inner, n_state
        self.indices = np.array([one.index for one in held], int)
        self.values = np.array([one.value for one in held])
        self.free = np.setdiff1d(np.arange(n_state), self.indices)

    def whole(self, state: Array) -> Float:
        """States of the variables that are left, with those that are held beside them."""
        whole = np.empty((len(state), self.n_state))
        whole[:, self.free], whole[:, self.indices] = state, self.values
        return whole

    def initial_state(self, n_components: int) -> Array:
        """The inner one's, of the variables that are left."""
        return np.asarray(self.inner.initial_state(n_components))[:, self.free]

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """The inner one's, of the variables that are left."""
        new, update = self.inner.step(self.whole(state), gradient)
        return np.asarray(new)[:, self.free], update


class HoldingLinearizable(Holding):
    """The same of an optimizer that differentiates itself."""

    inner: LinearizableOptimizer

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """The inner one's, of the variables that are left."""
        A, B, C, D = own_linearization(self.inner, self.whole(state), gradient)
        return Linearization(A[:, self.free][:, :, self.free], B[:, self.free], C[:, self.free], D)


def hold_clocks(
    optimizer: Optimizer, largest: float = 1.0
) -> tuple[Optimizer, tuple[Held, ...]] | NotApplicable:
    """The optimizer with its clocks and constants held, and which they are.

    The state is let go for 256 steps, and driven for 64 by gradients of all sizes: a variable
    that has moved by the same amount at every step of every component is a clock, or a constant if
    that is zero and it stays wherever it is put: one that only rests there has dynamics.

    Args:
        optimizer: any optimizer in float64.
        largest: the largest gradient that it meets; it is driven beyond that.

    Returns: the optimizer itself where there are none; or why there is no answer: the update goes
    on changing with the clock.
    """
    state = np.asarray(optimizer.initial_state(1), np.float64)
    with np.errstate(all="ignore"):
        for _ in range(BEFORE):
            before, (state, _) = state, checked_step(optimizer, state, np.zeros(1))
            if np.array_equal(before, state) or not np.all(np.isfinite(state)):
                break
    if not state.size or not np.all(np.isfinite(state)):
        return optimizer, ()
    top = max(MOST, float(np.log10(2 * largest)))
    pace, values = _driven(optimizer, state, top)
    resting = [i for i in np.flatnonzero(pace == 0) if not _stays(optimizer, values, int(i), top)]
    pace[resting] = np.nan
    if np.any(pace > 0) or np.any(pace < 0):
        late = np.where(np.isfinite(pace) & (pace != 0), values + LATE * pace, values)
        try:
            state, _ = checked_step(optimizer, late[None], np.zeros(1))
            pace, values = _driven(optimizer, state, top)
            pace[resting] = np.nan
        except Exception as error:
            return NotApplicable(
                f"{_clocks(pace)} counts steps, and the optimizer cannot be put forward to see "
                f"what it does in the end: {type(error).__name__}: {error}"
            )
    held = tuple(
        Held(int(i), float(values[i]), bool(pace[i] != 0))
        for i in np.flatnonzero(np.isfinite(pace))
    )
    if not held:
        return optimizer, ()
    if any(one.counts for one in held) and not _spent(optimizer, values, pace, top):
        return NotApplicable(
            f"{_clocks(pace)} counts steps, and the update goes on changing with it"
        )
    kind = HoldingLinearizable if isinstance(optimizer, LinearizableOptimizer) else Holding
    return kind(optimizer, held, len(values)), held


def _clocks(pace: Float) -> str:
    indices = np.flatnonzero(np.isfinite(pace) & (pace != 0))
    return f"state variable {', '.join(str(i) for i in indices)}"


def _driven(optimizer: Optimizer, state: Float, top: float) -> tuple[Float, Float]:
    """By how much each variable moves at each step, NaN where that depends; and where they are."""
    rng = np.random.default_rng(0)
    h = np.repeat(state, DRIVEN_COMPONENTS, axis=0)
    moves = []
    for _ in range(DRIVEN_STEPS):
        size = 10.0 ** rng.uniform(-3, top, DRIVEN_COMPONENTS)
        new, _ = checked_step(optimizer, h, size * rng.choice([-1.0, 1.0], DRIVEN_COMPONENTS))
        with np.errstate(all="ignore"):
            moves.append(new - h)
        h = np.asarray(new, np.float64)
    all_ = np.concatenate(moves)
    with np.errstate(all="ignore"):
        same = np.ptp(all_, axis=0) <= SAME_PACE * np.abs(all_).max(axis=0)
    return np.where(same, all_.mean(axis=0), np.nan), h[0]


def _stays(optimizer: Optimizer, values: Float, i: int, top: float) -> bool:
    """Whether a variable that does not move would not either if it were somewhere else nearby."""
    rng = np.random.default_rng(2)
    gradient = 10.0 ** rng.uniform(-3, top, DRIVEN_COMPONENTS)
    for share in (-NEARBY, NEARBY):
        away = share * (abs(values[i]) or 1.0)
        h = np.tile(values, (DRIVEN_COMPONENTS, 1))
        h[:, i] += away
        try:
            moved = checked_step(optimizer, h, gradient)[0][:, i] - h[:, i]
        except Exception:
            return True  # it may be nowhere else
        if not np.all(np.abs(moved) <= SAME_PACE * abs(away)):
            return False
    return True


def _spent(optimizer: Optimizer, values: Float, pace: Float, top: float) -> bool:
    """Whether it makes no difference any more how far the clocks have gone."""
    rng = np.random.default_rng(1)
    gradient = 10.0 ** rng.uniform(-3, top, DRIVEN_COMPONENTS)
    counting = np.isfinite(pace) & (pace != 0)
    answers = []
    for further in (0, 1, 7, LATE):
        h = np.where(counting, values + further * pace, values)
        new, update = checked_step(optimizer, np.tile(h, (DRIVEN_COMPONENTS, 1)), gradient)
        answers.append(np.concatenate([new[:, ~counting], update[:, None]], axis=1))
    with np.errstate(all="ignore"):
        return all(
            bool(np.all(np.abs(one - answers[0]) <= SAME * np.abs(answers[0]).max(axis=0)))
            for one in answers[1:]
        )


def whole_state(optimizer: Optimizer, state: Array) -> Array:
    """A state (n, n_state) of an optimizer in which clocks may be held, as the inner one has it."""
    return optimizer.whole(state) if isinstance(optimizer, Holding) else state
