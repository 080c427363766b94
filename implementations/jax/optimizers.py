"""The optimizer kinds in JAX; `loptbench.optimizers` has the equations."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

Parameters = Mapping[str, Array]
Constants = Mapping[str, float]


class Kind(NamedTuple):
    """An optimizer as two pure functions.

    Attributes:
        initial_state: (parameters, n_components) -> state.
        step: (parameters, constants, state, gradient) -> state, update.
    """

    initial_state: Callable[[Parameters, int], Array]
    step: Callable[[Parameters, Constants, Array, Array], tuple[Array, Array]]


def _zeros(n_state: int) -> Callable[[Parameters, int], Array]:
    def initial_state(parameters: Parameters, n_components: int) -> Array:
        return jnp.zeros((n_components, n_state), parameters["alpha"].dtype)

    return initial_state


def _sgd(p: Parameters, _: Constants, state: Array, gradient: Array) -> tuple[Array, Array]:
    return state, -p["alpha"] * gradient


def _momentum(p: Parameters, _: Constants, state: Array, gradient: Array) -> tuple[Array, Array]:
    state = p["beta"] * state + gradient[:, None]
    return state, -p["alpha"] * state[:, 0]


def _nesterov(p: Parameters, _: Constants, state: Array, gradient: Array) -> tuple[Array, Array]:
    state = p["beta"] * state + gradient[:, None]
    return state, -p["alpha"] * (gradient + p["beta"] * state[:, 0])


def _root(v: Array) -> Array:
    # √v, with a derivative of 0 at v = 0. What is put in the place of zero is lost beside epsilon.
    tiny = float(np.finfo(v.dtype).tiny)
    return jnp.sqrt(jnp.where(v > tiny, v, jnp.where(v >= 0, tiny, v)))


def _rmsprop(p: Parameters, k: Constants, state: Array, gradient: Array) -> tuple[Array, Array]:
    v = p["gamma"] * state[:, 0] + (1 - p["gamma"]) * gradient**2
    return v[:, None], -p["alpha"] * gradient / (_root(v) + k["epsilon"])


def _adam(p: Parameters, k: Constants, state: Array, gradient: Array) -> tuple[Array, Array]:
    m = p["beta1"] * state[:, 0] + (1 - p["beta1"]) * gradient
    v = p["beta2"] * state[:, 1] + (1 - p["beta2"]) * gradient**2
    t = state[:, 2] + 1
    mean, square = m / (1 - p["beta1"] ** t), v / (1 - p["beta2"] ** t)
    update = -p["alpha"] * mean / (_root(square) + k["epsilon"])
    return jnp.stack([m, v, t], axis=1), update


def _composed_initial_state(p: Parameters, n_components: int) -> Array:
    m = jnp.zeros((n_components, p["betas"].size), p["betas"].dtype)
    return jnp.concatenate([m, jnp.broadcast_to(p["start"], (n_components, 1))], axis=1)


def _composed(p: Parameters, _: Constants, state: Array, gradient: Array) -> tuple[Array, Array]:
    m, rho = state[:, :-1], state[:, -1]
    clipped = jnp.minimum(jnp.maximum(gradient, -p["clip"]), p["clip"])
    m = p["betas"] * m + clipped[:, None]
    new_rho = 1 + p["decay"] * (rho - 1)
    return jnp.concatenate([m, new_rho[:, None]], axis=1), -p["alpha"] * rho * m.mean(axis=1)


def _gru_initial_state(p: Parameters, n_components: int) -> Array:
    return jnp.broadcast_to(p["h0"], (n_components, p["h0"].size))


def _gru(p: Parameters, k: Constants, h: Array, gradient: Array) -> tuple[Array, Array]:
    s = k["input_scale"] * gradient[:, None]
    z = jax.nn.sigmoid(h @ p["W_z"].T + p["a_z"] * s + p["b_z"])
    r = jax.nn.sigmoid(h @ p["W_r"].T + p["a_r"] * s + p["b_r"])
    c = jnp.tanh((r * h) @ p["W_c"].T + p["a_c"] * s + p["b_c"])
    h = z * h + (1 - z) * c
    return h, k["output_scale"] * (h @ p["w"] + p["b"])


KINDS = {
    "sgd": Kind(_zeros(0), _sgd),
    "momentum": Kind(_zeros(1), _momentum),
    "nesterov": Kind(_zeros(1), _nesterov),
    "rmsprop": Kind(_zeros(1), _rmsprop),
    "adam": Kind(_zeros(3), _adam),
    "composed": Kind(_composed_initial_state, _composed),
    "gru": Kind(_gru_initial_state, _gru),
}
