"""An architecture from outside: Elman's network, the simplest recurrent one, with a NumPy cell.

h' = tanh(W_e h + a_e s + b_e),  s = input_scale · g
Δ  = output_scale · (w · h' + b)
"""

import dataclasses

import numpy as np

from loptbench.implementations.reference.optimizers.base import Array
from loptbench.implementations.reference.optimizers.cell import Cell
from loptbench.optimizers import Architecture, Shapes
from loptbench.optimizers.gated import fresh_gates, gate_shapes, random_gates


def shapes(n_units: int) -> Shapes:
    """The shape of every parameter."""
    return gate_shapes("e", n_units) | {"h0": (n_units,)}


class ElmanCell(Cell):
    """The step and its pullback; the rest follows."""

    def _hidden(self, state: Array, s: Array) -> Array:
        p = self.p
        return np.tanh(state @ p["W_e"].T + np.outer(s, p["a_e"]) + p["b_e"])

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        h = self._hidden(state, self.constants["input_scale"] * gradient)
        return h, self.constants["output_scale"] * (h @ self.p["w"] + self.p["b"])

    def pullback(
        self, state: Array, gradient: Array, state_bar: Array, update_bar: Array
    ) -> tuple[Array, Array, dict[str, Array]]:
        p, s = self.p, self.constants["input_scale"] * gradient
        h, scaled = self._hidden(state, s), self.constants["output_scale"] * update_bar
        pre_bar = (state_bar + scaled[:, None] * p["w"]) * (1 - h**2)
        adjoints = {
            "W_e": pre_bar.T @ state,
            "a_e": s @ pre_bar,
            "b_e": pre_bar.sum(axis=0),
            "w": scaled @ h,
            "b": np.asarray(scaled.sum()),
        }
        s_bar = pre_bar @ p["a_e"]
        return pre_bar @ p["W_e"], self.constants["input_scale"] * s_bar, adjoints

    def rounding_scale(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        unit = np.maximum(1.0, np.abs(state).max(axis=1, keepdims=True))
        readout = np.abs(self.p["w"]).sum() * unit[:, 0] + np.abs(self.p["b"])
        return np.broadcast_to(unit, state.shape), abs(self.constants["output_scale"]) * readout


ELMAN = Architecture(
    name="elman",
    shapes=shapes,
    starts=("h0",),
    constants={"input_scale": 1.0, "output_scale": 1.0},
    fresh=fresh_gates,
    random=random_gates,
    convention="tanh",
    cells={
        "reference": "loptbench.tests.optimizers.elman:ElmanCell",
        "jax": "loptbench.tests.optimizers.elman_jax:step",
        "torch": "loptbench.tests.optimizers.elman_torch:step",
    },
)

NUMPY_ONLY = dataclasses.replace(
    ELMAN, name="numpy_elman", cells={"reference": ELMAN.cells["reference"]}
)
TORCH_ONLY = dataclasses.replace(ELMAN, name="torch_elman", cells={"torch": ELMAN.cells["torch"]})
