"""The learned optimizer as an LSTM; the state is (h, c).

s  = input_scale · g
i  = sigmoid(W_i h + a_i s + b_i)
f  = sigmoid(W_f h + a_f s + b_f)
o  = sigmoid(W_o h + a_o s + b_o)
u  = tanh(W_u h + a_u s + b_u)
c' = f ∘ c + i ∘ u
h' = o ∘ tanh(c')
Δ  = output_scale · (w · h' + b)
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit as sigmoid

from loptbench.implementations.reference.optimizers.base import Array
from loptbench.implementations.reference.optimizers.cell import Cell
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Linearization

GATES = "ifou"


class Gates(NamedTuple):
    """The values of a step, each (n_components, n_units).

    Attributes:
        i: the input gate.
        f: the forget gate.
        o: the output gate.
        u: the candidate.
        c: c'.
        t: tanh(c').
    """

    i: Array
    f: Array
    o: Array
    u: Array
    c: Array
    t: Array


class LSTM(Cell):
    """A component-wise LSTM."""

    def __init__(self, spec: OptimizerSpec) -> None:
        super().__init__(spec)
        # a of each gate as a matrix, (n_units, n_inputs).
        self.a = {gate: self.p[f"a_{gate}"].reshape(self.n_units, -1) for gate in GATES}

    def inputs(self, gradient: Array) -> Array:
        """s, (n_components, n_inputs)."""
        return np.asarray(self.constants["input_scale"] * gradient[:, None])

    def inputs_slope(self, gradient: Array) -> Array:
        """∂s/∂g, (n_components, n_inputs)."""
        return np.full((gradient.size, 1), self.constants["input_scale"])

    def _gates(self, h: Array, c: Array, s: Array) -> Gates:
        p = self.p
        with np.errstate(all="ignore"):  # a component may diverge
            i, f, o, u = (
                h @ p[f"W_{gate}"].T + s @ self.a[gate].T + p[f"b_{gate}"] for gate in GATES
            )
            i, f, o, u = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(u)
            c = f * c + i * u
            return Gates(i, f, o, u, c, np.tanh(c))

    def _split(self, state: Array) -> tuple[Array, Array]:
        """H and c."""
        return state[:, : self.n_units], state[:, self.n_units :]

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """c' = f ∘ c + i ∘ u;  h' = o ∘ tanh(c');  Δ = output_scale · (w · h' + b)."""
        gates = self._gates(*self._split(state), self.inputs(gradient))
        h = gates.o * gates.t
        update = self.constants["output_scale"] * (h @ self.p["w"] + self.p["b"])
        return np.concatenate([h, gates.c], axis=1), update

    @staticmethod
    def _slopes(c: Array, gates: Gates) -> tuple[dict[str, Array], Array]:
        """∂c'/∂ of the inputs of i, f and u, with ∂h'/∂ of those of o; and ∂h'/∂c'."""
        i, f, o, u, _, t = gates
        slopes = {
            "i": u * i * (1 - i),
            "f": c * f * (1 - f),
            "u": i * (1 - u**2),
            "o": t * o * (1 - o),
        }
        return slopes, o * (1 - t**2)

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """The derivatives of `step`, by the chain rule.

        ∂c'/∂h = diag(u i(1 − i)) W_i + diag(c f(1 − f)) W_f + diag(i(1 − u²)) W_u
        ∂c'/∂c = diag(f)
        ∂h'/∂h = diag(tanh(c') o(1 − o)) W_o + diag(o (1 − tanh²(c'))) ∂c'/∂h
        ∂h'/∂c = diag(o (1 − tanh²(c')) f)
        C = output_scale · wᵀ (∂h'/∂h, ∂h'/∂c),  D = output_scale · wᵀ ∂h'/∂g
        """
        p, n = self.p, self.n_units
        h, c = self._split(state)
        gates = self._gates(h, c, self.inputs(gradient))
        slopes, h_by_c = self._slopes(c, gates)
        A = np.zeros((len(state), 2 * n, 2 * n))
        c_by_h = sum(slopes[gate][:, :, None] * p[f"W_{gate}"] for gate in "ifu")
        A[:, n:, :n] = c_by_h
        A[:, :n, :n] = slopes["o"][:, :, None] * p["W_o"] + h_by_c[:, :, None] * c_by_h
        units = np.arange(n)
        A[:, n + units, n + units] = gates.f
        A[:, units, n + units] = h_by_c * gates.f
        B = self._state_by_gradient(gradient, slopes, h_by_c)
        scale = self.constants["output_scale"]
        return Linearization(A, B, scale * (p["w"] @ A[:, :n]), scale * (B[:, :n] @ p["w"]))

    def _state_by_gradient(self, gradient: Array, slopes: dict[str, Array], h_by_c: Array) -> Array:
        """B = ∂(h', c')/∂g, (n_components, n_state)."""
        slope = self.inputs_slope(gradient)
        by_gate = {gate: slopes[gate] * (slope @ self.a[gate].T) for gate in GATES}
        c_by_g = by_gate["i"] + by_gate["f"] + by_gate["u"]
        return np.concatenate([by_gate["o"] + h_by_c * c_by_g, c_by_g], axis=1)

    def gain(self, state: Array, gradient: Array) -> Array:
        """D = output_scale · wᵀ ∂h'/∂g."""
        h, c = self._split(state)
        slopes, h_by_c = self._slopes(c, self._gates(h, c, self.inputs(gradient)))
        B = self._state_by_gradient(gradient, slopes, h_by_c)
        return np.asarray(self.constants["output_scale"] * (B[:, : self.n_units] @ self.p["w"]))

    def pullback(
        self, state: Array, gradient: Array, state_bar: Array, update_bar: Array
    ) -> tuple[Array, Array, dict[str, Array]]:
        """The adjoints of (h, c), of g, and of the parameters."""
        p, s = self.p, self.inputs(gradient)
        h, c = self._split(state)
        gates = self._gates(h, c, s)
        slopes, h_by_c = self._slopes(c, gates)
        h_bar, c_bar = self._split(state_bar)

        # Δ = output_scale · (w · h' + b);  h' = o ∘ tanh(c')
        scaled = self.constants["output_scale"] * update_bar
        h_bar = h_bar + scaled[:, None] * p["w"]
        c_bar = c_bar + h_bar * h_by_c
        adjoints = {"w": scaled @ (gates.o * gates.t), "b": np.asarray(scaled.sum())}

        # c' = f ∘ c + i ∘ u, and each gate of W h + a s + b
        old_h_bar, s_bar = np.zeros_like(h), np.zeros_like(s)
        for gate in GATES:
            pre_bar = slopes[gate] * (h_bar if gate == "o" else c_bar)
            old_h_bar += pre_bar @ p[f"W_{gate}"]
            s_bar += pre_bar @ self.a[gate]
            adjoints[f"W_{gate}"] = pre_bar.T @ h
            adjoints[f"a_{gate}"] = (pre_bar.T @ s).reshape(p[f"a_{gate}"].shape)
            adjoints[f"b_{gate}"] = pre_bar.sum(axis=0)
        gradient_bar = np.sum(s_bar * self.inputs_slope(gradient), axis=1)
        return np.concatenate([old_h_bar, c_bar * gates.f], axis=1), gradient_bar, adjoints

    def rounding_scale(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """The sizes of the terms of (h', c') and Δ.

        A gate's rounding is that of W h, and c' multiplies it by c: 1, or more if |h| or |c| is.
        The update adds w · h' term by term.
        """
        sizes = (np.abs(part).max(axis=1, keepdims=True) for part in self._split(state))
        unit = np.prod([np.maximum(1.0, size) for size in sizes], axis=0)
        readout = np.abs(self.p["w"]).sum() * unit[:, 0] + np.abs(self.p["b"])
        return np.broadcast_to(unit, state.shape), abs(self.constants["output_scale"]) * readout
