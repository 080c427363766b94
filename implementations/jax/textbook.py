"""Baselines of our outer step: the textbook's meta-gradient, and what no outer step can leave out.

`loptbench perf` times both, and tests compare our meta-gradient with the textbook's.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from loptbench.implementations.jax.arrays import full_precision
from loptbench.implementations.jax.implementation import Implementation
from loptbench.implementations.jax.optimizers import Parameters, get_kind
from loptbench.implementations.jax.program import Inputs, Program
from loptbench.implementations.jax.tasks import loss_and_gradient
from loptbench.optimizers import OptimizerSpec
from loptbench.tasks import ProblemBatch


class Textbook:
    """The meta-gradient as a textbook would write it, and the floor of its time.

    Attributes:
        has_floor: whether there is a floor of the optimizer's architecture.
    """

    def __init__(
        self, spec: OptimizerSpec, batch: ProblemBatch, n_steps: int, dtype: str, device: str
    ) -> None:
        implementation = Implementation()
        optimizer = implementation.optimizer(spec, dtype, device)
        problems = implementation.problems(batch, dtype, device)
        self.p = optimizer.parameters
        self.program = Program(spec.kind, problems.loss, problems.shapes, n_steps)
        self.inputs = Inputs(optimizer.constants, problems.arrays)
        with full_precision():
            self.x0 = optimizer.placement.put(batch.initial_parameters)
        self.has_floor = spec.kind in FLOORS

    def meta_gradient(self) -> dict[str, Any]:
        """The meta-gradient by name."""
        with full_precision():
            _, gradient = _meta_gradient(self.program, self.inputs, self.p, self.x0)
            return {name: np.array(leaf) for name, leaf in gradient.items()}

    def floor(self) -> Any:
        """The matrix products and the gates' functions alone: a lower bound of an outer step."""
        with full_precision():
            h = jnp.full((self.x0.size, self.p["h0"].size), 0.1, self.x0.dtype)
            return np.array(FLOORS[self.program.kind](self.program.n_steps, self.p, h)[0])


@partial(jax.jit, static_argnames="program")
def _meta_gradient(
    program: Program, inputs: Inputs, p: Parameters, x0: Array
) -> tuple[Array, Parameters]:
    """The meta-gradient as JAX users write it.

    A scan over inner steps, which the backward pass recomputes (rematerialisation); in each, the
    cell of all components as one batch. JAX differentiates both the loss and the run.
    """
    kind = get_kind(program.kind)

    @jax.checkpoint
    def inner_step(
        p: Parameters, carry: tuple[Array, Array], k: Array
    ) -> tuple[tuple[Array, Array], Array]:
        state, x = carry
        loss, gradient = loss_and_gradient(program.loss, program.shapes, inputs.arrays, x, k)
        state, update = kind.step(p, inputs.constants, state, gradient.reshape(-1))
        return (state, x + update.reshape(x.shape)), loss

    def objective_of(p: Parameters) -> tuple[Array, Array]:
        start = kind.initial_state(p, x0.size), x0
        _, loss = jax.lax.scan(partial(inner_step, p), start, jnp.arange(program.n_steps))
        objective = jnp.mean(loss, axis=0) / loss[0]
        return jnp.mean(objective), objective

    gradient, objective = jax.grad(objective_of, has_aux=True)(p)
    return objective, gradient


@partial(jax.jit, static_argnames="n_steps")
def _gru_floor(n_steps: int, p: Parameters, h: Array) -> tuple[Array, ...]:
    """The matrix products of a GRU's outer step, and the functions of its gates.

    Each inner step has two products in the forward pass, and in the backward pass two for the
    adjoint of the state and two for those of the weights. Nothing is kept from step to step.

    Args:
        n_steps: inner steps.
        p: the parameters.
        h: (n_components, n_units).
    """
    W_zr, W_c = jnp.concatenate([p["W_z"], p["W_r"]]), p["W_c"]
    n_units = W_c.shape[0]

    def forward(h: Array, _: None) -> tuple[Array, None]:
        zr = jax.nn.sigmoid(h @ W_zr.T)
        # With z in it, so that the compiler does not leave out a half of the gates.
        return zr[:, :n_units] * jnp.tanh(zr[:, n_units:] @ W_c.T), None

    def backward(
        carry: tuple[Array, Array, Array], _: None
    ) -> tuple[tuple[Array, Array, Array], None]:
        h_bar, W_zr_bar, W_c_bar = carry
        pre_c_bar = h_bar * (1 - c**2)
        zr_bar = jnp.concatenate([pre_c_bar, pre_c_bar @ W_c], axis=1)
        pre_zr_bar = zr_bar * zr * (1 - zr)
        return (pre_zr_bar @ W_zr, W_zr_bar + pre_zr_bar.T @ h, W_c_bar + pre_c_bar.T @ h), None

    c, _ = jax.lax.scan(forward, h, length=n_steps)
    zr = jax.nn.sigmoid(c @ W_zr.T)
    zeros = jnp.zeros_like(W_zr), jnp.zeros_like(W_c)
    return jax.lax.scan(backward, (c, *zeros), length=n_steps)[0]


@partial(jax.jit, static_argnames="n_steps")
def _lstm_floor(n_steps: int, p: Parameters, h: Array) -> tuple[Array, ...]:
    """The same of an LSTM, whose four gates are one product.

    Each inner step has that product in the forward pass, and in the backward pass one for the
    adjoint of the state and one for that of the weights.
    """
    W = jnp.concatenate([p[f"W_{gate}"] for gate in "ifou"])
    n_units = W.shape[1]

    def gates(h: Array) -> tuple[Array, Array]:
        pre = h @ W.T
        return jax.nn.sigmoid(pre[:, : 3 * n_units]), jnp.tanh(pre[:, 3 * n_units :])

    def forward(h: Array, _: None) -> tuple[Array, None]:
        ifo, u = gates(h)
        i, f, o = jnp.split(ifo, 3, axis=1)
        return o * jnp.tanh(f * h + i * u), None

    def backward(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        h_bar, W_bar = carry
        slopes = jnp.concatenate([ifo * (1 - ifo), 1 - u**2], axis=1)
        pre_bar = slopes * jnp.tile(h_bar * (1 - c**2), 4)
        return (pre_bar @ W, W_bar + pre_bar.T @ h), None

    c, _ = jax.lax.scan(forward, h, length=n_steps)
    ifo, u = gates(c)
    return jax.lax.scan(backward, (c, jnp.zeros_like(W)), length=n_steps)[0]


FLOORS = {"gru": _gru_floor, "lstm": _lstm_floor, "log_lstm": _lstm_floor}
"""The floor of each architecture: what no outer step can leave out."""
