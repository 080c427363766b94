"""The learned optimizer.

s  = input_scale · g
z  = sigmoid(W_z h + a_z s + b_z)
r  = sigmoid(W_r h + a_r s + b_r)
c  = tanh(W_c (r ∘ h) + a_c s + b_c)
h' = z ∘ h + (1 − z) ∘ c
Δ  = output_scale · (w · h' + b)
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from loptbench.implementations.reference.optimizers.base import Array, gradient_rows
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Linearization
from loptbench.threads import by_blocks


def _sigmoid(x: Array) -> Array:
    """1/(1 + exp(−x)), written into its argument."""
    with np.errstate(over="ignore"):  # exp(−x) is infinite where the sigmoid is 0
        np.exp(np.negative(x, out=x), out=x)
    x += 1
    return np.divide(1, x, out=x)


def _joined(parts: list[tuple[Array, ...]]) -> tuple[Array, ...]:
    """The arrays of some components, joined along their first axis."""
    if len(parts) == 1:
        return parts[0]
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


class GRU:
    """The learned optimizer, a component-wise GRU."""

    def __init__(self, spec: OptimizerSpec) -> None:
        self.p = {name: np.asarray(array, np.float64) for name, array in spec.parameters.items()}
        self.input_scale = spec.constants["input_scale"]
        self.output_scale = spec.constants["output_scale"]

    def initial_state(self, n_components: int) -> Array:
        """h0 for every component, (n_components, n_state)."""
        return np.tile(self.p["h0"], (n_components, 1))

    def _gates(self, h: Array, gradient: Array) -> tuple[Array, Array, Array]:
        s = self.input_scale * gradient
        z = _sigmoid(self._inputs("z", h, s))
        r = _sigmoid(self._inputs("r", h, s))
        c = self._inputs("c", r * h, s)
        return z, r, np.tanh(c, out=c)

    def _inputs(self, gate: str, h: Array, s: Array) -> Array:
        """W h + a s + b of a gate, a new array."""
        inputs = h @ self.p[f"W_{gate}"].T
        inputs += np.outer(s, self.p[f"a_{gate}"])
        inputs += self.p[f"b_{gate}"]
        return np.asarray(inputs)

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """h' = z ∘ h + (1 − z) ∘ c;  Δ = output_scale · (w · h' + b)."""

        def step(block: slice) -> tuple[Array, Array]:
            h = state[block]
            z, _, c = self._gates(h, gradient[block])
            new = z * h + (1 - z) * c
            return new, self.output_scale * (new @ self.p["w"] + self.p["b"])

        new, update = _joined(by_blocks(step, len(state), 3 * state.size * state.shape[1]))
        return new, update

    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        """The states at `times`, computed in place, one column per component.

        The weights, input weights and biases are one matrix M = [W | input_scale · a | b], which
        multiplies [h; g; 1]. A sigmoid is a tanh, which NumPy computes faster:

            2 (1 − z) = 1 + tanh(−½ M_z [h; g; 1]),  2 r = 1 + tanh(½ M_r [h; g; 1])
            c = tanh(M_c [r ∘ h; g; 1]),  h' = h + (1 − z) ∘ (c − h)
        """
        rows = gradient_rows(gradients, times[-1])
        n_multiplications = 3 * state.size * state.shape[1] * times[-1]

        def drive(block: slice) -> Array:
            return self._drive(state[block], rows[:, block], times)

        parts = by_blocks(drive, len(state), n_multiplications)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _drive(self, state: Array, rows: Array, times: Sequence[int]) -> Array:
        """`drive`, of some components; `rows` are their gradients, (n_steps, n)."""
        (n, n_units), p = state.shape, self.p
        M_z, M_r, M_c = (
            np.column_stack([p[f"W_{k}"], self.input_scale * p[f"a_{k}"], p[f"b_{k}"]])
            for k in "zrc"
        )
        M_gates = np.concatenate([-0.5 * M_z, 0.5 * M_r])
        M_c[:, :n_units] *= 0.5  # it multiplies 2 r ∘ h
        states = np.empty((len(times), n, n_units))
        inputs, reset_inputs = np.ones((2, n_units + 2, n))  # [h; g; 1] and [2 r ∘ h; g; 1]
        h, doubled_reset = inputs[:n_units], reset_inputs[:n_units]
        h[:] = state.T
        gates, c = np.empty((2 * n_units, n)), np.empty((n_units, n))
        doubled_1_z, doubled_r = gates[:n_units], gates[n_units:]
        with np.errstate(all="ignore"):  # a component may diverge
            for i, (last, time) in enumerate(pairwise([0, *times])):
                for k in range(last, time):
                    inputs[n_units] = reset_inputs[n_units] = rows[k]
                    np.tanh(np.matmul(M_gates, inputs, out=gates), out=gates)
                    gates += 1
                    np.multiply(doubled_r, h, out=doubled_reset)
                    np.tanh(np.matmul(M_c, reset_inputs, out=c), out=c)
                    c -= h
                    c *= doubled_1_z
                    c *= 0.5
                    h += c
                states[i] = h.T
        return states

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """The derivatives of `step`, by the chain rule.

        ∂r/∂h = diag(r(1 − r)) W_r
        ∂c/∂h = diag(1 − c²) W_c (diag(r) + diag(h) ∂r/∂h)
        A = diag(z) + diag((h − c) z(1 − z)) W_z + diag(1 − z) ∂c/∂h
        C = output_scale · wᵀA,  D = output_scale · wᵀB
        """

        def linearize(block: slice) -> tuple[Array, ...]:
            return self._linearize(state[block], gradient[block])

        n_multiplications = state.size * state.shape[1] ** 2
        return Linearization(*_joined(by_blocks(linearize, len(state), n_multiplications)))

    def _linearize(self, h: Array, gradient: Array) -> tuple[Array, Array, Array, Array]:
        """`linearize`, of some components: A, B, C, D."""
        p = self.p
        z, r, c = self._gates(h, gradient)
        slope_r, slope_c, slope_z = r * (1 - r), 1 - c**2, (h - c) * z * (1 - z)
        diagonal = np.arange(h.shape[1])
        rh_by_h = (h * slope_r)[:, :, None] * p["W_r"]
        rh_by_h[:, diagonal, diagonal] += r
        A = p["W_c"] @ rh_by_h
        A *= ((1 - z) * slope_c)[:, :, None]
        A += slope_z[:, :, None] * p["W_z"]
        A[:, diagonal, diagonal] += z
        B = self._state_by_gradient(h, z, r, c)
        C = self.output_scale * (p["w"] @ A)
        return A, B, C, self.output_scale * B @ p["w"]

    def _state_by_gradient(self, h: Array, z: Array, r: Array, c: Array) -> Array:
        """B = ∂h'/∂g, (n_components, n_state), from the gates.

        ∂r/∂s = r(1 − r) a_r
        ∂c/∂s = (1 − c²) (a_c + W_c (h ∘ ∂r/∂s))
        B = input_scale · ((h − c) z(1 − z) a_z + (1 − z) ∂c/∂s)
        """
        p = self.p
        r_by_s = r * (1 - r) * p["a_r"]
        c_by_s = (1 - c**2) * (p["a_c"] + (h * r_by_s) @ p["W_c"].T)
        B = self.input_scale * ((h - c) * z * (1 - z) * p["a_z"] + (1 - z) * c_by_s)
        return np.asarray(B)

    def gain(self, state: Array, gradient: Array) -> Array:
        """D = output_scale · wᵀB."""

        def gain(block: slice) -> tuple[Array]:
            h = state[block]
            B = self._state_by_gradient(h, *self._gates(h, gradient[block]))
            return (self.output_scale * B @ self.p["w"],)

        return _joined(by_blocks(gain, len(state), 4 * state.size * state.shape[1]))[0]

    def pullback(
        self, state: Array, gradient: Array, state_bar: Array, update_bar: Array
    ) -> tuple[Array, Array, dict[str, Array]]:
        """The adjoints of h, of g, and of the parameters."""
        p, h = self.p, state
        z, r, c = self._gates(h, gradient)
        new = z * h + (1 - z) * c
        s = self.input_scale * gradient

        # Δ = output_scale · (w · h' + b)
        scaled = self.output_scale * update_bar
        new_bar = state_bar + scaled[:, None] * p["w"]
        adjoints = {"w": scaled @ new, "b": np.asarray(scaled.sum())}

        # h' = z ∘ h + (1 − z) ∘ c;  c sees h through r ∘ h
        pre_c_bar = new_bar * (1 - z) * (1 - c**2)
        rh_bar = pre_c_bar @ p["W_c"]
        pre_r_bar = rh_bar * h * r * (1 - r)
        pre_z_bar = new_bar * (h - c) * z * (1 - z)
        h_bar = new_bar * z + rh_bar * r + pre_r_bar @ p["W_r"] + pre_z_bar @ p["W_z"]

        s_bar = np.zeros_like(gradient)
        for gate, pre_bar, inputs in (
            ("z", pre_z_bar, h),
            ("r", pre_r_bar, h),
            ("c", pre_c_bar, r * h),
        ):
            adjoints[f"W_{gate}"] = pre_bar.T @ inputs
            adjoints[f"a_{gate}"] = s @ pre_bar
            adjoints[f"b_{gate}"] = pre_bar.sum(axis=0)
            s_bar += pre_bar @ p[f"a_{gate}"]
        return h_bar, self.input_scale * s_bar, adjoints

    def initial_state_pullback(self, state_bar: Array) -> dict[str, Array]:
        """The adjoints of the parameters that `initial_state` uses."""
        return {"h0": state_bar.sum(axis=0)}

    def rounding_scale(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """The sizes of the terms of h' and Δ.

        A unit is a mean of h and a tanh: 1, or |h| if that is larger. The update adds w · h' term
        by term.
        """
        unit = np.maximum(1.0, np.abs(state).max(axis=1, keepdims=True))
        readout = np.abs(self.p["w"]).sum() * unit[:, 0] + np.abs(self.p["b"])
        return np.broadcast_to(unit, state.shape), np.abs(self.output_scale) * readout
