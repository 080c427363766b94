"""Optimizers as data: what is refused, and how random ones are drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loptbench.errors import LoptbenchError, UnknownNameError
from loptbench.optimizers import (
    OptimizerSpec,
    baseline,
    fresh_gru,
    get_kind,
    gru,
    optimal_momentum,
    random_gru,
    shuffled,
)

pytestmark = pytest.mark.harness


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("sgd", {"alpha": 0.0}, "alpha of 'sgd' must be above 0 and finite, but it is 0.0"),
        ("sgd", {"alpha": float("inf")}, "alpha of 'sgd' must be above 0 and finite"),
        ("momentum", {"alpha": 0.1, "beta": 1.0}, r"beta of 'momentum' must lie in \[0, 1\)"),
        ("adam", {"alpha": 0.1, "beta1": -0.1, "beta2": 0.9}, r"beta1 of 'adam' must lie in"),
        ("adam", {"alpha": 0.1, "beta1": 0.9, "beta2": float("nan")}, r"beta2 of 'adam' must"),
        ("rmsprop", {"alpha": 0.1}, "found: missing gamma"),
        ("rmsprop", {"alpha": 0.1, "gamma": 0.9, "beta": 0.9}, "found: extra beta"),
        ("rmsprop", {"alpha": 0.1, "gamma": 0.9, "epsilon": 0.0}, "epsilon of 'rmsprop' must"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(
    kind: str, values: dict[str, float], message: str
) -> None:
    with pytest.raises(LoptbenchError, match=message):
        baseline(kind, **values)


def test_an_unknown_baseline_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown baseline 'gru'; known are: adam"):
        baseline("gru", alpha=0.1)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown optimizer kind 'lion'; known are: adam"):
        get_kind("lion")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b": np.zeros(2)}, r"array 'b' of 'gru' must have shape \(\), but has \(2,\)"),
        ({"w": np.zeros(3, np.float16)}, "array 'w' of 'gru' must be float32 or float64"),
        ({"w": np.array([0, np.nan, 0])}, r"'w' of 'gru' must be finite, but is nan at \(1,\)"),
        ({"v": np.zeros(3)}, "the parameters of 'gru' are .*; found: extra v"),
    ],
)
def test_parameters_of_another_shape_or_type_are_refused(
    change: dict[str, np.ndarray], message: str
) -> None:
    parameters = {**random_gru(3, 0).parameters, **change}
    with pytest.raises(LoptbenchError, match=message):
        gru(parameters)


def test_a_missing_constant_is_refused() -> None:
    with pytest.raises(LoptbenchError, match="found: missing input_scale, output_scale"):
        OptimizerSpec("gru", random_gru(3, 0).parameters)


@given(n_state=st.integers(1, 6), seed=st.integers(0, 99))
def test_a_shuffled_optimizer_keeps_the_values_of_each_array(n_state: int, seed: int) -> None:
    spec = random_gru(n_state, seed)
    control = shuffled(spec, seed)
    for name, array in spec.parameters.items():
        assert np.array_equal(np.sort(array, axis=None), np.sort(control.parameters[name], None))


def test_fresh_weights_depend_on_the_seed_only() -> None:
    first, repeated, other_seed = fresh_gru(4, 0), fresh_gru(4, 0), fresh_gru(4, 1)
    assert np.array_equal(first.parameters["W_z"], repeated.parameters["W_z"])
    assert not np.array_equal(first.parameters["W_z"], other_seed.parameters["W_z"])
    assert not any(first.parameters[name].any() for name in ("w", "b", "h0", "b_z"))


def test_the_optimal_momentum_of_one_eigenvalue_solves_in_one_step() -> None:
    spec = optimal_momentum(2.0, 2.0)
    assert float(spec.parameters["alpha"]) == pytest.approx(0.5)
    assert float(spec.parameters["beta"]) == 0.0


@pytest.mark.parametrize("name", ["composed", "gru"])
def test_the_number_of_state_variables_follows_from_the_shapes(name: str) -> None:
    kind = get_kind(name)
    parameters = {key: np.zeros(shape) for key, shape in kind.shapes(5).items()}
    assert kind.n_state(parameters) == 5
