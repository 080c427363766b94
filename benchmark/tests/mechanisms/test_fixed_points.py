"""Fixed points: folds, cycles, slow approach, and state variables that never come to rest."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from loptbench.mechanisms.adaptation import measure_adaptation
from loptbench.mechanisms.convergence import find_convergence_point
from loptbench.mechanisms.dynamics.branches import trace_branch
from loptbench.mechanisms.dynamics.counters import FrozenStateOptimizer, freeze_counters
from loptbench.mechanisms.dynamics.fixed_points import newton, settle, solve_systems, stable
from loptbench.mechanisms.dynamics.linearization import gain
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.mechanisms.momentum import measure_momentum
from loptbench.results.schema.mechanisms import AdaptationResult, MomentumResult, NotApplicable
from loptbench.ridders import ridders_derivative

pytestmark = pytest.mark.harness

Float = NDArray[np.float64]


class Scalar:
    """An optimizer with one state variable, from functions."""

    def __init__(self, f: Any, u: Any = lambda h, g: -g, start: float = 0.0) -> None:
        self.f, self.u, self.start = f, u, start

    def initial_state(self, n: int) -> Float:
        return np.full((n, 1), self.start)

    def step(self, h: Float, g: Float) -> tuple[Float, Float]:
        return self.f(h[:, 0], g)[:, None], self.u(h[:, 0], g)


@given(rate=st.floats(0.01, 1.5), target=st.floats(-100, 100))
def test_a_slow_state_is_found_where_it_is_going(rate: float, target: float) -> None:
    """h' = h + r (t − h)/1000 covers less than a third of the way to t in 250 steps."""
    slow = Scalar(lambda h, g: h + rate * (target - h) / 1000)
    result = settle(slow, np.zeros((1, 1)), np.zeros(1))
    assert result.converged[0]
    assert result.residual[0] <= 1e-12
    assert result.state[0, 0] == pytest.approx(target, rel=1e-9, abs=1e-9)


def test_a_cycle_is_no_fixed_point_though_newton_finds_one_inside() -> None:
    def turn(h: Float, _: Float) -> Float:
        return 3.2 * h * (1 - h)  # the logistic map at 3.2: a cycle of two around 0.6875

    cycle = Scalar(turn, start=0.3)
    result = settle(cycle, np.array([[0.3]]), np.zeros(1))
    assert not result.converged[0]
    inside, residual = newton(cycle, np.array([[0.6]]), np.zeros(1))
    assert inside[0, 0] == pytest.approx(1 - 1 / 3.2)
    assert residual[0] <= 1e-12
    assert not stable(cycle, inside, np.zeros(1))[0]
    point = find_convergence_point(cycle)
    assert isinstance(point, NotApplicable)
    assert "does not settle" in point.reason


def test_a_state_that_nears_a_cycle_from_outside_does_not_rest_in_its_middle() -> None:
    """A rotation with |h|' = |h| (1.0004 − 0.001 |h|²), which decreases slowly towards √0.4."""

    class Turning:
        def initial_state(self, n: int) -> Float:
            return np.tile([1.0, 0.0], (n, 1))

        def step(self, h: Float, g: Float) -> tuple[Float, Float]:
            size = 1.0004 - 0.001 * np.sum(h**2, axis=1, keepdims=True)
            turn = np.array([[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]])
            return size * h @ turn.T, -g

    result = settle(Turning(), np.array([[1.0, 0.0]]), np.zeros(1))
    assert not result.converged[0]
    assert 0.6 < np.linalg.norm(result.last[0]) < 0.8


def test_another_point_that_h0_leads_to_is_reported() -> None:
    """h' = (s, q + 0.2 (q − q³ + 20 s g)) with s' = 0.9 s.

    At h* s is zero. From h0 a positive s g pushes q into the other basin.
    """

    class Pushed:
        def initial_state(self, n: int) -> Float:
            return np.tile([1.0, -1.0], (n, 1))

        def step(self, h: Float, g: Float) -> tuple[Float, Float]:
            s, q = h.T
            return np.stack([0.9 * s, q + 0.2 * (q - q**3 + 20 * s * g)], axis=1), -g

    point = find_convergence_point(Pushed())
    result = measure_adaptation(
        Pushed(), point, GradientStatistics(np.zeros((0, 0)), 0.1, 0.07, 0.1)
    )
    assert isinstance(result, AdaptationResult)
    np.testing.assert_allclose(result.exact.state[:, 1], -1, rtol=1e-9)
    np.testing.assert_array_equal(result.several_fixed_points, result.gradients > 0)


def test_a_fold_ends_the_branch_and_the_other_one_is_reported() -> None:
    """h' = h + 0.1 (h − h³ + g): two branches, which fold at |g| = 2/(3√3)."""
    fold = 2 / (3 * np.sqrt(3))
    folded = Scalar(lambda h, g: h + 0.1 * (h - h**3 + g), start=1.0)
    point = find_convergence_point(folded)
    result = measure_adaptation(folded, point, GradientStatistics(np.zeros((0, 0)), 0.1, 0.01, 1.0))
    assert isinstance(result, AdaptationResult)
    below = result.gradients[result.gradients < 0]
    first_lost = below[below < -fold].max()
    np.testing.assert_array_equal(result.branch_ends, [first_lost, np.inf])
    h, g = result.exact.state[:, 0], result.gradients
    np.testing.assert_allclose(h - h**3 + g, 0, atol=1e-11)
    np.testing.assert_array_equal(h > 0, g > -fold)
    assert np.all(result.stable)


@pytest.mark.parametrize("size", [1.0, 1e2, 1e4])
def test_a_branch_that_goes_far_does_not_end(size: float) -> None:
    """h' = 0.9 h + 0.1 g²: the branch h* = g² has no fold."""
    square = Scalar(lambda h, g: 0.9 * h + 0.1 * g**2)
    gradients = size * np.geomspace(0.1, 10, 20)
    points = settle(square, np.zeros((20, 1)), gradients)
    branch = trace_branch(square, np.zeros(1), gradients, points)
    assert branch.converged.all()
    np.testing.assert_allclose(branch.state[:, 0], gradients**2, rtol=1e-9)


class Latch:
    """p follows g and overshoots; q is at −1 until p is above 1 for a while, and stays at 1."""

    def initial_state(self, n: int) -> Float:
        return np.tile([0.0, 0.0, -1.0], (n, 1))

    def step(self, h: Float, g: Float) -> tuple[Float, Float]:
        p, v, q = h.T
        v = 0.9 * v + 0.1 * (g - p)
        push = 8 * np.maximum(p + v - 1, 0)
        return np.stack([p + v, v, q + 0.2 * (q - q**3 + push)], axis=1), -g


def test_another_fixed_point_of_the_same_gradient_is_reported() -> None:
    """Under a sudden gradient the state overshoots into a basin that slow changes do not reach.

    The points with q = −1 and with q = 1 exist under every gradient of these.
    """
    point = find_convergence_point(Latch())
    result = measure_adaptation(
        Latch(), point, GradientStatistics(np.zeros((0, 0)), 0.1, 0.1, 0.99)
    )
    assert isinstance(result, AdaptationResult)
    q = result.exact.state[:, 2]
    assert np.all(np.isinf(result.branch_ends))
    np.testing.assert_allclose(np.abs(q), 1, rtol=1e-9)
    assert 10 < np.sum(q > 0) < 80
    assert np.all(result.gradients[q > 0] > 0.5)
    assert np.all(result.several_fixed_points)
    np.testing.assert_allclose(result.exact.state[:, 0], result.gradients, atol=1e-9)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.99])
def test_a_step_size_that_is_carried_along_is_held(beta: float) -> None:
    class StepSizeInState:
        def initial_state(self, n: int) -> Float:
            return np.tile([0.0, 0.3], (n, 1))

        def step(self, h: Float, g: Float) -> tuple[Float, Float]:
            m = beta * h[:, 0] + g
            return np.stack([m, h[:, 1]], axis=1), -h[:, 1] * m

    freezing = freeze_counters(StepSizeInState())
    assert not isinstance(freezing, NotApplicable)
    optimizer, frozen = freezing
    assert [(variable.index, variable.value, variable.counts) for variable in frozen] == [
        (1, 0.3, False)
    ]
    result = measure_momentum(find_convergence_point(optimizer))
    assert isinstance(result, MomentumResult)
    assert result.index == pytest.approx(beta, rel=1e-9, abs=1e-9)
    assert result.effective_rate == pytest.approx(0.3, rel=1e-9)


class CountingMomentum:
    """Momentum whose step size depends on the number of steps taken."""

    def __init__(self, rate: Any) -> None:
        self.rate = rate

    def initial_state(self, n: int) -> Float:
        return np.zeros((n, 2))

    def step(self, h: Float, g: Float) -> tuple[Float, Float]:
        m = 0.9 * h[:, 0] + g
        return np.stack([m, h[:, 1] + 1], axis=1), -self.rate(h[:, 1]) * m


def test_a_count_is_held_late_where_it_makes_no_difference_any_more() -> None:
    freezing = freeze_counters(CountingMomentum(lambda t: 0.1 * (1 - 0.999999**t)))
    assert not isinstance(freezing, NotApplicable)
    optimizer, frozen = freezing
    assert isinstance(optimizer, FrozenStateOptimizer)
    assert [(variable.index, variable.counts) for variable in frozen] == [(1, True)]
    result = measure_momentum(find_convergence_point(optimizer))
    assert isinstance(result, MomentumResult)
    assert result.index == pytest.approx(0.9, rel=1e-9)
    assert result.effective_rate == pytest.approx(0.1, rel=1e-9)


@pytest.mark.parametrize(
    ("rate", "reason"),
    [
        (lambda t: 0.1 / (1 + t), "goes on changing with it"),
        (lambda t: 0.1 * (1 + (t % 100) / 100), "goes on changing with it"),
        (lambda t: np.linspace(0.1, 1, 5000)[t.astype(int)], "cannot be put forward"),
    ],
)
def test_a_count_without_an_end_is_said(rate: Any, reason: str) -> None:
    freezing = freeze_counters(CountingMomentum(rate))
    assert isinstance(freezing, NotApplicable)
    assert reason in freezing.reason
    assert "state variable 1 counts steps" in freezing.reason


def test_a_count_that_stops_is_a_constant() -> None:
    class CountsTo5000(CountingMomentum):
        def step(self, h: Float, g: Float) -> tuple[Float, Float]:
            new, update = super().step(h, g)
            new[:, 1] = np.minimum(new[:, 1], 5000)
            return new, update

    freezing = freeze_counters(CountsTo5000(lambda t: 0.1 + 1e-5 * t))
    assert not isinstance(freezing, NotApplicable)
    assert [(variable.value, variable.counts) for variable in freezing[1]] == [(5000.0, False)]


@given(position=st.floats(-3, 3), scale=st.floats(1e-3, 1e3))
def test_ridders_is_exact_to_rounding_for_what_is_smooth(position: float, scale: float) -> None:
    x = position * scale
    slope, error = ridders_derivative(lambda t: np.array([np.tanh((x + t * scale) / scale)]))
    exact = 1 / np.cosh(position) ** 2
    assert abs(slope[0] - exact) <= max(error[0], 1e-13)
    assert error[0] < 1e-9


def test_the_error_says_where_there_is_no_derivative() -> None:
    slope, error = ridders_derivative(
        lambda t: np.array([np.sign(t), np.abs(t), np.clip(t, -0.01, 0.01)])
    )
    assert error[0] > 1e-2 * abs(slope[0])
    assert slope[1] == 0  # the symmetric derivative of |t|
    assert slope[2] == pytest.approx(1, rel=1e-12)
    assert error[2] < 1e-9


def test_the_gain_alone_is_d() -> None:
    squared = Scalar(lambda h, g: h, lambda h, g: -g - 0.5 * h * g**2)
    state, gradient = np.array([[1.0], [2.0]]), np.array([0.1, -2.0])
    result, error = gain(squared, state, gradient)
    np.testing.assert_allclose(result, -1 - state[:, 0] * gradient, rtol=1e-11)
    assert np.all(error < 1e-9)


def test_a_system_without_any_solution_is_nan_and_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On some processors the singular values of a matrix of huge entries do not converge."""

    def diverges(*_: object) -> None:
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr(np.linalg, "pinv", diverges)
    matrices = np.stack([2 * np.eye(2), np.zeros((2, 2))])
    solved = solve_systems(matrices, np.ones((2, 2, 1)))
    np.testing.assert_array_equal(solved[0], [[0.5], [0.5]])
    assert np.all(np.isnan(solved[1]))
