"""Optimizers whose `linearize` is not the derivative of `step`, each with the message."""

from collections.abc import Callable
from typing import Any

import numpy as np

from loptbench.protocol import Linearization
from loptbench.tests.mechanisms.brought_optimizers import ALPHA, BETA, Momentum


class WrongLinearize:
    """A damped rotation of four state variables with saturation; `spoil` changes its Jacobians."""

    rng = np.random.default_rng(5)
    M = 0.4 * rng.standard_normal((4, 4))
    v = rng.standard_normal(4)

    def __init__(self, spoil: Callable[[Any, Any, Any], object] = lambda *_: None) -> None:
        self.spoil = spoil

    def initial_state(self, n: int) -> Any:
        return np.zeros((n, 4))

    def step(self, h: Any, g: Any) -> Any:
        new = np.tanh(h @ self.M.T + g[:, None] * self.v) + 0.01 * g[:, None]
        return new, -ALPHA * (new @ self.v + g)

    def linearize(self, h: Any, g: Any) -> Any:
        slope = 1 - np.tanh(h @ self.M.T + g[:, None] * self.v) ** 2
        A, B = slope[:, :, None] * self.M, slope * self.v + 0.01
        C, D = -ALPHA * np.einsum("j,ijl->il", self.v, A), -ALPHA * (B @ self.v + 1)
        linear = Linearization(A, B, C, D)
        self.spoil(linear, h, g)
        return linear


def scale_entry(name: str, *index: int) -> Callable[[Any, Any, Any], None]:
    """Half a percent off in one entry of a Jacobian."""

    def spoil(linear: Any, h: Any, g: Any) -> None:
        getattr(linear, name)[(slice(None), *index)] *= 1.005

    return spoil


def scale_where(
    condition: Callable[[Any, Any], Any], name: str = "D"
) -> Callable[[Any, Any, Any], None]:
    """Half a percent off where a condition of state and gradient holds."""

    def spoil(linear: Any, h: Any, g: Any) -> None:
        getattr(linear, name)[condition(h, g)] *= 1.005

    return spoil


class FloatLinearize(WrongLinearize):
    """Jacobians that were computed in float32."""

    def __init__(self, dtype: Any = np.float64) -> None:
        super().__init__()
        self.dtype = dtype

    def linearize(self, h: Any, g: Any) -> Any:
        rounded = (matrix.astype(np.float32) for matrix in super().linearize(h, g))
        return Linearization(*(matrix.astype(self.dtype) for matrix in rounded))


class LateFault(Momentum):
    """Half a percent off in D once a counter in the state has reached 100."""

    def initial_state(self, n: int) -> Any:
        return np.zeros((n, 2))

    def step(self, h: Any, g: Any) -> Any:
        m = BETA * h[:, 0] + g
        return np.column_stack([m, h[:, 1] + 1]), -ALPHA * m

    def linearize(self, h: Any, g: Any) -> Any:
        n = len(g)
        A = np.tile(np.diag([BETA, 1.0]), (n, 1, 1))
        B, C = np.tile([1.0, 0.0], (n, 1)), np.tile([-ALPHA * BETA, 0.0], (n, 1))
        return Linearization(A, B, C, np.where(h[:, 1] < 100, -ALPHA, -1.005 * ALPHA))


class NoJacobians(Momentum):
    def linearize(self, h: Any, g: Any) -> Any:
        return None


DERIVATIVE = "linearize is not the derivative of step: "

WRONG_JACOBIANS: dict[str, tuple[Callable[[], Any], str]] = {
    "no Jacobians": (NoJacobians, "return A, B, C and D, but it returned NoneType"),
    "Jacobians in float32": (lambda: FloatLinearize(np.float32), "is in float32"),
    "Jacobians rounded to float32": (FloatLinearize, DERIVATIVE),
    "A off in one entry": (lambda: WrongLinearize(scale_entry("A", 2, 1)), DERIVATIVE + "A.2, 1."),
    "B off in one entry": (lambda: WrongLinearize(scale_entry("B", 3)), DERIVATIVE + "B.3."),
    "C off in one entry": (lambda: WrongLinearize(scale_entry("C", 0)), DERIVATIVE + "C.0."),
    "D off": (lambda: WrongLinearize(scale_entry("D")), DERIVATIVE + "D is"),
    "D off at large gradients": (
        lambda: WrongLinearize(scale_where(lambda h, g: np.abs(g) > 30)),
        DERIVATIVE + "D is",
    ),
    "D off at small gradients": (
        lambda: WrongLinearize(scale_where(lambda h, g: np.abs(g) < 0.01)),
        DERIVATIVE + "D is",
    ),
    "D off on one arm": (
        lambda: WrongLinearize(scale_where(lambda h, g: g > 0)),
        DERIVATIVE + "D is",
    ),
    "D off after a hundred steps": (LateFault, DERIVATIVE + "D is"),
    "C off away from the start": (
        lambda: WrongLinearize(scale_where(lambda h, g: np.any(h != 0, axis=1), "C")),
        DERIVATIVE + "C.",
    ),
}
"""Faults, each with the message that names it."""
