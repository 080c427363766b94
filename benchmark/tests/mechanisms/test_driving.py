"""Many components under given gradients, by the optimizer's own `drive` and step by step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from loptbench.discovery import oracle
from loptbench.errors import ContractError
from loptbench.mechanisms.dynamics import driving
from loptbench.mechanisms.dynamics.counters import freeze_counters
from loptbench.mechanisms.dynamics.driving import drive, drive_by_steps
from loptbench.mechanisms.dynamics.linearization import gain
from loptbench.optimizers import OptimizerSpec, baseline, composed, random, random_gru
from loptbench.protocol import Drives, Gains, LinearizableOptimizer
from loptbench.results.schema.mechanisms import NotApplicable

pytestmark = pytest.mark.harness

Float = NDArray[np.float64]

SPECS = {
    "sgd": baseline("sgd", alpha=0.3),
    "momentum": baseline("momentum", alpha=0.7, beta=0.6),
    "nesterov": baseline("nesterov", alpha=0.4, beta=0.7),
    "rmsprop": baseline("rmsprop", epsilon=1e-3, alpha=0.05, gamma=0.8),
    "adam": baseline("adam", epsilon=1e-3, alpha=0.06, beta1=0.7, beta2=0.85),
    "composed": composed(0.6, (0.5, 0.8, 0.2), clip=0.5, start=0.3, decay=0.9),
    "gru": random_gru(7, seed=2, input_scale=0.7, output_scale=0.3),
    "lstm": random("lstm", 5, seed=2, input_scale=0.7, output_scale=0.3),
    "log_lstm": random("log_lstm", 5, seed=2, input_scale=0.7, output_scale=0.3),
}

TIMES = [0, 1, 4, 11, 12, 30]


class Decay:
    """h' = ½ h + g, step by step."""

    def initial_state(self, n: int) -> Float:
        return np.zeros((n, 1))

    def step(self, h: Float, g: Float) -> tuple[Float, Float]:
        new = 0.5 * h + g[:, None]
        return new, -new[:, 0]


class Driven(Decay):
    """The same with a `drive` of its own that counts the components of each call."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def drive(self, state: Float, gradients: Float, times: Sequence[int]) -> Any:
        self.calls.append(len(state))
        states = drive_by_steps(Decay(), state, gradients, times)
        state[...] = gradients[...] = np.nan  # the harness must hand over copies
        return states


def optimizer_of(spec: OptimizerSpec) -> Any:
    return oracle().optimizer(spec, "float64", "cpu")


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("constant", [True, False])
def test_the_reference_drives_as_it_steps(kind: str, constant: bool) -> None:
    optimizer = optimizer_of(SPECS[kind])
    rng = np.random.default_rng(1)
    gradients = rng.standard_normal(9) if constant else rng.standard_normal((33, 9))
    gradients[..., 4] = np.nan
    state = optimizer.step(optimizer.initial_state(9), rng.standard_normal(9))[0]
    assert isinstance(optimizer, Drives)
    states = drive(optimizer, state, gradients, TIMES)
    expected = drive_by_steps(optimizer, state, gradients, TIMES)
    np.testing.assert_allclose(states, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kind", SPECS)
def test_the_references_gain_is_its_derivative(kind: str) -> None:
    optimizer = optimizer_of(SPECS[kind])
    rng = np.random.default_rng(3)
    state = drive(optimizer, optimizer.initial_state(9), rng.standard_normal((5, 9)), [5])[0]
    gradient = 0.2 * rng.standard_normal(9)
    D = gain(optimizer, state, gradient)[0]
    np.testing.assert_array_equal(D, optimizer.linearize(state, gradient).D)
    difference = (
        optimizer.step(state, gradient + 1e-6)[1] - optimizer.step(state, gradient - 1e-6)[1]
    )
    np.testing.assert_allclose(D, difference / 2e-6, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("make", [Decay, Driven])
def test_states_at_the_times_asked_for(make: Any) -> None:
    state, gradient = np.array([[8.0], [0.0]]), np.array([0.0, 1.0])
    states = drive(make(), state, gradient, (0, 1, 3))
    assert states[:, :, 0].tolist() == [[8.0, 0.0], [4.0, 1.0], [1.0, 1.75]]
    rows = np.array([[0.0, 1.0], [2.0, 0.0], [5.0, 5.0]])
    states = drive(make(), state, rows, [2])
    assert states[:, :, 0].tolist() == [[4.0, 0.5]]
    assert state.tolist() == [[8.0], [0.0]]
    assert gradient.tolist() == [0.0, 1.0]
    assert drive(make(), state, rows[:0], [0]).tolist() == [state.tolist()]


def test_many_components_are_driven_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driving, "MAX_BLOCK_ELEMENTS", 30)
    optimizer = Driven()
    gradients = np.random.default_rng(0).standard_normal((6, 32))
    states = drive(optimizer, np.ones((32, 1)), gradients, [1, 2, 6])
    assert optimizer.calls == [10, 10, 10, 2]
    np.testing.assert_array_equal(
        states, drive_by_steps(Decay(), np.ones((32, 1)), gradients, [1, 2, 6])
    )


@pytest.mark.parametrize("times", [[], [-1], [2, 2], [3, 1], [7]])
def test_times_that_do_not_fit_are_refused(times: list[int]) -> None:
    with pytest.raises(ValueError, match=r"times must increase|need gradients of the shape"):
        drive(Decay(), np.zeros((2, 1)), np.zeros((6, 2)), times)


@pytest.mark.parametrize("shape", [(3,), (6, 3), (2, 1, 6), ()])
def test_gradients_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="need gradients of the shape"):
        drive(Decay(), np.zeros((2, 1)), np.zeros(shape), [6])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda states: states[:-1], r"in the shape \(2, 3, 1\), but it has \(1, 3, 1\)"),
        (lambda states: states[..., 0], r"in the shape \(2, 3, 1\), but it has \(2, 3\)"),
        (lambda states: states.astype(np.float32), "what drive returns is in float32"),
        (
            lambda states: states.tolist(),
            "what drive returns must be a NumPy array, but it is a list",
        ),
    ],
)
def test_a_drive_of_another_form_is_refused(change: Any, message: str) -> None:
    class Wrong(Decay):
        def drive(self, state: Float, gradients: Float, times: Sequence[int]) -> Any:
            return change(drive_by_steps(Decay(), state, gradients, times))

    with pytest.raises(ContractError, match=message):
        drive(Wrong(), np.zeros((3, 1)), np.ones(3), [1, 4])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda D: D[:, None], r"gain must return the shape \(3,\), but it has \(3, 1\)"),
        (lambda D: D.tolist(), "what gain returns must be a NumPy array, but it is a list"),
    ],
)
def test_a_gain_of_another_form_is_refused(change: Any, message: str) -> None:
    class Wrong(Decay):
        def gain(self, state: Float, gradient: Float) -> Any:
            return change(-np.ones(len(gradient)))

    with pytest.raises(ContractError, match=message):
        gain(Wrong(), np.zeros((3, 1)), np.ones(3))


class CarriesItsRate:
    """Momentum with a step size in its state, which is multiplied where `limit` is exceeded."""

    def __init__(self, limit: float = np.inf) -> None:
        self.limit = limit

    def initial_state(self, n: int) -> Float:
        return np.tile([0.0, 0.3], (n, 1))

    def step(self, h: Float, g: Float) -> tuple[Float, Float]:
        m = 0.9 * h[:, 0] + h[:, 1] * g
        rate = np.where(np.abs(g) > self.limit, 2 * h[:, 1], h[:, 1])
        return np.stack([m, rate], axis=1), -m

    def drive(self, state: Float, gradients: Float, times: Sequence[int]) -> Float:
        return drive_by_steps(self, state, gradients, times)

    def gain(self, state: Float, gradient: Float) -> Float:
        return -state[:, 1]


@pytest.mark.parametrize("limit", [np.inf, 1e5])
def test_constants_stay_frozen_at_every_step_of_a_drive(limit: float) -> None:
    freezing = freeze_counters(CarriesItsRate(limit))
    assert not isinstance(freezing, NotApplicable)
    frozen, variables = freezing
    assert [variable.index for variable in variables] == [1]
    assert isinstance(frozen, Drives)
    assert isinstance(frozen, Gains)
    assert not isinstance(frozen, LinearizableOptimizer)
    state, gradient = np.array([[1.0], [0.0]]), np.array([-2.0, 1e6])
    states = drive(frozen, state, gradient, [0, 1, 2])
    expected = [[1.0, 0.0], [0.3, 3e5], [-0.33, 5.7e5]]  # m' = 0.9 m + 0.3 g
    np.testing.assert_allclose(states[:, :, 0], expected, rtol=1e-14)
    np.testing.assert_array_equal(gain(frozen, state, gradient)[0], -0.3)


def test_counters_stay_frozen_at_every_step_of_a_drive() -> None:
    freezing = freeze_counters(optimizer_of(SPECS["adam"]))
    assert not isinstance(freezing, NotApplicable)
    frozen, variables = freezing
    assert [variable.counts for variable in variables] == [True]
    assert not isinstance(frozen, Drives)  # the drive of Adam itself would count on
    assert isinstance(frozen, Gains)
    assert isinstance(frozen, LinearizableOptimizer)
    state, gradient = np.array([[0.1, 0.2]]), np.array([0.5])
    np.testing.assert_allclose(drive(frozen, state, gradient, [300])[0], [[0.5, 0.25]], rtol=1e-12)
    np.testing.assert_array_equal(
        gain(frozen, state, gradient)[0], frozen.linearize(state, gradient).D
    )
