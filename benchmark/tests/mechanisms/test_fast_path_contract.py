"""An optimizer whose own `drive` or `gain` is wrong is refused before anything is measured."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from loptbench.discovery import oracle
from loptbench.errors import ContractError
from loptbench.mechanisms.dynamics.contract import require_optimizer
from loptbench.mechanisms.dynamics.driving import drive_by_steps
from loptbench.optimizers import random_gru

pytestmark = pytest.mark.harness

Float = NDArray[np.float64]


class Rotation:
    """A damped rotation under a soft clip: h' = 0.9 R h + tanh(g) (1, 0), Δ = −h'₁ − tanh(g)."""

    def initial_state(self, n: int) -> Float:
        return np.tile([0.2, 0.1], (n, 1))

    def step(self, h: Float, g: Float) -> tuple[Float, Float]:
        new = 0.9 * np.stack([0.6 * h[:, 0] - 0.8 * h[:, 1], 0.8 * h[:, 0] + 0.6 * h[:, 1]], axis=1)
        new[:, 0] += np.tanh(g)
        return new, -new[:, 0] - np.tanh(g)


class Driven(Rotation):
    """The rotation with a `drive` made by a function of (state, gradients, times)."""

    def __init__(self, rule: Any) -> None:
        self.rule = rule

    def drive(self, state: Float, gradients: Float, times: Sequence[int]) -> Any:
        return self.rule(state, gradients, times)


class Gaining(Rotation):
    """The rotation with a `gain` made by a function of (state, gradient, dtanh/dg)."""

    def __init__(self, rule: Any) -> None:
        self.rule = rule

    def gain(self, state: Float, gradient: Float) -> Any:
        return self.rule(state, gradient, 1 - np.tanh(gradient) ** 2)


def by_steps(state: Float, gradients: Float, times: Sequence[int]) -> Float:
    return drive_by_steps(Rotation(), state, gradients, times)


def first_block(state: Float, gradients: Float, times: Sequence[int]) -> Float:
    states = np.tile(state, (len(times), 1, 1))
    states[:, :128] = by_steps(state[:128], gradients[..., :128], times)
    return states


def in_float32(state: Float, gradients: Float, times: Sequence[int]) -> Float:
    def rounded(array: Float) -> Float:
        return array.astype(np.float32).astype(np.float64)

    return rounded(by_steps(rounded(state), rounded(gradients), times))


def spoiled_by_nan(state: Float, gradients: Float, times: Sequence[int]) -> Float:
    return by_steps(state, gradients + 0 * gradients.sum(axis=-1, keepdims=True), times)


def until_rest(state: Float, gradients: Float, times: Sequence[int]) -> Float:
    every = by_steps(state, gradients, range(times[-1] + 1))
    still = np.abs(np.diff(every, axis=0)).max(axis=2) < 1e-2
    for component in range(len(state)):
        if still[:, component].any():
            first = int(np.argmax(still[:, component]))
            every[first:, component] = every[first, component]
    return every[list(times)]


DRIVE_FAULTS = {
    "one step less": lambda h, g, t: by_steps(h, g, [max(time - 1, 0) for time in t]),
    "the gradient before": lambda h, g, t: by_steps(
        h, np.roll(g, 1, axis=0) if g.ndim == 2 else g, t
    ),
    "the first gradient": lambda h, g, t: by_steps(h, g[0] if g.ndim == 2 else g, t),
    "the first 128 components": first_block,
    "float32": in_float32,
    "from the initial state": lambda h, g, t: by_steps(Rotation().initial_state(len(h)), g, t),
    "the last time first": lambda h, g, t: by_steps(h, g, t)[::-1].copy(),
    "mixed components": lambda h, g, t: by_steps(h, g + 1e-6 * g.mean(axis=-1, keepdims=True), t),
    "until it rests": until_rest,
    "half a percent": lambda h, g, t: by_steps(h, 1.005 * g, t),
}


def test_a_right_drive_is_accepted() -> None:
    require_optimizer(Driven(by_steps))


@pytest.mark.parametrize("fault", DRIVE_FAULTS)
def test_a_wrong_drive_is_refused(fault: str) -> None:
    with pytest.raises(ContractError, match="drive is not what step does: after"):
        require_optimizer(Driven(DRIVE_FAULTS[fault]))


def test_a_drive_that_one_component_spoils_is_refused() -> None:
    with pytest.raises(ContractError, match="another one has a gradient of NaN"):
        require_optimizer(Driven(spoiled_by_nan))


GAIN_FAULTS = {
    "the sign": lambda h, g, slope: 2 * slope,
    "at zero": lambda h, g, slope: np.full_like(g, -2.0),
    "half a percent": lambda h, g, slope: -2.01 * slope,
    "without the state's part": lambda h, g, slope: -slope,
    "of the first component": lambda h, g, slope: np.full_like(g, -2 * slope[0]),
}


def test_a_right_gain_is_accepted() -> None:
    require_optimizer(Gaining(lambda h, g, slope: -2 * slope))


@pytest.mark.parametrize("fault", GAIN_FAULTS)
def test_a_wrong_gain_is_refused(fault: str) -> None:
    with pytest.raises(ContractError, match="gain is not the derivative of step: at a gradient of"):
        require_optimizer(Gaining(GAIN_FAULTS[fault]))


def test_a_large_state_is_driven_in_few_components() -> None:
    class Large(Rotation):
        largest = 0

        def initial_state(self, n: int) -> Float:
            return np.zeros((n, 10_000))

        def step(self, h: Float, g: Float) -> tuple[Float, Float]:
            Large.largest = max(Large.largest, h.size)
            new = 0.5 * h + g[:, None]
            return new, -new[:, 0]

        def drive(self, state: Float, gradients: Float, times: Sequence[int]) -> Float:
            return drive_by_steps(self, state, gradients, times)

    require_optimizer(Large())
    assert Large.largest <= 2**18


@given(seed=st.integers(0, 10**6), input_scale=st.floats(0.01, 30), units=st.integers(1, 20))
def test_random_grus_are_accepted(seed: int, input_scale: float, units: int) -> None:
    spec = random_gru(units, seed, input_scale, output_scale=0.1)
    require_optimizer(oracle().optimizer(spec, "float64", "cpu"))
