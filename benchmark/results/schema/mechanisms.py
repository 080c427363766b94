"""The result of a mechanisms trial: the five probes of one optimizer on one task.

Where a probe has no answer, a `NotApplicable` with the reason stands in its place. Arrays with two
arms have that of negative gradients first. MECHANISMS.md defines the quantities.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import Discriminator, Tag, model_validator

from loptbench.results.schema.base import (
    Array1,
    Array1OrInfinite,
    Array2,
    BoolArray1,
    Number,
    NumberOrInfinite,
    OptionalNumber,
    Pair,
    Result,
    field,
    optional,
)
from loptbench.results.schema.conformance import ComparisonResult

RATE = "update / gradient"


class NotApplicable(Result):
    """A probe that has no answer, and why."""

    not_applicable: str = field("the reason", min_length=1)

    @property
    def reason(self) -> str:
        """Why there is no answer."""
        return self.not_applicable


class FrozenVariable(Result):
    """A state variable that is frozen while fixed points are measured."""

    index: int = field("index in the state", ge=0)
    value: Number = field("the value at which it is frozen")
    counts: bool = field("whether it counts steps; else it is constant")


class Coverage(Result):
    """How much of what a probe set out to measure it did measure."""

    share: Number = field("the share that was measured")
    missing: str = field("what is missing, and where; empty if nothing is", default="")


class ConvergencePointResult(Result):
    """The fixed point h* of the state without a gradient: F(h*, 0) = h*."""

    residual: Number = field("max |F(h*, 0) − h*| / max(1, |h*|)")
    spectral_radius: Number = field("largest |eigenvalue| of A = ∂F/∂h at h*")
    stable: bool = field("whether small disturbances die out")
    drift: Number = field("U(h*, 0) / root mean square of the updates of real runs; or null")
    update: Number = field("U(h*, 0), the update without a gradient; null if not finite", "update")
    state: Array1 = field("h*, without frozen variables, (n_state,)", "state")
    other_starts: int = field("states of real runs from which the iteration was started", ge=0)
    other_starts_at_this_point: int = field(
        "how many of them come to h* itself, to a millionth, within 20 T steps", ge=0
    )
    share_at_point: dict[str, Number] = field(
        "share of the starts that end within 1 % of ‖h0 − h*‖ of h*, after 10 T and 20 T steps"
    )
    share_nearer: dict[str, Number] = field(
        "share of the starts that end within 1 % of their own first distance of h*, likewise"
    )
    other_places: int = field("distinct places at which the others end after 10 T steps", ge=0)
    coverage: Coverage = field("of the starts")
    linearization_error: NumberOrInfinite = field("estimated absolute error of A, B, C, D")
    held: tuple[FrozenVariable, ...] = field("state variables that are frozen")
    A: Array2 = field("∂F/∂h at h*, (n_state, n_state)")
    B: Array1 = field("∂F/∂g at h*, (n_state,)", "state / gradient")
    C: Array1 = field("∂U/∂h at h*, (n_state,); null without a derivative", "update / state")
    D: Number = field("∂U/∂g at h*; null without a derivative", RATE)
    no_rate: str = field("why D is no learning rate", default="", exclude=True)


class ModeResult(Result):
    """One eigenvalue λ of A and its part in the impulse response."""

    eigenvalue: tuple[Number, Number] = field("real and imaginary part of λ")
    timescale: NumberOrInfinite = field("−1/ln|λ|", "steps")
    contribution: Number = field(
        "|c / (1 − λ)|, the learning rate that the mode adds; null if ill-conditioned", RATE
    )
    condition: NumberOrInfinite = field("condition number of the eigenvalue")


class ExplainedResult(Result):
    """How well the linear system predicts the updates of real runs."""

    error: Array1 = field("Σ(Δ − predicted)² of each problem, (n_problems,)", "update²")
    variation: Array1 = field("Σ(Δ − mean Δ)² of each problem, (n_problems,)", "update²")


class MomentumResult(Result):
    """The impulse response κ of the update at the convergence point."""

    index: Number = field("momentum index m = 1 − κ[0]/Σκ")
    effective_rate: Number = field("−κ[0], the learning rate of a single step", RATE)
    asymptotic_rate: Number = field("−Σκ, the learning rate for a constant gradient", RATE)
    r2_near_convergence: Number = field("R² of the linear system, second half of real runs")
    r2_whole_run: Number = field("R² of the linear system, whole real runs")
    impulse_response: Array1 = field("κ[0] … κ[200], (n_lags,)", RATE)
    modes: tuple[ModeResult, ...] = field("the modes, largest contribution first")
    r2_last: Number = field("R² of the linear system, last T of 5 T steps of real runs")
    distance_last: Number = field("median ‖h − h*‖ on those steps, relative to that on the first T")
    near: ExplainedResult | None = optional("errors in the second half of real runs")
    whole: ExplainedResult | None = optional("errors in whole real runs")
    last: ExplainedResult | None = optional("errors in the last T of 5 T steps of real runs")
    coverage: Coverage = field("of the rollouts on which the linear system is tried")


class UpdateFunctionResult(Result):
    """The update function u(g) = U(h, g) − U(h, 0) of one state h."""

    where: str = field("h0, h*, or the step and component of a real run")
    state: Array1 = field("h, (n_state,)", "state")
    gain: Number = field("D = ∂U/∂g at h without a gradient", RATE)
    half_saturation: Array1 = field(
        "smallest |g| with u(g) = D g / 2, by arm, (2,); null if infinite or unknown", "gradient"
    )
    half_saturation_is_known: BoolArray1 = field(
        "by arm, (2,): if true, a null half_saturation is infinite"
    )
    saturation_at_largest_gradient: Array1 = field(
        "u(g) / (D g) at the largest gradient met, by arm, (2,)"
    )
    update: Array2 = field("u(g) by arm at the probe's gradients, (2, n_gradients)", "update")

    @model_validator(mode="after")
    def _read_infinite(self) -> "UpdateFunctionResult":
        """A half-saturation that is known and null is infinite."""
        infinite = np.isnan(self.half_saturation) & self.half_saturation_is_known
        if infinite.any():
            values = np.where(infinite, np.inf, self.half_saturation)
            object.__setattr__(self, "half_saturation", values)
        return self


class NoUpdateFunction(Result):
    """A state without an update function."""

    where: str = field("h0, h*, or the step and component of a real run")
    reason: str = field("why there is none")


class Density(Result):
    """Histogram of log10 |g| of the gradients met on real runs."""

    edges: Array1 = field("edges of the bins, (n_bins + 1,)", "log10 of the gradient")
    share: Array2 = field("share of all gradients, by arm and bin, (2, n_bins); the sum is 1")


class SaturationResult(Result):
    """How far the updates of real runs are from linear in the gradient, at their own states."""

    actual: Array1 = field("Σ|u(g)| over steps and components, (n_problems,)", "update")
    linear: Array1 = field("Σ|D(h, 0) g| over the same, (n_problems,)", "update")


class ClippingResult(Result):
    """How the update saturates as the gradient grows."""

    states: tuple[UpdateFunctionResult, ...] = field("the update functions", min_length=1)
    not_applicable_at: tuple[NoUpdateFunction, ...] = field("states without one")
    gradients: Array1 = field("|g| of the update functions, (n_gradients,)", "gradient")
    largest_gradient: Number = field("largest |g| met on real runs", "gradient")
    typical_gradient: Number = field("median |g| met on real runs", "gradient")
    density: Density = field("the distribution of the gradients met")
    reach: OptionalNumber = optional(
        "largest gradient met / half-saturation at h*, the smaller of both arms"
    )
    engagement: OptionalNumber = optional(
        "share of the gradients met beyond half-saturation at h*, mean over problems"
    )
    engagement_by_problem: Array1 | None = optional("the same of each problem, (n_problems,)")
    reach_at_h0: OptionalNumber = optional(
        "largest gradient met / half-saturation at h0, the smaller of both arms"
    )
    engagement_at_h0: OptionalNumber = optional(
        "share of the gradients met beyond half-saturation at h0, mean over problems"
    )
    engagement_at_h0_by_problem: Array1 | None = optional("the same of each problem, (n_problems,)")
    saturation_loss: dict[str, Number] = field(
        "1 − Σ|u(g)| / Σ|D(h, 0) g| over the first T and 2 T steps of real runs"
    )
    saturation: SaturationResult | None = optional("its sums by problem, over T steps")
    coverage: Coverage = field("of the states, and of the steps and components of real runs")


class ScheduleSummary(Result):
    """The shape of a learning rate over time."""

    peak_step: int = field("first step at which η is highest", "steps", ge=0)
    peak_over_first: Number = field("highest η / first; null if the first is not positive")
    last_over_peak: Number = field("last η / highest; null if that is not positive")
    lowest_over_highest: Number = field("lowest η / highest; 1 if η never changes")


class MetScheduleResult(ScheduleSummary):
    """The learning rate −D(h[t], 0) at the states of real runs; the shape is the median's."""

    rate: Array1 = field("median over components, (n_steps,)", RATE)
    low: Array1 = field("lower quartile, (n_steps,)", RATE)
    high: Array1 = field("upper quartile, (n_steps,)", RATE)


class ScheduleResult(ScheduleSummary):
    """The learning rate η[t] = −D(h[t], 0) along h[t+1] = F(h[t], 0) from h0, over T steps."""

    rate: Array1 = field("η[0] … η[n_steps − 1], (n_steps,)", RATE)
    trajectory: Array2 = field("h[t] in principal components, (n_steps, at most 3)", "state")
    variance: Array1 = field("share of the variance of each component, (at most 3,)")
    longer: ScheduleSummary | None = optional("the same numbers over 2 T steps")
    met: MetScheduleResult | None = optional("the schedule at the states of real runs")
    coverage: Coverage = field("of the steps, and of the states of real runs")


class StatesResult(Result):
    """Rates at the states that belong to constant gradients."""

    gradients: Array1 = field("g, from the most negative up, (n_gradients,)", "gradient")
    rate_reference: Array1 = field("−D(h, 0), (n_gradients,); null where there is none", RATE)
    rate_local: Array1 = field("−D(h, g), (n_gradients,); null where there is none", RATE)
    coverage: Number = field("share of the gradients with a rate_reference")
    reason: tuple[str, ...] = field("why there is no rate, (n_gradients,); empty where there is")
    curve: Array2 = field(
        "h in the adapted states' principal components, (n_gradients, 3)", "state"
    )
    state: Array2 = field(
        "h, (n_gradients, n_state); not stored", "state", default=np.zeros((0, 0)), exclude=True
    )


class AdaptedStatesResult(StatesResult):
    """The states h_T(g): from h*, after T steps of the constant gradient g."""

    rate_reference_later: Array1 = field("−D(h_2T(g), 0), (n_gradients,)", RATE)
    remaining_change: Array1 = field(
        "δ = |η_ref(h_2T) / η_ref(h_T) − 1|, (n_gradients,); null where there is none"
    )
    speed: Array1 = field("max |F(h_T, g) − h_T|, (n_gradients,)", "state")
    cycling: BoolArray1 = field(
        "whether the state moves in a cycle, (n_gradients,); rates are then means over the cycle"
    )
    share_unchanged: Number = field("share of the gradients with δ of at most 5 %")
    variance: Array1 = field("share of the variance of each component, (at most 3,)")
    order: Number = field("|rank correlation| of the first component and g")


class ExactFixedPointsResult(StatesResult):
    """The fixed points h*(g): F(h*(g), g) = h*(g)."""

    residual: Array1 = field("max |F(h*, g) − h*| / max(1, |h*|), (n_gradients,)")
    spectral_radius: Array1 = field("largest |eigenvalue| of ∂F/∂h there, (n_gradients,)")
    stable: BoolArray1 = field("whether it is below 1, (n_gradients,)")
    several: BoolArray1 = field("whether another fixed point is known, (n_gradients,)")
    condition: Array1 = field(
        "‖(I − A)⁻¹‖∞ there, (n_gradients,); not stored", default=np.zeros(0), exclude=True
    )
    ratio: Pair = field("η_ref(q99) / η_ref(q50), by arm, (2,)")


class AdaptationReadings(Result):
    """Other summaries of the rate along the curve, by arm, (2,) each."""

    ratio_to_zero: Pair = field("η_ref(q99) / η_ref(0)")
    ratio_to_peak: Pair = field("η_ref(q99) / highest η_ref of the arm")
    ratio_of_largest: Pair = field("η_ref(largest gradient met) / η_ref(q50)")
    rank_met: Pair = field("Spearman's, of η_ref and |g|, over gradients as they are met")
    rank_log: Pair = field("Spearman's, of η_ref and |g|, over gradients even in log |g|")
    elasticity: Pair = field("d ln η_ref / d ln|g|, over gradients even in log |g|")
    peak_gradient: Pair = field("|g| of the highest η_ref", "gradient")


class AdaptationResult(Result):
    """The learning rate in the states to which constant gradients g lead.

    `adapted` and `exact` are what claims of edition 2 rest on. The arrays beside them are those of
    edition 1: fixed points at which the state comes to rest within 2,250 steps, and nothing where
    it does not.
    """

    typical_gradient: Number = field("q50, the median |g| met on real runs", "gradient")
    large_gradient: Number = field("q99, the 99 % quantile of |g| met on real runs", "gradient")
    largest_gradient: Number = field("the largest |g| met on real runs", "gradient")
    adapted: AdaptedStatesResult = field("after T steps")
    exact: ExactFixedPointsResult = field("at fixed points")
    ratio: dict[str, Pair] = field(
        "adaptation ratio η_ref(q99) / η_ref(q50) of adapted states, by arm, after T and 2 T steps"
    )
    readings: dict[str, AdaptationReadings] = field(
        "other summaries, of adapted states after T and 2T steps, and of exact fixed points"
    )
    coverage: Coverage = field("of the gradients, at adapted states and at fixed points")
    gradients: Array1 = field("g, from the most negative up, (n_gradients,)", "gradient")
    rate_reference: Array1 = field("−D(h*(g), 0), (n_gradients,); null where there is none", RATE)
    rate_local: Array1 = field("−D(h*(g), g), (n_gradients,); null where there is none", RATE)
    elasticity: Pair = field("d ln(rate_reference) / d ln|g|, by arm, (2,)")
    rank_correlation: Pair = field("Spearman's, of rate_reference and |g|, by arm, (2,)")
    residual: Number = field("largest |F(h*, g) − h*| / max(1, |h*|)")
    settled: BoolArray1 = field("whether the state settles, (n_gradients,)")
    stable: BoolArray1 = field("whether small disturbances of h*(g) do not grow, (n_gradients,)")
    several_fixed_points: BoolArray1 = field("whether another fixed point is known, (n_gradients,)")
    branch_ends: Array1OrInfinite = field(
        "gradient at which the branch of h* ends, by arm, (2,); null if it does not", "gradient"
    )
    curve: Array2 = field("h*(g) in principal components, (n_gradients, 3)", "state")
    variance: Array1 = field("share of the variance of each component, (at most 3,)")
    order: Number = field("|rank correlation| of the first component and g")


def _kind(value: Any) -> str:
    reason = isinstance(value, NotApplicable) or (
        isinstance(value, Mapping) and "not_applicable" in value
    )
    return "<not applicable>" if reason else "<measured>"


_Measured = TypeVar("_Measured")

Probe = Annotated[
    Annotated[_Measured, Tag("<measured>")] | Annotated[NotApplicable, Tag("<not applicable>")],
    Discriminator(_kind),
]
"""The result of a probe, or why there is none."""


class PathsResult(Result):
    """States of real runs without a gradient from there on, in principal components."""

    steps: Array1 = field("the times at which the states are, (n_times,)", "steps")
    first: Array2 = field("first component, (n_starts, n_times)", "state")
    second: Array2 = field("second component, (n_starts, n_times)", "state")
    point: Pair = field("both components of h*, (2,)", "state")
    variance: Pair = field("share of the variance of each component, (2,)")


class UpdatesResult(Result):
    """The update function U(h, g) at several states h along a line or a curve."""

    at: Array1 = field("the place of each state on the curve, (n_states,)")
    gradients: Array1 = field("g, (n_gradients,)", "gradient")
    update: Array2 = field("U(h, g), (n_states, n_gradients)", "update")


class ViewsResult(Result):
    """What figures show of the state and the update besides the numbers of the probes."""

    paths: PathsResult | None = optional("paths of the state to the convergence point")
    along_mode: UpdatesResult | None = optional(
        "update functions at h* + a v, by a; v is the direction of the strongest mode, of length 1"
    )
    along_curve: UpdatesResult | None = optional("update functions at adapted states h_T(g), by g")


class MechanismsResult(Result):
    """The five probes of one optimizer."""

    convergence_point: Probe[ConvergencePointResult] = field("where the state comes to rest")
    momentum: Probe[MomentumResult] = field("the impulse response there")
    clipping: Probe[ClippingResult] = field("how updates saturate")
    schedule: Probe[ScheduleResult] = field("the learning rate over time")
    adaptation: Probe[AdaptationResult] = field("the learning rate under constant gradients")
    views: ViewsResult | None = optional("what figures show besides")
    agreement: tuple[ComparisonResult, ...] | None = optional(
        "comparison with the reference implementation's probes"
    )
