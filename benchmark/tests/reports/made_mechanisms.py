"""Synthetic results of the probes for the tests of frames, reports and comparisons."""

from typing import Any

import numpy as np

from loptbench.results.schema.mechanisms import (
    AdaptationReadings,
    AdaptationResult,
    AdaptedStatesResult,
    ClippingResult,
    ConvergencePointResult,
    Coverage,
    Density,
    ExactFixedPointsResult,
    MetScheduleResult,
    MomentumResult,
    PathsResult,
    SaturationResult,
    ScheduleResult,
    ScheduleSummary,
    UpdateFunctionResult,
    UpdatesResult,
    ViewsResult,
)

GRADIENTS = np.array([-2.0, -1.0, 1.0, 2.0])
WHOLE = Coverage(share=1.0)


def convergence_point() -> ConvergencePointResult:
    """A stable convergence point of a state with one entry."""
    return ConvergencePointResult(
        residual=0.0,
        spectral_radius=0.9,
        stable=True,
        drift=0.0,
        update=0.0,
        state=np.array([0.5]),
        other_starts=4,
        other_starts_at_this_point=4,
        share_at_point={"10T": 1.0, "20T": 1.0},
        share_nearer={"10T": 1.0, "20T": 1.0},
        other_places=0,
        coverage=WHOLE,
        linearization_error=0.0,
        held=(),
        A=np.array([[0.9]]),
        B=np.array([1.0]),
        C=np.array([-0.1]),
        D=-2.0,
    )


def momentum(index: float) -> MomentumResult:
    """An impulse response with this momentum index, without modes."""
    return MomentumResult(
        index=index,
        effective_rate=2.0,
        asymptotic_rate=16.0,
        r2_near_convergence=0.75,
        r2_whole_run=0.5,
        impulse_response=np.array([-2.0, -1.0, -0.5]),
        modes=(),
        r2_last=0.875,
        distance_last=0.0625,
        coverage=WHOLE,
    )


def update_function(where: str, half_saturation: list[float]) -> UpdateFunctionResult:
    """An update function at a state with one component."""
    return UpdateFunctionResult(
        where=where,
        state=np.array([0.5]),
        gain=-0.1,
        half_saturation=np.array(half_saturation),
        half_saturation_is_known=np.array([True, True]),
        saturation_at_largest_gradient=np.array([0.5, 0.5]),
        update=np.array([[0.1, 0.2], [-0.1, -0.2]]),
    )


def clipping() -> ClippingResult:
    """Update functions at h0 and at h*; a quarter of the linear updates is lost."""
    return ClippingResult(
        states=(update_function("h0", [9.0, 9.0]), update_function("h*", [0.5, 0.75])),
        not_applicable_at=(),
        gradients=np.array([1.0, 2.0]),
        largest_gradient=2.0,
        typical_gradient=1.0,
        density=Density(edges=np.array([0.0, 0.3]), share=np.array([[0.5], [0.5]])),
        saturation_loss={"T": 0.25, "2T": 0.125},
        saturation=SaturationResult(actual=np.array([3.0]), linear=np.array([4.0])),
        coverage=WHOLE,
    )


SHAPE: dict[str, Any] = {
    "peak_over_first": 2.0,
    "last_over_peak": 0.75,
    "lowest_over_highest": 0.5,
}


def schedule(peak_step: int) -> ScheduleResult:
    """A schedule with this peak."""
    rate = np.array([1.0, 2.0, 1.5])
    return ScheduleResult(
        rate=rate,
        peak_step=peak_step,
        **SHAPE,
        trajectory=np.zeros((3, 1)),
        variance=np.array([1.0]),
        longer=ScheduleSummary(peak_step=peak_step, **SHAPE),
        met=MetScheduleResult(
            peak_step=peak_step, **SHAPE, rate=rate, low=rate - 0.25, high=rate + 0.25
        ),
        coverage=WHOLE,
    )


def views() -> ViewsResult:
    """Two paths to h*, and update functions at three states of a line and of a curve."""
    updates = UpdatesResult(
        at=np.array([-1.0, 0.0, 1.0]),
        gradients=np.array([-1.0, 0.0, 1.0]),
        update=np.array([[2.0, 1.0, 0.0], [1.0, 0.0, -1.0], [0.0, -1.0, -2.0]]),
    )
    paths = PathsResult(
        steps=np.array([0.0, 1.0]),
        first=np.array([[1.0, 0.0], [-1.0, 0.0]]),
        second=np.array([[0.5, 0.0], [0.5, 0.0]]),
        point=np.zeros(2),
        variance=np.array([0.75, 0.25]),
    )
    return ViewsResult(paths=paths, along_mode=updates, along_curve=updates)


def adaptation(**changes: Any) -> AdaptationResult:
    """A rate that falls with |g| on both arms; `changes` replaces fields."""
    rate = np.array([1.0, 2.0, 2.0, 1.0])
    local = np.array([1.0, 2.0, 2.0, np.nan])
    no, yes = np.zeros(4, bool), np.ones(4, bool)
    states: dict[str, Any] = {
        "gradients": GRADIENTS,
        "rate_reference": rate,
        "rate_local": local,
        "coverage": 1.0,
        "reason": ("",) * 4,
        "curve": np.zeros((4, 3)),
    }
    half = np.array([0.5, 0.5])
    readings = AdaptationReadings(
        ratio_to_zero=half,
        ratio_to_peak=half,
        ratio_of_largest=half,
        rank_met=np.array([-1.0, -1.0]),
        rank_log=np.array([-1.0, -1.0]),
        elasticity=np.array([-0.5, -0.25]),
        peak_gradient=np.array([1.0, 1.0]),
    )
    fields: dict[str, Any] = {
        "typical_gradient": 1.0,
        "large_gradient": 2.0,
        "largest_gradient": 2.0,
        "adapted": AdaptedStatesResult(
            **states,
            rate_reference_later=0.5 * rate,
            remaining_change=np.full(4, 0.5),
            speed=np.full(4, 0.01),
            cycling=no,
            share_unchanged=0.0,
            variance=np.array([1.0]),
            order=1.0,
        ),
        "exact": ExactFixedPointsResult(
            **states,
            residual=np.zeros(4),
            spectral_radius=np.full(4, 0.9),
            stable=yes,
            several=no,
            ratio=half,
        ),
        "ratio": {"T": half, "2T": half},
        "readings": {"T": readings, "2T": readings, "exact": readings},
        "coverage": WHOLE,
        "gradients": GRADIENTS,
        "rate_reference": rate,
        "rate_local": local,
        "elasticity": np.array([-0.5, -0.25]),
        "rank_correlation": np.array([-1.0, -1.0]),
        "residual": 0.0,
        "settled": yes,
        "stable": yes,
        "several_fixed_points": no,
        "branch_ends": np.array([np.inf, np.inf]),
        "curve": np.zeros((4, 3)),
        "variance": np.array([1.0]),
        "order": 1.0,
    }
    return AdaptationResult(**fields | changes)
