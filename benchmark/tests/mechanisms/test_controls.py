"""The probes on optimizers whose answers are known in closed form, in every implementation.

The table of answers: momentum index m, half-saturation g½, rate η[t] along the autonomous
trajectory, and along the S-curve η_ref(g) and η_local(g). To 1e-9, relative.
"""

from collections.abc import Callable
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
Make = Callable[[OptimizerSpec], MechanismsResult]

N_STEPS = 40

ALPHAS = st.floats(1e-4, 0.3)
BETAS = st.floats(0.0, 0.99)
SLOW = st.floats(0.5, 0.999)

FEW = settings(max_examples=max(4, settings().max_examples // 6))
"""For the frameworks, in which an analysis is hundreds of small calls."""


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-300)


def measured(implementation: Any, spec: OptimizerSpec) -> MechanismsResult:
    batch = Quadratic().sample("evaluate", 3, range(4))
    trajectory = run(implementation, spec, batch, N_STEPS)
    return analyze(implementation.optimizer(spec, "float64", "cpu"), trajectory)


IMPLEMENTATIONS = [
    pytest.param("reference", marks=pytest.mark.harness),
    *(pytest.param(name, marks=pytest.mark.conformance) for name in ("torch", "jax")),
]
"""Each framework's own answers are the business of its own environment."""


@pytest.fixture(params=IMPLEMENTATIONS, scope="module")
def implementation(request: pytest.FixtureRequest) -> Any:
    if request.param != "reference":
        pytest.importorskip(request.param)
    return get_implementation(request.param)


def parts(found: MechanismsResult) -> tuple[ClippingResult, AdaptationResult]:
    assert isinstance(found.clipping, ClippingResult)
    assert isinstance(found.adaptation, AdaptationResult)
    assert np.all(found.adaptation.residual <= 1e-12)
    assert np.all(found.adaptation.stable)
    assert not np.any(found.adaptation.several_fixed_points)
    return found.clipping, found.adaptation


def momentum_of(found: MechanismsResult) -> MomentumResult:
    assert isinstance(found.momentum, MomentumResult)
    return found.momentum


def rates(found: MechanismsResult) -> Float:
    assert isinstance(found.schedule, ScheduleResult)
    return found.schedule.rate


def hold_linear(found: MechanismsResult, index: float, rate: float) -> None:
    """The answers of an optimizer that is linear and does not change."""
    assert momentum_of(found).index == pytest.approx(index, rel=1e-9, abs=1e-12)
    assert momentum_of(found).effective_rate == pytest.approx(rate, rel=1e-9)
    clipping, adaptation = parts(found)
    assert np.all(np.isinf([one.half_saturation for one in clipping.states]))
    assert {one.where for one in clipping.states} >= {"h0", "h*"}
    close(rates(found), rate)
    close(adaptation.rate_reference, rate)
    close(adaptation.rate_local, rate)
    np.testing.assert_allclose(adaptation.elasticity, 0, atol=1e-9)
    np.testing.assert_array_equal(adaptation.rank_correlation, 0)


@FEW
@given(data=st.data())
def test_linear_optimizers(implementation: Any, data: st.DataObject) -> None:
    alpha, beta = data.draw(ALPHAS, label="alpha"), data.draw(BETAS, label="beta")
    answers = {"sgd": (0.0, alpha), "momentum": (beta, alpha)}
    answers["nesterov"] = beta**2, alpha * (1 + beta)
    kind = data.draw(st.sampled_from(sorted(answers)), label="kind")
    hyperparameters = {"alpha": alpha} | ({} if kind == "sgd" else {"beta": beta})
    hold_linear(measured(implementation, baseline(kind, **hyperparameters)), *answers[kind])


@FEW
@given(alpha=ALPHAS, betas=st.lists(BETAS, min_size=2, max_size=4))
def test_aggregated_momentum(implementation: Any, alpha: float, betas: list[float]) -> None:
    index = 1 - len(betas) / sum(1 / (1 - beta) for beta in betas)
    hold_linear(measured(implementation, composed(alpha, betas)), index, alpha)


@FEW
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
    found = measured(implementation, composed(alpha, betas, clip, start, decay))
    index = 1 - len(betas) / sum(1 / (1 - beta) for beta in betas)
    assert momentum_of(found).index == pytest.approx(index, rel=1e-9, abs=1e-12)
    schedule = alpha * (1 + decay ** np.arange(N_STEPS) * (start - 1))
    close(rates(found), schedule)
    clipping, adaptation = parts(found)
    for one in clipping.states:
        close(one.half_saturation, 2 * clip)
    close(adaptation.rate_reference, alpha)
    inside = np.abs(adaptation.gradients) < clip
    close(adaptation.rate_local, np.where(inside, alpha, 0))
    np.testing.assert_allclose(adaptation.elasticity, 0, atol=1e-9)


@FEW
@given(alpha=ALPHAS, gamma=SLOW, epsilon=st.sampled_from([1e-8, 1e-10]))
def test_rmsprop(implementation: Any, alpha: float, gamma: float, epsilon: float) -> None:
    found = measured(implementation, baseline("rmsprop", epsilon, alpha=alpha, gamma=gamma))
    for absent in (found.momentum, found.schedule):
        assert isinstance(absent, NotApplicable)
        assert "not linear" in absent.reason
    clipping, adaptation = parts(found)
    for one in clipping.states:
        # √(γv + (1 − γ) g²) + ε = 2 (√(γv) + ε);  √(3γv / (1 − γ)) for ε → 0
        root = np.sqrt(gamma * one.state[0])
        half = np.sqrt(((2 * root + epsilon) ** 2 - root**2) / (1 - gamma))
        close(one.half_saturation, half)
    size = np.abs(adaptation.gradients)
    reference = alpha / (np.sqrt(gamma) * size + epsilon)
    local = alpha / (size + epsilon) * (1 - (1 - gamma) * size / (size + epsilon))
    hold_adaptive(adaptation, reference, local)
    np.testing.assert_allclose(adaptation.rate_local, alpha * gamma / size, rtol=1e-4)


@FEW
@given(alpha=ALPHAS, beta1=st.floats(0.0, 0.95), beta2=SLOW)
def test_adam(implementation: Any, alpha: float, beta1: float, beta2: float) -> None:
    epsilon = 1e-8
    spec = baseline("adam", epsilon, alpha=alpha, beta1=beta1, beta2=beta2)
    found = measured(implementation, spec)
    assert isinstance(found.momentum, NotApplicable)
    assert isinstance(found.schedule, NotApplicable)
    clipping, adaptation = parts(found)
    for one in clipping.states:
        m, v, t = one.state
        c1, c2 = 1 - beta1 ** (t + 1), 1 - beta2 ** (t + 1)
        at_rest = np.sqrt(beta2 * v / c2) + epsilon

        def s(g: Float, m: float = m, v: float = v, c: Any = (c1, c2, at_rest)) -> Float:
            c1, c2, at_rest = c
            mean = (beta1 * m + (1 - beta1) * g) / c1
            root = np.sqrt((beta2 * v + (1 - beta2) * g**2) / c2) + epsilon
            gain = (1 - beta1) / c1 / at_rest
            return np.asarray((mean / root - beta1 * m / c1 / at_rest) / (gain * g))

        for sign, half in zip((-1, 1), one.half_saturation, strict=True):
            if np.isfinite(half):
                assert s(np.array(sign * half)) == pytest.approx(0.5, rel=1e-8)
            # It is the smallest one: nothing below, or on the whole arm, is as low.
            below = sign * np.geomspace(1e-4, min(half, 1e4) * (1 - 1e-6), 2000)
            assert np.all(s(below) > 0.5 - 1e-9)
    size = np.abs(adaptation.gradients)
    reference = alpha * (1 - beta1) / (np.sqrt(beta2) * size + epsilon)
    local = alpha / (size + epsilon) * ((1 - beta1) - (1 - beta2) * size / (size + epsilon))
    hold_adaptive(adaptation, reference, local)


def hold_adaptive(adaptation: AdaptationResult, reference: Float, local: Float) -> None:
    """The answers of an optimizer whose rate is inverse to the gradient."""
    close(adaptation.rate_reference, reference)
    scale = float(np.abs(reference).max())
    np.testing.assert_allclose(adaptation.rate_local, local, rtol=1e-9, atol=1e-12 * scale)
    for sign, elasticity in zip((-1, 1), adaptation.elasticity, strict=True):
        arm = adaptation.gradients * sign > 0
        slope = np.polyfit(np.log(np.abs(adaptation.gradients[arm])), np.log(reference[arm]), 1)[0]
        assert elasticity == pytest.approx(slope, rel=1e-9)
        assert elasticity == pytest.approx(-1, abs=1e-3)
    np.testing.assert_allclose(adaptation.rank_correlation, -1, rtol=1e-9)


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
    one, other = analyze(inner), analyze(Rotated(inner, q))
    same_conclusions(one, other)


@pytest.mark.harness
@given(seed=st.integers(0, 500), by=st.sampled_from([0.01, 0.5, 30.0]))
def test_scaling_the_gradient_scales_what_theory_says(seed: int, by: float) -> None:
    """An optimizer that sees gradients `by` times as large: rates · by, g½ / by, all else equal."""
    spec = random_gru(4, seed)
    scaled = random_gru(4, seed, input_scale=by)
    one = analyze(oracle().optimizer(spec, "float64", "cpu"))
    statistics = GradientStatistics(np.zeros((0, 0)), *(x / by for x in (1.0, 1e-2, 1e1)))
    other = analyze(oracle().optimizer(scaled, "float64", "cpu"), statistics=statistics)
    same_conclusions(one, other, by)


def same_conclusions(one: MechanismsResult, other: MechanismsResult, by: float = 1.0) -> None:
    for name in ("convergence_point", "momentum", "clipping", "schedule", "adaptation"):
        a, b = getattr(one, name), getattr(other, name)
        assert isinstance(a, NotApplicable) == isinstance(b, NotApplicable), name
    if isinstance(one.momentum, MomentumResult) and isinstance(other.momentum, MomentumResult):
        assert other.momentum.index == pytest.approx(one.momentum.index, rel=1e-8, abs=1e-8)
        rate = by * one.momentum.effective_rate
        assert other.momentum.effective_rate == pytest.approx(rate, rel=1e-8)
    if isinstance(one.clipping, ClippingResult) and isinstance(other.clipping, ClippingResult):
        for a, b in zip(one.clipping.states, other.clipping.states, strict=True):
            assert a.where == b.where
            np.testing.assert_allclose(b.half_saturation, a.half_saturation / by, rtol=1e-7)
    if isinstance(one.schedule, ScheduleResult) and isinstance(other.schedule, ScheduleResult):
        np.testing.assert_allclose(other.schedule.rate, by * one.schedule.rate, rtol=1e-8)
        variance = other.schedule.variance
        np.testing.assert_allclose(variance, one.schedule.variance, atol=1e-9)
    if isinstance(one.adaptation, AdaptationResult):
        assert isinstance(other.adaptation, AdaptationResult)
        scale = np.nanmax(np.abs(one.adaptation.rate_reference), initial=0.0) * by
        for field in ("rate_reference", "rate_local"):
            a, b = getattr(one.adaptation, field), getattr(other.adaptation, field)
            np.testing.assert_allclose(b, by * a, rtol=1e-6, atol=1e-9 * scale)


@pytest.mark.harness
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
    one, other = analyze(optimizer, trajectory), analyze(optimizer, permuted)
    a, b = one.model_dump(mode="json"), other.model_dump(mode="json")
    for stored in (a, b):  # the states that are picked from runs are others
        stored["clipping"]["states"] = stored["clipping"]["states"][:2]
    assert b["momentum"]["r2_whole_run"] == pytest.approx(a["momentum"].pop("r2_whole_run"))
    np.testing.assert_allclose(
        np.array(b["clipping"]["engagement_by_problem"]),
        np.array(a["clipping"]["engagement_by_problem"])[order],
    )
    assert a["schedule"] == b["schedule"]
    assert a["adaptation"] == b["adaptation"]
    assert a["convergence_point"]["other_starts_at_this_point"] == 128


@pytest.mark.parametrize("label", ["random", "shipped", "shuffled"])
def test_conclusions_agree_across_implementations(implementation: Any, label: str) -> None:
    shipped_one = shipped("rosenbrock-quick-jax-0").optimizer.rounded_to("float64")
    spec = {
        "random": random_gru(6, 2),
        "shipped": shipped_one,
        "shuffled": shuffled(shipped_one, 0),
    }[label]
    expected = measured(oracle(), spec)
    batch = Quadratic().sample("evaluate", 3, range(4))
    optimizer = implementation.optimizer(spec, "float64", "cpu")
    statistics = GradientStatistics.from_run(run(oracle(), spec, batch, N_STEPS))
    trajectory = run(implementation, spec, batch, N_STEPS)
    found = analyze(optimizer, trajectory, statistics=statistics)
    compared = compare_analyses(found, expected)
    assert {one.quantity for one in compared} >= {"rate by step", "adapted rate"}
    for one in compared:
        assert one.ok, one.deviation
