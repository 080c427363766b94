"""What figures show besides the numbers of the probes, of optimizers whose answers are known."""

import numpy as np
import pytest

from loptbench.discovery import get_implementation
from loptbench.mechanisms.analysis import measure
from loptbench.mechanisms.views import N_GRADIENTS, N_PATHS, find_paths
from loptbench.optimizers import momentum, sgd
from loptbench.optimizers.spec import OptimizerSpec
from loptbench.results.schema.mechanisms import MechanismsResult, ViewsResult

pytestmark = pytest.mark.harness

ALPHA, BETA = 0.1, 0.9


def measured(spec: OptimizerSpec) -> MechanismsResult:
    reference = get_implementation("reference")
    optimizer = reference.optimizer(spec, "float64", "cpu")
    return measure(optimizer, "quadratic", 0, reference, n_problems=2).analysis


def views(spec: OptimizerSpec) -> ViewsResult:
    result = measured(spec).views
    assert result is not None
    return result


def test_along_the_mode_of_momentum_the_update_moves_by_its_velocity() -> None:
    """The velocity m is the state, and U = −α (β m + g): the gradient's part does not change."""
    mode = views(momentum(ALPHA, BETA)).along_mode
    assert mode is not None
    assert 0.0 in mode.at
    assert len(mode.at) > 1
    expected = -ALPHA * (BETA * mode.at[:, None] + mode.gradients)
    np.testing.assert_allclose(mode.update, expected, rtol=1e-9, atol=1e-12)


def test_a_rate_that_does_not_adapt_has_the_same_slope_at_every_adapted_state() -> None:
    curve = views(momentum(ALPHA, BETA)).along_curve
    assert curve is not None
    assert curve.update.shape == (len(curve.at), N_GRADIENTS)
    assert np.all(np.diff(curve.at) > 0)
    slopes = np.diff(curve.update, axis=1) / np.diff(curve.gradients)
    np.testing.assert_allclose(slopes, -ALPHA, rtol=1e-6)


def test_without_a_state_there_are_no_paths_and_no_mode() -> None:
    nothing = views(sgd(ALPHA))
    assert (nothing.paths, nothing.along_mode) == (None, None)


class Decay:
    """Two state entries that decay at different rates to (1, 0)."""

    RATES = np.array([0.9, 0.5])
    POINT = np.array([1.0, 0.0])

    def initial_state(self, n_components: int) -> np.ndarray:
        return np.zeros((n_components, 2))

    def step(self, state: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.POINT + self.RATES * (state - self.POINT), -gradient


def test_paths_lead_from_their_starts_to_the_point() -> None:
    starts = Decay.POINT + np.random.default_rng(0).normal(size=(20, 2))
    paths = find_paths(Decay(), Decay.POINT, starts, 200)
    assert paths is not None
    assert paths.first.shape == paths.second.shape == (N_PATHS, len(paths.steps))
    assert (paths.steps[0], paths.steps[-1]) == (0, 200)
    distance = np.hypot(paths.first - paths.point[0], paths.second - paths.point[1])
    chosen = starts[np.linspace(0, 19, N_PATHS).astype(int)]
    # Two axes of a state with two entries keep all distances.
    np.testing.assert_allclose(distance[:, 0], np.linalg.norm(chosen - Decay.POINT, axis=1))
    assert np.all(np.diff(distance, axis=1) < 0)
    assert np.all(distance[:, -1] < 1e-8)
    assert paths.variance.sum() == pytest.approx(1.0)


def test_records_without_views_are_read() -> None:
    result = measured(sgd(ALPHA))
    old = result.model_copy(update={"views": None}).model_dump_json()
    assert "views" not in old
    assert MechanismsResult.model_validate_json(old).views is None
    assert MechanismsResult.model_validate_json(result.model_dump_json()) == result
