"""The probes, on optimizers whose answers are known."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from loptbench.discovery import oracle
from loptbench.mechanisms.analysis import analyze
from loptbench.mechanisms.comparison import compare_analyses
from loptbench.mechanisms.convergence import find_convergence_point
from loptbench.mechanisms.dynamics.linearization import central_differences, linearize
from loptbench.mechanisms.momentum import impulse_response, measure_momentum, modes
from loptbench.optimizers import OptimizerSpec, fresh_gru, momentum, random_gru, sgd
from loptbench.protocol import Linearization
from loptbench.results.schema.mechanisms import (
    ConvergencePointResult,
    MechanismsResult,
    MomentumResult,
    NotApplicable,
)
from loptbench.rollout.trajectory import run
from loptbench.tasks import Quadratic

pytestmark = pytest.mark.harness

Float = NDArray[np.float64]

RATES = st.floats(1e-4, 10.0)
DECAYS = st.floats(0.0, 0.99)


def reference_optimizer(spec: OptimizerSpec) -> Any:
    return oracle().optimizer(spec, "float64", "cpu")


def momentum_result(optimizer: Any) -> MomentumResult:
    result = measure_momentum(find_convergence_point(optimizer))
    assert isinstance(result, MomentumResult)
    return result


class Linear:
    """h' = A h + B g, Δ = C h + D g + e: any linear optimizer, without derivatives of its own."""

    def __init__(self, A: Float, B: Float, C: Float, D: float, e: float = 0.0) -> None:
        self.A, self.B, self.C, self.D, self.e = A, B, C, D, e

    def initial_state(self, n: int) -> Float:
        return np.zeros((n, len(self.B)))

    def step(self, h: Float, g: Float) -> tuple[Float, Float]:
        return h @ self.A.T + g[:, None] * self.B, h @ self.C + self.D * g + self.e


@given(alpha=RATES)
def test_sgd_has_no_momentum(alpha: float) -> None:
    result = momentum_result(reference_optimizer(sgd(alpha)))
    assert result.index == 0
    assert result.effective_rate == result.asymptotic_rate == alpha
    assert result.modes == ()
    assert np.all(result.impulse_response[1:] == 0)


@given(alpha=RATES, beta=DECAYS)
def test_momentum_has_index_beta(alpha: float, beta: float) -> None:
    result = momentum_result(reference_optimizer(momentum(alpha, beta)))
    assert result.index == pytest.approx(beta, rel=1e-9, abs=1e-12)
    assert result.effective_rate == pytest.approx(alpha, rel=1e-12)
    assert result.asymptotic_rate == pytest.approx(alpha / (1 - beta), rel=1e-9)
    (mode,) = result.modes
    assert mode.eigenvalue == pytest.approx((beta, 0.0), rel=1e-12)
    assert mode.contribution == pytest.approx(alpha * beta / (1 - beta), rel=1e-9, abs=1e-12)
    t = np.arange(201)
    np.testing.assert_allclose(result.impulse_response, -alpha * beta**t, rtol=1e-9, atol=1e-300)
    if beta > 0.01:
        assert mode.timescale == pytest.approx(-1 / np.log(beta), rel=1e-9)


@given(alpha=RATES, beta=DECAYS)
def test_nesterov_has_index_beta_squared(alpha: float, beta: float) -> None:
    """h' = βh + g, Δ = −α(βh' + g)."""
    nesterov = Linear(
        np.array([[beta]]), np.ones(1), np.array([-alpha * beta**2]), -alpha * (1 + beta)
    )
    result = momentum_result(nesterov)
    assert result.index == pytest.approx(beta**2, rel=1e-6, abs=1e-6)
    assert result.effective_rate == pytest.approx(alpha * (1 + beta), rel=1e-6)


@given(betas=st.lists(DECAYS, min_size=2, max_size=5, unique=True))
def test_aggregated_momentum(betas: list[float]) -> None:
    """m = 1 − K / Σ 1/(1 − βᵢ) for the mean of K heavy balls."""
    b = np.array(betas)
    k = len(b)
    aggregated = Linear(np.diag(b), np.ones(k), -b / k, -1.0)
    result = momentum_result(aggregated)
    assert result.index == pytest.approx(1 - k / np.sum(1 / (1 - b)), rel=1e-5, abs=1e-6)
    eigenvalues = sorted(mode.eigenvalue[0] for mode in result.modes)
    np.testing.assert_allclose(eigenvalues, np.sort(b), rtol=1e-5, atol=1e-8)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 6))
def test_a_change_of_basis_of_the_state_changes_no_statistic(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    A, B, C = rng.standard_normal((n, n)), rng.standard_normal(n), rng.standard_normal(n)
    A *= 0.9 / max(np.abs(np.linalg.eigvals(A)).max(), 1e-3)
    D = float(rng.standard_normal())
    Q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    original = Linearization(A, B, C, np.asarray(D))
    rotated = Linearization(Q @ A @ Q.T, Q @ B, Q @ C, np.asarray(D))
    np.testing.assert_allclose(
        impulse_response(original, 50), impulse_response(rotated, 50), rtol=1e-9, atol=1e-9
    )
    original_modes, rotated_modes = modes(original), modes(rotated)
    assume(max(mode.condition for mode in original_modes) < 1e4)
    for mode in original_modes:
        nearest = min(rotated_modes, key=lambda m: math.dist(m.eigenvalue, mode.eigenvalue))
        assert math.dist(nearest.eigenvalue, mode.eigenvalue) <= 1e-9
        assert nearest.contribution == pytest.approx(mode.contribution, rel=1e-6, abs=1e-6)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 6))
def test_modes_sum_to_the_impulse_response(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    A, B, C = rng.standard_normal((n, n)), rng.standard_normal(n), rng.standard_normal(n)
    A *= 0.8 / max(np.abs(np.linalg.eigvals(A)).max(), 1e-3)
    result = modes(Linearization(A, B, C, np.asarray(1.0)))
    assume(max(mode.condition for mode in result) < 1e3)
    total = float(C @ np.linalg.solve(np.eye(n) - A, B))
    assert sum(mode.contribution for mode in result) >= abs(total) * (1 - 1e-9)
    contributions = [mode.contribution for mode in result]
    assert contributions == sorted(contributions, reverse=True)


@given(seed=st.integers(0, 200), n=st.integers(1, 12))
def test_the_convergence_point_of_a_gru_is_a_fixed_point(seed: int, n: int) -> None:
    optimizer = reference_optimizer(random_gru(n, seed))
    point = find_convergence_point(optimizer)
    if isinstance(point, NotApplicable):
        assert "no fixed point" in point.reason
        return
    next_state, update = optimizer.step(point.state[None], np.zeros(1))
    assert np.max(np.abs(next_state - point.state)) <= 1e-12
    assert point.residual <= 1e-12
    assert point.update == update[0]
    expected = central_differences(optimizer, point.state[None], np.zeros(1))
    np.testing.assert_allclose(point.A, expected.A[0], atol=1e-7)


def test_differences_stand_in_for_a_missing_linearize() -> None:
    class Plain:
        def __init__(self, inner: Any) -> None:
            self.initial_state, self.step = inner.initial_state, inner.step

    inner = reference_optimizer(random_gru(4, 1))
    h, g = np.full((2, 4), 0.3), np.array([0.5, -2.0])
    result, state_error, update_error = linearize(Plain(inner), h, g)
    assert 0 < max(state_error, update_error) < 1e-9
    for matrix, expected in zip(result, inner.linearize(h, g), strict=True):
        np.testing.assert_allclose(matrix, expected, atol=1e-10)
    plain, own = analyze(Plain(inner)), analyze(inner)
    assert isinstance(plain.momentum, MomentumResult)
    assert isinstance(own.momentum, MomentumResult)
    assert plain.momentum.index == pytest.approx(own.momentum.index, rel=1e-6)


class Wanderer:
    """A state that grows for ever, more and more slowly: there is no fixed point."""

    def initial_state(self, n: int) -> Float:
        return np.ones((n, 1))

    def step(self, h: Float, g: Float) -> tuple[Float, Float]:
        return h + 1 / h, -0.1 * g


def test_no_fixed_point_is_a_value() -> None:
    result = analyze(Wanderer())
    assert isinstance(result.convergence_point, NotApplicable)
    assert "no fixed point" in result.convergence_point.reason
    assert result.momentum == result.convergence_point
    assert set(result.model_dump(mode="json")["momentum"]) == {"not_applicable"}


def test_a_state_that_explodes_is_a_value() -> None:
    explosive = Linear(np.array([[3.0]]), np.ones(1), np.ones(1), -1.0)
    explosive.initial_state = lambda n: np.ones((n, 1))  # type: ignore[method-assign]
    result = find_convergence_point(explosive)
    assert isinstance(result, NotApplicable)
    assert "grows without bound" in result.reason


def test_an_unstable_point_has_no_momentum() -> None:
    point = find_convergence_point(Linear(np.array([[1.1]]), np.ones(1), -np.ones(1), -1.0))
    assert isinstance(point, ConvergencePointResult)
    assert not point.stable
    assert point.spectral_radius == pytest.approx(1.1)
    result = measure_momentum(point)
    assert isinstance(result, NotApplicable)
    assert "not below 1" in result.reason


def test_a_fresh_gru_has_no_response_at_all() -> None:
    result = analyze(reference_optimizer(fresh_gru(8, 0)))
    assert isinstance(result.momentum, NotApplicable)
    assert "does not depend on the gradient" in result.momentum.reason


def test_other_starts_that_end_elsewhere_are_counted() -> None:
    class Bistable:
        def initial_state(self, n: int) -> Float:
            return np.full((n, 1), 0.5)

        def step(self, h: Float, g: Float) -> tuple[Float, Float]:
            return np.tanh(2 * h) + 0 * g[:, None], -g

    starts = np.array([[1.0], [0.2], [-0.2], [-1.0]])
    point = find_convergence_point(Bistable(), starts)
    assert isinstance(point, ConvergencePointResult)
    assert (point.other_starts_at_this_point, point.other_starts) == (2, 4)


def test_a_linear_optimizer_is_explained_by_its_linear_system() -> None:
    batch = Quadratic().sample("evaluate", 0, range(8))
    spec = momentum(0.5, 0.8)
    result = analyze(reference_optimizer(spec), run(oracle(), spec, batch, 100))
    assert isinstance(result.momentum, MomentumResult)
    assert isinstance(result.convergence_point, ConvergencePointResult)
    assert result.momentum.r2_whole_run == pytest.approx(1, abs=1e-12)
    assert result.momentum.r2_near_convergence == pytest.approx(1, abs=1e-9)
    assert result.convergence_point.drift == 0


def test_drift_is_relative_to_the_typical_update() -> None:
    batch = Quadratic().sample("evaluate", 0, range(8))
    spec = sgd(0.1)
    trajectory = run(oracle(), spec, batch, 50)
    drifting = Linear(np.zeros((1, 1)), np.zeros(1), np.zeros(1), -0.1, e=0.02)
    result = analyze(drifting, trajectory._replace(state=np.zeros((51, 40, 1))))
    assert isinstance(result.convergence_point, ConvergencePointResult)
    typical_update = np.sqrt(np.mean(trajectory.update**2))
    assert result.convergence_point.drift == pytest.approx(0.02 / typical_update)


def test_conclusions_are_compared() -> None:
    def deviating(actual: MechanismsResult, expected: MechanismsResult) -> list[str]:
        comparisons = compare_analyses(actual, expected)
        return [comparison.quantity for comparison in comparisons if not comparison.ok]

    analysis = analyze(reference_optimizer(momentum(0.1, 0.9)))
    perturbed = analyze(reference_optimizer(momentum(0.1, 0.9001)))
    assert deviating(analysis, analysis) == []
    assert deviating(analysis, perturbed) == [
        "momentum index",
        "eigenvalue, distance from its match",
        "adapted state",
        "fixed point",
    ]
    missing = deviating(analysis, analyze(Wanderer()))
    assert missing[:2] == ["convergence_point", "momentum"]
