"""Gradient clipping: how the answer to a gradient falls behind a straight line as it grows.

    u(g) = U(h, g) − U(h, 0)        the update function of a state
    s(g) = u(g) / (D g)             1 while it is linear, falling where it saturates
    g½                              the smallest |g| with s = ½, on each arm; infinite for none

Both signs apart, since a network is not odd.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize.elementwise import find_root

from loptbench.mechanisms.dynamics.linearization import checked_step
from loptbench.mechanisms.dynamics.response import usable_gain
from loptbench.mechanisms.values import GradientStatistics, NotApplicable, listed, or_none
from loptbench.protocol import Optimizer, Trajectory

Float = NDArray[np.float64]

ARMS = np.array([-1.0, 1.0])
"""The signs of g, in the order in which everything with two arms is given."""

N_FROM_RUNS = 16
NEAREST, FARTHEST = 1e-6, 1e6
PER_DECADE = 12
CURVE_DECADES = (-3.0, 1.0)
N_CURVE = 60
N_BINS = 40


@dataclasses.dataclass(frozen=True)
class UpdateFunction:
    """The update function of one state.

    Attributes:
        where: which state: `h0`, `h*`, or where on a real run.
        state: h, (n_state,).
        gain: D at h, without a gradient.
        half_saturation: g½ of the negative and of the positive arm, (2,); infinite for none, NaN
            where the update is not a number any more before it is reached.
        saturation_at_largest: s at the largest gradient met, of both arms, (2,).
        update: u(g) at `Clipping.gradients`, (2, n_curve).
    """

    where: str
    state: Float
    gain: float
    half_saturation: Float
    saturation_at_largest: Float
    update: Float

    def as_dict(self) -> dict[str, Any]:
        """For programs; None for a half-saturation that is infinite, or not known."""
        return {
            "where": self.where,
            "state": listed(self.state),
            "gain": self.gain,
            "half_saturation": listed(self.half_saturation),
            "half_saturation_is_known": (~np.isnan(self.half_saturation)).tolist(),
            "saturation_at_largest_gradient": listed(self.saturation_at_largest),
            "update": listed(self.update),
        }


@dataclasses.dataclass(frozen=True)
class Clipping:
    """The clipping of an optimizer.

    Attributes:
        states: the update functions of h0, of h*, and of states from real runs.
        others: where there is none, and why.
        gradients: |g| of the update functions, (n_curve,).
        met: the gradients met on real runs.
    """

    states: tuple[UpdateFunction, ...]
    others: tuple[tuple[str, str], ...]
    gradients: Float
    met: GradientStatistics

    def at(self, where: str) -> UpdateFunction | None:
        """The update function of a state."""
        return next((one for one in self.states if one.where == where), None)

    def engagement(self, one: UpdateFunction) -> Float:
        """The share of the gradients of each problem that lie beyond g½, (n_problems,)."""
        g = self.met.gradients
        low, high = one.half_saturation
        n = np.maximum(1, np.sum(g != 0, axis=1)) if g.size else np.ones(0)
        if np.any(np.isnan(one.half_saturation)):
            return np.full(len(n), np.nan)
        return np.asarray(np.sum((g < -low) | (g > high), axis=1) / n if g.size else n)

    def reach(self, one: UpdateFunction) -> float:
        """The largest gradient met over g½, of the arm where that is smaller; 0 if g½ is none."""
        return float(self.met.largest / one.half_saturation.max())

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        resting = self.at("h*")
        told: dict[str, Any] = {
            "states": [one.as_dict() for one in self.states],
            "not_applicable_at": [{"where": where, "reason": why} for where, why in self.others],
            "gradients": listed(self.gradients),
            "largest_gradient": self.met.largest,
            "typical_gradient": self.met.typical,
            "density": self._density(),
        }
        if resting is not None and self.met.gradients.size:
            told |= {
                "reach": or_none(self.reach(resting)),
                "engagement": or_none(float(np.mean(self.engagement(resting)))),
                "engagement_by_problem": listed(self.engagement(resting)),
            }
        return told

    def _density(self) -> dict[str, Any]:
        """The share of the gradients met in each bin of log10 |g|, of both arms together 1."""
        g = self.met.gradients
        sizes = np.abs(g[g != 0])
        if not sizes.size:
            return {"edges": [], "share": [[], []]}
        floor = np.log10(self.met.largest) - 8
        edges = np.linspace(max(np.log10(sizes.min()), floor), np.log10(self.met.largest), N_BINS)
        share = [
            np.histogram(np.log10(np.abs(g[g * sign > 0])), edges)[0] / sizes.size for sign in ARMS
        ]
        return {"edges": edges.tolist(), "share": [one.tolist() for one in share]}


def measure_clipping(
    optimizer: Optimizer,
    resting: Float | None,
    met: GradientStatistics,
    run: Trajectory | None = None,
) -> Clipping | NotApplicable:
    """Measure clipping at h0, at h*, and at 16 states spread over real runs.

    Args:
        optimizer: any optimizer in float64.
        resting: its convergence point h*, (n_state,); None if there is none.
        met: the gradients that it meets.
        run: real runs; None if there are none.

    Returns: the measurement, or why there is none at any state.
    """
    places = [("h0", np.asarray(optimizer.initial_state(1))[0])]
    if resting is not None:
        places.append(("h*", resting))
    if run is not None:
        places += _spread(run)
    states = np.stack([state for _, state in places])
    D, reasons = usable_gain(optimizer, states, met.typical)
    usable = [i for i, reason in enumerate(reasons) if not reason]
    others = tuple((places[i][0], reason) for i, reason in enumerate(reasons) if reason)
    if not usable:
        return NotApplicable(f"at {others[0][0]} {others[0][1]}")
    answers = _Answers(optimizer, states[usable], D[usable])
    below, above = CURVE_DECADES
    curve = np.geomspace(met.typical * 10**below, met.largest * 10**above, N_CURVE)
    half = answers.half_saturation(met)
    at_largest = answers.saturation(np.full(half.shape, met.largest))
    update = answers.update(np.broadcast_to(curve, (len(usable), 2, N_CURVE)))
    found = tuple(
        UpdateFunction(places[i][0], states[i], float(D[i]), half[k], at_largest[k], update[k])
        for k, i in enumerate(usable)
    )
    return Clipping(found, others, curve, met)


def _spread(run: Trajectory) -> list[tuple[str, Float]]:
    """States from all over real runs: at evenly spread steps, each of another component."""
    n_steps, n_components = run.state.shape[:2]
    steps = np.linspace(1, n_steps - 1, N_FROM_RUNS).astype(int)
    components = np.linspace(0, n_components - 1, N_FROM_RUNS).astype(int)
    # Neighbouring steps see components far apart: a stride that shares no factor with 16.
    components = components[(5 * np.arange(N_FROM_RUNS)) % N_FROM_RUNS]
    return [
        (f"step {k} of component {i}", run.state[k, i])
        for k, i in zip(steps, components, strict=True)
        if np.all(np.isfinite(run.state[k, i]))
    ]


class _Answers:
    """u(g) and s(g) of many states at once; arrays are (n_states, 2, ...), |g| in, by arm."""

    def __init__(self, optimizer: Optimizer, states: Float, gain: Float) -> None:
        self.optimizer, self.states, self.gain = optimizer, states, gain
        self.at_rest = checked_step(optimizer, states, np.zeros(len(states)))[1]

    def _answer(self, size: Float, arm: NDArray[np.int64], state: NDArray[np.int64]) -> Float:
        g = (ARMS[arm] * size).reshape(-1)
        index = np.broadcast_to(state, size.shape).reshape(-1)
        update = checked_step(self.optimizer, self.states[index], g)[1] - self.at_rest[index]
        return np.asarray(update.reshape(size.shape))

    def _indices(self, size: Float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        state, arm = np.indices(size.shape)[:2]
        return arm, state

    def update(self, size: Float) -> Float:
        """u(g)."""
        return self._answer(size, *self._indices(size))

    def saturation(self, size: Float) -> Float:
        """s(g)."""
        return self._saturation(size, *self._indices(size))

    def _saturation(self, size: Float, arm: NDArray[np.int64], state: NDArray[np.int64]) -> Float:
        with np.errstate(all="ignore"):
            return np.asarray(
                self._answer(size, arm, state) / (self.gain[state] * ARMS[arm] * size)
            )

    def half_saturation(self, met: GradientStatistics) -> Float:
        """g½: looked for on a grid of 12 points per decade, and bracketed there."""
        low, high = np.log10(NEAREST * met.typical), np.log10(FARTHEST * met.largest)
        grid = np.linspace(low, high, int(np.ceil((high - low) * PER_DECADE)) + 1)
        shape = (len(self.states), 2, grid.size)
        s = self.saturation(np.broadcast_to(10.0**grid, shape))
        # A grid point where rounding drowns the answer says nothing; nor does one that is not
        # finite, and beyond that no more is looked at.
        rounding = 8 * np.finfo(np.float64).eps * np.abs(self.at_rest / self.gain)
        s = np.where(rounding[:, None, None] > 0.01 * 10.0**grid, 1.0, s)
        below = (s <= 0.5) & np.logical_and.accumulate(np.isfinite(s), axis=2)
        first = below.argmax(axis=2)
        found = below.any(axis=2) & (first > 0)
        half = np.where(np.isnan(s).any(axis=2), np.nan, np.inf)
        half[below[:, :, 0]] = 10.0 ** grid[0]
        state, arm = np.nonzero(found)
        if state.size:
            right = first[found]

            def height(x: Float, arm: NDArray[Any], state: NDArray[Any]) -> Float:
                return self._saturation(10.0**x, arm, state) - 0.5

            root = find_root(height, (grid[right - 1], grid[right]), args=(arm, state))
            half[found] = 10.0 ** np.where(root.success, root.x, grid[right])
        return half
