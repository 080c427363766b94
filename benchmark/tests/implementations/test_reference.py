"""The oracle's hand-written derivatives, against central differences."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from loptbench.conformance.cases import in_domain
from loptbench.discovery import oracle
from loptbench.mechanisms.dynamics.linearization import linearize_by_ridders
from loptbench.optimizers import OptimizerSpec, baseline, composed, momentum, random_gru, sgd
from loptbench.rollout.trajectory import meta_objective
from loptbench.tasks import Digits, Quadratic, Rosenbrock, TwoMoons, get_task

pytestmark = pytest.mark.harness

Float = NDArray[np.float64]

SPECS = st.one_of(
    st.builds(sgd, st.floats(1e-3, 1.0)),
    st.builds(momentum, st.floats(1e-3, 1.0), st.floats(0.0, 0.99)),
    st.builds(
        lambda alpha, beta: baseline("nesterov", alpha=alpha, beta=beta),
        st.floats(1e-3, 1.0),
        st.floats(0.0, 0.99),
    ),
    st.builds(
        lambda alpha, gamma, epsilon: baseline("rmsprop", epsilon, alpha=alpha, gamma=gamma),
        st.floats(1e-3, 1.0),
        st.floats(0.0, 0.99),
        st.floats(1e-3, 0.1),
    ),
    st.builds(
        lambda alpha, beta1, beta2, epsilon: baseline(
            "adam", epsilon, alpha=alpha, beta1=beta1, beta2=beta2
        ),
        st.floats(1e-3, 1.0),
        st.floats(0.01, 0.95),
        st.floats(0.01, 0.95),
        st.floats(1e-3, 0.1),
    ),
    st.builds(
        # States in the domain have taken 2 to 92 steps: before the end of the schedule, or after.
        lambda kind, alpha, beta, final, n_steps: baseline(
            kind, n_steps=n_steps, alpha=alpha, beta=beta, final=final
        ),
        st.sampled_from(["cosine_momentum", "exponential_nesterov"]),
        st.floats(1e-3, 1.0),
        st.floats(0.0, 0.99),
        st.floats(0.01, 1.0),
        st.sampled_from([0.5, 200.0]),
    ),
    st.builds(
        composed,
        st.floats(1e-3, 1.0),
        st.lists(st.floats(0.0, 0.99), min_size=1, max_size=4),
        st.floats(0.3, 3.0),
        st.floats(0.0, 3.0),
        st.floats(0.0, 0.99),
    ),
    st.builds(
        random_gru, st.integers(1, 9), st.integers(0, 99), st.floats(0.1, 2.0), st.floats(0.1, 2.0)
    ),
)
SEEDS = st.integers(0, 10_000)


def draw_inputs(spec: OptimizerSpec, seed: int, n: int = 4) -> tuple[Float, Float]:
    rng = np.random.default_rng(seed)
    return in_domain(spec.kind, rng.uniform(-1, 1, (n, spec.n_state))), rng.standard_normal(n)


@given(spec=SPECS, seed=SEEDS)
def test_linearize_is_the_derivative_of_step(spec: OptimizerSpec, seed: int) -> None:
    optimizer = oracle().optimizer(spec, "float64", "cpu")
    state, gradient = draw_inputs(spec, seed)
    expected, state_error, update_error = linearize_by_ridders(optimizer, state, gradient)
    assert max(state_error, update_error) < 1e-6
    for matrix, by_difference in zip(optimizer.linearize(state, gradient), expected, strict=True):
        assert matrix.shape == by_difference.shape
        np.testing.assert_allclose(matrix, by_difference, rtol=1e-8, atol=1e-8)


@given(spec=SPECS, seed=SEEDS)
def test_pullback_is_the_transpose_of_the_derivative(spec: OptimizerSpec, seed: int) -> None:
    """⟨adjoints, direction⟩ is the change of ⟨outputs, their adjoints⟩ along the direction."""
    rng = np.random.default_rng(seed)
    state, gradient = draw_inputs(spec, seed)
    state_bar, update_bar = rng.standard_normal(state.shape), rng.standard_normal(gradient.shape)
    optimizer = oracle().optimizer(spec, "float64", "cpu")
    h_bar, g_bar, adjoints = optimizer.pullback(state, gradient, state_bar, update_bar)
    h_direction, g_direction = rng.standard_normal(state.shape), rng.standard_normal(gradient.shape)
    direction = {k: rng.standard_normal(v.shape) for k, v in sorted(spec.parameters.items())}

    def output(epsilon: float) -> float:
        parameters = {k: v + epsilon * direction[k] for k, v in spec.parameters.items()}
        shifted = oracle().optimizer(spec.with_parameters(parameters), "float64", "cpu")
        new, update = shifted.step(state + epsilon * h_direction, gradient + epsilon * g_direction)
        return float(np.sum(new * state_bar) + update @ update_bar)

    epsilon = 1e-6
    slope = (output(epsilon) - output(-epsilon)) / (2 * epsilon)
    actual = float(np.sum(h_bar * h_direction) + g_bar @ g_direction)
    actual += sum(float(np.sum(adjoint * direction[name])) for name, adjoint in adjoints.items())
    assert actual == pytest.approx(slope, rel=1e-6, abs=1e-6)


TASK_STRATEGIES: dict[str, Any] = {
    "quadratic": st.builds(Quadratic, st.integers(1, 7)),
    "rosenbrock": st.builds(Rosenbrock, st.integers(2, 6), st.floats(1.0, 200.0)),
    "two_moons": st.builds(TwoMoons, st.integers(1, 6), st.integers(1, 30), st.floats(1e-3, 0.1)),
    "digits": st.builds(Digits, st.integers(1, 4), st.integers(1, 7), st.integers(1, 9)),
}


@pytest.mark.parametrize("name", sorted(TASK_STRATEGIES))
@given(data=st.data(), seed=SEEDS, step=st.integers(0, 20))
def test_gradients_and_hessians_are_the_derivatives(
    name: str, data: st.DataObject, seed: int, step: int
) -> None:
    task = data.draw(TASK_STRATEGIES[name], label="task")
    batch = task.sample("tune", seed, range(3))
    problems = oracle().problems(batch, "float64", "cpu")
    rng = np.random.default_rng(seed)
    x = batch.initial_parameters + 0.1 * rng.standard_normal(batch.initial_parameters.shape)
    y = rng.standard_normal(x.shape)
    loss, gradient = problems.loss_and_gradient(x, step)
    assert loss.shape == (3,)
    epsilon = 1e-5
    high, low = (problems.loss_and_gradient(x + sign * epsilon * y, step) for sign in (1, -1))
    slope = (high[0] - low[0]) / (2 * epsilon)
    # The third derivative of Rosenbrock is large, and so is the error of the differences.
    size = 1 + np.abs(high[0] - 2 * loss + low[0]) / epsilon**2
    assert np.all(np.abs(np.sum(gradient * y, axis=1) - slope) <= 1e-6 * size)
    gradient_slope = (high[1] - low[1]) / (2 * epsilon)
    product = problems.hessian_vector(x, step, y)
    assert np.all(np.abs(product - gradient_slope) <= 1e-6 * size[:, None])


@pytest.mark.parametrize("name", sorted(TASK_STRATEGIES))
def test_hessian_vector_products_are_linear_whatever_the_size(name: str) -> None:
    """A complex step has neither a rounding nor a truncation error."""
    batch = get_task(name).sample("tune", 0, range(2))
    problems = oracle().problems(batch, "float64", "cpu")
    x = batch.initial_parameters
    y = np.random.default_rng(0).standard_normal(x.shape)
    product = problems.hessian_vector(x, 1, y)
    for factor in (1e-12, 1e12):
        scaled = problems.hessian_vector(x, 1, factor * y)
        np.testing.assert_allclose(scaled, factor * product, rtol=1e-12, atol=1e-14 * factor)
    assert not np.any(problems.hessian_vector(x, 1, 0 * y))


@given(spec=SPECS, seed=SEEDS, n_steps=st.integers(1, 30))
def test_meta_gradient_is_the_slope_of_the_meta_objective(
    spec: OptimizerSpec, seed: int, n_steps: int
) -> None:
    batch = Quadratic().sample("tune", seed, range(3))
    problems = oracle().problems(batch, "float64", "cpu")
    rng = np.random.default_rng(seed)
    direction = {k: rng.standard_normal(v.shape) for k, v in sorted(spec.parameters.items())}

    def objective(epsilon: float) -> float:
        parameters = {k: v + epsilon * direction[k] for k, v in spec.parameters.items()}
        shifted = oracle().optimizer(spec.with_parameters(parameters), "float64", "cpu")
        run = oracle().unroll(shifted, problems, batch.initial_parameters, n_steps)
        return float(np.mean(meta_objective(run.loss)))

    actual = oracle().meta_gradient(
        oracle().optimizer(spec, "float64", "cpu"), problems, batch.initial_parameters, n_steps
    )
    assert np.mean(actual.objective) == pytest.approx(objective(0.0), rel=1e-12)
    epsilon = 1e-6
    slope = (objective(epsilon) - objective(-epsilon)) / (2 * epsilon)
    terms = [float(np.sum(actual.gradient[k] * direction[k])) for k in direction]
    size = sum(abs(term) for term in terms)
    assert abs(sum(terms) - slope) <= 1e-4 * size + 1e-8


def test_meta_gradient_needs_the_second_derivatives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without second derivatives the meta-gradient differs, so that the test above would fail."""
    batch = Quadratic().sample("tune", 0, range(3))
    spec = random_gru(5, 0)
    problems = oracle().problems(batch, "float64", "cpu")
    optimizer = oracle().optimizer(spec, "float64", "cpu")
    full = oracle().meta_gradient(optimizer, problems, batch.initial_parameters, 10)
    monkeypatch.setattr(problems, "hessian_vector", lambda x, step, y: 0 * y)
    first_order = oracle().meta_gradient(optimizer, problems, batch.initial_parameters, 10)
    assert not np.allclose(full.gradient["W_c"], first_order.gradient["W_c"], rtol=1e-3)
