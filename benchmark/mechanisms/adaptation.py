"""Learning-rate adaptation: the rate in the states to which constant gradients lead.

    η_ref(g)   = −D(h, 0)     the rate at which the state answers a small gradient
    η_local(g) = −D(h, g)     the slope at the gradient itself

Both are measured in adapted states, h = h_T(g), after T steps of the gradient g, and at exact fixed
points, h = h*(g). η_ref separates adaptation, which is in the state, from clipping, which is not.
The adaptation ratio of an arm is η_ref(q99) / η_ref(q50): the rate after large gradients over that
after typical ones, as they are met on real runs. Below 1 the rate falls where gradients are large.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.convergence import no_derivatives
from loptbench.mechanisms.curve_readings import (
    RatesAtQuantiles,
    elasticity,
    rank_correlation,
    read_curve,
)
from loptbench.mechanisms.dynamics.adapted import (
    AdaptedStates,
    average_over_cycles,
    find_adapted_states,
)
from loptbench.mechanisms.dynamics.driving import drive
from loptbench.mechanisms.dynamics.exact import ExactFixedPoints, find_exact_fixed_points
from loptbench.mechanisms.dynamics.fixed_points import FixedPoints
from loptbench.mechanisms.dynamics.response import NO_RESPONSE, usable_gain, usable_slope
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.mechanisms.principal_components import PrincipalAxes
from loptbench.mechanisms.settled import SettledStates, find_settled_states
from loptbench.protocol import Array, Optimizer
from loptbench.results.schema.mechanisms import (
    AdaptationResult,
    AdaptedStatesResult,
    ConvergencePointResult,
    Coverage,
    ExactFixedPointsResult,
    NotApplicable,
)

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
Int = NDArray[np.int64]

N_PER_ARM = 100
"""Gradients of each sign along the curve."""

N_CURVE_COMPONENTS = 3
"""Principal components in which the curve is shown."""

UNCHANGED = 0.05
"""A rate that changes by at most this fraction in another T steps counts as arrived."""

NOT_FINITE = "the state grows without bound"
NOT_AT_REST = "the state does not come to rest within 2,250 steps"
NO_FIXED_POINT = "no fixed point was found"


def gradient_grid(statistics: GradientStatistics) -> Float:
    """The gradients of the curve, (200,), from the most negative up.

    Each arm goes from the 1 % quantile of the gradients of real runs to the largest.
    """
    magnitudes = np.geomspace(statistics.smallest, statistics.largest, N_PER_ARM)
    return np.concatenate([-magnitudes[::-1], magnitudes])


def measure_adaptation(
    optimizer: Optimizer,
    point: ConvergencePointResult | NotApplicable,
    statistics: GradientStatistics,
    n_steps: int = 201,
    gradients: Float | None = None,
    no_fixed_points: str = "",
) -> AdaptationResult | NotApplicable:
    """Measure adaptation along the curve.

    Args:
        optimizer: any optimizer in float64; with its counters frozen, if they can be.
        point: its convergence point; without one the state starts from where it is after T steps
            without a gradient.
        statistics: the gradients that it meets on real runs.
        n_steps: T, the number of steps of real runs.
        gradients: the gradients of the curve; from the statistics if None.
        no_fixed_points: why there are no exact fixed points, where that is known.

    Returns: the measurement, or why there is none.
    """
    h0 = np.asarray(optimizer.initial_state(1))
    start: Array = (
        drive(optimizer, h0, np.zeros(1), [n_steps])[0, 0]
        if isinstance(point, NotApplicable)
        else point.state
    )
    curve = _Curve(statistics, gradient_grid(statistics) if gradients is None else gradients)
    adapted = find_adapted_states(optimizer, start, curve.all, n_steps)
    rates = _adapted_rates(optimizer, adapted, statistics.typical)
    if not np.any(np.isfinite(rates.reference)):
        return NotApplicable(not_applicable=f"after {n_steps} steps: {rates.reasons[0]}")
    reason = no_fixed_points or no_derivatives(h0)
    if reason:
        exact, settled = _no_fixed_points(adapted)
    else:
        known = None if isinstance(point, NotApplicable) else point.state
        exact = find_exact_fixed_points(optimizer, adapted.state, adapted.later, curve.all, known)
        settled = find_settled_states(optimizer, h0[0], adapted, exact)
    at_points = _rates(
        optimizer, exact.points.state, curve.all, statistics.typical, reason or NO_FIXED_POINT
    )
    at_rest = _rates(optimizer, settled.points.state, curve.all, statistics.typical, NOT_AT_REST)
    return _result(curve, adapted, rates, exact, at_points, settled, at_rest)


class _Curve:
    """The gradients of the curve, with those that ratios need.

    Attributes:
        statistics: the gradients that are met.
        all: all gradients, in order, each once, (n,).
        grid: the places of the curve's own in `all`.
    """

    def __init__(self, statistics: GradientStatistics, gradients: Float) -> None:
        self.statistics = statistics
        pair = np.array([-1.0, 1.0])
        self.quantiles = {
            name: getattr(statistics, name) * pair for name in ("typical", "large", "largest")
        }
        self.all = np.unique(np.concatenate([gradients, [0.0], *self.quantiles.values()]))
        self.grid = np.searchsorted(self.all, np.sort(gradients))

    @property
    def gradients(self) -> Float:
        """The curve's own gradients, (n_gradients,)."""
        return np.asarray(self.all[self.grid])

    def at_quantiles(self, rate: Float) -> RatesAtQuantiles:
        """The rates that ratios are made of; NaN where no gradients are met."""
        at = {name: rate[np.searchsorted(self.all, g)] for name, g in self.quantiles.items()}
        if not self.statistics.gradients.size:
            at = dict.fromkeys(at, np.full(2, np.nan))
        return RatesAtQuantiles(zero=float(rate[np.searchsorted(self.all, 0.0)]), **at)


class _Rates(NamedTuple):
    """Rates at states, (n,) each; NaN with a reason where there is none."""

    reference: Float
    local: Float
    reasons: list[str]
    later: Float = np.zeros(0)


def _rates(
    optimizer: Optimizer, state: Array, gradient: Float, typical: Float | float, without: str
) -> _Rates:
    """The rates at states; where a state is not finite, `without` is the reason."""
    n = len(gradient)
    reference, local, reasons = np.full(n, np.nan), np.full(n, np.nan), [without] * n
    finite = np.flatnonzero(np.all(np.isfinite(state), axis=1))
    if finite.size:
        h, g = state[finite], gradient[finite]
        scale = np.where(g == 0, typical, np.abs(g))
        D, why = usable_gain(optimizer, h, scale)
        for i, place in enumerate(finite):
            reasons[place] = "" if why[i] == NO_RESPONSE else why[i]
        usable = np.array([reasons[place] == "" for place in finite])
        reference[finite] = np.where(usable, 0.0 - D, np.nan)
        moved = finite[g != 0]
        local[moved] = 0.0 - usable_slope(optimizer, state[moved], gradient[moved])
        local[finite[g == 0]] = reference[finite[g == 0]]
    return _Rates(reference, local, reasons)


def _adapted_rates(optimizer: Optimizer, adapted: AdaptedStates, typical: float) -> _Rates:
    """The rates in adapted states; means over the cycle where a state cycles."""
    rates = _rates(optimizer, adapted.state, adapted.gradient, typical, NOT_FINITE)
    later = _rates(optimizer, adapted.later, adapted.gradient, typical, NOT_FINITE).reference
    cycling = adapted.cycling
    if cycling.any():

        def both(h: Array, g: Float) -> Float:
            of_cycle = _rates(optimizer, h, g, typical, "")
            return np.stack([of_cycle.reference, of_cycle.local], axis=1)

        def reference(h: Array, g: Float) -> Float:
            scale = np.where(g == 0, typical, np.abs(g))
            return _rates(optimizer, h, np.zeros(len(g)), scale, "").reference

        state = adapted.state[cycling]
        means = average_over_cycles(optimizer, adapted, state, both)
        rates.reference[cycling], rates.local[cycling] = means.T
        later[cycling] = average_over_cycles(optimizer, adapted, adapted.later[cycling], reference)
    return rates._replace(later=later)


def _no_fixed_points(adapted: AdaptedStates) -> tuple[ExactFixedPoints, SettledStates]:
    """Fixed points and states at rest where none can be looked for."""
    n = len(adapted.gradient)
    never, unknown = np.zeros(n, bool), np.full(n, np.nan)
    nowhere = np.full(adapted.state.shape, np.nan)
    points = FixedPoints(nowhere, np.full(n, np.inf), never, nowhere)
    exact = ExactFixedPoints(points, never, unknown, never, unknown, np.full(2, np.inf))
    return exact, SettledStates(points, never)


def _result(
    curve: _Curve,
    adapted: AdaptedStates,
    rates: _Rates,
    exact: ExactFixedPoints,
    at_points: _Rates,
    settled: SettledStates,
    at_rest: _Rates,
) -> AdaptationResult:
    grid, statistics, gradients = curve.grid, curve.statistics, curve.gradients
    at = {
        "T": curve.at_quantiles(rates.reference),
        "2T": curve.at_quantiles(rates.later),
        "exact": curve.at_quantiles(at_points.reference),
    }
    of_grid = {
        "T": rates.reference[grid],
        "2T": rates.later[grid],
        "exact": at_points.reference[grid],
    }
    with np.errstate(all="ignore"):
        change = np.abs(of_grid["2T"] / of_grid["T"] - 1)
    states = np.asarray(adapted.state[grid], np.float64)
    usable = np.all(np.isfinite(states), axis=1)
    axes = PrincipalAxes.of(states[usable], N_CURVE_COMPONENTS)
    adapted_curve = _on_axes(axes, states)
    points, rests = exact.points, settled.points.converged[grid]
    rate_at_rest = at_rest.reference[grid]
    rest_states = settled.points.state[grid]
    rest_axes = PrincipalAxes.of(rest_states[rests], N_CURVE_COMPONENTS)
    rest_curve = _on_axes(rest_axes, rest_states)
    met = statistics.gradients.size > 0
    return AdaptationResult(
        typical_gradient=statistics.typical if met else np.nan,
        large_gradient=statistics.large if met else np.nan,
        largest_gradient=statistics.largest if met else np.nan,
        adapted=AdaptedStatesResult(
            gradients=gradients,
            rate_reference=of_grid["T"],
            rate_local=rates.local[grid],
            coverage=float(np.mean(np.isfinite(of_grid["T"]))),
            reason=tuple(rates.reasons[i] for i in grid),
            curve=adapted_curve,
            state=states,
            rate_reference_later=of_grid["2T"],
            remaining_change=change,
            speed=adapted.speed[grid],
            cycling=adapted.cycling[grid],
            share_unchanged=float(np.mean(change <= UNCHANGED)),
            variance=axes.share,
            order=_order(adapted_curve),
        ),
        exact=ExactFixedPointsResult(
            gradients=gradients,
            rate_reference=of_grid["exact"],
            rate_local=at_points.local[grid],
            coverage=float(np.mean(np.isfinite(of_grid["exact"]))),
            reason=tuple(at_points.reasons[i] for i in grid),
            curve=_on_axes(axes, points.state[grid]),
            state=points.state[grid],
            residual=np.where(points.converged, points.residual, np.nan)[grid],
            spectral_radius=exact.spectral_radius[grid],
            stable=exact.stable[grid],
            several=settled.several[grid],
            ratio=at["exact"].ratio,
            condition=exact.condition[grid],
        ),
        ratio={name: at[name].ratio for name in ("T", "2T")},
        readings={name: read_curve(gradients, of_grid[name], at[name], statistics) for name in at},
        coverage=_coverage(gradients, [rates.reasons[i] for i in grid], at_points, grid, met),
        gradients=gradients,
        rate_reference=rate_at_rest,
        rate_local=at_rest.local[grid],
        elasticity=elasticity(gradients, rate_at_rest),
        rank_correlation=rank_correlation(gradients, rate_at_rest),
        residual=float(settled.points.residual[grid][rests].max(initial=0.0)),
        settled=rests,
        stable=exact.stable[grid] & rests,
        several_fixed_points=settled.several[grid],
        branch_ends=exact.branch_ends,
        curve=rest_curve,
        variance=rest_axes.share,
        order=_order(rest_curve),
    )


def _on_axes(axes: PrincipalAxes, states: Float) -> Float:
    """Coordinates along the axes, (n, 3); NaN for states that are not finite, and missing axes."""
    coordinates = np.full((len(states), N_CURVE_COMPONENTS), np.nan)
    finite = np.all(np.isfinite(states), axis=1)
    coordinates[finite, : len(axes.axes)] = axes.coordinates(states[finite])
    return coordinates


def _order(curve: Float) -> float:
    """|rank correlation| of the first component and g: 1 for a curve that never turns back."""
    from scipy.stats import spearmanr

    first = curve[:, 0]
    places = np.flatnonzero(np.isfinite(first))
    if places.size < 2 or np.ptp(first[places]) == 0:
        return np.nan
    return abs(float(spearmanr(first[places], places).statistic))


def _coverage(
    gradients: Float, reasons: list[str], at_points: _Rates, grid: Int, met: bool
) -> Coverage:
    """Of the gradients, at adapted states; what is missing there and at exact fixed points."""
    missing = [] if met else ["no gradients were met: the curve's range is a default"]
    for where, why in (
        ("in the adapted state", reasons),
        ("at an exact fixed point", [at_points.reasons[i] for i in grid]),
    ):
        for reason in dict.fromkeys(why):
            absent = np.array([other == reason for other in why])
            if reason:
                low, high = gradients[absent].min(), gradients[absent].max()
                missing.append(
                    f"{where}, at {absent.sum()} of {len(why)} gradients, from {low:.3g} to "
                    f"{high:.3g}: {reason}"
                )
    share = float(np.mean([not reason for reason in reasons]))
    return Coverage(share=share, missing="; ".join(missing))
