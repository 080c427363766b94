"""Learning-rate adaptation: the state to which a constant gradient leads, and the rate there.

Under a constant gradient g the state settles at h*(g). Over g of both signs these points form a
curve, the S-curve of the paper. Along it

    η_ref(g)   = −D(h*(g), 0)     the rate of the adapted state for a small gradient
    η_local(g) = −D(h*(g), g)     the slope at the gradient itself
    elasticity = d log η_ref / d log |g|, by least squares on each arm: −1 for RMSProp

η_ref separates adaptation, which is in the state, from clipping, which is not.
"""

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.clipping import ARM_SIGNS
from loptbench.mechanisms.dynamics.branches import extend_to_neighbours, trace_branch
from loptbench.mechanisms.dynamics.fixed_points import (
    RELAXATION_STEPS,
    SAME_POINT_TOLERANCE,
    FixedPoints,
    condition_numbers,
    settle,
    stable,
)
from loptbench.mechanisms.dynamics.linearization import MAX_STATE_SIZE
from loptbench.mechanisms.dynamics.response import NO_RESPONSE, usable_gain, usable_slope
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.mechanisms.principal_components import principal_components
from loptbench.protocol import Optimizer
from loptbench.results.schema.mechanisms import (
    AdaptationResult,
    ConvergencePointResult,
    NotApplicable,
)

Float = NDArray[np.float64]

N_PER_ARM = 100
"""Gradients of each sign along the S-curve."""

MIN_POINTS_PER_ARM = 10
"""Fewest points of an arm for an elasticity or a rank correlation."""

RATE_TIE_DIGITS = 6
"""Rates whose logarithms agree to this many decimals are ties: the order of rounding errors has no
meaning."""

N_CURVE_COMPONENTS = 3
"""Principal components in which the S-curve is shown."""


def gradient_grid(statistics: GradientStatistics) -> Float:
    """The gradients of the S-curve, (200,), from the most negative up.

    Each arm goes from the 1 % quantile of the gradients of real runs to the largest.
    """
    magnitudes = np.geomspace(statistics.smallest, statistics.largest, N_PER_ARM)
    return np.concatenate([-magnitudes[::-1], magnitudes])


def measure_adaptation(
    optimizer: Optimizer,
    point: ConvergencePointResult | NotApplicable,
    statistics: GradientStatistics,
) -> AdaptationResult | NotApplicable:
    """Measure adaptation along the S-curve.

    Args:
        optimizer: any optimizer in float64, with its counters frozen.
        point: its convergence point; without one the state starts from h0.
        statistics: the gradients that it meets on real runs.

    Returns: the measurement, or why there is none.
    """
    h0 = np.asarray(optimizer.initial_state(1))
    if not np.issubdtype(h0.dtype, np.floating):
        return NotApplicable(not_applicable=f"the state is {h0.dtype}: it has no derivatives")
    if h0.shape[1] > MAX_STATE_SIZE:
        return NotApplicable(
            not_applicable=f"the state has {h0.shape[1]:,} variables, over {MAX_STATE_SIZE:,}"
        )
    gradients = gradient_grid(statistics)
    points, alternatives, branch_ends = _s_curve(optimizer, h0, point, gradients)
    if not points.converged.any():
        return NotApplicable(
            not_applicable="under no constant gradient does the state settle within "
            f"{sum(RELAXATION_STEPS):,} steps"
        )
    several = np.zeros(gradients.size, bool)
    for alternative in alternatives:
        several |= _different(points, alternative)
    rate_reference, rate_local, condition = np.full((3, gradients.size), np.nan)
    is_stable = np.zeros(gradients.size, bool)
    settled = np.flatnonzero(points.converged)
    state, g = points.state[settled], gradients[settled]
    D, reasons = usable_gain(optimizer, state, np.abs(g))
    usable = [reason in ("", NO_RESPONSE) for reason in reasons]
    rate_reference[settled] = np.where(usable, -D, np.nan)
    rate_local[settled] = -usable_slope(optimizer, state, g)
    is_stable[settled] = stable(optimizer, state, g)
    condition[settled] = condition_numbers(optimizer, state, g)
    curve, variance, order = _curve(points.state)
    is_settled = np.all(np.isfinite(points.state), axis=1)
    return AdaptationResult(
        gradients=gradients,
        rate_reference=rate_reference,
        rate_local=rate_local,
        elasticity=elasticity(gradients, rate_reference),
        rank_correlation=rank_correlation(gradients, rate_reference),
        residual=float(points.residual[is_settled].max(initial=0.0)),
        settled=is_settled,
        stable=is_stable,
        several_fixed_points=several,
        branch_ends=branch_ends,
        curve=curve,
        variance=variance,
        order=order,
        state=points.state,
        condition=condition,
    )


def elasticity(gradients: Float, rate: Float) -> Float:
    """d log η / d log |g| of the negative and of the positive arm, (2,), by least squares.

    Args:
        gradients: g, (n,).
        rate: η, (n,); rates that are not positive do not count.

    Returns: NaN for an arm with fewer than 10 points.

    >>> g = np.concatenate([-np.arange(1.0, 20.0), np.arange(1.0, 5.0)])
    >>> elasticity(g, 1 / np.abs(g)).round(9).tolist()
    [-1.0, nan]
    """
    slopes = []
    for magnitude, positive_rate in _arms(gradients, rate):
        enough = magnitude.size >= MIN_POINTS_PER_ARM
        slopes.append(
            np.polyfit(np.log(magnitude), np.log(positive_rate), 1)[0] if enough else np.nan
        )
    return np.array(slopes)


def rank_correlation(gradients: Float, rate: Float) -> Float:
    """Spearman's rank correlation of η and |g|, of the negative and of the positive arm, (2,).

    Rates that agree to six digits are ties. If all rates are ties, the correlation is 0.

    Args:
        gradients: g, (n,).
        rate: η, (n,); rates that are not positive do not count.

    Returns: NaN for an arm with fewer than 10 points.

    >>> g = np.concatenate([-np.arange(1.0, 20.0), np.arange(1.0, 20.0)])
    >>> rank_correlation(g, np.where(g < 0, 1 / np.abs(g), 0.1)).round(9).tolist()
    [-1.0, 0.0]
    """
    from scipy.stats import spearmanr

    correlations = []
    for magnitude, positive_rate in _arms(gradients, rate):
        if magnitude.size < MIN_POINTS_PER_ARM:
            correlations.append(np.nan)
        elif np.ptp(positive_rate) > 10.0**-RATE_TIE_DIGITS * positive_rate.max():
            log_rate = np.round(np.log(positive_rate), RATE_TIE_DIGITS)
            correlations.append(spearmanr(magnitude, log_rate).statistic)
        else:
            correlations.append(0.0)
    return np.array(correlations)


def _arms(gradients: Float, rate: Float) -> list[tuple[Float, Float]]:
    """|g| and η of each arm, where η is a positive number."""
    arms = []
    for sign in ARM_SIGNS:
        with np.errstate(invalid="ignore"):
            usable = (gradients * sign > 0) & np.isfinite(rate) & (rate > 0)
        arms.append((np.abs(gradients[usable]), rate[usable]))
    return arms


def _curve(state: Float) -> tuple[Float, Float, float]:
    """The S-curve in principal components, their shares of the variance, and its order.

    The order is the magnitude of the rank correlation of the first component and g: 1 for a curve
    that never turns back.
    """
    from scipy.stats import spearmanr

    settled = np.all(np.isfinite(state), axis=1)
    curve = np.full((len(state), N_CURVE_COMPONENTS), np.nan)
    points, variance = principal_components(state[settled])
    curve[settled, : points.shape[1]] = points
    order = np.nan
    if points.size and np.ptp(points[:, 0]) > 0:
        order = abs(float(spearmanr(points[:, 0], np.arange(len(points))).statistic))
    return curve, variance, order


def _s_curve(
    optimizer: Optimizer,
    h0: Float,
    point: ConvergencePointResult | NotApplicable,
    gradients: Float,
) -> tuple[FixedPoints, list[FixedPoints], Float]:
    """The fixed points under constant gradients, their alternatives, and the ends of the branch.

    Args:
        optimizer: any optimizer in float64, with its counters frozen.
        h0: its initial state, (1, n_state).
        point: its convergence point; without one the state starts from h0.
        gradients: of both signs, from the most negative up.

    Returns: the points where the state settles from h*; as alternatives, the points where it
        settles from h0 and the points of the branch that continues h*; and the gradients at which
        that branch ends, by arm, (2,).
    """
    start = h0[0].astype(np.float64) if isinstance(point, NotApplicable) else point.state
    points = settle(optimizer, np.tile(start, (gradients.size, 1)), gradients)
    alternatives: list[FixedPoints] = []
    branch_ends = np.array([np.inf, np.inf])
    if isinstance(point, ConvergencePointResult):
        branch, branch_ends = _branch(optimizer, start, gradients, points)
        alternatives = [_settle_from_start(optimizer, h0, gradients), branch]
    # Some states may be approaching a fixed point that Newton's iteration missed.
    for candidates in (*alternatives, _neighbours(optimizer, gradients, points)):
        moving = ~points.converged & np.all(np.isfinite(points.last), axis=1)
        todo = np.flatnonzero(candidates.converged & moving)
        if todo.size:
            points.replace(
                todo,
                settle(optimizer, points.last[todo], gradients[todo], candidates.subset(todo)),
            )
    return points, alternatives, branch_ends


def _settle_from_start(optimizer: Optimizer, h0: Float, gradients: Float) -> FixedPoints:
    """Where the state settles from h0 within the first stage of relaxation."""
    start = np.tile(h0.astype(np.float64), (gradients.size, 1))
    return settle(optimizer, start, gradients, relaxation_steps=RELAXATION_STEPS[:1])


def _neighbours(optimizer: Optimizer, gradients: Float, points: FixedPoints) -> FixedPoints:
    """Fixed points next to those where the state settles, on each arm separately."""
    extended = points.subset(np.arange(gradients.size))
    for arm in np.split(np.arange(gradients.size), 2):
        extended.replace(arm, extend_to_neighbours(optimizer, gradients[arm], points.subset(arm)))
    return extended


def _different(points: FixedPoints, alternative: FixedPoints) -> NDArray[np.bool_]:
    """Where both have converged, and to different points."""
    with np.errstate(invalid="ignore"):
        distance = np.abs(alternative.state - points.state).max(axis=1, initial=0.0)
    scale = np.maximum(1.0, np.abs(points.state).max(axis=1, initial=0.0))
    apart = distance > SAME_POINT_TOLERANCE * scale
    return np.asarray(points.converged & alternative.converged & apart)


def _branch(
    optimizer: Optimizer, start: Float, gradients: Float, points: FixedPoints
) -> tuple[FixedPoints, Float]:
    """The branch of fixed points that continues h*, and the gradients at which its arms end."""
    branch = points.subset(np.arange(gradients.size))
    ends = np.array([np.inf, np.inf])
    outwards = np.arange(N_PER_ARM)[::-1], np.arange(N_PER_ARM, 2 * N_PER_ARM)
    for arm, indices in enumerate(outwards):
        traced = trace_branch(optimizer, start, gradients[indices], points.subset(indices))
        branch.replace(indices, traced)
        if not traced.converged.all():
            ends[arm] = gradients[indices][traced.converged.argmin()]
    return branch, ends
