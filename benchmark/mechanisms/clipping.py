"""Gradient clipping: how the response to a gradient falls below a straight line as it grows.

    u(g) = U(h, g) − U(h, 0)        the update function of a state
    s(g) = u(g) / (D g)             the saturation: 1 while u is linear, smaller where it saturates
    g½                              the smallest |g| with s = ½, on each arm; infinite for none

The arms g < 0 and g > 0 are measured separately, because a network is not odd.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.linearization import checked_step
from loptbench.mechanisms.dynamics.response import RELATIVE_ROUNDING, usable_gain
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.mechanisms.states_met import StatesMet
from loptbench.protocol import Optimizer, Trajectory
from loptbench.results.schema.mechanisms import (
    ClippingResult,
    Coverage,
    Density,
    NotApplicable,
    NoUpdateFunction,
    SaturationResult,
    UpdateFunctionResult,
)

Float = NDArray[np.float64]
Int = NDArray[np.int64]

ARM_SIGNS = np.array([-1.0, 1.0])
"""The signs of g on the two arms, in the order of every axis of length two."""

N_STATES_OF_RUNS = 16
"""Number of states from real runs."""

MIN_SEARCH_RATIO = 1e-6
MAX_SEARCH_RATIO = 1e6
"""g½ is searched from this multiple of the typical to this multiple of the largest gradient."""

N_PER_DECADE = 12
"""Grid points per decade of the search."""

MAX_ROUNDING_RATIO = 0.01
"""Largest rounding error of s at a grid point; grid points with a larger one do not count."""

CURVE_DECADES = (-3.0, 1.0)
"""Update functions are tabulated from a thousandth of the typical to ten times the largest |g|."""

N_CURVE_POINTS = 60
"""Tabulated gradients of each arm."""

N_BIN_EDGES = 40

MAX_DENSITY_DECADES = 8
"""The histogram of gradients covers at most this many decades below the largest."""


def measure_clipping(
    optimizer: Optimizer,
    convergence_state: Float | None,
    statistics: GradientStatistics,
    run: Trajectory | None = None,
    met: Mapping[str, StatesMet] | None = None,
) -> ClippingResult | NotApplicable:
    """Measure clipping at h0, at h*, at 16 states of real runs, and its use on real runs.

    Args:
        optimizer: any optimizer in float64.
        convergence_state: its convergence point h*, (n_state,); None if there is none.
        statistics: the gradients that it meets on real runs.
        run: real runs; None if there are none.
        met: the response at all their states, over T and over 2 T steps.

    Returns: the measurement, or why there is none at any state.
    """
    places = [("h0", np.asarray(optimizer.initial_state(1))[0])]
    if convergence_state is not None:
        places.append(("h*", convergence_state))
    if run is not None:
        places += _states_of_run(run)
    states = np.stack([state for _, state in places])
    D, reasons = usable_gain(optimizer, states, statistics.typical)
    usable = [i for i, reason in enumerate(reasons) if not reason]
    not_applicable_at = tuple(
        NoUpdateFunction(where=places[i][0], reason=reason)
        for i, reason in enumerate(reasons)
        if reason
    )
    if not usable:
        return NotApplicable(
            not_applicable=f"at {not_applicable_at[0].where} {not_applicable_at[0].reason}"
        )
    functions = _UpdateFunctions(optimizer, states[usable], D[usable])
    below, above = CURVE_DECADES
    magnitudes = np.geomspace(
        statistics.typical * 10**below, statistics.largest * 10**above, N_CURVE_POINTS
    )
    half = functions.half_saturation(statistics)
    at_largest = functions.saturation(np.full(half.shape, statistics.largest))
    update = functions.update(np.broadcast_to(magnitudes, (len(usable), 2, N_CURVE_POINTS)))
    results = tuple(
        UpdateFunctionResult(
            where=places[i][0],
            state=states[i],
            gain=float(D[i]),
            half_saturation=half[k],
            half_saturation_is_known=~np.isnan(half[k]),
            saturation_at_largest_gradient=np.where(
                statistics.gradients.size, at_largest[k], np.nan
            ),
            update=update[k],
        )
        for k, i in enumerate(usable)
    )
    met = met or {}
    are_met = statistics.gradients.size > 0  # else the scales are defaults
    at_convergence = _use(results, "h*", statistics)
    at_start = _use(results, "h0", statistics)
    return ClippingResult(
        states=results,
        not_applicable_at=not_applicable_at,
        gradients=magnitudes,
        largest_gradient=statistics.largest if are_met else np.nan,
        typical_gradient=statistics.typical if are_met else np.nan,
        density=gradient_density(statistics),
        reach=at_convergence.reach,
        engagement=at_convergence.engagement,
        engagement_by_problem=at_convergence.by_problem,
        reach_at_h0=at_start.reach,
        engagement_at_h0=at_start.engagement,
        engagement_at_h0_by_problem=at_start.by_problem,
        saturation_loss={name: saturation_loss(saturation(part)) for name, part in met.items()},
        saturation=saturation(met["T"]) if "T" in met else None,
        coverage=_coverage(len(usable) / len(places), not_applicable_at, met.get("T"), are_met),
    )


class _Use(NamedTuple):
    """How far the gradients of real runs go into the saturating part of an update function.

    Attributes:
        reach: the largest gradient over half-saturation, the smaller of both arms; 0 if one arm has
            no half-saturation.
        engagement: the share of the gradients beyond half-saturation, mean over problems.
        by_problem: the same of each problem, (n_problems,).
    """

    reach: float | None = None
    engagement: float | None = None
    by_problem: Float | None = None


def _use(
    functions: Iterable[UpdateFunctionResult], where: str, statistics: GradientStatistics
) -> _Use:
    function = update_function(functions, where)
    if function is None or not statistics.gradients.size:
        return _Use()
    by_problem = engagement_by_problem(statistics.gradients, function.half_saturation)
    reach = float(statistics.largest / function.half_saturation.max())
    return _Use(reach, float(np.mean(by_problem)), by_problem)


def saturation(met: StatesMet) -> SaturationResult:
    """Σ|u(g)| and Σ|D(h, 0) g| of each problem, over steps and components with a gain."""
    usable = np.isfinite(met.gain) & np.isfinite(met.contribution)
    actual = np.where(usable, np.abs(met.contribution), 0.0)
    linear = np.where(usable, np.abs(met.gain * met.gradient), 0.0)
    return SaturationResult(actual=actual.sum(axis=(0, 2)), linear=linear.sum(axis=(0, 2)))


def saturation_loss(sums: SaturationResult) -> float:
    """1 − Σ|u(g)| / Σ|D(h, 0) g|; NaN where no gradient was met.

    >>> saturation_loss(SaturationResult(actual=np.array([3.0]), linear=np.array([4.0])))
    0.25
    """
    linear = float(np.sum(sums.linear))
    return 1 - float(np.sum(sums.actual)) / linear if linear > 0 else np.nan


def _coverage(
    share_of_places: float,
    absent: tuple[NoUpdateFunction, ...],
    met: StatesMet | None,
    gradients_are_met: bool,
) -> Coverage:
    """Of h0, h* and the 16 states, and of all states of real runs; the smaller share."""
    missing = [f"at {absent[0].where} {absent[0].reason}"] if absent else []
    if len(absent) > 1:
        missing[0] += f", and at {len(absent) - 1} more places"
    if met is None:
        missing.append("there are no real runs")
    elif met.missing:
        missing.append(met.missing)
    if met is not None and not gradients_are_met:
        missing.append("no gradients were met: the range of the update functions is a default")
    share = min(share_of_places, 0.0 if met is None else met.coverage)
    return Coverage(share=share, missing="; ".join(missing))


def update_function(
    functions: Iterable[UpdateFunctionResult], where: str
) -> UpdateFunctionResult | None:
    """The update function of a state, such as "h0" or "h*"; None if there is none."""
    return next((function for function in functions if function.where == where), None)


def engagement_by_problem(gradients: Float, half_saturation: Float) -> Float:
    """The fraction of each problem's gradients beyond half-saturation, (n_problems,).

    Args:
        gradients: (n_problems, n); zeros do not count.
        half_saturation: g½ by arm, (2,); the fractions are NaN if one is unknown (NaN).

    >>> engagement_by_problem(np.array([[-3.0, 0.5, 1.0, 0.0]]), np.array([2.0, 4.0])).tolist()
    [0.3333333333333333]
    """
    low, high = half_saturation
    n = np.maximum(1, np.sum(gradients != 0, axis=1))
    if np.any(np.isnan(half_saturation)):
        return np.full(len(n), np.nan)
    return np.asarray(np.sum((gradients < -low) | (gradients > high), axis=1) / n)


def gradient_density(statistics: GradientStatistics) -> Density:
    """A histogram of log10 |g| by arm; the shares of both arms add up to 1."""
    g = statistics.gradients
    magnitudes = np.abs(g[g != 0])
    if not magnitudes.size:
        return Density(edges=np.zeros(0), share=np.zeros((2, 0)))
    highest = np.log10(statistics.largest)
    lowest = max(np.log10(magnitudes.min()), highest - MAX_DENSITY_DECADES)
    edges = np.linspace(lowest, highest, N_BIN_EDGES)
    counts = [np.histogram(np.log10(np.abs(g[g * sign > 0])), edges)[0] for sign in ARM_SIGNS]
    return Density(edges=edges, share=np.stack(counts) / magnitudes.size)


def _states_of_run(run: Trajectory) -> list[tuple[str, Float]]:
    """States spread over real runs, with their places: evenly spaced steps and components."""
    n_steps, n_components = run.state.shape[:2]
    steps = np.linspace(1, n_steps - 1, N_STATES_OF_RUNS).astype(int)
    components = np.linspace(0, n_components - 1, N_STATES_OF_RUNS).astype(int)
    # Successive steps take distant components: the stride 5 has no common factor with 16.
    components = components[(5 * np.arange(N_STATES_OF_RUNS)) % N_STATES_OF_RUNS]
    return [
        (f"step {k} of component {i}", run.state[k, i])
        for k, i in zip(steps, components, strict=True)
        if np.all(np.isfinite(run.state[k, i]))
    ]


class _UpdateFunctions:
    """u(g) and s(g) of many states at once.

    Arguments and results are (n_states, 2, ...): |g| by state and arm, and u or s there.

    Args:
        optimizer: any optimizer in float64.
        states: (n_states, n_state).
        gain: D at each state without a gradient, (n_states,).
    """

    def __init__(self, optimizer: Optimizer, states: Float, gain: Float) -> None:
        self.optimizer, self.states, self.gain = optimizer, states, gain
        self.update_at_zero = checked_step(optimizer, states, np.zeros(len(states)))[1]

    def update(self, magnitude: Float) -> Float:
        """u(g)."""
        state, arm = np.indices(magnitude.shape)[:2]
        return self._update(magnitude, arm, state)

    def saturation(self, magnitude: Float) -> Float:
        """s(g)."""
        state, arm = np.indices(magnitude.shape)[:2]
        return self._saturation(magnitude, arm, state)

    def _update(self, magnitude: Float, arm: Int, state: Int) -> Float:
        """u(g) for the arms and states with these indices; all arguments of one shape."""
        g = (ARM_SIGNS[arm] * magnitude).reshape(-1)
        index = np.broadcast_to(state, magnitude.shape).reshape(-1)
        update = checked_step(self.optimizer, self.states[index], g)[1]
        return np.asarray((update - self.update_at_zero[index]).reshape(magnitude.shape))

    def _saturation(self, magnitude: Float, arm: Int, state: Int) -> Float:
        """s(g) for the arms and states with these indices; all arguments of one shape."""
        with np.errstate(all="ignore"):
            linear = self.gain[state] * ARM_SIGNS[arm] * magnitude
            return np.asarray(self._update(magnitude, arm, state) / linear)

    def half_saturation(self, statistics: GradientStatistics) -> Float:
        """g½, (n_states, 2): bracketed on a grid of 12 points per decade, refined by bisection.

        Infinite where s does not fall to ½; NaN where s is not a number before it does.
        """
        from scipy.optimize.elementwise import find_root

        low = np.log10(MIN_SEARCH_RATIO * statistics.typical)
        high = np.log10(MAX_SEARCH_RATIO * statistics.largest)
        grid = np.linspace(low, high, int(np.ceil((high - low) * N_PER_DECADE)) + 1)
        shape = (len(self.states), 2, grid.size)
        s = self.saturation(np.broadcast_to(10.0**grid, shape))
        # Grid points where rounding dominates do not count, nor any beyond one that is not finite.
        rounding = RELATIVE_ROUNDING * np.abs(self.update_at_zero / self.gain)
        s = np.where(rounding[:, None, None] > MAX_ROUNDING_RATIO * 10.0**grid, 1.0, s)
        saturated = (s <= 0.5) & np.logical_and.accumulate(np.isfinite(s), axis=2)
        first = saturated.argmax(axis=2)
        bracketed = saturated.any(axis=2) & (first > 0)
        half = np.where(np.isnan(s).any(axis=2), np.nan, np.inf)
        half[saturated[:, :, 0]] = 10.0 ** grid[0]
        state, arm = np.nonzero(bracketed)
        if state.size:
            right = first[bracketed]

            def excess(log10_magnitude: Float, arm: NDArray[Any], state: NDArray[Any]) -> Float:
                return self._saturation(10.0**log10_magnitude, arm, state) - 0.5

            root = find_root(excess, (grid[right - 1], grid[right]), args=(arm, state))
            half[bracketed] = 10.0 ** np.where(root.success, root.x, grid[right])
        return half
