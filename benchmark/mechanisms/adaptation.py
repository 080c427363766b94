"""Learning-rate adaptation: the state that a constant gradient leads to, and the rate there.

For a gradient g that stays, the state settles at h*(g). Over g of both signs these are a curve of
fixed points, the paper's S-curve, and along it

    η_ref(g)   = −D(h*(g), 0)     the rate at which the adapted state answers a small gradient
    η_local(g) = −D(h*(g), g)     the slope where the optimizer is
    elasticity = d log η_ref / d log |g|, by least squares on each arm: −1 for RMSProp

η_ref separates adaptation, which lives in the state, from clipping, which does not.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from loptbench.mechanisms.clipping import ARMS
from loptbench.mechanisms.convergence import ConvergencePoint
from loptbench.mechanisms.dynamics.fixed_points import (
    RELAXATION_STEPS,
    SAME_POINT_TOLERANCE,
    FixedPoints,
    condition_numbers,
    extend_to_neighbours,
    settle,
    stable,
    trace_branch,
)
from loptbench.mechanisms.dynamics.linearization import MAX_STATE_SIZE
from loptbench.mechanisms.dynamics.response import NO_RESPONSE, usable_gain, usable_slope
from loptbench.mechanisms.values import (
    GradientStatistics,
    NotApplicable,
    listed,
    or_none,
    principal_components,
)
from loptbench.protocol import Optimizer

Float = NDArray[np.float64]

N_PER_ARM = 100
FEWEST = 10
DIGITS = 6


@dataclasses.dataclass(frozen=True)
class Adaptation:
    """The adaptation of an optimizer; along n = 200 gradients, from the most negative up.

    Attributes:
        gradients: g, (n,).
        state: h*(g), (n, n_state); NaN where the state does not settle.
        residual: max |F(h*, g) − h*| relative to max(1, |h*|), (n,).
        condition: ‖(I − A)⁻¹‖∞ at h*(g): how far a small error of F moves the point, (n,).
        rate_reference: η_ref, (n,); NaN where there is none.
        rate_local: η_local, (n,); NaN where there is none.
        stable: whether small disturbances of h*(g) do not grow, (n,).
        several: whether there is another fixed point: where the state settles from h0, or where the
            branch is that is continued from h*, (n,).
        branch_ends: the gradients beyond which that branch cannot be followed, by arm, (2,);
            infinite where it can.
    """

    gradients: Float
    state: Float
    residual: Float
    condition: Float
    rate_reference: Float
    rate_local: Float
    stable: NDArray[np.bool_]
    several: NDArray[np.bool_]
    branch_ends: Float

    def _arm(self, sign: float) -> tuple[Float, Float]:
        """|g| and η_ref of an arm, where that is a positive number."""
        rate = self.rate_reference
        with np.errstate(invalid="ignore"):
            usable = (self.gradients * sign > 0) & np.isfinite(rate) & (rate > 0)
        return np.abs(self.gradients[usable]), rate[usable]

    @property
    def elasticity(self) -> Float:
        """d log η_ref / d log |g| of the negative and the positive arm; NaN below 10 points."""
        found = []
        for g, rate in (self._arm(sign) for sign in ARMS):
            enough = g.size >= FEWEST
            found.append(np.polyfit(np.log(g), np.log(rate), 1)[0] if enough else np.nan)
        return np.array(found)

    @property
    def rank_correlation(self) -> Float:
        """Spearman's, of η_ref and |g| on each arm; 0 where the rate never changes.

        Rates that agree to six digits are ties: rounding has no order.
        """
        found = []
        for g, rate in (self._arm(sign) for sign in ARMS):
            if g.size < FEWEST:
                found.append(np.nan)
                continue
            varies = np.ptp(rate) > 10.0**-DIGITS * rate.max()
            found.append(spearmanr(g, np.round(np.log(rate), DIGITS)).statistic if varies else 0.0)
        return np.array(found)

    def as_dict(self) -> dict[str, Any]:
        """For programs; the curve in principal components."""
        settled = np.all(np.isfinite(self.state), axis=1)
        curve = np.full((len(self.gradients), 3), np.nan)
        points, variance = principal_components(self.state[settled])
        curve[settled, : points.shape[1]] = points
        order = np.nan
        if points.size and np.ptp(points[:, 0]) > 0:
            order = float(spearmanr(points[:, 0], np.arange(len(points))).statistic)
        return {
            "gradients": listed(self.gradients),
            "rate_reference": listed(self.rate_reference),
            "rate_local": listed(self.rate_local),
            "elasticity": listed(self.elasticity),
            "rank_correlation": listed(self.rank_correlation),
            "residual": or_none(float(self.residual[settled].max(initial=0.0))),
            "settled": settled.tolist(),
            "stable": self.stable.tolist(),
            "several_fixed_points": self.several.tolist(),
            "branch_ends": listed(self.branch_ends),
            "curve": listed(curve),
            "variance": listed(variance),
            "order": or_none(abs(order)),
        }


def gradient_grid(met: GradientStatistics) -> Float:
    """The gradients of the S-curve: from the 1 % quantile of those met to the largest, twice."""
    sizes = np.geomspace(met.smallest, met.largest, N_PER_ARM)
    return np.concatenate([-sizes[::-1], sizes])


def measure_adaptation(
    optimizer: Optimizer, point: ConvergencePoint | NotApplicable, met: GradientStatistics
) -> Adaptation | NotApplicable:
    """Measure adaptation along the S-curve.

    Args:
        optimizer: any optimizer in float64, with its clocks held.
        point: its convergence point; without one the states begin at h0.
        met: the gradients that it meets.

    Returns: the measurement, or why there is none.
    """
    h0 = np.asarray(optimizer.initial_state(1))
    if not np.issubdtype(h0.dtype, np.floating):
        return NotApplicable(f"the state is {h0.dtype}: it has no derivatives")
    if h0.shape[1] > MAX_STATE_SIZE:
        return NotApplicable(f"the state has {h0.shape[1]:,} variables, over {MAX_STATE_SIZE:,}")
    gradients = gradient_grid(met)
    start = point.state if isinstance(point, ConvergencePoint) else h0[0].astype(np.float64)
    points = settle(optimizer, np.tile(start, (gradients.size, 1)), gradients)
    others: list[FixedPoints] = []
    ends = np.array([np.inf, np.inf])
    if isinstance(point, ConvergencePoint):
        branch, ends = _branch(optimizer, start, gradients, points)
        others = [_from_start(optimizer, h0, gradients), branch]
    # Some may be on their way to a point that Newton's iteration did not find from there.
    for candidates in (*others, _beside(optimizer, gradients, points)):
        moving = ~points.converged & np.all(np.isfinite(points.last), axis=1)
        late = np.flatnonzero(candidates.converged & moving)
        if late.size:
            known = candidates.subset(late)
            points.replace(late, settle(optimizer, points.last[late], gradients[late], known))
    several = np.zeros(gradients.size, bool)
    for other in others:
        several |= _apart(points, other)
    if not points.converged.any():
        return NotApplicable(
            "under no constant gradient does the state settle within "
            f"{sum(RELAXATION_STEPS):,} steps"
        )
    reference, local, condition = np.full((3, gradients.size), np.nan)
    steady = np.zeros(gradients.size, bool)
    at = np.flatnonzero(points.converged)
    state, g = points.state[at], gradients[at]
    D, reasons = usable_gain(optimizer, state, np.abs(g))
    reference[at] = np.where(
        [not reason or reason == NO_RESPONSE for reason in reasons], -D, np.nan
    )
    local[at] = -usable_slope(optimizer, state, g)
    steady[at] = stable(optimizer, state, g)
    condition[at] = condition_numbers(optimizer, state, g)
    return Adaptation(
        gradients,
        points.state,
        points.residual,
        condition,
        reference,
        local,
        steady,
        several,
        ends,
    )


def _from_start(optimizer: Optimizer, h0: Float, gradients: Float) -> FixedPoints:
    """Where the state settles before long if it begins at h0."""
    start = np.tile(h0.astype(np.float64), (gradients.size, 1))
    return settle(optimizer, start, gradients, relaxation_steps=RELAXATION_STEPS[:1])


def _beside(optimizer: Optimizer, gradients: Float, points: FixedPoints) -> FixedPoints:
    """Fixed points next to those that are known, on each arm by itself."""
    found = points.subset(np.arange(gradients.size))
    for arm in np.split(np.arange(gradients.size), 2):
        found.replace(arm, extend_to_neighbours(optimizer, gradients[arm], points.subset(arm)))
    return found


def _apart(points: FixedPoints, others: FixedPoints) -> NDArray[np.bool_]:
    """Where both are known and are not the same."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(others.state - points.state).max(axis=1, initial=0.0)
    scale = np.maximum(1.0, np.abs(points.state).max(axis=1, initial=0.0))
    return np.asarray(points.converged & others.converged & (apart > SAME_POINT_TOLERANCE * scale))


def _branch(
    optimizer: Optimizer, start: Float, gradients: Float, points: FixedPoints
) -> tuple[FixedPoints, Float]:
    """The fixed points that h* is continued to, and where each arm's branch ends."""
    branch = points.subset(np.arange(gradients.size))
    ends = np.array([np.inf, np.inf])
    arms = np.arange(N_PER_ARM)[::-1], np.arange(N_PER_ARM, 2 * N_PER_ARM)
    for arm, outwards in enumerate(arms):
        traced = trace_branch(optimizer, start, gradients[outwards], points.subset(outwards))
        branch.replace(outwards, traced)
        if not traced.converged.all():
            ends[arm] = gradients[outwards][traced.converged.argmin()]
    return branch, ends
