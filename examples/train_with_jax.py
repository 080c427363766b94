"""Train a small network of one's own with a learned optimizer, beside Adam, in JAX with optax.

python examples/train_with_jax.py
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from sklearn.datasets import load_breast_cancer

import loptbench

N_STEPS = 200


def data() -> tuple[jax.Array, jax.Array]:
    """Features with mean 0 and variance 1, (569, 30), and labels 0 or 1, (569,)."""
    x, y = load_breast_cancer(return_X_y=True)
    return jnp.asarray((x - x.mean(axis=0)) / x.std(axis=0), jnp.float32), jnp.asarray(y)


def network() -> dict[str, jax.Array]:
    """The weights of a network with 16 hidden units."""
    first, second = jax.random.split(jax.random.key(0))
    return {
        "W": jax.random.normal(first, (30, 16)) / jnp.sqrt(30),
        "b": jnp.zeros(16),
        "v": jax.random.normal(second, (16,)) / jnp.sqrt(16),
        "c": jnp.zeros(()),
    }


def loss_of(p: dict[str, jax.Array], features: jax.Array, labels: jax.Array) -> jax.Array:
    """The mean cross-entropy."""
    logits = jnp.tanh(features @ p["W"] + p["b"]) @ p["v"] + p["c"]
    return optax.sigmoid_binary_cross_entropy(logits, labels).mean()


def train(optimizer: Any) -> list[float]:
    """The loss before every step.

    Args:
        optimizer: any `optax.GradientTransformation`.
    """
    features, labels = data()
    p = network()
    state, losses = optimizer.init(p), []

    @jax.jit
    def step(p: Any, state: Any) -> tuple[Any, Any, jax.Array]:
        loss, gradient = jax.value_and_grad(loss_of)(p, features, labels)
        updates, state = optimizer.update(gradient, state, p)
        return optax.apply_updates(p, updates), state, loss

    for _ in range(N_STEPS):
        p, state, loss = step(p, state)
        losses.append(float(loss))
    return losses


def main() -> dict[str, list[float]]:
    """Train with both, and print their losses."""
    optimizers = {
        "learned": loptbench.load("two_moons-quick-jax-0").as_optax(),
        "adam": optax.adam(0.01),
    }
    curves = {name: train(optimizer) for name, optimizer in optimizers.items()}
    for name, losses in curves.items():
        print(
            f"{name:8}", *(f"{loss:.4f}" for loss in losses[:: N_STEPS // 5]), f"{losses[-1]:.4f}"
        )
    return curves


if __name__ == "__main__":
    main()
