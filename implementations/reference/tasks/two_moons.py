"""A multilayer perceptron on two moons.

h₁ = tanh(W_1 u + b_1),  h₂ = tanh(W_2 h₁ + b_2),  q = W_3 h₂ + b_3
f  = mean over the points of log(1 + exp(q)) − y q  +  penalty · ‖x‖₂
"""

import numpy as np

from loptbench.implementations.reference.tasks.base import Array
from loptbench.implementations.reference.tasks.networks import (
    Complex,
    Layers,
    Network,
    flatten,
    sum_length,
    swap,
)
from loptbench.tasks import ProblemBatch, unflatten


class TwoMoonsProblems(Network):
    """The multilayer perceptron of `loptbench.tasks.two_moons`, for each problem of a batch.

    Rows are points: h₁ is (n_problems, n_samples, width).
    """

    def __init__(self, batch: ProblemBatch) -> None:
        super().__init__(batch)
        self.u, self.y = batch.shared["points"], batch.shared["labels"][:, None]
        self.penalty = float(batch.shared["penalty"])

    def _forward(self, p: dict[str, Complex], step: int) -> Layers:
        """h₁, h₂ and q."""
        h1 = np.tanh(self.u @ swap(p["W_1"]) + p["b_1"][:, None])
        h2 = np.tanh(h1 @ swap(p["W_2"]) + p["b_2"][:, None])
        return h1, h2, h2 @ swap(p["W_3"]) + p["b_3"][:, None]

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        """f = mean(log(1 + exp(q)) − y q) + penalty ‖x‖₂, and ∇f."""
        layers = self._forward(unflatten(parameters, self.layout), step)
        q = layers[-1]
        data = np.mean(np.logaddexp(0, q) - self.y * q, axis=(1, 2))
        norm = np.sqrt(np.sum(parameters**2, axis=1))
        return data + self.penalty * norm, self._backward(parameters, layers)

    def _backward(self, x: Complex, layers: Layers) -> Complex:
        """∂f/∂q = (sigmoid(q) − y) / n, then backward; the penalty adds penalty · x / ‖x‖₂."""
        p = unflatten(x, self.layout)
        h1, h2, q = layers
        q_bar = (0.5 * (1 + np.tanh(q / 2)) - self.y) / len(self.u)
        a2_bar = (q_bar @ p["W_3"]) * (1 - h2**2)
        a1_bar = (a2_bar @ p["W_2"]) * (1 - h1**2)
        data = self._by_parameter((a1_bar, a2_bar, q_bar), (self.u, h1, h2))
        norm = np.sqrt(np.sum(x**2, axis=1, keepdims=True))
        gradient: Complex = data + self.penalty * x / norm
        return gradient

    def _by_parameter(self, bars: Layers, inputs: Layers) -> Complex:
        """The flat gradient, from each layer's adjoint before tanh and its input."""
        (a1_bar, a2_bar, q_bar), (u, h1, h2) = bars, inputs
        gradients = {
            "W_1": swap(a1_bar) @ u,
            "b_1": a1_bar.sum(axis=1),
            "W_2": swap(a2_bar) @ h1,
            "b_2": a2_bar.sum(axis=1),
            "W_3": swap(q_bar) @ h2,
            "b_3": q_bar.sum(axis=1),
        }
        return flatten(gradients, self.layout)

    def rounding_scale(self, parameters: Array, step: int) -> tuple[Array, Array]:
        """The sizes of the terms of f and ∇f, rounding errors of the layers included."""
        p = unflatten(parameters, self.layout)
        h1, h2, q = self._forward(p, step)
        a = {name: np.abs(array) for name, array in p.items()}
        h1_scale = np.abs(h1) + (1 - h1**2) * (np.abs(self.u) @ swap(a["W_1"]) + a["b_1"][:, None])
        h2_scale = np.abs(h2) + (1 - h2**2) * (h1_scale @ swap(a["W_2"]) + a["b_2"][:, None])
        q_scale = h2_scale @ swap(a["W_3"]) + a["b_3"][:, None]
        norm = np.sqrt(np.sum(parameters**2, axis=1))
        loss = np.mean(np.logaddexp(0, q) + self.y * np.abs(q) + q_scale, axis=(1, 2))
        sigmoid_q = 0.5 * (1 + np.tanh(q / 2))
        q_bar_exact = (sigmoid_q - self.y) / len(self.u)
        h2_bar_exact = q_bar_exact @ p["W_3"]
        h1_bar_exact = (h2_bar_exact * (1 - h2**2)) @ p["W_2"]
        # The sigmoid has an error of |q| roundings where it is exp(q − log(1 + exp(q))).
        sigmoid_error = sigmoid_q * (1 - sigmoid_q) * (1 + q_scale) + sigmoid_q * np.abs(q)
        q_bar = np.abs(q_bar_exact) + sigmoid_error / len(self.u)
        a2_bar = q_bar @ a["W_3"] * (1 - h2**2) + np.abs(2 * h2_bar_exact * h2) * h2_scale
        a1_bar = a2_bar @ a["W_2"] * (1 - h1**2) + np.abs(2 * h1_bar_exact * h1) * h1_scale
        terms = self._by_parameter((a1_bar, a2_bar, q_bar), (np.abs(self.u), h1_scale, h2_scale))
        x = np.abs(parameters)
        gradient = terms * sum_length(len(self.u))
        return loss + self.penalty * norm, gradient + self.penalty * x / norm[:, None]
