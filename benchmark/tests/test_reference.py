"""The oracle's hand-written derivatives, against central differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from loptbench.agreement import ORACLE
from loptbench.mechanisms.linearization import central_differences
from loptbench.optimizers import OptimizerSpec, momentum, random_gru, sgd
from loptbench.tasks import Quadratic
from loptbench.trajectory import meta_objective

Float = NDArray[np.float64]

SPECS = st.one_of(
    st.builds(sgd, st.floats(1e-3, 1.0)),
    st.builds(momentum, st.floats(1e-3, 1.0), st.floats(0.0, 0.99)),
    st.builds(
        random_gru, st.integers(1, 9), st.integers(0, 99), st.floats(0.1, 2.0), st.floats(0.1, 2.0)
    ),
)
SEEDS = st.integers(0, 10_000)


def drawn(spec: OptimizerSpec, seed: int, n: int = 4) -> tuple[Float, Float]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (n, spec.n_state)), rng.standard_normal(n)


@given(spec=SPECS, seed=SEEDS)
def test_linearize_is_the_derivative_of_step(spec: OptimizerSpec, seed: int) -> None:
    optimizer = ORACLE.optimizer(spec, "float64", "cpu")
    state, gradient = drawn(spec, seed)
    expected, error = central_differences(optimizer, state, gradient)
    assert error < 1e-6
    for found, wanted in zip(optimizer.linearize(state, gradient), expected, strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-7)


@given(spec=SPECS, seed=SEEDS)
def test_pullback_is_the_transpose_of_the_derivative(spec: OptimizerSpec, seed: int) -> None:
    """⟨adjoints, direction⟩ is the change of ⟨outputs, their adjoints⟩ along the direction."""
    rng = np.random.default_rng(seed)
    state, gradient = drawn(spec, seed)
    to_state, to_update = rng.standard_normal(state.shape), rng.standard_normal(gradient.shape)
    optimizer = ORACLE.optimizer(spec, "float64", "cpu")
    to_h, to_g, adjoints = optimizer.pullback(state, gradient, to_state, to_update)
    along_h, along_g = rng.standard_normal(state.shape), rng.standard_normal(gradient.shape)
    along = {k: rng.standard_normal(v.shape) for k, v in sorted(spec.parameters.items())}

    def output(epsilon: float) -> float:
        moved = {k: v + epsilon * along[k] for k, v in spec.parameters.items()}
        one = ORACLE.optimizer(spec.with_parameters(moved), "float64", "cpu")
        new, update = one.step(state + epsilon * along_h, gradient + epsilon * along_g)
        return float(np.sum(new * to_state) + update @ to_update)

    epsilon = 1e-6
    slope = (output(epsilon) - output(-epsilon)) / (2 * epsilon)
    found = float(np.sum(to_h * along_h) + to_g @ along_g)
    found += sum(float(np.sum(adjoint * along[name])) for name, adjoint in adjoints.items())
    assert found == pytest.approx(slope, rel=1e-6, abs=1e-6)


@given(seed=SEEDS, n=st.integers(1, 7))
def test_gradient_and_hessian_of_the_quadratic(seed: int, n: int) -> None:
    batch = Quadratic(n_parameters=n).sample("tune", seed, range(3))
    problems = ORACLE.problems(batch, "float64", "cpu")
    x = batch.initial_parameters
    y = np.random.default_rng(seed).standard_normal(x.shape)
    loss, gradient = problems.loss_and_gradient(x, 0)
    assert loss.shape == (3,)
    epsilon = 1e-5
    high, low = (problems.loss_and_gradient(x + sign * epsilon * y, 0) for sign in (1, -1))
    slope = (high[0] - low[0]) / (2 * epsilon)
    np.testing.assert_allclose(np.sum(gradient * y, axis=1), slope, rtol=1e-5, atol=1e-5)
    curve = (high[1] - low[1]) / (2 * epsilon)
    np.testing.assert_allclose(problems.hessian_vector(x, 0, y), curve, rtol=1e-7, atol=1e-7)


@given(spec=SPECS, seed=SEEDS, n_steps=st.integers(1, 30))
def test_meta_gradient_is_the_slope_of_the_meta_objective(
    spec: OptimizerSpec, seed: int, n_steps: int
) -> None:
    batch = Quadratic().sample("tune", seed, range(3))
    problems = ORACLE.problems(batch, "float64", "cpu")
    rng = np.random.default_rng(seed)
    along = {k: rng.standard_normal(v.shape) for k, v in sorted(spec.parameters.items())}

    def objective(epsilon: float) -> float:
        moved = {k: v + epsilon * along[k] for k, v in spec.parameters.items()}
        one = ORACLE.optimizer(spec.with_parameters(moved), "float64", "cpu")
        run = ORACLE.unroll(one, problems, batch.initial_parameters, n_steps)
        return float(np.mean(meta_objective(run.loss)))

    found = ORACLE.meta_gradient(
        ORACLE.optimizer(spec, "float64", "cpu"), problems, batch.initial_parameters, n_steps
    )
    assert np.mean(found.objective) == pytest.approx(objective(0.0), rel=1e-12)
    epsilon = 1e-6
    slope = (objective(epsilon) - objective(-epsilon)) / (2 * epsilon)
    parts = [float(np.sum(found.gradient[k] * along[k])) for k in along]
    size = sum(abs(part) for part in parts)
    assert abs(sum(parts) - slope) <= 1e-4 * size + 1e-8


def test_meta_gradient_needs_the_second_derivatives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them it is another number: the test above would not pass."""
    batch = Quadratic().sample("tune", 0, range(3))
    spec = random_gru(5, 0)
    problems = ORACLE.problems(batch, "float64", "cpu")
    optimizer = ORACLE.optimizer(spec, "float64", "cpu")
    full = ORACLE.meta_gradient(optimizer, problems, batch.initial_parameters, 10)
    monkeypatch.setattr(problems, "hessian_vector", lambda x, step, y: 0 * y)
    first_order = ORACLE.meta_gradient(optimizer, problems, batch.initial_parameters, 10)
    assert not np.allclose(full.gradient["W_c"], first_order.gradient["W_c"], rtol=1e-3)
