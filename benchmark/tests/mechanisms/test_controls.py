"""The probes on optimizers whose answers are known in closed form, in every implementation.

The answers are the momentum index m, the half-saturation g½, the rate η[t] along the autonomous
trajectory, and η_ref(g) and η_local(g) in adapted states and at exact fixed points. The relative
tolerance is 1e-9.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from loptbench.discovery import get_implementation, oracle
from loptbench.mechanisms.analysis import analyze
from loptbench.mechanisms.comparison import compare_analyses
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.optimizers import OptimizerSpec, baseline, composed, random_gru, shuffled
from loptbench.results.schema.mechanisms import (
    AdaptationResult,
    ClippingResult,
    MechanismsResult,
    MomentumResult,
    NotApplicable,
    ScheduleResult,
)
from loptbench.rollout.trajectory import run
from loptbench.tasks import Quadratic
from loptbench.zoo.catalogue import shipped

Float = NDArray[np.float64]

N_STEPS = 40

ALPHAS = st.floats(1e-4, 0.3)
BETAS = st.floats(0.0, 0.99)
SECOND_MOMENT_DECAYS = st.floats(0.5, 0.999)

FEWER_EXAMPLES = settings(max_examples=max(4, settings().max_examples // 6))
"""Fewer examples, because an analysis in a framework is hundreds of small calls."""


def assert_close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-300)


def analyze_run(implementation: Any, spec: OptimizerSpec) -> MechanismsResult:
    batch = Quadratic().sample("evaluate", 3, range(4))
    trajectory = run(implementation, spec, batch, N_STEPS)
    return analyze(implementation.optimizer(spec, "float64", "cpu"), trajectory)


IMPLEMENTATIONS = [
    pytest.param("reference", marks=pytest.mark.harness),
    *(pytest.param(name, marks=pytest.mark.conformance) for name in ("torch", "jax")),
]
"""The frameworks are tested in the environments that install them."""


@pytest.fixture(params=IMPLEMENTATIONS, scope="module")
def implementation(request: pytest.FixtureRequest) -> Any:
    if request.param != "reference":
        pytest.importorskip(request.param)
    return get_implementation(request.param)


def clipping_and_adaptation(analysis: MechanismsResult) -> tuple[ClippingResult, AdaptationResult]:
    assert isinstance(analysis.clipping, ClippingResult)
    assert isinstance(analysis.adaptation, AdaptationResult)
    assert np.all(analysis.adaptation.residual <= 1e-12)
    assert np.all(analysis.adaptation.stable)
    assert not np.any(analysis.adaptation.several_fixed_points)
    return analysis.clipping, analysis.adaptation


def momentum_result(analysis: MechanismsResult) -> MomentumResult:
    assert isinstance(analysis.momentum, MomentumResult)
    return analysis.momentum


def rates(analysis: MechanismsResult) -> Float:
    assert isinstance(analysis.schedule, ScheduleResult)
    return analysis.schedule.rate


def assert_linear(analysis: MechanismsResult, index: float, rate: float) -> None:
    """The answers of an optimizer that is linear and does not change."""
    assert momentum_result(analysis).index == pytest.approx(index, rel=1e-9, abs=1e-12)
    assert momentum_result(analysis).effective_rate == pytest.approx(rate, rel=1e-9)
    clipping, adaptation = clipping_and_adaptation(analysis)
    assert np.all(np.isinf([function.half_saturation for function in clipping.states]))
    assert {function.where for function in clipping.states} >= {"h0", "h*"}
    assert_close(rates(analysis), rate)
    assert_constant(adaptation, rate)
    assert_close(adaptation.adapted.rate_local, rate)
    assert_close(adaptation.exact.rate_local, rate)


def assert_constant(adaptation: AdaptationResult, rate: float) -> None:
    """The answers of an optimizer whose rate does not depend on the state."""
    assert_complete(adaptation)
    for states in (adaptation.adapted, adaptation.exact):
        assert_close(states.rate_reference, rate)
    assert_close(adaptation.rate_reference, rate)
    np.testing.assert_allclose(adaptation.adapted.remaining_change, 0, atol=1e-9)
    for ratio in (*adaptation.ratio.values(), adaptation.exact.ratio):
        np.testing.assert_allclose(ratio, 1, rtol=1e-9)
    for readings in adaptation.readings.values():
        np.testing.assert_allclose(readings.elasticity, 0, atol=1e-9)
        np.testing.assert_array_equal(readings.rank_log, 0)
    np.testing.assert_allclose(adaptation.elasticity, 0, atol=1e-9)
    np.testing.assert_array_equal(adaptation.rank_correlation, 0)


def assert_complete(adaptation: AdaptationResult) -> None:
    """Every gradient has its adapted state and its stable fixed point."""
    adapted, exact = adaptation.adapted, adaptation.exact
    assert (adapted.coverage, exact.coverage) == (1, 1)
    assert adaptation.coverage.missing == ""
    assert not np.any(adapted.cycling)
    assert np.all(exact.stable)
    assert not np.any(exact.several)
    assert np.all(exact.residual <= 1e-12)


@FEWER_EXAMPLES
@given(data=st.data())
def test_linear_optimizers(implementation: Any, data: st.DataObject) -> None:
    alpha, beta = data.draw(ALPHAS, label="alpha"), data.draw(BETAS, label="beta")
    answers = {"sgd": (0.0, alpha), "momentum": (beta, alpha)}
    answers["nesterov"] = beta**2, alpha * (1 + beta)
    kind = data.draw(st.sampled_from(sorted(answers)), label="kind")
    hyperparameters = {"alpha": alpha} | ({} if kind == "sgd" else {"beta": beta})
    assert_linear(analyze_run(implementation, baseline(kind, **hyperparameters)), *answers[kind])


@FEWER_EXAMPLES
@given(alpha=ALPHAS, betas=st.lists(BETAS, min_size=2, max_size=4))
def test_aggregated_momentum(implementation: Any, alpha: float, betas: list[float]) -> None:
    index = 1 - len(betas) / sum(1 / (1 - beta) for beta in betas)
    assert_linear(analyze_run(implementation, composed(alpha, betas)), index, alpha)


@FEWER_EXAMPLES
@given(
    alpha=ALPHAS,
    betas=st.one_of(st.just([0.0]), st.lists(BETAS, min_size=1, max_size=3)),
    clip=st.floats(0.02, 1.5),
    start=st.floats(0.1, 3.0),
    decay=st.floats(0.0, 0.95),
)
def test_composed_each_part_gives_its_own_answer(
    implementation: Any, alpha: float, betas: list[float], clip: float, start: float, decay: float
) -> None:
    """Momentum, a hard clip and a schedule in one; with betas = (0,), clipped, scheduled sgd."""
    analysis = analyze_run(implementation, composed(alpha, betas, clip, start, decay))
    index = 1 - len(betas) / sum(1 / (1 - beta) for beta in betas)
    assert momentum_result(analysis).index == pytest.approx(index, rel=1e-9, abs=1e-12)
    schedule = alpha * (1 + decay ** np.arange(N_STEPS) * (start - 1))
    assert_close(rates(analysis), schedule)
    clipping, adaptation = clipping_and_adaptation(analysis)
    for function in clipping.states:
        assert_close(function.half_saturation, 2 * clip)
    assert_constant(adaptation, alpha)
    inside = np.abs(adaptation.gradients) < clip
    for states in (adaptation.adapted, adaptation.exact):
        assert_close(states.rate_local, np.where(inside, alpha, 0))


@FEWER_EXAMPLES
@given(alpha=ALPHAS, gamma=SECOND_MOMENT_DECAYS, epsilon=st.sampled_from([1e-8, 1e-10]))
def test_rmsprop(implementation: Any, alpha: float, gamma: float, epsilon: float) -> None:
    analysis = analyze_run(implementation, baseline("rmsprop", epsilon, alpha=alpha, gamma=gamma))
    for result in (analysis.momentum, analysis.schedule):
        assert isinstance(result, NotApplicable)
        assert "not linear" in result.reason
    clipping, adaptation = clipping_and_adaptation(analysis)
    for function in clipping.states:
        # √(γv + (1 − γ) g²) + ε = 2 (√(γv) + ε);  √(3γv / (1 − γ)) for ε → 0
        root = np.sqrt(gamma * function.state[0])
        half = np.sqrt(((2 * root + epsilon) ** 2 - root**2) / (1 - gamma))
        assert_close(function.half_saturation, half)
    size = np.abs(adaptation.gradients)
    # from h* = 0:  v_T = (1 − γ^T) g²
    for states, share in ((adaptation.adapted, 1 - gamma**N_STEPS), (adaptation.exact, 1.0)):
        root = np.sqrt(gamma * share + 1 - gamma) * size
        reference = alpha / (np.sqrt(gamma * share) * size + epsilon)
        slope_of_root = (1 - gamma) * size**2 / root
        local = alpha / (root + epsilon) * (1 - slope_of_root / (root + epsilon))
        assert_states(states, reference, local)
    assert_close(adaptation.exact.spectral_radius, gamma)
    assert_inverse(adaptation, alpha / (np.sqrt(gamma) * size + epsilon))
    rate_at = [alpha / (np.sqrt(gamma) * g + epsilon) for g in quantiles(adaptation)]
    assert_close(adaptation.exact.ratio, rate_at[1] / rate_at[0])


def quantiles(adaptation: AdaptationResult) -> tuple[float, float]:
    """The typical and the large gradient."""
    return adaptation.typical_gradient, adaptation.large_gradient


@FEWER_EXAMPLES
@given(alpha=ALPHAS, beta1=st.floats(0.0, 0.95), beta2=SECOND_MOMENT_DECAYS)
def test_adam(implementation: Any, alpha: float, beta1: float, beta2: float) -> None:
    epsilon = 1e-8
    spec = baseline("adam", epsilon, alpha=alpha, beta1=beta1, beta2=beta2)
    analysis = analyze_run(implementation, spec)
    assert isinstance(analysis.momentum, NotApplicable)
    assert isinstance(analysis.schedule, NotApplicable)
    clipping, adaptation = clipping_and_adaptation(analysis)
    for function in clipping.states:
        m, v, t = function.state
        c1, c2 = 1 - beta1 ** (t + 1), 1 - beta2 ** (t + 1)
        at_rest = np.sqrt(beta2 * v / c2) + epsilon

        def s(g: Float, m: float = m, v: float = v, c: Any = (c1, c2, at_rest)) -> Float:
            c1, c2, at_rest = c
            mean = (beta1 * m + (1 - beta1) * g) / c1
            root = np.sqrt((beta2 * v + (1 - beta2) * g**2) / c2) + epsilon
            gain = (1 - beta1) / c1 / at_rest
            return np.asarray((mean / root - beta1 * m / c1 / at_rest) / (gain * g))

        for sign, half in zip((-1, 1), function.half_saturation, strict=True):
            if np.isfinite(half):
                assert s(np.array(sign * half)) == pytest.approx(0.5, rel=1e-8)
            # g½ is the smallest: s is above ½ below it, or on the whole arm where g½ is infinite.
            below = sign * np.geomspace(1e-4, min(half, 1e4) * (1 - 1e-6), 2000)
            assert np.all(s(below) > 0.5 - 1e-9)
    size = np.abs(adaptation.gradients)
    # from h* = 0, with the counter frozen late:  m_T = (1 − β₁^T) g,  v_T = (1 − β₂^T) g²
    for states, k in ((adaptation.adapted, N_STEPS), (adaptation.exact, np.inf)):
        m, v = (1 - beta1 ** (k + 1)) * size, (1 - beta2 ** (k + 1)) * size**2
        root_at_zero = np.sqrt(beta2 * (1 - beta2**k)) * size
        reference = alpha * (1 - beta1) / (root_at_zero + epsilon)
        root, slope_of_root = np.sqrt(v), (1 - beta2) * size / np.sqrt(v)
        local = alpha / (root + epsilon) * (1 - beta1 - m * slope_of_root / (root + epsilon))
        assert_states(states, reference, local)
    assert_close(adaptation.exact.spectral_radius, max(beta1, beta2))
    assert_inverse(adaptation, alpha * (1 - beta1) / (np.sqrt(beta2) * size + epsilon))


def assert_states(states: Any, reference: Float, local: Float) -> None:
    assert_close(states.rate_reference, reference)
    scale = float(np.abs(reference).max())
    np.testing.assert_allclose(states.rate_local, local, rtol=1e-9, atol=1e-12 * scale)


def assert_inverse(adaptation: AdaptationResult, at_rest: Float) -> None:
    """The answers of an optimizer whose rate is inverse to the gradient."""
    assert_complete(adaptation)
    assert_close(adaptation.rate_reference, at_rest)
    g = adaptation.gradients
    for sign, elasticity in zip((-1, 1), adaptation.readings["exact"].elasticity, strict=True):
        arm = g * sign > 0
        slope = np.polyfit(np.log(np.abs(g[arm])), np.log(at_rest[arm]), 1)[0]
        assert elasticity == pytest.approx(slope, rel=1e-9)
    for readings in adaptation.readings.values():
        np.testing.assert_allclose(readings.elasticity, -1, atol=1e-3)
        np.testing.assert_allclose(readings.rank_log, -1, rtol=1e-9)
    assert_close(adaptation.elasticity, adaptation.readings["exact"].elasticity)


class Rotated:
    """An optimizer whose state is seen in another orthonormal basis: h̃ = Q h."""

    def __init__(self, inner: Any, q: Float) -> None:
        self.inner, self.q = inner, q

    def initial_state(self, n: int) -> Any:
        return self.inner.initial_state(n) @ self.q.T

    def step(self, state: Any, gradient: Any) -> Any:
        new, update = self.inner.step(state @ self.q, gradient)
        return new @ self.q.T, update

    def linearize(self, state: Any, gradient: Any) -> Any:
        A, B, C, D = self.inner.linearize(state @ self.q, gradient)
        return type(self.inner.linearize(state[:1] @ self.q, gradient[:1]))(
            self.q @ A @ self.q.T, B @ self.q.T, C @ self.q.T, D
        )


@pytest.mark.harness
@given(seed=st.integers(0, 500), n=st.integers(2, 6))
def test_a_change_of_basis_changes_no_conclusion(seed: int, n: int) -> None:
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))
    inner = oracle().optimizer(random_gru(n, seed), "float64", "cpu")
    assert_same_conclusions(analyze(inner), analyze(Rotated(inner, q)))


@pytest.mark.harness
@given(seed=st.integers(0, 500), factor=st.sampled_from([0.01, 0.5, 30.0]))
def test_scaling_the_gradient_scales_what_theory_says(seed: int, factor: float) -> None:
    """With gradients `factor` times as large: rates · factor, g½ / factor, all else equal."""
    spec = random_gru(4, seed)
    scaled = random_gru(4, seed, input_scale=factor)
    original = analyze(oracle().optimizer(spec, "float64", "cpu"))
    statistics = GradientStatistics(np.zeros((0, 0)), *(x / factor for x in (1.0, 1e-2, 1e1)))
    transformed = analyze(oracle().optimizer(scaled, "float64", "cpu"), statistics=statistics)
    assert_same_conclusions(original, transformed, factor)


def assert_same_conclusions(
    original: MechanismsResult, transformed: MechanismsResult, factor: float = 1.0
) -> None:
    for name in ("convergence_point", "momentum", "clipping", "schedule", "adaptation"):
        a, b = getattr(original, name), getattr(transformed, name)
        assert isinstance(a, NotApplicable) == isinstance(b, NotApplicable), name
    momenta = original.momentum, transformed.momentum
    if isinstance(momenta[0], MomentumResult) and isinstance(momenta[1], MomentumResult):
        assert momenta[1].index == pytest.approx(momenta[0].index, rel=1e-8, abs=1e-8)
        rate = factor * momenta[0].effective_rate
        assert momenta[1].effective_rate == pytest.approx(rate, rel=1e-8)
    clippings = original.clipping, transformed.clipping
    if isinstance(clippings[0], ClippingResult) and isinstance(clippings[1], ClippingResult):
        for a, b in zip(clippings[0].states, clippings[1].states, strict=True):
            assert a.where == b.where
            np.testing.assert_allclose(b.half_saturation, a.half_saturation / factor, rtol=1e-7)
    schedules = original.schedule, transformed.schedule
    if isinstance(schedules[0], ScheduleResult) and isinstance(schedules[1], ScheduleResult):
        np.testing.assert_allclose(schedules[1].rate, factor * schedules[0].rate, rtol=1e-8)
        np.testing.assert_allclose(schedules[1].variance, schedules[0].variance, atol=1e-9)
    if isinstance(original.adaptation, AdaptationResult):
        assert isinstance(transformed.adaptation, AdaptationResult)
        before, after = original.adaptation.adapted, transformed.adaptation.adapted
        scale = np.nanmax(np.abs(before.rate_reference), initial=0.0) * factor
        for field in ("rate_reference", "rate_local"):
            a, b = getattr(before, field), getattr(after, field)
            np.testing.assert_allclose(b, factor * a, rtol=1e-6, atol=1e-9 * scale)


@pytest.mark.harness
def flat(stored: Any, name: str = "") -> dict[str, Any]:
    """The numbers and texts of a nested result, by their place in it."""
    if not isinstance(stored, dict | list):
        return {name: stored}
    items = stored.items() if isinstance(stored, dict) else enumerate(stored)
    return {
        place: value for key, part in items for place, value in flat(part, f"{name}/{key}").items()
    }


def test_permuting_the_components_of_a_run_changes_nothing() -> None:
    spec = shipped("rosenbrock-quick-jax-0").optimizer.rounded_to("float64")
    optimizer = oracle().optimizer(spec, "float64", "cpu")
    trajectory = run(oracle(), spec, Quadratic().sample("evaluate", 0, range(6)), 50)
    order = np.random.default_rng(0).permutation(6)
    components = (order[:, None] * 5 + np.arange(5)).reshape(-1)
    permuted = trajectory._replace(
        loss=trajectory.loss[:, order],
        parameters=trajectory.parameters[:, order],
        gradient=trajectory.gradient[:, order],
        state=trajectory.state[:, components],
        update=trajectory.update[:, order],
    )
    a, b = (analyze(optimizer, each).model_dump(mode="json") for each in (trajectory, permuted))
    for stored in (a, b):  # the states from runs differ: keep only h0 and h*
        stored["clipping"]["states"] = stored["clipping"]["states"][:2]
    assert b["momentum"]["r2_whole_run"] == pytest.approx(a["momentum"].pop("r2_whole_run"))
    np.testing.assert_allclose(
        np.array(b["clipping"]["engagement_by_problem"]),
        np.array(a["clipping"]["engagement_by_problem"])[order],
    )
    # Which numbers a processor adds up together depends on their order.
    for probe in ("schedule", "adaptation"):
        one, other = flat(a[probe]), flat(b[probe])
        numbers = {name for name, value in one.items() if isinstance(value, int | float)}
        assert {*one} == {*other}
        assert all(other[name] == one[name] for name in {*one} - numbers)
        assert [other[name] for name in numbers] == pytest.approx([one[name] for name in numbers])
    assert a["convergence_point"]["other_starts_at_this_point"] == 128


@pytest.mark.parametrize("label", ["random", "shipped", "shuffled"])
def test_conclusions_agree_across_implementations(implementation: Any, label: str) -> None:
    shipped_gru = shipped("rosenbrock-quick-jax-0").optimizer.rounded_to("float64")
    spec = {
        "random": random_gru(6, 2),
        "shipped": shipped_gru,
        "shuffled": shuffled(shipped_gru, 0),
    }[label]
    expected = analyze_run(oracle(), spec)
    batch = Quadratic().sample("evaluate", 3, range(4))
    optimizer = implementation.optimizer(spec, "float64", "cpu")
    statistics = GradientStatistics.from_run(run(oracle(), spec, batch, N_STEPS))
    trajectory = run(implementation, spec, batch, N_STEPS)
    analysis = analyze(optimizer, trajectory, statistics=statistics)
    comparisons = compare_analyses(analysis, expected)
    quantities = {comparison.quantity for comparison in comparisons}
    assert quantities >= {"rate by step", "adapted rate"}
    for comparison in comparisons:
        assert comparison.ok, comparison.deviation
