"""The learned optimizer, forwards, linearized, and backwards."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit as sigmoid

from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Linearization

Float = NDArray[np.float64]


class GRU:
    """A component-wise GRU; W, a, b are named as in `loptbench.optimizers`."""

    def __init__(self, spec: OptimizerSpec) -> None:
        self.p = {name: np.asarray(array, np.float64) for name, array in spec.parameters.items()}
        self.input_scale = spec.constants["input_scale"]
        self.output_scale = spec.constants["output_scale"]

    def initial_state(self, n_components: int) -> Float:
        """h0 for every component, (n_components, n_state)."""
        return np.tile(self.p["h0"], (n_components, 1))

    def _gates(self, h: Float, gradient: Float) -> tuple[Float, Float, Float]:
        p = self.p
        s = self.input_scale * gradient[:, None]
        z = sigmoid(h @ p["W_z"].T + p["a_z"] * s + p["b_z"])
        r = sigmoid(h @ p["W_r"].T + p["a_r"] * s + p["b_r"])
        c = np.tanh((r * h) @ p["W_c"].T + p["a_c"] * s + p["b_c"])
        return z, r, c

    def step(self, state: Float, gradient: Float) -> tuple[Float, Float]:
        """h' = z ∘ h + (1 − z) ∘ c;  Δ = output_scale · (w · h' + b)."""
        z, _, c = self._gates(state, gradient)
        new = z * state + (1 - z) * c
        return new, self.output_scale * (new @ self.p["w"] + self.p["b"])

    def linearize(self, state: Float, gradient: Float) -> Linearization:
        """The derivatives of `step`, by the chain rule.

        ∂r/∂h = diag(r(1 − r)) W_r                    ∂r/∂s = r(1 − r) a_r
        ∂c/∂h = diag(1 − c²) W_c (diag(r) + diag(h) ∂r/∂h)
        ∂c/∂s = (1 − c²) (a_c + W_c (h ∘ ∂r/∂s))
        A = diag(z) + diag((h − c) z(1 − z)) W_z + diag(1 − z) ∂c/∂h
        B = input_scale · ((h − c) z(1 − z) a_z + (1 − z) ∂c/∂s)
        C = output_scale · wᵀA,  D = output_scale · wᵀB
        """
        p, h = self.p, state
        z, r, c = self._gates(h, gradient)
        slope_r, slope_c, pull_z = r * (1 - r), 1 - c**2, (h - c) * z * (1 - z)
        eye = np.eye(h.shape[1])
        rh_by_h = r[:, :, None] * eye + (h * slope_r)[:, :, None] * p["W_r"]
        c_by_h = slope_c[:, :, None] * (p["W_c"] @ rh_by_h)
        c_by_s = slope_c * (p["a_c"] + (h * slope_r * p["a_r"]) @ p["W_c"].T)
        A = z[:, :, None] * eye + pull_z[:, :, None] * p["W_z"] + (1 - z)[:, :, None] * c_by_h
        B = self.input_scale * (pull_z * p["a_z"] + (1 - z) * c_by_s)
        C = self.output_scale * np.einsum("j,ijl->il", p["w"], A)
        D = self.output_scale * B @ p["w"]
        return Linearization(A, B, C, D)

    def pullback(
        self, state: Float, gradient: Float, to_state: Float, to_update: Float
    ) -> tuple[Float, Float, dict[str, Float]]:
        """Carry adjoints backwards through `step`.

        Args:
            state: h, (n_components, n_state).
            gradient: g, (n_components,).
            to_state: the adjoint of h', (n_components, n_state).
            to_update: the adjoint of Δ, (n_components,).

        Returns: the adjoints of h, of g, and of each parameter (summed over components).
        """
        p, h = self.p, state
        z, r, c = self._gates(h, gradient)
        new = z * h + (1 - z) * c
        s = self.input_scale * gradient

        # Δ = output_scale · (w · h' + b)
        scaled = self.output_scale * to_update
        to_new = to_state + scaled[:, None] * p["w"]
        adjoints = {"w": scaled @ new, "b": np.asarray(scaled.sum())}

        # h' = z ∘ h + (1 − z) ∘ c;  c sees h through r ∘ h
        before_c = to_new * (1 - z) * (1 - c**2)
        to_rh = before_c @ p["W_c"]
        before_r = to_rh * h * r * (1 - r)
        before_z = to_new * (h - c) * z * (1 - z)
        to_h = to_new * z + to_rh * r + before_r @ p["W_r"] + before_z @ p["W_z"]

        to_s = np.zeros_like(gradient)
        for gate, before, fed_by in (
            ("z", before_z, h),
            ("r", before_r, h),
            ("c", before_c, r * h),
        ):
            adjoints[f"W_{gate}"] = before.T @ fed_by
            adjoints[f"a_{gate}"] = s @ before
            adjoints[f"b_{gate}"] = before.sum(axis=0)
            to_s += before @ p[f"a_{gate}"]
        return to_h, self.input_scale * to_s, adjoints

    def initial_state_pullback(self, to_state: Float) -> dict[str, Float]:
        """The adjoints of the parameters that `initial_state` uses."""
        return {"h0": to_state.sum(axis=0)}

    def rounding_scale(self, state: Float, gradient: Float) -> tuple[Float, Float]:
        """What rounding errors of `step` are relative to: the sizes of the terms that are added.

        A unit is a mean of h and of a tanh, so 1 or |h| if that is larger; the update adds w · h'
        term by term. Shapes: (n_components, n_state), (n_components,).
        """
        unit = np.maximum(1.0, np.abs(state).max(axis=1, keepdims=True))
        readout = np.abs(self.p["w"]).sum() * unit[:, 0] + np.abs(self.p["b"])
        return np.broadcast_to(unit, state.shape), np.abs(self.output_scale) * readout
