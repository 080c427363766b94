"""Adaptation of optimizers that are no optimizer kind: creeping, turning and jumping states.

The rates in adapted states are computed from the equations. Nothing may be dropped.
"""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import loptbench
from loptbench.mechanisms.analysis import analyze
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.mechanisms.text import as_text
from loptbench.results.schema.mechanisms import (
    AdaptationResult,
    ClippingResult,
    ConvergencePointResult,
    MechanismsResult,
    NotApplicable,
    ScheduleResult,
)
from loptbench.rollout.trajectory import unroll_by_steps
from loptbench.tests.mechanisms.controls import (
    Control,
    Cycle,
    adaptive,
    flip,
    hysteresis,
    line_attractor,
    line_attractor_in_a_plane,
    logarithmic_creep,
    relaxation_oscillation,
)

pytestmark = pytest.mark.harness

Float = NDArray[np.float64]

N_STEPS = 201
ALPHA = 0.1
MET = np.geomspace(0.01, 10, 500) * np.where(np.arange(500) % 2, 1.0, -1.0)
STATISTICS = GradientStatistics(MET[None], 1.0, 0.01, 10.0)

FEWER_EXAMPLES = settings(max_examples=max(3, settings().max_examples // 8))


def measure(control: Any) -> MechanismsResult:
    with np.errstate(all="ignore"):
        return analyze(control, n_steps=N_STEPS, statistics=STATISTICS)


def adaptation_of(control: Control) -> AdaptationResult:
    """Adaptation, with the adapted states that do not cycle held to the control's equations."""
    analysis = measure(control)
    result, point = analysis.adaptation, analysis.convergence_point
    assert isinstance(result, AdaptationResult)
    start = (
        point.state
        if isinstance(point, ConvergencePointResult)
        else control.state(np.array(control.start), np.zeros(1), N_STEPS)[:, 0]
    )
    adapted, still = result.adapted, ~result.adapted.cycling
    assert adapted.coverage == 1
    for n_steps, rate in (
        (N_STEPS, adapted.rate_reference),
        (N_STEPS, adapted.rate_local),
        (2 * N_STEPS, adapted.rate_reference_later),
    ):
        expected = control.rates(start, adapted.gradients, n_steps)
        np.testing.assert_allclose(rate[still], expected[still], rtol=1e-9)
    if still.all():
        q50, q99 = STATISTICS.typical, STATISTICS.large
        for name, n_steps in (("T", N_STEPS), ("2T", 2 * N_STEPS)):
            rates = control.rates(start, np.array([-q50, q50, -q99, q99]), n_steps)
            np.testing.assert_allclose(result.ratio[name], rates[2:] / rates[:2], rtol=1e-9)
    return result


@FEWER_EXAMPLES
@given(
    alpha=st.floats(1e-3, 1.0), speed=st.floats(0.02, 0.4), power=st.sampled_from([0.5, 1.0, 2.0])
)
def test_a_slow_state_has_its_whole_adapted_curve(alpha: float, speed: float, power: float) -> None:
    """Exact settling would take a million steps; the first edition dropped such gradients."""
    result = adaptation_of(line_attractor(alpha, speed, power))
    assert not np.any(result.adapted.cycling)
    assert not np.all(result.settled)
    # Where n points have met, a residual of 1e-12 leaves the point uncertain by its nth root.
    at_point = alpha / (1 + np.abs(result.gradients))
    found = np.isfinite(result.exact.rate_reference)
    assert found.mean() > 0.9
    np.testing.assert_allclose(result.exact.rate_reference[found], at_point[found], rtol=0.05)
    assert not np.any(result.exact.several)


def test_a_slow_state_in_a_plane_has_its_whole_adapted_curve() -> None:
    result = adaptation_of(line_attractor_in_a_plane())
    assert not np.any(result.adapted.cycling)
    assert not np.any(result.exact.several)
    found = np.isfinite(result.exact.rate_reference)
    at_point = ALPHA / (1 + np.abs(result.gradients))
    np.testing.assert_allclose(result.exact.rate_reference[found], at_point[found], rtol=0.05)


@pytest.mark.parametrize(
    "control",
    [
        logarithmic_creep(),
        Control(lambda h, g: [h[0] + g**2 / (1 + h[0])], lambda h: ALPHA / (1 + h[0]), 0.0),
        Control(lambda h, g: [h[0] + g**2], lambda h: ALPHA / (1 + np.sqrt(h[0])), 0.0),
        Control(lambda h, g: [h[0] + np.abs(np.tanh(g))], lambda h: ALPHA / (1 + h[0]), 0.0),
    ],
    ids=["ln t", "square root of t", "sum of squares", "bounded sum"],
)
def test_a_state_that_grows_for_ever_has_adapted_states_and_no_fixed_points(
    control: Control,
) -> None:
    result = adaptation_of(control)
    assert result.exact.coverage == 0
    assert set(result.exact.reason) == {"no fixed point was found"}
    assert "at 200 of 200 gradients, |g| from 0.01 to 10: no fixed point" in result.coverage.missing
    assert not np.any(result.adapted.cycling)
    assert result.adapted.share_unchanged < 1


@FEWER_EXAMPLES
@given(period=st.integers(3, 20), g0=st.floats(0.5, 5.0), b=st.floats(0.1, 0.4))
def test_a_state_that_turns_has_the_mean_rate_of_its_cycle(
    period: int, g0: float, b: float
) -> None:
    control = Cycle(2 * np.pi / period, g0, ALPHA, b)
    result = adaptation_of(control)
    g, adapted, exact = result.gradients, result.adapted, result.exact
    growth = control.growth(g)
    assert np.all(adapted.cycling[growth > 0.1])
    assert not np.any(adapted.cycling[growth < -0.1])
    on_cycle = growth > 0.45  # elsewhere the state is still on its way after T steps
    for rate in (adapted.rate_reference, adapted.rate_local, adapted.rate_reference_later):
        np.testing.assert_allclose(rate[on_cycle], control.mean_rate(g)[on_cycle], rtol=1e-9)
    assert exact.coverage == 1
    np.testing.assert_allclose(
        exact.rate_reference, ALPHA * (1 + control.center(g) ** 2), rtol=1e-9
    )
    np.testing.assert_allclose(exact.spectral_radius, 1 + growth, rtol=1e-9)
    np.testing.assert_array_equal(exact.stable, growth < 0)
    assert not np.any(result.settled[adapted.cycling])


def test_a_cycle_that_never_quite_closes_is_averaged_over_nearly_whole_turns() -> None:
    control = Cycle(1.0)  # 2π steps
    result = adaptation_of(control)
    on_cycle = control.growth(result.gradients) > 0.45
    assert np.all(result.adapted.cycling[on_cycle])
    expected = control.mean_rate(result.gradients)[on_cycle]
    np.testing.assert_allclose(result.adapted.rate_reference[on_cycle], expected, rtol=1e-3)


def test_a_state_that_jumps_to_and_fro_has_the_mean_rate_of_both() -> None:
    result = adaptation_of(flip())
    g, adapted = result.gradients, result.adapted
    growth, center = 0.5 * np.tanh(4 * (g**2 / 4 - 1)), 0.3 * np.tanh(g)
    on_cycle = growth > 0.45
    assert np.all(adapted.cycling[on_cycle])
    expected = ALPHA * (1 + center**2 + growth)
    np.testing.assert_allclose(adapted.rate_reference[on_cycle], expected[on_cycle], rtol=1e-9)
    np.testing.assert_allclose(result.exact.rate_reference, ALPHA * (1 + center**2), rtol=1e-9)
    np.testing.assert_array_equal(result.exact.stable, growth < 0)


def test_a_relaxation_oscillation_has_the_mean_rate_of_its_cycle() -> None:
    control = relaxation_oscillation()
    result = adaptation_of(control)
    adapted = result.adapted
    assert np.all(adapted.cycling[np.abs(result.gradients) > 3])
    assert not np.any(adapted.cycling[np.abs(result.gradients) < 0.5])
    cycling = np.flatnonzero(adapted.cycling)[::10]
    start = np.array(control.start)
    path = control.path(start, result.gradients[cycling], 20_000)[N_STEPS:]
    long_mean = np.mean([control.rate(h) for h in path], axis=0)
    np.testing.assert_allclose(adapted.rate_reference[cycling], long_mean, rtol=0.02)
    assert not np.any(result.exact.stable[cycling])


@pytest.mark.parametrize("start", [-1.0, 1.0])
def test_of_two_branches_the_adapted_curve_is_the_one_reached(start: float) -> None:
    """h = h³ − tanh(g)/2: from ∓1 the state stays on its branch until that folds."""
    result = adaptation_of(hysteresis(ALPHA, start))
    g = result.gradients
    fold = np.arctanh(4 / (3 * np.sqrt(3)))
    np.testing.assert_array_equal(result.exact.several, np.abs(g) < fold)
    h = result.exact.state[:, 0]
    np.testing.assert_allclose(h - h**3 + np.tanh(g) / 2, 0, atol=1e-11)
    still_there = np.abs(g) < fold
    assert np.all(np.sign(h[still_there]) == start)
    beyond = -start * g > 1.1 * fold
    assert np.all(np.sign(h[beyond]) == -start)
    assert np.all(result.exact.stable)


def test_only_one_arm_adapts() -> None:
    control = adaptive(lambda g: np.maximum(g, 0) ** 2, lambda v: ALPHA / (1 + np.sqrt(v)))
    result = adaptation_of(control)
    negative = result.gradients < 0
    np.testing.assert_allclose(result.adapted.rate_reference[negative], ALPHA, rtol=1e-9)
    np.testing.assert_allclose(result.ratio["T"][0], 1, rtol=1e-9)
    exact = ALPHA / (1 + np.maximum(result.gradients, 0))
    np.testing.assert_allclose(result.exact.rate_reference, exact, rtol=1e-9)
    np.testing.assert_allclose(result.readings["T"].rank_log, [0, -1], atol=1e-9)


@FEWER_EXAMPLES
@given(epsilon=st.floats(0.001, 1.0), beta=st.floats(0.0, 0.95))
def test_adaptation_on_the_mean(epsilon: float, beta: float) -> None:
    """m' = β m + (1 − β) |g| has a kink at 0, so there is no linear system; the rate is there."""
    result = adaptation_of(adaptive(np.abs, lambda m: ALPHA / (epsilon + m), beta))
    exact = ALPHA / (epsilon + np.abs(result.gradients))
    np.testing.assert_allclose(result.exact.rate_reference, exact, rtol=1e-9)


def test_a_rate_that_rises_with_the_gradient() -> None:
    result = adaptation_of(adaptive(np.square, lambda v: ALPHA * (1 + np.sqrt(v))))
    assert np.all(result.ratio["T"] > 5)
    np.testing.assert_allclose(result.readings["T"].rank_log, 1, rtol=1e-9)
    np.testing.assert_allclose(
        result.exact.rate_reference, ALPHA * (1 + np.abs(result.gradients)), rtol=1e-9
    )


@pytest.mark.parametrize(
    ("control", "reason"),
    [
        (
            Control(lambda h, g: [1.01 * h[0] + 1], lambda h: ALPHA + 0 * h[0], 0.0),
            "does not settle",
        ),
        (
            Control(lambda h, g: [2 * h[0] + 1], lambda h: ALPHA + 0 * h[0], 0.0),
            "grows without bound",
        ),
        (
            Control(
                lambda h, g: [0.8 * h[0] - 0.6 * h[1], 0.6 * h[0] + 0.8 * h[1]],
                lambda h: ALPHA * (1 + h[0] ** 2),
                1.0,
                0.0,
            ),
            "does not settle",
        ),
    ],
    ids=["grows slowly", "grows fast", "turns"],
)
def test_without_a_convergence_point_adapted_states_are_reached_from_where_the_state_goes(
    control: Control, reason: str
) -> None:
    """The state after T steps without a gradient stands in."""
    analysis = measure(control)
    assert isinstance(analysis.convergence_point, NotApplicable)
    assert reason in analysis.convergence_point.reason
    assert isinstance(analysis.momentum, NotApplicable)
    assert isinstance(analysis.adaptation, AdaptationResult)
    assert analysis.adaptation.adapted.coverage == 1


def fragile(low: float, high: float) -> Control:
    """Not a number beyond some gradients."""
    return Control(
        lambda h, g: [0.5 * h[0] + np.where((g < low) | (g > high), np.nan, g)],
        lambda h: ALPHA + 0 * h[0],
        0.0,
    )


@pytest.mark.parametrize(
    ("control", "share", "place"),
    [
        (fragile(-5, 5), 0.9, "|g| from 5.34 to 10: the state is not a number after one step"),
        (fragile(-99, 5), 0.95, "g from 5.34 to 10: the state is not a number after one step"),
        (fragile(-2, 5), 0.83, "g from -10 to -2.01 and from 5.34 to 10: the state is not a"),
        (
            Control(lambda h, g: [h[0] * (1 + g**2) + 1e-3 * g], lambda h: ALPHA + 0 * h[0], 0.0),
            0.92,
            "|g| from 6.14 to 10: the state grows without bound",
        ),
    ],
    ids=["both arms", "one arm", "each arm", "grows"],
)
def test_what_is_missing_is_said_with_its_gradients(
    control: Control, share: float, place: str
) -> None:
    adaptation = measure(control).adaptation
    assert isinstance(adaptation, AdaptationResult)
    assert adaptation.adapted.coverage == pytest.approx(share)
    assert adaptation.coverage.share == pytest.approx(share)
    assert f"in the adapted state, at {round(200 * (1 - share))} of 200" in (
        adaptation.coverage.missing
    )
    assert place in adaptation.coverage.missing


def test_a_gradient_grid_of_ones_own() -> None:
    control = line_attractor()
    result = loptbench.analyze(control, n_problems=1, gradients=[3, -1, 0.1])
    assert isinstance(result.adaptation, AdaptationResult)
    gradients = np.array([-1, 0.1, 3])
    np.testing.assert_array_equal(result.adaptation.adapted.gradients, gradients)
    expected = control.rates(np.zeros(1), gradients, N_STEPS)
    np.testing.assert_allclose(result.adaptation.adapted.rate_reference, expected, rtol=1e-9)


class Constant:
    """Problems whose loss is 1 everywhere."""

    def loss_and_gradient(self, x: Float, step: int) -> tuple[Float, Float]:
        return np.ones(len(x)), np.zeros_like(x)


@pytest.mark.parametrize("with_runs", [False, True], ids=["no runs", "a constant loss"])
def test_without_gradients_met_no_number_rests_on_them(with_runs: bool) -> None:
    control = adaptive(np.square, lambda v: ALPHA / (1 + np.sqrt(v)))
    runs = unroll_by_steps(control, Constant(), np.ones((4, 5)), 50) if with_runs else None
    analysis = analyze(control, runs)
    adaptation, clipping = analysis.adaptation, analysis.clipping
    assert isinstance(adaptation, AdaptationResult)
    assert isinstance(clipping, ClippingResult)
    assert "no gradients were met" in adaptation.coverage.missing
    for ratio in (*adaptation.ratio.values(), adaptation.exact.ratio):
        assert np.all(np.isnan(ratio))
    assert np.isnan(adaptation.typical_gradient)
    assert np.isnan(clipping.largest_gradient)
    assert np.all(np.isnan(clipping.states[0].saturation_at_largest_gradient))
    assert (clipping.reach, clipping.reach_at_h0) == (None, None)
    assert all(np.isnan(loss) for loss in clipping.saturation_loss.values())
    missing = "no gradients were met" if with_runs else "there are no real runs"
    assert missing in clipping.coverage.missing
    # What needs no gradients is measured.
    assert adaptation.adapted.coverage == 1
    assert isinstance(analysis.schedule, ScheduleResult)
    json.dumps(analysis.model_dump(mode="json"), allow_nan=False)
    assert "nan" not in as_text("control", analysis, "")
