"""A task in one file: logistic regression on scikit-learn's breast-cancer data.

    loptbench check jax --task breast_cancer:BreastCancer
    loptbench tune --task breast_cancer:BreastCancer
    loptbench meta-train breast_cancer:BreastCancer --implementation jax
    loptbench run --task breast_cancer:BreastCancer --tuned loptbench-tuned.json \
        --checkpoint breast_cancer-quick-jax-0.safetensors --report report.html

Run these in the folder of this file. The loss is written three times, for NumPy (with its
gradient), PyTorch and JAX. One of them would do.
"""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from loptbench.tasks import CheckSettings, CustomTask

Arrays = Mapping[str, NDArray[Any]]


@functools.cache
def standardized() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features of mean 0 and variance 1, (569, 30), and labels 0 and 1, (569,)."""
    from sklearn.datasets import load_breast_cancer  # the import takes a second

    features, labels = load_breast_cancer(return_X_y=True)
    return (features - features.mean(axis=0)) / features.std(axis=0), labels.astype(np.float64)


class BreastCancer(CustomTask):
    """Logistic regression with a ridge penalty; problems differ in their initial weights.

        q_i = w · u_i + b
        f(w, b) = mean over the samples (u_i, y_i) of log(1 + exp(q_i)) − y_i q_i  +  ½ ridge ‖w‖²

    Attributes:
        n_steps: the number of inner steps.
        n_samples: the number of samples, the first ones of the data.
        ridge: the factor of the penalty.
    """

    n_steps: int = 100
    n_samples: int = 569
    ridge: float = 1e-3

    name: ClassVar[str] = "breast_cancer"
    # A smaller size for many runs of the oracle, and another one that finds sizes built in.
    checks: ClassVar[CheckSettings] = CheckSettings(
        small={"n_samples": 60}, resized={"n_samples": 31, "ridge": 2e-2}, scales=(3.0, 0.01)
    )

    def draw(self, rng: np.random.Generator) -> tuple[Arrays, Arrays]:
        """Initial weights; there is nothing else that differs."""
        return {"w": rng.standard_normal(30) / np.sqrt(30), "b": np.zeros(())}, {}

    def shared(self) -> Arrays:
        """The data."""
        features, labels = standardized()
        return {
            "features": features[: self.n_samples],
            "labels": labels[: self.n_samples],
            "ridge": np.asarray(self.ridge),
        }

    def loss(self, p: Arrays, data: Arrays, step: int) -> float:
        """f in NumPy."""
        q = data["features"] @ p["w"] + p["b"]
        penalty = 0.5 * data["ridge"] * np.sum(p["w"] ** 2)
        return float(np.mean(np.logaddexp(0, q) - data["labels"] * q) + penalty)

    def gradient(self, p: Arrays, data: Arrays, step: int) -> Arrays:
        """∂f/∂q_i = (sigmoid(q_i) − y_i) / n, then by the chain rule."""
        q = data["features"] @ p["w"] + p["b"]
        q_bar = (0.5 * (1 + np.tanh(q / 2)) - data["labels"]) / len(q)
        return {"w": q_bar @ data["features"] + data["ridge"] * p["w"], "b": q_bar.sum()}

    def torch_loss(self, p: Mapping[str, Any], data: Mapping[str, Any], step: int) -> Any:
        """f in PyTorch."""
        import torch

        q = data["features"] @ p["w"] + p["b"]
        penalty = 0.5 * data["ridge"] * (p["w"] ** 2).sum()
        return (torch.logaddexp(q, torch.zeros_like(q)) - data["labels"] * q).mean() + penalty

    def jax_loss(self, p: Mapping[str, Any], data: Mapping[str, Any], step: Any) -> Any:
        """f in JAX."""
        import jax
        import jax.numpy as jnp

        q = data["features"] @ p["w"] + p["b"]
        penalty = 0.5 * data["ridge"] * jnp.sum(p["w"] ** 2)
        return jnp.mean(jax.nn.softplus(q) - data["labels"] * q) + penalty
